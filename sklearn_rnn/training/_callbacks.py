"""Callbacks that a user passes in."""

import copy
import re

from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LRScheduler,
)
from skorch.exceptions import SkorchException

# What an epoch's record holds only where there are validation data.
VALIDATION_KEYS = {"valid_loss", "valid_loss_best", "valid_score"}
# What a callback may raise if the history lacks what it looks for.
NOT_FOUND = KeyError, SkorchException, ValueError, TypeError


def copy_callbacks(callbacks, lr_schedule, has_validation):
    """Check a parameter `callbacks`; return copies, as a net of skorch takes them.

    They set no rate that `lr_schedule` sets as well, and what they monitor will be
    recorded.
    """
    if callbacks is None:
        return []
    pairs = [
        item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        for item in (callbacks if isinstance(callbacks, list) else [callbacks])
    ]
    own_names = {getattr(callback, "name", None) for _, callback in pairs}
    copies = []
    for i, (name, callback) in enumerate(pairs):
        if not isinstance(callback, Callback):
            item = callback if name is None else (name, callback)
            raise ValueError(
                f"callbacks[{i}] is {item!r}; give instances of skorch callbacks, "
                "such as skorch.callbacks.EarlyStopping()."
            )
        if isinstance(callback, LRScheduler) and lr_schedule is not None:
            raise ValueError(
                f"callbacks has an LRScheduler, and lr_schedule={lr_schedule!r} sets "
                "the learning rate as well. Set lr_schedule=None."
            )
        copied = copy.copy(callback)  # fit must not change a parameter
        copies.append(copied if name is None else (name, copied))
        # Others may not read what they monitor, as most schedulers do not.
        if has_validation or type(callback) not in (Checkpoint, EarlyStopping):
            continue
        monitor = callback.monitor
        if isinstance(monitor, str) and monitor in VALIDATION_KEYS - own_names:
            name = type(callback).__name__ if name is None else name
            raise ValueError(_not_recorded(name, callback, monitor, None, False))
    return copies


def explain_failure(name, callback, error, record, has_validation):
    """Raise a clear ValueError if a callback looked for what `record` does not have.

    For other errors nothing is raised.
    """
    key = _missing_key(callback, error, record)
    if key is not None:
        message = _not_recorded(name, callback, key, record, has_validation)
        raise ValueError(message) from error


def _missing_key(callback, error, record):
    """Return the key that a callback did not find in the history, or None."""
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and monitor not in record:
        return monitor
    text = str(error.args[0]) if error.args else ""
    found = re.search(r"Key '(\w+)' was not found in history", text)
    if found:
        return found[1]
    is_of_record = isinstance(error, KeyError) and text.startswith(("valid_", "train_"))
    return text if is_of_record and text not in record else None


def _not_recorded(name, callback, key, record, has_validation):
    kind = type(callback).__name__
    message = f"the callback {name!r} ({kind}) looks for {key!r} in the history, which "
    if record is None:
        message += "has it only with validation data."
    else:
        keys = sorted(k for k in record if k != "batches")
        message += f"has {', '.join(keys)}."
    if has_validation:
        return message + " Let it look for one of these."
    instead = "train_loss_best" if key.endswith("_best") else "train_loss"
    own = " (which stops training early without a callback)"
    return (
        f"{message} Set early_stopping=True{own if kind == 'EarlyStopping' else ''}, "
        f"give X_val (and y_val) to fit, or monitor {instead!r}."
    )
