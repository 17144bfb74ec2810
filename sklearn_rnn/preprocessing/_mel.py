"""From waveforms to log-mel frames: spectra, mel bands, MFCC, differences.

Frequencies in Hz on the mel scale of Slaney's Auditory Toolbox (1998): linear
below 1 kHz, logarithmic above.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct, rfft
from scipy.ndimage import correlate1d
from scipy.signal import savgol_coeffs
from scipy.signal.windows import hann
from scipy.sparse import csr_array

# Slaney's mel scale: 200/3 Hz a mel up to 1 kHz, which is mel 15; from there 27
# mel for each factor of 6.4.
HZ_A_MEL = 200 / 3
KNEE_HZ = 1000.0
KNEE_MEL = KNEE_HZ / HZ_A_MEL
LOG_STEP = np.log(6.4) / 27
# Samples of all frames in work at a time: 1 MB, which a core's cache holds.
CHUNK_SAMPLES = 2**17
# Frames that are finished together: many short clips, or one long one.
GROUP_FRAMES = 4096
# Frames that a difference is estimated from.
DELTA_WIDTH = 9
# dB; a smaller spread is that of rounding, and the feature constant.
NO_SPREAD = 1e-6


class MelSettings(NamedTuple):
    """How frames are made, in samples and Hz.

    Parameters
    ----------
    sample_rate : int
        Samples a second.
    window : ndarray of shape (win_length,), float64
        What frames are multiplied with.
    hop : int
        Samples from one frame to the next.
    n_fft : int
        Samples of a spectrum, at least those of the window.
    filters : csr_array of shape (n_mels, n_fft // 2 + 1), float64
        Weight of each frequency in each band.
    floor : float
        Power below which the logarithm is cut.
    top_db : float or None
        How far below the loudest value of a clip others are cut, in dB.
    n_mfcc : int or None
        Number of cepstral coefficients; None keeps the bands.
    deltas : int
        How many orders of differences are appended.
    normalize : {"mean", "standard"} or None
        What is done to each feature of a clip.
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
    def n_features(self):
        """Numbers a frame."""
        kept = self.filters.shape[0] if self.n_mfcc is None else self.n_mfcc
        return kept * (1 + self.deltas)

    def count_frames(self, n_samples):
        """Tell how many frames so many samples have.

        Parameters
        ----------
        n_samples : int or ndarray of int
            Of a clip.

        Returns
        -------
        int or ndarray of int
            Frame i is centred on sample ``i * hop``.
        """
        return 1 + n_samples // self.hop


def hz_to_mel(hz):
    """Place frequencies on the mel scale.

    Parameters
    ----------
    hz : float
        Frequency in Hz, at least 0.

    Returns
    -------
    float
        Its place in mel.

    Examples
    --------
    >>> from sklearn_rnn.preprocessing._mel import hz_to_mel
    >>> round(hz_to_mel(500.0), 6), round(float(hz_to_mel(6400.0)), 6)
    (7.5, 42.0)
    """
    if hz < KNEE_HZ:
        return hz / HZ_A_MEL
    return KNEE_MEL + np.log(hz / KNEE_HZ) / LOG_STEP


def mel_to_hz(mel):
    """Turn places on the mel scale back into frequencies.

    Parameters
    ----------
    mel : ndarray
        Places in mel.

    Returns
    -------
    ndarray
        Frequencies in Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._mel import mel_to_hz
    >>> mel_to_hz(np.array([7.5, 42.0])).round(6)
    array([ 500., 6400.])
    """
    above = KNEE_HZ * np.exp(LOG_STEP * (mel - KNEE_MEL))
    return np.where(mel < KNEE_MEL, mel * HZ_A_MEL, above)


def mel_edges(n_mels, fmin, fmax):
    """Return the corners of bands that lie evenly on the mel scale.

    Parameters
    ----------
    n_mels : int
        Number of bands.
    fmin, fmax : float
        Lowest and highest frequency, in Hz.

    Returns
    -------
    ndarray of shape (n_mels + 2,)
        In Hz; band m rises from corner m to m + 1 and falls to m + 2.

    Examples
    --------
    >>> from sklearn_rnn.preprocessing._mel import mel_edges
    >>> mel_edges(2, 0.0, 900.0)
    array([  0., 300., 600., 900.])
    """
    return mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))


