"""Quantile columns of a forecast frame, as bands and lines to draw."""

from typing import NamedTuple

from sklearn_rnn.forecasting import quantile_columns, symmetric_levels


class Band(NamedTuple):
    """Two quantiles as far from the median as one another.

    label : str, such as "80 % interval"
    lower, upper : str, their columns
    """

    label: str
    lower: str
    upper: str


class Quantiles(NamedTuple):
    """What there is to draw of a forecast's quantiles.

    bands : list of Band, the widest first
    alone : dict of str to str, label of each column that is in no band
    """

    bands: list
    alone: dict


def pair_quantiles(columns):
    """Pair the quantile columns that are symmetric around the median.

    Parameters
    ----------
    columns : list of str
        Columns of a forecast frame; those that hold no quantile are passed
        over.

    Returns
    -------
    Quantiles

    Examples
    --------
    >>> from sklearn_rnn.displays._bands import pair_quantiles
    >>> quantiles = pair_quantiles(["prediction", "q0.1", "q0.5", "q0.9", "q0.99"])
    >>> quantiles.bands
    [Band(label='80 % interval', lower='q0.1', upper='q0.9')]
    >>> quantiles.alone
    {'q0.5': 'median', 'q0.99': '99 % quantile'}
    """
    levels = quantile_columns(columns)
    pairs = symmetric_levels(levels)
    bands = [
        Band(f"{100 * (high - low):.4g} % interval", levels[low], levels[high])
        for low, high in pairs
    ]
    paired = {level for pair in pairs for level in pair}
    alone = {levels[level]: _name(level) for level in levels if level not in paired}
    return Quantiles(bands, alone)


def _name(level):
    return "median" if level == 0.5 else f"{100 * level:.4g} % quantile"
