"""Alignments: what an encoder-decoder looked at for each symbol of its output."""

import numpy as np

from sklearn_rnn.displays._labels import cell_size, label_rows, label_steps, printable

# Beside the last row, if it is one more than the symbols.
END = "<end>"
# Inches: a cell, a letter beside the rows or, upright, under the columns, and
# the longest label that gets more room.
CELL, LETTER, LONGEST = 0.26, 0.085, 2.0


def read_alignment(weights, source, target):
    """Read weights of attention and the symbols beside them.

    Parameters
    ----------
    weights : array-like of shape (n_outputs, n_inputs)
        A row one output symbol, and maybe one more for the end.
    source : list of hashable, str or None
        The input's symbols.
    target : list of hashable or str
        The output's symbols.

    Returns
    -------
    weights : ndarray of shape (n_outputs, n_inputs), float64
    source : list of str, or None
    target : list of str
        As many as there are rows.

    Raises
    ------
    ValueError
        If they do not fit together.

    Examples
    --------
    >>> from sklearn_rnn.displays._alignment import read_alignment
    >>> read_alignment([[0.9, 0.1], [0.5, 0.5]], "ab", ["x"])[1:]
    (['a', 'b'], ['x', '<end>'])
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}: give one row an output symbol and one "
            "column an input symbol, and at least one of each."
        )
    n_outputs, n_inputs = weights.shape
    if source is not None:
        source = [printable(symbol) for symbol in source]
        if len(source) != n_inputs:
            raise ValueError(
                f"source has {len(source)} symbols for {n_inputs} columns of weights: "
                "give one a column, or None to number them."
            )
    target = [printable(symbol) for symbol in target]
    if len(target) not in (n_outputs, n_outputs - 1):
        raise ValueError(
            f"target has {len(target)} symbols for {n_outputs} rows of weights: give "
            "one a row; the last row may stand for the end and have none."
        )
    target += [END] * (n_outputs - len(target))
    return weights, source, target


def predict_alignment(trained, X_read, X):
    """Return the attention for one sequence, its symbols and the predicted ones.

    Parameters
    ----------
    trained : estimator instance
        Fitted, with a method ``attention``.
    X_read : array-like of one sequence
        As it gets there.
    X : array-like
        As the user gave it, which has the symbols that can be read.

    Returns
    -------
    weights : ndarray of shape (n_outputs, n_inputs)
    source : list or None
        None for numbers, and for text that is not parted into characters or
        words.
    target : list
        The rows' numbers for such text.

    Raises
    ------
    ValueError
        If there are several sequences, or none.
    """
    alignments = trained.attention(X_read)
    if len(alignments) != 1:
        raise ValueError(
            f"X holds {len(alignments)} sequences, but an alignment is drawn of one: "
            "pass a list of that one, such as X[:1]."
        )
    weights = np.asarray(alignments[0])
    n_outputs, n_inputs = weights.shape
    is_table = hasattr(X, "columns")  # its first item were a column's name
    source = None if is_table or len(X) != 1 else _symbols(next(iter(X)), [n_inputs])
    target = _symbols(trained.predict(X_read)[0], [n_outputs - 1, n_outputs])
    return weights, source, range(n_outputs) if target is None else target


def _symbols(sequence, counts):
    """Return the symbols of a sequence, None if they are not so many or numbers."""
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
    """Return a figure's width and height in inches: room for every label, in reason.

    Parameters
    ----------
    source : list of str, or None
        What stands under the columns.
    target : list of str
        What stands beside the rows.
    n_inputs : int
        How many columns there are.

    Returns
    -------
    width, height : float
    """
    beside, under = _label_length(target), _label_length(source or ["0"])
    if under <= CELL:
        under = 0  # stands level
    width = np.clip(1.9 + beside + CELL * n_inputs, 5, 14)
    return width, np.clip(1 + under + CELL * len(target), 2.6 + under, 12)


def _label_length(labels):
    return min(LETTER * max(map(len, labels)), LONGEST)


def label_alignment(ax, source, target):
    """Write the input's symbols under the columns and the output's beside the rows.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Row i is at y = i, column j at x = j.
    source : list of str, or None
        None numbers the steps.
    target : list of str
        One a row.
    """
    ax.spines[:].set(color="gray", linewidth=0.8)
    ax.set_ylabel("output")
    # The rows' names take width from the columns: they come first, at full size.
    ax.set_yticks(range(len(target)), target, parse_math=False)
    if source is None:
        ax.set_xlabel("input step")
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        ax.set_xlabel("input")
        label_steps(ax, source)
    label_rows(ax, target)


def part_cells(image):
    """Draw cells with sharp edges, unless there are more of them than pixels.

    Parameters
    ----------
    image : matplotlib.image.AxesImage
        Matplotlib averages neighbours in both directions where the cells of
        one are small, so that rows would run into each other.
    """
    pixels = image.figure.dpi / 72
    if min(cell_size(image.axes)) * pixels >= 1:
        image.set_interpolation("nearest")
