"""Conversion: data of other libraries become arrays, lists and frames."""

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from numbers import Number
from os import PathLike

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._arrays import to_numbers, unmask
from sklearn_rnn.sequences._container import SequenceArray
from sklearn_rnn.sequences._dicts import holds_dicts, sequences_of_dicts
from sklearn_rnn.sequences._text import check_no_text


def convert_input(X, *, estimator_name="the estimator", name="X"):
    """Return data of any library as an array, list, frame or SequenceArray.

    Only what has one meaning is converted; anything else is a TypeError that names the
    type and what to pass instead. Masked values become NaN. Frames whose cells are
    sequences, and packed sequences, become a SequenceArray; items of a list stay as
    they are.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn.sequences import convert_input
    >>> nested = pd.DataFrame({"x": [[1.0, 2.0], [3.0]], "y": [[5.0, 6.0], [7.0]]})
    >>> convert_input(nested)
    SequenceArray(2 sequences of 1 to 2 steps, 2 features: x, y, float64)
    """
    if isinstance(X, SequenceArray):
        return X
    if isinstance(X, pd.DataFrame) and all(
        isinstance(dtype, np.dtype) and dtype.kind in "biufmM" for dtype in X.dtypes
    ):
        return X
    converters = (
        _from_numpy,
        _from_pandas,
        _from_torch,
        _from_polars,
        _from_arrow,
        _from_arrow_stream,
    )
    for convert in converters:
        converted = convert(X, estimator_name, name)
        if converted is not None:
            return converted
    _check_container(X, estimator_name, name)
    if isinstance(X, (list, tuple)):
        if holds_dicts(X):
            return sequences_of_dicts(X, estimator_name=estimator_name)
        return X
    if any(hasattr(X, way) for way in ("__array__", "__array_interface__")):
        return convert_input(
            _as_array(X, estimator_name, name), estimator_name=estimator_name, name=name
        )
    if isinstance(X, Sequence):
        return list(X)
    raise TypeError(_describe_unreadable(X, estimator_name, name))


def _from_numpy(X, estimator_name, name):
    if not isinstance(X, (np.ndarray, np.generic)):
        return None
    if np.ma.isMaskedArray(X):
        X = unmask(X)
    X = np.asarray(X)
    if X.dtype.names is not None:
        raise TypeError(
            f"{name} is a structured array with the fields {list(X.dtype.names)}, and "
            f"{estimator_name} reads arrays of one type: pass "
            "numpy.lib.recfunctions.structured_to_unstructured(X), in which fields are "
            "features."
        )
    if X.ndim == 0:
        if isinstance(X[()], (Number, np.generic, str, bytes)) or X[()] is None:
            raise InvalidSequenceError(
                f"Expected 2D array, got scalar array instead: {name} is the single "
                f"value {X[()]!r}, and {estimator_name} needs sequences."
            )
        return convert_input(X[()], estimator_name=estimator_name, name=name)
    if X.dtype == object and X.ndim == 2 and is_cell(_first_present(X.flat)):
        return _from_cells(list(X.T), None, estimator_name, name)
    return X


# Frames: of numbers, or with a sequence in each cell.


def _from_pandas(X, estimator_name, name):
    if isinstance(X, pd.DataFrame):
        nested = nested_columns(X)
        if not any(nested):
            return X
        _check_all_nested(X.columns, nested, estimator_name, name)
        columns = [X.iloc[:, j].tolist() for j in range(X.shape[1])]
        return _from_cells(columns, X.columns, estimator_name, name)
    if isinstance(X, (pd.Series, pd.Index)):
        if X.dtype == object or _holds_cells(X):
            return list(X)
        return pd.Series(X)
    if isinstance(X, pd.api.extensions.ExtensionArray):
        return convert_input(pd.Series(X), estimator_name=estimator_name, name=name)
    if type(X).__name__ in ("DataFrameGroupBy", "GroupBy") and hasattr(X, "__iter__"):
        raise TypeError(
            f"{name} is a {type(X).__name__}, and {estimator_name} takes a list of "
            "sequences: pass [table for _, table in groups], without the column of the "
            "groups."
        )
    return None


def nested_columns(X):
    """Return whether each column of a pandas frame has sequences as its values."""
    return [_holds_cells(X.iloc[:, j]) for j in range(X.shape[1])]


