"""Missing values of a table: the last one seen stands in, and a flag says so."""

from typing import NamedTuple

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError

# As scikit-learn's imputers name such columns.
INDICATOR = "missingindicator_"


class Fill(NamedTuple):
    """What fit saw of missing values.

    means : ndarray of shape (n_features,), where nothing was seen before
    flagged : ndarray of int, the features that had missing values
    """

    means: np.ndarray
    flagged: np.ndarray

    def names(self, feature_names):
        """Name the flags, for the names of all features."""
        return [f"{INDICATOR}{feature_names[j]}" for j in self.flagged]


def learn_fill(table, owner):
    """See which features of a table have missing values, and their means.

    Parameters
    ----------
    table : Table
        The training table.
    owner : str
        Who asks, for the message.

    Returns
    -------
    Fill

    Raises
    ------
    InvalidSequenceError
        If a feature has no value at all, or the name of a flag.
    """
    missing = [np.isnan(column) for column in table.columns]
    for j, column in enumerate(missing):
        if column.all():
            name = j if table.feature_names is None else table.feature_names[j]
            raise InvalidSequenceError(
                f"column {name!r} of X has no value in any row, so {owner} has "
                "nothing to put in: drop it."
            )
    names = table.feature_names or []
    for name in names:
        if f"{INDICATOR}{name}" in names:
            raise InvalidSequenceError(
                f"X has a column '{INDICATOR}{name}', as {owner} names what was "
                f"missing in {name!r}: rename it, or set missing=None."
            )
    with np.errstate(over="ignore", invalid="ignore"):
        means = [
            column[~gone].mean(dtype=np.float64)
            for column, gone in zip(table.columns, missing, strict=True)
        ]
    if not np.isfinite(means).all():
        j = int(np.argmin(np.isfinite(means)))
        row = int(np.nanargmax(np.abs(table.columns[j].astype(np.float64))))
        name = j if table.feature_names is None else table.feature_names[j]
        raise InvalidSequenceError(
            f"column {name!r} of X holds {table.columns[j][row]:.6g} in row {row}, and "
            f"{owner} puts the mean of a column where nothing is known yet, which is "
            "then not finite. Correct it, or make it NaN."
        )
    return Fill(np.array(means), np.flatnonzero([gone.any() for gone in missing]))


def fill_table(table, fill, series, first, lead_ins=(), history=None):
    """Put the last value seen where one is missing, and flag it.

    Parameters
    ----------
    table : Table
        With NaN.
    fill : Fill
        From fit.
    series : SeriesRows
        The rows, series by series.
    first : ndarray of bool
        Which of them begin a run; nothing is carried over into it.
    lead_ins : list of LeadIn, default=()
        Kept rows that go in front of some runs, which are carried over.
    history : History, default=None
        The kept rows, filled.

    Returns
    -------
    Table
        Without NaN; the flags, 0 or 1, stand behind the features.
    """
    begins = np.flatnonzero(first)
    carried = np.tile(fill.means, (len(begins), 1))
    for lead_in in lead_ins:
        run = np.searchsorted(begins, lead_in.place)
        carried[run] = history.values[lead_in.end - 1, : len(fill.means)]
    columns = [
        _fill_column(column, series, first, before)
        for column, before in zip(table.columns, carried.T, strict=True)
    ]
    flags = [np.isnan(table.columns[j]).astype(table.dtype) for j in fill.flagged]
    names = table.feature_names
    if names is not None:
        names = [*names, *fill.names(names)]
    return table._replace(columns=columns + flags, feature_names=names, block=None)


def _fill_column(column, series, first, before):
    missing = np.isnan(column)
    if not missing.any():
        return column
    places = np.arange(len(column))
    order = places if series.order is None else series.order
    run_begin = np.maximum.accumulate(np.where(first, places, 0))
    seen = np.maximum.accumulate(np.where(missing[order], -1, places))
    nothing_yet = seen < run_begin
    filled = column.copy()
    filled[order] = column[order][seen]
    filled[order[nothing_yet]] = before[np.cumsum(first) - 1][nothing_yet]
    return filled
