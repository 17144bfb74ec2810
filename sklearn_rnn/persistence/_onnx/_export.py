"""to_onnx: a fitted model as a file that runs without Python."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._plain_files import replace_file
from sklearn_rnn._version import __version__
from sklearn_rnn.estimators import (
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    check_causal,
    lock_of,
)
from sklearn_rnn.persistence._onnx._classification import (
    write_classifier,
    write_tagger,
)
from sklearn_rnn.persistence._onnx._graph import Graph
from sklearn_rnn.persistence._onnx._inputs import InputReader
from sklearn_rnn.persistence._onnx._regression import write_regressor
from sklearn_rnn.persistence._onnx._steps import NewestStep, PaddedSequences

WRITERS = {
    RNNClassifier: write_classifier,
    RNNRegressor: write_regressor,
    RNNTagger: write_tagger,
}


def to_onnx(
    model: RNNRegressor | RNNClassifier | RNNTagger,
    path: str | os.PathLike,
    *,
    stateful: bool = False,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a fitted model to a file of ONNX, which runs without this package.

    The file holds everything that ``predict`` does with numbers: scaling, the linear
    part or convolutions or counts of words, the network, the units of the targets,
    bounds, and the names of the classes. Predictions agree with those of `predict` to
    about 1e-5 of the scale of the targets, whatever is in the batch.

    **Inputs.** ``X``, float32 of shape (N, T, n_features), sequences that are padded at
    their ends with anything, or int64 of shape (N, T) where the model embeds tokens;
    and ``lengths``, int64 of shape (N,), the steps of each. A category is the number
    that the column holds, or, if it holds strings, its position in the list of the
    metadata, counted from 1; 0 is a missing one. Other than `predict` the file does not
    check values: NaN gives NaN.

    **Outputs** of a regressor: ``prediction``, float64 of the shape that `predict`
    returns; with ``loss="quantile"`` also ``quantiles``, what `predict_quantiles`
    returns; with a likelihood ``parameters``, those of the distribution on the last
    axis. Of a classifier or tagger: ``label``, the class itself, and
    ``probabilities``, float64. With predictions at every step, numbers at padding are
    NaN and labels mean nothing.

    Parameters
    ----------
    model : RNNRegressor, RNNClassifier or RNNTagger
        Fitted. Weights of float64 are rounded to float32.
    path : str or path
        Where to write; ``.onnx`` is the usual ending. A file there is replaced.
    stateful : bool, default=False
        Whether to write a model of one step, for live signals: ``X`` is the newest step
        of each stream, (N, n_features) or (N,), and instead of ``lengths`` there is
        ``state``, float32 of shape (N, n_state), zeros before the first step of a
        stream. ``next_state`` is the state to give with the next step. Predictions are
        those of `StatefulPredictor`, which refuses the same models.
    metadata : dict of str to str, default=None
        More entries for the file's metadata, such as the time between two steps. It has
        the version of this package, names of features, targets and classes, categories,
        levels of quantiles and descriptions of inputs and outputs, as JSON.

    Raises
    ------
    TypeError
        If the model is none of these, such as a pipeline.
    ValueError
        If ``stateful=True`` and predictions need later steps, a tagger has
        `transition_weight`, numeric categories are equal in float32, or `metadata` has
        an entry that the file has anyway.
    NotFittedError
        If it is not fitted.
    ImportError
        If onnx is not installed.

    See Also
    --------
    save_model : Save a model for this package.

    Notes
    -----
    The file needs operators of version 18 of ONNX; ONNX Runtime has them since 1.15.
    A bag of words is computed as a dense table: beside a vocabulary of many thousand
    words and pairs, give the file few texts at a time.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn_rnn import RNNRegressor
    >>> from sklearn_rnn.persistence import to_onnx
    >>> X = np.random.default_rng(0).normal(size=(50, 20, 2)).astype(np.float32)
    >>> model = RNNRegressor(max_epochs=5).fit(X, X.mean(axis=(1, 2)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(model, f"{folder}/model.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    >>> inputs = {"X": X, "lengths": np.full(50, 20)}
    >>> (prediction,) = session.run(["prediction"], inputs)
    >>> np.allclose(prediction, model.predict(X), atol=1e-5)
    True
    """
    write = _find_writer(model)
    check_is_fitted(model)
    if getattr(model._task, "transitions", None) is not None:
        raise ValueError(
            f"this {type(model).__name__} has transition_weight="
            f"{model._task.params.transition_weight}, and to_onnx does not write "
            "transitions of labels. Fit one with transition_weight=0."
        )
    graph, steps = Graph(), None
    with lock_of(model).shared():
        reader = InputReader(model._task, getattr(model, "feature_names_in_", None))
        if stateful:
            check_causal(model)
            steps = NewestStep(graph, reader)
            write(model._task, model.module_, steps)
            steps.finish()
        else:
            write(model._task, model.module_, PaddedSequences(graph, reader))
        entries = _describe(model, reader, graph)
        if steps is not None:
            entries["state_size"] = str(steps.state_size)
    entries |= _check_metadata(metadata or {}, entries)
    onnx_model = graph.to_model(
        type(model).__name__, entries, ("sklearn_rnn", __version__)
    )
    contents = onnx_model.SerializeToString()
    replace_file(Path(path), lambda file: file.write(contents))


