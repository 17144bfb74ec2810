"""Models as a tree of JSON values and arrays, and back.

Beside plain values, as `sklearn_rnn._plain_tree` writes them, there are
``{"numpy": "log1p"}`` and ``{"estimator": name, "state": {...}}``.
"""

import numpy as np
from sklearn.utils import Bunch

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._plain_state import describe, restore
from sklearn_rnn._plain_tree import PlainReader, PlainWriter
from sklearn_rnn.persistence._types import CLASSES, NAMES, OWN

# Functions and scalar types that are saved by name; a look at np itself could import.
OF_NUMPY = {
    name: value
    for name, value in vars(np).items()
    if isinstance(value, np.ufunc)
    or (isinstance(value, type) and issubclass(value, np.generic))
}


class TreeWriter(PlainWriter):
    """Turns models into JSON values, and collects their arrays in `tensors`."""

    def _write_object(self, value, path):
        if _is_of_numpy(value):
            return {"numpy": value.__name__}
        if type(value) in NAMES:
            return self._write_estimator(value, path)
        raise InvalidModelError(_explain(value, path))

    def _write_estimator(self, model, path):
        state = dict(model) if isinstance(model, Bunch) else model.__getstate__()
        if type(model) not in OWN:  # they describe theirs
            state = describe(state)
        items = {k: self.write(v, f"{path}.{k}") for k, v in state.items()}
        return {"estimator": NAMES[type(model)], "state": items}


def _is_of_numpy(value):
    name = getattr(value, "__name__", None)
    return isinstance(name, str) and OF_NUMPY.get(name) is value


def _explain(value, path):
    kind = type(value)
    remedy = "Save the model with skops, joblib or pickle instead."
    if hasattr(value, "best_estimator_"):
        remedy = "Save its best_estimator_ instead."
    elif ".callbacks" in path:
        remedy = "Set callbacks=None before: predictions do not need them."
    elif callable(value) and not isinstance(value, type):
        remedy = (
            "Functions are code, which a file does not hold: set the parameter to "
            "another value before, save the model with joblib or pickle, or leave that "
            "step out."
        )
    return (
        f"{path} is of type {kind.__module__}.{kind.__qualname__}, which save_model "
        f"cannot save. {remedy}"
    )


class TreeReader(PlainReader):
    """Turns JSON values back into models, with arrays out of `tensors`."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        super().__init__(tensors)
        self._readers |= {
            "numpy": _parse_numpy,
            "estimator": self._parse_estimator,
        }

    def _parse_estimator(self, node, path):
        name = node["estimator"]
        if name not in CLASSES:
            raise InvalidModelError(
                f"{path} is of type {name!r}, which is not on the list of those that "
                "load_model makes. If a later version of sklearn_rnn wrote the file, "
                "load it with that."
            )
        cls = CLASSES[name]
        state = {k: self.parse(v, f"{path}.{k}") for k, v in node["state"].items()}
        if cls is Bunch:
            return Bunch(**restore(state))
        model = cls.__new__(cls)
        model.__setstate__(state if cls in OWN else restore(state))
        return model


def _parse_numpy(node, path):
    value = OF_NUMPY.get(node["numpy"])
    if value is None:
        raise InvalidModelError(f"{path} is np.{node['numpy']}: no ufunc or type.")
    return value
