"""Times, axes and models in pictures of forecasts, and mistakes."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from forecast_pictures import (
    HOURS,
    backtest_of,
    forecast_from,
    labels,
    series_of,
    stations,
    two_targets,
    x_of,
)
from matplotlib import dates
from matplotlib import pyplot as plt
from matplotlib.colors import same_color, to_rgb
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    ForecastDisplay,
    RNNRegressor,
    SequenceWindower,
    backtest,
    make_forecast_frame,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# Times


def test_dates_with_a_time_zone_are_labelled_by_its_clock():
    local = HOURS.tz_localize("America/New_York")
    history = series_of(local)
    display = ForecastDisplay.from_predictions(
        forecast_from(history, 20), history, n_history=12
    )
    assert x_of(display.lines_[0])[0] == local[21].tz_convert(None)
    formatter = display.ax_.xaxis.get_major_formatter()
    assert isinstance(formatter, dates.ConciseDateFormatter)
    # 21:00 in New York is 02:00 in UTC.
    place = dates.date2num(local[21].tz_convert(None))
    [label] = formatter.format_ticks([place])
    assert label == "21:00"


def test_periods_stand_at_their_start():
    months = pd.period_range("2020-01", periods=60, freq="M")
    history = series_of(months)
    display = ForecastDisplay.from_predictions(forecast_from(history, 50), history)
    assert x_of(display.lines_[0])[0] == pd.Timestamp("2024-04-01")
    assert x_of(display.history_lines_[0])[-1] == pd.Timestamp("2024-09-01")


@pytest.mark.parametrize(
    ("unit", "label", "first"), [("min", "minutes", 31), ("D", "days", 31)]
)
def test_durations_are_counted_in_a_fitting_unit(unit, label, first):
    history = series_of(pd.to_timedelta(np.arange(40), unit))
    display = ForecastDisplay.from_predictions(forecast_from(history, 30), history)
    assert display.ax_.get_xlabel() == label
    assert x_of(display.lines_[0])[0] == first


@pytest.mark.thorough
def test_numbers_stay_numbers_and_the_axis_has_their_name():
    history = series_of(pd.RangeIndex(100, 160, name="lap"))
    display = ForecastDisplay.from_predictions(forecast_from(history, 30), history)
    assert x_of(display.lines_[0])[0] == 131
    assert display.ax_.get_xlabel() == "lap"


def test_times_may_stand_in_columns():
    forecasts, history = stations()
    display = ForecastDisplay.from_predictions(
        forecasts.reset_index(names="when"), history.reset_index(), time="when"
    )
    assert len(display.axes_) == 3
    assert x_of(display.lines_[0])[0] == HOURS[151]
    assert x_of(display.history_lines_[0])[-1] == HOURS[156]


def test_an_index_that_became_a_column_is_still_the_time():
    history = series_of()
    forecasts = forecast_from(history, 150).reset_index(names="when")
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert len(display.axes_) == 1
    assert x_of(display.lines_[0])[0] == HOURS[151]


def test_times_and_labels_may_be_levels_of_an_index():
    forecasts, history = stations()
    history = history.set_index("station", append=True)
    display = ForecastDisplay.from_predictions(forecasts, history, time="when")
    assert x_of(display.history_lines_[2])[-1] == HOURS[156]
    assert display.history_lines_[2].get_ydata().min() > 30


@pytest.mark.parametrize("time_zone", [None, "Europe/Paris"])
def test_history_may_be_of_polars(time_zone):
    history = series_of(HOURS.tz_localize(time_zone))
    table = pl.DataFrame(
        {"when": pl.Series(HOURS.to_numpy()), "temp": history.to_numpy()}
    )
    if time_zone:
        table = table.with_columns(pl.col("when").dt.replace_time_zone(time_zone))
    display = ForecastDisplay.from_predictions(
        forecast_from(history, 150), table, time="when"
    )
    expected = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    [line], [like] = display.history_lines_, expected.history_lines_
    assert (line.get_xdata() == like.get_xdata()).all()
    assert line.get_ydata().tolist() == like.get_ydata().tolist()


def test_history_may_hold_nullable_numbers():
    history = series_of().round().astype("Int64")
    history.iloc[145] = pd.NA
    forecasts = forecast_from(series_of(), 150)
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert np.isnan(display.history_lines_[0].get_ydata()).sum() == 1


# Axes and legends


def test_it_draws_in_given_axes():
    _, ax = plt.subplots()
    history = series_of()
    forecasts = forecast_from(history, 150)
    display = ForecastDisplay.from_predictions(
        forecasts, history, ax=ax, color="red", lw=3
    )
    assert display.ax_ is ax
    assert display.axes_.tolist() == [ax]
    assert display.lines_[0].get_color() == "red"
    assert display.lines_[0].get_linewidth() == 3
    assert ax.get_legend() is display.legend_


def test_several_panels_draw_in_an_array_of_axes():
    forecasts, history = stations(4)
    figure, axes = plt.subplots(2, 2)
    display = ForecastDisplay.from_predictions(forecasts, history, ax=axes)
    assert display.axes_.tolist() == axes.ravel().tolist()
    assert display.figure_ is figure
    with pytest.raises(ValueError, match=r"4 axes for 2 panels.*plt.subplots\(2\)"):
        display.plot(ax=axes, series=["s0", "s1"])


def test_models_in_one_picture_are_told_apart():
    history = series_of()
    first = ForecastDisplay.from_predictions(
        forecast_from(history, 150, quantiles=["q0.1", "q0.9"]), history, name="GRU"
    )
    second = ForecastDisplay.from_predictions(
        forecast_from(history, 150, shift=3), history, name="ridge", ax=first.axes_
    )
    assert labels(second) == ["observed", "GRU", "GRU, 80 % interval", "ridge"]
    assert first.figure_.legends == [second.legend_]
    assert first.lines_[0].get_color() != second.lines_[0].get_color()
    handle = second.legend_.legend_handles[1]
    assert same_color(handle.get_color(), first.lines_[0].get_color())


def test_plot_draws_again_under_another_name():
    display = ForecastDisplay(forecast_from(series_of(), 150), name="GRU").plot()
    first = display.ax_
    assert labels(display) == ["GRU"]
    assert labels(display.plot(name="again")) == ["again"]
    assert display.ax_ is not first


def test_what_was_observed_shows_on_a_dark_ground():
    history = series_of()
    with plt.style.context("dark_background"):
        display = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    assert min(to_rgb(display.history_lines_[0].get_color())) > 0.4


# Models


def weather(n=120):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"temp": series_of()[:n], "wind": rng.normal(size=n)})
    return table.rename_axis("when")


def test_from_estimator_draws_the_forecast_of_a_model_and_the_newest_rows():
    table = weather()
    X, Y = make_forecast_frame(table, target="temp", horizon=3)
    network = RNNRegressor(hidden_size=4, max_epochs=2, random_state=0)
    model = make_pipeline(SequenceWindower(6), network).fit(X, Y)
    display = ForecastDisplay.from_estimator(model, table, n_history=10, name="GRU")
    assert display.lines_[0].get_ydata() == pytest.approx(model.predict(table)[-1])
    assert x_of(display.lines_[0]).equals(HOURS[120:123].rename(None))
    past = display.history_lines_[0]  # the target, by the names of Y's columns
    assert past.get_ydata().tolist() == table["temp"].iloc[-10:].tolist()
    assert display.ax_.get_ylabel() == "temp"
    assert labels(display) == ["observed", "GRU"]


def test_from_estimator_takes_time_and_series_from_the_windower():
    parts = [weather().assign(station=name) for name in ("east", "west")]
    table = pd.concat(parts).reset_index()
    options = {"time": "when", "group_by": "station"}
    X, Y = make_forecast_frame(table, target="temp", horizon=2, **options)
    network = RNNRegressor(hidden_size=4, max_epochs=1, random_state=0)
    model = make_pipeline(SequenceWindower(4, **options), network).fit(X, Y)
    display = ForecastDisplay.from_estimator(model, table)
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["east", "west"]
    assert len(display.history_lines_) == 2
    chosen = ForecastDisplay.from_estimator(
        model, table, series="west", ylabel="°C", color="red"
    )
    assert [ax.get_title(loc="left") for ax in chosen.axes_] == ["west"]
    assert chosen.ax_.get_ylabel() == "°C"
    assert chosen.lines_[0].get_color() == "red"


def test_from_estimator_passes_on_target_horizon_and_what_is_known():
    table = weather()
    X, Y = make_forecast_frame(table, target="temp", horizon=2, known="wind")
    model = LinearRegression().fit(X, Y.to_numpy())
    future = pd.DataFrame({"wind": [1.0, 2.0]}, index=HOURS[120:122])
    options = {"target": "temp", "horizon": 2}
    calm, storm = (
        ForecastDisplay.from_estimator(model, table, future=f, **options)
        for f in (future, future + 1000)
    )
    assert len(calm.lines_[0].get_ydata()) == 2
    assert (calm.lines_[0].get_ydata() != storm.lines_[0].get_ydata()).all()


def test_from_estimator_passes_on_the_step_in_time():
    table = weather()
    X, Y = make_forecast_frame(table, target="temp", horizon=2)
    model = LinearRegression().fit(X, Y)
    display = ForecastDisplay.from_estimator(
        model, table.iloc[[-1]], target="temp", horizon=2, freq="2h"
    )
    assert x_of(display.lines_[0])[1] == HOURS[119] + pd.Timedelta("4h")


def test_rows_without_times_are_numbered():
    table = weather().reset_index(drop=True)
    table.index = [f"row {i}" for i in table.index]
    X, Y = make_forecast_frame(table, target="temp", horizon=2)
    display = ForecastDisplay.from_estimator(
        LinearRegression().fit(X, Y), table, target="temp", horizon=2
    )
    assert x_of(display.lines_[0]).tolist() == [120, 121]
    assert x_of(display.history_lines_[0])[-1] == 119


def test_a_backtest_of_a_model_is_drawn():
    forecasts = backtest(LinearRegression(), weather(), "temp", horizon=3, cv=2)
    display = ForecastDisplay.from_predictions(forecasts, weather(), target="temp")
    assert len(display.lines_) == 6
    assert x_of(display.lines_[-1])[-1] == HOURS[119]


def test_an_unfitted_model_is_an_error():
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_estimator(
            make_pipeline(SequenceWindower(4), RNNRegressor()), weather()
        )


# Mistakes


def refused(match, forecasts, history=None, error=ValueError, **options):
    with pytest.raises(error, match=match):
        ForecastDisplay.from_predictions(forecasts, history, **options)


def test_forecasts_without_a_prediction_are_an_error():
    forecasts = forecast_from(series_of(), 150)
    refused(
        r"column 'prediction'.*got columns \['origin', 'horizon'\]",
        forecasts.drop(columns="prediction"),
    )
    refused("column 'prediction'.*got ndarray", np.zeros(3))
    refused("no rows", forecasts.iloc[:0])


def test_a_series_or_target_that_is_not_there_is_an_error():
    forecasts, history = stations()
    refused(r"series=\['s7'\].*'s0', 's1', 's2'", forecasts, history, series="s7")
    refused("of one series", forecast_from(series_of(), 150), series="s0")
    both, table = two_targets()
    refused(r"target=\['wind'\].*'temp', 'humid'", both, table, target="wind")
    refused(
        "names 2 targets", forecast_from(series_of(), 150), target=["temp", "humid"]
    )


def test_a_history_that_lacks_something_is_an_error():
    forecasts = forecast_from(series_of(), 150)
    table = weather(156)
    refused("'temp', 'wind': name the one.*in target=", forecasts, table)
    refused("no column 'rain'.*in target=", forecasts, table, target="rain")
    refused("no column 'hour'.*in time=", forecasts, table, target="temp", time="hour")
    refused("DataFrame or Series", forecasts, table["temp"].to_numpy(), TypeError)
    both, table = two_targets()
    refused("'temp', 'humid'", both, table["temp"])


def test_a_history_of_other_series_is_an_error():
    forecasts, history = stations()
    others = history.replace({"station": {"s1": "S1"}})
    refused(r"no rows of series 's1'.*'s0', 'S1', 's2'", forecasts, others)
    refused(
        "no column 'station'.*in group_by=",
        forecasts,
        history[["temp"]],
        target="temp",
    )
    refused("twice", forecast_from(series_of(), 150), history, target="temp")


def test_times_of_another_kind_are_an_error():
    history = series_of()
    forecasts = forecast_from(history, 150)
    refused(
        "history are numbers, those of the forecasts dates.*in time=",
        forecasts,
        history.reset_index(drop=True),
    )
    refused(
        "history are dates with a time zone, those of the forecasts dates",
        forecasts,
        history.tz_localize("UTC"),
    )
    refused("pd.to_datetime", forecasts.set_axis(forecasts.index.astype(str)))


MIXED = [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02", tz="UTC")]


@pytest.mark.parametrize("are_in_index", [True, False])
@pytest.mark.parametrize(
    ("times", "match"),
    [
        ([*HOURS[:3], pd.NaT], "no time in row 3"),
        ([0.0, np.inf, 1.0, 2.0], "time inf in row 1"),
        ([*MIXED, *MIXED], "dates of several time zones"),
    ],
)
def test_times_that_cannot_be_read_are_the_same_error_in_both_tables(
    times, match, are_in_index
):
    forecasts, history = forecast_from(series_of(), 150), series_of().to_frame("temp")
    time = None if are_in_index else "hour"
    as_index = pd.Index(times, dtype=object).infer_objects()
    forecasts, history = forecasts.rename_axis(time), history.rename_axis(time)
    broken = [
        frame.iloc[: len(times)]
        .drop(columns="origin", errors="ignore")
        .set_index(as_index.rename(time))
        for frame in (forecasts, history)
    ]
    if not are_in_index:
        forecasts, history = forecasts.reset_index(), history.reset_index()
        broken = [frame.reset_index() for frame in broken]
    for pair in ((broken[0], None), (forecasts, broken[1])):
        refused(match, *pair, time=time, target="temp")


def test_forecasts_that_cannot_be_told_apart_are_an_error():
    forecasts = backtest_of(series_of(), [100, 101])
    refused("need a column 'origin'", forecasts.drop(columns="origin"))


def test_a_horizon_that_is_not_there_is_an_error():
    forecasts = backtest_of(series_of(), [100, 101])
    refused(r"at_horizon=9 steps ahead.*1 to 6", forecasts, at_horizon=9)
    refused("'horizon'", forecasts.drop(columns="horizon"), at_horizon=1)


@pytest.mark.parametrize("name", ["n_history", "n_origins", "at_horizon"])
@pytest.mark.parametrize("count", [0, 1.5, "all"])
def test_counts_are_whole_numbers(name, count):
    forecasts = forecast_from(series_of(), 150)
    refused(f"{name} must be an int of at least 1", forecasts, **{name: count})


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[plot\]"'):
        ForecastDisplay(forecast_from(series_of(), 150)).plot()
