"""Tables of libraries that are read through Arrow, not by name."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    ForecastAnomalyDetector,
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    backtest,
    fill_gaps,
    forecast,
    make_forecast_frame,
)

KEYS = {"time": "day", "group_by": "shop"}


class ArrowOnly:
    """A table that offers only Arrow's C stream, as a query of a database."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class WithNames(ArrowOnly):
    """A relation that has columns and a shape, but is no frame."""

    def __init__(self, table):
        super().__init__(table)
        self.columns, self.shape = table.column_names, table.shape


def shops():
    days = pd.date_range("2024-01-01", periods=40).astype("datetime64[us]")
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "day": [*days, *days],
            "shop": ["a"] * 40 + ["b"] * 40,
            "sales": rng.normal(size=80),
        }
    )


FOREIGN = {
    "pyarrow": pa.Table.from_pandas,
    "batch": lambda table: pa.Table.from_pandas(table).combine_chunks().to_batches()[0],
    "stream": lambda table: ArrowOnly(pa.Table.from_pandas(table)),
    "stream of polars": lambda table: ArrowOnly(pl.from_pandas(table)),
    "relation": lambda table: WithNames(pa.Table.from_pandas(table)),
}


@pytest.mark.parametrize("library", FOREIGN)
def test_a_forecast_is_that_of_the_pandas_table(library):
    table = shops()
    foreign = FOREIGN[library](table)
    model = make_pipeline(
        CalendarFeatures(["dayofweek"], time="day"),
        SequenceWindower(4, **KEYS),
        SequenceFlattener(),
        LinearRegression(),
    )
    expected = forecast(
        model.fit(*make_forecast_frame(table, "sales", 2, **KEYS)), table
    )
    model.fit(*make_forecast_frame(foreign, "sales", 2, **KEYS))
    pd.testing.assert_frame_equal(forecast(model, foreign), expected)
    options = {"cv": 1, "stride": 3, **KEYS}
    pd.testing.assert_frame_equal(
        backtest(model, foreign, "sales", 2, **options),
        backtest(model, table, "sales", 2, **options),
    )


@pytest.mark.parametrize("library", FOREIGN)
def test_each_reader_of_tables_takes_them(library):
    table = shops()
    foreign = FOREIGN[library](table)
    windower = SequenceWindower(3, **KEYS).fit(foreign)
    np.testing.assert_array_equal(
        windower.transform(foreign).values, windower.transform(table).values
    )
    calendar = CalendarFeatures(["month"], time="day").fit(foreign)
    pd.testing.assert_frame_equal(
        calendar.transform(foreign), calendar.transform(table), check_dtype=False
    )
    filled = fill_gaps(foreign, **KEYS)
    assert filled["sales"].tolist() == table["sales"].tolist()
    numbers = table[["sales"]]
    model = make_pipeline(SequenceWindower(3), SequenceFlattener(), LinearRegression())
    detector = ForecastAnomalyDetector(model, horizon=1).fit(numbers)
    np.testing.assert_array_equal(
        detector.score_samples(FOREIGN[library](numbers)),
        detector.score_samples(numbers),
    )


def test_a_column_alone_is_read_as_its_values():
    values = np.random.default_rng(0).normal(size=(20, 5))
    model = RNNRegressor(max_epochs=1, random_state=0).fit(values, values[:, 0])
    column = ArrowOnly(pa.chunked_array([pa.array(values.tolist())]))
    np.testing.assert_array_equal(model.predict(column), model.predict(values))


def test_without_pyarrow_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    foreign = ArrowOnly(pl.from_pandas(shops()))
    with pytest.raises(ImportError, match="ArrowOnly, which .* pip install pyarrow"):
        SequenceWindower(3, **KEYS).fit(foreign)
