"""Values in the state of an estimator come back as what they were."""

import copy
import datetime
import pickle
import zoneinfo
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from skorch.callbacks import EarlyStopping

from sklearn_rnn import (
    InvalidModelError,
    RNNRegressor,
    SequenceWindower,
    make_forecast_frame,
)
from sklearn_rnn._plain_state import describe
from sklearn_rnn.persistence import load_model, save_model


class Stopping(EarlyStopping):
    pass


class Names(set):
    pass


class Frame(pd.DataFrame):
    @property
    def _constructor(self):
        return Frame


class Random(np.random.RandomState):
    pass


class Space(SimpleNamespace):
    pass


class Dict(dict):
    pass


class List(list):
    pass


class Array(np.ndarray):
    pass


class Float(np.float64):
    pass


class Day(pd.offsets.Day):
    pass


class Zone(zoneinfo.ZoneInfo):
    pass


class Date(datetime.date):
    pass


SUBCLASSES = [
    *(Stopping(), Names("ab"), Frame({"a": [1.0]}), Space(a=1), Dict(a=1), List([1])),
    *(np.zeros(3).view(Array), Day(2), Zone("Europe/Berlin"), Date(2020, 1, 2)),
]
# NumPy itself pickles these as their bases.
OF_NUMPY = [Random(0), Float(3)]


def name_of(value):
    return type(value).__name__


@pytest.mark.parametrize("value", SUBCLASSES, ids=name_of)
def test_a_subclass_stays_one_in_pickles_and_copies(value):
    model = RNNRegressor(callbacks=[value])
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert type(twin.callbacks[0]) is type(value)


@pytest.mark.parametrize("value", [*SUBCLASSES, *OF_NUMPY], ids=name_of)
def test_save_model_names_the_parameter_that_holds_a_subclass(value, tmp_path):
    with pytest.raises(InvalidModelError, match=rf"callbacks\[0\] .*{name_of(value)}"):
        save_model(RNNRegressor(callbacks=[value]), tmp_path / "model")


@pytest.mark.parametrize("value", [pd.NaT, pd.NA], ids=str)
def test_missing_values_of_pandas_come_back(value, tmp_path):
    model = RNNRegressor(callbacks=[value])
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").callbacks[0] is value
    assert pickle.loads(pickle.dumps(model)).callbacks[0] is value


def frames():
    short = pd.DataFrame({"a": np.arange(6.0), "b": np.arange(6)})
    mixed = short.assign(c=list("abcabc"), d=pd.date_range("2020", periods=6))
    nullable = short.astype({"a": "Float32", "b": "category"})
    yield from (short.astype("f2"), mixed.astype({"a": "f2"}), nullable)
    yield pd.DataFrame(index=pd.Index([3, 4, 6], name="row"))
    yield pd.DataFrame(columns=["a"], dtype="f2")


@pytest.mark.parametrize("frame", [*frames()], ids=range(5))
def test_a_frame_comes_back_with_its_types(frame, tmp_path):
    model = RNNRegressor(callbacks=[frame])
    save_model(model, tmp_path / "model")
    twins = [pickle.loads(pickle.dumps(model)), load_model(tmp_path / "model")]
    for twin in (*twins, copy.deepcopy(model)):
        pd.testing.assert_frame_equal(twin.callbacks[0], frame)


def test_a_windower_of_a_half_precision_frame_can_be_pickled():
    table = pd.DataFrame({"x": np.arange(20.0)}).astype("f2")
    X, _ = make_forecast_frame(table, target="x", horizon=2)
    windower = SequenceWindower(5).fit(X)
    twin = pickle.loads(pickle.dumps(windower))
    np.testing.assert_array_equal(twin.transform(X)[0], windower.transform(X)[0])


@pytest.mark.parametrize("column", [5, range(3), pd.RangeIndex(3), np.zeros(2)])
def test_a_frame_is_made_of_columns_of_its_length_alone(column):
    model = RNNRegressor(callbacks=[pd.DataFrame({"a": [1, 2, 3]})])
    state = model.__getstate__()
    state["callbacks"][0]["state"][0][0] = describe(column)
    with pytest.raises(InvalidModelError, match="'DataFrame' .*column of a frame"):
        RNNRegressor().__setstate__(state)
