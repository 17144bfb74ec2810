"""Targets of any kind, on their way to an array."""

from contextlib import contextmanager

from sklearn_rnn._exceptions import InvalidSequenceError

# What NumPy, pandas, torch and scikit-learn raise where values are of no use.
UNREADABLE = (TypeError, ValueError, RuntimeError, ArithmeticError)


@contextmanager
def explain_target_errors(wanted, name="y"):
    """Say what was to be read where a library fails to read targets.

    Parameters
    ----------
    wanted : str
        What targets should be, such as "one label per sequence".
    name : str, default="y"
        What is read, for the message.

    Raises
    ------
    TypeError
        Instead of another one.
    ValueError
        Instead of all other errors.
    """
    try:
        yield
    except InvalidSequenceError:  # names the place already
        raise
    except UNREADABLE as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} cannot be read as {wanted}: {error}") from error
