"""forecast: from a fitted model and the newest rows to the times to come."""

import copy
import json
import pickle
from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
from forecast_tables import (
    GROUPED,
    HOURS,
    fit,
    make_model,
    make_network,
    make_table,
    two_series,
)
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import (
    CalendarFeatures,
    SequenceWindower,
    WindowHistoryWarning,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.forecasting import quantile_columns


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
