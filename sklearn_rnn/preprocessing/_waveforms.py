"""Waveforms as users have them, read as mono at one rate."""

import os
from fractions import Fraction
from functools import lru_cache
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import firwin, resample_poly

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.preprocessing._sound_files import read_file
from sklearn_rnn.sequences import SequenceArray, plain_arrays

MAX_CHANNELS = 8
# Floats of a waveform stay within -1 and 1, or a little more; above this they are
# likelier samples of 16 bits that became floats without being scaled.
FULL_SCALE, UNSCALED = 2.0, 100.0
# The square of a larger float64 is infinite.
LARGEST = 1e100
MAX_RATE = 10_000_000  # Hz
# Rates further apart are a mistake in one of them.
MAX_RATIO = 1000
# Ratios of larger whole numbers are rounded, as the filter is so many times as long:
# time may drift by up to 0.04 seconds an hour.
MAX_FACTOR = 100_000
# Of the filter: zero crossings on either side, and Kaiser's beta, for 80 dB.
ZERO_CROSSINGS = 16
KAISER_BETA = 8.0


class Waveform(NamedTuple):
    """One clip.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,), float32 or float64
        Mono.
    rate : int or None
        Samples a second, if known.
    is_scaled : bool
        Whether they came as integers or from a file, so that 1 is full scale.
    """

    samples: np.ndarray
    rate: int | None
    is_scaled: bool


def list_clips(X, owner):
    """Find the clips in `X`, unread.

    Parameters
    ----------
    X : list, tuple, Series, ndarray or SequenceArray
        Clips.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    list or ndarray
        Arrays, paths and pairs of an array and a rate.

    Raises
    ------
    InvalidSequenceError
        If there is no clip, or it is a single one.
    TypeError
        If `X` is of a type that holds no clips.
    """
    X = plain_arrays(X, estimator_name=owner, name="X")
    _refuse_single(X, owner)
    if isinstance(X, SequenceArray):
        X = _sequences(X, owner)
    elif isinstance(X, pd.Series):
        X = X.tolist()
    elif not isinstance(X, (list, tuple)):
        X = _rows(X, owner)
    if len(X) == 0:
        raise InvalidSequenceError(f"X is empty: {owner} needs at least one clip.")
    return X


def _refuse_single(X, owner):
    way_out = f"{owner} takes a list of clips: pass [X]."
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(f"X is a single path, {os.fspath(X)!r}, but {way_out}")
    if _is_pair(X):
        raise InvalidSequenceError(
            f"X is a single pair of a waveform and its rate, but {way_out}"
        )
    is_numeric = getattr(getattr(X, "dtype", None), "kind", "O") in "biufc"
    is_flat = getattr(X, "ndim", None) == 1 and is_numeric
    if is_flat or (isinstance(X, (list, tuple)) and X and isinstance(X[0], Real)):
        raise InvalidSequenceError(
            f"Expected 2D array, got 1D array instead: X is a single waveform of "
            f"{len(X)} samples, but {way_out}"
        )


def _sequences(X, owner):
    if X.n_features != 1:
        raise InvalidSequenceError(
            f"X is {X!r}, but a waveform has one feature a step, its sample. If these "
            "are channels, average them before the windows are cut: recording.mean("
            f"axis=1). If they are frames, {owner} has made them already."
        )
    return [steps[:, 0] for steps in X]


def _rows(X, owner):
    """Return an array whose rows are clips, or that holds clips."""
    if isinstance(X, pd.DataFrame) or not hasattr(X, "__array__"):
        raise TypeError(
            f"X is of type {type(X).__name__}; {owner} takes a list of waveforms, of "
            "paths of sound files or of pairs (waveform, rate), or an array with a "
            "clip in each row. Of a table pass the column that holds them, or "
            "X.to_numpy()."
        )
    X = np.asarray(X)
    if X.ndim not in (1, 2, 3):
        raise InvalidSequenceError(
            f"X has {X.ndim} dimensions; clips are an array of shape (n_clips, "
            "n_samples) or (n_clips, n_samples, n_channels), or a list. Found array "
            f"with dim {X.ndim}."
        )
    if X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind in "OUT":
        return X[:, 0]  # a table's column of paths
    if X.ndim == 2 and X.shape[1] <= MAX_CHANNELS < len(X):
        raise InvalidSequenceError(
            f"X has shape {X.shape}: so many clips of {X.shape[1]} samples each. If it "
            "is one recording with channels, pass [X]; if clips are so short, list(X)."
        )
    return X


