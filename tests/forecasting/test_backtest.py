"""backtest: forecasts of the past, made as they would have been made then."""

import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
from backtest_tables import HOURS, SHORT, make_table, two_series
from forecast_tables import GROUPED, make_model
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    SequenceFlattener,
    SequenceWindower,
    SklearnRNNWarning,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
)
from sklearn_rnn.forecasting._backtest import infer_season
from sklearn_rnn.preprocessing import TableKeys, TimeTable


@contextmanager
def long_seasons():
    """Allow seasons that are longer than what is known before a block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the data known before", SklearnRNNWarning)
        yield


class Spy(RegressorMixin, BaseEstimator):
    """Records what it is fitted on, and predicts the last value known."""

    seen = []

    def __init__(self, n_outputs=1):
        self.n_outputs = n_outputs

    def fit(self, X, y):
        self.is_fitted_ = True
        self.seen.append((X, y))
        return self

    def predict(self, X):
        return np.repeat(X[["temp"]].to_numpy(), self.n_outputs, axis=1)


@pytest.fixture
def spied():
    Spy.seen = []
    return Spy.seen


# The numbers.


@pytest.mark.thorough
@pytest.mark.parametrize("cv", [1, 3, TimeSeriesSplit(2), TimeBlockSplit(2, gap="9h")])
def test_forecasts_are_the_predictions_of_the_same_rows(cv):
    table, model = make_table(), make_model()
    frame = backtest(model, table, "temp", 2, cv=cv)
    X, Y = make_forecast_frame(table, "temp", 2)
    splitter = TimeBlockSplit(cv, gap=1) if isinstance(cv, int) else cv
    for fold, (train, test) in enumerate(splitter.split(X)):
        train = train[train + 2 <= test.min()]
        fitted = clone(model).fit(X.iloc[train], Y.iloc[train])
        of_fold = frame[frame["fold"] == fold]
        expected = fitted.predict(X)[test]
        np.testing.assert_allclose(of_fold["prediction"], expected.ravel())
        np.testing.assert_array_equal(of_fold["truth"], Y.iloc[test].to_numpy().ravel())


@pytest.mark.thorough
@pytest.mark.parametrize("at", [0, 7, -1])
def test_forecasts_are_those_of_forecast_at_that_time(at):
    table = make_table()
    model = make_model().fit(*make_forecast_frame(table[:60], "temp", 3))
    frame = backtest(FrozenEstimator(model), table, "temp", 3, cv=1)
    origin = frame["origin"].unique()[at]
    there = frame[frame["origin"] == origin]
    expected = forecast(model, table[:origin])
    np.testing.assert_allclose(there["prediction"], expected["prediction"])
    assert there["time"].tolist() == expected.index.tolist()
    assert there["horizon"].tolist() == expected["horizon"].tolist()


@pytest.mark.thorough
def test_the_columns_stand_in_their_order():
    table, model = make_table(), make_model(loss="quantile")
    frame = backtest(model, table, ["temp", "wind"], [1, 3], cv=2)
    columns = ["target", "fold", "origin", "time", "horizon", "truth", "prediction"]
    columns += ["naive", "scale", "q0.1", "q0.5", "q0.9"]
    assert list(frame.columns) == columns
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame["target"][:4].tolist() == ["temp", "temp", "wind", "wind"]
    assert frame["horizon"][:4].tolist() == [1, 3, 1, 3]
    steps = frame["horizon"] * pd.Timedelta("1h")
    assert (frame["time"] == frame["origin"] + steps).all()
    for name in ("temp", "wind"):
        rows = frame[frame["target"] == name]
        np.testing.assert_array_equal(rows["truth"], table[name][rows["time"]])
    assert (frame["q0.1"] <= frame["q0.9"]).all()
    assert (frame["prediction"] == frame["q0.5"]).all()


@pytest.mark.thorough
def test_several_series_are_cut_at_the_same_times():
    table = two_series()
    model = make_model(windower=GROUPED)
    frame = backtest(model, table, "temp", 2, cv=2, season=6, **GROUPED)
    assert frame.columns[0] == "station"
    of_series = dict(iter(frame.groupby("station")))
    keys = ["fold", "origin", "horizon"]
    cuts = [rows[keys].to_numpy().tolist() for rows in of_series.values()]
    assert cuts[0] == cuts[1]
    for name, rows in of_series.items():
        truths = table[table["station"] == name].set_index("time")["temp"]
        np.testing.assert_array_equal(rows["truth"], truths[rows["time"]])
        naive = truths.reindex(rows["time"] - pd.Timedelta("6h"))
        np.testing.assert_array_equal(rows["naive"], naive)
    X, Y = make_forecast_frame(table, "temp", 2, **GROUPED)
    last = frame[frame["fold"] == 1]
    train = X["time"] <= last["origin"].min() - pd.Timedelta("2h")
    predictions = clone(model).fit(X[train], Y[train]).predict(X)
    expected = predictions[X["time"] >= last["origin"].min()].ravel()
    np.testing.assert_allclose(last["prediction"], expected)


@pytest.mark.parametrize("stacked", [False, True])
def test_the_order_of_the_rows_does_not_matter(stacked):
    table = two_series()
    model = make_pipeline(SequenceWindower(3, **GROUPED), LastValue())
    options = {"target": "temp", "horizon": 2, "cv": 2, **SHORT, **GROUPED}
    frame = backtest(model, table, **options)
    if stacked:
        table = table.sort_values(["station", "time"], ignore_index=True)
    again = backtest(model, table, **options)
    keys = ["fold", "station", "origin", "horizon"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys, ignore_index=True),
        frame.sort_values(keys, ignore_index=True),
    )


class LastValue(RegressorMixin, BaseEstimator):
    """Predicts twice the sum of a window's first feature."""

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return np.array([[x[:, 0].sum()] * 2 for x in X])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
)
def test_jobs_give_the_same_frame(backend):
    table, model = make_table(), make_model(loss="quantile")
    options = {"target": "temp", "horizon": 2, "cv": 2}
    with parallel_config(backend):
        two = backtest(model, table, n_jobs=2, **options)
    pd.testing.assert_frame_equal(two, backtest(model, table, **options))


