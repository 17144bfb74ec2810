"""Warnings where steps and features, or rows and sequences, look exchanged."""

import warnings
from collections import defaultdict

import numpy as np
from pandas.api.types import is_numeric_dtype

from sklearn_rnn._exceptions import SequenceLayoutWarning, user_stacklevel
from sklearn_rnn.sequences._container import SequenceArray

# Read as (n_timesteps, n_features). In the order (n, channels, time), which aeon
# and sktime have, the UEA archive and common recordings are read as
#
#     (1, 24) ItalyPowerDemand    (2, 36), (2, 45) Libras      (3, 206) Epilepsy
#     (4, 65) ERing               (4, 640) AtrialFibrillation  (6, 30) RacketSports
#     (6, 100) BasicMotions       (6, 1197) Cricket            (9, 128) UCI HAR
#     (11, 217) PhonemeSpectra    (12, 29) JapaneseVowels      (13, 93) SpokenArabic
#     (24, 51) NATOPS             (61, 405) Heartbeat          (64, 3000) MotorImagery
#
# and sequences in the right order look like
#
#     (1, 4) one-to-one           (7, 20) a week of a table    (28, 28) rows of images
#     (5, 300) word vectors       (10, 64) spectrogram frames  (50, 768) word vectors
#
# So shape decides where there are few steps. It does not separate channels from word
# vectors and spectrograms, whose usual sizes are left out, nor many channels from
# long sentences: there the values decide. Zeros and ones are one-hot vectors;
# vectors that recur are of words, or padding, which no two channels have in common.
MANY_FEATURES_OF_ONE_STEP = 10
FEW_STEPS, MANY_FEATURES, RATIO = 13, 24, 2
# Sizes of spectra and vectors, and the fewest steps at which they count as such.
USUAL_SIZES = dict.fromkeys((40, 64, 80, 300, 768), 5)
USUAL_SIZES |= dict.fromkeys((25, 50, 100, 200, 256, 384, 512, 1024), 10)
# Neighbours in time are alike, channels are not: mean square differences between
# neighbouring features over those between neighbouring steps.
EXCHANGED, IN_ORDER = 0.1, 4.0
# Vectors that recur, above which they are words; some channels are silent.
FRACTION_RECURRING = 0.05
# Sequences whose values are inspected.
N_INSPECTED = 64


def warn_of_layout(X, sequences):
    """Warn if steps and features of an array or a list of arrays look exchanged.

    `X` is what `convert_input` returns, `sequences` what `check_sequences` does. A
    container, and frames with names of features, say what their features are.
    """
    if isinstance(X, SequenceArray) or sequences.feature_names is not None:
        return
    n_timesteps, n_features = sequences.common_length, sequences.n_features
    if n_timesteps is None or not _look_exchanged(sequences, n_timesteps, n_features):
        return
    is_list = isinstance(X, (list, tuple)) or getattr(X, "ndim", 3) == 1
    remedy = "[x.T for x in X]" if is_list else "X.transpose(0, 2, 1)"
    warnings.warn(
        f"X is read as {len(sequences)} sequences of {n_timesteps} steps and "
        f"{n_features} features, (n_sequences, n_timesteps, n_features) = "
        f"({len(sequences)}, {n_timesteps}, {n_features}). If it has the order "
        f"(n_sequences, n_channels, n_timesteps) of aeon and sktime, pass {remedy}. "
        "If the order is right, silence this SequenceLayoutWarning by its class.",
        SequenceLayoutWarning,
        stacklevel=user_stacklevel(),
    )


def warn_of_rows(X, *, estimator_name):
    """Warn if the rows of a 2-D array or a table look like steps, not sequences.

    So do rows of one value, and rows of a table whose columns have names like those of
    features. Columns that are steps are numbered or dated: "t-3", 12, "2024-01-31".
    Rows that have names of their own are no steps.
    """
    index = getattr(X, "index", None)
    if len(X) < 2 or (index is not None and not is_numeric_dtype(index)):
        return
    n_rows, n_columns = X.shape
    if n_columns > 1 and not _are_named_like_features(X):
        return
    if n_columns == 1:
        remedy = "If each row is a sequence by itself, silence"
    else:
        remedy = "If each row is a whole sequence, pass X.to_numpy(), or silence"
    warnings.warn(
        f"X is a table of {n_rows} rows and {_describe_columns(X)}: {estimator_name} "
        f"reads each row by itself, as {n_rows} sequences of {n_columns} "
        f"step{'s' if n_columns > 1 else ''} of one feature. If its rows are steps of "
        "a series, put a SequenceWindower in front: "
        "make_pipeline(SequenceWindower(n_steps=24), ...); if groups of rows are "
        "sequences, pass a list of them, as in [g for _, g in X.groupby(key)]. "
        f"{remedy} this SequenceLayoutWarning by its class.",
        SequenceLayoutWarning,
        stacklevel=user_stacklevel(),
    )


def _are_named_like_features(X):
    names = [str(name) for name in getattr(X, "columns", [])]
    n_numbered = sum(any(letter.isdigit() for letter in name) for name in names)
    return n_numbered < len(names) / 2


def _describe_columns(X):
    if X.shape[1] == 1:
        return "one column"
    return f"{X.shape[1]} columns, {X.columns[0]!r} to {X.columns[-1]!r}"


def _look_exchanged(sequences, n_timesteps, n_features):
    if n_timesteps == 1:
        return n_features >= MANY_FEATURES_OF_ONE_STEP
    if n_features < MANY_FEATURES or n_features <= RATIO * n_timesteps:
        return False
    ratio = _ratio_of_differences(sequences)
    is_usual = n_timesteps >= USUAL_SIZES.get(n_features, np.inf)
    if n_timesteps > FEW_STEPS or is_usual:
        return ratio < EXCHANGED
    return ratio < IN_ORDER


def _ratio_of_differences(sequences):
    """Return how much features differ from their neighbours, relative to steps."""
    chosen = np.unique(np.linspace(0, len(sequences) - 1, N_INSPECTED).astype(int))
    steps = sequences.gather(chosen).astype(np.float64)  # (T, N, F)
    if ((steps == 0) | (steps == 1)).all() or _recur(steps):
        return np.inf
    steps /= np.abs(steps).max()  # else squares may overflow
    between_steps = np.mean(np.diff(steps, axis=0) ** 2)
    between_features = np.mean(np.diff(steps, axis=2) ** 2)
    return between_features / between_steps if between_steps else np.inf


def _recur(steps):
    """Return whether vectors occur at several steps, of one sequence or of others."""
    found = defaultdict(list)
    for t, vectors in enumerate(steps):
        for vector in vectors:
            found[vector.tobytes()].append(t)
    n_again = sum(len(at) for at in found.values() if len(set(at)) > 1)
    return n_again > FRACTION_RECURRING * steps.shape[0] * steps.shape[1]
