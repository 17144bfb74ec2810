"""Artists of forecasts: lines, bands, and their handles in a legend."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_rnn.displays import import_matplotlib
from sklearn_rnn.forecasting._bands import pair_quantiles
from sklearn_rnn.forecasting._display_view import lone_points

# Opacity of each band; bands overlap.
BAND_ALPHA = 0.2
# Line width in points of a band of a single step, whose area is empty.
LONE_BAND_WIDTH = 5


class Artists(NamedTuple):
    """Everything drawn, panel by panel and path by path."""

    history_lines: list
    lines: list
    bands: list  # of a path the widest first
    quantile_lines: list


def draw_views(axes, views, options, name, at_horizon):
    """Draw the view of each panel.

    `options` are those of the lines of forecasts, under matplotlib's long names;
    `name` is that of the model, `at_horizon` the steps ahead that all forecasts share,
    or None.
    """
    artists = Artists([], [], [], [])
    defaults = {"label": _line_label(name, at_horizon), "zorder": 3}
    if at_horizon is not None:
        defaults["linewidth"] = 1.2  # long and close to the observed values
    options = {**defaults, **options}
    prefix = f"{name}, " if name else ""
    for ax, view in zip(axes, views, strict=True):
        if view.observed is not None:
            artists.history_lines.append(_draw_observed(ax, view.observed))
        for path in view.paths:
            line = _draw_line(ax, path.values["prediction"], options)
            # The first takes the next colour of its axes; the others share it.
            options = {"color": line.get_color(), **options}
            artists.lines.append(line)
            _draw_quantiles(ax, path.values, line, prefix, artists)
            if path.origin is not None:
                _draw_start(ax, path, line)
    return artists


def band_patches(bands):
    """Return patches that look as the bands of one path do where they overlap."""
    matplotlib = import_matplotlib("ForecastDisplay")
    return [
        matplotlib.patches.Patch(
            facecolor=band.get_facecolor()[0][:3],
            alpha=1 - (1 - BAND_ALPHA) ** depth,
            linewidth=0,
            label=band.get_label(),
        )
        for depth, band in enumerate(bands, 1)
    ]


def _line_label(name, at_horizon):
    label = name or "forecast"
    if at_horizon is None:
        return label
    return f"{label}, {at_horizon} step{'s' if at_horizon > 1 else ''} ahead"


def _draw_line(ax, values, options):
    # A line through one point would be invisible.
    lone = lone_points(values.to_numpy())
    if lone and "marker" not in options:
        options = {"marker": "o", "markersize": 4, "markevery": lone, **options}
    [line] = ax.plot(values.index.to_numpy(), values.to_numpy(), **options)
    return line


def _draw_observed(ax, observed):
    options = {
        "label": "observed",
        "linewidth": 1.2,
        "zorder": 2,
        "color": _grey(ax, 0.6),
    }
    return _draw_line(ax, observed, options)


def _draw_quantiles(ax, values, line, prefix, artists):
    color, times = line.get_color(), values.index.to_numpy()
    bands, unpaired = pair_quantiles(values.columns)
    for band in bands:
        lower, upper = values[band.lower].to_numpy(), values[band.upper].to_numpy()
        is_lone = len(lone_points(lower + upper)) == np.isfinite(lower + upper).sum()
        artists.bands.append(
            ax.fill_between(
                times,
                lower,
                upper,
                color=color,
                alpha=BAND_ALPHA,
                linewidth=LONE_BAND_WIDTH if is_lone else 0,
                zorder=1,
                label=prefix + band.label,
            )
        )
    for column, label in unpaired.items():
        if label == "median" and np.allclose(
            values[column], values["prediction"], equal_nan=True
        ):
            continue
        style = {"linestyle": ":" if label == "median" else "--", "linewidth": 1}
        style |= {"color": color, "zorder": 3, "label": prefix + label}
        artists.quantile_lines.append(_draw_line(ax, values[column], style))


def _draw_start(ax, path, line):
    """Mark the last known time, and connect it to the first forecast."""
    style = {"linewidth": 0.8, "linestyle": ":", "color": _grey(ax, 0.5)}
    ax.axvline(path.origin, zorder=0.5, **style)
    if np.isnan(path.start):
        return
    first = path.values["prediction"]
    ax.plot(
        pd.Index([path.origin, first.index[0]]).to_numpy(),
        [path.start, first.iloc[0]],
        color=line.get_color(),
        linewidth=0.5 * line.get_linewidth(),
        zorder=line.get_zorder(),
        alpha=0.7,
    )


def _grey(ax, strength):
    """Return a mix of text and background colours, which suits dark ones, too."""
    matplotlib = import_matplotlib("ForecastDisplay")
    text = matplotlib.colors.to_rgb(matplotlib.rcParams["text.color"])
    background = matplotlib.colors.to_rgb(ax.get_facecolor())
    return tuple(strength * np.array(text) + (1 - strength) * np.array(background))