def _holds_cells(column):
    """Return whether a Series has sequences as its values."""
    if column.dtype != object and not isinstance(column.dtype, pd.ArrowDtype):
        return False
    return is_cell(_first_present(column))


def is_cell(value):
    """Return whether a value may be a sequence: it has a length, and order."""
    return (
        hasattr(value, "__len__")
        and not isinstance(value, (str, bytes, Mapping, Set))
        and getattr(value, "ndim", 1) > 0
    )


def _first_present(values):
    """Return the first value that is not missing, or None."""
    return next((value for value in values if not _is_missing(value)), None)


def _is_missing(value):
    """Return whether a value is None, NaN, NaT or NA."""
    return pd.api.types.is_scalar(value) and bool(pd.isna(value))


def _check_all_nested(names, nested, estimator_name, name):
    if not all(nested):
        flat, deep = names[nested.index(False)], names[nested.index(True)]
        raise InvalidSequenceError(
            f"column {deep!r} of {name} holds a sequence in each cell, and column "
            f"{flat!r} does not. {estimator_name} reads each row as one sequence: pass "
            f"{name}[[{deep!r}]], the columns that hold sequences, alone."
        )


def _from_cells(columns, names, estimator_name, name):
    """Return sequences made of the cells of each row, one feature per cell."""
    sequences = []
    for i, cells in enumerate(zip(*columns, strict=True)):
        parts = [_cell(cell, f"{name}, row {i}", estimator_name) for cell in cells]
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise InvalidSequenceError(
                f"the cells of row {i} of {name} have {lengths} steps, and the "
                "features of one sequence have one value per step: bring them to one "
                "length."
            )
        sequences.append(np.concatenate(parts, axis=1))
    n_steps = np.array([len(sequence) for sequence in sequences])
    if (n_steps == 0).any():
        raise InvalidSequenceError(
            f"{name}[{int(np.argmin(n_steps))}] is an empty sequence; every sequence "
            "needs at least one step. Leave it out, and its target with it."
        )
    sizes = [sequence.shape[1] for sequence in sequences]
    if len(set(sizes)) > 1:
        i = int(np.argmax(np.array(sizes) != sizes[0]))
        raise InvalidSequenceError(
            f"{name}[{i}] has {sizes[i]} features per step, but {name}[0] has "
            f"{sizes[0]}: all sequences need the same features."
        )
    if names is not None and (
        len(names) != sizes[0] or not all(isinstance(n, str) for n in names)
    ):
        names = None
    starts = np.cumsum(n_steps) - n_steps
    return SequenceArray(np.concatenate(sequences), starts, n_steps, names)


def _cell(cell, name, estimator_name):
    """Return a cell as an array of shape (n_steps, n_features)."""
    array = check_item(cell, name, estimator_name)
    if array.ndim not in (1, 2):
        raise InvalidSequenceError(
            f"a cell of {name} has shape {array.shape}; it holds a sequence, an array "
            "of shape (length,) or (length, n_features)."
        )
    return array if array.ndim == 2 else array[:, np.newaxis]


def check_item(x, name, estimator_name, describe=None):
    """Return one sequence of a list as an array of real numbers of any shape.

    `name` is for messages, such as "X[3]"; `describe` describes an index in it.
    """
    # Fast path: for lists of many short arrays more checks would be slow.
    if type(x) is np.ndarray and x.dtype.kind in "if" and x.dtype.itemsize <= 8:
        return x
    if isinstance(x, (list, tuple)):
        array = _as_array(x, estimator_name, name, is_item=True)
    else:
        array = _convert_item(x, name, estimator_name)
    if array.dtype == object and array.ndim == 1 and len(array) and is_cell(array[0]):
        vectors = array.tolist()  # one per step
        array = _as_array(vectors, estimator_name, name, is_item=True)
    if array.ndim == 0:
        raise InvalidSequenceError(
            f"{name} is a single value, and {_ITEM}, for {estimator_name}."
        )
    if describe is None:
        describe = partial(_describe_index, name)
    return to_numbers(unmask(array), estimator_name=estimator_name, describe=describe)


_ITEM = "a sequence is an array of shape (length, n_features) or (length,)"


