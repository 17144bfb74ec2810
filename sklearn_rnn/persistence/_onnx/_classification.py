"""What classifiers and taggers predict, in a graph."""

import numpy as np

from sklearn_rnn.estimators.closed_form import (
    UNSEEN_PROBABILITY,
    ConvolutionClassifier,
)
from sklearn_rnn.modules import CONVOLUTION_GRID, KERNEL_SIZE, LARGEST_CONVOLVED
from sklearn_rnn.persistence._onnx._graph import DOUBLE, FLOAT, INT
from sklearn_rnn.persistence._onnx._network import run_network
from sklearn_rnn.persistence._onnx._steps import NewestStep


def write_classifier(task, network, steps):
    """Add label and probabilities of each sequence to the graph of its steps."""
    logits = run_network(network, steps, steps.values).cast(DOUBLE)
    if task.auxiliary is not None:
        logits = _join(task.auxiliary, steps, logits)
    graph, classes = steps.graph, task.labels.classes
    label = _labels(graph, classes).take(_argmax(logits, 1), axis=0)
    graph.output("label", label, ["N"], "The likeliest class.")
    _write_probabilities(graph, logits.apply("Softmax", axis=1), ["N", len(classes)])


def write_tagger(task, network, steps):
    """Add label and probabilities of each step to their graph."""
    logits = run_network(network, steps, steps.values).cast(DOUBLE)
    graph, classes = steps.graph, task.labels.classes
    label = _labels(graph, classes).take(_argmax(logits, 2), axis=0)
    probabilities = logits.apply("Softmax", axis=2)
    shape = ["N", "T"]
    if isinstance(steps, NewestStep):
        shape, label = ["N"], label.squeeze(1)
        probabilities = probabilities.squeeze(1)
    else:
        inside = steps.inside().expand(2)
        probabilities = graph.where(inside, probabilities, np.nan)
    graph.output("label", label, shape, "The likeliest class; none at padding.")
    _write_probabilities(graph, probabilities, [*shape, len(classes)])


def _write_probabilities(graph, probabilities, shape):
    about = "Of the classes, in the order of the metadata."
    graph.output("probabilities", probabilities, shape, about)


def _argmax(logits, axis):
    return logits.graph.node("ArgMax", logits, dtype=INT, axis=axis, keepdims=0)


def _labels(graph, classes):
    """Return the classes as values: strings, or numbers of 64 bits, or bools."""
    found = np.asarray(classes.tolist())  # of objects the type that they have
    types = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    if found.dtype.kind in types:
        return graph.constant(found.astype(types[found.dtype.kind]))
    return graph.constant(np.array([str(name) for name in classes], dtype=object))


def _join(auxiliary, steps, outputs):
    """Add the network's logits to those of the classifier beside it."""
    is_of_numbers = isinstance(auxiliary, ConvolutionClassifier)
    write = _convolution_scores if is_of_numbers else _bag_scores
    scores = write(auxiliary, steps)
    learned = outputs.apply("LogSoftmax", axis=1) - auxiliary.log_priors_
    own = (scores * auxiliary.temperature_).apply("LogSoftmax", axis=1)
    return own + learned * auxiliary.network_weight_


# Convolutions


def _convolution_scores(classifier, steps):
    """Return the scores (N, n_classes) of ridge regressions on convolutions."""
    features, inside = classifier.features_, steps.inside().expand(1).cast(FLOAT)
    x = (steps.values - features.center_) / features.scale_ * CONVOLUTION_GRID
    x = (
        x.apply("Round")
        .clip(-LARGEST_CONVOLVED, LARGEST_CONVOLVED)
        .cast(FLOAT)
        .transpose(0, 2, 1)
    )
    x = x * inside  # (N, C, T)
    groups = [
        _sum_of_signs(x, inside, *of_group)
        for of_group in zip(
            features.weights_, features.dilations_, features.thresholds_, strict=True
        )
    ]
    # Whole numbers: the sums of float32 are exact.
    sums = steps.graph.concatenate(groups, 1).cast(DOUBLE)
    means = sums / steps.lengths.expand(1).cast(DOUBLE)
    return means @ classifier.ridge_.coef_ + classifier.ridge_.intercept_


def _sum_of_signs(x, inside, weights, dilation, thresholds):
    """Return sums (N, n_kernels) over steps of the signs of convolutions."""
    n_kernels, margin = weights.shape[1], KERNEL_SIZE // 2 * int(dilation)
    kernels = weights.reshape(KERNEL_SIZE, -1, n_kernels).transpose(2, 1, 0)
    values = x.graph.node(
        "Conv",
        x,
        np.ascontiguousarray(kernels, dtype=FLOAT),
        -thresholds.astype(FLOAT),
        dilations=[int(dilation)],
        pads=[margin, margin],
    )
    return (values.apply("Sign") * inside).sum(2)


# Bags of words


def _bag_scores(bag, steps):
    """Return log probabilities (N, n_classes) by counts of tokens and pairs."""
    model, graph = bag.model_, steps.graph
    table = _weigh_counts(bag.table_, _count(bag.table_, steps))
    logits = table @ np.ascontiguousarray(model.coef_.T) + model.intercept_
    if len(model.coef_) == 1:
        logits = graph.concatenate([logits * 0.0, logits], 1)
    found = logits.cast(DOUBLE).apply("LogSoftmax", axis=1)
    # A class that the texts of fit do not show is of little probability.
    unseen = found.part(0, 1, 1) * 0.0 + np.log(UNSEEN_PROBABILITY)
    positions = np.full(bag.n_classes, len(model.classes_))
    positions[model.classes_] = np.arange(len(model.classes_))
    return graph.concatenate([found, unseen], 1).take(positions, axis=1)


def _count(table, steps):
    """Return how often each token and each pair occurs, (N, n_columns)."""
    is_pair = table.keys >= table.n_ids
    tokens, pairs = table.keys[~is_pair], table.keys[is_pair]
    pairs = np.stack([pairs // table.n_ids - 1, pairs % table.n_ids], axis=1)
    # Padding is a token that is not counted.
    ids = steps.graph.where(steps.inside(), steps.values, -1)
    return steps.graph.node(
        "TfIdfVectorizer",
        ids,
        dtype=FLOAT,
        mode="TF",
        min_gram_length=1,
        max_gram_length=2 if len(pairs) else 1,
        max_skip_count=0,
        ngram_counts=[0, len(tokens)] if len(pairs) else [0],
        ngram_indexes=list(range(len(table.keys))),
        pool_int64s=[*tokens.tolist(), *pairs.ravel().tolist()],
    )


def _weigh_counts(table, counts):
    """Return TF-IDF of tokens, and beside it of pairs, normalised each."""
    graph, parts = counts.graph, []
    for columns, length, tfidf in table.parts:
        part = counts.part(columns.start, columns.stop, 1)
        weighed = (part.maximum(1.0).apply("Log") + 1.0) * tfidf.idf_
        weighed = graph.where(part > 0, weighed, 0.0)
        norm = (weighed * weighed).sum(1, keeps_axis=True).apply("Sqrt")
        norm = graph.where(norm > 0, norm, 1.0)
        parts.append(weighed / norm * length)
    return graph.concatenate(parts, 1)
