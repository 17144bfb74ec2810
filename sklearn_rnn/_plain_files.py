"""Plain values in files of NumPy, which hold arrays and JSON, and are never half."""

import hashlib
import io
import json
import os
import re
import secrets
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._plain_state import DAMAGE, describe, restore
from sklearn_rnn._plain_tree import PlainReader, PlainWriter

# Name of the array that holds the JSON text, and that of its digest.
JSON, DIGEST = "json", "digest"
# Seconds after which an incomplete file counts as left behind.
LEFT_BEHIND = 3600
UNREADABLE = (*DAMAGE, OSError, EOFError, MemoryError, zipfile.BadZipFile)


def replace_file(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file beside its place, and move it there when it is complete.

    Parameters
    ----------
    path : Path
        Its place. A file there is replaced.
    write : callable
        Writes the contents, given a file.
    """
    partial = _new_partial(path)
    try:
        with open(partial, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        remove_files([partial])
        if isinstance(error, OSError) and error.errno is not None:
            raise _error_at(path, error) from error
        raise


def check_writable(path: Path) -> None:
    """Raise the OSError with which `replace_file` would fail at its beginning."""
    partial = _new_partial(path)
    try:
        with open(partial, "xb"):
            pass
    except OSError as error:
        raise _error_at(path, error) from error
    partial.unlink(missing_ok=True)


def _error_at(path, error):
    """Return an error that names a file, or its folder, and not the one beside it."""
    place = path if path.parent.is_dir() else path.parent
    return OSError(error.errno, error.strerror, os.fspath(place))


def _new_partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


def partial_files(path: Path) -> list[Path]:
    """Return what processes that ended, or an hour ago, left of `replace_file`."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)-[0-9a-f]{{8}}")
    hidden = path.parent.glob(".*")
    matches = [(found, pattern.fullmatch(found.name)) for found in hidden]
    return [
        found
        for found, match in matches
        if match and (not _is_alive(int(match[1])) or _is_old(found))
    ]


def _is_alive(process_id: int) -> bool:
    """Return whether a process may still run."""
    if os.name == "nt":  # where os.kill would end it
        return True
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > LEFT_BEHIND
    except OSError:  # removed by now
        return False


def digest_of(texts: Any, arrays: dict[str, np.ndarray]) -> str:
    """Return a hash of texts and arrays, in the order of names."""
    digest = hashlib.blake2b(json.dumps(texts).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save_plain_file(path: Path, value: Any, writer: PlainWriter | None = None) -> None:
    """Write a value to a file of NumPy (npz), without pickles.

    Parameters
    ----------
    path : Path
        Where to; a file there is replaced when the new one is complete.
    value : object
        Plain values, or what `describe` makes plain.
    writer : PlainWriter, default=None
        One that writes other objects, too.

    Raises
    ------
    InvalidModelError
        If the value holds what is not plain.
    OSError
        If the file cannot be written.
    """
    writer = PlainWriter() if writer is None else writer
    text = json.dumps(writer.write(describe(value), "it"), allow_nan=False)
    arrays = {
        **writer.tensors,
        JSON: np.frombuffer(text.encode(), dtype=np.uint8),
        DIGEST: np.frombuffer(digest_of(text, writer.tensors).encode(), dtype=np.uint8),
    }
    # mypy reckons with an array of the name allow_pickle.
    replace_file(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_plain_file(
    path: Path, make_reader: Callable[[dict[str, np.ndarray]], Any] = PlainReader
) -> Any:
    """Return the value of a file that `save_plain_file` wrote. No code is run.

    Parameters
    ----------
    path : Path
        The file.
    make_reader : callable, default=PlainReader
        Returns a reader of what the writer wrote, given the arrays.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    InvalidModelError
        If it cannot be read, or is damaged.
    """
    contents = io.BytesIO(path.read_bytes())
    try:
        with np.load(contents, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        text, digest = (_text_of(arrays.pop(name)) for name in (JSON, DIGEST))
        if digest_of(text, arrays) != digest:
            raise ValueError("its contents do not match its digest")
        return restore(make_reader(arrays).parse(json.loads(text), "it"))
    except UNREADABLE as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidModelError(f"{path} is damaged: {first_line}") from error


def _text_of(array: np.ndarray) -> str:
    return array.tobytes().decode()


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files that may be gone already, or stand where nothing can be removed."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
