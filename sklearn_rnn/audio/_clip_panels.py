"""Panels of recordings: frames over time, one panel per clip."""

from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from sklearn_rnn.displays import MAX_PANELS, WIDTHS, import_matplotlib, tidy_grid

# Inches above the panels of one row for their title and, below the lowest, the axis.
AROUND, AXIS = 0.45, 0.35
# Inches: labels and colour bar beside a panel, a column of its picture (over a pixel),
# and the widest figure.
BESIDE, COLUMN, WIDEST = 2.0, 0.0105, 14.0


class TimeScale(NamedTuple):
    """The time axis of frames.

    `hop_seconds` is the time from one frame to the next, None to number them; a column
    of a picture stands for `subsampling` frames.
    """

    hop_seconds: float | None
    subsampling: float = 1

    def edges(self, n_columns):
        """Return the left edge of the first column and the right one of the last."""
        hop = 1 if self.hop_seconds is None else self.hop_seconds
        # Frame i is centred on i hops.
        return -0.5 * hop, (n_columns * self.subsampling - 0.5) * hop

    @property
    def label(self):
        """The axis label, with its unit."""
        return "frame" if self.hop_seconds is None else "time (s)"


class Front(NamedTuple):
    """The fitted part of an estimator that converts waveforms to frames."""

    transformer: Any  # from waveforms to frames
    spectrogram: Any  # its last step, a LogMelSpectrogram


def find_front(estimator):
    """Return the front of a fitted estimator, or None if it reads no sound."""
    if hasattr(estimator, "hop_seconds_"):
        return Front(estimator, estimator)
    if hasattr(estimator, "best_estimator_"):
        return find_front(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        for i, (_, step) in enumerate(estimator.steps):
            if hasattr(step, "hop_seconds_"):
                return Front(estimator[: i + 1], step)
    return None


def is_one_clip(X):
    """Return whether `X` is a single waveform, or the path of one."""
    if isinstance(X, (str, PathLike)):
        return True
    return isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "iuf"


def check_tables(tables, name):
    """Return one float64 table (n_frames_i, n_features) per clip.

    A single clip may be given as its table alone; `name` is used in errors.
    """
    is_one = len(tables) > 0 and all(np.ndim(row) == 1 for row in tables)
    tables = [tables] if is_one else tables
    if not 0 < len(tables) <= MAX_PANELS:
        raise ValueError(
            f"{name} holds {len(tables)} clips, and a figure can show 1 to "
            f"{MAX_PANELS}: choose some, such as the first, X[:{MAX_PANELS}]."
        )
    tables = [np.asarray(table, dtype=np.float64) for table in tables]
    for i, table in enumerate(tables):
        is_table = table.ndim == 2 and table.size > 0
        if not is_table or table.shape[1] != tables[0].shape[1]:
            raise ValueError(
                f"{name}[{i}] has shape {table.shape}: give one row per frame, at "
                f"least one, and as many columns for each clip as {name}[0] has."
            )
    return tables


def check_one_per_clip(values, tables, name):
    """Check that there is one value per clip; None stays None."""
    if values is None:
        return None
    values = [values] if isinstance(values, str) else list(values)
    if len(values) != len(tables):
        raise ValueError(
            f"{name} has {len(values)} entries for {len(tables)} clips: give one per "
            "clip."
        )
    return values


def make_clip_axes(display, ax, heights, *, n_columns=0, sharey=False):
    """Return one Axes per clip: of a new figure, or the given ones after a check.

    `heights` are in inches, one per clip; a new figure is wide enough for the
    `n_columns` of the longest picture. With `sharey` all pictures have the same rows.
    """
    plt = import_matplotlib(display).pyplot
    n_clips = len(heights)
    if ax is not None:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_clips:
            raise ValueError(
                f"ax holds {len(axes)} axes for {n_clips} clips: pass "
                f"plt.subplots({n_clips})[1], or None for a new figure."
            )
        return axes
    n_cols = 1 if n_clips <= 3 else 2 if n_clips <= 6 else 3
    rows = [max(heights[i : i + n_cols]) for i in range(0, n_clips, n_cols)]
    height = sum(rows) + AROUND * len(rows) + AXIS
    width = WIDTHS[n_cols]
    if n_cols == 1:
        width = np.clip(BESIDE + COLUMN * n_columns, width, WIDEST)
    _, grid = plt.subplots(
        len(rows),
        n_cols,
        figsize=(width, height),
        sharex=True,
        sharey=sharey,
        squeeze=False,
        layout="constrained",
        height_ratios=rows,
    )
    for unused in grid.flat[n_clips:]:
        unused.remove()
    return grid.ravel()[:n_clips]


def draw_table(ax, table, scale, options):
    """Draw a table (n_frames, n_rows) as a picture, with time to the right.

    Row j is at y = j; `options` are those of ``imshow``, including `origin`.
    """
    n_frames, n_rows = table.shape
    rows = (-0.5, n_rows - 0.5)
    if options["origin"] == "upper":
        rows = rows[::-1]
    options = {"aspect": "auto", "extent": (*scale.edges(n_frames), *rows), **options}
    image = ax.imshow(table.T, **options)
    ax.set_xlabel(scale.label)
    if scale.hop_seconds is None:
        ax.xaxis.get_major_locator().set_params(integer=True)
    return image


def finish_clip_axes(axes, images, label, *, is_new):
    """Finish the common time axis; add and return the common colour bar."""
    if is_new:
        # Of axes that share their limits, each picture would set its own.
        begins, ends = zip(*(image.get_extent()[:2] for image in images), strict=True)
        axes[0].set_xlim(min(begins), max(ends))
        tidy_grid(axes)
    return axes[0].figure.colorbar(images[0], ax=list(axes), label=label, pad=0.01)


def row_heights(axes):
    """Lay out the figure; return the height of a row of each picture, in points.

    All are measured at once, as laying out many takes seconds.
    """
    axes[0].figure.figure.draw_without_rendering()
    points = 72 / axes[0].figure.dpi
    rows = [ax.transData.transform([(0, 0), (0, 1)])[:, 1] for ax in axes]
    return [abs(high - low) * points for low, high in rows]


def sharpen(image):
    """Draw frames with sharp edges, unless there are more of them than pixels.

    Matplotlib averages neighbours in both directions where frames are narrow, so that
    rows would run into each other. The image's figure must be laid out.
    """
    n_rows, n_frames = image.get_array().shape
    left, right, low, high = image.get_extent()
    corners = image.axes.transData.transform([(left, low), (right, high)])
    width, height = np.abs(corners[1] - corners[0])
    if width >= n_frames and height >= n_rows:
        image.set_interpolation("nearest")