@pytest.mark.parametrize("whole", [True, False])
def test_transformed_targets_come_back_in_the_units_of_the_table(whole):
    def in_thousandths(model):
        return TransformedTargetRegressor(
            model, func=lambda y: 1000 * y, inverse_func=lambda y: y / 1000
        )

    table, options = make_table(), {"target": "temp", "horizon": 2, "cv": 2}
    model = make_pipeline(SequenceWindower(4), SequenceFlattener(), LinearRegression())
    plain = backtest(model, table, **options)
    if whole:
        model = in_thousandths(model)
    else:
        model = make_pipeline(*model[:-1], in_thousandths(model[-1]))
    pd.testing.assert_frame_equal(backtest(model, table, **options), plain)


def test_known_columns_reach_the_model():
    plan = np.random.default_rng(0).integers(0, 2, size=120).astype(float)
    table = make_table().assign(plan=plan, temp=10 * plan)
    frame = backtest(LinearRegression(), table, "temp", 2, cv=2, known="plan")
    np.testing.assert_allclose(frame["prediction"], frame["truth"], atol=1e-8)
    blind = backtest(LinearRegression(), table, "temp", 2, cv=2)
    assert np.abs(blind["prediction"] - blind["truth"]).mean() > 2


# Nothing of the future.


@pytest.mark.thorough
@pytest.mark.parametrize("horizon", [1, 3, [2, 7]])
@pytest.mark.parametrize(
    "cv", [1, 4, TimeSeriesSplit(3), TimeSeriesSplit(2, gap=5), TimeBlockSplit(3)]
)
def test_no_training_target_lies_after_the_first_row_of_a_block(cv, horizon, spied):
    table = make_table().assign(temp=np.arange(120.0))  # values are their row
    n_outputs = len(make_forecast_frame(table, "temp", horizon)[1].columns)
    frame = backtest(Spy(n_outputs), table, "temp", horizon, cv=cv)
    assert len(spied) == frame["fold"].nunique()
    for fold, (X, Y) in enumerate(spied):
        first = frame.loc[frame["fold"] == fold, "origin"].min()
        row = table.loc[first, "temp"]
        assert np.asarray(Y).max() <= row
        assert X["temp"].max() < row
        if not isinstance(cv, TimeSeriesSplit) or cv.gap == 0:
            assert np.asarray(Y).max() == row  # and none is wasted


