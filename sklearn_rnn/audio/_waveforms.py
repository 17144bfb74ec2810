"""Waveforms as users have them, loaded as mono at one rate."""

import os
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import firwin, resample_poly

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.audio._sound_files import load_file
from sklearn_rnn.sequences import SequenceArray, plain_arrays

MAX_CHANNELS = 8
# Floats of a waveform stay within -1 and 1, or a little more; above UNSCALED they are
# more likely samples of 16 bits converted to float without scaling.
FULL_SCALE, UNSCALED = 2.0, 100.0
# The square of a larger float64 is infinite.
LARGEST = 1e100
MAX_RATE = 10_000_000  # Hz
# Rates with a larger ratio are a mistake in one of them.
MAX_RATIO = 1000
# Ratios of larger integers are rounded, as the length of the filter grows with them:
# time may drift by up to 0.04 seconds per hour.
MAX_FACTOR = 100_000
# Of the filter: zero crossings on either side, and Kaiser's beta, for 80 dB.
ZERO_CROSSINGS = 16
KAISER_BETA = 8.0


class Waveform(NamedTuple):
    """A mono clip; `rate` in Hz if known.

    `is_scaled` says that it came as integers or from a file, so that 1 is full scale.
    """

    samples: np.ndarray
    rate: int | None
    is_scaled: bool


def list_clips(X: Any, estimator_name: str) -> Sequence[Any]:
    """Return the clips of `X`, not loaded: arrays, paths, pairs of array and rate."""
    X = plain_arrays(X, estimator_name=estimator_name, name="X")
    _check_not_single(X, estimator_name)
    if isinstance(X, SequenceArray):
        X = _sequences(X, estimator_name)
    elif isinstance(X, pd.Series):
        X = X.tolist()
    elif not isinstance(X, (list, tuple)):
        X = _rows(X, estimator_name)
    if len(X) == 0:
        raise InvalidSequenceError(
            f"X is empty: {estimator_name} needs at least one clip."
        )
    return X


def _check_not_single(X, estimator_name):
    remedy = f"{estimator_name} takes a list of clips: pass [X]."
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(f"X is a single path, {os.fspath(X)!r}, but {remedy}")
    if _is_pair(X):
        raise InvalidSequenceError(
            f"X is a single pair of a waveform and its rate, but {remedy}"
        )
    is_numeric = getattr(getattr(X, "dtype", None), "kind", "O") in "biufc"
    is_flat = getattr(X, "ndim", None) == 1 and is_numeric
    if is_flat or (isinstance(X, (list, tuple)) and X and isinstance(X[0], Real)):
        raise InvalidSequenceError(
            f"Expected 2D array, got 1D array instead: X is a single waveform of "
            f"{len(X)} samples, but {remedy}"
        )


def _sequences(X, estimator_name):
    if X.n_features != 1:
        raise InvalidSequenceError(
            f"X is {X!r}, but a waveform has one feature per step, its sample. If "
            "these are channels, average them before the windows are cut: "
            f"recording.mean(axis=1). If they are frames, {estimator_name} has "
            "already been applied."
        )
    return [steps[:, 0] for steps in X]


