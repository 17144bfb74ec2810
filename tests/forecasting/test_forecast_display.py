import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
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

HOURS = pd.date_range("2024-03-01", periods=200, freq="h", name="when")
QUANTILES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def series_of(index=HOURS, name="temp"):
    wave = np.sin(np.arange(len(index)) / 4) * 5 + 20
    return pd.Series(wave, index=index, name=name)


def forecast_from(history, origin, n_steps=6, quantiles=(), shift=1.0):
    """Forecast the values of a series themselves, but `shift` too high."""
    rows = np.arange(origin + 1, origin + 1 + n_steps)
    frame = pd.DataFrame(
        {
            "origin": history.index[origin],
            "horizon": np.arange(1, n_steps + 1),
            "prediction": history.to_numpy()[rows] + shift,
        },
        index=history.index[rows],
    )
    for column in quantiles:
        frame[column] = frame["prediction"] + 10 * (float(column[1:]) - 0.5)
    return frame


def backtest_of(history, origins, **options):
    frames = [forecast_from(history, origin, **options) for origin in origins]
    frame = pd.concat(frames).rename_axis("time").reset_index()
    truth = history[frame["time"]].to_numpy()
    frame.insert(0, "fold", 0)
    return frame.assign(truth=truth)


def stations(n=3, **options):
    """Return forecasts and history of some stations, each 10 degrees warmer."""
    history = series_of()
    table = [
        pd.DataFrame({"temp": history + 10 * i, "station": f"s{i}"}) for i in range(n)
    ]
    forecasts = [forecast_from(part["temp"], 150, **options) for part in table]
    for i, frame in enumerate(forecasts):
        frame.insert(0, "station", f"s{i}")
    return pd.concat(forecasts), pd.concat(table)


