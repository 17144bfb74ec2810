"""Models and series for tests of the linear part."""

import numpy as np
import pandas as pd

from sklearn_rnn import (
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn.estimators.closed_form._linear_fit import fit_linear
from sklearn_rnn.sequences import check_sequences

QUICK = {"hidden_size": 4, "max_epochs": 1, "random_state": 0, "n_threads": 1}


def regressor(**options):
    return RNNRegressor(**{**QUICK, **options})


def walks(n=60, n_steps=6, n_features=2, seed=0):
    """Return sequences around levels of their own, and the next value of each."""
    rng = np.random.default_rng(seed)
    X = 50 + rng.normal(size=(n, n_steps + 1, n_features)).cumsum(axis=1)
    return X[:, :-1], X[:, -1]


def autoregression(n=300, seed=0):
    """Return a noisy series in which each value depends on the three before it."""
    rng = np.random.default_rng(seed)
    series = np.zeros(n)
    for t in range(3, n):
        series[t] = 0.5 * series[t - 1] + 0.3 * series[t - 3] + rng.normal()
    return series


def windows_over(series, n_steps, target=None, horizon=1):
    """Return windows over a table as they come from a windower, and their targets."""
    if not isinstance(series, pd.DataFrame):
        series = pd.DataFrame({"value": series})
    X, Y = make_forecast_frame(series, target, horizon=horizon)
    windower = SequenceWindower(n_steps, history=None)
    # The first ones are short.
    return windower.fit_transform(X)[n_steps - 1 :], Y[n_steps - 1 :]


def linear_part(
    X, Y, columns=None, weights=None, is_scaled=False, horizon=1, seed=0, **options
):
    Y = np.reshape(Y, (len(Y), -1))
    columns = None if columns is None else np.array(columns)
    return fit_linear(
        check_sequences(X),
        Y,
        weights,
        columns=columns,
        horizon=horizon,
        is_scaled=is_scaled,
        random_state=np.random.RandomState(seed),
        **options,
    )


def rmse(predicted, y):
    return float(np.sqrt(np.mean((np.asarray(predicted) - np.asarray(y)) ** 2)))
