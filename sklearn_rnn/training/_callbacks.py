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


def copy_callbacks(callbacks):
    """Return copies of callbacks, named or not: fit must not change a parameter."""
    for i, item in enumerate(callbacks):
        if not isinstance(_callback(item), Callback):
            raise ValueError(
                f"callbacks[{i}] is {item!r}; give instances of skorch callbacks, "
                "such as skorch.callbacks.EarlyStopping()."
            )
    return [
        (item[0], copy.copy(item[1])) if isinstance(item, tuple) else copy.copy(item)
        for item in callbacks
    ]


def has_lr_scheduler(callbacks):
    """Return whether there is an ``LRScheduler`` among callbacks, named or not."""
    return any(isinstance(_callback(item), LRScheduler) for item in callbacks)


def _callback(item):
    is_named = isinstance(item, tuple) and len(item) == 2
    return item[1] if is_named else item


def check_monitors(callbacks, has_validation):
    """Check before training that what callbacks monitor will be recorded."""
    own_names = {getattr(_callback(item), "name", None) for item in callbacks}
    for item in callbacks:
        callback = _callback(item)
        name = item[0] if isinstance(item, tuple) else type(callback).__name__
        # Others may not read what they monitor, as most schedulers do not.
        if has_validation or type(callback) not in (Checkpoint, EarlyStopping):
            continue
        monitor = callback.monitor
        if isinstance(monitor, str) and monitor in VALIDATION_KEYS - own_names:
            raise ValueError(_not_recorded(name, callback, monitor, None, False))


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
