"""Models that version 0.6 pickled load, predict as they did, and can be trained on.

``models_0_6.pkl.gz`` was written by that version: small models of every kind, what they
were given, and what they predicted.
"""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from sklearn_rnn import InconsistentVersionWarning, RNNRegressor

# It holds dates as pandas 3 pickles them.
pytest.importorskip("pandas", minversion="3.0")

ARCHIVE = Path(__file__).with_name("models_0_6.pkl.gz")
with gzip.open(ARCHIVE) as file:
    MODELS = pickle.load(file)
Y = {
    "regressor": np.arange(4.0),
    "past": np.ones((4, 2)),
    "tokens": np.arange(4.0),
    "every step": np.ones((4, 6)),
    "tagger": np.zeros((4, 6), dtype=int),
}


def load(name):
    with pytest.warns(InconsistentVersionWarning, match=r"version before 0\.7"):
        return pickle.loads(MODELS[name]["model"])


def predict(name, model, data):
    if name in ("generator", "frames"):
        return model.score_steps(data)[0]
    if name == "quantiles":
        return model.predict_quantiles(data)
    if name == "transcriber":
        assert len(model.predict_n_best(data, 2)) == len(data)
        return [frames[:4] for frames in model.posteriors(data)]
    if name in ("seq2seq", "vectors"):
        return [score for row in model.predict_n_best(data, 2) for _, score in row]
    if name in ("classifier", "tagger", "text", "mapping"):
        return model.predict_proba(data)
    return model.predict(data)


@pytest.mark.thorough
@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_what_it_did(name):
    model, data, expected = load(name), *list(MODELS[name].values())[1:]
    for _ in range(2):
        found = np.asarray(predict(name, model, data), dtype=float)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        model = pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("name", Y)
def test_a_model_continues_to_be_trained(name):
    model, data = load(name), MODELS[name]["data"]
    before = predict(name, model, data)
    model.partial_fit(data, Y[name])
    assert model.n_iter_ == 2
    assert not np.array_equal(predict(name, model, data), before)


def test_a_model_has_the_attributes_of_this_version():
    model = load("past")
    assert list(model.target_names_) == ["a+1", "a+2"]
    assert model.linear_ is None and model.network_weight_.tolist() == [1, 1]
    assert (model.cell_, model.hidden_size_, model.batch_size_) == ("gru", 3, 64)
    with pytest.raises(ValueError, match="has no linear part"):
        model.predict_linear(MODELS["past"]["data"])
    assert load("classifier").classes_.tolist() == ["down", "up"]
    assert "".join(load("generator").symbols_) == "abcd"
    assert load("seq2seq").module_.spec.tie_embeddings


def test_what_no_version_wrote_is_refused():
    model = load("regressor")
    state = model.__getstate__()
    del state["_task"]
    with pytest.raises(ValueError, match=r"before 0\.4"):
        RNNRegressor().__setstate__(state)
