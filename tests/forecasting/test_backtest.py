"""backtest: forecasts of the past, made as they would have been made then."""

import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNRegressor,
    SequenceFlattener,
    SequenceWindower,
    SklearnRNNWarning,
    TimeBlockSplit,
    backtest,
    forecast,
    make_forecast_frame,
    score_forecasts,
)
from sklearn_rnn.forecasting._backtest import infer_season
from sklearn_rnn.preprocessing import TableKeys, TimeTable

HOURS = pd.date_range("2024-01-01", periods=120, freq="h")


def make_table(index=HOURS, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(index), 2))
    values[:, 0] += np.sin(np.arange(len(index)) / 3)
    return pd.DataFrame(values, columns=["temp", "wind"], index=index)


def two_series(n_rows=60):
    tables = [
        make_table(HOURS[:n_rows], seed).assign(station=name)
        for seed, name in enumerate(["north", "south"])
    ]
    table = pd.concat(tables).rename_axis("time").reset_index()
    return table.sort_values("time", kind="stable", ignore_index=True)


GROUPED = {"time": "time", "group_by": "station"}
SHORT = {"season": 3}  # tables of tests are short


def make_model(n_steps=5, windower=None, **options):
    small = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}
    windower = SequenceWindower(n_steps, **(windower or {}))
    return make_pipeline(windower, RNNRegressor(**{**small, **options}))


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
    assert infer_season(TimeTable.read(table, TableKeys(), "").on_grid("")) == season
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


# What is missing.


def masked_model():
    return make_model(windower={"missing": "mask"}, missing_targets="ignore")


def with_holes():
    table = make_table()
    table.iloc[[3, 70, 71], 0] = table.iloc[80, 1] = np.nan
    return table.drop(table.index[[40, 90]])


def test_a_mask_stands_holes_and_gaps():
    table = with_holes()
    frame = backtest(masked_model(), table, "temp", 2, cv=2, missing="mask")
    whole = table["temp"].reindex(HOURS)
    np.testing.assert_array_equal(frame["truth"], whole[frame["time"]])
    assert frame["truth"].isna().sum() == 6
    assert frame["prediction"].notna().all()
    seasons_ago = whole.reindex(frame["time"] - pd.Timedelta("24h"))
    np.testing.assert_array_equal(frame["naive"], seasons_ago)
    first = whole[: frame["origin"].min()]
    scale = np.nanmean(np.abs(first.to_numpy()[24:] - first.to_numpy()[:-24]))
    np.testing.assert_allclose(frame.loc[frame["fold"] == 0, "scale"], scale)
    assert score_forecasts(frame)["n"].sum() == len(frame) - 6


