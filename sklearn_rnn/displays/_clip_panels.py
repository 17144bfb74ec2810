"""Panels of recordings: frames over time, a panel a clip."""

from os import PathLike
from typing import NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from sklearn_rnn.displays._forecast_panels import MAX_PANELS
from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.displays._panel_grid import WIDTHS, tidy_grid

# Inches beside the panels of one row: their title and, of the lowest, the axis.
AROUND, AXIS = 0.45, 0.35
# Inches: what stands beside a panel, a column of its picture (over a pixel), and
# the widest figure.
BESIDE, COLUMN, WIDEST = 2.0, 0.0105, 14.0


class TimeScale(NamedTuple):
    """How frames lie on the axis of time.

    hop_seconds : float, seconds from one frame to the next, or None to number them
    subsampling : int, frames that one column of a picture stands for
    """

    hop_seconds: float | None
    subsampling: int = 1

    def edges(self, n_columns):
        """Return where the first of some columns begins and the last one ends."""
        hop = 1 if self.hop_seconds is None else self.hop_seconds
        # Frame i is centred on i hops.
        return -0.5 * hop, (n_columns * self.subsampling - 0.5) * hop

    @property
    def label(self):
        """What stands under the axis, with its unit."""
        return "frame" if self.hop_seconds is None else "time (s)"


class Front(NamedTuple):
    """What makes frames of waveforms inside an estimator.

    transformer : estimator, fitted, from waveforms to frames
    spectrogram : LogMelSpectrogram, fitted, the last part of it
    """

    transformer: object
    spectrogram: object


def find_front(estimator):
    """Find what makes frames of waveforms inside a fitted estimator.

    Parameters
    ----------
    estimator : estimator instance
        A `LogMelSpectrogram`, a pipeline with one, or a search over such.

    Returns
    -------
    Front or None
        None if there is none.
    """
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
    """Tell a single waveform, or the path of one, from several.

    Parameters
    ----------
    X : object
        As the user gave it.

    Returns
    -------
    bool
    """
    if isinstance(X, (str, PathLike)):
        return True
    return isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "iuf"


def read_tables(tables, name):
    """Read one table of numbers a clip.

    Parameters
    ----------
    tables : list, 3-D array, SequenceArray or object array of array-likes
        Of shape (n_frames_i, n_features) each; for a single clip also its
        table alone.
    name : str
        What they are called, for the errors.

    Returns
    -------
    list of ndarray of shape (n_frames_i, n_features), float64

    Raises
    ------
    ValueError
        If there are none, more than fit into a picture, or some are no such
        tables.

    Examples
    --------
    >>> from sklearn_rnn.displays._clip_panels import read_tables
    >>> read_tables([[1.0, 2.0], [3.0, 4.0]], "frames")
    [array([[1., 2.],
           [3., 4.]])]
    """
    is_one = len(tables) > 0 and all(np.ndim(row) == 1 for row in tables)
    tables = [tables] if is_one else tables
    if not 0 < len(tables) <= MAX_PANELS:
        raise ValueError(
            f"{name} holds {len(tables)} clips, and a picture has room for 1 to "
            f"{MAX_PANELS}: choose some, such as the first, X[:{MAX_PANELS}]."
        )
    tables = [np.asarray(table, dtype=np.float64) for table in tables]
    for i, table in enumerate(tables):
        is_table = table.ndim == 2 and table.size > 0
        if not is_table or table.shape[1] != tables[0].shape[1]:
            raise ValueError(
                f"{name}[{i}] has shape {table.shape}: give a row a frame, at least "
                f"one, and as many columns for each clip as {name}[0] has."
            )
    return tables


def check_one_each(values, tables, name):
    """Check that there is one value for each clip.

    Parameters
    ----------
    values : list or None
        As the user gave it.
    tables : list
        One a clip.
    name : str
        What the values are called, for the error.

    Returns
    -------
    list or None

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    if values is None:
        return None
    values = [values] if isinstance(values, str) else list(values)
    if len(values) != len(tables):
        raise ValueError(
            f"{name} has {len(values)} entries for {len(tables)} clips: give one for "
            "each."
        )
    return values


def make_clip_axes(owner, ax, heights, *, n_columns=0, sharey=False):
    """Make a figure with axes for each clip, or check those that were given.

    Parameters
    ----------
    owner : str
        Class of the display, for the errors.
    ax : Axes, array of Axes or None
        To draw in; None makes a new figure.
    heights : list of float
        Inches that the picture of each clip should be high.
    n_columns : int, default=0
        Columns of the longest picture, of which none should be lost.
    sharey : bool, default=False
        Whether all pictures have the same rows.

    Returns
    -------
    ndarray of Axes, of shape (n_clips,)

    Raises
    ------
    ValueError
        If there are more or fewer axes than clips.
    """
    plt = import_matplotlib(owner).pyplot
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
    """Draw a table as a picture: a column a frame, a row a column of the table.

    Parameters
    ----------
    ax : Axes
        To draw in.
    table : ndarray of shape (n_frames, n_rows)
        Row j of the picture is at y = j.
    scale : TimeScale
        Where the frames lie.
    options : dict
        For ``imshow``, its `origin` among them.

    Returns
    -------
    AxesImage
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
    """Put on what all panels share: the axis of time and the colour bar.

    Parameters
    ----------
    axes : ndarray of Axes
        One a clip.
    images : list of AxesImage
        One a clip, all with the same colours.
    label : str
        What the colours mean.
    is_new : bool
        Whether `make_clip_axes` made a figure for them.

    Returns
    -------
    Colorbar
    """
    if is_new:
        # Of axes that share their limits, each picture would set its own.
        begins, ends = zip(*(image.get_extent()[:2] for image in images), strict=True)
        axes[0].set_xlim(min(begins), max(ends))
        tidy_grid(axes)
    return axes[0].figure.colorbar(images[0], ax=list(axes), label=label, pad=0.01)


def row_heights(axes):
    """Lay a figure out, and tell how high a row of each picture is.

    Parameters
    ----------
    axes : ndarray of Axes
        One a clip. All are measured at once, as laying out many takes seconds.

    Returns
    -------
    list of float
        In points.
    """
    axes[0].figure.figure.draw_without_rendering()
    points = 72 / axes[0].figure.dpi
    rows = [ax.transData.transform([(0, 0), (0, 1)])[:, 1] for ax in axes]
    return [abs(high - low) * points for low, high in rows]


def sharpen(image):
    """Draw frames with sharp edges, unless there are more of them than pixels.

    Parameters
    ----------
    image : AxesImage
        Matplotlib averages neighbours in both directions where frames are
        narrow, so that rows would run into each other. Its figure is laid out.
    """
    n_rows, n_frames = image.get_array().shape
    left, right, low, high = image.get_extent()
    corners = image.axes.transData.transform([(left, low), (right, high)])
    width, height = np.abs(corners[1] - corners[0])
    if width >= n_frames and height >= n_rows:
        image.set_interpolation("nearest")
