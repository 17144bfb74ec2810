"""ForecastDisplay: forecasts with their intervals, and observed values."""

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from sklearn_rnn.displays import import_matplotlib, tidy_grid
from sklearn_rnn.estimators import inspect_model
from sklearn_rnn.forecasting._display_artists import draw_views
from sklearn_rnn.forecasting._display_panels import make_panels
from sklearn_rnn.forecasting._display_view import view_panel
from sklearn_rnn.forecasting._forecast import forecast
from sklearn_rnn.forecasting._panel_grid import (
    add_legend,
    check_axes,
    label_panel,
    make_axes,
)
from sklearn_rnn.preprocessing import find_keys, parse_targets


class ForecastDisplay:
    """Forecasts with their intervals, and observed values.

    The observed values are a grey line, the forecasts a coloured one. Quantiles
    symmetric around the median, such as 0.1 and 0.9, are the bounds of a band,
    the widest band being the lightest; other quantiles are thin lines. A thin
    line connects the last known value to the first forecast. Each series, and
    each target, has a panel of its own.

    Create one with `from_estimator` or `from_predictions`, which set the
    parameters below.

    Parameters
    ----------
    forecasts : DataFrame
        As `forecast` or `backtest` returns it: one row per forecast, with its
        time in the index or in a column. It needs a column ``prediction``;
        columns ``origin``, ``horizon``, ``target``, ``truth`` and quantiles
        such as ``q0.9`` are optional.
    history : DataFrame or Series, default=None
        Observed values: a pandas or polars table with the column of the
        target, or a Series. None draws the ``truth`` of a backtest.
    time : str, default=None
        Column that holds the times; None takes the column ``time`` of the
        forecasts, or the index.
    group_by : str or list of str, default=None
        Column or columns that identify several series, in both tables; None takes
        those of `forecast` and `backtest`.
    target : str or list of str, default=None
        Targets to draw, None for all; where the forecasts are of one, the
        column of `history` with its observed values.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the panels.
    ax_ : matplotlib.axes.Axes
        The axes of the first panel.
    axes_ : ndarray of matplotlib.axes.Axes, of shape (n_panels,)
        The axes of all panels: series by series, target by target.
    lines_ : list of matplotlib.lines.Line2D
        The lines of forecasts, panel by panel, one per origin.
    bands_ : list of matplotlib.collections.PolyCollection
        The bands between quantiles, line by line, the widest first.
    quantile_lines_ : list of matplotlib.lines.Line2D
        The quantiles that are in no band, line by line.
    history_lines_ : list of matplotlib.lines.Line2D
        The observed values, one line per panel that has them.
    legend_ : matplotlib.legend.Legend
        One for all panels.

    See Also
    --------
    sklearn_rnn.forecast : The forecasts alone.
    sklearn_rnn.backtest : Forecasts of times that are known.

    Notes
    -----
    Dates with a time zone are drawn in it. Periods are drawn at their start.
    Lines have gaps at missing values, and at steps much longer than the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn import ForecastDisplay
    >>> days = pd.date_range("2024-01-01", periods=5, freq="D")
    >>> sales = pd.Series([3.0, 5.0, 4.0], index=days[:3], name="sales")
    >>> forecasts = pd.DataFrame(
    ...     {
    ...         "origin": days[2],
    ...         "horizon": [1, 2],
    ...         "prediction": [4.2, 4.4],
    ...         "q0.1": [3.1, 2.9],
    ...         "q0.9": [5.3, 5.9],
    ...     },
    ...     index=days[3:],
    ... )
    >>> display = ForecastDisplay.from_predictions(forecasts, sales)
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['observed', 'forecast', '80 % interval']
    >>> display.ax_.get_ylabel()
    'sales'
    """

    def __init__(
        self,
        forecasts: pd.DataFrame,
        history: Any = None,
        *,
        time: str | None = None,
        group_by: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        self.forecasts = forecasts
        self.history = history
        self.time = time
        self.group_by = group_by
        self.target = target
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        newest: Any,
        *,
        future: Any = None,
        target: str | Sequence[str] | None = None,
        horizon: int | Sequence[int] | None = None,
        freq: Any = None,
        time: str | None = None,
        group_by: str | Sequence[str] | None = None,
        static: str | Sequence[str] | None = None,
        n_paths: int = 100,
        random_state: int | np.random.RandomState | None = None,
        series: Any = None,
        n_history: int | None = None,
        ylabel: str | dict[str, str] | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Forecast the times after the newest rows of a table, and draw it.

        Parameters
        ----------
        model : estimator instance
            Fitted on what `make_forecast_frame` made of an earlier table.
        newest : DataFrame or Series
            The newest rows of every series, up to the last known one.
        future : DataFrame, default=None
            Values known in advance of future steps, as for `forecast`.
        target : str or list of str, default=None
            Targets of the model. None takes them from the names of y's
            columns in fit.
        horizon : int or list of int, default=None
            Steps ahead, as for `forecast`, also beyond those of the model. None takes
            them from the names of y's columns in fit.
        freq : str, offset, Timedelta or number, default=None
            The time between rows; None takes that of the windower in the
            model, or infers it from `newest`.
        time : str, default=None
            Column that holds the times; None takes that of the windower in
            the model, or the index.
        group_by : str or list of str, default=None
            Column or columns that identify series; None takes those of the windower.
        static : str or list of str, default=None
            Columns that stay as they are in the newest row of each series, as for
            `forecast`.
        n_paths : int, default=100
            Number of sampled paths per series, for quantiles beyond the horizon of the
            model.
        random_state : int, RandomState instance or None, default=None
            Seed of the paths; None samples others each time.
        series : label or list of labels, default=None
            Series to draw, in this order; None draws all. Of several columns a label
            is a tuple.
        n_history : int, default=None
            Rows of `newest` to draw, of each series, at least 1; None draws 4
            times the steps of a forecast, but at least 30.
        ylabel : str or dict of str to str, default=None
            Label of the values, such as their unit; of several targets, one
            per target. None takes the name of the target.
        ax : matplotlib.axes.Axes or array of them, default=None
            Axes to draw in, one per panel; None creates a figure.
        name : str, default=None
            Name of the model in the legend.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for the forecasts.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        InvalidSequenceError
            If the newest rows have gaps, or future steps are missing in
            `future`.
        ValueError
            If target or horizon are unknown, a series does not exist, or there
            are more panels than 12 or than axes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sklearn.linear_model import LinearRegression
        >>> from sklearn_rnn import ForecastDisplay, make_forecast_frame
        >>> days = pd.date_range("2024-01-01", periods=30, freq="D")
        >>> table = pd.DataFrame({"sales": np.arange(30.0)}, index=days)
        >>> X, Y = make_forecast_frame(table, target="sales", horizon=2)
        >>> display = ForecastDisplay.from_estimator(
        ...     LinearRegression().fit(X, Y), table, target="sales", horizon=2
        ... )
        >>> display.lines_[0].get_ydata()
        array([30., 31.])
        """
        keys = find_keys(newest, time, group_by, freq, inspect_model(model).keys)
        time, group_by = keys.time, keys.group_by
        forecasts = forecast(
            model,
            newest,
            future=future,
            target=target,
            horizon=horizon,
            freq=freq,
            time=time,
            group_by=group_by,
            static=static,
            n_paths=n_paths,
            random_state=random_state,
        )
        target = _targets_of(model) if target is None else target
        display = cls(
            forecasts, newest, time=time, group_by=group_by, target=target, name=name
        )
        return display.plot(
            ax=ax, series=series, n_history=n_history, ylabel=ylabel, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        forecasts: pd.DataFrame,
        history: Any = None,
        *,
        time: str | None = None,
        group_by: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        series: Any = None,
        n_history: int | None = None,
        n_origins: int = 6,
        at_horizon: int | None = None,
        ylabel: str | dict[str, str] | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given forecasts, also those of a backtest.

        Parameters
        ----------
        forecasts : DataFrame
            As `forecast` or `backtest` returns it.
        history : DataFrame or Series, default=None
            Observed values: a pandas or polars table with the column of the
            target, or a Series. None draws the ``truth`` of a backtest.
        time : str, default=None
            Column that holds the times; None takes the column ``time`` of the
            forecasts, or the index.
        group_by : str or list of str, default=None
            Column or columns that identify several series, in both tables; None
            takes those of `forecast` and `backtest`.
        target : str or list of str, default=None
            Which targets to draw, None for all; where the forecasts are of
            one, the column of `history` with its true values.
        series : label or list of labels, default=None
            Series to draw, in this order; None draws all. Of several columns a label
            is a tuple.
        n_history : int, default=None
            Rows of `history` to draw before the first forecast, of each
            series, at least 1; None draws 4 times the steps of a forecast,
            but at least 30.
        n_origins : int, default=6
            Maximum number of a backtest's forecasts to draw, at least 1. They
            do not overlap, and are spread evenly over its newest part, or over
            all of it if they remain wide enough to be seen.
        at_horizon : int, default=None
            Draw one line through all the forecasts this many steps ahead
            instead.
        ylabel : str or dict of str to str, default=None
            Label of the values, such as their unit; of several targets, one
            per target. None takes the name of the target.
        ax : matplotlib.axes.Axes or array of them, default=None
            Axes to draw in, one per panel; None creates a figure.
        name : str, default=None
            Name of the model in the legend.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for the forecasts.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a table lacks a column or rows, or there are more panels than 12
            or than axes.
        TypeError
            If `history` is no table.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_rnn import ForecastDisplay
        >>> forecasts = pd.DataFrame(
        ...     {
        ...         "shop": ["east", "west"],
        ...         "origin": 9,
        ...         "horizon": 1,
        ...         "prediction": [4.0, 7.0],
        ...     },
        ...     index=[10, 10],
        ... )
        >>> display = ForecastDisplay.from_predictions(forecasts)
        >>> [ax.get_title(loc="left") for ax in display.axes_]
        ['east', 'west']
        """
        display = cls(
            forecasts, history, time=time, group_by=group_by, target=target, name=name
        )
        return display.plot(
            ax=ax,
            series=series,
            n_history=n_history,
            n_origins=n_origins,
            at_horizon=at_horizon,
            ylabel=ylabel,
            **kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        series: Any = None,
        n_history: int | None = None,
        n_origins: int = 6,
        at_horizon: int | None = None,
        ylabel: str | dict[str, str] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the forecasts.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            Axes to draw in, one per panel; None creates a figure.
        series : label or list of labels, default=None
            Series to draw, in this order; None draws all. Of several columns a label
            is a tuple.
        n_history : int, default=None
            Rows of `history` to draw before the first forecast, of each
            series, at least 1; None draws 4 times the steps of a forecast,
            but at least 30.
        n_origins : int, default=6
            Maximum number of a backtest's forecasts to draw, at least 1. They
            do not overlap, and are spread evenly over its newest part, or over
            all of it if they remain wide enough to be seen.
        at_horizon : int, default=None
            Draw one line through all the forecasts this many steps ahead
            instead.
        ylabel : str or dict of str to str, default=None
            Label of the values, such as their unit; of several targets, one
            per target. None takes the name of the target.
        name : str, default=None
            Name of the model in the legend; None takes that of the display.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for the forecasts.

        Returns
        -------
        ForecastDisplay
            Itself, with the attributes set that end in ``_``.

        Raises
        ------
        ValueError
            If a table lacks a column or rows, or there are more panels than 12
            or than axes.
        TypeError
            If `history` is no table.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_rnn import ForecastDisplay
        >>> forecasts = pd.DataFrame({"prediction": [4.2, 4.4]}, index=[10, 11])
        >>> display = ForecastDisplay(forecasts).plot(name="GRU", ylabel="sales (t)")
        >>> display.ax_.get_ylabel(), display.lines_[0].get_label()
        ('sales (t)', 'GRU')
        """
        matplotlib = import_matplotlib(type(self).__name__)
        options = matplotlib.cbook.normalize_kwargs(kwargs, matplotlib.lines.Line2D)
        _check_counts(n_history=n_history, n_origins=n_origins, at_horizon=at_horizon)
        panels, time_axis = make_panels(
            self.forecasts,
            self.history,
            time=self.time,
            group_by=self.group_by,
            target=self.target,
            series=series,
        )
        views = [
            view_panel(
                p, n_history=n_history, n_origins=n_origins, at_horizon=at_horizon
            )
            for p in panels
        ]
        self.axes_ = make_axes(panels) if ax is None else check_axes(ax, panels)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        artists = draw_views(self.axes_, views, options, name or self.name, at_horizon)
        self.history_lines_, self.lines_, self.bands_, self.quantile_lines_ = artists
        for panel, axes in zip(panels, self.axes_, strict=True):
            label_panel(axes, panel, time_axis, ylabel)
        if ax is None:
            tidy_grid(self.axes_)
        self.legend_ = add_legend(self.axes_, artists, is_outside=ax is None)
        return self


def _check_counts(**counts):
    for name, count in counts.items():
        is_count = isinstance(count, numbers.Integral) and int(count) >= 1
        if not is_count and (count is not None or name == "n_origins"):
            or_none = "" if name == "n_origins" else ", or None"
            raise ValueError(
                f"{name} must be an int of at least 1{or_none}, got {count!r}."
            )


def _targets_of(model):
    """Return the targets in the names of y's columns in fit, or None."""
    targets = parse_targets(inspect_model(model).target_names)
    return list(dict.fromkeys(name for name, _ in targets)) or None
