"""score_forecasts: against scikit-learn, by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
)

from sklearn_rnn import backtest, score_forecasts


def make_forecasts(n_rows=60, seed=0):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=n_rows // 2, freq="D").repeat(2)
    horizon = np.tile([1, 2], n_rows // 2)
    frame = pd.DataFrame({"fold": np.arange(n_rows) // 20, "origin": days})
    frame["time"] = days + pd.to_timedelta(horizon, unit="D")
    frame["horizon"] = horizon
    frame["truth"] = rng.normal(10, 2, size=n_rows)
    frame["prediction"] = frame["truth"] + rng.normal(size=n_rows) * horizon
    frame["naive"] = rng.normal(10, 2, size=n_rows)
    frame["scale"] = 1.0 + frame["fold"]
    quantiles = frame["prediction"].to_numpy()[:, np.newaxis] + [-1.5, 0.1, 1.5]
    return frame.assign(**dict(zip(["q0.1", "q0.5", "q0.9"], quantiles.T, strict=True)))


def by_hand(rows):
    truth, prediction, naive = rows["truth"], rows["prediction"], rows["naive"]
    error = np.abs(truth - prediction)
    rmse = mean_squared_error(truth, prediction) ** 0.5
    naive_rmse = mean_squared_error(truth, naive) ** 0.5
    losses = [
        mean_pinball_loss(truth, rows[f"q{level}"], alpha=level)
        for level in (0.1, 0.5, 0.9)
    ]
    inside = (rows["q0.1"] <= truth) & (truth <= rows["q0.9"])
    return {
        "n": len(rows),
        "mae": mean_absolute_error(truth, prediction),
        "rmse": rmse,
        "mase": np.mean(error / rows["scale"]),
        "smape": 100 * np.mean(2 * error / (truth.abs() + prediction.abs())),
        "naive_mae": mean_absolute_error(truth, naive),
        "naive_rmse": naive_rmse,
        "skill": 1 - rmse / naive_rmse,
        "quantile_loss": np.mean(losses),
        "coverage_80": inside.mean(),
    }


@pytest.mark.thorough
@pytest.mark.parametrize(
    "by", ["horizon", ["horizon"], ["fold", "horizon"], ("fold", "horizon"), None, []]
)
def test_scores_are_those_worked_by_hand(by):
    frame = make_forecasts()
    scores = score_forecasts(frame, by)
    keys = [by] if isinstance(by, str) else list(by or [])
    groups = dict(iter(frame.groupby(keys))) if keys else {0: frame}
    assert len(scores) == len(groups)
    assert list(scores.index.names) == (keys or [None])
    for key, rows in groups.items():
        key = key[0] if isinstance(key, tuple) and len(key) == 1 else key
        expected = by_hand(rows)
        found = scores.loc[key, list(expected)].to_dict()
        assert found == pytest.approx(expected), key


def test_the_columns_stand_in_their_order():
    columns = ["n", "mae", "rmse", "mase", "smape", "naive_mae", "naive_rmse", "skill"]
    frame = make_forecasts()
    scores = score_forecasts(frame)
    assert list(scores.columns) == [*columns, "quantile_loss", "crps", "coverage_80"]
    plain = score_forecasts(frame.drop(columns=["q0.1", "q0.5", "q0.9"]))
    pd.testing.assert_frame_equal(plain, scores[columns])


def test_horizon_is_the_default():
    frame = make_forecasts()
    pd.testing.assert_frame_equal(
        score_forecasts(frame), score_forecasts(frame, "horizon")
    )
    assert score_forecasts(frame).index.tolist() == [1, 2]


def test_many_quantiles_give_the_score_of_the_distribution():
    rng = np.random.default_rng(0)
    truth, levels = rng.normal(size=400), np.arange(1, 200) / 200
    quantiles = np.quantile(rng.normal(size=200_000), levels)
    names = [f"q{level:g}" for level in levels]
    frame = pd.DataFrame(np.tile(quantiles, (400, 1)), columns=names)
    columns = {"prediction": 0.0, "naive": 0.0, "scale": 1.0}
    frame = pd.concat([pd.DataFrame({"truth": truth, **columns}), frame], axis=1)
    scores = score_forecasts(frame, by=None)
    # Of a standard normal forecast of standard normal truths: 1 / sqrt(pi).
    assert scores["crps"].item() == pytest.approx(np.pi**-0.5, rel=0.05)


def test_every_pair_of_quantiles_around_the_middle_has_a_coverage():
    frame = make_forecasts().assign(**{"q0.025": -99.0, "q0.975": 99.0, "q0.25": 0.0})
    scores = score_forecasts(frame, by=None)
    names = [name for name in scores if name.startswith("coverage")]
    assert names == ["coverage_95", "coverage_80"]
    assert scores["coverage_95"].item() == 1


def test_rows_without_a_truth_are_left_out():
    frame = make_forecasts()
    holes = frame.copy()
    holes.loc[::3, "truth"] = np.nan
    rest = frame.drop(index=frame.index[::3])
    pd.testing.assert_frame_equal(score_forecasts(holes), score_forecasts(rest))


def test_rows_without_a_naive_forecast_have_no_skill():
    frame = make_forecasts()
    frame.loc[:19, "naive"] = np.nan
    scores = score_forecasts(frame, by=None).iloc[0]
    rest = by_hand(frame[20:])
    for name in ("naive_mae", "naive_rmse", "skill"):
        assert scores[name] == pytest.approx(rest[name])
    assert scores["mae"] == pytest.approx(by_hand(frame.fillna(0))["mae"])
    none = score_forecasts(frame.assign(naive=np.nan), by=None).iloc[0]
    assert none[["naive_mae", "naive_rmse", "skill"]].isna().all()


@pytest.mark.parametrize("scale", [0.0, np.nan])
def test_rows_without_a_scale_do_not_count_for_mase(scale):
    frame = make_forecasts()
    frame.loc[:19, "scale"] = scale
    found = score_forecasts(frame, by=None)["mase"].item()
    assert found == pytest.approx(by_hand(frame[20:])["mase"])
    assert score_forecasts(frame.assign(scale=scale), by=None)["mase"].isna().all()


def test_a_naive_forecast_without_error_leaves_no_skill():
    frame = make_forecasts()
    scores = score_forecasts(frame.assign(naive=frame["truth"]))
    assert scores["skill"].isna().all()


def test_one_row_is_enough():
    scores = score_forecasts(make_forecasts()[:1])
    assert scores["n"].tolist() == [1]
    assert scores.notna().all(axis=None)


def test_the_order_and_index_of_the_rows_do_not_matter():
    frame = make_forecasts()
    shuffled = frame.sample(frac=1, random_state=0).set_axis([0] * 60)
    pd.testing.assert_frame_equal(score_forecasts(shuffled), score_forecasts(frame))


def test_categories_without_a_row_are_left_out():
    shop = pd.Categorical(["a", "b"] * 30, categories=["a", "b", "closed"])
    scores = score_forecasts(make_forecasts().assign(shop=shop), by="shop")
    assert scores.index.tolist() == ["a", "b"]


def test_a_backtest_has_all_that_is_needed():
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    table = pd.DataFrame({"sales": np.arange(60.0)}, index=days)
    frame = backtest(Ridge(alpha=1e-9), table, "sales", 3, cv=2)
    scores = score_forecasts(frame)
    np.testing.assert_allclose(scores["naive_mae"], 7)
    np.testing.assert_allclose(scores["mae"], 0, atol=1e-6)
    np.testing.assert_allclose(scores["skill"], 1, atol=1e-6)
    pd.testing.assert_frame_equal(frame, backtest(Ridge(1e-9), table, "sales", 3, cv=2))


# What is refused.


@pytest.mark.parametrize("frame", ["abc", None, np.zeros((3, 3)), {"truth": [1]}])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(TypeError, match="score_forecasts needs a DataFrame"):
        score_forecasts(frame)


@pytest.mark.parametrize("column", ["truth", "prediction", "horizon"])
def test_a_column_that_is_not_there_is_named(column):
    with pytest.raises(ValueError, match=f"needs a column '{column}'"):
        score_forecasts(make_forecasts().drop(columns=column))


@pytest.mark.parametrize("by", ["shop", ["horizon", "shop"], 3])
def test_groups_that_are_not_there_are_refused(by):
    with pytest.raises((TypeError, ValueError), match="'shop'|by=|column 3"):
        score_forecasts(make_forecasts(), by)


@pytest.mark.parametrize("n_missing", [3, 60])
def test_rows_without_a_group_are_refused(n_missing):
    shop = pd.Series(["a"] * 60, dtype=object)
    shop[:n_missing] = None
    with pytest.raises(ValueError, match="column 'shop' of the forecasts has missing"):
        score_forecasts(make_forecasts().assign(shop=shop), by="shop")


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="without a row"):
        score_forecasts(make_forecasts()[:0])
    with pytest.raises(ValueError, match="no forecast has a truth"):
        score_forecasts(make_forecasts().assign(truth=np.nan))


def test_a_prediction_that_is_nan_is_refused():
    frame = make_forecasts()
    frame.loc[3, "prediction"] = np.nan
    with pytest.raises(ValueError, match="'prediction' of the forecasts is not finite"):
        score_forecasts(frame)


@pytest.mark.parametrize("by", [None, "horizon"])
def test_metrics_choose_columns_and_their_order(by):
    whole = score_forecasts(make_forecasts(), by)
    chosen = score_forecasts(make_forecasts(), by, metrics=["coverage_80", "mae"])
    pd.testing.assert_frame_equal(chosen, whole[["coverage_80", "mae"]])
    one = score_forecasts(make_forecasts(), by, metrics="crps")
    pd.testing.assert_frame_equal(one, whole[["crps"]])


@pytest.mark.parametrize("metrics", ["mea", ["mae", "coverage_90"], []])
def test_metrics_that_there_are_not_are_refused(metrics):
    with pytest.raises(ValueError, match=r"columns \['n', 'mae', .*'coverage_80'\]"):
        score_forecasts(make_forecasts(), metrics=metrics)


def test_forecasts_of_other_models_need_neither_naive_nor_scale():
    frame = make_forecasts()
    bare = frame.drop(columns=["naive", "scale"])
    scores = score_forecasts(bare)
    kept = ["n", "mae", "rmse", "smape", "quantile_loss", "crps", "coverage_80"]
    pd.testing.assert_frame_equal(scores, score_forecasts(frame)[kept])
    assert "mase" in score_forecasts(frame.drop(columns="naive"))
    assert "skill" not in score_forecasts(frame.drop(columns="naive"))
    with pytest.raises(ValueError, match="'mase' needs a column 'scale'.*backtest"):
        score_forecasts(bare, metrics=["mae", "mase"])
    with pytest.raises(ValueError, match="'skill' needs a column 'naive'"):
        score_forecasts(bare, metrics="skill")
