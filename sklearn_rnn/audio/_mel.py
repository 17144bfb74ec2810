"""From waveforms to log-mel frames: spectra, mel bands, MFCC, differences.

Frequencies in Hz on the mel scale of Slaney's Auditory Toolbox (1998): linear
below 1 kHz, logarithmic above.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct, rfft
from scipy.ndimage import correlate1d
from scipy.signal import savgol_coeffs
from scipy.signal.windows import hann
from scipy.sparse import csr_array

from sklearn_rnn._plain_state import plain_type

# Slaney's mel scale: 200/3 Hz per mel up to 1 kHz, which is mel 15; from there 27
# mel per factor of 6.4.
HZ_PER_MEL = 200 / 3
KNEE_HZ = 1000.0
KNEE_MEL = KNEE_HZ / HZ_PER_MEL
LOG_STEP = np.log(6.4) / 27
# Samples of all frames processed at a time: 1 MB, which fits into a core's cache.
CHUNK_SAMPLES = 2**17
# Frames processed together: many short clips, or one long one.
GROUP_FRAMES = 4096
# Frames that a difference is estimated from.
DELTA_WIDTH = 9
# A standard deviation below this, in dB, comes from rounding: the feature is constant.
NO_SPREAD = 1e-6


@plain_type
class MelSettings(NamedTuple):
    """How frames are computed, in samples and Hz.

    sample_rate : samples per second
    window : ndarray of shape (win_length,), float64, that frames are multiplied by
    hop : samples from one frame to the next
    n_fft : samples per spectrum, at least those of the window
    filters : csr_array of shape (n_mels, n_fft // 2 + 1), weights of the bands
    floor : power below which the logarithm is clipped
    top_db : dB below the loudest value of a clip at which others are clipped, or None
    n_mfcc : number of cepstral coefficients; None keeps the bands
    deltas : how many orders of differences are appended
    normalize : "mean", "standard" or None, per feature of a clip
    """

    sample_rate: int
    window: np.ndarray
    hop: int
    n_fft: int
    filters: csr_array
    floor: float
    top_db: float | None
    n_mfcc: int | None
    deltas: int
    normalize: str | None

    @property
    def n_features(self) -> int:
        """Features per frame."""
        kept = self.filters.shape[0] if self.n_mfcc is None else self.n_mfcc
        return kept * (1 + self.deltas)

    def count_frames(self, n_samples: Any) -> Any:
        """Return the number of frames of clips; frame i is centred on i * hop."""
        return 1 + n_samples // self.hop


def hz_to_mel(hz: float) -> float:
    """Convert a frequency in Hz to mel."""
    if hz < KNEE_HZ:
        return hz / HZ_PER_MEL
    return KNEE_MEL + np.log(hz / KNEE_HZ) / LOG_STEP


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Convert an array of mel to frequencies in Hz."""
    logarithmic = KNEE_HZ * np.exp(LOG_STEP * (mel - KNEE_MEL))
    return np.where(mel < KNEE_MEL, mel * HZ_PER_MEL, logarithmic)


def mel_edges(n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Return the n_mels + 2 corners, in Hz, of bands spaced evenly on the mel scale."""
    return mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))


def mel_filters(edges: np.ndarray, n_fft: int, sample_rate: int) -> np.ndarray:
    """Return triangular mel bands of equal area, (n_fft // 2 + 1, n_mels).

    Band m rises from corner m of `edges` (Hz) to m + 1 and falls to m + 2.
    """
    hz = np.arange(n_fft // 2 + 1)[:, np.newaxis] * (sample_rate / n_fft)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hz - low) / (peak - low), (high - hz) / (high - peak)
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))


def hann_window(n_samples: int) -> np.ndarray:
    """Return the periodic Hann window, float64."""
    return hann(n_samples, sym=False)


def extract(
    waveforms: Sequence[np.ndarray],
    settings: MelSettings,
    change: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features of mono clips of at least one sample each.

    Parameters
    ----------
    waveforms : list of ndarray of shape (n_samples_i,), float
    settings : MelSettings
    change : callable, default=None
        Called with the log-mel values in dB (n_frames, n_mels) and the number of frames
        per clip of some clips, in order, to change them in place.

    Returns
    -------
    features : ndarray of shape (n_frames, n_features), float32
        Of one clip after another.
    lengths : ndarray of int64 of shape (n_clips,)
        Frames per clip.
    """
    n_samples = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
    lengths = settings.count_frames(n_samples)
    features = np.empty((lengths.sum(), settings.n_features), dtype=np.float32)
    end = 0
    for group in _groups(lengths):
        levels = _log_mel(waveforms[group], lengths[group], settings)
        if change is not None:
            change(levels, lengths[group])
        begin, end = end, end + len(levels)
        features[begin:end] = _finish(levels, lengths[group], settings)
    return features, lengths


def _groups(lengths):
    """Yield slices of neighbouring clips that have some thousand frames together."""
    number = (np.cumsum(lengths) - 1) // GROUP_FRAMES
    bounds = np.flatnonzero(np.diff(number, prepend=-1, append=number[-1] + 1))
    for begin, end in pairwise(bounds):
        yield slice(begin, end)


def _log_mel(waveforms, lengths, settings):
    """Return the mel power of whole clips in dB, (n_frames, n_mels)."""
    power = np.empty((lengths.sum(), settings.filters.shape[0]))
    end = 0
    for frames in _windowed_frames(waveforms, settings):
        spectra = rfft(frames, axis=1)
        squares = spectra.real**2
        squares += spectra.imag**2
        begin, end = end, end + len(frames)
        # Sparse: a tenth of the products, and no BLAS threads, which only contend for
        # arrays this small.
        power[begin:end] = (settings.filters @ squares.T).T
    levels = np.maximum(power, settings.floor, out=power)
    np.log10(levels, out=levels)
    levels *= 10
    if settings.top_db is not None:
        starts = np.cumsum(lengths) - lengths
        loudest = np.maximum.reduceat(levels.max(axis=1), starts)
        least = np.repeat(loudest - settings.top_db, lengths)
        np.maximum(levels, least[:, np.newaxis], out=levels)
    return levels


def _windowed_frames(waveforms, settings):
    """Yield arrays (n, n_fft) of some frames, windowed and zero-padded.

    All share one buffer. A window shorter than the spectrum is at its front, not in the
    middle: a shift changes no power.
    """
    window, hop, n_fft = settings.window, settings.hop, settings.n_fft
    most = max(1, CHUNK_SAMPLES // n_fft)
    frames = np.zeros((most, n_fft))
    filled = 0
    for waveform in waveforms:
        last, end = 0, settings.count_frames(len(waveform))
        while last < end:
            first, last = last, min(end, last + most - filled)
            samples = _cut(waveform, first, last, settings)
            out = frames[filled : filled + last - first, : len(window)]
            np.multiply(
                sliding_window_view(samples, len(window))[::hop], window, out=out
            )
            filled += last - first
            if filled == most:
                yield frames
                filled = 0
    if filled:
        yield frames[:filled]


def _cut(waveform, first, last, settings):
    """Return the samples of frames `first` to `last`, zeros beyond the clip."""
    n_window, n_fft = len(settings.window), settings.n_fft
    # A window is centred in the samples of the spectrum, and these around the time
    # of the frame.
    ahead = n_fft // 2 - (n_fft - n_window) // 2
    begin = first * settings.hop - ahead
    end = (last - 1) * settings.hop - ahead + n_window
    if begin >= 0 and end <= len(waveform):
        return waveform[begin:end]
    inside = waveform[max(begin, 0) : end]
    samples = np.zeros(end - begin, dtype=waveform.dtype)
    offset = max(-begin, 0)
    samples[offset : offset + len(inside)] = inside
    return samples


def _finish(levels, lengths, settings):
    """Compute features of log-mel values: MFCC, differences, normalisation."""
    if settings.n_mfcc is not None:
        levels = dct(levels, axis=1, norm="ortho")[:, : settings.n_mfcc]
    kept = levels.shape[1]
    features = levels
    if settings.deltas:
        features = np.empty((len(levels), settings.n_features))
        features[:, :kept] = levels
    ends = np.cumsum(lengths)
    for begin, end in zip(ends - lengths, ends, strict=True):
        clip = features[begin:end]
        for order in range(1, settings.deltas + 1):
            out = clip[:, order * kept : (order + 1) * kept]
            differences(levels[begin:end], order, out)
        if settings.normalize is not None:
            _normalize(clip, scale=settings.normalize == "standard")
    return features


def differences(frames: np.ndarray, order: int, out: np.ndarray) -> None:
    """Estimate the derivative of the features of a clip by frames, into `out`.

    A polynomial of degree `order` is fitted to 9 frames; the first and last frame of
    the clip are repeated beyond its ends.

    References
    ----------
    Savitzky and Golay, "Smoothing and differentiation of data by simplified least
    squares procedures", Analytical Chemistry 36, 1964.
    """
    weights = savgol_coeffs(DELTA_WIDTH, order, deriv=order, use="dot")
    correlate1d(frames, weights, axis=0, output=out, mode="nearest")


def _normalize(clip, scale):
    """Centre each feature of a clip in place, with `scale` to unit variance too."""
    clip -= clip.mean(axis=0)
    if scale:
        spread = np.sqrt(np.einsum("ij,ij->j", clip, clip) / len(clip))
        spread[spread < NO_SPREAD] = 1.0
        clip /= spread
