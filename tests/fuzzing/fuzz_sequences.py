"""Sequences, targets and parameters, sound and faulty, as people pass them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import torch
from hypothesis import strategies as st
from scipy import sparse

from sklearn_rnn.sequences import check_sequences

# Valid together, whatever the data.
PARAMETERS = {
    "cell": ["rnn", "rnn_relu", "lstm", "gru"],
    "n_layers": [1, 2],
    "residual": [False, True],
    "layer_norm": [False, True],
    "dropout": [0.0, 0.5],
    "input_dropout": [0.0, 0.2],
    "weight_drop": [0.0, 0.3],
    "optimizer": ["adam", "adamw", "sgd", "rmsprop"],
    "lr_schedule": ["cosine", "one_cycle", "plateau", None],
    "weight_decay": [0.0, 0.01],
    "clip_norm": [None, 1.0],
    "clip_value": [None, 0.5],
    "batch_size": [1, 2, 3, 64],
    "max_epochs": [1, 2],
    "shuffle": [False, True],
    "warm_start": [False, True],
    "random_state": [0, 7],
}
# Of some estimators, or of no use with some data: these may be refused.
OPTIONS = {
    "bidirectional": [False, True],
    "pooling": ["last", "mean", "max", "attention"],
    "embedding_dim": [None, 3],
    "token_dropout": [0.0, 0.3],
    "return_sequences": [False, True],
    "target_feature": [None, 0, -1, "a", "auto", [0, 0]],
    "subtract_last": [False, True],
    "missing_targets": ["raise", "ignore"],
    "loss": ["squared_error", "absolute_error", "huber", "quantile"],
    "quantiles": [(0.5,), (0.1, 0.9)],
    "bptt_steps": [None, 1, 3],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 0.5],
    "class_weight": [None, "balanced", {0: 2.0, 1: 1.0}],
    "missing_label": [None, -1, "?"],
    "dtype": ["auto", "float32", "float64"],
    "min_count": [1, 2],
    "max_symbols": [None, 3],
    "copy_unknown": [False, True],
    "scheduled_sampling": [0.0, 0.5],
    "label_smoothing": [0.0, 0.1],
    "attention_type": ["additive", "location", "multiplicative", None],
    "source": ["auto", "symbols", "sequences", "vectors"],
    "tie_embeddings": [False, True],
    "beam_width": [1, 3],
    "subsampling": [1, 2],
    "standardize": [False, True],
}
BAD_VALUES = [-1, 0, 1.5, np.nan, np.inf, "nonsense", None, True, [], 10**400, b"gru"]
ODD_DATA = [
    None,
    "text",
    3.0,
    {},
    {"a": [1.0]},
    set(),
    range(4),
    [],
    [[]],
    [[[]]],
    [None],
    ["a", "b"],
    [1.0, 2.0],
    np.float64(1.0),
    np.empty((0, 3, 2)),
    np.empty((3, 0, 2)),
    np.ones((2, 3, 2, 1)),
    np.array([["a"]]),
    np.ones((2, 3), complex),
    np.array(["2024-01-01"], "M8[D]"),
    np.zeros(3, [("a", float)]),
    sparse.eye(3).tocsr(),
    pd.DataFrame(),
    pd.DataFrame({"a": ["x", "y"]}),
    pd.DataFrame({"a": [[1.0], [2.0, 3.0]]}),
    [pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})],
    pl.DataFrame({"a": [1.0, 2.0]}),
    pl.DataFrame({"a": [1.0]}).lazy(),
    torch.ones(2, 3, 1).to_sparse(),
]
# What may stand in a sequence beside numbers of a usual size.
ODD_NUMBERS = [np.nan, np.inf, -np.inf, 1e39, -1e300, 1e-320]


@dataclass
class Data:
    """Sequences in the form that is passed, and whether anything is wrong with them."""

    X: object
    lengths: list
    n_features: int
    form: str
    sound: bool = True

    def __len__(self):
        return len(self.lengths)


def as_array(arrays):
    return np.stack(arrays)


def as_padded(arrays):
    longest = max(len(array) for array in arrays)
    padded = np.full((len(arrays), longest, arrays[0].shape[1]), np.nan)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


def as_objects(arrays):
    objects = np.empty(len(arrays), dtype=object)
    objects[:] = arrays
    return objects


def as_frames(arrays):
    names = list("abcdefgh")[: arrays[0].shape[1]]
    return [pd.DataFrame(array, columns=names) for array in arrays]


# By whether lengths are alike, and features one.
FORMS = {
    "list": list,
    "tuple": tuple,
    "nested lists": lambda arrays: [array.tolist() for array in arrays],
    "objects": as_objects,
    "series": lambda arrays: pd.Series(as_objects(arrays)),
    "frames": as_frames,
    "polars frames": lambda arrays: [pl.DataFrame(array) for array in arrays],
    "tensors": lambda arrays: [torch.from_numpy(array) for array in arrays],
    "container": lambda arrays: check_sequences(list(arrays)),
    "padded": as_padded,
}
EQUAL_FORMS = {
    "array": as_array,
    "float32": lambda arrays: as_array(arrays).astype(np.float32),
    "float16": lambda arrays: as_array(arrays).astype(np.float16),
    "integers": lambda arrays: as_array(arrays).astype(int),
    "tensor": lambda arrays: torch.from_numpy(as_array(arrays)),
    "read-only": lambda arrays: read_only(as_array(arrays)),
    "strided": lambda arrays: as_array([array[::-1] for array in arrays])[:, ::-1],
}
FLAT_FORMS = {
    "flat list": lambda arrays: [array[:, 0] for array in arrays],
    "flat lists": lambda arrays: [array[:, 0].tolist() for array in arrays],
}
ROW_FORMS = {
    "rows": lambda arrays: as_array(arrays)[:, :, 0],
    "frame of rows": lambda arrays: pd.DataFrame(as_array(arrays)[:, :, 0]),
}


def read_only(array):
    array.flags.writeable = False
    return array


def fault_of_values(arrays, fault, rng):
    """Put something into one of the sequences that has no place there."""
    i = int(rng.integers(len(arrays)))
    if fault == "empty":
        arrays[i] = arrays[i][:0]
    elif fault == "features":
        arrays[i] = np.hstack([arrays[i], arrays[i]])
    elif fault == "text":
        arrays[i] = arrays[i].astype(object)
        arrays[i][0, 0] = "text"
    elif fault == "none":
        arrays[i] = arrays[i].astype(object)
        arrays[i][-1, 0] = None
    elif fault == "huge integer":
        arrays[i] = arrays[i].astype(object)
        arrays[i][0, 0] = 10**400
    elif fault == "masked":
        arrays[i] = np.ma.masked_greater(arrays[i], 0.0)
    else:
        arrays[i] = arrays[i].copy()
        arrays[i][int(rng.integers(len(arrays[i]))), 0] = fault


FAULTS = ["empty", "features", "text", "none", "huge integer", "masked", *ODD_NUMBERS]


@st.composite
def sequences(draw, *, n_features=None, form=None, faulty=True, max_sequences=6):
    """Draw sequences in some form, most of them sound."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    n = draw(st.integers(1, max_sequences))
    if n_features is None:
        n_features = draw(st.integers(1, 3))
    equal = draw(st.booleans())
    longest = draw(st.integers(1, 7))
    lengths = [longest] * n if equal else rng.integers(1, longest + 1, n).tolist()
    scale = draw(st.sampled_from([1.0, 1e-3, 1e4]))
    arrays = [scale * rng.standard_normal((t, n_features)) for t in lengths]
    forms = FORMS | (EQUAL_FORMS if equal else {})
    if n_features == 1:
        forms = forms | FLAT_FORMS | (ROW_FORMS if equal else {})
    form = form if form in forms else draw(st.sampled_from(sorted(forms)))
    fault = draw(st.sampled_from([None] * 3 + FAULTS)) if faulty else None
    if fault is None:
        return Data(forms[form](arrays), lengths, n_features, form)
    fault_of_values(arrays, fault, rng)
    try:
        X = forms[form](arrays)
    except Exception:  # such a fault cannot stand in such a form
        X = arrays
    return Data(X, lengths, n_features, form, sound=False)


