"""forecast: from a fitted model and the newest rows to the times to come."""

import copy
import json
import pickle
from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    SklearnRNNWarning,
    WindowHistoryWarning,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.forecasting import quantile_columns

HOURS = pd.date_range("2024-01-01", periods=60, freq="h")


def make_table(index=HOURS, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(index), 2))
    values[:, 0] += np.sin(np.arange(len(index)) / 3)
    plan = rng.integers(0, 2, size=len(index)).astype(float)
    table = pd.DataFrame(values, columns=["temp", "wind"], index=index)
    return table.assign(plan=plan)


def two_series(n_rows=60):
    """Two stations in turn, with a column of times."""
    tables = [
        make_table(HOURS[:n_rows], seed).assign(station=name)
        for seed, name in enumerate(["north", "south"])
    ]
    table = pd.concat(tables).rename_axis("time").reset_index()
    return table.sort_values("time", kind="stable", ignore_index=True)


GROUPED = {"time": "time", "group_by": "station"}


def make_network(**options):
    small = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}
    return RNNRegressor(**{**small, **options})


def make_model(n_steps=5, windower=None, **options):
    windower = SequenceWindower(n_steps, **(windower or {}))
    return make_pipeline(windower, make_network(**options))


def fit(model, table, target="temp", horizon=2, **options):
    return model.fit(*make_forecast_frame(table, target, horizon, **options))


def short_windows(expected=True, match="rows"):
    if not expected:
        return nullcontext()
    return pytest.warns(WindowHistoryWarning, match=match)


# The numbers.


@pytest.mark.parametrize("n_rows", [60, 5, 4, 1])
def test_forecasts_are_the_predictions_of_the_last_row(n_rows):
    table = make_table()
    model = fit(make_model(), table[:40])
    newest = table[:50][-n_rows:]
    with short_windows(n_rows < 5):
        frame = forecast(model, newest)
    expected = model.predict(newest)[-1]
    np.testing.assert_allclose(frame["prediction"], expected, rtol=1e-12)
    assert list(frame.columns) == ["origin", "horizon", "prediction"]
    assert frame["horizon"].tolist() == [1, 2]
    assert (frame["origin"] == HOURS[49]).all()
    assert frame.index.equals(HOURS[50:52])


def test_a_few_rows_that_follow_the_training_data_have_its_history():
    table = make_table()
    model = fit(make_model(6), table[:42])  # the last row fitted on is number 39
    few, all_rows = forecast(model, table[40:43]), forecast(model, table[:43])
    pd.testing.assert_frame_equal(few, all_rows)
    strangers = table[40:43].set_axis(HOURS[40:43] + pd.Timedelta("1000h"))
    with short_windows():
        alone = forecast(model, strangers)
    difference = few["prediction"].to_numpy() - alone["prediction"]
    assert np.abs(difference).max() > 1e-6


def test_older_rows_do_not_matter():
    table = make_table()
    model = fit(make_model(), table)
    other = table.copy()
    other.iloc[:50] *= 100
    pd.testing.assert_frame_equal(forecast(model, other), forecast(model, table))
    gappy = table.drop(table.index[7])
    pd.testing.assert_frame_equal(forecast(model, gappy), forecast(model, table))


def test_every_series_has_its_own_forecasts():
    table = two_series()
    model = fit(make_model(windower=GROUPED), table, **GROUPED)
    frame = forecast(model, table)
    assert list(frame.columns) == ["station", "origin", "horizon", "prediction"]
    assert frame["station"].tolist() == ["north", "north", "south", "south"]
    assert frame.index.name == "time"
    expected = model.predict(table)[-2:].ravel()
    np.testing.assert_allclose(frame["prediction"], expected)
    south = forecast(model, table[table["station"] == "south"])
    pd.testing.assert_frame_equal(south, frame[frame["station"] == "south"])


def test_series_that_end_at_different_times_go_on_from_there():
    table = two_series()
    model = fit(make_model(windower=GROUPED), table, **GROUPED)
    behind = (table["station"] == "south") & (table["time"] > HOURS[55])
    frame = forecast(model, table[~behind])
    assert frame["origin"].tolist() == [HOURS[59]] * 2 + [HOURS[55]] * 2
    assert frame.index[2:].tolist() == [HOURS[56], HOURS[57]]
    expected = model.predict(table[table["time"] <= HOURS[55]])[-1]
    np.testing.assert_allclose(frame["prediction"][2:], expected)


