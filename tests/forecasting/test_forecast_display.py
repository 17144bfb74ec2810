"""Pictures of forecasts."""

from itertools import pairwise

import numpy as np
import pandas as pd
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
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from sklearn_rnn import (
    ForecastDisplay,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


QUANTILES = ["q0.025", "q0.1", "q0.5", "q0.9", "q0.975"]


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
