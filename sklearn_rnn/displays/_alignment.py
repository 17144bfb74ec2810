"""Alignments: the attention of an encoder-decoder, per output and input symbol."""

import numpy as np

from sklearn_rnn.displays._grid import MAX_PANELS
from sklearn_rnn.displays._labels import cell_size, label_rows, label_steps, printable

# Label of the last row, if it has no symbol.
END = "<end>"
# Inches: a cell, a letter beside the rows or, upright, under the columns, and
# the longest label that the size allows for.
CELL, LETTER, LONGEST = 0.26, 0.085, 2.0
# Inches: the largest figure of several alignments.
WIDEST, HIGHEST = 15.0, 15.0


def check_alignment(weights, source, target):
    """Return weights (n_outputs, n_inputs), source and target symbols as texts.

    The last row of weights may be the end's, without a symbol in `target`; a source of
    None numbers the columns.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: give one row per output symbol and "
            "one column per input symbol, and at least one of each."
        )
    n_outputs, n_inputs = weights.shape
    if source is not None:
        source = [printable(symbol) for symbol in source]
        if len(source) != n_inputs:
            raise ValueError(
                f"source has {len(source)} symbols for {n_inputs} columns of weights: "
                "give one per column, or None to number them."
            )
    target = [printable(symbol) for symbol in target]
    if len(target) not in (n_outputs, n_outputs - 1):
        raise ValueError(
            f"target has {len(target)} symbols for {n_outputs} rows of weights: give "
            "one per row; the last row may be the end's and have none."
        )
    target += [END] * (n_outputs - len(target))
    return weights, source, target


def check_alignments(weights, source, target):
    """Return the alignments of several pairs as lists of weights, sources and targets.

    Each is checked as by `check_alignment`.
    """
    if source is None:
        source = [None] * len(weights)
    if not len(weights) == len(source) == len(target) <= MAX_PANELS:
        raise ValueError(
            f"weights has {len(weights)} alignments, source {len(source)} and target "
            f"{len(target)} lists of symbols: give one of each per pair, and at most "
            f"{MAX_PANELS} pairs."
        )
    pairs = zip(weights, source, target, strict=True)
    checked = [check_alignment(*pair) for pair in pairs]
    return tuple(map(list, zip(*checked, strict=True)))


def predict_alignments(trained, X_read, X):
    """Return per sequence its attention, its symbols and the predicted ones.

    `X_read` is the input as it reaches `trained`; `X` as the user gave it has symbols
    that can be displayed. A source is None for numeric input, and for text that splits
    into neither characters nor words; a target is then the row numbers.
    """
    alignments = [np.asarray(weights) for weights in trained.attention(X_read)]
    if not 0 < len(alignments) <= MAX_PANELS:
        raise ValueError(
            f"X holds {len(alignments)} sequences, and a figure can show the "
            f"alignments of 1 to {MAX_PANELS}: choose some, such as X[:4]."
        )
    is_table = hasattr(X, "columns")  # iterating a table yields names
    texts = [] if is_table or len(X) != len(alignments) else list(X)
    sources, targets = [None] * len(alignments), []
    for i, predicted in enumerate(trained.predict(X_read)):
        n_outputs, n_inputs = alignments[i].shape
        if texts:
            sources[i] = _symbols(texts[i], [n_inputs])
        symbols = _symbols(predicted, [n_outputs - 1, n_outputs])
        targets.append(range(n_outputs) if symbols is None else symbols)
    return alignments, sources, targets


def _symbols(sequence, counts):
    """Return the symbols of a sequence, None if numeric or of another count."""
    if isinstance(sequence, str):
        forms = [list(sequence), sequence.split()]
    else:
        forms = [list(sequence)] if np.iterable(sequence) else []
    for symbols in forms:
        if len(symbols) in counts and not any(map(_is_measured, symbols)):
            return symbols
    return None


def _is_measured(symbol):
    return isinstance(symbol, (float, np.floating, list, np.ndarray))


def alignment_size(source, target, n_inputs):
    """Return a figure's width and height in inches, with space for the labels."""
    beside, under = _label_length(target), _label_length(source or ["0"])
    if under <= CELL:
        under = 0  # labels stay horizontal
    width = np.clip(1.9 + beside + CELL * n_inputs, 5, 14)
    return width, np.clip(1 + under + CELL * len(target), 2.6 + under, 12)


def grid_of_alignments(pyplot, pairs):
    """Return axes of a new figure, one per pair of weights, source and target."""
    n_cols = 2 if len(pairs) in (2, 4) else min(len(pairs), 3)
    n_rows = -(-len(pairs) // n_cols)
    sizes = [alignment_size(s, t, weights.shape[1]) for weights, s, t in pairs]
    width, height = np.max(sizes, axis=0) * (n_cols, n_rows)
    if len(pairs) > 1:
        width, height = min(width, WIDEST), min(height, HIGHEST)
    figure, axes = pyplot.subplots(
        n_rows, n_cols, figsize=(width, height), layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(pairs) :]:
        figure.delaxes(ax)
    return axes.ravel()[: len(pairs)]


def _label_length(labels):
    return min(LETTER * max(map(len, labels)), LONGEST)


def label_alignment(ax, source, target):
    """Label columns with the source's symbols or numbers, rows with the target's."""
    ax.spines[:].set(color="gray", linewidth=0.8)
    ax.set_ylabel("output")
    # The rows' labels take width from the columns: they come first, at full size.
    ax.set_yticks(range(len(target)), target, parse_math=False)
    if source is None:
        ax.set_xlabel("input step")
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        ax.set_xlabel("input")
        label_steps(ax, source)
    label_rows(ax, target)


def sharpen_cells(image):
    """Draw cells with sharp edges, unless there are more of them than pixels.

    Matplotlib averages neighbours in both directions where the cells of one are small,
    so that rows would run into each other.
    """
    pixels = image.figure.dpi / 72
    if min(cell_size(image.axes)) * pixels >= 1:
        image.set_interpolation("nearest")
