"""Tables of time steps, sound and faulty, whose true steps are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from fuzz_outcomes import rarely
from hypothesis import strategies as st

# How the time of step k is written, by kind.
CALENDARS = {
    "hours": lambda k: pd.date_range("2024-03-29", periods=k, freq="h"),
    "quarters of an hour": lambda k: pd.date_range("2024", periods=k, freq="15min"),
    "days": lambda k: pd.date_range("2024-01-01", periods=k, freq="D"),
    "days in Berlin": lambda k: pd.date_range(
        "2024-03-01", periods=k, freq="D", tz="Europe/Berlin"
    ),
    "hours in Berlin": lambda k: pd.date_range(
        "2024-03-30", periods=k, freq="h", tz="Europe/Berlin"
    ),
    "working days": lambda k: pd.bdate_range("2024-01-01", periods=k),
    "weeks": lambda k: pd.date_range("2024-01-05", periods=k, freq="W-FRI"),
    "months": lambda k: pd.date_range("1980-01-01", periods=k, freq="MS"),
    "month ends": lambda k: pd.date_range("1980-01-31", periods=k, freq="ME"),
    "quarters": lambda k: pd.date_range("1960-01-01", periods=k, freq="QS"),
    "periods": lambda k: pd.period_range("1980-01", periods=k, freq="M"),
    "periods of two hours": lambda k: pd.period_range("2024", periods=k, freq="2h"),
    "durations": lambda k: pd.timedelta_range("0s", periods=k, freq="10s"),
    "integers": lambda k: pd.RangeIndex(5, 5 + 3 * k, 3),
    "seconds": lambda k: pd.Index(0.1 * np.arange(k)),
    "years": lambda k: pd.Index(1900 + np.arange(k)),
    "date objects": lambda k: pd.Index(
        pd.date_range("2024-01-01", periods=k).date, dtype=object
    ),
    "timestamp objects": lambda k: pd.Index(
        pd.date_range("2024-01-01", periods=k).to_list(), dtype=object
    ),
}
FAULTS = [
    "reversed",
    "shuffled",
    "twice the same",
    "no time",
    "times as text",
    "missing value",
    "infinite value",
    "column of text",
    "column of dates",
    "names that are no text",
    "names that are the same",
    "no rows",
    "one row",
]


@dataclass
class Table:
    """A table, the true number of each row's step, and where its times stand.

    names : dict, the arguments ``time=`` and ``group_by=``
    sound : bool, whether nothing is wrong with it
    regular : bool, whether few enough steps are missing to tell what a step is
    """

    frame: object
    steps: np.ndarray
    groups: np.ndarray
    names: dict
    calendar: str
    sound: bool
    regular: bool

    def __len__(self):
        return len(self.frame)

    def __repr__(self):
        return f"{self.calendar}, {self.names}, {self.sound=}\n{self.frame}"

    def window_lengths(self, n_steps):
        """Count the rows that lead up to each row without a gap, itself included."""
        last, lengths = {}, np.empty(len(self), dtype=int)
        for i, (step, group) in enumerate(zip(self.steps, self.groups, strict=True)):
            before, length = last.get(group, (None, 0))
            length = length + 1 if before == step - 1 else 1
            last[group] = step, length
            lengths[i] = min(n_steps, length)
        return lengths


@st.composite
def tables(draw, *, faulty=True):
    """Draw a table of one to three series, some with gaps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    calendar = draw(st.sampled_from(sorted(CALENDARS)))
    n_steps = draw(st.integers(25, 60))
    missing = draw(st.sampled_from([0.0, 0.0, 0.05, 0.15, 0.6]))
    n_groups = draw(st.sampled_from([0, 0, 1, 3]))
    named = n_groups > 0 or draw(st.booleans())
    kept = rng.random((n_steps, max(1, n_groups))) >= missing
    kept[0] = kept[-1] = True
    steps, groups = np.nonzero(kept)  # in the order of time
    if n_groups and draw(st.booleans()):
        order = np.argsort(groups, kind="stable")  # series by series
        steps, groups = steps[order], groups[order]
    frame = pd.DataFrame(rng.standard_normal((len(steps), 2)), columns=["a", "b"])
    times = CALENDARS[calendar](n_steps)[steps]
    names = {}
    if named:
        frame.insert(0, "when", times)
        names["time"] = "when"
    else:
        frame.index = times
    if n_groups:
        frame["series"] = np.array(["x", "y", "z"])[groups]
        names["group_by"] = "series"
    fault = None
    if faulty and rarely(draw):
        fault = draw(st.sampled_from(FAULTS))
    regular = missing < 0.5
    table = Table(frame, steps, groups, names, calendar, fault is None, regular)
    if fault is not None:
        table.frame = with_fault(frame, fault, rng)
    return table


def with_fault(frame, fault, rng):
    """Return the frame with something wrong in it."""
    frame = frame.copy()
    row = int(rng.integers(len(frame)))
    if fault == "reversed":
        return frame.iloc[::-1]
    if fault == "shuffled":
        return frame.iloc[rng.permutation(len(frame))]
    if fault == "twice the same":
        return pd.concat([frame, frame.iloc[[row]]])
    if fault == "no rows":
        return frame.iloc[:0]
    if fault == "one row":
        return frame.iloc[:1]
    if fault in ("no time", "times as text"):
        times = frame["when"] if "when" in frame else frame.index.to_series()
        times = times.astype(str if fault == "times as text" else object)
        if fault == "no time":
            times.iloc[row] = None
        if "when" in frame:
            return frame.assign(when=times.to_numpy())
        return frame.set_axis(pd.Index(times.to_numpy()), axis=0)
    if fault == "missing value":
        frame.iloc[row, frame.columns.get_loc("a")] = np.nan
    elif fault == "infinite value":
        frame.iloc[row, frame.columns.get_loc("b")] = np.inf
    elif fault == "column of text":
        frame["b"] = frame["b"].astype(str)
    elif fault == "column of dates":
        frame["b"] = pd.Timestamp("2024-01-01")
    elif fault == "names that are no text":
        frame = frame.rename(columns={"a": 0, "b": ("b", 1)})
    else:
        frame = frame.rename(columns={"b": "a"})
    return frame