def read_waveforms(clips, sample_rate, resample, owner):
    """Read clips as mono waveforms at one rate.

    Parameters
    ----------
    clips : list or ndarray
        As ``list_clips`` finds them.
    sample_rate : int
        Samples a second; what comes without a rate is taken to have it.
    resample : bool
        Whether to bring other rates to it, or refuse them.
    owner : str
        Who asks, for the messages.

    Returns
    -------
    list of ndarray of shape (n_samples_i,), float32 or float64
        Finite; integers and files scaled so that 1 is full scale.

    Raises
    ------
    InvalidSequenceError
        If a clip cannot be read, or is on another scale than others.
    TypeError
        If a clip is of a type that holds no samples.
    """
    waveforms, read = [], []
    for i, clip in enumerate(clips):
        place = _place(clip, i)
        waveform = _read(clip, place)
        _refuse_non_finite(waveform.samples, place)
        read.append((waveform.is_scaled, place))
        samples, rate = waveform.samples, waveform.rate
        if rate is not None and rate != sample_rate:
            if not resample:
                raise InvalidSequenceError(
                    f"{place} has {rate} samples a second, but {owner} computes "
                    f"spectra at sample_rate={sample_rate}. Set resample=True, or "
                    f"sample_rate={rate} if all clips have it."
                )
            samples = resample_to(samples, rate, sample_rate, place)
        waveforms.append(samples)
    _refuse_mixed_scales(waveforms, read)
    return waveforms


def _place(clip, i):
    if isinstance(clip, (str, os.PathLike)):
        return f"X[{i}] ({os.fspath(clip)!r})"
    return f"X[{i}]"


def _read(clip, place):
    if isinstance(clip, (str, os.PathLike)):
        samples, rate = read_file(clip, place, MAX_CHANNELS)
        # A file of floats may hold anything.
        is_scaled = loudest_of(_not_empty(samples, place)) <= UNSCALED
        return Waveform(samples, rate, is_scaled)
    rate = None
    if _is_pair(clip):
        # soundfile and librosa put the rate second, scipy first.
        clip, rate = clip if np.ndim(clip[1]) == 0 else clip[::-1]
        rate = _whole_rate(rate, place)
    clip = _array(clip, place)
    is_integer = clip.dtype.kind != "f"
    return Waveform(_scale(_mono(clip, place), clip.dtype), rate, is_integer)


def _is_pair(clip):
    """Tell whether there is a number beside something longer."""
    if not isinstance(clip, (list, tuple)) or len(clip) != 2:
        return False
    if isinstance(clip[0], Real) == isinstance(clip[1], Real):
        return False
    samples = clip[0] if isinstance(clip[1], Real) else clip[1]
    return hasattr(samples, "__len__") and not isinstance(samples, str)


def _whole_rate(rate, place):
    if rate != rate or not 1 <= rate <= MAX_RATE or rate != int(rate):
        raise InvalidSequenceError(
            f"{place} has the rate {rate!r}, but samples a second are a whole number "
            f"from 1 to {MAX_RATE}. Give kHz in Hz, and round what is not whole."
        )
    return int(rate)


def _array(clip, place):
    if not hasattr(clip, "__len__") and pd.api.types.is_scalar(clip) and pd.isna(clip):
        raise InvalidSequenceError(
            f"{place} is {clip!r}, a missing value. Leave it out, and its target with "
            "it."
        )
    if isinstance(clip, (bytes, bytearray)) or not (
        hasattr(clip, "__array__") or isinstance(clip, (list, tuple))
    ):
        raise TypeError(
            f"{place} is of type {type(clip).__name__}, and a clip is an array of "
            "samples, the path of a sound file, or a pair (waveform, rate). Of bytes "
            "or an open file pass soundfile.read(...), which is such a pair."
        )
    try:
        clip = np.asarray(plain_arrays(clip, estimator_name=place, name=place))
    except ValueError as error:
        raise InvalidSequenceError(
            f"{place} is no array of samples: {error}. A clip is an array of shape "
            "(n_samples,) or (n_samples, n_channels)."
        ) from error
    if clip.dtype.kind not in "iuf":
        way_out = "Pass paths one by one, not in a list inside the list."
        if clip.dtype.kind == "c":
            way_out = "Complex data not supported."
        raise TypeError(
            f"{place} holds values of type {clip.dtype}, and samples are real numbers. "
            f"{way_out}"
        )
    if clip.dtype.kind in "iu" and clip.dtype.itemsize > 4:
        raise InvalidSequenceError(
            f"{place} holds {clip.dtype}, and no sound is recorded with 64 bits: what "
            "is full scale? Give the type of the recording, as in x.astype(np.int16), "
            "or floats from -1 to 1."
        )
    return _not_empty(clip, place)


def _not_empty(clip, place):
    if clip.size == 0:
        raise InvalidSequenceError(
            f"{place} is empty: a waveform of shape {clip.shape} has 0 sample(s), "
            "while a minimum of 1 is required. Leave it out, and its target with it."
        )
    return clip