@st.composite
def odd_data(draw):
    """Draw something that is no sequences at all."""
    X = draw(st.sampled_from(ODD_DATA))
    n = len(X) if hasattr(X, "__len__") and not sparse.issparse(X) else 1
    return Data(X, [1] * n, 1, "odd", sound=False)


def any_sequences():
    """Draw sequences, or now and then something else."""
    return st.one_of(sequences(), sequences(), sequences(), odd_data())


@st.composite
def numbers_for(draw, data):
    """Draw a number, or some, for each sequence."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = draw(st.sampled_from([(), (1,), (2,)]))
    y = 10.0 ** draw(st.integers(-2, 3)) * rng.standard_normal((len(data), *shape))
    form = draw(st.sampled_from(["array", "list", "frame"]))
    if form == "list":
        return y.tolist()
    return pd.DataFrame(y) if form == "frame" and shape else y


@st.composite
def labels_for(draw, data):
    """Draw a label of at least two for each sequence."""
    names = draw(st.sampled_from([["a", "b", "c"], [0, 1, 2], [False, True], [-1, 1]]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    codes = rng.integers(0, len(names), len(data))
    codes[:2] = [0, 1][: len(data)]
    y = np.array(names)[codes]
    return draw(st.sampled_from([y, y.tolist(), pd.Series(y)]))


@st.composite
def step_labels_for(draw, data):
    """Draw a label for each step of each sequence."""
    names = np.array(draw(st.sampled_from([["N", "V"], [0, 1, 2]])))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return [names[rng.integers(0, len(names), t)] for t in data.lengths]


@st.composite
def step_numbers_for(draw, data):
    """Draw a number for each step of each sequence."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return [rng.standard_normal(t) for t in data.lengths]