def test_several_targets_stand_one_after_the_other():
    table = make_table()
    model = fit(make_model(), table, ["wind", "temp"], [1, 3])
    frame = forecast(model, table)
    assert list(frame.columns) == ["target", "origin", "horizon", "prediction"]
    assert frame["target"].tolist() == ["wind", "wind", "temp", "temp"]
    assert frame["horizon"].tolist() == [1, 3, 1, 3]
    hours = frame.index - HOURS[-1]
    assert (hours == pd.to_timedelta([1, 3, 1, 3], unit="h")).all()
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_quantiles_are_columns():
    table = make_table()
    model = fit(make_model(loss="quantile", quantiles=(0.025, 0.5, 0.9)), table)
    frame = forecast(model, table)
    assert list(frame.columns)[-3:] == ["q0.025", "q0.5", "q0.9"]
    quantiles = frame[["q0.025", "q0.5", "q0.9"]].to_numpy()
    windows = model[0].transform(table)
    expected = model[1].predict_quantiles(windows)[-1]
    np.testing.assert_allclose(quantiles, expected)
    assert (frame["prediction"] == frame["q0.5"]).all()


def test_levels_that_are_close_keep_columns_of_their_own():
    table = make_table()
    levels = (0.1, 0.10000001, 0.5, 0.99999999)
    model = fit(make_model(loss="quantile", quantiles=levels), table)
    found = quantile_columns(forecast(model, table).columns)
    assert tuple(found) == levels


@pytest.mark.thorough
@pytest.mark.parametrize("labels", [[7, 8], [0.5, 1.5], ["a", "b"]])
def test_labels_of_series_keep_their_dtype(labels):
    table = two_series()
    names = {"north": labels[0], "south": labels[1]}
    table["station"] = table["station"].map(names)
    model = fit(make_model(windower=GROUPED), table, **GROUPED)
    frame = forecast(model, table)
    assert frame["station"].dtype == table["station"].dtype
    assert frame["station"].tolist() == np.repeat(labels, 2).tolist()


def test_one_target_one_step_and_a_series():
    table = make_table()["temp"]
    X, Y = make_forecast_frame(table)
    model = make_model().fit(X, Y["temp+1"])
    frame = forecast(model, table)
    assert frame["horizon"].tolist() == [1]
    expected = model.predict(table.to_frame())[-1:]
    np.testing.assert_allclose(frame["prediction"], expected)


# History that is not whole.


def calendar_model(n_steps):
    return make_pipeline(
        CalendarFeatures(["hour"], ahead=[0, 2]),
        SequenceWindower(n_steps),
        make_network(),
    )


def masking_model(n_steps):
    windower = {"missing": "mask"}
    return make_model(n_steps, windower, missing_targets="ignore")


KINDS_OF_MODELS = {
    "pipeline": make_model,
    "train": lambda n_steps: make_model(n_steps, {"history": "train"}),
    "calendar": calendar_model,
    "mask": masking_model,
    "search": lambda n_steps: GridSearchCV(
        make_model(n_steps), {"rnnregressor__cell": ["gru"]}, cv=TimeSeriesSplit(2)
    ),
    "target": lambda n_steps: TransformedTargetRegressor(
        make_model(n_steps), transformer=StandardScaler()
    ),
    "nested": lambda n_steps: make_pipeline(
        "passthrough", make_pipeline(SequenceWindower(n_steps), make_network())
    ),
    "windows of windows": lambda n_steps: make_pipeline(
        SequenceWindower(20), SequenceWindower(n_steps), make_network()
    ),
}


def second_week(model, *, known=None, n_steps=10):
    """Fit six steps ahead to row 48, and forecast from the six rows after."""
    table = make_table()
    model = fit(model(n_steps), table[:48], horizon=6, known=known)
    return model, table, {"target": "temp", "horizon": 6}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS_OF_MODELS)
def test_rows_that_had_no_target_yet_are_remembered(kind):
    model, table, task = second_week(KINDS_OF_MODELS[kind])
    expected = forecast(model, table[:54], **task)
    for newest in (table[48:54], table[45:54], table[53:54], table[50:54]):
        if newest.index[0] <= HOURS[48]:
            found = forecast(model, newest, **task)
            pd.testing.assert_frame_equal(found, expected)
        else:
            with short_windows(match=f"uses {len(newest)} of the 10 .* last 10 rows"):
                forecast(model, newest, **task)
    frozen = forecast(FrozenEstimator(model), table[48:54], **task)
    pd.testing.assert_frame_equal(frozen, expected)


def test_remembered_rows_know_the_plan_of_newer_ones():
    model, table, _ = second_week(make_model, known="plan")
    future = table[["plan"]][54:]
    found = forecast(model, table[48:54], future=future)
    pd.testing.assert_frame_equal(found, forecast(model, table[:54], future=future))


