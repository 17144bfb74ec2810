"""Files of older versions, written again in the format of this one."""

import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import joblib

from sklearn_rnn._exceptions import (
    InconsistentVersionWarning,
    InvalidModelError,
    missing_package,
)
from sklearn_rnn._plain_files import replace_file
from sklearn_rnn._plain_state import DAMAGE
from sklearn_rnn.persistence._files import load_model, save_model
from sklearn_rnn.persistence._types import TRUSTED_TYPES

SCHEMA = "schema.json"  # of files of skops, which are zip archives
N_HEADER = 8  # bytes of the length of a safetensors file's header
REMEDY = (
    "If the file is whole, load it with the version that wrote it: predict there, or "
    "look up its parameters and data there, and fit the model again with this version."
)


def migrate_model(
    old: str | os.PathLike, new: str | os.PathLike, *, allow_pickle: bool = False
) -> None:
    """Load the file of an older version, and write it in the format of `save_model`.

    The old file may be one of `save_model`, of ``skops.io.dump``, or a pickle, such as
    those of version 0.6, which had no other format. The new file is read again before
    it comes to its place; the old one is left as it is.

    Parameters
    ----------
    old : str or path
        The file to read.
    new : str or path
        Where to write: another file than `old`. A file there is replaced.
    allow_pickle : bool, default=False
        Whether a pickle, also one of joblib, is loaded. That runs whatever code the
        file holds, so allow it for files of your own alone.

    Raises
    ------
    InvalidModelError
        If `old` is a pickle that is not allowed, or damaged, or holds what cannot be
        loaded any more, such as estimators of versions before 0.4, or what `save_model`
        cannot save, such as callbacks. Nothing is written then.
    ValueError
        If both are the same file.
    FileNotFoundError
        If there is no such file.
    ImportError
        If safetensors, or skops for one of its files, is not installed.

    See Also
    --------
    save_model : Save a model.

    Examples
    --------
    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> from sklearn_rnn import SequenceWindower
    >>> from sklearn_rnn.persistence import load_model, migrate_model
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "old.pkl").write_bytes(pickle.dumps(SequenceWindower(48)))
    >>> migrate_model(folder / "old.pkl", folder / "new", allow_pickle=True)
    >>> load_model(folder / "new")
    SequenceWindower(n_steps=48)
    """
    old, new = Path(old), Path(new)
    if new.exists() and new.samefile(old):
        raise ValueError(
            f"migrate_model needs two files, and old and new are both {old}: the old "
            "one is kept until you have seen that the new one predicts the same."
        )
    with warnings.catch_warnings():
        # What it warns of is what is mended here.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = _load(old, allow_pickle)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "new")
        save_model(model, written)
        load_model(written)
        contents = written.read_bytes()
    replace_file(new, lambda file: file.write(contents))


def _load(path: Path, allow_pickle: bool) -> Any:
    if _is_safetensors(path):
        return load_model(path)
    if _is_of_skops(path):
        return _load_skops(path)
    if not allow_pickle:
        raise InvalidModelError(
            f"{path} is neither a file of save_model nor of skops. If it is a pickle "
            "that you wrote yourself, set allow_pickle=True: loading one runs the code "
            "that it holds."
        )
    try:
        return joblib.load(path)
    except Exception as error:  # a damaged pickle may raise anything
        raise InvalidModelError(
            f"{path} cannot be loaded by this version: {type(error).__name__}: "
            f"{error}. {REMEDY}"
        ) from error


def _is_safetensors(path):
    with path.open("rb") as file:
        start = file.read(N_HEADER + 1)
    return start[N_HEADER:] == b"{"


def _is_of_skops(path):
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return SCHEMA in archive.namelist()


def _load_skops(path):
    try:
        from skops import io
        from skops.io.exceptions import UntrustedTypesFoundException
    except ImportError as error:
        raise missing_package("migrate_model", "skops", "persist") from error
    try:
        return io.load(path, trusted=TRUSTED_TYPES)
    except (UntrustedTypesFoundException, *DAMAGE) as error:
        raise InvalidModelError(
            f"{path} cannot be loaded: {error}. {REMEDY}"
        ) from error
