"""Errors and warnings.

::

    SklearnRNNError(Exception)
    ├── InvalidSequenceError(ValueError)   the data given cannot be read as sequences
    ├── DivergenceError(ArithmeticError)   the training loss became NaN or infinite
    └── InvalidModelError(ValueError)      a saved model is damaged, or of another kind
    StopTraining(Exception)                a callback's request to end training
    SklearnRNNWarning(UserWarning)
    ├── InconsistentVersionWarning         a model was saved by another version
    ├── SequenceLayoutWarning              steps, features, rows exchanged, or sound
    ├── TargetWarning                      targets look like something else
    └── WindowHistoryWarning               windows lack rows, or hold others than meant
"""

import sys

# Packages whose frames lie between the user's line and a warning.
BETWEEN = {"contextlib", "joblib", "sklearn", "sklearn_rnn", "skorch", "torch"}


class SklearnRNNError(Exception):
    """Base of the errors that this package defines."""


class InvalidSequenceError(SklearnRNNError, ValueError):
    """The data given cannot be read as sequences.

    The message names the place (sequence, step, feature), what was found
    there and what to do about it.
    """


class DivergenceError(SklearnRNNError, ArithmeticError):
    """The training loss became NaN or infinite.

    The estimator keeps the weights of the last epoch that was finite, so
    ``predict`` works after the error is caught.
    """


class InvalidModelError(SklearnRNNError, ValueError):
    """A saved model is damaged, holds what no version saves, or cannot be saved.

    The message names the file and the place in the model, what was expected and what
    was found there. Nothing of the file was executed.
    """


class StopTraining(Exception):
    """Raised by a callback to end training.

    Raised in ``on_epoch_end``, it ends training after that epoch; anywhere
    else at once, going back to the weights of the last finished epoch.
    ``fit`` catches it and returns normally; it never reaches the caller.
    """


class SklearnRNNWarning(UserWarning):
    """Base of the warnings that this package defines."""


class InconsistentVersionWarning(SklearnRNNWarning):
    """A model was saved by another version of this package than the one that loads it.

    Models of version 0.6 and later load and predict; the README's table says which.
    """


class SequenceLayoutWarning(SklearnRNNWarning):
    """Sequences were read as given, but may be meant otherwise.

    Steps and features of an array look exchanged: sequences are read as (n_sequences,
    n_timesteps, n_features); aeon and sktime have the order (n_sequences, n_channels,
    n_timesteps). Or rows of a table, or of an array of one column, were read as a
    sequence each, and look like the steps of one series. Or sequences look like sound
    of which no spectra were computed.
    """


class TargetWarning(SklearnRNNWarning):
    """Targets were read as given, but look like padding, or like measurements."""


class WindowHistoryWarning(SklearnRNNWarning):
    """Windows hold fewer rows than they should, or other rows than meant.

    The times of the rows are not known, follow no step, or have so many gaps
    that a noticeable part of the windows is cut short; or rows are missing
    before those that are forecast from. The message names the step or the
    number of rows wanted, and the ways out.
    """


def missing_package(name, package, extra, remark=""):
    """Return the error for an optional package that is not installed."""
    return ImportError(
        f"{name} needs the package {package}, which is not installed. It comes with "
        f'the extra "{extra}": pip install -e ".[{extra}]" in a clone of the '
        f"repository. By itself: pip install {package}.{remark}"
    )


def user_stacklevel():
    """Return the `stacklevel` with which a warning points at the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in BETWEEN:
        frame, level = frame.f_back, level + 1
    return level