def _find_writer(model):
    """Return the function that writes a model; raise if there is none."""
    cls: Any
    for cls, write in WRITERS.items():
        if isinstance(model, cls):
            if model._task_type is not cls._task_type:
                raise TypeError(
                    f"to_onnx knows what the outputs of a {cls.__name__} mean, and "
                    f"{type(model).__name__} has a task of its own: save it by "
                    "save_model instead."
                )
            return write
    remedy = ""
    if isinstance(model, Pipeline):
        remedy = (
            " Export its last step, to_onnx(pipeline[-1], path), and give the file "
            "what pipeline[:-1].transform makes of the data. The estimators scale "
            "their inputs themselves: no SequenceScaler need stand in front."
        )
    elif hasattr(model, "best_estimator_"):
        remedy = " Export its best_estimator_."
    raise TypeError(
        "to_onnx takes a fitted RNNRegressor, RNNClassifier or RNNTagger, got "
        f"{type(model).__name__}.{remedy}"
    )


def _describe(model, reader, graph):
    """Return what the file tells of itself, as JSON by name."""
    task = model._task
    found: dict[str, Any] = {
        "sklearn_rnn": __version__,
        "estimator": type(model).__name__,
        "trained_in": "float64" if task.dtype == "float64" else "float32",
        "inputs_and_outputs": graph.descriptions,
        "feature_names": reader.names,
        "categories": {reader.name(j): v for j, v in reader.categories.items()},
    }
    if task.tokens.symbols is not None:
        found["tokens"] = [str(symbol) for symbol in task.tokens.symbols]
    if hasattr(task, "labels"):
        found["classes"] = task.labels.classes.tolist()
    else:
        names = task.numbers.names
        found["target_names"] = None if names is None else list(names)
        levels = task.output.trained_levels
        found["quantiles"] = None if levels is None else levels.tolist()
    return {
        name: value if isinstance(value, str) else json.dumps(value, default=_plain)
        for name, value in found.items()
        if value not in (None, {})
    }


def _plain(value):
    """Return what JSON can hold of a name."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _check_metadata(given, entries):
    """Return the user's entries; raise if they are no strings, or taken."""
    taken = sorted(given.keys() & entries.keys())
    if taken:
        raise ValueError(
            f"metadata={given!r} has {taken[0]!r}, which the file has anyway: choose "
            "another name."
        )
    for name, value in given.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(
                f"metadata maps strings to strings, got {name!r}: {value!r}. Use "
                "json.dumps for other values."
            )
    return given
