"""Names and modules where version 0.6 had them, until version 0.8."""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sklearn_rnn._exceptions import user_stacklevel


def find_moved(folder: str, names: Iterable[str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a folder that public names were moved from."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {folder!r} has no attribute {name!r}")
        warnings.warn(
            f"{folder}.{name} is deprecated and will be removed in version 0.8: use "
            f"sklearn_rnn.{name}.",
            FutureWarning,
            stacklevel=user_stacklevel(),
        )
        return getattr(sys.modules["sklearn_rnn"], name)

    return find


def register_old_modules(moved: Mapping[str, str]) -> None:
    """Let pickles find the modules of their classes, by old name the new one."""
    for old, new in moved.items():
        sys.modules[f"sklearn_rnn.{old}"] = sys.modules[f"sklearn_rnn.{new}"]
