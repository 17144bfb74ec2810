import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from sklearn_rnn import RNNRegressor, SequenceArray
from sklearn_rnn.modules import POOLINGS


def make_data(n_sequences=40, n_timesteps=6, n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_sequences, n_timesteps, n_features))
    return X, X[:, -2:, 0].sum(axis=1)


def make_regressor(**options):
    small = {"hidden_size": 8, "max_epochs": 5, "random_state": 0}
    return RNNRegressor(**{**small, **options})


def untrained(**options):
    """A regressor whose network alone predicts, and whose one update moves nothing."""
    options = {"max_epochs": 1, "learning_rate": 1e-15, **options}
    return make_regressor(linear_skip=False, **options)


def random_walks(n_sequences=60, n_timesteps=8, n_features=3, seed=0):
    """The next value of each feature is near its last one."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(n_sequences, n_timesteps + 1, n_features))
    walks = 50 + 3 * steps.cumsum(axis=1)
    return walks[:, :-1], walks[:, -1]


# Learning, and the shape of y.


def test_regressor_learns():
    X, y = make_data(200)
    model = make_regressor(max_epochs=60, learning_rate=0.02, input_dropout=0.0)
    model.fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.9


def test_every_output_is_learned():
    X, _ = make_data(150)
    Y = np.column_stack([X[:, -1, 0], 100 * X[:, -1, 1], X[:, -1].sum(axis=1) + 1000])
    model = make_regressor(max_epochs=60, learning_rate=0.02, input_dropout=0.0)
    predictions = model.fit(X, Y).predict(X)
    assert (r2_score(Y, predictions, multioutput="raw_values") > 0.9).all()


def test_predictions_have_the_shape_of_y():
    X, y = make_data()
    flat = make_regressor().fit(X, y).predict(X)
    column = make_regressor().fit(X, y[:, None]).predict(X)
    double = make_regressor().fit(X, np.column_stack([y, -y])).predict(X)
    assert flat.shape == (40,)
    assert column.shape == (40, 1)
    assert double.shape == (40, 2)
    assert flat.dtype == np.float64
    np.testing.assert_array_equal(column[:, 0], flat)


@pytest.mark.thorough
@pytest.mark.parametrize("form", [list, pd.Series, lambda y: y.astype(np.float32)])
def test_y_may_come_in_any_form(form):
    X, y = make_data()
    y = y.round(2)
    expected = make_regressor().fit(X, y).predict(X)
    predictions = make_regressor().fit(X, form(y)).predict(X)
    np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-4)


def test_whole_numbers_are_numbers():
    X, y = make_data()
    counts = (10 * y).round()
    as_int = make_regressor().fit(X, counts.astype(int)).predict(X)
    np.testing.assert_array_equal(as_int, make_regressor().fit(X, counts).predict(X))


def test_score_is_r2():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_predictions_are_those_of_torchs_own_network(cell):
    """Written out from the fitted attributes, with nothing of this package."""
    X, y = make_data()
    options = {"n_layers": 2, "bidirectional": True, "linear_skip": False}
    options["dtype"] = "float64"
    model = make_regressor(cell=cell, **options).fit(X, y)
    classes = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    twin = classes[cell](2, 8, 2, bidirectional=True, batch_first=True).double()
    twin.load_state_dict(model.module_.core.rnn.state_dict())
    scaled = (X - X.mean((0, 1))) / X.std((0, 1))
    states = twin(torch.from_numpy(scaled))[0]
    last = torch.cat([states[:, -1, :8], states[:, 0, 8:]], dim=1)
    outputs = model.module_.head(last)[:, 0].detach().numpy()
    np.testing.assert_allclose(model.predict(X), y.mean() + y.std() * outputs)


# The scale of the data.


@pytest.mark.parametrize("target_feature", [None, 0])
def test_predictions_do_not_depend_on_the_units(target_feature):
    X, Y = random_walks()
    y = Y[:, 0]
    model = make_regressor(target_feature=target_feature, linear_skip=False)
    expected = model.fit(X, y).predict(X)
    # Fahrenheit, pascals and so on; the target in units of its own.
    units = np.array([1.8, 1e5, 1e-4])
    model.fit(X * units + [32, 0, 7], 1e3 * y - 1e5)
    predictions = (model.predict(X * units + [32, 0, 7]) + 1e5) / 1e3
    np.testing.assert_allclose(predictions, expected, rtol=1e-6)


def test_forecasts_do_not_depend_on_the_unit_of_a_series():
    X, Y = random_walks()
    model = make_regressor(target_feature=0, max_epochs=2)
    expected = model.fit(X, Y[:, 0]).predict(X)
    # An offset would change logarithms of the target's past.
    units, offsets = np.array([1.8, 1e5, 1e-4]), [0, 0, 7]
    model.fit(X * units + offsets, 1.8 * Y[:, 0])
    predictions = model.predict(X * units + offsets) / 1.8
    np.testing.assert_allclose(predictions, expected, rtol=1e-6)


def test_a_large_offset_costs_no_precision():
    X, y = make_data(200)
    options = {"dtype": "float32", "max_epochs": 2}
    plain = make_regressor(**options).fit(X, y).predict(X)
    offset = make_regressor(**options).fit(X + 1e6, y + 1e6).predict(X + 1e6)
    np.testing.assert_allclose(offset - 1e6, plain, atol=1e-3)


@pytest.mark.parametrize("target_feature", [None, 0])
def test_constant_series_are_predicted_as_constant(target_feature):
    X, y = np.full((20, 5, 2), 3.5), np.full(20, 7.25)
    model = make_regressor(target_feature=target_feature).fit(X, y)
    np.testing.assert_allclose(model.predict(X), 7.25, atol=0.5)
    assert np.isfinite(model.loss_curve_).all()


def test_a_constant_feature_beside_others_does_no_harm():
    X, y = make_data()
    X[:, :, 1] = 1e8
    assert np.isfinite(make_regressor().fit(X, y).predict(X)).all()


# target_feature.


def test_untrained_with_target_feature_is_about_the_naive_forecast():
    X, Y = random_walks()
    y, last = Y[:, 1], X[:, -1, [1]]
    naive = LinearRegression().fit(last, y).predict(last)
    predictions = untrained(target_feature=1).fit(X, y).predict(X)
    residual = np.std(y - naive)
    assert np.sqrt(np.mean((predictions - naive) ** 2)) < 0.2 * residual
    # Without it, an untrained network knows no more than the mean.
    ignorant = untrained().fit(X, y).predict(X)
    assert np.sqrt(np.mean((ignorant - y.mean()) ** 2)) < 0.2 * y.std()
    assert np.std(ignorant - y) > 2 * residual


def test_target_feature_makes_a_forecast_of_a_trend_beyond_the_training_data():
    X, Y = random_walks()
    model = make_regressor(target_feature=0, max_epochs=20).fit(X, Y[:, 0])
    higher = model.predict(X + np.array([500, 0, 0]))
    assert abs(higher.mean() - Y[:, 0].mean() - 500) < 50


@pytest.mark.thorough
def test_target_feature_by_name_is_that_by_index():
    X, Y = random_walks()
    names = ["temp", "wind", "rain"]
    named = SequenceArray(
        X.reshape(-1, 3), np.arange(60) * 8, np.full(60, 8), feature_names=names
    )
    frames = [pd.DataFrame(x, columns=names) for x in X]
    y = Y[:, 1]
    expected = make_regressor(target_feature=1).fit(X, y).predict(X)
    for target_feature in ("wind", ["wind"], 1, [1], -2, np.int64(1)):
        model = make_regressor(target_feature=target_feature).fit(named, y)
        np.testing.assert_allclose(model.predict(named), expected)
    model = make_regressor(target_feature="wind").fit(frames, y)
    np.testing.assert_allclose(model.predict(frames), expected)
    other = make_regressor(target_feature=0).fit(X, y).predict(X)
    assert not np.allclose(other, expected)


def test_one_target_feature_an_output():
    X, Y = random_walks()
    Y = Y[:, [2, 0]]
    predictions = untrained(target_feature=[2, 0]).fit(X, Y).predict(X)
    np.testing.assert_array_less(np.std(predictions - Y, axis=0), 0.7 * Y.std(axis=0))
    swapped = untrained(target_feature=[0, 2]).fit(X, Y).predict(X)
    assert np.std(swapped - Y) > 1.5 * np.std(predictions - Y)


@pytest.mark.thorough
def test_one_target_feature_serves_all_outputs():
    X, Y = random_walks()
    horizon = np.column_stack([Y[:, 0], Y[:, 0] + 1])
    one = make_regressor(target_feature=0).fit(X, horizon).predict(X)
    two = make_regressor(target_feature=[0, 0]).fit(X, horizon).predict(X)
    np.testing.assert_array_equal(one, two)


def test_a_target_feature_that_never_moved_is_followed_one_to_one():
    X, y = np.full((20, 5, 1), 10.0), np.full(20, 12.0)
    for linear_skip in (False, True):
        model = make_regressor(target_feature=0, linear_skip=linear_skip, max_epochs=1)
        model.set_params(learning_rate=1e-15).fit(X, y)
        np.testing.assert_allclose(model.predict(X + 100), 112, atol=1.0)


def test_the_last_value_is_that_of_each_sequences_own_end():
    X, Y = random_walks()
    lengths = np.random.default_rng(0).integers(1, 9, size=60)
    ragged = [x[8 - n :] for x, n in zip(X, lengths, strict=True)]
    padded = np.full_like(X, np.nan)
    for i, x in enumerate(ragged):
        padded[i, : len(x)] = x
    model = make_regressor(target_feature=0).fit(ragged, Y[:, 0])
    np.testing.assert_array_equal(model.predict(padded), model.predict(ragged))
    assert np.std(model.predict(ragged) - Y[:, 0]) < 0.7 * np.std(Y[:, 0])


# Losses.


def with_outliers():
    """Nothing to learn but a constant; a tenth of the targets lies far off."""
    y = np.zeros(40)
    y[:4] = 100.0
    return np.zeros((40, 3, 1)), y


def test_losses_differ_in_what_they_make_of_outliers():
    X, y = with_outliers()
    constant = {
        loss: make_regressor(
            loss=loss, max_epochs=60, learning_rate=0.03, linear_skip=False
        )
        .fit(X, y)
        .predict(X)
        .mean()
        for loss in ("squared_error", "huber", "absolute_error")
    }
    assert constant["squared_error"] == pytest.approx(10, abs=1)  # the mean
    assert constant["absolute_error"] == pytest.approx(0, abs=1)  # the median
    assert constant["absolute_error"] + 1 < constant["huber"]
    assert constant["huber"] + 1 < constant["squared_error"]


@pytest.mark.thorough
def test_absolute_error_shrugs_off_outliers_in_a_task():
    X, y = make_data(200)
    clean = y.copy()
    y[::10] += 50
    errors = {
        loss: np.median(
            np.abs(
                make_regressor(loss=loss, max_epochs=30, learning_rate=0.02)
                .fit(X, y)
                .predict(X)
                - clean
            )
        )
        for loss in ("squared_error", "absolute_error")
    }
    assert errors["absolute_error"] < 0.5 * errors["squared_error"]


# Pooling reaches the estimator.


def test_poolings_give_different_models():
    X, y = make_data()
    predictions = {
        pooling: make_regressor(pooling=pooling, linear_skip=False).fit(X, y).predict(X)
        for pooling in POOLINGS
    }
    assert len({p.tobytes() for p in predictions.values()}) == len(POOLINGS)
    assert len(POOLINGS) == 4


@pytest.mark.parametrize("value", [1 / 3, 1e9 / 7, -0.1])
def test_a_target_that_is_constant_but_for_rounding_has_a_scale(value):
    X = np.random.default_rng(0).normal(size=(30, 4))
    model = RNNRegressor(hidden_size=2, max_epochs=1).fit(X, np.full(30, value))
    assert model.loss_curve_[0] < 1
    np.testing.assert_allclose(model.predict(X), value, rtol=0.01)