def test_rows_of_every_series_are_remembered():
    table = two_series()
    early = table[table["time"] < HOURS[48]]
    late = table[(table["time"] >= HOURS[48]) & (table["time"] < HOURS[54])]
    model = fit(make_model(10, GROUPED), early, horizon=6, **GROUPED)
    expected = forecast(model, table[table["time"] < HOURS[54]])
    pd.testing.assert_frame_equal(forecast(model, late), expected)
    levels = ["station", "time"]
    model = fit(make_model(10, GROUPED), early.set_index(levels), horizon=6, **GROUPED)
    pd.testing.assert_frame_equal(forecast(model, late.set_index(levels)), expected)


def test_a_remembered_row_is_no_training_row():
    table = make_table()
    X, Y = make_forecast_frame(table[:48], "temp", 6)
    model, plain = make_model(10).fit(X, Y), pd.DataFrame(X)
    plain.attrs = {}
    other = make_model(10).fit(plain, Y)
    np.testing.assert_array_equal(model.predict(table), other.predict(table))
    np.testing.assert_array_equal(
        model.predict(table[48:54]), other.predict(table[48:54])
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X[:-1],
        lambda X: X[5:],
        lambda X: X * 2,
        lambda X: X.clip(upper=X.max().min()),
        lambda X: X.shift(freq="1h"),
        lambda X: X.rename(columns={"wind": "gust"}).assign(wind=X["plan"]),
    ],
    ids=["shorter", "later", "scaled", "clipped", "shifted", "renamed"],
)
def test_rows_are_remembered_only_for_the_frame_as_it_was_made(change):
    table = make_table()
    X, Y = make_forecast_frame(table[:48], "temp", 6)
    X = change(X)
    model = make_model(10).fit(X, Y.reindex(X.index).ffill().bfill())
    newest = table[48:54].reindex(columns=X.columns, fill_value=0.0)
    with short_windows(match="uses 6 of the 10 steps"):
        found = forecast(model, newest)
    np.testing.assert_allclose(found["prediction"], model.predict(newest)[-1])


def test_columns_that_are_left_out_are_left_out_of_what_is_remembered():
    table = make_table()
    X, Y = make_forecast_frame(table[:48], "temp", 6)
    model = make_model(10).fit(X[["wind", "temp"]], Y)
    table = table[["wind", "temp"]]
    found = forecast(model, table[48:54])
    pd.testing.assert_frame_equal(found, forecast(model, table[:54]))


def test_folds_remember_nothing():
    table = make_table()
    X, Y = make_forecast_frame(table[:48], "temp", 6)
    train, test = next(iter(TimeSeriesSplit(2).split(X)))
    model = make_model(10).fit(X.iloc[train], Y.iloc[train])
    plain = X.iloc[test].copy()
    expected = model.predict(plain)
    plain.attrs = {}
    np.testing.assert_array_equal(model.predict(plain), expected)
    options = {"target": "temp", "horizon": 2, "cv": 2, "season": 3}
    without = X.copy()
    without.attrs = {}
    pd.testing.assert_frame_equal(
        backtest(make_model(10), X, **options),
        backtest(make_model(10), without, **options),
    )


@pytest.mark.thorough
def test_what_is_remembered_does_not_get_in_the_way_of_pandas(tmp_path):
    table = make_table()
    X, Y = make_forecast_frame(table[:48], "temp", 6)
    again, _ = make_forecast_frame(table[:48], "temp", 6)
    assert X.attrs == again.attrs
    assert X.attrs != make_forecast_frame(table[:48], "temp", 5)[0].attrs
    assert table.attrs == {}
    json.dumps(X.attrs)
    pd.concat([X[:5], X[5:]])
    pd.concat([X, make_forecast_frame(table, "temp", 6)[0]])
    X.to_parquet(tmp_path / "X.parquet")
    X.to_csv(tmp_path / "X.csv")
    expected = forecast(make_model(10).fit(X, Y), table[:54])
    for other in (copy.deepcopy(X), copy.copy(X), pickle.loads(pickle.dumps(X))):
        model = pickle.loads(pickle.dumps(make_model(10).fit(other, Y)))
        pd.testing.assert_frame_equal(forecast(model, table[48:54]), expected)
    stored = pd.read_parquet(tmp_path / "X.parquet")
    with short_windows():
        forecast(make_model(10).fit(stored, Y), table[48:54])


@pytest.mark.thorough
@pytest.mark.parametrize("history", ["auto", "train", None])
@pytest.mark.parametrize("gap", [0, 1, 100])
def test_a_gap_after_training_is_told_of(history, gap):
    table = make_table(pd.date_range("2024-01-01", periods=200, freq="h"))
    model = fit(make_model(10, {"history": history}), table[:48], horizon=6)
    newest = table[48 + gap : 54 + gap]
    whole = gap == 0 and history is not None
    with short_windows(not whole, "uses 6 of the 10 steps .* Pass the last 10 rows"):
        forecast(model, newest)
    forecast(model, table[44 + gap : 54 + gap])