def _rows(X, estimator_name):
    """Return an array whose rows are clips, or that holds clips."""
    if isinstance(X, pd.DataFrame) or not hasattr(X, "__array__"):
        raise TypeError(
            f"X is of type {type(X).__name__}; {estimator_name} takes a list of "
            "waveforms, of paths of sound files or of pairs (waveform, rate), or an "
            "array with one clip per row. Of a table pass the column that holds them, "
            "or X.to_numpy()."
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


def load_waveforms(
    clips: Sequence[Any], sample_rate: int, resample: bool, estimator_name: str
) -> list[np.ndarray]:
    """Return clips as finite mono waveforms at `sample_rate`, float32 or float64.

    Clips without a rate are taken to have `sample_rate`; others are resampled, or
    raise an error without `resample`. Integers and files are scaled so that 1 is full
    scale.
    """
    waveforms, scales = [], []
    for i, clip in enumerate(clips):
        name = _describe(clip, i)
        waveform = _load(clip, name)
        _check_finite(waveform.samples, name)
        scales.append((waveform.is_scaled, name))
        samples, rate = waveform.samples, waveform.rate
        if rate is not None and rate != sample_rate:
            if not resample:
                raise InvalidSequenceError(
                    f"{name} has {rate} samples per second, but {estimator_name} "
                    f"computes spectra at sample_rate={sample_rate}. Set "
                    f"resample=True, or sample_rate={rate} if all clips have it."
                )
            samples = resample_to(samples, rate, sample_rate, name)
        waveforms.append(samples)
    _check_same_scale(waveforms, scales)
    return waveforms


def _describe(clip, i):
    if isinstance(clip, (str, os.PathLike)):
        return f"X[{i}] ({os.fspath(clip)!r})"
    return f"X[{i}]"


def _load(clip, name):
    if isinstance(clip, (str, os.PathLike)):
        samples, file_rate = load_file(clip, name, MAX_CHANNELS)
        # A file of floats may hold anything.
        is_scaled = loudest_of(_not_empty(samples, name)) <= UNSCALED
        return Waveform(samples, file_rate, is_scaled)
    rate = None
    if _is_pair(clip):
        # soundfile and librosa put the rate second, scipy first.
        clip, rate = clip if np.ndim(clip[1]) == 0 else clip[::-1]
        rate = _whole_rate(rate, name)
    clip = _array(clip, name)
    is_integer = clip.dtype.kind != "f"
    return Waveform(_scale(_mono(clip, name), clip.dtype), rate, is_integer)


def _is_pair(clip):
    """Return whether a clip is a number beside something longer."""
    if not isinstance(clip, (list, tuple)) or len(clip) != 2:
        return False
    if isinstance(clip[0], Real) == isinstance(clip[1], Real):
        return False
    samples = clip[0] if isinstance(clip[1], Real) else clip[1]
    return hasattr(samples, "__len__") and not isinstance(samples, str)


def _whole_rate(rate, name):
    if rate != rate or not 1 <= rate <= MAX_RATE or rate != int(rate):
        raise InvalidSequenceError(
            f"{name} has the rate {rate!r}, but samples per second are a whole number "
            f"from 1 to {MAX_RATE}. Give kHz in Hz, and round what is not whole."
        )
    return int(rate)


def _array(clip, name):
    if not hasattr(clip, "__len__") and pd.api.types.is_scalar(clip) and pd.isna(clip):
        raise InvalidSequenceError(
            f"{name} is {clip!r}, a missing value. Leave it out, and its target with "
            "it."
        )
    if isinstance(clip, (bytes, bytearray)) or not (
        hasattr(clip, "__array__") or isinstance(clip, (list, tuple))
    ):
        raise TypeError(
            f"{name} is of type {type(clip).__name__}, and a clip is an array of "
            "samples, the path of a sound file, or a pair (waveform, rate). Of bytes "
            "or an open file pass soundfile.read(...), which is such a pair."
        )
    try:
        clip = np.asarray(plain_arrays(clip, estimator_name=name, name=name))
    except ValueError as error:
        raise InvalidSequenceError(
            f"{name} is not an array of samples: {error}. A clip is an array of shape "
            "(n_samples,) or (n_samples, n_channels)."
        ) from error
    if clip.dtype.kind not in "iuf":
        remedy = "Pass paths one by one, not in a list inside the list."
        if clip.dtype.kind == "c":
            remedy = "Complex data not supported."
        raise TypeError(
            f"{name} holds values of type {clip.dtype}, and samples are real numbers. "
            f"{remedy}"
        )
    if clip.dtype.kind in "iu" and clip.dtype.itemsize > 4:
        raise InvalidSequenceError(
            f"{name} holds {clip.dtype}, and no sound is recorded with 64 bits, so its "
            "full scale is not known. Convert it to the type of the recording, as in "
            "x.astype(np.int16), or to floats from -1 to 1."
        )
    return _not_empty(clip, name)


def _not_empty(clip, name):
    if clip.size == 0:
        raise InvalidSequenceError(
            f"{name} is empty: a waveform of shape {clip.shape} has 0 sample(s), "
            "while a minimum of 1 is required. Leave it out, and its target with it."
        )
    return clip


def _mono(clip, name):
    """Return the mean of the channels."""
    if clip.ndim == 1:
        return clip
    if clip.ndim != 2:
        raise InvalidSequenceError(
            f"{name} has shape {clip.shape}; a clip is an array of shape "
            "(n_samples,) or (n_samples, n_channels)."
        )
    axis = 1 if clip.shape[1] <= clip.shape[0] else 0
    n_channels = clip.shape[axis]
    if n_channels > MAX_CHANNELS:
        raise InvalidSequenceError(
            f"{name} has shape {clip.shape}: the shorter side is the channels, and at "
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


def _check_finite(samples, name):
    if -LARGEST < float(samples.min()) and float(samples.max()) < LARGEST:
        return
    at = int(np.argmin(np.abs(samples.astype(np.float64)) < LARGEST))
    value = samples[at]
    found = "NaN" if np.isnan(value) else "infinity" if np.isinf(value) else value
    raise InvalidSequenceError(
        f"Input X contains {found}: {name}, sample {at}. Set such samples to 0, or "
        "leave the clip out."
    )


def _check_same_scale(waveforms, scales):
    """Check that no 16-bit samples as floats are among clips scaled to 1."""
    scaled = next((name for is_scaled, name in scales if is_scaled), None)
    if scaled is None:
        return
    for samples, (is_scaled, name) in zip(waveforms, scales, strict=True):
        if is_scaled or (peak := loudest_of(samples)) <= UNSCALED:
            continue
        raise InvalidSequenceError(
            f"{name} holds floats up to {peak:.6g}, but {scaled} has integers, or is "
            "a file, and is scaled so that 1 is full scale: they would be up to 90 dB "
            "apart. If the floats were samples of 16 bits, divide them by 32768."
        )


def loudest_of(samples: np.ndarray) -> float:
    """Return the absolute value of the largest sample."""
    return float(np.abs(samples).max())


def are_apart(loudest: float, other: float) -> bool:
    """Return whether clips are on two scales, by their largest samples."""
    low, high = sorted([loudest, other])
    return 0 < low <= FULL_SCALE and high > UNSCALED


def resample_to(
    samples: np.ndarray, rate: int, sample_rate: int, name: str = "the clip"
) -> np.ndarray:
    """Return a mono waveform resampled to another rate (Hz), of the same dtype."""
    ratio = Fraction(sample_rate, rate)
    if max(ratio, 1 / ratio) > MAX_RATIO:
        raise InvalidSequenceError(
            f"{name} has {rate} samples per second, and sample_rate={sample_rate} "
            f"differs by a factor of more than {MAX_RATIO}. Is one of them in kHz?"
        )
    # Rounded on the side below 1, where the denominator is the larger integer.
    if ratio < 1:
        ratio = ratio.limit_denominator(MAX_FACTOR)
    else:
        ratio = 1 / (1 / ratio).limit_denominator(MAX_FACTOR)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return samples
    taps = _low_pass(max(up, down)).astype(samples.dtype)
    return resample_poly(samples, up, down, window=taps)


# Computed once for all clips of a rate.
@lru_cache(maxsize=4)
def _low_pass(factor):
    """Return a filter that keeps 1 / factor of the frequencies."""
    n_taps = 2 * ZERO_CROSSINGS * factor + 1
    return firwin(n_taps, 1 / factor, window=("kaiser", KAISER_BETA))