def _convert_item(x, name, estimator_name):
    if isinstance(x, (str, bytes)):
        raise InvalidSequenceError(
            f"{name} cannot be read as a sequence of numbers by {estimator_name}: it "
            f"is a {type(x).__name__}."
        )
    try:
        x = convert_input(x, estimator_name=estimator_name, name=name)
    except TypeError as error:
        if "Sparse" in str(error):
            raise
        found, remedy = f"of type {type(x).__name__}", _remedy(x, name)
        if _is_missing(x):
            found = "None" if x is None else f"{x}, a missing value"
            remedy = "Leave it out, and its target with it."
        message = f"{name} is {found}, and {_ITEM}, for {estimator_name}. {remedy}"
        raise TypeError(message.rstrip()) from error
    if isinstance(x, SequenceArray):
        raise InvalidSequenceError(
            f"{name} holds several sequences, and {_ITEM}: pass one list of "
            "all sequences."
        )
    if hasattr(x, "columns"):
        return table_array(x)
    return _as_array(x, estimator_name, name, is_item=True)


def table_array(table):
    """Return a pandas or polars frame as an array of any type."""
    if not isinstance(table, pd.DataFrame):
        return table.to_numpy()
    dtypes = list(table.dtypes)
    if all(isinstance(dtype, np.dtype) for dtype in dtypes):
        return table.to_numpy()
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in dtypes):
        return table.to_numpy(dtype=np.float64, na_value=np.nan)
    return table.to_numpy(dtype=object)


def check_table(X, *, estimator_name, name="X"):
    """Return an array, frame or list of rows as a C-contiguous 2-D array of numbers.

    Of shape (n_rows, n_features), with at least one of each.
    """
    if hasattr(X, "columns"):
        array = table_array(X)
    elif isinstance(X, (list, tuple)) or (X.dtype == object and X.ndim == 1):
        array = _stack_rows(X, estimator_name, name)
    else:
        array = np.asarray(X)
    if array.ndim != 2:
        as_table = "x.to_frame()" if hasattr(X, "to_frame") else "x.reshape(-1, 1)"
        raise InvalidSequenceError(
            f"Expected 2D array, got {array.ndim}D array instead: {name} has shape "
            f"{array.shape}, and {estimator_name} reads a table (n_rows, n_features). "
            f"Reshape your data, with {as_table} if x has a single feature."
        )
    for axis, what in enumerate(("sample(s)", "feature(s)")):
        if array.shape[axis] == 0:
            raise InvalidSequenceError(
                f"Found array with 0 {what} (shape={array.shape}) while a minimum of 1 "
                f"is required by {estimator_name}."
            )
    array = to_numbers(
        array,
        estimator_name=estimator_name,
        describe=lambda index: _describe_table_index(name, index),
    )
    return np.ascontiguousarray(array)


def _stack_rows(rows, estimator_name, name):
    if len(rows) and is_cell(rows[0]):
        rows = [
            _as_array(unmask(row), estimator_name, f"{name}[{i}]", is_item=True)
            for i, row in enumerate(rows)
        ]
        shapes = [row.shape for row in rows]
        if len(set(shapes)) > 1:
            i = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
            raise InvalidSequenceError(
                f"{name}[{i}] has shape {shapes[i]}, and {name}[0] has {shapes[0]}: "
                f"the rows of a table have the same columns, and {estimator_name} "
                "reads one table."
            )
    return _as_array(rows, estimator_name, name, is_item=True)


def _describe_table_index(name, index):
    return f"{name} at row {index[0]}, column {index[1]}" if index else name


def _describe_index(name, index):
    if index is None or len(index) == 0:
        return name
    feature = f", feature {index[1]}" if len(index) > 1 else ""
    return f"{name} at step {index[0]}{feature}"


# Other libraries are never imported here: data of theirs exist only where they are.


def unpack(X, *, estimator_name="the estimator", name="X"):
    """Return data of torch, polars or pyarrow as arrays, lists, Series or a container.

    Anything else, and a polars frame of numbers, is returned as it is.
    """
    _check_dense(X, estimator_name)
    for convert in (_from_torch, _from_polars, _from_arrow):
        converted = convert(X, estimator_name, name)
        if converted is not None:
            return converted
    return X


