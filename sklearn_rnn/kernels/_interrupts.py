"""Imports that Ctrl-C cannot interrupt halfway."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defer Ctrl-C until the end of the block.

    A package of many modules that is interrupted while it is imported stays half
    imported: modules that were finished are kept, the others are not run again in the
    order that they need, and every later import fails. Only the main thread receives
    signals; other threads need no protection.

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


def import_whole(*names: str) -> list[ModuleType]:
    """Import large modules completely before Ctrl-C is handled."""
    if not all(name in sys.modules for name in names):
        with deferred_interrupts():
            return [import_module(name) for name in names]
    return [import_module(name) for name in names]
