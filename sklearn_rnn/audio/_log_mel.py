"""LogMelSpectrogram: sound as sequences of log-mel frames."""

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._exceptions import SklearnRNNWarning, user_stacklevel
from sklearn_rnn._html import DescribedParameters
from sklearn_rnn._plain_state import PlainState
from sklearn_rnn.audio._augmentation import Augmentation, ClipAugmenter
from sklearn_rnn.audio._mel import (
    MelSettings,
    extract,
    hann_window,
    mel_edges,
    mel_filters,
)
from sklearn_rnn.audio._waveforms import (
    MAX_RATE,
    are_apart,
    list_clips,
    load_waveforms,
    loudest_of,
)
from sklearn_rnn.preprocessing import FixedOutput
from sklearn_rnn.sequences import COUNT, SequenceArray, Transforms, shares_rows

# Longer windows and hops given in seconds are more likely meant in samples or
# milliseconds: 8 seconds at 16 kHz.
MAX_SAMPLES = 2**17
# Augmentation beyond these is a mistake: no sound has such a range or length.
MAX_DB, MAX_MASKS, MAX_SHIFT = 200, 1000, 2**30


class LogMelSpectrogram(
    FixedOutput, PlainState, DescribedParameters, TransformerMixin, BaseEstimator
):
    """Turn sound into sequences of log-mel frames, or of MFCC.

    A frame is the power of a short window of the sound in mel bands, in dB:
    ``10 * log10(max(power, floor))``. Frame i is centred on second
    ``i * hop_length``; where its window reaches beyond the clip there are
    zeros. A clip of n samples has ``1 + n // hop`` frames.

    With augmentation, an estimator that trains on what `fit_transform`
    returns sees each clip augmented differently in every epoch: first its
    waveform (`shift`, `noise_snr`, `gain`), then its log-mel values (masks).
    What `transform` returns is never augmented.

    Parameters
    ----------
    sample_rate : int, default=16000
        Samples per second (Hz) of the sound that spectra are computed of. Files and
        pairs of another rate are resampled; plain arrays are taken to have it.
    win_length : float or int, default=0.025
        Length of a window: seconds if a float, samples if an int.
    hop_length : float or int, default=0.01
        From one frame to the next: seconds if a float, samples if an int.
    n_fft : int, default=None
        Samples that a spectrum is computed of: those of the window, padded with
        zeros. None takes the smallest power of two that holds a window.
    n_mels : int, default=40
        Number of mel bands.
    fmin : float, default=0.0
        Where the lowest band begins, in Hz.
    fmax : float, default=None
        Where the highest band ends, in Hz. None is half the sample rate.
    floor : float, default=1e-10
        Power below which the logarithm is clipped: -100 dB.
    top_db : float, default=80.0
        How far below the loudest value of its clip a value is clipped, in dB.
        None clips at `floor` alone.
    n_mfcc : int, default=None
        Number of mel-frequency cepstral coefficients to return instead of the
        bands. None returns the bands.
    deltas : {0, 1, 2}, default=0
        Differences that are appended: 1 the first, 2 the second too.
    normalize : {"mean", "standard"} or None, default=None
        Normalisation of each feature of each clip: "mean" subtracts its mean
        over the clip, "standard" also divides by its standard deviation.
    resample : bool, default=True
        Whether other rates are resampled to `sample_rate`. False raises an error.
    noise_snr : tuple of float, default=None
        Augmentation: lowest and highest signal-to-noise ratio, in dB, of white
        noise that is added. The ratio is drawn uniformly between them, relative
        to the power of the clip itself. None adds no noise.
    gain : float, default=0.0
        Augmentation: most dB that a clip is made louder or softer, drawn
        uniformly.
    shift : float or int, default=0.0
        Augmentation: most that a clip is shifted to earlier or later, drawn
        uniformly: seconds if a float, samples if an int. Padded with zeros.
        Targets per step are not shifted: not for `RNNTagger`.
    time_mask : float or int, default=0.0
        Augmentation: longest segment that is masked, its length drawn uniformly
        from 0: seconds if a float, frames if an int. Masked values become the
        mean of the log-mel values of their clip.
    frequency_mask : int, default=0
        Augmentation: most neighbouring mel bands that are masked, their number
        drawn uniformly from 0.
    n_masks : int, default=1
        Augmentation: number of masks of each of the two kinds.

    Attributes
    ----------
    hop_seconds_ : float
        Seconds from one frame to the next.
    mel_frequencies_ : ndarray of shape (n_mels,), float64
        Centres of the mel bands, in Hz.
    n_features_in_ : int
        1: a waveform has one value per step.

    See Also
    --------
    SequenceScaler : Standardises over all clips; so do the estimators.

    Notes
    -----
    Values are those of ``librosa.feature.melspectrogram`` and ``power_to_db``,
    of ``librosa.feature.mfcc`` and of ``librosa.feature.delta`` with
    ``mode="nearest"``, with zeros beyond the ends (``pad_mode="constant"``).

    Clips are a list, Series or 1-D array of any of these, also mixed:

    - arrays of shape (n_samples,), or of 2 to 8 channels beside each other in
      either order, of which the mean is taken;
    - pairs of such an array and its rate, as ``soundfile.read`` gives them;
    - paths of files (wav, flac, ogg), read with soundfile, which comes with the
      extra "audio": ``pip install -e ".[audio]"`` in a clone of the repository.

    Or an array of shape (n_clips, n_samples) or (n_clips, n_samples,
    n_channels); or a `SequenceArray` of one feature, such as windows that
    `make_windows` cuts from a recording. Samples of whole numbers are scaled so
    that full scale is 1, floats are taken as they are.

    References
    ----------
    Davis and Mermelstein, "Comparison of parametric representations for
    monosyllabic word recognition in continuously spoken sentences", IEEE TASSP
    28, 1980 (MFCC). Park et al., "SpecAugment: a simple data augmentation
    method for automatic speech recognition", Interspeech 2019 (masks).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import LogMelSpectrogram
    >>> seconds = np.arange(16_000) / 16_000
    >>> clips = [np.sin(2 * np.pi * 440 * seconds), np.sin(2 * np.pi * 2000 * seconds)]
    >>> mel = LogMelSpectrogram()
    >>> X = mel.fit_transform(clips)
    >>> X.shape, X.feature_names[:3]
    ((2, 101, 40), ('mel_0', 'mel_1', 'mel_2'))
    >>> loudest = [frames.mean(axis=0).argmax() for frames in X]
    >>> mel.mel_frequencies_[loudest].round()
    array([ 441., 2042.])
    """

    _parameter_constraints = {
        "sample_rate": [Interval(Integral, 1, MAX_RATE, closed="both")],
        "win_length": [Interval(Real, 0, None, closed="neither")],
        "hop_length": [Interval(Real, 0, None, closed="neither")],
        "n_fft": [COUNT, None],
        "n_mels": [COUNT],
        "fmin": [Interval(Real, 0, None, closed="left")],
        "fmax": [Interval(Real, 0, None, closed="neither"), None],
        "floor": [Interval(Real, 0, None, closed="neither")],
        "top_db": [Interval(Real, 0, None, closed="left"), None],
        "n_mfcc": [COUNT, None],
        "deltas": [Interval(Integral, 0, 2, closed="both")],
        "normalize": [StrOptions({"mean", "standard"}), None],
        "resample": ["boolean"],
        "noise_snr": [tuple, list, None],
        "gain": [Interval(Real, 0, MAX_DB, closed="both")],
        "shift": [Interval(Real, 0, None, closed="left")],
        "time_mask": [Interval(Real, 0, None, closed="left")],
        "frequency_mask": [Interval(Integral, 0, None, closed="left")],
        "n_masks": [Interval(Integral, 1, MAX_MASKS, closed="both")],
    }

    def __init__(
        self,
        sample_rate: int = 16000,
        *,
        win_length: float | int = 0.025,
        hop_length: float | int = 0.01,
        n_fft: int | None = None,
        n_mels: int = 40,
        fmin: float = 0.0,
        fmax: float | None = None,
        floor: float = 1e-10,
        top_db: float | None = 80.0,
        n_mfcc: int | None = None,
        deltas: Literal[0, 1, 2] = 0,
        normalize: Literal["mean", "standard"] | None = None,
        resample: bool = True,
        noise_snr: tuple[float, float] | None = None,
        gain: float = 0.0,
        shift: float | int = 0.0,
        time_mask: float | int = 0.0,
        frequency_mask: int = 0,
        n_masks: int = 1,
    ) -> None:
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.n_fft = n_fft
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.floor = floor
        self.top_db = top_db
        self.n_mfcc = n_mfcc
        self.deltas = deltas
        self.normalize = normalize
        self.resample = resample
        self.noise_snr = noise_snr
        self.gain = gain
        self.shift = shift
        self.time_mask = time_mask
        self.frequency_mask = frequency_mask
        self.n_masks = n_masks

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Sequence | pd.Series | ArrayLike, y: Any = None) -> Self:
        """Check the parameters and the first clip; nothing is learned.

        Parameters
        ----------
        X : list, Series, array or SequenceArray of clips
            Arrays of samples, pairs (waveform, rate) or paths of sound files.
        y : None
            Not used.

        Returns
        -------
        self : LogMelSpectrogram
            The fitted transformer.

        Raises
        ------
        InvalidSequenceError
            If the first clip cannot be loaded.
        TypeError
            If `X` or the first clip is of a type that holds no sound.
        ValueError
            If parameters are inconsistent.
        """
        settings = self._make_settings()
        self._make_augmentation(settings)
        first = list_clips(X, type(self).__name__)[:1]
        self._set_fitted(settings, self._load(first, settings)[1])
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(
        self, X: Sequence | pd.Series | ArrayLike, y: Any = None
    ) -> SequenceArray:
        """Check the parameters, and turn clips into frames to train on.

        Parameters
        ----------
        X : list, Series, array or SequenceArray of clips
            Arrays of samples, pairs (waveform, rate) or paths of sound files.
        y : None
            Not used.

        Returns
        -------
        sequences : SequenceArray
            As from ``transform``; with augmentation, estimators see it augmented
            while they train on it.

        Raises
        ------
        InvalidSequenceError
            If a clip cannot be loaded.
        TypeError
            If `X` or a clip is of a type that holds no sound.
        ValueError
            If parameters are inconsistent.
        """
        settings = self._make_settings()
        augmentation = self._make_augmentation(settings)
        clips = list_clips(X, type(self).__name__)
        waveforms, loudest = self._load(clips, settings)
        self._set_fitted(settings, loudest)
        sampler = None
        if not augmentation.is_off:
            sampler = ClipAugmenter(waveforms, settings, augmentation)
        return self._frames(waveforms, X, sampler)

    def transform(self, X: Sequence | pd.Series | ArrayLike) -> SequenceArray:
        """Turn clips into frames, without augmentation.

        Parameters
        ----------
        X : list, Series, array or SequenceArray of clips
            Arrays of samples, pairs (waveform, rate) or paths of sound files;
            of any lengths, whatever those in ``fit`` were.

        Returns
        -------
        sequences : SequenceArray
            One per clip, float32; bands in dB.

        Raises
        ------
        InvalidSequenceError
            If a clip cannot be loaded.
        TypeError
            If `X` or a clip is of a type that holds no sound.
        """
        check_is_fitted(self)
        clips = list_clips(X, type(self).__name__)
        waveforms, loudest = self._load(clips, self._settings)
        if are_apart(loudest, self._loudest):
            warnings.warn(
                f"the largest sample of X is {loudest:.3g}, but that of the clips in "
                f"fit was {self._loudest:.3g}: they seem to be on two scales. Divide "
                "floats that were samples of 16 bits by 32768.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )
        return self._frames(waveforms, X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features of a frame.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        names : ndarray of object of shape (n_features,)
            ``"mel_0"`` or ``"mfcc_0"`` and so on, then ``"mel_0_delta"`` and
            ``"mel_0_delta2"`` where there are differences.
        """
        check_is_fitted(self)
        kind, n = "mfcc", self._settings.n_mfcc
        if n is None:
            kind, n = "mel", len(self.mel_frequencies_)
        endings = ["", "_delta", "_delta2"][: 1 + self._settings.deltas]
        names = [f"{kind}_{i}{ending}" for ending in endings for i in range(n)]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def _set_fitted(self, settings, loudest):
        self._settings, self._loudest = settings, loudest
        self.hop_seconds_ = settings.hop / settings.sample_rate
        self.mel_frequencies_ = self._edges()[1:-1]
        self.n_features_in_ = 1

    def _load(self, clips, settings):
        """Return the waveforms, and the absolute value of their largest sample."""
        estimator_name = type(self).__name__
        waveforms = load_waveforms(
            clips, settings.sample_rate, self.resample, estimator_name
        )
        peaks = [loudest_of(samples) for samples in waveforms]
        quietest = min((peak for peak in peaks if peak > 0), default=0.0)
        if are_apart(quietest, max(peaks)):
            soft, loud = peaks.index(quietest), peaks.index(max(peaks))
            warnings.warn(
                f"X[{soft}] has samples up to {quietest:.3g}, and X[{loud}] up to "
                f"{max(peaks):.3g}: they seem to be on two scales. Divide floats that "
                "were samples of 16 bits by 32768.",
                SklearnRNNWarning,
                stacklevel=user_stacklevel(),
            )
        return waveforms, max(peaks)

    def _frames(self, waveforms, X, augmentation=None):
        values, lengths = extract(waveforms, self._settings)
        time_index = None
        is_container = isinstance(X, SequenceArray)
        if is_container and (X.time_index is not None or shares_rows(X)):
            time_index = _times_of_frames(X, lengths, self._settings.hop)
        return SequenceArray(
            values,
            starts=np.cumsum(lengths) - lengths,
            lengths=lengths,
            feature_names=self.get_feature_names_out(),
            transforms=Transforms(augmentation=augmentation),
            time_index=time_index,
        )

    # Parameters, converted to samples, frames and Hz.

    def _make_settings(self):
        n_window = self._samples("win_length")
        n_fft = self.n_fft
        if n_fft is None:
            n_fft = 1 << (n_window - 1).bit_length()
        if n_fft < n_window:
            raise ValueError(
                f"n_fft={n_fft} is shorter than a window, which has {n_window} samples "
                f"(win_length={self.win_length!r}). Set n_fft=None, or a shorter "
                "win_length."
            )
        if self.n_mfcc is not None and self.n_mfcc > self.n_mels:
            raise ValueError(
                f"n_mfcc={self.n_mfcc} is more than the n_mels={self.n_mels} bands "
                "that the coefficients are computed of. Set n_mels higher."
            )
        return MelSettings(
            sample_rate=self.sample_rate,
            window=hann_window(n_window),
            hop=self._samples("hop_length"),
            n_fft=n_fft,
            filters=csr_array(self._filters(n_fft).T),
            floor=self.floor,
            top_db=self.top_db,
            n_mfcc=self.n_mfcc,
            deltas=self.deltas,
            normalize=self.normalize,
        )

    def _samples(self, name, largest=MAX_SAMPLES):
        """Return a parameter in seconds or samples as samples."""
        length = getattr(self, name)
        if isinstance(length, Integral):
            return int(length)
        n_samples = round(length * self.sample_rate)
        if n_samples > largest:
            raise ValueError(
                f"{name}={length!r} is a float: seconds, thus {n_samples} samples. "
                f"Write samples as an int, milliseconds as seconds ({name}=0.02), and "
                f"if so many samples are meant, {name}={n_samples}."
            )
        if n_samples == 0 < length:
            raise ValueError(
                f"{name}={length!r} seconds is not a single sample at "
                f"sample_rate={self.sample_rate}. Set {name} higher."
            )
        return n_samples

    def _edges(self):
        half = self.sample_rate / 2
        fmax = half if self.fmax is None else self.fmax
        if fmax > half:
            raise ValueError(
                f"fmax={fmax} Hz is above half of sample_rate={self.sample_rate}, and "
                f"a sampled sound holds nothing there. Set fmax={half:g} at most."
            )
        if self.fmin >= fmax:
            raise ValueError(
                f"fmin={self.fmin} Hz is not below fmax={fmax:g} Hz: there is no band "
                "between them."
            )
        return mel_edges(self.n_mels, self.fmin, fmax)

    def _filters(self, n_fft):
        edges = self._edges()
        filters = mel_filters(edges, n_fft, self.sample_rate)
        empty = ~filters.any(axis=0)
        if empty.any():
            # A band has a value if it is wider than the distance between values.
            narrowest = (edges[2:] - edges[:-2]).min()
            enough = 1 << int(np.ceil(np.log2(self.sample_rate / narrowest)))
            band = int(np.argmax(empty))
            raise ValueError(
                f"the spectra of n_fft={n_fft} samples have a value every "
                f"{self.sample_rate / n_fft:.4g} Hz, and {empty.sum()} of the "
                f"n_mels={self.n_mels} bands have none: mel_{band} goes from "
                f"{edges[band]:.4g} to {edges[band + 2]:.4g} Hz. Set n_fft={enough}, "
                "or n_mels lower."
            )
        return filters

    def _make_augmentation(self, settings):
        return Augmentation(
            noise_snr=self._noise_snr(),
            gain=self.gain,
            shift=self._samples("shift", largest=MAX_SHIFT),
            time_mask=self._mask_frames(settings),
            frequency_mask=self._mask_bands(),
            n_masks=self.n_masks,
        )

    def _noise_snr(self):
        if self.noise_snr is None:
            return None
        are_numbers = all(isinstance(ratio, Real) for ratio in self.noise_snr)
        if len(self.noise_snr) == 2 and are_numbers:
            low, high = map(float, self.noise_snr)
            if -MAX_DB <= low <= high <= MAX_DB:
                return low, high
        raise ValueError(
            f"noise_snr={self.noise_snr!r} is not the lowest and the highest ratio, in "
            f"dB, as in noise_snr=(5, 30), of -{MAX_DB} to {MAX_DB} dB."
        )

    def _mask_frames(self, settings):
        if isinstance(self.time_mask, Integral):
            return int(self.time_mask)
        hop_seconds = settings.hop / settings.sample_rate
        n_frames = round(self.time_mask / hop_seconds)
        if n_frames == 0 < self.time_mask:
            raise ValueError(
                f"time_mask={self.time_mask!r} seconds is not a single frame, which "
                f"takes {hop_seconds:g} seconds. Set it higher, or an int of frames."
            )
        return n_frames

    def _mask_bands(self):
        if self.frequency_mask > self.n_mels:
            raise ValueError(
                f"frequency_mask={self.frequency_mask} is more than the "
                f"n_mels={self.n_mels} bands there are."
            )
        return self.frequency_mask


def _times_of_frames(windows, n_frames, hop):
    """Return the time index of frames, from the rows of the series that windows cover.

    A split by time then knows which windows overlap.
    """
    clips = np.repeat(np.arange(len(windows)), n_frames)
    first = np.cumsum(n_frames) - n_frames
    steps = (np.arange(len(clips)) - first[clips]) * hop
    rows = windows.starts[clips] + np.minimum(steps, windows.lengths[clips] - 1)
    rows[first + n_frames - 1] = windows.ends - 1
    return windows.times_of(rows)