def _from_torch(X, estimator_name, name):
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(X, torch.nn.utils.rnn.PackedSequence):
        return _from_packed(X, estimator_name, name, torch)
    if not isinstance(X, torch.Tensor):
        return None
    if X.is_nested:
        parts = enumerate(X.unbind())
        return [
            _tensor_array(x, f"{name}[{i}]", estimator_name, torch) for i, x in parts
        ]
    return _from_numpy(
        _tensor_array(X, name, estimator_name, torch), estimator_name, name
    )


def _tensor_array(X, name, estimator_name, torch):
    if X.layout != torch.strided:
        raise TypeError(
            f"Sparse data was passed to {estimator_name}: {name} is a tensor of layout "
            f"{X.layout}, but dense data is required. Use '.to_dense()'."
        )
    if X.device.type == "meta":
        raise TypeError(
            f"{name} is a tensor on the device 'meta', which has no values."
        )
    X = X.detach().cpu()
    if X.is_quantized:
        X = X.dequantize()
    if X.dtype == torch.bfloat16 or "float8" in str(X.dtype):
        X = X.float()
    return X.resolve_conj().resolve_neg().numpy()


def _from_packed(X, estimator_name, name, torch):
    if X.data.ndim not in (1, 2):
        raise InvalidSequenceError(
            f"{name} is a PackedSequence whose data have shape {tuple(X.data.shape)}; "
            "steps are vectors: (n_steps,) or (n_steps, n_features)."
        )
    values = _tensor_array(X.data, name, estimator_name, torch)
    values = values.reshape(len(values), -1)
    batch_sizes = X.batch_sizes.numpy()
    n_sequences = int(batch_sizes[0])
    # Packed: step t of all sequences longer than t, the longest sequence first.
    lengths = (batch_sizes[:, np.newaxis] > np.arange(n_sequences)).sum(axis=0)
    first = np.cumsum(batch_sizes) - batch_sizes
    rows = np.concatenate([first[:length] + i for i, length in enumerate(lengths)])
    starts = np.cumsum(lengths) - lengths
    if X.unsorted_indices is not None:
        order = X.unsorted_indices.cpu().numpy()
        starts, lengths = starts[order], lengths[order]
    return SequenceArray(values[rows], starts, lengths)


def _from_polars(X, estimator_name, name):
    polars = sys.modules.get("polars")
    if polars is None:
        return None
    if isinstance(X, polars.LazyFrame):
        raise TypeError(
            f"{name} is a polars LazyFrame, whose rows are not computed: pass "
            f"{name}.collect()."
        )
    if isinstance(X, polars.Series):
        if X.dtype.base_type() in (polars.List, polars.Array):
            return _polars_cells(X)
        return pd.Series(X.to_numpy(), name=X.name or None)
    if not isinstance(X, polars.DataFrame):
        return None
    for column, dtype in zip(X.columns, X.dtypes, strict=True):
        if dtype.base_type() in (polars.Struct, polars.Object):
            raise TypeError(
                f"column {column!r} of {name} holds {dtype}, and {estimator_name} "
                "reads columns of numbers: a struct becomes columns with "
                f"{name}.unnest({column!r})."
            )
    nested = [dtype.base_type() in (polars.List, polars.Array) for dtype in X.dtypes]
    if not any(nested):
        return X
    _check_all_nested(X.columns, nested, estimator_name, name)
    columns = [_polars_cells(column) for column in X.get_columns()]
    return _from_cells(columns, X.columns, estimator_name, name)


def _polars_cells(column):
    if column.dtype.inner.is_nested():  # a vector per step
        return column.to_list()
    return [np.asarray(cell) if cell is not None else None for cell in column]


def _from_arrow(X, estimator_name, name):
    arrow = sys.modules.get("pyarrow")
    if arrow is None:
        return None
    if isinstance(X, (arrow.Table, arrow.RecordBatch)):
        return convert_input(X.to_pandas(), estimator_name=estimator_name, name=name)
    if isinstance(X, (arrow.Array, arrow.ChunkedArray)):
        types = arrow.types
        are_lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
        if any(is_list(X.type) for is_list in are_lists):
            return X.to_pylist()
        return convert_input(X.to_pandas(), estimator_name=estimator_name, name=name)
    return None


def is_foreign_frame(X):
    """Return whether X is a table that its library hands over by Arrow's C stream."""
    return hasattr(X, "__arrow_c_stream__") and not isinstance(X, type)


