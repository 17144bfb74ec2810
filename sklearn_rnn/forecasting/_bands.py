"""Pairs of forecast quantiles as bands, the others as lines."""

from typing import NamedTuple

from sklearn_rnn.forecasting._columns import quantile_columns, symmetric_levels


class Band(NamedTuple):
    """Two quantiles symmetric around the median: a label and their columns."""

    label: str
    lower: str
    upper: str


class Quantiles(NamedTuple):
    """Bands, the widest first, and the labels of columns that are in no band."""

    bands: list[Band]
    unpaired: dict[str, str]


def pair_quantiles(columns):
    """Pair the quantile columns that are symmetric around the median."""
    levels = quantile_columns(columns)
    pairs = symmetric_levels(levels)
    bands = [
        Band(f"{100 * (high - low):.4g} % interval", levels[low], levels[high])
        for low, high in pairs
    ]
    paired = {level for pair in pairs for level in pair}
    unpaired = {levels[level]: _name(level) for level in levels if level not in paired}
    return Quantiles(bands, unpaired)


def _name(level):
    return "median" if level == 0.5 else f"{100 * level:.4g} % quantile"
