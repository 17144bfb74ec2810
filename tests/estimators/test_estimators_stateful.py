"""StatefulPredictor: step by step as from everything at once."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceArray,
    SequenceScaler,
    StatefulPredictor,
)

POOLINGS = ["last", "mean", "max", "attention"]
N_STREAMS, N_STEPS = 5, 9
# Pieces that cut the steps of every stream.
CUTS = [0, 1, 4, 5, 9]


def make_data(n_features=2, seed=0):
    X = np.random.default_rng(seed).normal(size=(N_STREAMS, N_STEPS, n_features))
    return X, X[:, :, 0].sum(axis=1)


def fitted(estimator=RNNRegressor, **options):
    """A model of a kind that tells states apart: trained hard, for two epochs."""
    X, y = make_data()
    if estimator is RNNClassifier:
        y = np.where(y > 0, "up", "down")
        options = {"convolutions": None, **options}
    elif estimator is RNNTagger:
        y = np.where(X[:, :, 0] > 0, "up", "down")
    elif options.get("return_sequences"):
        y = X[:, :, 0].cumsum(axis=1)
    small = {"hidden_size": 4, "max_epochs": 2, "learning_rate": 0.1}
    return estimator(**{**small, "random_state": 0, **options}).fit(X, y)


def pieces(X, cuts=CUTS):
    return [X[:, begin:end] for begin, end in pairwise(cuts)]


def check_like_predict_of_everything(model, X, cuts=CUTS):
    live = StatefulPredictor(model)
    for piece, end in zip(pieces(X, cuts), cuts[1:], strict=True):
        np.testing.assert_allclose(
            live.predict(piece), model.predict(X[:, :end]), rtol=1e-9, atol=1e-12
        )
        assert live.n_steps_.tolist() == [end] * len(X)


def check_like_predict_at_every_step(model, X, cuts=CUTS):
    live = StatefulPredictor(model)
    outputs = np.concatenate([live.predict(piece) for piece in pieces(X, cuts)], axis=1)
    expected = model.predict(X)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-12)
    else:
        np.testing.assert_array_equal(outputs, expected)


# The same as at once.


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_sequence_is_predicted_from_all_of_its_steps(cell, pooling):
    X, _ = make_data(seed=1)
    model = fitted(cell=cell, pooling=pooling)
    check_like_predict_of_everything(model, X)
    # What came before matters: the last piece alone says something else.
    alone = model.predict(X[:, 5:])
    assert np.abs(alone - model.predict(X)).max() > 1e-3


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "estimator, options", [(RNNRegressor, {"return_sequences": True}), (RNNTagger, {})]
)
def test_every_step_is_predicted_from_those_before(cell, estimator, options):
    X, _ = make_data(seed=1)
    check_like_predict_at_every_step(fitted(estimator, cell=cell, **options), X)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "options",
    [
        {"n_layers": 3},
        {"layer_norm": True},
        {"n_layers": 2, "layer_norm": True, "residual": True},
        {"n_layers": 2, "residual": True, "dropout": 0.3, "weight_drop": 0.3},
        {"standardize": False, "input_dropout": 0.5},
        {"bptt_steps": 2, "n_layers": 2},
    ],
    ids=" ".join,
)
def test_every_kind_of_network_goes_on_from_its_state(cell, options):
    X, _ = make_data(seed=1)
    check_like_predict_of_everything(fitted(cell=cell, pooling="mean", **options), X)
    options = {"return_sequences": True, **options}
    check_like_predict_at_every_step(fitted(cell=cell, **options), X)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_probabilities_of_classes_are_those_of_everything(pooling):
    X, _ = make_data(seed=1)
    model = fitted(RNNClassifier, pooling=pooling)
    live = StatefulPredictor(model)
    for piece, end in zip(pieces(X), CUTS[1:], strict=True):
        probabilities = live.predict_proba(piece)
        np.testing.assert_allclose(probabilities, model.predict_proba(X[:, :end]))
    labels = StatefulPredictor(model).predict(X)
    np.testing.assert_array_equal(labels, model.predict(X))


def test_probabilities_of_every_step_are_those_of_everything():
    X, _ = make_data(seed=1)
    model = fitted(RNNTagger, cell="lstm")
    live = StatefulPredictor(model)
    outputs = [live.predict_proba(piece) for piece in pieces(X)]
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), model.predict_proba(X))


def test_predict_and_predict_proba_hand_over_steps_alike():
    X, _ = make_data(seed=1)
    model = fitted(RNNClassifier)
    live = StatefulPredictor(model)
    live.predict(X[:, :3])
    live.predict_proba(X[:, 3:6])
    last = live.predict_proba(X[:, 6:])
    np.testing.assert_allclose(last, model.predict_proba(X))


def test_a_regressor_has_no_probabilities():
    assert not hasattr(StatefulPredictor(fitted()), "predict_proba")
    assert hasattr(StatefulPredictor(fitted(RNNTagger)), "predict_proba")


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_signal_step_by_step_does_not_drift_off(dtype):
    X = np.random.default_rng(0).normal(size=(1, 1500, 2))
    model = fitted(dtype=dtype, pooling="mean")
    live = StatefulPredictor(model)
    for begin in range(0, 1500, 30):
        prediction = live.predict(X[:, begin : begin + 30])
    rtol = 1e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(prediction, model.predict(X), rtol=rtol, atol=rtol)


# Targets.


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_outputs_have_the_shape_of_the_targets(n_outputs):
    X, _ = make_data()
    Y = np.stack([X[:, -1, 0] + k for k in range(n_outputs)], axis=1)
    model = RNNRegressor(hidden_size=4, max_epochs=1, random_state=0).fit(X, Y)
    check_like_predict_of_everything(model, X)
    assert StatefulPredictor(model).predict(X).shape == (N_STREAMS, n_outputs)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_target_feature_is_read_from_the_newest_step(return_sequences):
    X, _ = make_data(seed=1)
    X[:, :, 1] += 100
    y = X[:, :, 1] + 0.1 * X[:, :, 0]
    options = {"target_feature": 1, "return_sequences": return_sequences}
    options |= {"subtract_last": False, "random_state": 0}
    model = RNNRegressor(hidden_size=4, max_epochs=1, **options)
    model.fit(X, y if return_sequences else y[:, -1])
    check = check_like_predict_of_everything
    if return_sequences:
        check = check_like_predict_at_every_step
    check(model, X)


# What new steps may look like.


def test_one_step_at_a_time():
    X, _ = make_data(seed=1)
    model = fitted(cell="lstm", n_layers=2)
    check_like_predict_of_everything(model, X, cuts=range(N_STEPS + 1))


def test_one_step_of_a_single_stream_may_be_a_1d_array():
    X, _ = make_data(seed=1)
    for estimator in (RNNRegressor, RNNTagger):
        model = fitted(estimator)
        expected = model.predict(X[:1])
        for kind in (np.asarray, list, tuple, pd.Series):
            live = StatefulPredictor(model)
            outputs = [live.predict(kind(step)) for step in X[0]]
            assert live.n_steps_.tolist() == [N_STEPS]
            if estimator is RNNTagger:
                np.testing.assert_array_equal(np.concatenate(outputs, 1), expected)
            else:
                np.testing.assert_allclose(outputs[-1], expected)


def test_a_1d_array_is_one_step_and_not_several():
    X, _ = make_data()
    with pytest.raises(ValueError, match=f"X has {2 * N_STEPS} features.* 2 features"):
        StatefulPredictor(fitted()).predict(X[0].ravel())
    univariate = RNNRegressor(hidden_size=2, max_epochs=1).fit(X[:, :, 0], X[:, 0, 0])
    with pytest.raises(ValueError, match="X has 3 features.* 1 feature"):
        StatefulPredictor(univariate).predict(X[0, :3, 0])


@pytest.mark.thorough
@pytest.mark.parametrize("pooling", [*POOLINGS, None])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_streams_may_be_of_unequal_pace(cell, pooling):
    """New steps of unequal number; in every call another stream is ahead."""
    X, _ = make_data(seed=1)
    if pooling is None:
        model = fitted(RNNTagger, cell=cell, n_layers=2)
    else:
        model = fitted(RNNClassifier, cell=cell, n_layers=2, pooling=pooling)
    ends = np.array(
        [[1, 3, 2, 1, 1], [4, 4, 3, 2, 8], [5, 9, 4, 3, 9], [9, 10, 9, 7, 11]]
    )
    X = np.random.default_rng(2).normal(size=(N_STREAMS, 11, 2))
    live = StatefulPredictor(model)
    begin, collected = np.zeros(N_STREAMS, dtype=int), [[] for _ in X]
    for end in ends:
        new = [x[i:j] for x, i, j in zip(X, begin, end, strict=True)]
        probabilities = live.predict_proba(new)
        so_far = model.predict_proba([x[:j] for x, j in zip(X, end, strict=True)])
        for i, old in enumerate(collected):
            old.append(probabilities[i])
            now = np.concatenate(old) if pooling is None else old[-1]
            np.testing.assert_allclose(now, so_far[i], rtol=1e-9)
        np.testing.assert_array_equal(live.n_steps_, end)
        begin = end


def test_new_steps_may_be_any_container_of_sequences():
    X, _ = make_data(seed=1)
    model = fitted()
    expected = model.predict(X)
    forms = {
        "list of arrays": list,
        "nested lists": lambda x: x.tolist(),
        "SequenceArray": lambda x: SequenceArray(
            x.reshape(-1, 2),
            np.arange(len(x)) * x.shape[1],
            np.full(len(x), x.shape[1]),
        ),
    }
    for name, form in forms.items():
        live = StatefulPredictor(model)
        live.predict(form(X[:, :4]))
        np.testing.assert_allclose(live.predict(form(X[:, 4:])), expected, err_msg=name)
        assert live.n_steps_.tolist() == [N_STEPS] * N_STREAMS


def test_a_step_of_nan_is_refused_and_not_taken_for_padding():
    X, _ = make_data(seed=1)
    X[1, 3] = np.nan
    live = StatefulPredictor(fitted())
    with pytest.raises(ValueError, match="NaN in every feature"):
        live.predict(X[:, :4])
    assert live.n_steps_ is None


def test_frames_are_steps_of_one_stream_with_the_features_of_fit():
    X, y = make_data(seed=1)
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    model = RNNRegressor(hidden_size=4, max_epochs=2, random_state=0).fit(frames, y)
    expected = model.predict(frames[:1])
    live = StatefulPredictor(model)
    live.predict(frames[0].iloc[:3])
    live.predict(frames[0].iloc[3])  # a Series: one step
    np.testing.assert_allclose(live.predict(frames[0].iloc[4:]), expected)
    with pytest.raises(ValueError, match="in that order"):
        live.predict(frames[0][["b", "a"]])
    with pytest.raises(ValueError, match="in that order"):
        live.predict(frames[0].iloc[0][["b", "a"]])


def univariate(form):
    X = np.random.default_rng(0).normal(size=(8, 6))
    model = RNNRegressor(hidden_size=4, max_epochs=2, random_state=0)
    return model.fit(form(X), X.sum(axis=1)), X


FORMS = {
    "array": np.asarray,
    "3-D array": lambda x: np.asarray(x)[:, :, None],
    "nested lists": lambda x: x.tolist(),
    "list of arrays": list,
}


@pytest.mark.thorough
@pytest.mark.parametrize("fit_on", FORMS)
@pytest.mark.parametrize("new", FORMS)
def test_models_of_one_feature_take_new_steps_in_every_form(fit_on, new):
    model, X = univariate(FORMS[fit_on])
    live = StatefulPredictor(model)
    live.predict(FORMS[new](X[:, :2]))
    np.testing.assert_allclose(
        live.predict(FORMS[new](X[:, 2:4])), model.predict(list(X[:, :4]))
    )
    last = live.predict(FORMS[new](X[:, 4:]))
    np.testing.assert_allclose(last, model.predict(list(X)))


@pytest.mark.parametrize("fit_on", FORMS)
def test_models_of_one_feature_take_a_value_at_a_time(fit_on):
    model, X = univariate(FORMS[fit_on])
    expected = model.predict(list(X[:1]))
    for form in (np.array, list):
        live = StatefulPredictor(model)
        for value in X[0]:
            prediction = live.predict(form([value]))
        np.testing.assert_allclose(prediction, expected)


def test_a_table_with_names_is_taken_like_that_of_fit():
    names = [f"step {t}" for t in range(6)]
    model, X = univariate(lambda X: pd.DataFrame(X, columns=names))
    table = pd.DataFrame(X, columns=names)
    live = StatefulPredictor(model)
    live.predict(table.iloc[:, :2])
    np.testing.assert_allclose(live.predict(table.iloc[:, 2:]), model.predict(table))


def test_names_of_features_are_checked():
    X, y = make_data()
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    model = RNNRegressor(hidden_size=4, max_epochs=1, random_state=0).fit(frames, y)
    live = StatefulPredictor(model)
    live.predict([frame[:3] for frame in frames])
    with pytest.raises(ValueError, match="feature names"):
        live.predict([frame[3:].rename(columns={"a": "c"}) for frame in frames])
    last = live.predict([frame[3:] for frame in frames])
    np.testing.assert_allclose(last, model.predict(frames))


@pytest.mark.parametrize(
    "form", [np.asarray, lambda x: x.tolist(), list], ids=["array", "nested", "list"]
)
def test_tokens_are_handed_over_as_they_come(form):
    X = np.random.default_rng(0).integers(7, size=(8, 6))
    options = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
    model = RNNClassifier(embedding_dim=3, **options)
    model.fit(form(X), np.arange(8) % 2)
    expected = model.predict_proba(form(X))
    live = StatefulPredictor(model)
    live.predict_proba(form(X[:, :1]))
    np.testing.assert_allclose(live.predict_proba(form(X[:, 1:])), expected)
    one = StatefulPredictor(model)
    for token in X[0]:
        probabilities = one.predict_proba([int(token)])
    np.testing.assert_allclose(probabilities, expected[:1])


def test_tokens_that_are_none_are_refused_and_cost_nothing():
    X = np.random.default_rng(0).integers(7, size=(8, 6))
    model = RNNClassifier(embedding_dim=3, hidden_size=4, max_epochs=1)
    model.fit(X, np.arange(8) % 2)
    live = StatefulPredictor(model)
    live.predict([3])
    with pytest.raises(ValueError, match="tokens"):
        live.predict([0.5])
    expected = model.predict_proba([np.array([3, 4])])
    np.testing.assert_allclose(live.predict_proba([4]), expected)


# Streams.


def test_reset_starts_new_streams_of_any_number():
    X, _ = make_data(seed=1)
    model = fitted(pooling="max")
    live = StatefulPredictor(model)
    live.predict(X)
    assert live.reset() is live
    assert live.n_steps_ is None
    np.testing.assert_array_equal(
        live.predict(X[:2, :4]), StatefulPredictor(model).predict(X[:2, :4])
    )
    assert live.n_steps_.tolist() == [4, 4]


@pytest.mark.parametrize("n_now", [N_STREAMS - 1, N_STREAMS + 1, 1])
def test_another_number_of_streams_is_refused_and_costs_nothing(n_now):
    X, _ = make_data(seed=1)
    more = np.concatenate([X, X])
    model = fitted()
    live = StatefulPredictor(model)
    live.predict(X[:, :4])
    with pytest.raises(ValueError, match=rf"X has {n_now} streams.*had 5.*reset\(\)"):
        live.predict(more[:n_now, 4:])
    assert live.n_steps_.tolist() == [4] * N_STREAMS
    np.testing.assert_allclose(live.predict(X[:, 4:]), model.predict(X))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x[:, :, :1],
        lambda x: np.full_like(x, np.nan),
        lambda x: np.where(np.arange(2) == 1, np.inf, x),
        lambda x: [np.empty((0, 2)), *x[1:]],
        lambda x: "abc",
    ],
    ids=["features", "NaN", "infinite", "empty", "text"],
)
def test_what_cannot_be_read_is_refused_and_costs_nothing(wrong):
    X, _ = make_data(seed=1)
    model = fitted(cell="lstm", pooling="mean")
    live = StatefulPredictor(model)
    live.predict(X[:, :4])
    with pytest.raises((ValueError, TypeError)):
        live.predict(wrong(X[:, 4:]))
    assert live.n_steps_.tolist() == [4] * N_STREAMS
    np.testing.assert_allclose(live.predict(X[:, 4:]), model.predict(X))


def test_streams_do_not_read_one_another():
    X, _ = make_data(seed=1)
    model = fitted(cell="lstm", n_layers=2)
    other = X.copy()
    other[1] += 5
    first, second = StatefulPredictor(model), StatefulPredictor(model)
    for begin in (0, 4):
        one, two = (p.predict(x[:, begin:]) for p, x in ((first, X), (second, other)))
    moved = np.abs(one - two) > 1e-9
    assert moved.tolist() == [False, True, False, False, False]


# The estimator behind it.


def test_the_estimator_is_left_as_it_is():
    X, _ = make_data(seed=1)
    for estimator in (RNNRegressor, RNNTagger):
        model = fitted(estimator, dropout=0.3, input_dropout=0.3, weight_drop=0.3)
        before, weights = model.predict(X), copy.deepcopy(model.module_.state_dict())
        attributes = {name: repr(value) for name, value in vars(model).items()}
        live = StatefulPredictor(model)
        for piece in pieces(X):
            live.predict(piece)
            np.testing.assert_array_equal(model.predict(X), before)
        assert {name: repr(value) for name, value in vars(model).items()} == attributes
        for name, weight in model.module_.state_dict().items():
            assert weight.equal(weights[name])


def test_two_predictors_of_one_model_do_not_disturb_each_other():
    X, _ = make_data(seed=1)
    other, _ = make_data(seed=2)
    model = fitted(pooling="attention", cell="lstm")
    one, two = StatefulPredictor(model), StatefulPredictor(model)
    for piece, piece_of_other in zip(pieces(X), pieces(other[:3]), strict=True):
        first, second = one.predict(piece), two.predict(piece_of_other)
    np.testing.assert_allclose(first, model.predict(X))
    np.testing.assert_allclose(second, model.predict(other[:3]))


def test_a_new_fit_in_between_is_noticed():
    X, y = make_data(seed=1)
    model = fitted()
    live = StatefulPredictor(model)
    live.predict(X[:, :4])
    model.set_params(random_state=7).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted again.*reset\(\)"):
        live.predict(X[:, 4:])
    live.reset().predict(X[:, :4])
    np.testing.assert_allclose(live.predict(X[:, 4:]), model.predict(X))


def test_a_new_fit_before_the_first_step_is_no_matter():
    X, y = make_data(seed=1)
    model = fitted()
    live = StatefulPredictor(model)
    model.set_params(cell="lstm", pooling="max").fit(X, y)
    live.predict(X[:, :4])
    np.testing.assert_allclose(live.predict(X[:, 4:]), model.predict(X))


def test_a_new_fit_that_is_bidirectional_is_refused():
    X, y = make_data(seed=1)
    model = fitted()
    live = StatefulPredictor(model)
    model.set_params(bidirectional=True).fit(X, y)
    with pytest.raises(ValueError, match="bidirectional"):
        live.predict(X[:, :4])


def test_bidirectional_models_are_refused():
    with pytest.raises(ValueError, match="RNNTagger is bidirectional.*=False"):
        StatefulPredictor(fitted(RNNTagger, bidirectional=True))


def test_what_was_fitted_counts_and_not_what_was_set_since():
    X, _ = make_data(seed=1)
    model = fitted().set_params(bidirectional=True, pooling="max", n_layers=3)
    check_like_predict_of_everything(model, X)


def test_unfitted_models_are_refused():
    with pytest.raises(NotFittedError, match="RNNRegressor"):
        StatefulPredictor(RNNRegressor())


def test_pipelines_and_other_things_are_refused():
    X, y = make_data()
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(max_epochs=1)).fit(X, y)
    with pytest.raises(TypeError, match=r"pipeline\[-1\]"):
        StatefulPredictor(pipeline)
    for other in (LinearRegression(), RNNRegressor, None):
        with pytest.raises(TypeError, match=f"got {type(other).__name__}"):
            StatefulPredictor(other)


def test_the_steps_of_a_pipeline_can_go_first():
    X, y = make_data()
    options = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(**options)).fit(X, y)
    live = StatefulPredictor(pipeline[-1])
    for piece in pieces(X):
        prediction = live.predict(pipeline[:-1].transform(piece))
    np.testing.assert_allclose(prediction, pipeline.predict(X))


# Copies.


@pytest.mark.parametrize(
    "duplicate",
    [lambda live: pickle.loads(pickle.dumps(live)), copy.deepcopy],
    ids=["pickle", "deepcopy"],
)
@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "pooling": "attention", "n_layers": 2, "dropout": 0.3},
        {"return_sequences": True},
    ],
    ids=["pooled", "per_step"],
)
def test_a_copy_made_in_mid_stream_goes_on_exactly(duplicate, options):
    X, _ = make_data(seed=1)
    live = StatefulPredictor(fitted(**options))
    live.predict(X[:, :4])
    twin = duplicate(live)
    assert twin.n_steps_.tolist() == [4] * N_STREAMS
    expected = live.predict(X[:, 4:])
    np.testing.assert_array_equal(twin.predict(X[:, 4:]), expected)
    # Each has a memory of its own from then on.
    live.predict(X)
    assert twin.n_steps_.tolist() == [N_STEPS] * N_STREAMS
    twin.reset().predict(X[:2])


def test_a_copy_still_notices_a_new_fit():
    X, y = make_data(seed=1)
    live = StatefulPredictor(fitted())
    live.predict(X[:, :4])
    twin = pickle.loads(pickle.dumps(live))
    twin.estimator.fit(X, y)
    with pytest.raises(ValueError, match="fitted again"):
        twin.predict(X[:, 4:])
    live.predict(X[:, 4:])


def test_a_copy_of_what_a_new_fit_has_overtaken_notices_it_too():
    X, y = make_data(seed=1)
    live = StatefulPredictor(fitted())
    live.predict(X[:, :4])
    live.estimator.set_params(random_state=7).fit(X, y)
    twin = pickle.loads(pickle.dumps(live))
    with pytest.raises(ValueError, match="fitted again"):
        twin.predict(X[:, 4:])
    twin.reset().predict(X)


def test_a_predictor_pickled_before_its_first_step_begins_at_the_beginning():
    X, _ = make_data(seed=1)
    live = StatefulPredictor(fitted())
    twin = pickle.loads(pickle.dumps(live))
    np.testing.assert_array_equal(twin.predict(X), live.predict(X))