def test_a_sensor_that_is_gone_for_long_is_filled_as_in_one_table():
    table = make_table()
    table.iloc[3, 1] = np.nan
    table.iloc[50:, 1] = np.nan
    model = masked_model().fit(*make_forecast_frame(table[:40], "temp", 2))
    frame = backtest(FrozenEstimator(model), table, "temp", 2, cv=1, missing="mask")
    X, _ = make_forecast_frame(table, "temp", 2)
    expected = model.predict(X)[-len(frame) // 2 :].ravel()
    np.testing.assert_allclose(frame["prediction"], expected)


def test_holes_and_gaps_are_refused_without_a_mask():
    with pytest.raises(ValueError, match="missing='mask'"):
        backtest(masked_model(), with_holes(), "temp", 2)


def test_a_series_without_any_value_has_no_score():
    table = two_series()
    table.loc[table["station"] == "south", "temp"] = np.nan
    model = make_model(
        windower={"missing": "mask", **GROUPED}, missing_targets="ignore"
    )
    options = {"missing": "mask", **SHORT, **GROUPED}
    frame = backtest(model, table, "temp", 2, cv=2, **options)
    assert frame["prediction"].notna().all()
    scores = score_forecasts(frame, by="station")
    assert scores.index.tolist() == ["north"]


# Tables and models of every kind.


def test_a_search_is_fitted_in_every_block():
    grid = {"sequencewindower__n_steps": [2, 9]}
    search = GridSearchCV(make_model(), grid, cv=TimeSeriesSplit(2))
    table = make_table()
    frame = backtest(search, table, "temp", 2, cv=1)
    X, Y = make_forecast_frame(table, "temp", 2)
    n_train = len(X) - len(frame) // 2 - 1
    fitted = clone(search).fit(X[:n_train], Y[:n_train])
    expected = fitted.predict(X)[-len(frame) // 2 :]
    np.testing.assert_allclose(frame["prediction"], expected.ravel())


@pytest.mark.parametrize("kind", ["polars", "Int64", "pyarrow"])
def test_tables_of_other_kinds(kind):
    table = make_table().mul(100).round().rename_axis("time").reset_index()
    options = {"target": "temp", "horizon": 2, "cv": 2, "time": "time"}
    model = make_model(windower={"time": "time"})
    expected = backtest(model, table, **options)
    backends = {"Int64": "numpy_nullable", "pyarrow": "pyarrow"}
    if kind == "polars":
        table = pl.from_pandas(table)
    else:
        table = table.convert_dtypes(dtype_backend=backends[kind])
    found = backtest(model, table, **options)
    np.testing.assert_allclose(found["prediction"], expected["prediction"])
    np.testing.assert_allclose(found["truth"], expected["truth"])
    assert (found["time"] == expected["time"]).all()


def test_a_series_needs_no_target():
    frame = backtest(make_model(), make_table()["temp"], horizon=2, cv=2)
    expected = backtest(make_model(), make_table()[["temp"]], "temp", 2, cv=2)
    pd.testing.assert_frame_equal(frame, expected)


@pytest.mark.parametrize("cv", [1, 2, TimeSeriesSplit(2)])
def test_without_times_rows_are_counted(cv):
    table = make_table().set_axis([f"row {i}" for i in range(120)])
    frame = backtest(make_model(), table, "temp", 2, cv=cv, season=24)
    assert (frame["time"] == frame["origin"] + frame["horizon"]).all()
    expected = table["temp"].to_numpy()[frame["time"]]
    np.testing.assert_array_equal(frame["truth"], expected)


def test_levels_of_an_index_are_read():
    table = two_series()
    model = make_model(windower=GROUPED)
    options = {"target": "temp", "horizon": 2, "cv": 2, **SHORT, **GROUPED}
    levels = backtest(model, table.set_index(["station", "time"]), **options)
    pd.testing.assert_frame_equal(levels, backtest(model, table, **options))


def test_a_constant_series_has_no_scale():
    table = make_table().assign(temp=3.0)
    frame = backtest(DummyRegressor(), table, "temp", 2, cv=2)
    assert (frame["scale"] == 0).all()
    assert (frame["prediction"] == 3).all()


@pytest.mark.thorough
def test_features_may_have_the_names_of_the_result():
    table = make_table().assign(prediction=1.0, horizon=2.0, **{"q0.5": 3.0})
    frame = backtest(Ridge(), table, "temp", 2, cv=2)
    assert "q0.5" not in frame
    assert set(frame["horizon"]) == {1, 2}


# What is refused.


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stride": 0}, "stride must be an int of at least 1, got 0"),
        ({"stride": -1}, "stride must"),
        ({"stride": 1.5}, "stride must"),
        ({"stride": "a"}, "stride must"),
        ({"stride": None}, "stride must"),
        ({"season": 0}, "season must be an int of at least 1, got 0"),
        ({"season": -3}, "season must"),
        ({"season": 1.5}, "season must"),
        ({"season": "D"}, "season must"),
        ({"season": True}, "season must"),
        ({"refit": "no"}, "refit must"),
        ({"cv": 0}, "at least 1"),
        ({"cv": True}, "at least 1"),
        ({"cv": 2.5}, "cv"),
        ({"cv": None}, "cv"),
        ({"cv": "five"}, "cv"),
        ({"horizon": 0}, "horizon must be an int of at least 1"),
        ({"horizon": True}, "horizon must"),
        ({"horizon": [3, 1]}, "horizon must"),
        ({"horizon": 120}, "too few for horizon=120"),
        ({"target": "snow"}, "target='snow' names no column"),
        ({"target": None}, "target=None names no column"),
        ({"known": "snow"}, "known='snow' names no column"),
        ({"known": "temp"}, "temp"),
        ({"missing": "x"}, "missing must be 'raise' or 'mask'"),
        ({"time": "snow"}, "time='snow' names no column"),
        ({"group_by": "snow"}, "group_by='snow' names no column"),
        ({"freq": "D"}, "gap"),
        ({"cv": 1000}, "n_splits=1000"),
    ],
    ids=str,
)
def test_senseless_options_are_refused(options, message):
    options = {"target": "temp", "horizon": 2, **options}
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), **options)


