"""Forecasts of the past beyond the horizon of a model, for `backtest`."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators import inspect_model
from sklearn_rnn.forecasting._forecast import forecast
from sklearn_rnn.forecasting._forecast_frame import FuturePairs
from sklearn_rnn.preprocessing import RowStep, parse_targets, select_rows


class RecursiveForecast(NamedTuple):
    """How `backtest` forecasts beyond the horizon of a model.

    trained : FuturePairs, with the targets that the model itself learns
    static, n_paths : as for `forecast`
    """

    trained: FuturePairs
    static: Any
    n_paths: int

    def predict(
        self,
        model: Any,
        pairs: FuturePairs,
        test: np.ndarray,
        random_state: np.random.RandomState,
    ) -> dict[str, np.ndarray]:
        """Return predictions and quantiles of a fitted model at some rows of pairs.

        Each time is forecast from by itself, from the rows up to it. The columns have
        shape (n_test * n_outputs,).
        """
        if inspect_model(model).target_names is None:
            raise ValueError(
                "forecasts are fed back to a model that knows the names of its "
                f"targets, which {type(model).__name__} does not: begin a pipeline "
                "with a SequenceWindower, or leave fit_horizon out."
            )
        table, positions = pairs.table, pairs.positions[test]
        times = np.asarray(table.time_index())[positions]
        found: dict[str, np.ndarray] = {}
        for time in np.unique(times):
            own = np.flatnonzero(times == time)
            frame, order = self._forecast(model, pairs, positions[own], random_state)
            for name in frame.columns[frame.columns.get_loc("prediction") :]:
                values = frame[name].to_numpy().reshape(len(own), -1)
                shape = (len(positions), values.shape[1])
                found.setdefault(name, np.empty(shape))[own[order]] = values
        return {name: values.ravel() for name, values in found.items()}

    def _forecast(self, model, pairs, positions, random_state):
        """Return forecasts from one time, and which position each series has."""
        table, keys = pairs.table, pairs.table.keys
        parts = inspect_model(model)
        missing = parts.keys.missing
        needed, rows = table.window_positions(positions, parts.lookback, missing)
        needed = needed[np.argsort(rows)]  # as the table has them
        newest = select_rows(table.data, np.sort(rows))
        future, steps = None, list(dict.fromkeys(k for _, k in pairs.outputs))
        if pairs.known or isinstance(table.rule, RowStep):
            ahead = positions[:, np.newaxis] + np.arange(1, steps[-1] + 1)
            future = select_rows(table.data, np.sort(table.rows(ahead.ravel())))
            kept = {keys.time, *keys.groups, *pairs.known}
            future = future[[name for name in future.columns if name in kept]]
        frame = forecast(
            model,
            newest,
            future=future,
            horizon=steps,
            freq=table.freq,
            time=keys.time,
            group_by=keys.group_by,
            static=self.static,
            n_paths=self.n_paths,
            random_state=random_state,
        )
        # The series of a forecast are in the order of their first rows.
        series = pd.unique(table.series_of(needed))
        return frame, pd.Index(table.series_of(positions)).get_indexer(series)


def find_fit_horizon(model: Any, fit_horizon: Any, steps: Sequence[int]) -> int | None:
    """Return the steps that a model itself forecasts; None if those are all `steps`."""
    if fit_horizon is None:
        if not isinstance(model, FrozenEstimator):
            return None
        check_is_fitted(model)
        outputs = parse_targets(inspect_model(model).target_names)
        own = max((k for _, k in outputs), default=max(steps))
        return own if own < max(steps) else None
    is_int = isinstance(fit_horizon, Integral) and not isinstance(fit_horizon, bool)
    if not is_int or not 1 <= fit_horizon < max(steps):
        raise ValueError(
            "fit_horizon must be an int of at least 1 that is less than the horizon, "
            f"{max(steps)}, got {fit_horizon!r}. Leave it out if the model is to learn "
            "all steps."
        )
    return int(fit_horizon)
