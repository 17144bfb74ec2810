"""Models in files of safetensors, without pickles."""

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from sklearn_rnn._exceptions import InvalidModelError, missing_package
from sklearn_rnn._plain_files import digest_of, replace_file
from sklearn_rnn._plain_state import DAMAGE
from sklearn_rnn._version import __version__
from sklearn_rnn.persistence._tree import TreeReader, TreeWriter

# Raised by a change of the format that earlier versions cannot read.
FORMAT = "1"
NOT_OURS = (
    "It is damaged or not written by save_model; load pickles with joblib.load, "
    "files of skops with skops.io.load."
)


def save_model(model: Any, path: str | os.PathLike) -> None:
    """Save a model in a file without code: tensors and JSON.

    The file is a safetensors file. It is written beside its place first, so that there
    is never half a file.

    Parameters
    ----------
    model : estimator instance
        Fitted or not: an estimator, transformer, calibrator or `StatefulPredictor` of
        this package, or a pipeline of such and those of scikit-learn that compute by
        NumPy alone: scalers, encoders, imputers, PCA, linear models, stacking, voting,
        `TransformedTargetRegressor` with functions of NumPy.
    path : str or path
        Where to write; ``.safetensors`` is the usual ending. A file there is replaced.

    Raises
    ------
    InvalidModelError
        If the model holds what is not on the closed list of types, such as functions
        of your own, callbacks, or trees. The message says where.
    ImportError
        If safetensors is not installed.

    See Also
    --------
    load_model : Load it.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_rnn import RNNRegressor
    >>> from sklearn_rnn.persistence import load_model, save_model
    >>> model = RNNRegressor(max_epochs=1).fit([[1.0, 2.0], [3.0]], [0.0, 1.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.safetensors")
    ...     twin = load_model(f"{folder}/model.safetensors")
    >>> bool((twin.predict([[2.0]]) == model.predict([[2.0]])).all())
    True
    """
    safetensors = _import_safetensors()
    writer = TreeWriter()
    try:
        tree = writer.write(model, type(model).__name__)
    except RecursionError as error:
        raise InvalidModelError(
            f"{type(model).__name__} holds itself, which save_model cannot save."
        ) from error
    description = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    metadata = {
        "sklearn_rnn": __version__,
        "format": FORMAT,
        "model": description,
    }
    metadata["digest"] = _digest(metadata, writer.tensors)
    contents = safetensors.numpy.save(writer.tensors, metadata)
    replace_file(Path(path), lambda file: file.write(contents))


def load_model(path: str | os.PathLike) -> Any:
    """Load a model that `save_model` saved.

    No file can make it run code, import modules or write anywhere: types come from a
    closed list, weights are compared with the architecture before memory is taken for
    it, and memory stays within a multiple of the file's size: a tensor is used a few
    times at most, and nothing else is repeated or written out. A digest tells
    accidental damage; who changes a file on purpose can write a new one, so that a file
    of a stranger is a model of that stranger's choice, no more.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    estimator instance
        It predicts what the saved one did, bit for bit on the same machine.

    Raises
    ------
    InvalidModelError
        If the file is damaged, not written by `save_model`, or of a later version
        that saves otherwise. The message names the file, and what was found where.
    FileNotFoundError
        If there is no such file.
    ImportError
        If safetensors is not installed.

    Warns
    -----
    InconsistentVersionWarning
        If another version of this package saved it.

    See Also
    --------
    save_model : Save a model.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_rnn import SequenceWindower
    >>> from sklearn_rnn.persistence import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(SequenceWindower(48), f"{folder}/windower.safetensors")
    ...     load_model(f"{folder}/windower.safetensors")
    SequenceWindower(n_steps=48)
    """
    safetensors = _import_safetensors()
    path = os.fspath(path)
    with open(path, "rb"):
        pass  # its errors are those of a file that cannot be read
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, *DAMAGE, OSError) as error:
        raise InvalidModelError(f"{path}: {_line(error)}. {NOT_OURS}") from error
    _check_sizes(path, tensors)
    description = _check_metadata(path, metadata, tensors)
    try:
        reader = TreeReader(tensors)
        model = reader.parse(json.loads(description), "model")
        if reader.unused:
            raise InvalidModelError(f"{len(reader.unused)} tensors belong nowhere.")
    except DAMAGE as error:
        raise InvalidModelError(f"{path}: {_line(error)}") from error
    return model


def _check_sizes(path, tensors):
    """Check that no tensor without values has a length that the file could not hold."""
    for name, tensor in tensors.items():
        if tensor.size == 0 and max(tensor.shape) > os.path.getsize(path):
            raise InvalidModelError(
                f"{path}: the tensor {name!r} has shape {tensor.shape}, and no values."
            )


def _check_metadata(path, metadata, tensors):
    """Return the description of the model, after checking what is around it."""
    missing = {"sklearn_rnn", "format", "model", "digest"} - metadata.keys()
    if missing:
        raise InvalidModelError(f"{path}: it has no {sorted(missing)}. {NOT_OURS}")
    if metadata["format"] != FORMAT:
        raise InvalidModelError(
            f"{path}: it is of format {metadata['format']!r}, and version "
            f"{__version__} of sklearn_rnn reads format {FORMAT!r}. Load it with the "
            f"version that wrote it, {metadata['sklearn_rnn']!r}."
        )
    if _digest(metadata, tensors) != metadata["digest"]:
        raise InvalidModelError(
            f"{path}: its contents do not match its digest: it was damaged or changed "
            "after save_model wrote it. Copy it again from where it came from."
        )
    return metadata["model"]


def _digest(metadata, tensors):
    """Return a hash of metadata, but its digest, and tensors, in the order of names."""
    return digest_of(
        sorted(item for item in metadata.items() if item[0] != "digest"), tensors
    )


def _line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _import_safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise missing_package("save_model", "safetensors", "persist") from error
    return safetensors