def _from_arrow_stream(X, estimator_name, name):
    """Return the table, or column, of a library such as DuckDB or Ibis."""
    if not is_foreign_frame(X):
        return None
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            f"{name} is of type {type(X).__name__}, which {estimator_name} reads with "
            "pyarrow: install it with pip install pyarrow, or pass a pandas table."
        ) from error
    try:
        found = pyarrow.table(X)
    except pyarrow.ArrowInvalid:  # a single column
        found = pyarrow.chunked_array(X)
    return _from_arrow(found, estimator_name, name)


# Types that are an error.
UNSUPPORTED = (
    str,
    bytes,
    bytearray,
    memoryview,
    Mapping,
    Set,
    Iterator,
    Number,
    PathLike,
)


def _check_dense(X, estimator_name):
    if issparse(X) or (hasattr(X, "toarray") and hasattr(X, "nnz")):
        raise TypeError(
            f"Sparse data was passed to {estimator_name}, but dense data is required. "
            "Use '.toarray()' to convert it to a dense NumPy array."
        )


def _check_container(X, estimator_name, name):
    _check_dense(X, estimator_name)
    if isinstance(X, (str, bytes, PathLike)):
        check_no_text(X, estimator_name, name)
    if X is None or isinstance(X, UNSUPPORTED) or _is_view(X):
        raise TypeError(_describe_unreadable(X, estimator_name, name))


def plain_arrays(y, *, estimator_name, name="y"):
    """Return masked arrays and tensors, also in lists, as plain arrays.

    Masked values are NaN, or None where their type has no NaN.
    """
    if isinstance(y, (list, tuple)) and any(map(_is_wrapped, y)):
        return [
            plain_arrays(item, estimator_name=estimator_name, name=name) for item in y
        ]
    if not _is_wrapped(y):
        return y
    if np.ma.isMaskedArray(y):
        return unmask(y)
    return _tensor_array(y, name, estimator_name, sys.modules["torch"])


def _is_wrapped(value):
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(value, torch.Tensor)
    return np.ma.isMaskedArray(value) or is_tensor


def _is_view(X):
    return isinstance(X, (type({}.keys()), type({}.values()), type({}.items())))


def _describe_unreadable(X, estimator_name, name):
    found = "None" if X is None else f"of type {type(X).__name__}"
    remedy = _remedy(X, name) or (
        "Pass a 3-D array (n_sequences, n_timesteps, n_features), or a list with one "
        "array (length, n_features) for each sequence."
    )
    return (
        f"{name} is {found}, which {estimator_name} cannot read as sequences. {remedy}"
    )


def _remedy(X, name):
    """Return how to make an object of an unsupported type readable, if known."""
    if _is_view(X):
        return f"Pass list({name})."
    if isinstance(X, Iterator):
        return f"It can be read only once: pass list({name})."
    if isinstance(X, Mapping):
        if name != "X" and not any(map(is_cell, X.values())):
            return (
                "If it is the features of a step, and X is one sequence: pass [X]. "
                "Steps are dicts in a list per sequence, [[{...}, {...}], [{...}]]."
            )
        return (
            f"If its values are sequences, pass list({name}.values()); if they are the "
            f"columns of a table, pandas.DataFrame({name})."
        )
    if isinstance(X, Set):
        return "A set has no order: pass a list."
    return f"Pass {name}.tolist()." if hasattr(X, "tolist") else ""


def _asarray(X):
    try:
        return np.asarray(X)
    except RuntimeError:  # of torch: tensors in a list that require gradients
        return np.asarray(_without_gradients(X))


def _without_gradients(X):
    """Return nested lists of tensors as lists of those without gradients."""
    if isinstance(X, (list, tuple)):
        return [_without_gradients(x) for x in X]
    return X.detach() if hasattr(X, "detach") else X


def _as_array(X, estimator_name, name, is_item=False):
    """Return an object of another library, or nested lists, as an array."""
    try:
        return _asarray(X)
    except MemoryError:
        raise
    except Exception as error:  # whatever that library raises
        if is_item:
            raise InvalidSequenceError(
                f"{name} cannot be read as a sequence of numbers, an array of shape "
                f"(length, n_features) or (length,): {error}"
            ) from error
        raise TypeError(
            f"{_describe_unreadable(X, estimator_name, name)} ({error})"
        ) from error
