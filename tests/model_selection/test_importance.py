"""sequence_importance: permutations and gradients by feature and step."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceFlattener,
    SequenceScaler,
    SequenceWindower,
    sequence_importance,
)


def make_data(n=300, seed=0):
    """Return sequences whose second feature, two steps before the last, is y."""
    X = np.random.default_rng(seed).normal(size=(n, 6, 3))
    return X, X[:, -3, 1]


def fitted(estimator=RNNRegressor, **options):
    X, y = make_data()
    return estimator(random_state=0, **options).fit(X, y)


# The network alone.
ALONE = {"linear_skip": False, "max_epochs": 30, "hidden_size": 16}


@pytest.mark.parametrize("method", ["permutation", "gradient"])
def test_the_feature_and_step_that_determine_y_are_found(method):
    model, (X, y) = fitted(**ALONE), make_data(200, seed=1)
    options = {"method": method, "random_state": 0}
    both = sequence_importance(model, X, y, by="both", **options)["mean"]
    assert both.index.names == ["step", "feature"]
    assert both.idxmax() == (-2, 1)
    # The network has not learned it to perfection.
    factor = 3 if method == "permutation" else 1.5
    assert both.max() > factor * both.drop((-2, 1)).max()
    feature = sequence_importance(model, X, y, by="feature", **options)["mean"]
    assert feature.idxmax() == 1
    step = sequence_importance(model, X, y, by="step", **options)["mean"]
    assert step.index.tolist() == [0, -1, -2, -3, -4, -5]
    assert step.idxmax() == -2


def test_gradients_of_a_network_and_its_linear_part_are_the_slopes_of_the_whole():
    X = make_data(400)[0] * [1.0, 2.0, 5.0]
    y = 3 * X[:, -2, 1] - 2 * X[:, -1, 0]
    model = RNNRegressor(random_state=0).fit(X[:300], y[:300])
    assert model.linear_ is not None
    options = {"method": "gradient", "by": "both"}
    found = sequence_importance(model, X[300:], **options)["mean"]
    spread = X[300:].std(axis=(0, 1))
    assert found[-1, 1] == pytest.approx(3 * spread[1], rel=0.05)
    assert found[0, 0] == pytest.approx(2 * spread[0], rel=0.05)
    assert found.drop([(-1, 1), (0, 0)]).max() < 0.1
    by_feature = sequence_importance(model, X[300:], method="gradient")["mean"]
    np.testing.assert_allclose(by_feature, found.groupby("feature").sum())


@pytest.mark.parametrize("linear_skip", [True, False])
@pytest.mark.parametrize("by", ["feature", "both"])
def test_opposite_effects_on_two_targets_do_not_cancel(linear_skip, by):
    X = make_data(200)[0]
    last = X[:, -1, 0]
    Y = np.stack([last, -last + 0.1 * X[:, -1, 1]], axis=1)
    options = {"linear_skip": linear_skip, "max_epochs": 10, "random_state": 0}
    model = RNNRegressor(**options).fit(X, Y)
    found = sequence_importance(model, X, method="gradient", by=by)["mean"]
    largest = found.idxmax()
    assert largest == {"feature": 0, "both": (0, 0)}[by]
    assert found.max() > 3 * found.drop(largest).max()


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_gradients_of_a_network_are_the_sum_of_the_sizes_of_each_output(cell):
    X = make_data(60)[0]
    Y = np.stack([X[:, -1, 0], -X[:, -1, 0], X[:, -2, 1]], axis=1)
    model = RNNRegressor(linear_skip=False, max_epochs=5, cell=cell, dtype="float64")
    model.set_params(target_feature=None, random_state=0).fit(X, Y)
    found = sequence_importance(model, X, method="gradient", by="both")["mean"]
    moved = [X.copy() for _ in range(2)]
    for values, sign in zip(moved, (1, -1), strict=True):
        values[:, -1, 0] += sign * 1e-4
    up, down = (model.predict(values) / Y.std(axis=0) for values in moved)
    expected = np.abs(up - down).sum(axis=1).mean() / 2e-4 * X[..., 0].std()
    assert found[0, 0] == pytest.approx(expected, rel=1e-3)


def test_gradients_of_windows_in_their_own_units_are_those_of_predict():
    series = np.cumsum(np.random.default_rng(0).normal(size=160))
    X = np.lib.stride_tricks.sliding_window_view(series, 6)[:-2, :, np.newaxis]
    Y = np.stack([series[6:-1], series[7:]], axis=1)
    model = RNNRegressor(target_feature=0, random_state=0, max_epochs=3).fit(X, Y)
    found = sequence_importance(model, X, method="gradient", by="both")["mean"]
    for step in (0, -3):
        moved = [
            X + 0.05 * sign * (np.arange(6) == 5 + step)[:, None] for sign in (1, -1)
        ]
        up, down = (model.predict(values) for values in moved)
        expected = np.abs(up - down).sum(axis=1).mean() / 0.1 * X.std()
        assert found[step, 0] == pytest.approx(expected, rel=0.02)


def test_what_does_not_count_has_an_importance_of_about_zero():
    model, (X, y) = fitted(), make_data(200, seed=1)
    found = sequence_importance(model, X, y, random_state=0)
    assert found["mean"][1] > 1
    assert found["mean"].drop(1).abs().max() < 0.01
    assert found["std"][1] > 0


def test_the_score_that_falls_is_that_of_scoring():
    model, (X, y) = fitted(), make_data(200, seed=1)
    options = {"n_repeats": 1, "random_state": 0}
    r2 = sequence_importance(model, X, y, **options)["mean"]
    error = sequence_importance(
        model, X, y, scoring="neg_mean_squared_error", **options
    )["mean"]
    np.testing.assert_allclose(error, r2 * y.var(), atol=1e-9)
    for scoring, refit in [
        ("neg_mean_squared_error", True),
        (["r2", "neg_mean_squared_error"], "neg_mean_squared_error"),
    ]:
        search = GridSearchCV(
            model, {"max_epochs": [1]}, scoring=scoring, refit=refit, cv=2
        )
        search.fit(X, y)
        own = sequence_importance(search, X, y, **options)["mean"]
        best = sequence_importance(search.best_estimator_, X, y, **options)["mean"]
        np.testing.assert_allclose(own, best * y.var(), atol=1e-9)


def test_repeats_and_seeds_permute_otherwise():
    model, (X, y) = fitted(max_epochs=2), make_data(100, seed=1)
    once = sequence_importance(model, X, y, n_repeats=1, random_state=0)
    again = sequence_importance(model, X, y, n_repeats=1, random_state=0)
    other = sequence_importance(model, X, y, n_repeats=1, random_state=1)
    several = sequence_importance(model, X, y, n_repeats=3, random_state=0)
    pd.testing.assert_frame_equal(once, again)
    assert once["mean"][1] != other["mean"][1] != several["mean"][1]
    assert (once["std"] == 0).all() and several["std"][1] > 0


# What is passed.


@pytest.mark.parametrize("after", ["network", "lags", "target", "search"])
def test_tables_behind_a_windower_have_their_names(after):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        rng.normal(size=(400, 2)),
        columns=["load", "noise"],
        index=pd.date_range("2025-01-01", periods=400, freq="h"),
    )
    y = table["load"].shift(2, fill_value=0)
    network = RNNRegressor(max_epochs=5, hidden_size=8, random_state=0)
    steps = {
        "network": [SequenceScaler(), network],
        "lags": [SequenceFlattener(), Ridge(1e-3)],
        "target": [TransformedTargetRegressor(network, transformer=StandardScaler())],
        "search": [SequenceFlattener(), Ridge()],
    }[after]
    model = make_pipeline(SequenceWindower(5), *steps)
    if after == "search":
        model = GridSearchCV(model, {"ridge__alpha": [1e-3, 1e-2]}, cv=2)
    model.fit(table[:300], y[:300])
    found = sequence_importance(model, table[300:], y[300:], by="both", random_state=0)
    assert found["mean"].idxmax() == (-2, "load")
    assert len(found) == 10


def test_sequences_of_unequal_length_are_aligned_at_their_ends():
    X, y = make_data()
    X = [x[i % 3 :] for i, x in enumerate(X)]
    model = RNNRegressor(random_state=0).fit(X, y)
    found = sequence_importance(model, X[:99], y[:99], by="both", random_state=0)
    assert found["mean"].idxmax() == (-2, 1)
    gradients = RNNRegressor(random_state=0, **ALONE).fit(X, y)
    found = sequence_importance(gradients, X[:99], by="both", method="gradient")
    assert found["mean"].idxmax() == (-2, 1)


def test_a_table_of_univariate_sequences_is_taken_as_by_predict():
    X = np.random.default_rng(0).normal(size=(200, 6))
    model = RNNRegressor(random_state=0).fit(X, X[:, -2])
    found = sequence_importance(model, X, X[:, -2], by="step", random_state=0)
    assert found["mean"].idxmax() == -1


def test_classifiers_and_taggers_are_measured_by_accuracy():
    X, y = make_data()
    labels = np.where(y > 0, "up", "down")
    model = RNNClassifier(random_state=0, max_epochs=20).fit(X, labels)
    found = sequence_importance(model, X, labels, random_state=0)
    assert found["mean"].idxmax() == 1
    assert found["mean"][1] == pytest.approx(0.5, abs=0.15)
    steps = (X[:, :, 2] > 0).astype(int)
    tagger = RNNTagger(random_state=0, max_epochs=10).fit(X, steps)
    found = sequence_importance(tagger, X, steps, random_state=0)
    assert found["mean"].idxmax() == 2


def test_tokens_and_categories_are_permuted():
    ids = np.random.default_rng(0).integers(5, size=(300, 4))
    model = RNNClassifier(embedding_dim=4, max_epochs=20, random_state=0)
    model.fit(ids, ids[:, -2] > 2)
    found = sequence_importance(model, ids, ids[:, -2] > 2, by="step", random_state=0)
    assert found["mean"].idxmax() == -1
    table = pd.DataFrame({"kind": np.tile(["a", "b", "b"], 100), "other": 1.0})
    table["other"] = np.random.default_rng(0).normal(size=300)
    y = (table["kind"] == "a").astype(float)
    windows = make_pipeline(SequenceWindower(3, history=None), RNNRegressor())
    windows.set_params(rnnregressor__random_state=0, rnnregressor__max_epochs=10)
    windows.fit(table, y)
    found = sequence_importance(windows, table, y, random_state=0)
    assert found["mean"]["kind"] > 0.5 > 0.1 > found["mean"]["other"]


# Bad input.


def test_categories_beside_a_linear_part_have_no_gradients():
    table = pd.DataFrame({"kind": np.tile(["a", "b"], 50), "x": np.arange(100.0)})
    model = make_pipeline(SequenceWindower(3), RNNRegressor(max_epochs=1))
    model.fit(table, table["x"])
    with pytest.raises(ValueError, match=r"features \[0\] of X are categories"):
        sequence_importance(model, table, method="gradient")


def test_what_cannot_be_measured_is_refused_with_the_remedy():
    X, y = make_data(60)
    model = RNNRegressor(max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="y is None: pass the targets"):
        sequence_importance(model, X)
    classifier = RNNClassifier(max_epochs=1, random_state=0).fit(X, y > 0)
    with pytest.raises(ValueError, match="fit with convolutions=None"):
        sequence_importance(classifier, X, method="gradient")
    with pytest.raises(ValueError, match="by must be one of"):
        sequence_importance(model, X, y, by="lag")
    with pytest.raises(ValueError, match="method must be one of"):
        sequence_importance(model, X, y, method="shap")
    ids = np.random.default_rng(0).integers(5, size=(60, 4))
    tokens = RNNClassifier(embedding_dim=4, max_epochs=1, bag_of_words=False)
    tokens.fit(ids, ids[:, 0] > 2)
    with pytest.raises(ValueError, match=r"permutation', or by='step'"):
        sequence_importance(tokens, ids, method="gradient")
    assert len(sequence_importance(tokens, ids, by="step", method="gradient")) == 4