@pytest.mark.parametrize("data", ["abc", None, np.zeros((50, 2)), [[1.0]]])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(TypeError, match="backtest needs a pandas or polars DataFrame"):
        backtest(Ridge(), data, "temp")


@pytest.mark.parametrize("model", ["model", None, Ridge])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError):
        backtest(model, make_table(), "temp")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda table: table[:0], "the table has 0 rows"),
        (lambda table: table[::-1], "not sorted by time"),
        (lambda table: pd.concat([table, table[-1:]]), "twice"),
        (lambda table: pd.concat({"a": table}), "2 levels"),
        (lambda table: table.set_axis(["temp", "temp"], axis=1), "'temp'"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), change(make_table()), "temp", 2)


@pytest.mark.parametrize(
    "name", ["origin", "horizon", "prediction", "target", "fold", "scale", "q0.5"]
)
def test_a_name_of_the_result_cannot_tell_series_apart(name):
    table = two_series().rename(columns={"station": name})
    columns = {"time": "time", "group_by": name}
    with pytest.raises(ValueError, match=name):
        backtest(make_model(windower=columns), table, "temp", 2, cv=2, **columns)


def test_several_columns_of_series_are_no_bare_error():
    names = ["station", "kind"]
    with pytest.raises(ValueError, match="group_by="):
        backtest(Ridge(), make_table(), "temp", group_by=names)


# Rows that a splitter names.

ROWS = np.arange(118)  # those of make_table() with a target two steps ahead


def mask(begin, end, n_rows=118):
    rows = np.arange(n_rows)
    return (rows >= begin) & (rows < end)


@pytest.mark.parametrize(
    "cv",
    [
        [(mask(0, 60), mask(60, 90))],
        [(list(range(60)), list(range(60, 90)))],
        [(range(60), range(60, 90))],
        [[pd.Series(ROWS[:60]), pd.Index(ROWS[60:90])]],
        [(ROWS[:60][::-1], ROWS[60:90][::-1])],
        ((ROWS[:60], ROWS[60:90]) for _ in range(1)),
        [(ROWS[:60].astype(np.uint8), ROWS[60:90].astype(np.uint8))],
    ],
    ids=["masks", "lists", "ranges", "pandas", "backwards", "generator", "uint8"],
)
def test_rows_may_be_named_in_many_ways(cv):
    options = {"target": "temp", "horizon": 2, "season": 3}
    expected = backtest(Ridge(), make_table(), cv=[(ROWS[:60], ROWS[60:90])], **options)
    found = backtest(Ridge(), make_table(), cv=cv, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    "splitter", [TimeSeriesSplit(3), TimeBlockSplit(3)], ids=["series", "block"]
)
def test_rows_past_the_last_target_are_named(splitter):
    cv = list(splitter.split(make_table()))
    message = (
        r"test rows of block 2 of cv include 2 .* 118 rows with a target.*: 118 to 119"
        r".* 120 rows, and the last 2 .* Pass the splitter itself"
    )
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), "temp", 2, cv=cv)


