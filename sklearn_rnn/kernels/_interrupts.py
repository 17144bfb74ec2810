"""Imports that Ctrl-C cannot split."""

import signal
import sys
import threading
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def deferred_interrupts():
    """Hold Ctrl-C back, and let it through at the end.

    A package of many modules that is interrupted while it is imported stays half
    imported: those that were finished are kept, the others are not run again in the
    order that they need, and every later import fails. Only the main thread receives
    signals; in other threads nothing is to be done.

    Examples
    --------
    >>> import signal
    >>> from sklearn_rnn.kernels import deferred_interrupts
    >>> try:
    ...     with deferred_interrupts():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("finished")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    finished
    interrupted
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main_thread else None
    if not callable(handler):  # ignored, or handled outside of Python
        yield
        return
    received = []
    signal.signal(signal.SIGINT, lambda *signal_and_frame: received.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if received:
            handler(signal.SIGINT, sys._getframe())


def import_whole(*names):
    """Import modules that are large and not yet needed, whatever Ctrl-C says.

    Parameters
    ----------
    *names : str
        Of modules.

    Returns
    -------
    list of module
        In the order of the names.

    Examples
    --------
    >>> from sklearn_rnn.kernels import import_whole
    >>> import_whole("math")[0].__name__
    'math'
    """
    if not all(name in sys.modules for name in names):
        with deferred_interrupts():
            return [import_module(name) for name in names]
    return [import_module(name) for name in names]