@st.composite
def symbols_for(draw, data):
    """Draw some symbols for each sequence, no more than it has steps."""
    texts = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    pairs = [rng.choice(list("ab"), (t + 1) // 2).tolist() for t in data.lengths]
    return ["".join(pair) for pair in pairs] if texts else pairs


@st.composite
def odd_targets_for(draw, data):
    """Draw targets that do not fit their sequences."""
    n = len(data)
    return draw(
        st.sampled_from(
            [
                None,
                "text",
                5,
                np.zeros(n + 1),
                np.full(n, np.nan),
                np.full(n, np.inf),
                np.full(n, 1e300),
                np.zeros(n),
                np.arange(float(n)) + 0.5,
                np.array([None] * n, dtype=object),
                [10**400] * n,
                np.ma.masked_all(n),
                np.zeros((n, 2, 2)),
                np.eye(max(n, 2))[:n],
                [[0.5, 1.5]] * n,
                [[]] * n,
                [""] * n,
                ["a"] * n,
                [{"a": 1}] * n,
                pd.Series(pd.date_range("2024-01-01", periods=n)),
                np.zeros(n, complex),
                sparse.eye(max(n, 1)).tocsr(),
            ]
        )
    )


@st.composite
def parameters(draw, estimator, *, options=True):
    """Draw parameters that `estimator` knows; return them and whether all are valid."""
    known = estimator().get_params()
    names = [name for name in PARAMETERS if name in known]
    chosen = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    params = {
        "hidden_size": 3,
        "max_epochs": 1,
        "kernel": "torch",
        **{name: draw(st.sampled_from(PARAMETERS[name])) for name in chosen},
    }
    sound = True
    names = [name for name in OPTIONS if name in known]
    if options and names:
        chosen = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        params |= {name: draw(st.sampled_from(OPTIONS[name])) for name in chosen}
        sound = not chosen
    if options and draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(sorted(set(known) - {"verbose", "callbacks"})))
        value = draw(st.sampled_from(BAD_VALUES))
        params[name] = value
        sound = False
    return params, sound
