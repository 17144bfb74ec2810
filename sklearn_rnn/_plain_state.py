"""States of objects as plain values: what every file format can hold.

Plain are None, bool, int, float, str, lists, tuples and dicts with str keys of these,
NumPy arrays and scalars. Everything else in the state of an estimator becomes a dict
that names its type, out of a closed list: pandas objects, time zones, random states,
and the classes that `plain_type` marks. What is on no list stays as it is, for pickles;
the other formats refuse it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import torch
from torch.optim import lr_scheduler

from sklearn_rnn._exceptions import (
    InconsistentVersionWarning,
    InvalidModelError,
    user_stacklevel,
)
from sklearn_rnn._plain_values import ABSTRACT, DESCRIBE, RESTORE, check_kind
from sklearn_rnn._version import __version__

# The key that marks the dict of a described object, and that of a state's version.
TYPE = "sklearn_rnn.type"
VERSION = "_sklearn_rnn_version"
SCALARS = (type(None), bool, int, float, str)
# What a state that fits nowhere makes the code raise that takes it.
DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RuntimeError, AssertionError),
)

_CLASSES: dict[str, type] = {}
_Class = TypeVar("_Class", bound=type)


def plain_type(cls: _Class) -> _Class:
    """Let objects of a class be part of a plain state, under its name."""
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise TypeError(f"two classes of plain states are called {cls.__name__}")
    return cls


def describe(value: Any) -> Any:
    """Return a value with all objects in it as dicts that name their types."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind in (list, tuple):
        return kind(describe(item) for item in value)
    if kind is dict:
        return _describe_dict(value)
    if kind is np.ndarray:
        return _describe_array(value)
    if _CLASSES.get(kind.__name__) is kind:
        return _tag(kind.__name__, _state_of(value))
    return _describe_other(value)


def _describe_dict(value):
    if all(type(key) is str for key in value) and TYPE not in value:
        return {key: describe(item) for key, item in value.items()}
    return _tag("dict", [[describe(k), describe(v)] for k, v in value.items()])


def _describe_array(value):
    if value.dtype != object:
        return value
    items = [describe(item) for item in value.flat]
    if all(new is old for new, old in zip(items, value.flat, strict=True)):
        return value
    return _tag("objects", {"items": items, "shape": list(value.shape)})


def _state_of(value):
    if hasattr(value, "_asdict"):
        return describe(value._asdict())
    state = value.__getstate__()
    return describe({} if state is None else dict(state))


def _describe_other(value):
    if type(value) is SimpleNamespace:
        return _tag("SimpleNamespace", describe(dict(vars(value))))
    if type(value) is partial and _name_of_torch(value.func):
        parts = [value.func, value.args, value.keywords]
        return _tag("partial", describe(parts))
    if isinstance(value, type):
        name = _name_of_torch(value)
        return _tag("torch", name) if name else value
    for name, (kind, function) in DESCRIBE.items():
        if type(value) is kind or (kind in ABSTRACT and isinstance(value, kind)):
            state = function(value)
            if state is not None:
                return _tag(name, describe(state))
    return value


def _tag(name, state):
    return {TYPE: name, "state": state}


def restore(value: Any) -> Any:
    """Return what `describe` was given, of its result.

    Raises
    ------
    InvalidModelError
        If a type is on no list, or does not take its state.
    """
    kind = type(value)
    if kind in (list, tuple):
        return kind(restore(item) for item in value)
    if kind is not dict:
        return value
    if TYPE not in value:
        return {key: restore(item) for key, item in value.items()}
    name = value[TYPE]
    try:
        return _make(name, restore(value["state"]))
    except InvalidModelError:
        raise
    except DAMAGE as error:
        raise InvalidModelError(
            f"a model holds an object of type {name!r} with a state that is none of "
            f"its: {_first_line(error)}. It is damaged; save the model again."
        ) from error


def _make(name, state):
    if name in _CLASSES:
        return _make_own(_CLASSES[name], state)
    if name in RESTORE:
        return RESTORE[name](state)
    if name == "dict":
        check_kind(list, state)
        return {key: item for key, item in state}
    if name == "objects":
        return _make_objects(**state)
    if name == "SimpleNamespace":
        return SimpleNamespace(**state)
    if name == "torch":
        return _torch_types()[state]
    if name == "partial":
        function, args, keywords = state
        check_kind(tuple, args)
        if not _name_of_torch(function):
            raise ValueError(f"{function!r} is no scheduler of torch")
        return partial(function, *args, **keywords)
    raise InvalidModelError(
        f"a model holds an object of type {name!r}, which version {__version__} of "
        "sklearn_rnn does not know. If a later version wrote the file, load it with "
        "that; otherwise the file is damaged, and the model has to be saved again."
    )


def _make_own(cls, state):
    if issubclass(cls, tuple):
        return cls(**state)
    made = object.__new__(cls)
    if hasattr(cls, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


def _make_objects(items, shape):
    check_kind(list, items)
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # all at once, lists would become rows
        array[i] = item
    return array.reshape(shape)


def _torch_types():
    """Return the optimizers and schedulers of torch by their names in torch.optim."""
    found = {}
    for prefix, module, base in (
        ("", torch.optim, torch.optim.Optimizer),
        ("lr_scheduler.", lr_scheduler, lr_scheduler.LRScheduler),
    ):
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, base):
                found[prefix + name] = value
    return found


def _name_of_torch(value):
    names = [name for name, found in _torch_types().items() if found is value]
    return names[0] if names else None


def describe_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator as plain values, with the package's version."""
    state = {key: describe(item) for key, item in state.items()}
    return state | {VERSION: __version__}


def restore_state(state: Any, name: str) -> dict[str, Any]:
    """Return the state that `describe_state` was given, of its result.

    Parameters
    ----------
    state : dict
        Also of a version before 0.7, which described nothing.
    name : str
        Class of the estimator, for messages.

    Raises
    ------
    InvalidModelError
        If it is damaged.

    Warns
    -----
    InconsistentVersionWarning
        If another version of this package wrote it.
    """
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise InvalidModelError(
            f"the state of a {name} is a dict of attributes by name, got "
            f"{type(state).__name__}. The file is damaged; save the model again."
        )
    state = dict(state)
    version = state.pop(VERSION, "before 0.7")
    if version != __version__:
        warnings.warn(
            f"{name} was saved by version {version} of sklearn_rnn, and is loaded by "
            f"version {__version__}: predictions may differ. Save it again, or load it "
            "with the version that wrote it.",
            InconsistentVersionWarning,
            stacklevel=user_stacklevel(),
        )
    return {key: restore(item) for key, item in state.items()}


@contextmanager
def damage_reported(name: str) -> Iterator[None]:
    """Raise InvalidModelError where an estimator cannot take its state."""
    try:
        yield
    except InvalidModelError:
        raise
    except DAMAGE as error:
        raise InvalidModelError(
            f"a {name} cannot be made of the state that was saved: "
            f"{_first_line(error)} If the file is not damaged, load it with the "
            "version that wrote it."
        ) from error


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class PlainState:
    """Base of estimators whose state in pickles and files is plain values."""

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()  # a dict, where object promises none
        return describe_state(dict(state))

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = type(self).__name__
        state = restore_state(state, name)
        with damage_reported(name):
            getattr(super(), "__setstate__", vars(self).update)(state)