@pytest.mark.parametrize(
    "cv, message",
    [
        (PredefinedSplit([-1] * 60 + [0] * 60), "block 0 .* include 2 .* 118 to 119"),
        ([(ROWS[:60], [-3, -2, -1])], "test rows of block 0 .* include 3 .*: -3 to -1"),
        ([([-118, -117], [40])], "training rows of block 0 .* include 2"),
        ([(ROWS[:60], [10**6])], "include 1"),
        ([(ROWS[:60], [2**63])], "include 1"),
        ([(ROWS[:60], [10**30])], "are object of shape"),
        ([(mask(0, 60, 120), mask(60, 120, 120))], "a mask of 118 bools"),
        ([(ROWS[:60], [])], "test rows of block 0 of cv are empty"),
        (
            [(ROWS[:60], ROWS[60:]), ([], ROWS[60:])],
            "training rows of block 1 .* empty",
        ),
        ([(ROWS[:60] / 1, ROWS[60:])], "are float64"),
        ([(ROWS[:60], [60, 60, 61])], "contain row 60 twice"),
        ([([1, 1, 2], [60])], "contain row 1 twice"),
        ([(ROWS[:60].reshape(2, 30), ROWS[60:])], r"shape \(2, 30\)"),
        ([(HOURS[:60], HOURS[60:90])], "are datetime64"),
        ([(slice(60), slice(60, 90))], "are object of shape"),
        ([(None, ROWS[60:])], "pass row indices"),
        ([("a", "b")], "pass row indices"),
        ([1, 2, 3], "one of them is 1"),
        ([(ROWS[:9], ROWS[9:20], ROWS[20:])], "one of them is"),
        ((ROWS[:60], ROWS[60:]), "one of them is"),
        (np.arange(4), "one of them is"),
        ([], "gives no block"),
        (TimeSeriesSplit, "cv must be an int, a splitter"),
        (10**12, "too few"),
    ],
    ids=str,
)
def test_rows_that_are_none_are_refused(cv, message):
    with pytest.raises(ValueError, match=message):
        backtest(Ridge(), make_table(), "temp", 2, cv=cv)


@pytest.mark.parametrize("season", [10**30, 2**63])
def test_a_huge_season_does_not_overflow(season):
    with pytest.warns(SklearnRNNWarning, match=f"a season of {season} rows"):
        frame = backtest(Ridge(), make_table(), "temp", cv=2, season=season)
    assert frame[["naive", "scale"]].isna().all(axis=None)


def test_a_infer_season_a_small_type_does_not_overflow():
    options = {"target": "temp", "horizon": 2, "cv": 2}
    found = backtest(Ridge(), make_table(), season=np.uint8(3), **options)
    expected = backtest(Ridge(), make_table(), season=3, **options)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_verbose_backtest_prints_a_line_per_block(n_jobs, capsys):
    options = {"target": "temp", "horizon": 2, "cv": 3, "season": 3}
    silent = backtest(Ridge(), make_table(), **options)
    assert capsys.readouterr().out == ""
    found = backtest(Ridge(), make_table(), n_jobs=n_jobs, verbose=True, **options)
    pd.testing.assert_frame_equal(found, silent)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, (_, block) in enumerate(silent.groupby("fold"), start=1):
        error = (block["prediction"] - block["truth"]).abs().mean()
        assert lines[number - 1].startswith(f"block {number} of 3: ")
        assert str(block["origin"].max()) in lines[number - 1]
        assert lines[number - 1].endswith(f"MAE {error:.4g}")


def test_a_model_fitted_on_known_columns_is_tested_with_them():
    days = pd.date_range("2024-01-01", periods=60)
    table = pd.DataFrame({"sales": np.arange(60.0), "promo": np.arange(60) % 3}, days)
    X, Y = make_forecast_frame(table, "sales", horizon=2, known="promo")
    model = LinearRegression().fit(X, Y)
    with pytest.raises(ValueError, match=r"known=\['promo'\], or clone"):
        backtest(model, table, "sales", horizon=2, cv=2)
    assert len(backtest(model, table, "sales", horizon=2, cv=2, known="promo"))
    assert len(backtest(clone(model), table, "sales", horizon=2, cv=2))