@pytest.mark.thorough
@pytest.mark.parametrize("history", ["auto", "train", None])
def test_short_windows_without_times_are_told_of(history):
    table = make_table().set_axis([f"row {i}" for i in range(60)])
    model = fit(make_model(10, {"history": history}), table[:48])
    with short_windows(history != "train", "uses 6 of the 10 steps"):
        forecast(model, table[48:54])
    forecast(model, table[44:54])


def test_short_series_are_named():
    table = two_series()
    model = fit(make_model(10, GROUPED), table, **GROUPED)
    late = table[table["time"] >= HOURS[50]]
    forecast(model, late)
    late = late.assign(time=late["time"] + pd.Timedelta("9h"))
    new = late[late["station"] == "south"].assign(station="west")[-3:]
    with short_windows(match=r"1 of 3 series use fewer \('west': 3\) than the 10"):
        forecast(model, pd.concat([late, new]))
    with short_windows(match="'south': 4, 'west': 3.*last 10 rows of each station"):
        late = late[
            (late["station"] != "south")
            | (late["time"] >= HOURS[59] + pd.Timedelta("6h"))
        ]
        forecast(model, pd.concat([late, new]))


def test_a_series_that_was_always_short_is_no_reason_to_warn():
    table = two_series()
    west = table[table["station"] == "south"].assign(station="west")[-8:]
    table = pd.concat([table, west])
    model = fit(make_model(10, GROUPED), table, **GROUPED)
    forecast(model, table)
    forecast(model, table[table["time"] >= HOURS[58]])
    later = table[table["time"] >= HOURS[50]]
    later = later.assign(time=later["time"] + pd.Timedelta("90h"))
    with short_windows(match=r"1 of 3 series .*'west': 8"):
        forecast(model, later)


def test_models_beside_one_another_are_told_of_too():
    table = make_table()
    X, Y = make_forecast_frame(table[:40], "temp", 1)
    both = [("short", make_model(3)), ("long", make_model(10))]
    model = VotingRegressor(both).fit(X, Y["temp+1"])
    forecast(model, table[:54], target="temp", horizon=1)
    with short_windows(match="uses 6 of the 10 steps"):
        forecast(model, table[48:54], target="temp", horizon=1)


# Models of every kind.


def test_a_search_goes_by_its_best_model():
    table = make_table()
    grid = {"sequencewindower__n_steps": [2, 9]}
    search = GridSearchCV(make_model(), grid, cv=TimeSeriesSplit(2))
    search = fit(search, table[:40])
    frame = forecast(search, table)
    np.testing.assert_allclose(frame["prediction"], search.predict(table)[-1])


@pytest.mark.parametrize("inside", [False, True])
def test_a_transformed_target_comes_back(inside):
    table = make_table()
    scaled = TransformedTargetRegressor(
        make_model() if inside else make_network(), transformer=StandardScaler()
    )
    model = scaled if inside else make_pipeline(SequenceWindower(5), scaled)
    model = fit(model, table)
    frame = forecast(model, table, target="temp", horizon=2)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_a_search_over_a_transformed_target():
    table = make_table()
    scaled = TransformedTargetRegressor(make_model(), transformer=StandardScaler())
    grid = {"regressor__sequencewindower__n_steps": [3, 4]}
    search = fit(GridSearchCV(scaled, grid, cv=TimeSeriesSplit(2)), table)
    frame = forecast(search, table, target="temp", horizon=2)
    np.testing.assert_allclose(frame["prediction"], search.predict(table)[-1])


def test_a_frozen_model():
    model = fit(make_model(), make_table())
    frozen = forecast(FrozenEstimator(model), make_table())
    pd.testing.assert_frame_equal(frozen, forecast(model, make_table()))


@pytest.mark.parametrize("n_rows", [60, 1])
def test_a_model_of_rows_forecasts_from_the_last_one(n_rows):
    table = make_table()
    model = fit(Ridge(), table)
    options = {"target": "temp", "horizon": 2, "freq": "h"}
    frame = forecast(model, table[-n_rows:], **options)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])
    assert frame.index.equals(HOURS[-1] + pd.to_timedelta([1, 2], unit="h"))