def mel_filters(edges, n_fft, sample_rate):
    """Return triangular mel bands of equal area.

    Parameters
    ----------
    edges : ndarray of shape (n_mels + 2,)
        Their corners, in Hz.
    n_fft : int
        Samples of a spectrum.
    sample_rate : int
        Samples a second.

    Returns
    -------
    ndarray of shape (n_fft // 2 + 1, n_mels), float64
        Weight of each frequency in each band.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._mel import mel_filters
    >>> mel_filters(np.array([0.0, 2.0, 4.0]), n_fft=8, sample_rate=8).ravel()
    array([0.  , 0.25, 0.5 , 0.25, 0.  ])
    """
    hz = np.arange(n_fft // 2 + 1)[:, np.newaxis] * (sample_rate / n_fft)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hz - low) / (peak - low), (high - hz) / (high - peak)
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))


def hann_window(n_samples):
    """Return the periodic Hann window.

    Parameters
    ----------
    n_samples : int
        Its length.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        From 0 up to 1 and back.
    """
    return hann(n_samples, sym=False)


def extract(waveforms, settings, change=None):
    """Compute the features of clips.

    Parameters
    ----------
    waveforms : list of ndarray of shape (n_samples_i,), float
        Mono, at least one sample each.
    settings : MelSettings
        How.
    change : callable, default=None
        Called with the log-mel values in dB (n_frames, n_mels) and the number of
        frames of each of some clips, in order, to change them in place.

    Returns
    -------
    features : ndarray of shape (n_frames, n_features), float32
        Of one clip after the other.
    lengths : ndarray of int64 of shape (n_clips,)
        Frames of each.
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
    """Yield slices of neighbouring clips of some thousand frames together."""
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
        # Sparse: a tenth of the products, and none of BLAS's threads, which get in
        # each other's way over arrays this small.
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
    """Yield arrays (n, n_fft) of some frames, windowed and filled up with zeros.

    The same memory serves again and again. A window shorter than the spectrum
    stands at the front, not in the middle: a shift changes no power.
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
            into = frames[filled : filled + last - first, : len(window)]
            np.multiply(
                sliding_window_view(samples, len(window))[::hop], window, out=into
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
    # Windows stand in the middle of the spectrum's samples, and those around the
    # frame's moment.
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
    """Make features of log-mel values: MFCC, differences, normalisation."""
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
            into = clip[:, order * kept : (order + 1) * kept]
            differences(levels[begin:end], order, into)
        if settings.normalize is not None:
            _normalize(clip, scale=settings.normalize == "standard")
    return features


def differences(frames, order, into):
    """Estimate how the features of a clip change from frame to frame.

    Beyond the ends of the clip its first and last frame go on.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_features)
        Of one clip.
    order : {1, 2}
        Of the derivative, by frames; of the polynomial that is laid through 9
        of them as well.
    into : ndarray of shape (n_frames, n_features)
        Where the derivatives go.

    References
    ----------
    Savitzky and Golay, "Smoothing and differentiation of data by simplified
    least squares procedures", Analytical Chemistry 36, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._mel import differences
    >>> ramp = 3.0 * np.arange(20)[:, np.newaxis]
    >>> changes = np.empty_like(ramp)
    >>> differences(ramp, order=1, into=changes)
    >>> changes[4:8].ravel().round(6)
    array([3., 3., 3., 3.])
    """
    weights = savgol_coeffs(DELTA_WIDTH, order, deriv=order, use="dot")
    correlate1d(frames, weights, axis=0, output=into, mode="nearest")


def _normalize(clip, scale):
    """Centre each feature of a clip, in place, and bring it to a spread of 1."""
    clip -= clip.mean(axis=0)
    if scale:
        spread = np.sqrt(np.einsum("ij,ij->j", clip, clip) / len(clip))
        spread[spread < NO_SPREAD] = 1.0
        clip /= spread
