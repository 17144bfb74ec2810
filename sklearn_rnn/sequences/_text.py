"""Errors for text and paths where numbers are expected."""

import os

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError

# Suffixes of sound files.
SOUND_FILES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"),
    *(".aif", ".aiff", ".au", ".caf"),
)
# Estimators that embed tokens.
EMBEDDING = ("RNNClassifier", "RNNRegressor", "RNNTagger")


def check_no_text(X, estimator_name, name="X"):
    """Raise if what is no numbers is text or paths, and say what reads them."""
    value, where = _first_text(X)
    if value is None:
        return
    raise InvalidSequenceError(
        f"{name}{where} cannot be read as a sequence of numbers: it holds "
        f"{_describe(value)}, such as {value!r:.60}. {_remedy(value, estimator_name)}"
    )


def _first_text(X):
    """Return the first text in `X` and where it is, or None and ""."""
    if _is_text(X):
        return X, ""
    if isinstance(X, pd.DataFrame) and X.shape[1] > 1:
        return None, ""  # other checks name the column
    if isinstance(X, (pd.DataFrame, pd.Series)):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "USO":
            return None, ""
        X = X.tolist()
    if isinstance(X, (list, tuple)):
        for i, item in enumerate(X):
            found = item if _is_text(item) else _first_inside(item)
            if found is not None:
                return found, f"[{i}]"
    return None, ""


def _first_inside(sequence):
    if isinstance(sequence, (pd.DataFrame, pd.Series, np.ndarray)):
        sequence = np.asarray(sequence).ravel().tolist()
    if not isinstance(sequence, (list, tuple)):
        return None
    return next((value for value in sequence if _is_text(value)), None)


def _is_text(value):
    return isinstance(value, (str, bytes, os.PathLike))


def is_sound_file(value):
    """Return whether a string or path is the name of a sound file."""
    return os.fspath(value).lower()[-5:].endswith(SOUND_FILES)


def _describe(value):
    if isinstance(value, bytes):
        return "bytes"
    return "paths" if isinstance(value, os.PathLike) else "strings"


def _remedy(value, estimator_name):
    if isinstance(value, bytes):
        return "Decode text, and read files, first."
    if estimator_name == "RNNTranscriber" or is_sound_file(value):
        return (
            "Put a LogMelSpectrogram in front, which reads sound files: "
            f"make_pipeline(LogMelSpectrogram(), {_constructor(estimator_name)})."
        )
    if isinstance(value, os.PathLike):
        return "Read the files first."
    if estimator_name == "RNNSeq2Seq":
        return "Set source='symbols' to read text."
    if estimator_name not in EMBEDDING:
        return (
            "Put a SequenceTokenizer in front, whose ids an estimator with its "
            "embedding_dim set takes."
        )
    remedy = (
        "Put a SequenceTokenizer in front: make_pipeline(SequenceTokenizer(), "
        f"{estimator_name}(embedding_dim=32))."
    )
    if estimator_name == "RNNTagger":
        remedy = (
            "For words put WordFeatures in front: make_pipeline(WordFeatures(), "
            "RNNTagger(bidirectional=True)). For other symbols put a SequenceTokenizer "
            "in front: make_pipeline(SequenceTokenizer(), RNNTagger(embedding_dim=32))."
        )
    if _is_number(value):
        remedy += " If it is numbers as text, convert them with float()."
    return remedy


def _constructor(estimator_name):
    return (
        f"{estimator_name}()" if estimator_name.startswith("RNN") else "RNNClassifier()"
    )


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
