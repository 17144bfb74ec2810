"""Missing values of a table: filled with the last one seen, and flagged."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.preprocessing._time_table import Features

# As scikit-learn's imputers name such columns.
INDICATOR = "missingindicator_"


@plain_type
class Fill(NamedTuple):
    """What fit found out about missing values.

    means : ndarray of shape (n_features,), the fill where no value was seen before
    flagged : ndarray of int, the features that had missing values
    """

    means: np.ndarray
    flagged: np.ndarray

    def names(self, feature_names: Sequence[str]) -> list[str]:
        """Return the names of the flags, from those of all features."""
        return [f"{INDICATOR}{feature_names[j]}" for j in self.flagged]

    def fill_step(self, values: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """Return the features of one step, filled and flagged as `fill_features` does.

        `before` is the step before it in the segment, filled; None if it is the first.
        """
        is_missing = np.isnan(values)
        last = self.means if before is None else before[: len(self.means)]
        flags = is_missing[self.flagged].astype(np.float64)
        return np.concatenate([np.where(is_missing, last, values), flags])


def fit_fill(features: Features, estimator_name: str) -> Fill:
    """Return the Fill of a training table: its means, and which columns have NaN."""
    missing = [np.isnan(column) for column in features.columns]
    for j, column in enumerate(missing):
        if column.all():
            name = j if features.names is None else features.names[j]
            raise InvalidSequenceError(
                f"column {name!r} of X has no value in any row, so {estimator_name} "
                "cannot fill it: drop it."
            )
    names = features.names or []
    for name in names:
        if f"{INDICATOR}{name}" in names:
            raise InvalidSequenceError(
                f"X has a column '{INDICATOR}{name}', the name that {estimator_name} "
                f"gives to the flag of {name!r}: rename it, or set missing=None."
            )
    with np.errstate(over="ignore", invalid="ignore"):
        means = [
            column[~is_nan].mean(dtype=np.float64)
            for column, is_nan in zip(features.columns, missing, strict=True)
        ]
    if not np.isfinite(means).all():
        j = int(np.argmin(np.isfinite(means)))
        row = int(np.nanargmax(np.abs(features.columns[j].astype(np.float64))))
        name = j if features.names is None else features.names[j]
        value = features.columns[j][row]
        raise InvalidSequenceError(
            f"column {name!r} of X holds {value:.6g} in row {row}, and "
            f"{estimator_name} fills with the mean of the column before the first "
            "value, which is then not finite. Correct it, or make it NaN."
        )
    return Fill(np.array(means), np.flatnonzero([is_nan.any() for is_nan in missing]))


def fill_features(features, fill, table, prefixes=(), history=None):
    """Fill NaN with the last value seen in the segment, and append flags of 0 and 1.

    Values are carried over from the history (filled, too) into the segments that it
    precedes, but not from segment to segment.
    """
    begins = table.segments[:-1]
    carried = np.tile(fill.means, (len(begins), 1))
    for prefix in prefixes:
        segment = np.searchsorted(begins, prefix.position)
        carried[segment] = history.values[prefix.end - 1, : len(fill.means)]
    columns = [
        _fill_column(column, table, before)
        for column, before in zip(features.columns, carried.T, strict=True)
    ]
    dtype = np.result_type(*features.columns)
    flags = [np.isnan(features.columns[j]).astype(dtype) for j in fill.flagged]
    names = features.names
    if names is not None:
        names = [*names, *fill.names(names)]
    return features._replace(columns=columns + flags, names=names, block=None)


def _fill_column(column, table, before):
    missing = np.isnan(column)
    if not missing.any():
        return column
    positions = np.arange(len(column))
    order = table.rows(positions)
    segment_begin = np.maximum.accumulate(
        np.where(table.is_segment_start, positions, 0)
    )
    seen = np.maximum.accumulate(np.where(missing[order], -1, positions))
    nothing_yet = seen < segment_begin
    segment = np.cumsum(table.is_segment_start) - 1
    filled = column.copy()
    filled[order] = column[order][seen]
    filled[order[nothing_yet]] = before[segment][nothing_yet]
    return filled
