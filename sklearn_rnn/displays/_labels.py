"""Symbols and names as labels, small enough to fit."""

import numpy as np

# Smaller text cannot be read: on an axis, labels are left out instead. Points.
SMALLEST = 6.0
# An upright label is harder to read than one that is slightly smaller.
ROTATE_BELOW = 0.65
# Fraction of a cell that a label may fill.
FILL = 0.9


def check_symbols(symbols, lengths):
    """Return the symbols of each sequence's steps as texts, or None.

    For a single sequence, `symbols` may also be its list alone; a str is a list of its
    characters.
    """
    if symbols is None:
        return None
    symbols = list(symbols)
    if len(lengths) == 1 and _is_of_one_sequence(symbols, lengths[0]):
        symbols = [symbols]
    if len(symbols) != len(lengths):
        raise ValueError(
            f"symbols has {len(symbols)} lists for {len(lengths)} sequences: give one "
            "list of symbols per sequence."
        )
    symbols = [[printable(symbol) for symbol in row] for row in symbols]
    for i, (row, length) in enumerate(zip(symbols, lengths, strict=True)):
        if len(row) != length:
            raise ValueError(
                f"symbols[{i}] has {len(row)} symbols, but the network reads {length} "
                "steps of that sequence: give one symbol per step."
            )
    return symbols


def _is_of_one_sequence(symbols, length):
    """Return whether symbols are those of steps, not a list of such lists."""
    if any(np.ndim(symbol) > 0 for symbol in symbols):
        return False
    is_text_of_all = len(symbols) == 1 != length and isinstance(symbols[0], str)
    return not is_text_of_all


def printable(symbol):
    """Return a symbol as visible text.

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
    """Label the step at x = t with symbol t.

    Some are left out where all would be too small to read.
    """
    steps = range(len(symbols))
    ticks = ax.set_xticks(steps, symbols, parse_math=False)
    width, _ = cell_size(ax)
    style = fitting_style([tick.label1 for tick in ticks], width, np.inf)
    every = _thin_out(style)
    ax.set_xticks(steps[::every], symbols[::every], parse_math=False, **style)


def label_rows(ax, names):
    """Label the row at y = i with name i.

    Some are left out where all would be too small to read.
    """
    rows = range(len(names))
    ticks = ax.set_yticks(rows, names, parse_math=False)
    _, height = cell_size(ax)
    style = fitting_style([tick.label1 for tick in ticks], np.inf, height)
    every = _thin_out(style)
    ax.set_yticks(rows[::every], names[::every], parse_math=False, **style)


def _thin_out(style):
    """Raise the font to a legible size; return which multiples of labels then fit."""
    every = int(np.ceil(SMALLEST / style["fontsize"]))
    style["fontsize"] = max(style["fontsize"], SMALLEST)
    return every


def cell_size(ax):
    """Lay out the figure; return width and height of a 1 by 1 cell in points."""
    ax.figure.figure.draw_without_rendering()
    corners = ax.transData.transform([(0, 0), (1, 1)])
    return tuple(np.abs(corners[1] - corners[0]) * 72 / ax.figure.dpi)


def fitting_style(texts, width, height):
    """Return the font size (points) and rotation with which texts fit into cells.

    `texts` are horizontal and of one size; `width` and `height` are in points.
    """
    boxes = [text.get_window_extent() for text in texts]
    points = 72 / texts[0].figure.dpi
    # Empty symbols have no size: they count as 1 point.
    text_width = max(1.0, *(box.width * points for box in boxes))
    text_height = max(1.0, *(box.height * points for box in boxes))
    horizontal = min(1, FILL * width / text_width, FILL * height / text_height)
    upright = min(1, FILL * width / text_height, FILL * height / text_width)
    is_upright = horizontal < min(ROTATE_BELOW, upright)
    size = texts[0].get_fontsize() * (upright if is_upright else horizontal)
    return {"fontsize": size, "rotation": 90 if is_upright else 0}
