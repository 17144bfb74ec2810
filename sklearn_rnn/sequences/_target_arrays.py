"""Errors of the conversion of targets to arrays."""

from contextlib import contextmanager

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._check import is_list_of_sequences

# What NumPy, pandas, torch and scikit-learn raise for values they cannot convert.
UNREADABLE = (TypeError, ValueError, RuntimeError, ArithmeticError)


@contextmanager
def explain_target_errors(wanted, name="y"):
    """Raise what a library raises with what was `wanted`, such as "one label"."""
    try:
        yield
    except InvalidSequenceError:  # names the position already
        raise
    except UNREADABLE as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} cannot be read as {wanted}: {error}") from error


def _length(one):
    try:
        return len(one)
    except TypeError:  # a scalar, of whatever library
        return None


def check_not_ragged(y, remedy):
    """Check that no sequence has several targets, as steps would."""
    if not is_list_of_sequences(y):
        return
    if len({_length(one) for one in y}) > 1:
        raise ValueError(
            "y has several values for each sequence, and here each has one target. For "
            f"a target at every step, {remedy}."
        )
