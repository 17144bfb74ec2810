# %% [markdown]
"""Find anomalies in the sensors of a machine, and the sensor that each is in.

Three sensors of a pump, every half hour for five weeks: temperature and pressure
follow the hours of work, vibration follows the load. In the last week a spike, a drift
of the pressure, a frozen temperature and a vibration without its load are put in. The
detector is fitted to the first four weeks. Beside it, a z-score of each sensor over a
day, and an isolation forest on the last six hours of all sensors.

    python examples/sensor_anomalies.py

It takes about 30 seconds. Options: ``--picture FILE``.

The data are simulated; ``tests/benchmarks/bench_anomalies.py`` prints figures of other
series.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from sklearn_rnn import ForecastAnomalyDetector

DAY = 48  # steps of half an hour
WEEK = 7 * DAY
TRAIN = 4 * WEEK
# Sensor, first step in the last week, and number of steps of each event.
EVENTS = {
    "spike": ("vibration", 43, 1),
    "drift": ("pressure", 108, 24),
    "frozen": ("temperature", 186, 24),
    "no load": ("vibration", 266, 18),
}


# %% [markdown]
# ## The machine
#
# Five weeks of three sensors, made here, with three events in the last week.


# %%
def make_machine():
    """Return five weeks of three sensors."""
    rng = np.random.default_rng(0)
    times = pd.date_range("2025-03-03", periods=5 * WEEK, freq="30min")
    hour = times.hour + times.minute / 60
    works = 1 / (1 + np.exp(-(np.minimum(hour - 6, 20 - hour)) * 2))
    load = (
        works
        * (0.8 + 0.2 * np.sin(2 * np.pi * hour / 4))
        * (1 + 0.05 * rng.normal(size=len(times)))
    )
    warm = pd.Series(load).ewm(alpha=0.15).mean().to_numpy()
    return pd.DataFrame(
        {
            "temperature": 30 + 25 * warm + rng.normal(0, 0.2, len(times)),
            "pressure": 2 + 1.5 * works + rng.normal(0, 0.03, len(times)),
            "vibration": 0.2 + load + rng.normal(0, 0.02, len(times)),
        },
        index=times,
    )


def add_events(machine):
    """Return the machine with the events in its last week, and where they are."""
    machine, sensor_at = machine.copy(), pd.Series("", index=machine.index)
    for event, (sensor, begin, n_steps) in EVENTS.items():
        rows = slice(TRAIN + begin, TRAIN + begin + n_steps)
        column = machine.columns.get_loc(sensor)
        if event == "spike":
            machine.iloc[rows, column] += 0.8
        elif event == "drift":
            machine.iloc[rows, column] += np.linspace(0, 0.4, n_steps)
        elif event == "frozen":
            machine.iloc[rows, column] = machine.iloc[rows.start - 1, column]
        else:
            machine.iloc[rows, column] = 0.7 + 0.02 * np.sin(np.arange(n_steps))
        sensor_at.iloc[rows] = sensor
    return machine, sensor_at


# %% [markdown]
# ## Baselines
#
# A z-score and an isolation forest on the same rows.


# %%
def score_baselines(machine):
    """Return the scores of two baselines, the higher the more unusual."""
    before = machine.rolling(DAY)
    distance = (machine - before.mean().shift()).abs() / before.std().shift()
    n_steps = 12
    lags = np.lib.stride_tricks.sliding_window_view(machine, n_steps, axis=0)
    lags = lags.reshape(len(lags), -1)
    forest = IsolationForest(random_state=0).fit(lags[: TRAIN - n_steps + 1])
    return {
        "z-score of a day": distance.max(axis=1).to_numpy()[TRAIN:],
        "isolation forest": -forest.score_samples(lags[TRAIN - n_steps + 1 :]),
    }


# %% [markdown]
# ## A picture of alarms


# %%
def draw(week, scores, sensor_at, path):
    """Save a picture of the sensors, their events, and the scores."""
    import matplotlib.pyplot as plt
    from matplotlib.dates import ConciseDateFormatter

    figure, axes = plt.subplots(4, sharex=True, figsize=(9, 6.5), layout="constrained")
    for ax, sensor in zip(axes, week.columns, strict=False):
        ax.plot(week[sensor], color="C0", linewidth=1)
        is_event = (sensor_at == sensor).to_numpy()
        ax.fill_between(
            week.index,
            0,
            1,
            where=is_event,
            transform=ax.get_xaxis_transform(),
            color="C3",
            alpha=0.25,
            linewidth=0,
            label="event",
        )
        is_found = (scores[sensor] > 1).to_numpy()
        found = week[sensor].where(is_found)
        ax.plot(found, ".", color="C3", markersize=5, label="score above 1")
        ax.set_ylabel(sensor)
    axes[0].legend(loc="upper left", ncols=2, fontsize="small")
    for sensor in scores:
        axes[-1].plot(scores[sensor], linewidth=1, label=sensor)
    axes[-1].axhline(1, color="gray", linewidth=0.8)
    axes[-1].set(yscale="log", ylim=(0.1, None), ylabel="score")
    axes[-1].legend(loc="upper left", ncols=3, fontsize="small")
    dates = axes[-1].xaxis
    dates.set_major_formatter(ConciseDateFormatter(dates.get_major_locator()))
    axes[0].set_title("A week of a machine: events and alarms")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picture", default="sensor_anomalies.png")
    options = parser.parse_args(arguments)

    machine, sensor_at = add_events(make_machine())
    detector = ForecastAnomalyDetector(n_steps=2 * DAY, random_state=0)
    detector.fit(machine[:TRAIN])
    week, sensor_at = machine[TRAIN:], sensor_at[TRAIN:]
    scores = detector.score_features(week)
    is_event = (sensor_at != "").to_numpy()
    rows = {"ForecastAnomalyDetector": scores.max(axis=1).to_numpy()}
    rows |= score_baselines(machine)
    precision = {
        name: average_precision_score(is_event, found) for name, found in rows.items()
    }
    print("Average precision of the steps of all events:")
    print(pd.Series(precision).round(2).to_string())
    is_found = detector.predict(week) == -1
    found = scores[is_found & is_event].idxmax(axis=1)
    right = found == sensor_at[found.index]
    print(f"{is_found[is_event].mean():.0%} of the steps of events are found,")
    print(f"{right.mean():.0%} of these with the right sensor;")
    print(f"{is_found[~is_event].mean():.1%} of the other steps are false alarms.")
    draw(week, scores, sensor_at, options.picture)
    print(f"Picture of the week: {options.picture}")
    return {
        "average precision": precision,
        "found": is_found[is_event].mean(),
        "right sensor": right.mean(),
        "false alarms": is_found[~is_event].mean(),
    }


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
