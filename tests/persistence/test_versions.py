"""What of earlier versions loads, and what is refused.

``models_before_0_6.pkl.gz`` was written by those versions: small models, pickled, and
what they predicted. Those of version 0.6 are in ``tests/estimators``.
"""

import gzip
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    InconsistentVersionWarning,
    InvalidModelError,
    RNNClassifier,
    RNNRegressor,
    SequenceScaler,
    __version__,
)
from sklearn_rnn.persistence import load_model, save_model

ARCHIVE = Path(__file__).with_name("models_before_0_6.pkl.gz")
with gzip.open(ARCHIVE) as file:
    MODELS = pickle.load(file)
X = np.array(MODELS.pop("X"))


@pytest.mark.parametrize("version", ["0.4.0", "0.5.0"])
def test_models_from_0_4_on_predict_what_they_did(version):
    for name, method, key in [
        ("regressor", RNNRegressor.predict, "predictions"),
        ("classifier", RNNClassifier.predict_proba, "probabilities"),
    ]:
        with pytest.warns(InconsistentVersionWarning, match=r"before 0\.7"):
            model = pickle.loads(MODELS[version][name])
        np.testing.assert_allclose(method(model, X), MODELS[version][key], rtol=1e-5)
        before = model.module_.head.weight.detach().numpy().copy()
        model.partial_fit(X, np.arange(20.0) if name == "regressor" else ["up"] * 20)
        assert not np.array_equal(model.module_.head.weight.detach().numpy(), before)


@pytest.mark.parametrize("through_pickle", [False, True])
def test_models_that_call_the_size_of_vectors_width_train_on(through_pickle):
    """The development version of 0.7 called it so for some time."""
    random = np.random.default_rng(0)
    tokens, classes = random.integers(0, 12, size=(20, 6)), np.arange(20) % 2
    vectors = random.normal(size=(12, 5))
    model = RNNClassifier(embeddings=vectors, max_epochs=1, random_state=0)
    state = model.partial_fit(tokens, classes, classes=[0, 1]).__getstate__()
    of_tokens = state["_task"]["state"]["tokens"]["state"]
    of_tokens["width"] = of_tokens.pop("embedding_dim")

    def load():
        loaded = RNNClassifier()
        loaded.__setstate__(pickle.loads(pickle.dumps(state)))
        return pickle.loads(pickle.dumps(loaded)) if through_pickle else loaded

    expected = model.partial_fit(tokens, classes).predict_proba(tokens)
    found = load().partial_fit(tokens, classes).predict_proba(tokens)
    np.testing.assert_array_equal(found, expected)
    continued = load().set_params(warm_start=True).fit(tokens, classes)
    assert continued.module_.spec.embedding_dim == 5


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_models_before_0_4_are_refused(version):
    for name in ("regressor", "classifier"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            with pytest.raises(InvalidModelError, match=r"before 0\.4\. Fit it again"):
                pickle.loads(MODELS[version][name])


def small():
    return RNNRegressor(hidden_size=2, max_epochs=1, random_state=0)


def test_another_version_is_warned_of(monkeypatch, tmp_path):
    model = make_pipeline(SequenceScaler(), small()).fit(X, X[:, 0, 0])
    expected = model.predict(X)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_rnn._plain_state.__version__", "0.8.1")
        save_model(model, tmp_path / "model")
        pickled = pickle.dumps(model)
    for load in (lambda: load_model(tmp_path / "model"), lambda: pickle.loads(pickled)):
        match = rf"version 0\.8\.1 of sklearn_rnn.* version {__version__}"
        with pytest.warns(InconsistentVersionWarning, match=match) as found:
            loaded = load()
        assert [str(w.message).split()[0] for w in found] == [
            "SequenceScaler",
            "RNNRegressor",
        ]
        np.testing.assert_array_equal(loaded.predict(X), expected)


def test_the_warning_points_at_the_line_that_loads(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_rnn._plain_state.__version__", "0.8.1")
        pickled = pickle.dumps(small())
    with pytest.warns(InconsistentVersionWarning) as found:
        pickle.loads(pickled)
    assert found[0].filename == __file__


def test_a_type_of_a_later_version_is_refused():
    state = small().__getstate__()
    state["verbose"] = {"sklearn_rnn.type": "Novelty", "state": {}}
    with pytest.raises(InvalidModelError, match="'Novelty', which version .* does not"):
        RNNRegressor().__setstate__(state)
