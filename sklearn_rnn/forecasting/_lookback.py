"""Which rows of a table the windows at some of its rows look back on."""

import numpy as np
import pandas as pd

from sklearn_rnn.estimators import lookback_of, windowers


def places_needed(data, series, places, model):
    """Find the places that a model looks at to predict at some of them.

    Parameters
    ----------
    data : DataFrame
        Of pandas or polars.
    series : SeriesRows
        Its rows, series by series.
    places : ndarray of int
        Where predictions are wanted.
    model : estimator instance
        Fitted. With a windower in front it looks back as far as that does, and
        with ``missing="mask"`` to the last value seen before; without, nobody
        knows how far.

    Returns
    -------
    ndarray of int
        Places, increasing.
    """
    first = series.first
    begins = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    from_here = begins[places]
    lookback = lookback_of(model)
    if lookback is not None:
        from_here = np.maximum(places - lookback, from_here)
        if any(windower.missing == "mask" for windower in windowers(model)):
            from_here = _last_seen(data, series, begins)[from_here]
    # One up where a stretch begins, one down after its end: above 0 inside of any.
    change = np.zeros(len(first) + 1, dtype=int)
    np.add.at(change, from_here, 1)
    np.add.at(change, places + 1, -1)
    return np.flatnonzero(np.cumsum(change)[:-1] > 0)


def _last_seen(data, series, begins):
    """Find the place from which on every column has had a value."""
    everyone = np.arange(len(begins))
    rows = series.rows(everyone)
    seen_all = everyone
    for name in data.columns:
        missing = np.asarray(pd.isna(np.asarray(data[name])))[rows]
        seen = np.maximum.accumulate(np.where(missing, -1, everyone))
        seen_all = np.minimum(seen_all, np.maximum(seen, begins))
    return seen_all
