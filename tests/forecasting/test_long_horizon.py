"""forecast beyond the horizon of a model, and short of it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_rnn import (
    CalendarFeatures,
    ForecastDisplay,
    InvalidSequenceError,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    forecast,
    make_forecast_frame,
)

DAYS = pd.date_range("2024-01-01", periods=90, freq="D")
SHOPS = {"a": "big", "b": "small", "c": "big"}


def one_series(n_rows=90, seed=0):
    rng = np.random.default_rng(seed)
    sales = 5 + np.sin(np.arange(n_rows) / 2) + 0.2 * rng.normal(size=n_rows)
    return pd.DataFrame({"sales": sales}, index=DAYS[:n_rows])


def panel():
    shops = [
        one_series(90 - 3 * k, seed=k).assign(
            shop=name,
            kind=kind,
            size=float(k),
            promo=(np.arange(90 - 3 * k) % 5 == 0).astype(float),
        )
        for k, (name, kind) in enumerate(SHOPS.items())
    ]
    table = pd.concat(shops).rename_axis("day").reset_index()
    return table.sort_values("day", kind="stable", ignore_index=True)


KEYS = {"time": "day", "group_by": "shop"}


def linear(n_steps=4, **windower):
    windows = SequenceWindower(n_steps, **windower)
    return make_pipeline(windows, SequenceFlattener(), LinearRegression())


def network(n_steps=4, loss="gaussian", windower=None, **options):
    small = {"hidden_size": 4, "max_epochs": 2, "random_state": 0, "loss": loss}
    windows = SequenceWindower(n_steps, **(windower or {}))
    return make_pipeline(windows, RNNRegressor(**{**small, **options}))


def fit(model, table, horizon=2, target="sales", **options):
    return model.fit(*make_forecast_frame(table, target, horizon, **options))


def predictions(frame):
    return frame["prediction"].to_numpy()


# By hand.


def test_blocks_follow_one_another_as_calculated_by_hand():
    table = one_series()
    model = fit(linear(3), table)
    slopes, intercept = model[-1].coef_, model[-1].intercept_
    window, expected = list(table["sales"][-3:]), []
    for _ in range(3):
        block = slopes @ window + intercept
        expected += block.tolist()
        window = [*window, *block][-3:]
    frame = forecast(model, table, horizon=5)
    np.testing.assert_allclose(predictions(frame), expected[:5], rtol=1e-9)
    assert frame.index.equals(pd.date_range("2024-03-31", periods=5, freq="D"))
    assert frame["horizon"].tolist() == [1, 2, 3, 4, 5]
    some = forecast(model, table, horizon=[2, 5])
    np.testing.assert_allclose(predictions(some), np.array(expected)[[1, 4]])


def test_a_shorter_horizon_is_the_first_rows():
    model = fit(linear(), one_series(), horizon=4)
    whole = forecast(model, one_series())
    for frame in (
        forecast(model, one_series(), horizon=3),
        forecast(model, one_series(), horizon=3, target="sales"),
    ):
        pd.testing.assert_frame_equal(frame, whole[:3])
    last = forecast(model, one_series(), horizon=[3])
    np.testing.assert_array_equal(predictions(last), predictions(whole)[[2]])


@pytest.mark.parametrize("n_newest", [90, 4, 2])
def test_a_longer_horizon_is_a_forecast_from_a_table_with_forecasts(n_newest):
    table = one_series()
    model = fit(network(5, loss="squared_error"), table)
    newest = table[-n_newest:]
    first = forecast(model, newest)
    fed = first[["prediction"]].rename(columns={"prediction": "sales"})
    second = forecast(model, pd.concat([newest, fed]))
    frame = forecast(model, newest, horizon=4)
    pd.testing.assert_frame_equal(frame[:2], first)
    np.testing.assert_allclose(predictions(frame)[2:], predictions(second), rtol=1e-6)


def test_several_targets_are_fed_back_whatever_the_order_of_outputs():
    table = one_series().assign(cost=lambda t: t["sales"].shift(1, fill_value=5.0))
    X, Y = make_forecast_frame(table, ["sales", "cost"], 2)
    expected = forecast(linear().fit(X, Y), table, horizon=5)
    mixed = Y[["cost+2", "sales+1", "cost+1", "sales+2"]]
    frame = forecast(linear().fit(X, mixed), table, horizon=5)
    assert frame["target"].tolist() == ["cost"] * 5 + ["sales"] * 5
    by_name = frame.sort_values("target", kind="stable", ascending=False)
    np.testing.assert_allclose(predictions(by_name), predictions(expected))
    lagged = expected.set_index("target")["prediction"]
    np.testing.assert_allclose(lagged["sales"][:-1], lagged["cost"][1:], atol=0.02)


# Other columns.


def by_the_caller(model, table, plan, first):
    """Return the steps that follow some forecasts, fed back by the caller."""
    rows = first.rename(columns={"prediction": "sales"}).rename_axis("day")
    rows = rows.reset_index()[["day", "shop", "sales"]]
    known = table[["shop", "kind", "size"]].drop_duplicates()
    rows = rows.merge(known, on="shop").merge(plan, on=["day", "shop"])
    frame = forecast(model, pd.concat([table, rows]), future=plan)
    return [predictions(frame[frame["horizon"] == k]) for k in (1, 2)]


def plan_of(table, n_steps):
    plans = [
        pd.DataFrame({"day": last + pd.to_timedelta(range(1, n_steps + 1), "D")})
        .assign(shop=shop)
        .assign(promo=lambda t: (t["day"].dt.day % 3 == 0).astype(float))
        for shop, last in table.groupby("shop")["day"].max().items()
    ]
    return pd.concat(plans)


@pytest.mark.parametrize("missing", ["raise", "mask"])
def test_a_panel_with_a_plan_ends_its_last_block_at_the_horizon(missing):
    table = panel()
    if missing == "mask":
        table = table.drop(table.index[[-20, -31]])
    options = {"known": "promo", "missing": missing, **KEYS}
    model = make_pipeline(CalendarFeatures(["dayofweek"], ahead=[1, 2], time="day"))
    model = make_pipeline(model, network(loss="squared_error", windower=KEYS))
    model = fit(model, table, **options)
    plan = plan_of(table, 5)
    frame = forecast(model, table, horizon=5, future=plan, static=["kind", "size"])
    assert frame["shop"].tolist() == [name for name in "abc" for _ in range(5)]
    steps = {k: predictions(frame[frame["horizon"] == k]) for k in range(1, 6)}
    found = by_the_caller(model, table, plan, frame[frame["horizon"] <= 2])
    np.testing.assert_allclose(found, [steps[3], steps[4]], rtol=1e-6)
    found = by_the_caller(model, table, plan, frame[frame["horizon"] <= 3])
    np.testing.assert_allclose(found[1], steps[5], rtol=1e-6)
    message = r"future has no row for 2024-04-04.*follow the last row of shop 'a' in"
    with pytest.raises(InvalidSequenceError, match=message):
        forecast(
            model, table, horizon=5, future=plan_of(table, 4), static=["kind", "size"]
        )


def test_columns_that_are_not_known_then_are_refused():
    table = panel()
    model = fit(network(windower=KEYS), table, **KEYS)
    with pytest.raises(
        InvalidSequenceError,
        match=r"of these \['kind', 'size', 'promo'\].*future=.*static=.*horizon=3",
    ):
        forecast(model, table, horizon=3)
    with pytest.raises(InvalidSequenceError, match=r"of these \['promo'\] are not"):
        forecast(model, table, horizon=3, static=["kind", "size"])
    with pytest.raises(InvalidSequenceError, match="'promo' changes .* of shop 'a'"):
        forecast(model, table, horizon=3, static=["promo", "kind", "size"])
    with pytest.raises(ValueError, match="static='region' names no column"):
        forecast(model, table, horizon=3, static="region")


def test_static_columns_and_those_of_future_have_an_effect():
    table = panel()
    model = fit(linear(**KEYS), table.drop(columns="kind"), **KEYS)
    table, plan = table.drop(columns="kind"), plan_of(table, 6)
    options = {"horizon": 6, "future": plan, "static": "size"}
    frame = forecast(model, table, **options)
    for other in (
        forecast(model, table.assign(size=table["size"] + 1), **options),
        forecast(model, table, **{**options, "future": plan.assign(promo=1.0)}),
    ):
        assert (other["prediction"] != frame["prediction"])[frame["horizon"] > 2].any()
    in_future = {
        "horizon": 6,
        "future": plan.merge(table[["shop", "size"]].drop_duplicates()),
    }
    pd.testing.assert_frame_equal(forecast(model, table, **in_future), frame)


# Times.


def shaped(shape):
    """Return a table of one series or two, and the names of its keys."""
    table = one_series()
    if shape == "periods":
        return table.set_axis(pd.period_range("2020-01", periods=90, freq="M")), {}
    if shape == "numbers":
        return table.reset_index(drop=True), {}
    if shape == "names":
        return table.set_axis([f"row {i}" for i in range(90)]), {}
    if shape == "time zone":
        return table.tz_localize("America/New_York"), {}
    both = pd.concat([table.assign(shop=shop) for shop in "ab"]).rename_axis("day")
    if shape == "levels":
        return both.set_index("shop", append=True), {}
    if shape == "index":
        return both, {"group_by": "shop"}
    both = both.reset_index().assign(shop=lambda t: t["shop"].astype("category"))
    return both, KEYS


@pytest.mark.parametrize(
    "shape",
    ["periods", "numbers", "names", "time zone", "levels", "index", "columns"],
)
def test_tables_of_all_shapes_are_continued(shape):
    table, keys = shaped(shape)
    model = fit(linear(**keys, history=None), table, **keys)
    frame = forecast(model, table, horizon=5)
    plain = forecast(fit(linear(), one_series()), one_series(), horizon=5)
    n_series = len(frame) // 5
    np.testing.assert_allclose(
        predictions(frame), np.tile(predictions(plain), n_series)
    )
    direct = forecast(fit(linear(**keys, history=None), table, 5, **keys), table)
    assert frame.index.equals(direct.index)


def test_rows_as_steps_are_dated_by_future():
    days = pd.bdate_range("2024-01-01", periods=90)
    table = one_series().set_axis(days)
    model = fit(linear(freq="rows"), table, freq="rows")
    to_come = days[-1] + pd.to_timedelta([1, 4, 5, 9, 10], unit="D")
    frame = forecast(model, table, horizon=5, future=to_come)
    assert frame.index.tolist() == to_come.tolist()
    plain = forecast(model, table, horizon=5)
    np.testing.assert_array_equal(predictions(frame), predictions(plain))


def test_tables_of_polars_are_refused():
    table = panel()[["day", "shop", "sales"]]
    model = fit(network(windower=KEYS), table, **KEYS)
    with pytest.raises(InvalidSequenceError, match=r"pass newest.to_pandas\(\)"):
        forecast(model, pl.DataFrame(table.to_dict("list")), horizon=3)


# Paths.


def autoregressive(n_series, n_rows, seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros((n_series, n_rows))
    for t in range(1, n_rows):
        x[:, t] = 0.8 * x[:, t - 1] + rng.normal(size=n_series)
    days = pd.date_range("2020-01-01", periods=n_rows, freq="D")
    rows = [
        pd.DataFrame({"day": days, "shop": i, "sales": series})
        for i, series in enumerate(x)
    ]
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("loss", ["gaussian", "quantile"])
def test_quantiles_of_an_autoregressive_process_cover_what_they_say(loss):
    table = autoregressive(30, 150)
    model = fit(network(loss=loss, windower=KEYS), table, horizon=3, **KEYS)
    frame = forecast(model, table, horizon=12, n_paths=200, random_state=0)
    last = table.groupby("shop")["sales"].last()[frame["shop"]].to_numpy()
    h = frame["horizon"].to_numpy()
    mean = 0.8**h * last
    spread = np.sqrt((1 - 0.64**h) / (1 - 0.64))
    inside = norm.cdf(frame["q0.9"], mean, spread) - norm.cdf(
        frame["q0.1"], mean, spread
    )
    by_step = pd.Series(inside).groupby(h).mean()
    assert by_step.between(0.72, 0.88).all()
    assert abs(by_step[h[h > 3]].mean() - 0.8) < 0.04
    error = np.abs(frame["prediction"] - mean) / spread
    assert error.mean() < 0.15


@pytest.mark.parametrize("loss", ["gaussian", "quantile"])
def test_paths_go_through_windows_or_whole_pipelines_alike(loss):
    table = panel()[["day", "shop", "sales"]]
    windowed = network(loss=loss, windower=KEYS)
    whole = make_pipeline(FunctionTransformer(lambda X: X), windowed)
    frames = [
        forecast(fit(model, table, **KEYS), table, horizon=8, n_paths=5, random_state=3)
        for model in (windowed, whole)
    ]
    pd.testing.assert_frame_equal(*frames, rtol=1e-6)


def test_features_made_of_targets_before_the_windows_see_the_paths():
    def add_square(X):
        return X.assign(square=X["sales"] ** 2)

    table = one_series()
    model = make_pipeline(FunctionTransformer(add_square), network())
    frame = forecast(fit(model, table), table, horizon=6, n_paths=4, random_state=0)
    assert (frame["q0.1"] < frame["q0.9"]).all()


def test_paths_depend_on_the_seed_alone():
    model = fit(network(), one_series())
    frames = [
        forecast(model, one_series(), horizon=6, random_state=seed)
        for seed in (0, 0, 1)
    ]
    pd.testing.assert_frame_equal(*frames[:2])
    differs = (frames[0] != frames[2]).any(axis=1)
    assert differs.tolist() == [False] * 2 + [True] * 4


def test_more_paths_are_less_noisy():
    model = fit(network(), one_series())
    spreads = [
        np.std(
            [
                forecast(
                    model, one_series(), horizon=[4], n_paths=n, random_state=seed
                )["q0.9"]
                for seed in range(8)
            ]
        )
        for n in (5, 200)
    ]
    assert spreads[1] < spreads[0] / 2


def test_counts_stay_whole_and_bounds_are_kept():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"sales": rng.poisson(2.0, size=90).astype(float)}, index=DAYS)
    counter = fit(network(loss="poisson"), table)
    frame = forecast(counter, table, horizon=6, random_state=0)
    assert (frame[["q0.1", "q0.9"]] % 1 == 0).all(axis=None)
    bounded = fit(network(loss="quantile", bounds=(0, 4)), table.clip(0, 4))
    frame = forecast(bounded, table.clip(0, 4), horizon=6, random_state=0)
    assert frame["q0.1"].min() >= 0 and frame["q0.9"].max() <= 4


def test_searches_and_frozen_models_are_looked_into():
    table = one_series()
    options = {"horizon": 5, "random_state": 0}
    search = GridSearchCV(
        network(), {"rnnregressor__hidden_size": [4]}, cv=TimeSeriesSplit(2)
    )
    expected = forecast(fit(network(), table), table, **options)
    for model in (fit(search, table), FrozenEstimator(fit(network(), table))):
        pd.testing.assert_frame_equal(forecast(model, table, **options), expected)


# Refused.


def test_quantiles_on_one_side_are_refused():
    for quantiles in [(0.9,), (0.7, 0.9)]:
        model = fit(network(loss="quantile", quantiles=quantiles), one_series())
        with pytest.raises(ValueError, match="on both sides of the median"):
            forecast(model, one_series(), horizon=3)


@pytest.mark.parametrize("horizon", [2, [1], [2, 3], 8])
def test_models_that_skip_steps_forecast_no_others(horizon):
    model = fit(linear(), one_series(), horizon=[2, 4])
    match = r"\['sales\+2', 'sales\+4'\], and .* asks for step [13],.*horizon=4"
    with pytest.raises(ValueError, match=match):
        forecast(model, one_series(), horizon=horizon)


@pytest.mark.parametrize("n_paths", [0, 1.5])
def test_senseless_numbers_of_paths_are_refused(n_paths):
    model = fit(network(), one_series())
    with pytest.raises((ValueError, TypeError), match="n_paths"):
        forecast(model, one_series(), horizon=3, n_paths=n_paths)


# Drawn.


def test_the_display_draws_a_longer_horizon():
    table = panel()[["day", "shop", "sales", "kind"]]
    model = fit(network(windower=KEYS), table, **KEYS)
    options = {"horizon": 6, "static": "kind", "n_paths": 20, "random_state": 0}
    display = ForecastDisplay.from_estimator(model, table, **options)
    frame = forecast(model, table, **options)
    pd.testing.assert_frame_equal(display.forecasts, frame)
    assert [len(line.get_xdata()) for line in display.lines_] == [6, 6, 6]
    plt.close("all")
