"""The compiled kernels as a shared library, loaded at its first use."""

import ctypes
import os
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sklearn_rnn._exceptions import user_stacklevel
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.kernels._build import (
    FOLDER,
    INSTRUCTION_SETS,
    SOURCES,
    BuildError,
    NoCompilerError,
    build_if_changed,
    find_library,
    hash_of_interface,
)

VARIABLE = "SKLEARN_RNN_INSTRUCTION_SET"
# Path of a library that was built elsewhere, for example for tests with sanitizers.
LIBRARY_VARIABLE = "SKLEARN_RNN_LIBRARY"
HOW_TO_INSTALL = (
    "torch computes instead. For the kernels, install a C++ compiler (g++, clang++, or "
    "by pip install ziglang; CXX names another one), and then this package again: pip "
    "install --force-reinstall --no-deps --no-cache-dir sklearn-rnn, or . in a clone."
)
# Message that the installation writes if no compiler succeeded.
FAILURE = FOLDER / "_kernels.txt"


class _Loaded(NamedTuple):
    """A library, or why there is none; and a warning that has not been issued yet."""

    library: ctypes.CDLL | None
    error: str | None = None
    warning: str | None = None


_lock = threading.Lock()
_loaded: _Loaded | None = None


@cache
def library() -> ctypes.CDLL | None:
    """Return the library of the compiled kernels, or None; `library_error` says why.

    It is loaded at the first call. If the sources are beside it, as in an editable
    installation, it is compiled again after changes of theirs. The environment variable
    ``SKLEARN_RNN_LIBRARY`` names another file, which is loaded without changes.
    Functions called through the library release the GIL.

    Raises
    ------
    ValueError
        If ``SKLEARN_RNN_INSTRUCTION_SET`` names no instruction set.
    """
    return _load().library


@cache
def library_error() -> str | None:
    """Return why there are no compiled kernels, or None if there are."""
    return _load().error


def instruction_set() -> str | None:
    """Return the one of `instruction_sets` in use, or None without a library."""
    found = library()
    return None if found is None else found.instruction_set().decode()


def instruction_sets() -> list[str]:
    """Return those that the library has and this processor supports, widest first."""
    found = library()
    return found.instruction_sets().decode().split(",") if found else []


def set_instruction_set(name: str) -> None:
    """Switch the compiled kernels to one of `instruction_sets`, in the whole process.

    No kernel may run meanwhile, and buffers allocated for another one have the wrong
    size afterwards. The environment variable ``SKLEARN_RNN_INSTRUCTION_SET`` sets it
    from the beginning.

    Raises
    ------
    ValueError
        If `name` is not one of them.
    ImportError
        If there are no compiled kernels.
    """
    found = library()
    if found is None:
        raise ImportError(f"There are no compiled kernels. {library_error()}")
    if not found.set_instruction_set(name.encode()):
        raise ValueError(
            f"The compiled kernels have no instruction set {name!r} for this "
            f"processor. Choose one of: {', '.join(instruction_sets())}."
        )


def library_compiler() -> str | None:
    """Return name and version of the compiler, or None without a library."""
    found = library()
    return None if found is None else found.compiler().decode()


def round_up(size: int, itemsize: int) -> int:
    """Round a number of elements up to whole vectors of the instruction set in use."""
    found = library()
    if found is None:
        raise ImportError(f"There are no compiled kernels. {library_error()}")
    n_lanes = found.vector_bytes() // itemsize
    return -(-size // n_lanes) * n_lanes


def _load() -> _Loaded:
    """Load the library, unless another thread has; issue the warning."""
    global _loaded
    with _lock:
        if _loaded is not None:
            return _loaded
        # Assigned once all is done: an interrupted call leaves it to the next one.
        opened = _choose_set(_open())
        _loaded = opened._replace(warning=None)
    if opened.error:
        LOGGER.warning("no compiled kernels, torch computes: %s", opened.error)
    if opened.warning:
        warnings.warn(opened.warning, RuntimeWarning, stacklevel=user_stacklevel())
    return _loaded


def _open() -> _Loaded:
    given = os.environ.get(LIBRARY_VARIABLE)
    path = Path(given).resolve() if given else find_library()
    if not given and (SOURCES / "library.cpp").exists():
        was_there = path.exists()
        try:
            build_if_changed()
        except NoCompilerError as error:
            # Without a compiler torch computes; warn only if there was a library.
            text = f"{error}\n{HOW_TO_INSTALL}"
            return _Loaded(None, text, text if was_there else None)
        except BuildError as error:
            text = f"{error}\nUntil it succeeds, torch computes."
            return _Loaded(None, text, text)
        except OSError as error:
            text = f"The compiled kernels cannot be written to {FOLDER}: {error}."
            return _Loaded(None, text, text)
    elif given and not path.exists():
        text = f"{LIBRARY_VARIABLE}={given!r} does not exist. torch computes instead."
        return _Loaded(None, text, text)
    elif not path.exists():
        return _Loaded(
            None,
            f"This installation has no compiled kernels. {_load_failure()}\n"
            f"{HOW_TO_INSTALL}",
        )
    try:
        found = ctypes.CDLL(str(path))
        names = "instruction_set", "instruction_sets", "compiler", "interface_hash"
        for name in names:
            getattr(found, name).restype = ctypes.c_char_p
        is_ours = found.interface_hash().decode() == hash_of_interface()
    except (OSError, AttributeError) as error:
        text = f"The compiled kernels cannot be loaded: {error}. {HOW_TO_INSTALL}"
        return _Loaded(None, text, text)
    if not is_ours:
        text = f"{path} was compiled for another version of this package."
        text += f" {HOW_TO_INSTALL}"
        return _Loaded(None, text, text)
    found.set_instruction_set.argtypes = [ctypes.c_char_p]
    return _Loaded(found)


def _load_failure() -> str:
    """Return the message of the installation about compiling."""
    try:
        return FAILURE.read_text(encoding="utf-8")
    except OSError:
        return "They were not compiled when it was made."


def _choose_set(loaded: _Loaded) -> _Loaded:
    """Apply ``SKLEARN_RNN_INSTRUCTION_SET``."""
    name = os.environ.get(VARIABLE, "").lower()
    if not name or loaded.library is None:
        return loaded
    if loaded.library.set_instruction_set(name.encode()):
        return loaded
    usable = loaded.library.instruction_sets().decode().replace(",", ", ")
    known = {known for sets in INSTRUCTION_SETS.values() for known in sets}
    if name not in known:
        raise ValueError(
            f"{VARIABLE}={name!r} is not an instruction set of the compiled kernels. "
            f"Choose one of: {usable}."
        )
    in_use = loaded.library.instruction_set().decode()
    return loaded._replace(
        warning=f"{VARIABLE}={name!r} cannot be used: the compiled kernels and this "
        f"processor both support: {usable}. They use {in_use}."
    )