# The times.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "index, expected",
    [
        (
            pd.date_range("2024-03-28 13:00", periods=61, freq="h", tz="Europe/Berlin"),
            ["2024-03-31 03:00+02:00", "2024-03-31 04:00+02:00"],
        ),
        (
            pd.date_range("2024-02-01", periods=60, freq="D", tz="Europe/Berlin"),
            ["2024-04-01 00:00+02:00", "2024-04-02 00:00+02:00"],
        ),
        (
            pd.date_range("2020-01-01", periods=48, freq="MS"),
            ["2024-01-01", "2024-02-01"],
        ),
        (
            pd.date_range("2020-01-31", periods=48, freq="ME"),
            ["2024-01-31", "2024-02-29"],
        ),
        (
            pd.date_range("2024-01-01", periods=60, freq="B"),
            ["2024-03-25", "2024-03-26"],
        ),
        (
            pd.date_range("2024-01-01", periods=60, freq="W"),
            ["2025-03-02", "2025-03-09"],
        ),
    ],
    ids=["hours over DST", "days over DST", "MS", "ME", "B", "W"],
)
@pytest.mark.parametrize("n_rows", [60, 4])
def test_dates_go_on_by_the_calendar(index, expected, n_rows):
    table = make_table(index)
    model = fit(make_model(), table)
    # The table knows its freq; what the model keeps must do without.
    newest = table[-n_rows:].set_axis(index[-n_rows:]._with_freq(None))
    frame = forecast(model, newest)
    expected = pd.to_datetime(expected)
    if index.tz is not None:
        expected = pd.to_datetime(expected, utc=True).tz_convert(index.tz)
    assert frame.index.tolist() == expected.tolist()
    assert (frame["origin"] == index[-1]).all()
    assert frame.index.dtype == index.dtype


@pytest.mark.thorough
@pytest.mark.parametrize(
    "index, expected",
    [
        (pd.period_range("2020-01", periods=48, freq="M"), pd.Period("2024-02", "M")),
        (pd.RangeIndex(60), 61),
        (pd.Index(np.arange(60) * 10), 610),
        (pd.Index(np.arange(60) * 0.5), 30.5),
        (pd.timedelta_range("0s", periods=60, freq="5min"), pd.Timedelta("305min")),
    ],
    ids=["periods", "rows", "numbers", "halves", "durations"],
)
def test_other_times_go_on_too(index, expected):
    table = make_table(index)
    frame = forecast(fit(make_model(), table), table[-7:])
    assert frame.index[1] == expected
    assert (frame["origin"] == index[-1]).all()


def test_the_name_of_the_times_is_kept():
    table = make_table().rename_axis("when")
    assert forecast(fit(make_model(), table), table).index.name == "when"


@pytest.mark.parametrize("kind", ["strings", "polars"])
def test_without_times_rows_are_counted(kind):
    table = make_table()
    table = table.set_axis([f"row {i}" for i in range(60)])
    table = pl.from_pandas(table) if kind == "polars" else table
    model = fit(make_model(windower={"history": None}), table)
    frame = forecast(model, table)
    assert frame.index.tolist() == [60, 61]
    assert frame["origin"].tolist() == [59, 59]
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_whole_windows_without_times_need_no_warning():
    table = make_table().set_axis([f"row {i}" for i in range(60)])
    model = fit(make_model(), table)
    assert len(forecast(model, table)) == 2


def test_polars_gives_the_numbers_of_pandas():
    table = make_table().rename_axis("time").reset_index()
    model = fit(make_model(windower={"time": "time"}), table, time="time")
    frame = forecast(model, pl.from_pandas(table))
    pd.testing.assert_frame_equal(frame, forecast(model, table), check_index_type=False)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_columns_are_read(backend):
    table = make_table()
    model = fit(make_model(), table)
    newest = table.convert_dtypes(dtype_backend=backend)
    pd.testing.assert_frame_equal(forecast(model, newest), forecast(model, table))


# What is forecast: by name, or given.


def test_target_and_horizon_may_be_given_for_targets_without_names():
    table = make_table()
    X, Y = make_forecast_frame(table, "temp", [2, 4])
    model = make_model().fit(X, Y.to_numpy())
    frame = forecast(model, table, target="temp", horizon=[2, 4])
    assert frame["horizon"].tolist() == [2, 4]
    with pytest.raises(ValueError, match="has no names: pass target= and horizon="):
        forecast(model, table)


def test_names_that_tell_no_horizon_are_refused():
    table = make_table()
    X, Y = make_forecast_frame(table, "temp", 2)
    model = make_model().fit(X, Y.set_axis(["a", "b"], axis=1))
    with pytest.raises(ValueError, match=r"is \['a', 'b'\]: pass target= and horizon="):
        forecast(model, table)


@pytest.mark.parametrize("options", [{"target": "temp"}, {"horizon": 2}])
def test_target_or_horizon_alone_are_completed_by_the_names_of_y(options):
    model = fit(make_model(), make_table())
    frame = forecast(model, make_table(), **options)
    pd.testing.assert_frame_equal(frame, forecast(model, make_table()))
    with pytest.raises(ValueError, match="pass target= and horizon="):
        forecast(fit(Ridge(), make_table()), make_table(), **options)


