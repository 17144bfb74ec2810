"""Waveforms: a warning where a network would read each sample of a sound as a step."""

import warnings

import numpy as np

from sklearn_rnn._exceptions import SequenceLayoutWarning, user_stacklevel

# Median length from which sequences of one feature, of both signs, count as sound: of
# 16-bit integers, which wav files hold and few sensors write, and of floats within -1
# and 1. Recordings of sensors in public archives have at most 3000 steps of one
# feature, and their values are in units of their own.
LEAST_INTEGERS, LEAST_FLOATS = 1000, 4000
# Sequences whose values are inspected.
N_INSPECTED = 32


def warn_of_waveforms(sequences):
    """Warn if sequences of one feature look like raw audio without a spectrogram."""
    if not _look_like_sound(sequences):
        return
    n_steps = int(np.median(sequences.lengths))
    kind = str(sequences.values.dtype)
    warnings.warn(
        f"X holds {len(sequences)} sequences of one feature, {kind}, and {n_steps:,} "
        "steps in the median, like waveforms of sound. A network that reads each "
        "sample as a step is slow and learns little. Put a LogMelSpectrogram in front "
        "of sound: make_pipeline(LogMelSpectrogram(sample_rate=...), ...). Of other "
        "signals, average neighbouring steps or cut windows, or silence this "
        "SequenceLayoutWarning by its class.",
        SequenceLayoutWarning,
        stacklevel=user_stacklevel(),
    )


def _look_like_sound(sequences):
    if sequences.feature_names is not None:
        return False
    is_integer = sequences.values.dtype == np.int16
    if not is_integer and sequences.values.dtype.kind != "f":
        return False
    least = LEAST_INTEGERS if is_integer else LEAST_FLOATS
    if np.median(sequences.lengths) < least:
        return False
    chosen = np.unique(np.linspace(0, len(sequences) - 1, N_INSPECTED).astype(int))
    low = min(sequences[i].min() for i in chosen)
    high = max(sequences[i].max() for i in chosen)
    return low < 0 < high and (is_integer or (low >= -1 and high <= 1))
