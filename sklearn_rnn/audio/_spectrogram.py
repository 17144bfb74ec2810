"""SpectrogramDisplay: the spectrogram that a network reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

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
)

# Inches: height of the picture of a clip, alone and among others.
HEIGHT, HEIGHT_OF_SEVERAL = 3.0, 1.7
# Dynamic range of the colours, in dB below the loudest value: near silence they
# would show rounding errors.
RANGE_DB = 80.0
# Frequencies that may have a label, in Hz, and the minimum distance of labels as a
# multiple of their size.
LABELLED_HZ = np.multiply.outer(10.0 ** np.arange(1, 5), [1, 2, 5]).ravel()
GAP = 1.3
# Units of values, by the normalisation of the frames.
UNITS = {
    None: "level (dB)",
    "mean": "level above the band's mean (dB)",
    "standard": "level (standard deviations of the band)",
}


class Shown(NamedTuple):
    """The displayed features of a spectrogram, without differences over time."""

    n_features: int
    frequencies: np.ndarray | None  # (n_features,), in Hz
    unit: str


class SpectrogramDisplay:
    """Spectrograms of recordings: the level of each band over time.

    Each clip has a panel of its own: time runs to the right, frequency upwards on
    the mel scale, and all clips share the same colour scale.

    Create one with `from_estimator` or `from_predictions`, which set the
    parameters below.

    Parameters
    ----------
    frames : list of ndarray of shape (n_frames_i, n_features)
        Of each clip, float.
    hop_seconds : float, default=None
        Seconds from one frame to the next. None numbers the frames from 0.
    frequencies : ndarray of shape (n_features,), default=None
        Of each feature, in Hz, increasing. None numbers the features from 0.
    titles : list of str, default=None
        Title of each clip.
    unit : str, default=None
        Unit of the values. None is levels in dB if there are frequencies.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the panels.
    axes_ : ndarray of matplotlib.axes.Axes, of shape (n_clips,)
        The axes of all clips.
    images_ : list of matplotlib.image.AxesImage
        The picture of each clip: its array has shape (n_features, n_frames_i).
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar, common to all clips.

    See Also
    --------
    PosteriorDisplay : The probabilities that a transcriber predicts.

    Notes
    -----
    Frame i is centred on the time ``i * hop_seconds``. Levels more than 80 dB
    below the loudest value have the colour of silence. Of an estimator's cepstral
    coefficients the first, loudness, does not enter the limits of the colours.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SpectrogramDisplay
    >>> rising = -60 + 60 * np.eye(40)  # a tone that gets higher
    >>> display = SpectrogramDisplay.from_predictions(
    ...     [rising, rising[::-1]],
    ...     hop_seconds=0.01,
    ...     frequencies=np.linspace(100, 4000, 40),
    ...     titles=["up", "down"],
    ... )
    >>> [ax.get_title(loc="left") for ax in display.axes_]
    ['up', 'down']
    >>> display.axes_[1].get_xlabel(), display.colorbar_.ax.get_ylabel()
    ('time (s)', 'level (dB)')
    """

    def __init__(
        self,
        *,
        frames: Any,
        hop_seconds: float | None = None,
        frequencies: Sequence[float] | np.ndarray | None = None,
        titles: Sequence[str] | None = None,
        unit: str | None = None,
    ) -> None:
        self.frames = frames
        self.hop_seconds = hop_seconds
        self.frequencies = frequencies
        self.titles = titles
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        titles: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the spectrograms that an estimator computes of recordings.

        Parameters
        ----------
        estimator : LogMelSpectrogram, or a wrapper of one
            Fitted. Of a pipeline, the steps up to it are used; of a search, those
            of the best estimator. Differences over time are not drawn.
        X : list of array-like of shape (n_samples_i,)
            The waveforms, or other input of the estimator; also a single
            waveform. At most 12.
        titles : list of str, default=None
            Title of each clip.
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        SpectrogramDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no LogMelSpectrogram.
        ValueError
            If there are more clips than 12 or than axes, or another number of
            titles.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import LogMelSpectrogram, SpectrogramDisplay
        >>> from sklearn_rnn.datasets import load_drum_hits
        >>> drums = load_drum_hits()
        >>> spectrogram = LogMelSpectrogram(n_mels=32).fit(drums.data)
        >>> display = SpectrogramDisplay.from_estimator(
        ...     spectrogram, drums.data[:2], titles=drums.target[:2]
        ... )
        >>> len(display.images_), display.images_[0].get_array().shape[0]
        (2, 32)
        """
        check_is_fitted(estimator)
        front = find_front(estimator)
        if front is None:
            raise TypeError(
                f"{type(estimator).__name__} holds no fitted LogMelSpectrogram: "
                "pass one, or a pipeline with one among its steps."
            )
        clips = front.transformer.transform([X] if is_one_clip(X) else X)
        shown = _describe(front.spectrogram)
        # Differences over time are columns after the features themselves.
        frames = [np.asarray(clip)[:, : shown.n_features] for clip in clips]
        if shown.frequencies is None:
            kwargs = {**_limits_of(_without_first(frames)), **kwargs}
        return cls.from_predictions(
            frames,
            hop_seconds=front.spectrogram.hop_seconds_,
            frequencies=shown.frequencies,
            titles=titles,
            unit=shown.unit,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        frames: Any,
        *,
        hop_seconds: float | None = None,
        frequencies: Sequence[float] | np.ndarray | None = None,
        titles: Sequence[str] | None = None,
        unit: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given frames.

        Parameters
        ----------
        frames : list of array-like of shape (n_frames_i, n_features)
            Of each clip, as ``transform`` of a `LogMelSpectrogram` returns them;
            of a single clip also its frames alone. At most 12.
        hop_seconds : float, default=None
            Seconds from one frame to the next. None numbers the frames from 0.
        frequencies : array-like of shape (n_features,), default=None
            Of each feature, in Hz, increasing. None numbers the features from 0.
        titles : list of str, default=None
            Title of each clip.
        unit : str, default=None
            Unit of the values. None is levels in dB if there are frequencies.
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        SpectrogramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are more clips than 12 or than axes, or the numbers of titles
            or frequencies do not match the clips and features.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import SpectrogramDisplay
        >>> display = SpectrogramDisplay.from_predictions([[0.0, 1.0], [2.0, 3.0]])
        >>> display.images_[0].get_array().data  # time runs to the right
        array([[0., 2.],
               [1., 3.]])
        """
        frames = check_tables(frames, "frames")
        titles = check_one_per_clip(titles, frames, "titles")
        if frequencies is not None:
            frequencies = np.asarray(frequencies, dtype=np.float64)
            if frequencies.shape != (frames[0].shape[1],):
                raise ValueError(
                    f"frequencies has shape {frequencies.shape}, but the frames have "
                    f"{frames[0].shape[1]} features: give one per feature."
                )
        display = cls(
            frames=frames,
            hop_seconds=hop_seconds,
            frequencies=frequencies,
            titles=titles,
            unit=unit,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the clips.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of Axes, default=None
            Axes to draw in, one per clip; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        SpectrogramDisplay
            Itself, with `figure_`, `axes_`, `images_` and `colorbar_` set.

        Raises
        ------
        ValueError
            If there are more or fewer axes than clips.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import SpectrogramDisplay
        >>> display = SpectrogramDisplay(frames=[np.eye(3)], hop_seconds=0.02)
        >>> display.plot(cmap="gray").images_[0].get_extent()[1]  # seconds
        0.05
        """
        height = HEIGHT if len(self.frames) == 1 else HEIGHT_OF_SEVERAL
        self.axes_ = make_clip_axes(
            type(self).__name__, ax, [height] * len(self.frames), sharey=True
        )
        self.figure_ = self.axes_[0].figure
        scale = TimeScale(self.hop_seconds)
        options = {"cmap": "magma", "origin": "lower", **self._limits(), **kwargs}
        if "norm" in options:
            options = {k: options[k] for k in options if k not in ("vmin", "vmax")}
        self.images_ = [
            draw_table(axes, table, scale, options)
            for axes, table in zip(self.axes_, self.frames, strict=True)
        ]
        self._label_panels()
        unit = self.unit or (UNITS[None] if self._are_levels() else "value")
        self.colorbar_ = finish_clip_axes(
            self.axes_, self.images_, unit, is_new=ax is None
        )
        self._label_bands()
        return self

    def _are_levels(self):
        return self.frequencies is not None and self.unit in (None, UNITS[None])

    def _limits(self):
        """Return the smallest and the largest value with a colour of its own."""
        limits = _limits_of(self.frames)
        if self._are_levels():
            limits["vmin"] = max(limits["vmin"], limits["vmax"] - RANGE_DB)
        return limits

    def _label_panels(self):
        for i, axes in enumerate(self.axes_):
            axes.set_ylabel("feature" if self.frequencies is None else "frequency (Hz)")
            if self.titles is not None:
                axes.set_title(str(self.titles[i]), loc="left", parse_math=False)

    def _label_bands(self):
        """Label round frequencies at the bands that contain them."""
        if self.frequencies is None:
            for axes in self.axes_:
                axes.yaxis.get_major_locator().set_params(integer=True)
            return
        hz = self.frequencies
        inside = LABELLED_HZ[(LABELLED_HZ >= hz[0]) & (LABELLED_HZ <= hz[-1])]
        positions = np.interp(inside, hz, np.arange(len(hz)))
        for axes, height in zip(self.axes_, row_heights(self.axes_), strict=True):
            size = axes.yaxis.get_major_ticks(1)[0].label1.get_fontsize()
            shown = _keep_apart(positions, GAP * size / height)
            axes.set_yticks(positions[shown], [f"{f:g}" for f in inside[shown]])


def _describe(spectrogram):
    """Return what the features of a fitted LogMelSpectrogram are."""
    if spectrogram.n_mfcc is not None:
        return Shown(spectrogram.n_mfcc, None, "cepstral coefficient")
    hz = spectrogram.mel_frequencies_
    return Shown(len(hz), hz, UNITS[spectrogram.normalize])


def _limits_of(tables):
    return {
        "vmin": min(table.min() for table in tables),
        "vmax": max(table.max() for table in tables),
    }


def _without_first(tables):
    """Drop the first cepstral coefficient, loudness, which dwarfs the others."""
    return [table[:, 1:] if table.shape[1] > 1 else table for table in tables]


def _keep_apart(positions, gap):
    """Return the indices of positions to keep, from the top, with a minimum gap."""
    kept: list[int] = []
    for i in reversed(range(len(positions))):
        if not kept or positions[kept[-1]] - positions[i] >= gap:
            kept.append(i)
    return kept[::-1]