@pytest.mark.parametrize("target", ["nope", ["temp", "wind"]])
def test_other_targets_than_those_of_the_model_are_refused(target):
    model = fit(make_model(), make_table())
    with pytest.raises(ValueError, match=r"\['temp\+1', 'temp\+2'\], not target="):
        forecast(model, make_table(), target=target)


def test_more_or_fewer_outputs_than_named_are_refused():
    model = fit(Ridge(), make_table())
    with pytest.raises(ValueError, match="predicts 2 values per row"):
        forecast(model, make_table(), target="temp", horizon=3)


@pytest.mark.parametrize("horizon", [0, True, [2, 1], [], "2", 1.5])
def test_senseless_horizons_are_refused(horizon):
    model = fit(Ridge(), make_table())
    with pytest.raises(ValueError, match="horizon must be an int of at least 1"):
        forecast(model, make_table(), target="temp", horizon=horizon)


# What is known in advance.


def fit_with_plan(table, **options):
    return fit(make_model(**options), table, known="plan")


def test_known_columns_of_the_steps_to_come_are_used():
    table = make_table()
    model = fit_with_plan(table[:50])
    future = table[["plan"]][50:52]
    frame = forecast(model, table[:50], future=future)
    X, _ = make_forecast_frame(table, "temp", 2, known="plan")
    np.testing.assert_allclose(frame["prediction"], model.predict(X[:50])[-1])
    other = forecast(model, table[:50], future=1 - future)
    assert np.abs(other["prediction"] - frame["prediction"]).min() > 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change",
    [
        lambda future: future[::-1],
        lambda future: future["plan"],
        lambda future: future.astype(bool),
        lambda future: future.astype("Int64"),
        lambda future: future.astype("int64[pyarrow]"),
        lambda future: make_table(),
    ],
    ids=["backwards", "Series", "bool", "Int64", "Arrow", "whole table"],
)
def test_future_may_come_in_many_forms(change):
    table = make_table()
    model = fit_with_plan(table[:50])
    future = table[["plan"]][50:52]
    found = forecast(model, table[:50], future=change(future))
    pd.testing.assert_frame_equal(found, forecast(model, table[:50], future=future))


@pytest.mark.parametrize("order", [None, 0])
def test_every_series_has_a_future_of_its_own(order):
    table = two_series()
    model = make_model(windower=GROUPED)
    now = table[table["time"] <= HOURS[49]]
    model = fit(model, now, known="plan", **GROUPED)
    future = table.loc[table["time"] > HOURS[49], ["time", "station", "plan"]]
    if order is not None:
        future = future.sample(frac=1, random_state=order)
    frame = forecast(model, now, future=future)
    X, _ = make_forecast_frame(table, "temp", 2, known="plan", **GROUPED)
    expected = model.predict(X)[X["time"] == HOURS[49]].ravel()
    np.testing.assert_allclose(frame["prediction"], expected)
    with pytest.raises(InvalidSequenceError, match="of station 'south'"):
        forecast(model, now, future=future[future["station"] == "north"])


def test_steps_between_those_of_the_horizon():
    table = make_table()
    model = fit(make_model(), table[:50], horizon=[1, 4], known="plan")
    frame = forecast(model, table[:50], future=table[50:])
    X, _ = make_forecast_frame(table, "temp", [1, 4], known="plan")
    np.testing.assert_allclose(frame["prediction"], model.predict(X[:50])[-1])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda future: None, "known in advance: pass .* in future="),
        (lambda future: future[:1], "no row for 2024-01-03 03:00:00"),
        (lambda future: future[:0], "no row for 2024-01-03 02:00:00"),
        (lambda future: future * np.nan, "no value of 'plan' at 2024-01-03 02:00:00"),
        (
            lambda future: future[:1].reindex(future.index),
            "'plan' at 2024-01-03 03",
        ),
        (lambda future: pd.concat([future, future]), "2024-01-03 02:00:00 twice"),
        (lambda future: future.tz_localize("UTC"), "dates with a time zone"),
        (lambda future: future.reset_index(drop=True), "are numbers"),
        (lambda future: future.rename(columns={"plan": "p"}), "'plan'"),
    ],
)
def test_a_future_that_does_not_tell_is_refused(change, message):
    table = make_table()
    model = fit_with_plan(table[:50])
    with pytest.raises(ValueError, match=message):
        forecast(model, table[:50], future=change(table[["plan"]][50:52]))


