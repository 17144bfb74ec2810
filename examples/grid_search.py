# %% [markdown]
"""Search for the cell, the size and the history of a temperature forecast.

A pipeline cuts a table of hourly weather into windows, scales them and trains
a network; scikit-learn's own GridSearchCV tries out the cell, the number of
units and, as it is a parameter like any other, the hours of history. Each of
the three folds trains on the hours before a block and forecasts the block, and
leaves out the hours whose targets lie in it. Prints one line for each
combination, the best first, and saves a picture of them: the differences are
often smaller than those between the folds. It takes about a minute.

    python examples/grid_search.py

Options: ``--hours 2000`` of weather, ``--horizon 6`` hours ahead,
``--epochs 8``, ``--picture FILE``.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceScaler,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn.datasets import load_nyc_weather

COLUMNS = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure"]
GRID = {
    "sequencewindower__n_steps": [12, 48],
    "rnnregressor__cell": ["rnn", "gru", "lstm"],
    "rnnregressor__hidden_size": [16, 32],
}


# %% [markdown]
# ## The search
#
# `GridSearchCV` over a pipeline, with folds in the order of time.


# %%
def search(X, y, horizon, epochs):
    """Fit the search on a part of the weather."""
    pipeline = make_pipeline(
        SequenceWindower(),
        SequenceScaler(),
        RNNRegressor(target_feature="temp", max_epochs=epochs, random_state=0),
    )
    return GridSearchCV(
        pipeline,
        GRID,
        scoring="neg_root_mean_squared_error",
        # A target lies `horizon` hours after its window: without the gap, the
        # last targets of training would lie in the test block.
        cv=TimeSeriesSplit(n_splits=3, gap=horizon - 1),
        n_jobs=2,
    ).fit(X, y)


# %% [markdown]
# ## The baseline
#
# The same folds, forecast by the newest value.


# %%
def last_value_error(X, y, cv):
    """Return the error of forecasting no change, over the same folds."""
    return np.mean(
        [
            root_mean_squared_error(y.iloc[test], X["temp"].iloc[test])
            for _, test in cv.split(X)
        ]
    )


# %% [markdown]
# ## The results
#
# A table of all combinations, and a picture of it.


# %%
def tabulate(fitted):
    """Return the results of a search, best first, as a table to print."""
    results = pd.DataFrame(fitted.cv_results_)
    table = pd.DataFrame(
        {name.split("__")[1]: results[f"param_{name}"] for name in GRID}
    )
    table["RMSE"] = -results["mean_test_score"]
    table["std of folds"] = results["std_test_score"]
    table["seconds to fit"] = results["mean_fit_time"]
    return table.sort_values("RMSE", ignore_index=True)


def draw(table, horizon, path):
    """Save a picture of the error of every combination."""
    import matplotlib.pyplot as plt

    names = [
        f"{row.cell}, {row.hidden_size} units, {row.n_steps} h"
        for row in table.itertuples()
    ]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.errorbar(table["RMSE"], names, xerr=table["std of folds"], fmt="o", capsize=3)
    axes.invert_yaxis()  # the best on top
    axes.grid(axis="x", alpha=0.3)
    axes.set(
        title=f"Error {horizon} h ahead, mean ± std of three folds",
        xlabel="RMSE (°F)",
    )
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hours", type=int, default=2000)
    parser.add_argument("--horizon", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--picture", default="grid_search.png")
    options = parser.parse_args(arguments)

    weather = load_nyc_weather("JFK")[COLUMNS].asfreq("h").interpolate()
    X, Y = make_forecast_frame(
        weather[: options.hours], target="temp", horizon=options.horizon
    )
    y = Y.iloc[:, -1]
    fitted = search(X, y, options.horizon, options.epochs)
    table = tabulate(fitted)
    print(f"Error {options.horizon} h ahead (RMSE, °F), mean of three folds:")
    print(table.round(2).to_string(index=False))
    last_value = last_value_error(X, y, fitted.cv)
    print(f"The last value, as a forecast of no change, has {last_value:.2f}.")
    draw(table, options.horizon, options.picture)
    print(f"Picture of the errors: {options.picture}")
    return {
        "best_params": fitted.best_params_,
        "table": table,
        "last_value": last_value,
    }


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
