"""The processes with which a thread trains, where `data_parallel` sets them."""

import threading
from typing import Any


class _Current(threading.local):
    """The processes with which the calling thread trains now; None for one alone.

    Of the type `Processes`.
    """

    processes: Any = None


current_processes = _Current()