def test_a_future_without_times_has_just_the_steps_to_come():
    table = make_table().set_axis([f"row {i}" for i in range(60)])
    model = fit_with_plan(table[:50])
    forecast(model, table[:50], future=table[50:52])
    forecast(model, table[:50], future=table[50:52].reset_index(drop=True))
    for future in (table, table[50:53]):
        with pytest.raises(InvalidSequenceError, match="pass 2 rows"):
            forecast(model, table[:50], future=future)
    with pytest.raises(InvalidSequenceError, match="future are dates, .* no times"):
        forecast(model, table[:50], future=make_table()[50:52])


@pytest.mark.parametrize("future", ["abc", 3, np.zeros((2, 1))])
def test_a_future_that_is_no_frame_is_refused(future):
    table = make_table()
    with pytest.raises(TypeError, match="future= needs a pandas or polars"):
        forecast(fit_with_plan(table), table, future=future)


@pytest.mark.thorough
def test_a_plan_that_decides_the_target_is_learned():
    table = make_table(pd.date_range("2024-01-01", periods=400, freq="h"))
    table["temp"] = 10 * table["plan"]
    options = {"hidden_size": 8, "max_epochs": 30, "learning_rate": 0.05}
    past, truth = table[:390], table["temp"][390:393]
    informed = fit(make_model(2, **options), past, horizon=3, known="plan")
    blind = fit(make_model(2, **options), past, horizon=3)
    frames = forecast(informed, past, future=table), forecast(blind, past)
    errors = [np.abs(frame["prediction"] - truth).mean() for frame in frames]
    assert errors[0] < 0.3 * errors[1]


# Series that are hard.


@pytest.mark.parametrize("slope", [1.0, -3.0])
def test_a_trend_is_followed(slope):
    days = pd.date_range("2024-01-01", periods=80, freq="D")
    table = pd.DataFrame({"sales": 1 + slope * np.arange(80)}, index=days)
    model = make_model(7, target_feature="auto", max_epochs=5)
    frame = forecast(fit(model, table, "sales", 3), table)
    expected = 1 + slope * np.array([80, 81, 82])
    np.testing.assert_allclose(frame["prediction"], expected, rtol=0.03)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e6, 1e-6])
def test_a_constant_series_goes_on(value, loss):
    table = pd.DataFrame({"sales": np.full(40, value)}, index=HOURS[:40])
    model = make_model(target_feature="auto", loss=loss, max_epochs=5)
    frame = forecast(fit(model, table, "sales"), table)
    tolerance = 0.1 * abs(value) if value else 0.1
    np.testing.assert_allclose(frame["prediction"], value, atol=tolerance)


def test_a_nearly_constant_series_goes_on():
    table = make_table()[["temp"]] * 1e-9 + 1e3
    frame = forecast(fit(make_model(target_feature="auto"), table), table)
    np.testing.assert_allclose(frame["prediction"], 1e3, rtol=1e-6)


def test_a_series_shorter_than_the_window():
    table = make_table()[:6]
    model = fit(make_model(24), table)
    np.testing.assert_allclose(
        forecast(model, table)["prediction"], model.predict(table)[-1]
    )


# What is missing.


def masked_model(n_steps=5, **options):
    windower = {"missing": "mask"}
    return make_model(n_steps, windower, missing_targets="ignore", **options)


def with_holes(table):
    table = table.copy()
    table.iloc[3, 1] = table.iloc[12, 0] = np.nan
    return table


def test_a_mask_stands_gaps_in_the_newest_rows():
    table = with_holes(make_table())
    model = fit(masked_model(), table, missing="mask")
    gappy = table.drop(table.index[[30, 57]])
    frame = forecast(model, gappy)
    expected = model.predict(table.drop(table.index[57]).asfreq("h"))[-1]
    np.testing.assert_allclose(frame["prediction"], expected)
    assert frame.index[0] == HOURS[-1] + pd.Timedelta("1h")


@pytest.mark.thorough
@pytest.mark.parametrize("n_steps", [1, 5])
@pytest.mark.parametrize("n_fitted", [30, 50])
def test_a_sensor_that_is_gone_for_longer_than_the_window(n_steps, n_fitted):
    table = with_holes(make_table())
    table.iloc[40:, 1] = np.nan
    model = fit(masked_model(n_steps), table[:n_fitted], missing="mask")
    frame = forecast(model, table)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_breaks_in_the_newest_rows_are_refused_without_a_mask():
    table = make_table()
    model = fit(make_model(), table)
    with pytest.raises(InvalidSequenceError, match=r"1 gap\(s\) in time"):
        forecast(model, table.drop(table.index[57]))


def test_holes_in_the_newest_rows_are_refused_without_a_mask():
    table = make_table()
    model = fit(make_model(), table)
    table.iloc[-1, 1] = np.nan
    with pytest.raises(InvalidSequenceError, match="NaN"):
        forecast(model, table)


