"""time= and group_by= that name no column, and times of few digits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNRegressor,
    SequenceWindower,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
)

DAYS = pd.date_range("2024-01-01", periods=12, freq="D")
TABLE = pd.concat(
    [
        pd.DataFrame({"day": DAYS, "store": s, "item": i, "a": np.arange(12.0)})
        for s in ("x", "y")
        for i in ("u", "v")
    ],
    ignore_index=True,
)
BY_GROUP = {
    "SequenceWindower.fit": lambda X, key: SequenceWindower(
        time="day", group_by=key
    ).fit(X),
    "make_forecast_frame": lambda X, key: make_forecast_frame(
        X, "a", time="day", group_by=key
    ),
    "backtest": lambda X, key: backtest(
        RNNRegressor(), X, "a", time="day", group_by=key
    ),
}
BY_TIME = {
    "SequenceWindower": lambda X, key: SequenceWindower(time=key).fit(X),
    "make_forecast_frame": lambda X, key: make_forecast_frame(X, "a", time=key),
    "backtest": lambda X, key: backtest(RNNRegressor(), X, "a", time=key),
    "CalendarFeatures": lambda X, key: CalendarFeatures(time=key).fit(X),
    "TimeBlockSplit": lambda X, key: next(TimeBlockSplit(time=key).split(X)),
}


@pytest.mark.parametrize("act", BY_GROUP)
def test_several_columns_of_series_are_a_list(act):
    for key in (pd.Index(["store", "item"]), np.array(["store", "item"])):
        with pytest.raises(InvalidSequenceError, match="group_by=.'store', 'item'."):
            BY_GROUP[act](TABLE, key)
    with pytest.raises(InvalidSequenceError, match="'shop' names no column"):
        BY_GROUP[act](TABLE, ["store", "shop"])
    for key in (TABLE["store"], TABLE["store"].to_numpy(), [], TABLE):
        with pytest.raises(InvalidSequenceError, match=r"assign\(key=values\)"):
            BY_GROUP[act](TABLE, key)


@pytest.mark.parametrize("act", BY_GROUP)
@pytest.mark.parametrize("key", ["day", ["store", "day"]])
def test_a_column_of_times_identifies_no_series(act, key):
    with pytest.raises(
        InvalidSequenceError, match=r"time='day' is in group_by=.*'day'"
    ):
        BY_GROUP[act](TABLE, key)


def test_several_columns_of_times_are_refused_in_forecasts():
    series = TABLE["store"] + "/" + TABLE["item"]
    data = TABLE[["day", "a"]].assign(series=series)
    X, Y = make_forecast_frame(data, "a", 2, time="day", group_by="series")
    model = make_pipeline(
        SequenceWindower(3, time="day", group_by="series"),
        RNNRegressor(max_epochs=1, hidden_size=2),
    ).fit(X, Y)
    with pytest.raises(InvalidSequenceError, match="'store' names no column"):
        forecast(model, data, group_by=["store", "item"])
    with pytest.raises(InvalidSequenceError, match="time takes one column"):
        forecast(model, data, time=["day", "hour"])


@pytest.mark.parametrize("act", BY_TIME)
def test_several_columns_of_times_and_times_themselves_are_refused(act):
    with pytest.raises(ValueError, match=r"pd.to_datetime\(.*and time='when'"):
        BY_TIME[act](TABLE, ["day", "hour"])
    for values in (DAYS, DAYS.to_numpy(), list(range(48)), [0.0, 1.0], TABLE["day"]):
        with pytest.raises(ValueError, match="time takes the name of a column"):
            BY_TIME[act](TABLE, values)


# Numbers too short to be times.


def test_times_of_three_digits_are_refused():
    few = TABLE[:12].assign(day=np.arange(12, dtype=np.float16))[["day", "a"]]
    for name, act in BY_TIME.items():
        if name != "CalendarFeatures":
            with pytest.raises(InvalidSequenceError, match="float16.*float64"):
                act(few, "day")
    with pytest.raises(InvalidSequenceError, match="float16"):
        SequenceWindower(time=0).fit(few.to_numpy(np.float16))
    with pytest.raises(InvalidSequenceError, match="float16"):
        next(TimeBlockSplit().split(few, groups=few["day"]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_rounding_is_no_gap_in_short_and_long_floats(dtype):
    index = (np.arange(500) * dtype(0.1)).astype(dtype)
    X = pd.DataFrame({"t": index, "a": np.arange(500.0)})
    windower = SequenceWindower(9, time="t").fit(X[:400])
    assert windower.freq_ == pytest.approx(0.1)
    assert (windower.transform(X[400:]).lengths == 9).all()
    holed = X.drop(index=[30, 31, 250])
    assert len(make_forecast_frame(holed, "a", time="t", missing="mask")[0]) == 499
    with pytest.raises(InvalidSequenceError, match=r"2 gap\(s\)"):
        make_forecast_frame(holed, "a", time="t")


@pytest.mark.parametrize("n_rows", [0, 1])
def test_too_few_times_are_refused(n_rows):
    for dtype in (int, float, object, "datetime64[s]"):
        X = pd.DataFrame({"t": np.arange(n_rows).astype(dtype), "a": np.zeros(n_rows)})
        with pytest.raises(InvalidSequenceError, match="0 sample|freq="):
            SequenceWindower(time="t").fit(X)
        with pytest.raises(InvalidSequenceError, match="too few for horizon"):
            make_forecast_frame(X, "a", time="t")
    with pytest.raises(InvalidSequenceError, match="freq=1"):
        SequenceWindower(time=0).fit(np.zeros((1, 2)))
    with pytest.raises(InvalidSequenceError, match="X is the single value"):
        SequenceWindower(time=0).fit(np.float64(3))