def _mono(clip, place):
    """Return the mean of the channels."""
    if clip.ndim == 1:
        return clip
    if clip.ndim != 2:
        raise InvalidSequenceError(
            f"{place} has shape {clip.shape}; a clip is an array of shape "
            "(n_samples,) or (n_samples, n_channels)."
        )
    axis = 1 if clip.shape[1] <= clip.shape[0] else 0
    n_channels = clip.shape[axis]
    if n_channels > MAX_CHANNELS:
        raise InvalidSequenceError(
            f"{place} has shape {clip.shape}: the shorter side is the channels, and at "
            f"most {MAX_CHANNELS} are mixed down to one. Choose some; or, if these are "
            "clips, pass them as items of the list."
        )
    if n_channels == 1:
        return clip.ravel()
    return clip.mean(axis=axis, dtype=_float_for(clip.dtype))


def _scale(samples, recorded):
    """Return samples as floats, those of whole numbers from -1 to 1."""
    if recorded.kind == "f":
        return samples.astype(_float_for(recorded), copy=False)
    full_scale = 2 ** (8 * recorded.itemsize - 1)
    samples = samples.astype(_float_for(recorded))
    if recorded.kind == "u":
        samples -= full_scale
    samples /= full_scale
    return samples


def _float_for(recorded):
    """Return the smallest float type that holds such samples exactly."""
    fits = recorded.itemsize <= 2 or (recorded.kind == "f" and recorded.itemsize == 4)
    return np.dtype(np.float32 if fits else np.float64)


def _refuse_non_finite(samples, place):
    if -LARGEST < float(samples.min()) and float(samples.max()) < LARGEST:
        return
    at = int(np.argmin(np.abs(samples.astype(np.float64)) < LARGEST))
    value = samples[at]
    found = "NaN" if np.isnan(value) else "infinity" if np.isinf(value) else value
    raise InvalidSequenceError(
        f"Input X contains {found}: {place}, sample {at}. Set such samples to 0, or "
        "leave the clip out."
    )


def _refuse_mixed_scales(waveforms, read):
    """Refuse 16-bit samples as floats beside clips that are scaled to 1."""
    scaled = next((place for is_scaled, place in read if is_scaled), None)
    if scaled is None:
        return
    for samples, (is_scaled, place) in zip(waveforms, read, strict=True):
        if is_scaled or (peak := loudest_of(samples)) <= UNSCALED:
            continue
        raise InvalidSequenceError(
            f"{place} holds floats up to {peak:.6g}, but {scaled} has integers, or is "
            "a file, and is scaled so that 1 is full scale: they would be up to 90 dB "
            "apart. If the floats were samples of 16 bits, divide them by 32768."
        )


def loudest_of(samples):
    """Return the size of the largest sample of a clip.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,)
        Mono.

    Returns
    -------
    float
        0 for silence.
    """
    return float(np.abs(samples).max())


def are_apart(loudest, other):
    """Tell whether clips are on two scales, by their largest samples.

    Parameters
    ----------
    loudest, other : float
        Of two sets of clips.

    Returns
    -------
    bool
        True if one is within full scale and the other far beyond it.
    """
    low, high = sorted([loudest, other])
    return 0 < low <= FULL_SCALE and high > UNSCALED


def resample_to(samples, rate, sample_rate, place="the clip"):
    """Bring a waveform to another rate.

    Parameters
    ----------
    samples : ndarray of shape (n_samples,), float32 or float64
        Mono.
    rate, sample_rate : int
        Samples a second, now and then.
    place : str, default="the clip"
        What to call it in messages.

    Returns
    -------
    ndarray of shape (n_resampled,), of the same dtype
        Without what is above half of either rate.

    Raises
    ------
    InvalidSequenceError
        If the rates are too far apart.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.preprocessing._waveforms import resample_to
    >>> resample_to(np.zeros(44_100), rate=44_100, sample_rate=16_000).shape
    (16000,)
    """
    ratio = Fraction(sample_rate, rate)
    if max(ratio, 1 / ratio) > MAX_RATIO:
        raise InvalidSequenceError(
            f"{place} has {rate} samples a second, and sample_rate={sample_rate} is "
            f"more than {MAX_RATIO} times off. Is one of them in kHz?"
        )
    # Rounded on the side below 1, where the denominator is the larger number.
    if ratio < 1:
        ratio = ratio.limit_denominator(MAX_FACTOR)
    else:
        ratio = 1 / (1 / ratio).limit_denominator(MAX_FACTOR)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return samples
    taps = _low_pass(max(up, down)).astype(samples.dtype)
    return resample_poly(samples, up, down, window=taps)


# Made once for all clips of a rate.
@lru_cache(maxsize=4)
def _low_pass(factor):
    """Return a filter that keeps one part in `factor` of the frequencies."""
    n_taps = 2 * ZERO_CROSSINGS * factor + 1
    return firwin(n_taps, 1 / factor, window=("kaiser", KAISER_BETA))