def labels(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def x_of(line):
    return pd.Index(line.get_xdata())


def origins_of(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]


def connections(display):
    """Return the ends of the thin lines that lead to forecasts."""
    thin = [
        line
        for line in display.ax_.lines
        if line not in [*display.lines_, *display.history_lines_]
        and line.get_linestyle() == "-"
    ]
    return [(line.get_xdata(), line.get_ydata()) for line in thin]


def edges(band):
    """Return the lowest and the highest value of a band."""
    values = band.get_paths()[0].vertices[:, 1]
    return values.min(), values.max()


# What is drawn of one forecast


def test_the_line_is_the_prediction_at_its_times():
    history = series_of()
    forecasts = forecast_from(history, 150)
    display = ForecastDisplay.from_predictions(forecasts, history)
    [line] = display.lines_
    assert x_of(line).equals(forecasts.index.rename(None))
    assert line.get_ydata().tolist() == forecasts["prediction"].tolist()
    assert display.bands_ == display.quantile_lines_ == []
    assert labels(display) == ["observed", "forecast"]
    assert display.ax_.get_ylabel() == "temp"


def test_rows_in_any_order_give_the_same_line():
    forecasts = forecast_from(series_of(), 150)
    display = ForecastDisplay.from_predictions(forecasts.sample(frac=1, random_state=0))
    assert x_of(display.lines_[0]).equals(forecasts.index.rename(None))


def test_history_ends_under_the_forecasts():
    history = series_of()
    display = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    shown = x_of(display.history_lines_[0])
    assert shown[-1] == history.index[156]
    before = ForecastDisplay.from_predictions(
        forecast_from(history, 150), history[:151]
    )
    assert x_of(before.history_lines_[0])[-1] == history.index[150]


@pytest.mark.parametrize(("n_steps", "n_rows"), [(6, 30), (24, 96)])
def test_history_is_some_times_as_long_as_the_forecast(n_steps, n_rows):
    history = series_of()
    forecasts = forecast_from(history, 150, n_steps)
    display = ForecastDisplay.from_predictions(forecasts, history[:151])
    assert len(x_of(display.history_lines_[0])) == n_rows


def test_n_history_limits_the_rows_up_to_the_origin():
    history = series_of()
    forecasts = forecast_from(history, 150)
    display = ForecastDisplay.from_predictions(forecasts, history, n_history=4)
    shown = x_of(display.history_lines_[0])
    assert shown.equals(history.index[147:157].rename(None))


def test_without_history_only_forecasts_are_drawn():
    display = ForecastDisplay.from_predictions(forecast_from(series_of(), 150))
    assert display.history_lines_ == []
    assert labels(display) == ["forecast"]
    assert connections(display) == []


def test_a_thin_line_leads_from_the_last_known_value():
    history = series_of()
    forecasts = forecast_from(history, 150)
    display = ForecastDisplay.from_predictions(forecasts, history[:151])
    [(times, values)] = connections(display)
    assert pd.Index(times).equals(history.index[150:152].rename(None))
    assert values.tolist() == [history.iloc[150], forecasts["prediction"].iloc[0]]


def test_no_line_leads_to_a_forecast_that_is_not_of_the_next_step():
    history = series_of()
    forecasts = forecast_from(history, 150).iloc[2:]
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert connections(display) == []


def test_a_dotted_line_marks_the_origin():
    history = series_of()
    display = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    assert origins_of(display.ax_) == [history.index[150]]


def test_forecasts_without_origin_and_horizon_are_drawn():
    history = series_of()
    forecasts = forecast_from(history, 150)[["prediction"]]
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert len(display.lines_[0].get_ydata()) == 6
    assert origins_of(display.ax_) == []


# Quantiles


def test_symmetric_quantiles_are_bands_the_widest_lightest():
    history = series_of()
    forecasts = forecast_from(history, 150, quantiles=QUANTILES)
    display = ForecastDisplay.from_predictions(forecasts, history)
    wide, narrow = display.bands_
    assert [band.get_label() for band in display.bands_] == [
        "95 % interval",
        "80 % interval",
    ]
    for band, (lower, upper) in [(wide, (0, -1)), (narrow, (1, -2))]:
        columns = forecasts[QUANTILES].iloc[:, [lower, upper]].to_numpy()
        assert edges(band) == (columns.min(), columns.max())
    assert labels(display)[2:] == ["80 % interval", "95 % interval"]
    of_narrow, of_wide = display.legend_.legend_handles[2:]
    assert of_wide.get_alpha() < of_narrow.get_alpha()


def test_bands_have_the_colour_of_their_line():
    forecasts = forecast_from(series_of(), 150, quantiles=QUANTILES)
    display = ForecastDisplay.from_predictions(forecasts, c="green")
    assert display.lines_[0].get_color() == "green"
    for band in display.bands_:
        assert to_rgb(band.get_facecolor()[0]) == to_rgb("green")


def test_unpaired_quantiles_are_thin_lines():
    forecasts = forecast_from(series_of(), 150, quantiles=["q0.1", "q0.9", "q0.99"])
    display = ForecastDisplay.from_predictions(forecasts)
    [line] = display.quantile_lines_
    assert line.get_label() == "99 % quantile"
    assert line.get_ydata().tolist() == forecasts["q0.99"].tolist()
    assert line.get_linewidth() < display.lines_[0].get_linewidth()
    assert len(display.bands_) == 1


def test_the_median_is_drawn_only_where_it_is_not_the_prediction():
    forecasts = forecast_from(series_of(), 150, quantiles=["q0.5"])
    assert ForecastDisplay.from_predictions(forecasts).quantile_lines_ == []
    forecasts["q0.5"] += 1
    display = ForecastDisplay.from_predictions(forecasts)
    assert [line.get_label() for line in display.quantile_lines_] == ["median"]


# One step, gaps


def test_a_single_step_shows_as_a_point_and_its_band_as_a_stroke():
    history = series_of()
    forecasts = forecast_from(history, 150, 1, quantiles=["q0.1", "q0.9"])
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert display.lines_[0].get_marker() == "o"
    assert display.bands_[0].get_linewidth()[0] > 0
    longer = ForecastDisplay.from_predictions(
        forecast_from(history, 150, 2, quantiles=["q0.1", "q0.9"])
    )
    assert longer.lines_[0].get_marker() == "None"
    assert longer.bands_[0].get_linewidth()[0] == 0


def test_missing_values_leave_a_gap():
    history = series_of()
    history.iloc[145] = np.nan
    display = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    values = pd.Series(
        display.history_lines_[0].get_ydata(), x_of(display.history_lines_[0])
    )
    assert values.index[values.isna()].tolist() == [history.index[145]]


def test_missing_rows_leave_a_gap():
    history = series_of()
    forecasts = forecast_from(history, 150)
    display = ForecastDisplay.from_predictions(
        forecasts, history.drop(history.index[135:145])
    )
    assert np.isnan(display.history_lines_[0].get_ydata()).sum() == 1


def test_weekends_leave_no_gap_in_business_days():
    days = pd.date_range("2024-01-01", periods=60, freq="B")
    history = series_of(days)
    display = ForecastDisplay.from_predictions(forecast_from(history, 50), history)
    for line in [*display.history_lines_, *display.lines_]:
        assert not np.isnan(line.get_ydata()).any()


def test_a_value_between_missing_ones_shows_as_a_point():
    history = series_of()
    history.iloc[[144, 146]] = np.nan
    display = ForecastDisplay.from_predictions(forecast_from(history, 150), history)
    [line] = display.history_lines_
    [place] = line.get_markevery()
    assert x_of(line)[place] == history.index[145]
    assert line.get_marker() == "o"


# Several series and targets


def test_each_series_has_a_panel_with_its_own_history():
    forecasts, history = stations(quantiles=["q0.1", "q0.9"])
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["s0", "s1", "s2"]
    assert display.ax_ is display.axes_[0]
    for i, (line, past) in enumerate(
        zip(display.lines_, display.history_lines_, strict=True)
    ):
        own = history.loc[history["station"] == f"s{i}", "temp"]
        assert line.axes is past.axes is display.axes_[i]
        assert past.get_ydata().tolist() == own[121:157].tolist()
        assert line.get_ydata() == pytest.approx(own[151:157] + 1)
    assert labels(display) == ["observed", "forecast", "80 % interval"]
    assert len(display.figure_.legends) == 1


def test_the_group_may_have_any_name_that_is_given():
    forecasts, history = stations()
    columns = {"station": "horizon 2"}
    display = ForecastDisplay.from_predictions(
        forecasts.assign(extra=1.0).rename(columns=columns)[
            ["origin", "horizon", "prediction", "horizon 2", "extra"]
        ],
        history.rename(columns=columns),
        group_by="horizon 2",
        target="temp",
    )
    assert len(display.axes_) == 3


def test_series_chooses_panels_and_their_order():
    forecasts, history = stations()
    display = ForecastDisplay.from_predictions(
        forecasts, history, target="temp", series=["s2", "s0"]
    )
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["s2", "s0"]
    display = ForecastDisplay.from_predictions(forecasts, history, series="s1")
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["s1"]
    assert display.lines_[0].get_ydata()[0] > 20


def test_history_of_the_only_series_needs_no_column_for_it():
    forecasts, history = stations(1)
    display = ForecastDisplay.from_predictions(forecasts, history["temp"])
    assert len(display.history_lines_) == 1


def test_more_than_twelve_series_must_be_chosen_from():
    forecasts, history = stations(13)
    with pytest.raises(ValueError, match=r"13 series.*series=\['s0', 's1', 's2'\]"):
        ForecastDisplay.from_predictions(forecasts, history)
    display = ForecastDisplay.from_predictions(
        forecasts, history, series=[f"s{i}" for i in range(12)]
    )
    assert len(display.axes_) == 12


def two_targets():
    table = pd.DataFrame({"temp": series_of(), "humid": 3 * series_of()})
    frames = [
        forecast_from(table[name], 150).assign(target=name)
        for name in ["temp", "humid"]
    ]
    return pd.concat(frames), table


def test_each_target_has_a_panel_with_its_own_column():
    forecasts, table = two_targets()
    display = ForecastDisplay.from_predictions(forecasts, table)
    assert [ax.get_ylabel() for ax in display.axes_] == ["temp", "humid"]
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["", ""]
    for line, name in zip(display.history_lines_, table, strict=True):
        assert line.get_ydata()[-1] == table[name].iloc[156]


def test_target_chooses_among_several():
    forecasts, table = two_targets()
    display = ForecastDisplay.from_predictions(forecasts, table, target="humid")
    assert [ax.get_ylabel() for ax in display.axes_] == ["humid"]
    assert display.lines_[0].get_ydata()[0] > 30


def test_series_are_rows_and_targets_columns():
    forecasts, history = stations()
    both = pd.concat([forecasts.assign(target="temp"), forecasts.assign(target="dewp")])
    display = ForecastDisplay.from_predictions(both, history.assign(dewp=0.0))
    specs = [ax.get_subplotspec() for ax in display.axes_]
    assert [(p.rowspan.start, p.colspan.start) for p in specs] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    assert display.axes_[3].get_title(loc="left") == "s1"
    assert display.axes_[3].get_ylabel() == "dewp"


def test_ylabel_replaces_the_name_of_the_target():
    forecasts, table = two_targets()
    units = {"temp": "temperature (°C)", "humid": "humidity (%)"}
    display = ForecastDisplay.from_predictions(forecasts, table, ylabel=units)
    assert [ax.get_ylabel() for ax in display.axes_] == list(units.values())
    display.plot(ylabel="value")
    assert [ax.get_ylabel() for ax in display.axes_] == ["value", "value"]


@pytest.mark.thorough
def test_only_the_lowest_panels_label_their_times():
    forecasts, history = stations(5)
    display = ForecastDisplay.from_predictions(forecasts, history)
    display.figure_.draw_without_rendering()
    written = [
        any(label.get_visible() for label in ax.get_xticklabels())
        for ax in display.axes_
    ]
    # Two columns: nothing is below the fourth.
    assert written == [False, False, False, True, True]
    assert len(display.figure_.axes) == 5


# Backtests


def test_a_backtest_draws_its_truth():
    history = series_of()
    display = ForecastDisplay.from_predictions(backtest_of(history, range(100, 130, 6)))
    [line] = display.history_lines_
    assert x_of(line).equals(history.index[101:131].rename(None))
    assert line.get_ydata().tolist() == history[101:131].tolist()


def test_history_takes_the_place_of_the_truth():
    history = series_of()
    forecasts = backtest_of(history, [100, 106])
    display = ForecastDisplay.from_predictions(forecasts, history + 100)
    assert display.history_lines_[0].get_ydata().min() > 100
    assert x_of(display.history_lines_[0])[0] == history.index[71]


def test_origins_drawn_are_spread_and_do_not_overlap():
    history = series_of()
    forecasts = backtest_of(history, range(100, 172))
    display = ForecastDisplay.from_predictions(forecasts, history)
    assert len(display.lines_) == 6
    times = [x_of(line) for line in display.lines_]
    gaps = [b[0] - a[-1] for a, b in pairwise(times)]
    assert min(gaps) > pd.Timedelta(0)
    assert max(gaps) - min(gaps) <= pd.Timedelta("6h")
    assert times[-1][-1] == history.index[177]  # the newest is among them
    assert origins_of(display.ax_) == [t[0] - pd.Timedelta("1h") for t in times]
    assert len({line.get_color() for line in display.lines_}) == 1
    assert labels(display) == ["observed", "forecast"]


def test_n_origins_sets_how_many():
    forecasts = backtest_of(series_of(), range(100, 172))
    display = ForecastDisplay.from_predictions(forecasts, n_origins=3)
    assert len(display.lines_) == 3
    assert len(display.plot(n_origins=1).lines_) == 1
    assert len(display.plot(n_origins=100).lines_) == 12  # six hours each


@pytest.mark.thorough
def test_of_a_long_backtest_the_newest_part_is_drawn():
    hours = pd.date_range("2024-01-01", periods=5000, freq="h")
    history = series_of(hours)
    forecasts = backtest_of(history, range(1000, 4900, 10))
    display = ForecastDisplay.from_predictions(forecasts, history)
    first, last = x_of(display.lines_[0])[0], x_of(display.lines_[-1])[-1]
    assert last == hours[4896]
    assert pd.Timedelta("60h") < last - first <= pd.Timedelta("108h")


def test_an_origin_of_two_folds_is_drawn_once_by_the_later_fold():
    history = series_of()
    early, late = (backtest_of(history, [100], shift=s) for s in (1.0, 2.0))
    display = ForecastDisplay.from_predictions(pd.concat([early, late]), history)
    [line] = display.lines_
    assert line.get_ydata() == pytest.approx(history[101:107] + 2)


def test_at_horizon_draws_one_line_through_all_forecasts_of_that_step():
    history = series_of()
    forecasts = backtest_of(history, range(100, 130), quantiles=["q0.1", "q0.9"])
    display = ForecastDisplay.from_predictions(forecasts, history, at_horizon=6)
    [line], [band] = display.lines_, display.bands_
    own = forecasts[forecasts["horizon"] == 6]
    assert line.get_ydata().tolist() == own["prediction"].tolist()
    assert x_of(line).equals(history.index[106:136].rename(None))
    assert edges(band) == (own["q0.1"].min(), own["q0.9"].max())
    assert origins_of(display.ax_) == []
    assert connections(display) == []
    assert labels(display)[1] == "forecast, 6 steps ahead"
    assert labels(display.plot(at_horizon=1))[1] == "forecast, 1 step ahead"


def test_each_series_of_a_backtest_has_its_own_origins():
    early, late = (backtest_of(series_of(), [start]) for start in (60, 120))
    early.insert(0, "station", "early")
    late.insert(0, "station", "late")
    display = ForecastDisplay.from_predictions(pd.concat([early, late]))
    first, second = (origins_of(ax) for ax in display.axes_)
    assert first == [HOURS[60]]
    assert second == [HOURS[120]]


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
