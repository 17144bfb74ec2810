"""Errors of the conversion of targets to arrays."""

from contextlib import contextmanager

from sklearn_rnn._exceptions import InvalidSequenceError

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