# What else is refused.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda table: table[::-1], "not sorted by time"),
        (lambda table: pd.concat([table, table[-1:]]), "twice"),
        (lambda table: table[["temp"]], "wind"),
        (lambda table: table[:0], r"0 (rows|sample)"),
        (lambda table: table.tz_localize("UTC"), "dates with a time zone"),
        (lambda table: table.set_axis(table.index.to_period("h")), "periods"),
        (lambda table: table.assign(wind="windy"), "'wind'"),
        (lambda table: pd.concat({"a": table}, names=["s", "t"]), "2 levels"),
    ],
)
def test_newest_rows_of_another_kind_are_refused(change, message):
    table = make_table()
    model = fit(make_model(), table)
    with pytest.raises(ValueError, match=message):
        forecast(model, change(table))


@pytest.mark.thorough
@pytest.mark.parametrize("newest", ["abc", None, 3, np.zeros((5, 3)), [[1.0]]])
def test_what_is_no_frame_is_refused(newest):
    model = fit(make_model(), make_table())
    with pytest.raises(TypeError, match="forecast needs a pandas or polars DataFrame"):
        forecast(model, newest)


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(ValueError, match="not fitted"):
        forecast(make_model(), make_table())
    with pytest.raises(TypeError, match="not an estimator"):
        forecast("model", make_table())


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["origin", "horizon", "prediction", "target", "q0.5"])
def test_a_name_of_the_result_cannot_tell_series_apart(name):
    table = two_series().rename(columns={"station": name})
    columns = {"time": "time", "group_by": name}
    model = fit(make_model(windower=columns), table, **columns)
    with pytest.raises(ValueError, match=name):
        forecast(model, table)


def test_features_may_have_the_names_of_the_result():
    table = make_table().assign(**{"q0.5": 1.0, "horizon": 2.0, "origin": 3.0})
    table = table.rename(columns={"temp": "prediction"})
    model = fit(make_model(), table, "prediction")
    frame = forecast(model, table)
    assert list(frame.columns) == ["origin", "horizon", "prediction"]
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_one_row_whose_step_is_not_known_is_refused():
    model = fit(LinearRegression(), make_table())
    newest = make_table()[-1:].set_axis(HOURS[-1:]._with_freq(None))
    with pytest.raises(InvalidSequenceError, match="freq="):
        forecast(model, newest, target="temp", horizon=2)


def test_the_callers_tables_stay_as_they_are():
    table = make_table()
    model = fit_with_plan(table)
    newest, future = table[:50].copy(), table[50:].copy()
    forecast(model, newest, future=future)
    pd.testing.assert_frame_equal(newest, table[:50])
    pd.testing.assert_frame_equal(future, table[50:])


def test_a_function_of_rows_in_front_of_the_windower():
    table = make_table()
    double = FunctionTransformer(lambda table: table * 2)
    model = make_pipeline(double, SequenceWindower(5), make_network())
    model = fit(model, table)
    frame = forecast(model, table)
    np.testing.assert_allclose(frame["prediction"], model.predict(table)[-1])


def test_a_newest_row_without_a_value_is_told_of():
    table = pd.DataFrame(
        {"temp": np.sin(np.arange(60.0))},
        index=pd.date_range("2024-01-01", periods=60, freq="h"),
    )
    X, Y = make_forecast_frame(table, "temp", missing="mask")
    network = RNNRegressor(hidden_size=4, max_epochs=1, missing_targets="ignore")
    model = make_pipeline(SequenceWindower(5, missing="mask"), network).fit(X, Y)
    table.iloc[-1] = np.nan
    with pytest.warns(SklearnRNNWarning, match="'temp' has no value in the newest row"):
        forecast(model, table)


def test_times_that_were_forgotten_are_named():
    table = pd.DataFrame({"temp": np.arange(9.0)})
    table["when"] = pd.date_range("2024-01-01", periods=9, freq="h")
    with pytest.raises(InvalidSequenceError, match="needs time='when'"):
        make_forecast_frame(table, "temp")


def test_a_shop_that_is_closed_on_sundays_has_a_step():
    days = pd.date_range("2024-01-01", periods=120, freq="D")
    days = days[days.day_of_week != 6]
    table = pd.DataFrame({"sales": np.arange(float(len(days)))}, index=days)
    X, Y = make_forecast_frame(table, "sales")
    network = RNNRegressor(hidden_size=4, max_epochs=1, target_feature="auto")
    model = make_pipeline(SequenceWindower(6), network).fit(X, Y)
    assert not (forecast(model, table).index.day_of_week == 6).any()
    with pytest.raises(InvalidSequenceError, match="gap"):
        make_forecast_frame(table.drop(index=days[50]), "sales")
