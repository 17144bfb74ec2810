"""score_forecasts: errors of forecasts by horizon, or by other columns."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from sklearn_rnn.forecasting._columns import (
    check_forecasts,
    check_keys,
    quantile_columns,
    symmetric_levels,
)
from sklearn_rnn.metrics import (
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    symmetric_mean_absolute_percentage_error,
)

# Scores that compare with the seasonal naive forecast, and the column that each needs.
NEEDED = {
    "mase": "scale",
    **dict.fromkeys(["naive_mae", "naive_rmse", "skill"], "naive"),
}


def score_forecasts(
    forecasts: pd.DataFrame,
    by: str | Sequence[str] | None = "horizon",
    *,
    metrics: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score forecasts, and compare them with the seasonal naive forecast.

    Parameters
    ----------
    forecasts : DataFrame
        Forecasts of `backtest`, or those of any other model, with the columns `truth`
        and `prediction`. Rows whose truth is NaN are left out.
    by : str, list of str or None, default="horizon"
        Columns of `forecasts` to group by, such as ``["station", "horizon"]``;
        several targets are always separate. None scores all rows together.
    metrics : str or list of str, default=None
        Columns to return, in this order, such as ``["mae", "mase"]``: a table that a
        terminal shows whole. None returns all of them.

    Returns
    -------
    DataFrame
        One row per group, with the columns

        n : number of forecasts.
        mae, rmse : mean absolute error and root mean squared error, in the units
            of the target.
        mase : mean absolute error divided by that of the seasonal naive forecast
            in the training rows, where those are longer than a season.
        smape : symmetric mean absolute percentage error, in percent.
        naive_mae, naive_rmse : errors of the seasonal naive forecast, where
            there is one.
        skill : ``1 - rmse / naive_rmse`` over the rows with a naive forecast.
        quantile_loss : pinball loss, averaged over the quantiles.
        crps : continuous ranked probability score, from the quantiles.
        coverage_80 and so on : fraction of the true values inside the interval
            between two quantiles, here ``q0.1`` and ``q0.9``.

        `mase` only if the forecasts have a column `scale`, `naive_mae`, `naive_rmse`
        and `skill` only if they have a column `naive`, as those of `backtest` do; the
        last three only if there are quantiles.

    Raises
    ------
    ValueError
        If a column is missing or has missing values, every truth is NaN, or `metrics`
        names a column that there is not.

    See Also
    --------
    backtest : Makes forecasts to score.

    References
    ----------
    Hyndman and Koehler, "Another look at measures of forecast accuracy",
    International Journal of Forecasting 22, 2006 (MASE).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_rnn import backtest, score_forecasts
    >>> days = pd.date_range("2024-01-01", periods=30, freq="D")
    >>> table = pd.DataFrame({"sales": np.arange(30.0)}, index=days)
    >>> frame = backtest(LinearRegression(), table, "sales", horizon=2, cv=2)
    >>> score_forecasts(frame, by=None, metrics=["n", "naive_mae"])
        n  naive_mae
    0  36        7.0
    """
    required = ["truth", "prediction"]
    forecasts = check_forecasts(forecasts, required, "score_forecasts")
    keys = check_keys(by, forecasts, "score_forecasts")
    known = forecasts[forecasts["truth"].notna()]
    if len(known) == 0:
        raise ValueError("no forecast has a truth: there is nothing to score.")
    quantiles = quantile_columns(known.columns)
    if not keys:
        return _choose(pd.DataFrame([_scores(known, quantiles)]), metrics)
    groups = known.groupby(keys, sort=True, observed=True)
    scores = {key: _scores(group, quantiles) for key, group in groups}
    index = pd.MultiIndex.from_tuples(scores, names=keys)
    if len(keys) == 1:
        index = index.get_level_values(0)
    return _choose(pd.DataFrame(list(scores.values()), index=index), metrics)


def _choose(scores, metrics):
    """Return the columns of scores that a user asks for."""
    if metrics is None:
        return scores
    chosen = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in chosen if name not in scores.columns]
    if unknown and unknown[0] in NEEDED:
        raise ValueError(
            f"{unknown[0]!r} needs a column {NEEDED[unknown[0]]!r}, and the forecasts "
            "have none: score those of backtest, which has it, add it, or choose other "
            f"metrics, of {list(scores.columns)}."
        )
    if unknown or not chosen:
        raise ValueError(
            f"metrics={metrics!r} should name one or more of the columns "
            f"{list(scores.columns)}; those of quantiles are there if the forecasts "
            "have quantiles."
        )
    return scores[chosen]


def _scores(frame, quantiles):
    truth, prediction = frame["truth"], frame["prediction"]
    scores = {
        "n": len(frame),
        "mae": mean_absolute_error(truth, prediction),
        "rmse": root_mean_squared_error(truth, prediction),
        "mase": np.nan,
        "smape": symmetric_mean_absolute_percentage_error(truth, prediction),
        **dict.fromkeys(["naive_mae", "naive_rmse", "skill"], np.nan),
    }
    if "scale" in frame:
        scores["mase"] = _scaled_error(frame)
    if "naive" in frame:
        scores.update(_naive_scores(frame[frame["naive"].notna()]))
    scores = {k: v for k, v in scores.items() if NEEDED.get(k, "truth") in frame}
    return {**scores, **_quantile_scores(frame, quantiles)}


def _scaled_error(frame):
    """Return the MASE of rows that have a scale, NaN if none has."""
    frame = frame[frame["scale"] > 0]
    if len(frame) == 0:
        return np.nan
    return mean_absolute_scaled_error(
        frame["truth"], frame["prediction"], scale=frame["scale"].to_numpy()
    )


def _naive_scores(frame):
    """Return errors of the naive forecast, and the skill of the others beside it."""
    if len(frame) == 0:
        return {}
    truth, naive = frame["truth"], frame["naive"]
    naive_rmse = root_mean_squared_error(truth, naive)
    scores = {
        "naive_mae": mean_absolute_error(truth, naive),
        "naive_rmse": naive_rmse,
    }
    if naive_rmse > 0:
        rmse = root_mean_squared_error(truth, frame["prediction"])
        scores["skill"] = 1 - rmse / naive_rmse
    return scores


def _quantile_scores(frame, quantiles):
    if not quantiles:
        return {}
    levels, columns = list(quantiles), frame[list(quantiles.values())].to_numpy()
    scores = {
        "quantile_loss": mean_quantile_loss(frame["truth"], columns, levels),
        "crps": crps_from_quantiles(frame["truth"], columns, levels),
    }
    for low, high in symmetric_levels(levels):
        interval = frame[quantiles[low]], frame[quantiles[high]]
        coverage = interval_coverage(frame["truth"], *interval)
        scores[f"coverage_{100 * (1 - 2 * low):g}"] = coverage
    return scores