def test_no_training_target_of_any_series_lies_ahead(spied):
    table = two_series()
    table["temp"] = np.arange(60.0).repeat(2)
    south_is_late = (table["station"] == "north") | (table["time"] >= HOURS[20])
    table = table[south_is_late]
    with long_seasons():
        backtest(Spy(2), table, "temp", 2, cv=3, **GROUPED)
    for X, Y in spied:
        assert Y.to_numpy().max() == X["temp"].max() + 2
    assert set(spied[-1][0]["station"]) == {"north", "south"}


@pytest.mark.thorough
def test_what_comes_later_does_not_change_a_forecast():
    table, model = make_table(), make_model(loss="quantile")
    options = {"target": "temp", "horizon": 2, "cv": 3}
    before = backtest(model, table, **options)
    origin = before["origin"].unique()[50]
    other = table.copy()
    other.loc[other.index > origin] += 1000
    after = backtest(model, other, **options)
    earlier = before["origin"] <= origin
    drop = ["truth"]
    pd.testing.assert_frame_equal(
        after[earlier].drop(columns=drop), before[earlier].drop(columns=drop)
    )
    assert (after["prediction"] != before["prediction"]).any()


@pytest.mark.parametrize(
    "cv", [KFold(3), KFold(3, shuffle=True, random_state=0), LeaveOneOut()]
)
def test_a_splitter_that_trains_on_what_came_is_refused(cv):
    with pytest.raises(ValueError, match="do not come before its test rows"):
        backtest(Ridge(), make_table(), "temp", cv=cv)
    with pytest.raises(ValueError, match="do not come before its test rows"):
        backtest(Ridge(), make_table(), "temp", cv=ShuffleSplit(1, random_state=0))


def test_pairs_of_rows_are_a_splitter_too():
    rows = np.arange(119)
    pairs = [(rows[:60], rows[60:90]), (rows[:90], rows[90:])]
    found = backtest(Ridge(), make_table(), "temp", cv=pairs)
    assert found.groupby("fold").size().tolist() == [30, 29]


def test_a_block_without_a_training_row_is_refused():
    table = make_table()[:12]
    with pytest.raises(ValueError, match="leaves no row to fit on"):
        backtest(Ridge(), table, "temp", 5, cv=TimeSeriesSplit(3))


# How often it is fitted, and where it forecasts from.


def test_every_block_is_fitted_anew(spied):
    backtest(Spy(), make_table(), "temp", cv=3)
    assert len(spied) == 3
    sizes = [len(X) for X, _ in spied]
    assert sizes == sorted(set(sizes))


@pytest.mark.thorough
def test_without_refit_the_first_block_alone_is_fitted(spied):
    backtest(Spy(), make_table(), "temp", cv=3, refit=False)
    assert len(spied) == 1
    options = {"target": "temp", "horizon": 2, "cv": 3}
    table, model = make_table(), make_model()
    once = backtest(model, table, refit=False, **options)
    anew = backtest(model, table, **options)
    first = once["fold"] == 0
    pd.testing.assert_frame_equal(once[first], anew[first])
    assert (once["prediction"] != anew["prediction"])[~first].any()


def test_a_frozen_model_is_never_fitted(spied):
    model = Spy().fit(make_table(), None)
    spied.clear()
    frame = backtest(FrozenEstimator(model), make_table(), "temp", cv=3)
    assert spied == []
    np.testing.assert_array_equal(
        frame["prediction"], make_table().loc[frame["origin"], "temp"]
    )


