"""Symbols and names as labels: read, and written so small that they fit."""

import numpy as np

# Smaller text cannot be read: on an axis, labels are left out instead. Points.
SMALLEST = 6.0
# A label turned upright is harder to read than one a little smaller.
TURN_BELOW = 0.65
# Share of its room that a label may fill.
FILL = 0.9


def read_symbols(symbols, lengths):
    """Read what stands at each step of each sequence.

    Parameters
    ----------
    symbols : list of list of str, list of str, or None
        One list a sequence; for a single sequence also its list alone. A str
        is a list of its characters.
    lengths : array-like of int of shape (n_sequences,)
        Steps of each sequence.

    Returns
    -------
    list of list of str, or None
        As many as there are steps.

    Raises
    ------
    ValueError
        If there are more or fewer.

    Examples
    --------
    >>> from sklearn_rnn.displays._labels import read_symbols
    >>> read_symbols(["a", "b"], [2])
    [['a', 'b']]
    >>> read_symbols(["ab", "c"], [2, 1])
    [['a', 'b'], ['c']]
    """
    if symbols is None:
        return None
    symbols = list(symbols)
    if len(lengths) == 1 and _is_of_one_sequence(symbols, lengths[0]):
        symbols = [symbols]
    if len(symbols) != len(lengths):
        raise ValueError(
            f"symbols has {len(symbols)} lists for {len(lengths)} sequences: give one "
            "list of symbols for each."
        )
    symbols = [[printable(symbol) for symbol in row] for row in symbols]
    for i, (row, length) in enumerate(zip(symbols, lengths, strict=True)):
        if len(row) != length:
            raise ValueError(
                f"symbols[{i}] has {len(row)} symbols, but the network reads {length} "
                "steps of that sequence: give one symbol a step."
            )
    return symbols


def _is_of_one_sequence(symbols, length):
    """Tell symbols of steps from a list that holds the list of them."""
    if any(np.ndim(symbol) > 0 for symbol in symbols):
        return False
    is_text_of_all = len(symbols) == 1 != length and isinstance(symbols[0], str)
    return not is_text_of_all


def printable(symbol):
    """Write a symbol such that it can be seen.

    Parameters
    ----------
    symbol : object
        Of any type.

    Returns
    -------
    str

    Examples
    --------
    >>> from sklearn_rnn.displays._labels import printable
    >>> [printable(symbol) for symbol in ["a", 1, " "]]
    ['a', '1', '␣']
    """
    text = str(symbol)
    if text == " ":
        return "␣"
    return text if text.isprintable() else repr(text)[1:-1]  # a line feed as \n


def label_steps(ax, symbols):
    """Write the symbols of a sequence under its steps.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Step t is at x = t.
    symbols : list of str
        One a step; some are left out where they would be too small to read.
    """
    places = range(len(symbols))
    ticks = ax.set_xticks(places, symbols, parse_math=False)
    width, _ = cell_size(ax)
    style = fitting_style([tick.label1 for tick in ticks], width, np.inf)
    every = _thin_out(style)
    ax.set_xticks(places[::every], symbols[::every], parse_math=False, **style)


def label_rows(ax, names):
    """Write a name beside every row.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Row i is at y = i.
    names : list of str
        One a row; some are left out where they would be too small to read.
    """
    places = range(len(names))
    ticks = ax.set_yticks(places, names, parse_math=False)
    _, height = cell_size(ax)
    style = fitting_style([tick.label1 for tick in ticks], np.inf, height)
    every = _thin_out(style)
    ax.set_yticks(places[::every], names[::every], parse_math=False, **style)


def _thin_out(style):
    """Bring labels up to a size that is read; return which of them have room."""
    every = int(np.ceil(SMALLEST / style["fontsize"]))
    style["fontsize"] = max(style["fontsize"], SMALLEST)
    return every


def cell_size(ax):
    """Return how wide and high a cell of 1 by 1 is, in points.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Its figure is laid out first.

    Returns
    -------
    width, height : float
        In points, 1/72 inch.
    """
    ax.figure.figure.draw_without_rendering()
    corners = ax.transData.transform([(0, 0), (1, 1)])
    return tuple(np.abs(corners[1] - corners[0]) * 72 / ax.figure.dpi)


def fitting_style(texts, width, height):
    """Find how small texts must be to fit, turned upright if that is better.

    Parameters
    ----------
    texts : list of matplotlib.text.Text
        Level, and all of one size.
    width, height : float
        Room for each, in points.

    Returns
    -------
    dict
        ``fontsize``, in points, and ``rotation``, for all of them.
    """
    boxes = [text.get_window_extent() for text in texts]
    points = 72 / texts[0].figure.dpi
    # Empty symbols have no size: they count as 1 point.
    wide = max(1.0, *(box.width * points for box in boxes))
    high = max(1.0, *(box.height * points for box in boxes))
    level = min(1, FILL * width / wide, FILL * height / high)
    upright = min(1, FILL * width / high, FILL * height / wide)
    turned = level < min(TURN_BELOW, upright)
    size = texts[0].get_fontsize() * (upright if turned else level)
    return {"fontsize": size, "rotation": 90 if turned else 0}
