"""What of a process belongs to the caller."""

import copy
import logging
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import sklearn
import torch


def state_of_process():
    """Return what belongs to the caller, by name."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "random state of NumPy": (name, keys.tolist(), *rest),
        "random state of Python": random.getstate(),
        "random state of torch": torch.get_rng_state().tolist(),
        "threads of torch": torch.get_num_threads(),
        "dtype of torch": torch.get_default_dtype(),
        "gradients of torch": torch.is_grad_enabled(),
        "determinism of torch": torch.are_deterministic_algorithms_enabled(),
        "denormal numbers": sys.float_info.min / 2,
        "warnings filters": [tuple(map(str, entry)) for entry in warnings.filters],
        "current directory": os.getcwd(),
        "environment": dict(os.environ),
        "options of pandas": copy.deepcopy(pd.options.d),
        "options of NumPy": (np.geterr(), repr(np.get_printoptions())),
        "options of scikit-learn": sklearn.get_config(),
        "signal handler": signal.getsignal(signal.SIGINT),
        "path of imports": list(sys.path),
        "level of logging": (logging.root.level, list(logging.root.handlers)),
        "threads": threading.active_count(),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
    }


def changed_by(call):
    """Return the names of what a call changes."""
    before = state_of_process()
    call()
    after = state_of_process()
    return [name for name in before if before[name] != after[name]]
