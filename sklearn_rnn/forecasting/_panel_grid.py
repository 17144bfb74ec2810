"""Panels in a grid: axes, labels and a common legend."""

from typing import Any

import numpy as np

from sklearn_rnn.displays import WIDTHS, import_matplotlib
from sklearn_rnn.forecasting._display_artists import band_patches

# Inches: height of one panel, of one row of several, and of the legend.
HEIGHT, ROW_HEIGHT, LEGEND_HEIGHT = 3.4, 2.1, 0.5
# Maximum number of intervals between labelled values, in one panel and in one of
# several.
N_TICKS, N_TICKS_OF_ROW = 8, 5
# Inches: width of a legend's entry without text, and of each letter.
ENTRY_WIDTH, LETTER_WIDTH = 0.6, 0.085


def make_axes(panels):
    """Create a figure; return its axes, one per panel."""
    n_panels, n_cols = len(panels), _count_columns(panels)
    n_rows = -(-n_panels // n_cols)
    height = HEIGHT if n_panels == 1 else LEGEND_HEIGHT + ROW_HEIGHT * n_rows
    _, grid = import_matplotlib("ForecastDisplay").pyplot.subplots(
        n_rows,
        n_cols,
        figsize=(WIDTHS[n_cols], height),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for ax in grid.flat:
        # If it depended on the height, the layout might measure other labels than
        # the final ones, and cut off what is beside them.
        ax.locator_params(axis="y", nbins=N_TICKS if n_panels == 1 else N_TICKS_OF_ROW)
    for unused in grid.flat[n_panels:]:
        unused.remove()
    return grid.ravel()[:n_panels]


def check_axes(ax, panels):
    """Return the given axes after a check that there is one per panel."""
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != len(panels):
        raise ValueError(
            f"ax holds {len(axes)} axes for {len(panels)} panels, one per series "
            f"and target: pass plt.subplots({len(panels)})[1], or None to create them."
        )
    return axes


def label_panel(ax, panel, time_axis, ylabel):
    """Set title and labels of a panel; `ylabel` may be one per target."""
    time_axis.label(ax)
    ax.spines[["top", "right"]].set_visible(False)
    if panel.series is not None:
        labels = panel.series if isinstance(panel.series, tuple) else (panel.series,)
        title = ", ".join(map(str, labels))
        ax.set_title(title, loc="left", parse_math=False)
    if isinstance(ylabel, dict):
        ylabel = ylabel.get(panel.target)
    if ylabel is None and panel.target is not None:
        ylabel = str(panel.target)
    if ylabel is not None:
        ax.set_ylabel(ylabel)


def add_legend(axes, artists, *, is_outside):
    """Add one legend for all panels; it keeps the entries of an earlier one.

    With `is_outside` the figure was made for the panels, with space above them.
    """
    matplotlib = import_matplotlib("ForecastDisplay")
    figure = axes[0].figure
    old = figure.legends[0] if figure.legends else axes[0].get_legend()
    entries: dict[tuple, Any] = {}
    for handle, label in [*_entries_of(old), *_new_entries(artists)]:
        color = handle.get_facecolor() if _is_patch(handle) else handle.get_color()
        # Observed values have one entry, however many models are drawn.
        entries.setdefault((label, matplotlib.colors.to_rgb(color)), handle)
    labels = [label for label, _ in entries]
    options: dict[str, Any] = {"handles": list(entries.values()), "labels": labels}
    was_outside = old in figure.legends
    if old is not None:
        old.remove()
    if not (is_outside or was_outside):
        return axes[0].legend(fontsize="small", **options)
    n_columns = _count_legend_columns(labels, figure.get_figwidth())
    options |= {"ncols": n_columns, "frameon": False}
    return figure.legend(loc="outside upper center", **options)


def _entries_of(legend):
    if legend is None:
        return []
    labels = [text.get_text() for text in legend.get_texts()]
    return list(zip(legend.legend_handles, labels, strict=True))


def _new_entries(artists):
    """Return legend entries for the artists of the first path, narrow bands first."""
    n_bands = len({band.get_label() for band in artists.bands})
    handles = [
        *artists.history_lines[:1],
        *artists.lines[:1],
        *reversed(band_patches(artists.bands[:n_bands])),
        *artists.quantile_lines,
    ]
    return [(handle, handle.get_label()) for handle in handles]


def _is_patch(handle):
    return hasattr(handle, "get_facecolor")


def _count_legend_columns(labels, width):
    """Return how many columns fit; entries are ordered column by column."""
    inches = [ENTRY_WIDTH + LETTER_WIDTH * len(label) for label in labels]
    for n_columns in range(len(labels), 1, -1):
        parts = np.array_split(inches, n_columns)
        if sum(part.max() for part in parts) <= width:
            return n_columns
    return 1


def _count_columns(panels):
    n_targets = len({panel.target for panel in panels})
    n_panels = len(panels)
    if 1 < n_targets < n_panels and n_targets <= max(WIDTHS):
        return n_targets  # one row per series, one column per target
    if n_panels <= 3:
        return 1
    return 2 if n_panels <= 6 else 3