@pytest.mark.thorough
def test_the_callers_model_and_table_stay_as_they_are():
    model, table = make_model(), make_table()
    backtest(model, table, "temp", cv=2)
    assert not hasattr(model[-1], "module_")
    pd.testing.assert_frame_equal(table, make_table())


def test_one_target_alone_is_a_column_as_scikit_learn_wants_it(spied):
    backtest(Spy(), make_table(), "temp", cv=1)
    assert spied[0][1].ndim == 1


@pytest.mark.parametrize("stride", [1, 5, 24, 1000])
def test_a_stride_leaves_origins_out(stride):
    options = {"target": "temp", "horizon": 2, "cv": 2}
    whole = backtest(Ridge(), make_table(), **options)
    frame = backtest(Ridge(), make_table(), stride=stride, **options)
    for fold in (0, 1):
        origins = whole.loc[whole["fold"] == fold, "origin"].unique()[::stride]
        rows = whole[whole["origin"].isin(origins) & (whole["fold"] == fold)]
        found = frame[frame["fold"] == fold]
        pd.testing.assert_frame_equal(
            found.reset_index(drop=True), rows.reset_index(drop=True)
        )


def test_a_stride_counts_times_and_not_rows():
    model = make_model(windower=GROUPED)
    frame = backtest(model, two_series(), "temp", cv=1, stride=10, **GROUPED)
    assert frame.groupby("origin").size().unique().tolist() == [2]
    assert frame["origin"].diff().max() == pd.Timedelta("10h")


# The seasonal naive forecast.


