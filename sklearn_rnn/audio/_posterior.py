"""PosteriorDisplay: a transcriber's probabilities of symbols at each step."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sklearn_rnn.audio._clip_panels import (
    TimeScale,
    check_one_per_clip,
    check_tables,
    draw_table,
    find_front,
    finish_clip_axes,
    is_one_clip,
    make_clip_axes,
    row_heights,
    sharpen,
)
from sklearn_rnn.displays import SMALLEST, fitting_style, import_matplotlib, printable
from sklearn_rnn.estimators import check_has_method, find_trained_and_input

# Label of the lowest row; in brackets, to differ from symbols.
BLANK = "<blank>"
# Inches: a row of a picture, and the height of the picture of a clip: minimum,
# maximum alone, and maximum among others.
ROW, LEAST, MOST, MOST_OF_SEVERAL = 0.21, 0.9, 6.0, 3.0
# Maximum number of symbols of a clip that have a row, so that all rows have a label.
MAX_SYMBOLS = 30
# Points. A title may be two long lines.
TITLE_SIZE = 10


class PosteriorDisplay:
    """A transcriber's probability of each symbol at each step.

    Each clip has a panel of its own: time runs to the right, symbols are rows, the
    one that peaks first on top, so that the text descends from the left. The
    lowest row is the blank, which a network trained by CTC puts between symbols:
    their peaks are narrow, and mark where the network was confident, not where
    the sound begins or ends.

    Create one with `from_estimator` or `from_predictions`, which set the
    parameters below.

    Parameters
    ----------
    posteriors : list of ndarray of shape (n_steps_i, 1 + n_symbols)
        Of each clip, the probability of the blank and of each symbol, float.
    symbols : list
        The symbols, in the order of the columns after the first.
    y_pred : list of str or list of symbols, default=None
        Predicted text of each clip, shown in the title.
    y_true : list of str or list of symbols, default=None
        True text of each clip, shown in the title.
    hop_seconds : float, default=None
        Seconds from one frame to the next. None numbers the frames from 0.
    subsampling : float, default=1
        Frames per step of the posteriors; a fraction with upsampling.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the panels.
    axes_ : ndarray of matplotlib.axes.Axes, of shape (n_clips,)
        The axes of all clips.
    images_ : list of matplotlib.image.AxesImage
        The heat map of each clip: its array has shape (n_rows_i, n_steps_i).
    rows_ : list of ndarray of int of shape (n_rows_i,)
        Column of the posteriors in each row of each clip, from the top: 0 is the
        blank, which comes last. Of more than 30 symbols the most probable have
        rows.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar, common to all clips.

    See Also
    --------
    SpectrogramDisplay : The spectrogram of the transcriber's input.
    AttentionDisplay : The alignment of an encoder-decoder.

    References
    ----------
    Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal
    classification: labelling unsegmented sequence data with recurrent neural
    networks", ICML 2006.

    Examples
    --------
    >>> from sklearn_rnn import PosteriorDisplay
    >>> posteriors = [[0.1, 0.1, 0.8], [0.9, 0.0, 0.1], [0.1, 0.9, 0.0]]
    >>> display = PosteriorDisplay.from_predictions(posteriors, "ab", y_pred=["ba"])
    >>> [label.get_text() for label in display.axes_[0].get_yticklabels()]
    ['b', 'a', '<blank>']
    >>> display.axes_[0].get_title(loc="left")
    'predicted: ba'
    """

    def __init__(
        self,
        *,
        posteriors: Any,
        symbols: Sequence,
        y_pred: Sequence | None = None,
        y_true: Sequence | None = None,
        hop_seconds: float | None = None,
        subsampling: float = 1,
    ) -> None:
        self.posteriors = posteriors
        self.symbols = symbols
        self.y_pred = y_pred
        self.y_true = y_true
        self.hop_seconds = hop_seconds
        self.subsampling = subsampling

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Sequence | None = None,
        *,
        min_probability: float = 0.05,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the posteriors of a fitted transcriber for recordings.

        Parameters
        ----------
        estimator : RNNTranscriber, or a wrapper of one
            Fitted. A pipeline that ends in one transforms `X` first, and with a
            `LogMelSpectrogram` time is in seconds; of a search, the best
            estimator is used.
        X : like the X of fit
            The sequences to draw; for a pipeline that reads sound also a single
            waveform. At most 12.
        y : list of str or list of symbols, default=None
            True text of each, shown with the prediction.
        min_probability : float, default=0.05
            Symbols with a lower probability in the whole clip have no row in
            its panel.
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        PosteriorDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no transcriber.
        ValueError
            If there are more clips than 12 or than axes, or `y` has another
            number of texts.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import PosteriorDisplay, RNNTranscriber
        >>> X = [np.eye(3)[[0, 1, 0, 2, 0]], np.eye(3)[[0, 2, 2, 0, 1]]]
        >>> model = RNNTranscriber(hidden_size=4, max_epochs=1, random_state=0)
        >>> model = model.fit(X, ["ab", "ba"])
        >>> display = PosteriorDisplay.from_estimator(model, X, ["ab", "ba"])
        >>> [ax.get_title(loc="left").splitlines()[0] for ax in display.axes_]
        ['true: ab', 'true: ba']
        """
        front = find_front(estimator)
        if front is not None and is_one_clip(X):
            X, y = [X], None if y is None else [y]
        trained, X = find_trained_and_input(estimator, X)
        check_has_method(trained, "posteriors")
        return cls.from_predictions(
            trained.posteriors(X),
            trained.symbols_,
            y_pred=trained.predict(X),
            y_true=y,
            hop_seconds=None if front is None else front.spectrogram.hop_seconds_,
            subsampling=trained.subsampling / trained.upsampling,
            min_probability=min_probability,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        posteriors: Any,
        symbols: Sequence,
        *,
        y_pred: Sequence | None = None,
        y_true: Sequence | None = None,
        hop_seconds: float | None = None,
        subsampling: float = 1,
        min_probability: float = 0.05,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given posteriors.

        Parameters
        ----------
        posteriors : list of array-like of shape (n_steps_i, 1 + n_symbols)
            Of each clip, the probability of the blank and of each symbol, as
            ``posteriors`` of a transcriber returns them; of a single clip also
            its posteriors alone. At most 12.
        symbols : array-like of shape (n_symbols,) or str
            The symbols, in the order of the columns after the first. A str is a
            list of its characters.
        y_pred : list of str or list of symbols, default=None
            Predicted text of each clip, shown in the title.
        y_true : list of str or list of symbols, default=None
            True text of each clip, shown in the title.
        hop_seconds : float, default=None
            Seconds from one frame to the next. None numbers the frames from 0.
        subsampling : float, default=1
            Frames per step of the posteriors; a fraction with upsampling.
        min_probability : float, default=0.05
            Symbols with a lower probability in the whole clip have no row in
            its panel.
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        PosteriorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are more clips than 12 or than axes, or the numbers of symbols
            or texts do not match the columns and clips.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import PosteriorDisplay
        >>> display = PosteriorDisplay.from_predictions(
        ...     [[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], "ab", hop_seconds=0.01
        ... )
        >>> display.rows_[0]  # "b" is improbable everywhere
        array([1, 0])
        >>> display.axes_[0].get_xlabel()
        'time (s)'
        """
        posteriors, symbols = check_tables(posteriors, "posteriors"), list(symbols)
        n_columns = posteriors[0].shape[1]
        if len(symbols) != n_columns - 1:
            raise ValueError(
                f"symbols has {len(symbols)} symbols for {n_columns} columns of "
                f"posteriors, of which the first is the blank: give {n_columns - 1}."
            )
        display = cls(
            posteriors=posteriors,
            symbols=symbols,
            y_pred=check_one_per_clip(y_pred, posteriors, "y_pred"),
            y_true=check_one_per_clip(y_true, posteriors, "y_true"),
            hop_seconds=hop_seconds,
            subsampling=subsampling,
        )
        return display.plot(ax=ax, min_probability=min_probability, **kwargs)

    def plot(
        self, ax: Any = None, *, min_probability: float = 0.05, **kwargs: Any
    ) -> Self:
        """Draw the clips.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        min_probability : float, default=0.05
            Symbols with a lower probability in the whole clip have no row in
            its panel.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        PosteriorDisplay
            Itself, with `figure_`, `axes_`, `images_`, `rows_` and `colorbar_`
            set.

        Raises
        ------
        ValueError
            If there are more or fewer axes than clips.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import PosteriorDisplay
        >>> display = PosteriorDisplay(
        ...     posteriors=[np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]])],
        ...     symbols=["a", "b"],
        ... )
        >>> display.plot(min_probability=0.2).rows_[0]
        array([1, 0])
        """
        import_matplotlib(type(self).__name__)
        self.rows_ = [_choose_rows(table, min_probability) for table in self.posteriors]
        self.axes_ = make_clip_axes(
            type(self).__name__,
            ax,
            heights=self._heights(),
            n_columns=max(len(table) for table in self.posteriors),
        )
        self.figure_ = self.axes_[0].figure
        scale = TimeScale(self.hop_seconds, self.subsampling)
        limits = {} if "norm" in kwargs else {"vmin": 0, "vmax": 1}
        options = {"cmap": "Blues", "origin": "upper", **limits, **kwargs}
        self.images_ = [
            draw_table(axes, table[:, rows], scale, options)
            for axes, table, rows in zip(
                self.axes_, self.posteriors, self.rows_, strict=True
            )
        ]
        for i, axes in enumerate(self.axes_):
            self._write_title(axes, i)
        self.colorbar_ = finish_clip_axes(
            self.axes_, self.images_, "probability", is_new=ax is None
        )
        self._label_rows()
        if "interpolation" not in kwargs:
            for image in self.images_:
                sharpen(image)
        return self

    def _heights(self):
        most = MOST if len(self.rows_) == 1 else MOST_OF_SEVERAL
        return [np.clip(ROW * len(rows), LEAST, most) for rows in self.rows_]

    def _write_title(self, axes, i):
        texts = {"true": self.y_true, "predicted": self.y_pred}
        lines = [
            f"{key}: {_as_line(of_clips[i])}"
            for key, of_clips in texts.items()
            if of_clips is not None
        ]
        title = axes.set_title("", loc="left", size=TITLE_SIZE, parse_math=False)
        width = axes.get_window_extent().width
        title.set_text("\n".join(_shorten(line, title, width) for line in lines))

    def _label_rows(self):
        names = [BLANK, *map(printable, self.symbols)]
        for axes, rows in zip(self.axes_, self.rows_, strict=True):
            # At full size first, as their width determines that of the panels.
            labels = [names[row] for row in rows]
            axes.set_yticks(range(len(rows)), labels, parse_math=False)
            axes.axhline(len(rows) - 1.5, color="gray", linewidth=0.8)
        for axes, height in zip(self.axes_, row_heights(self.axes_), strict=True):
            _fit_labels(axes, height)


def _fit_labels(axes, height):
    """Label rows in a font that fits their height, the blank's row always."""
    labels = axes.get_yticklabels()
    names = [label.get_text() for label in labels]
    size = fitting_style(labels, np.inf, height)["fontsize"]
    every = int(np.ceil(SMALLEST / size))
    rows = range((len(names) - 1) % every, len(names), every)
    size = max(size, SMALLEST)
    shown = [names[row] for row in rows]
    axes.set_yticks(rows, shown, parse_math=False, fontsize=size)


def _choose_rows(table, least):
    """Return the columns to draw: symbols by the time of their peak, then the blank."""
    peaks, times = table.max(axis=0), table.argmax(axis=0)
    shown = 1 + np.argsort(-peaks[1:], kind="stable")[:MAX_SYMBOLS]
    shown = shown[peaks[shown] >= least]
    # Of those that peak at the same time, the most probable comes first.
    order = np.lexsort([-peaks[shown], times[shown]])
    return np.append(shown[order], 0)


def _as_line(sequence):
    """Return a text, or a list of symbols, as one line."""
    if isinstance(sequence, str):
        return "".join(c if c.isprintable() else printable(c) for c in sequence)
    return " ".join(map(printable, sequence))


def _shorten(line, text, width):
    """Truncate a line to a width in pixels, which `text` measures."""
    text.set_text(line)
    fraction = width / max(1.0, text.get_window_extent().width)
    # A wide line would take width from all panels.
    return line if fraction >= 1 else line[: int(fraction * len(line)) - 1] + "…"
