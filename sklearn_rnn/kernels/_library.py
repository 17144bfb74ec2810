"""The compiled kernels as a shared library, loaded when it is first asked for."""

import ctypes
import os
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

from sklearn_rnn._exceptions import user_stacklevel
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
# Names a library of the kernels that was built elsewhere, as for tests with sanitizers.
LIBRARY_VARIABLE = "SKLEARN_RNN_LIBRARY"
HOW_TO_INSTALL = (
    "torch computes instead. For the kernels, install a C++ compiler (g++, clang++, or "
    "by pip install ziglang; CXX names another one), and then this package again: pip "
    "install --force-reinstall --no-deps --no-cache-dir sklearn-rnn, or . in a clone."
)
# What installation writes where no compiler succeeded.
FAILURE = FOLDER / "_kernels.txt"


class _Loaded(NamedTuple):
    """A library, or why there is none; and a warning that is still to be given."""

    library: ctypes.CDLL | None
    error: str | None = None
    warning: str | None = None


_lock = threading.Lock()
_loaded = None


def library():
    """Return the library of the compiled kernels.

    It is loaded at the first call. Where the sources lie beside it, as in an editable
    installation, it is compiled again if they have changed. The environment variable
    ``SKLEARN_RNN_LIBRARY`` names another file, which is loaded as it is. Functions
    called through the library release Python's lock.

    Returns
    -------
    ctypes.CDLL or None
        None if there is none; `library_error` says why.

    Raises
    ------
    ValueError
        If ``SKLEARN_RNN_INSTRUCTION_SET`` names no instruction set.

    Examples
    --------
    >>> from sklearn_rnn.kernels import library
    >>> library() is library()
    True
    """
    return _load().library


def library_error():
    """Return why there are no compiled kernels.

    Returns
    -------
    str or None
        None if there are.

    Examples
    --------
    >>> from sklearn_rnn.kernels import library, library_error
    >>> (library() is None) == (library_error() is not None)
    True
    """
    return _load().error


def instruction_set():
    """Return the instruction set that the compiled kernels use.

    Returns
    -------
    str or None
        One of `instruction_sets`; None if there are no compiled kernels.
    """
    found = library()
    return found and found.instruction_set().decode()


def instruction_sets():
    """Return the instruction sets that the library has and this processor can run.

    Returns
    -------
    list of str
        The widest first; empty if there are no compiled kernels.
    """
    found = library()
    return found.instruction_sets().decode().split(",") if found else []


def set_instruction_set(name):
    """Let the compiled kernels use another instruction set, in the whole process.

    No kernel may run meanwhile, and buffers that were made for another one no longer
    fit. The environment variable ``SKLEARN_RNN_INSTRUCTION_SET`` chooses from the
    beginning.

    Parameters
    ----------
    name : str
        One of `instruction_sets`.

    Raises
    ------
    ValueError
        If it is none of them.
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


def library_compiler():
    """Return the compiler of the kernels.

    Returns
    -------
    str or None
        Its name and version; None if there are no compiled kernels.
    """
    found = library()
    return found and found.compiler().decode()


def run_kernel(name, struct):
    """Call a kernel, without the GIL.

    Until it returns, no other thread may write to the arrays of the struct.

    Parameters
    ----------
    name : str
        Of the function.
    struct : ctypes.Structure
        What it reads and writes.

    Raises
    ------
    MemoryError
        If there is not enough memory for its buffers.
    RuntimeError
        If it failed otherwise, as after `set_instruction_set`.
    """
    status = getattr(library(), name)(ctypes.byref(struct))
    if status == 1:
        raise MemoryError(f"out of memory in the compiled kernel {name!r}")
    if status:
        raise RuntimeError(
            f"the compiled kernel {name!r} refused its arguments or failed: they were "
            "made for another instruction set, or no thread could be started."
        )


def round_up(size, itemsize):
    """Return a size padded to whole vectors of the instruction set in use.

    Parameters
    ----------
    size : int
        Elements.
    itemsize : int
        Bytes per element.

    Returns
    -------
    int
        At least `size`.
    """
    n_lanes = library().vector_bytes() // itemsize
    return -(-size // n_lanes) * n_lanes


def _load():
    """Return what was loaded; the first call loads, and gives the warning."""
    global _loaded
    if _loaded is not None:
        return _loaded
    with _lock:
        if _loaded is not None:
            return _loaded
        # Assigned once all is done: an interrupted call leaves it to the next one.
        opened = _choose_set(_open())
        _loaded = opened._replace(warning=None)
    if opened.warning:
        warnings.warn(opened.warning, RuntimeWarning, stacklevel=user_stacklevel())
    return _loaded


def _open():
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
            text = f"{error}\nUntil they can be, torch computes."
            return _Loaded(None, text, text)
        except OSError as error:
            text = f"No compiled kernels can be put into {FOLDER}: {error}."
            return _Loaded(None, text, text)
    elif given and not path.exists():
        text = f"{LIBRARY_VARIABLE}={given!r} does not exist. torch computes instead."
        return _Loaded(None, text, text)
    elif not path.exists():
        return _Loaded(
            None,
            f"This installation has no compiled kernels. {_read_failure()}\n"
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


def _read_failure():
    """Return what installation wrote about compiling."""
    try:
        return FAILURE.read_text(encoding="utf-8")
    except OSError:
        return "They were not compiled when it was made."


def _choose_set(loaded):
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
        f"processor have in common: {usable}. They use {in_use}."
    )