@pytest.mark.parametrize("season", [1, 3, 24, 1000])
def test_naive_and_scale_are_those_worked_by_hand(season):
    table = make_table()
    values = table["temp"].to_numpy()
    with long_seasons():
        frame = backtest(Ridge(), table, "temp", 5, cv=2, season=season)
    for _, of_fold in frame.groupby("fold"):
        first = HOURS.get_loc(of_fold["origin"].min())
        known = values[: first + 1]
        errors = np.abs(known[season:] - known[:-season])
        expected = errors.mean() if len(errors) else np.nan
        np.testing.assert_allclose(of_fold["scale"], expected)
        for row in of_fold.iloc[::17].itertuples():
            now, place = HOURS.get_loc(row.origin), HOURS.get_loc(row.time)
            while place > now:
                place -= season
            expected = values[place] if place >= 0 else np.nan
            np.testing.assert_equal(row.naive, expected)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "index, season",
    [
        (pd.date_range("2024-01-01", periods=30, freq="h"), 24),
        (pd.date_range("2024-01-01", periods=30, freq="2h"), 12),
        (pd.date_range("2024-01-01", periods=30, freq="15min"), 96),
        (pd.date_range("2024-01-01", periods=30, freq="min"), 1440),
        (pd.date_range("2024-01-01", periods=30, freq="7min"), None),
        (pd.date_range("2024-01-01", periods=30, freq="10D"), None),
        (pd.date_range("2024-01-01", periods=30, freq="36h"), None),
        (pd.date_range("2024-01-01", periods=30, freq="2B"), None),
        (pd.date_range("2024-01-01", periods=30, freq="2W"), 26),
        (pd.date_range("2024-01-01", periods=30, freq="2MS"), 6),
        (pd.date_range("2024-01-01", periods=30, freq="5MS"), None),
        (pd.date_range("2024-01-01", periods=30, freq="SMS"), 24),
        (pd.date_range("2024-01-01", periods=30, freq="2YE"), 1),
        (pd.date_range("2024-01-01", periods=30, freq="bh"), None),
        (pd.period_range("2024-01", periods=30, freq="Y"), 1),
        (pd.timedelta_range("0h", periods=30, freq="2h"), 12),
        (pd.date_range("2024-01-15", periods=30, freq=pd.DateOffset(months=1)), 12),
        (pd.date_range("2024-03-20", periods=30, freq="D", tz="Europe/Berlin"), 7),
        (pd.date_range("2024-01-01", periods=30, freq="D"), 7),
        (pd.date_range("2024-01-01", periods=30, freq="B"), 5),
        (pd.date_range("2024-01-01", periods=30, freq="W"), 52),
        (pd.date_range("2024-01-01", periods=30, freq="MS"), 12),
        (pd.date_range("2024-01-01", periods=30, freq="ME"), 12),
        (pd.date_range("2024-01-01", periods=30, freq="QS"), 4),
        (pd.date_range("2024-01-01", periods=30, freq="YS"), 1),
        (pd.period_range("2024-01", periods=30, freq="M"), 12),
        (pd.period_range("2024-01", periods=30, freq="D"), 7),
        (pd.period_range("2024-01", periods=30, freq="h"), 24),
        (pd.period_range("2024-01", periods=30, freq="W"), 52),
        (pd.period_range("2024-01", periods=30, freq="Q"), 4),
        (pd.RangeIndex(30), None),
        (pd.Index(np.arange(30) / 2), None),
        (pd.Index([f"row {i}" for i in range(30)]), None),
    ],
    ids=str,
)
def test_the_season_goes_by_the_step(index, season):
    table = make_table(index)
    read = TimeTable.read(table, TableKeys(), "", must_be_regular=True)
    assert infer_season(read) == season
    options = {"target": "temp", "horizon": 2, "cv": 2}
    with pytest.warns(SklearnRNNWarning) if season is None else long_seasons():
        found = backtest(Ridge(), table, **options)
    with long_seasons():
        expected = backtest(Ridge(), table, season=season or 1, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    "index, message",
    [
        (pd.RangeIndex(120), "data has no dates, .*'naive' is the last value"),
        (pd.Index([f"row {i}" for i in range(120)]), "data has no dates"),
        (pd.date_range("2024-01-01", periods=120, freq="7min"), "rows that are .*7"),
        (pd.period_range("2024-01-01", periods=120, freq="7min"), "rows that are .*7"),
        (pd.date_range("1924-01-01", periods=120, freq="5MS"), "rows that are 5MS"),
    ],
    ids=["numbers", "strings", "minutes", "periods", "months"],
)
def test_a_season_that_is_not_known_is_told_of(index, message):
    table, options = make_table(index), {"target": "temp", "horizon": 2, "cv": 2}
    with pytest.warns(SklearnRNNWarning, match=rf"{message}.*for example season=24"):
        frame = backtest(Ridge(), table, **options)
    last = dict(zip(table.index, table["temp"], strict=True))
    if index.dtype != object and not isinstance(index[0], str):
        assert frame["naive"].tolist() == [last[at] for at in frame["origin"]]
    for season in (1, 24):
        backtest(Ridge(), table, season=season, **options)


def test_a_polars_table_without_times_has_no_season():
    with pytest.warns(SklearnRNNWarning, match="data has no dates"):
        backtest(Ridge(), pl.from_pandas(make_table()), "temp", cv=2)


@pytest.mark.parametrize(
    "season, blocks", [(30, None), (39, None), (50, "0 of 2"), (1000, "0, 1 of 2")]
)
def test_a_season_longer_than_the_past_is_told_of(season, blocks):
    options = {"target": "temp", "cv": 2, "season": season}
    expected = nullcontext()
    if blocks is not None:
        message = rf"before block\(s\) {blocks} .* season of {season} rows"
        expected = pytest.warns(SklearnRNNWarning, match=message)
    with expected:
        frame = backtest(Ridge(), make_table(), **options)
    assert frame["scale"].isna().any() == (blocks is not None)


def test_series_shorter_than_a_season_are_named():
    table = two_series(100)
    table = table[(table["station"] == "north") | (table["time"] >= HOURS[60])]
    model = make_model(windower=GROUPED)
    with pytest.warns(SklearnRNNWarning, match=r"0 of 1 in the series 'south' .* 24"):
        frame = backtest(model, table, "temp", cv=1, **GROUPED)
    assert frame.groupby("station")["scale"].count()["south"] == 0
