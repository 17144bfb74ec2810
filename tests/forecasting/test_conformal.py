"""ConformalCalibrator: quantiles that cover what they say."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from sklearn_rnn import ConformalCalibrator, backtest, score_forecasts

LEVELS = {"q0.1": -0.5, "q0.5": 0.0, "q0.9": 0.5}


def make_forecasts(n_origins=300, horizon=2, seed=0, spread=1.0, quantiles=True):
    """Forecasts of 0 for normal truths, with quantiles that are too narrow."""
    rng = np.random.default_rng(seed)
    hours = pd.date_range("2024-01-01", periods=n_origins, freq="h").repeat(horizon)
    steps = np.tile(np.arange(1, horizon + 1), n_origins)
    frame = pd.DataFrame({"fold": 0, "origin": hours})
    frame["time"] = hours + pd.to_timedelta(steps, unit="h")
    frame["horizon"] = steps
    frame["truth"] = rng.normal(size=len(frame)) * spread * steps
    frame = frame.assign(prediction=0.0, naive=0.0, scale=1.0)
    return frame.assign(**LEVELS) if quantiles else frame


def coverage(frame):
    inside = (frame["q0.1"] <= frame["truth"]) & (frame["truth"] <= frame["q0.9"])
    return inside.mean()


def split(**options):
    return ConformalCalibrator(method="split", **options)


# Split: moved by what was learned, for good.


def test_offsets_are_the_conformal_quantiles_of_the_errors():
    frame = make_forecasts(99)
    offsets = split().fit(frame).offsets_
    assert offsets.index.names == ["horizon"]
    assert list(offsets.columns) == list(LEVELS)
    for step in (1, 2):
        errors = np.sort(frame.loc[frame["horizon"] == step, "truth"])
        # Of 99, the 10th from below and the 10th from above.
        expected = [errors[9] + 0.5, 0, errors[89] - 0.5]
        np.testing.assert_allclose(offsets.loc[step].to_numpy().ravel(), expected)


@pytest.mark.parametrize("level, rank", [(0.55, 55), (0.71, 71), (0.29, 29), (0.07, 7)])
def test_ranks_are_not_moved_by_rounding(level, rank):
    frame = make_forecasts(99, horizon=1, quantiles=False)
    offsets = split(quantiles=[level]).fit(frame).offsets_
    errors = np.sort(frame["truth"])
    assert offsets.to_numpy().item() == errors[rank - 1]


def test_transform_moves_each_row_by_the_offset_of_its_horizon():
    frame = make_forecasts()
    calibrator = split().fit(frame)
    later = make_forecasts(20, seed=1)
    found = calibrator.transform(later)
    for name, value in LEVELS.items():
        offsets = calibrator.offsets_.to_numpy()[:, list(LEVELS).index(name)]
        np.testing.assert_allclose(found[name], value + np.tile(offsets, 20))
    rest = [name for name in later if name not in LEVELS]
    pd.testing.assert_frame_equal(found[rest], later[rest])
    assert found.columns.tolist() == later.columns.tolist()


@pytest.mark.parametrize("method", ["split", "adaptive"])
@pytest.mark.parametrize("quantiles", [True, False])
def test_intervals_cover_what_they_say(method, quantiles):
    calibrator = ConformalCalibrator(
        quantiles=None if quantiles else [0.1, 0.9], method=method
    )
    calibrator.fit(make_forecasts(500, quantiles=quantiles))
    later = make_forecasts(1000, seed=1, quantiles=quantiles)
    found = calibrator.transform(later)
    for step in (1, 2):
        assert coverage(found[found["horizon"] == step]) == pytest.approx(0.8, abs=0.05)
    if quantiles:
        assert coverage(later) < 0.5


def test_quantiles_that_are_too_wide_are_drawn_in():
    wide = {"q0.1": -9.0, "q0.9": 9.0}
    calibrator = split().fit(make_forecasts().assign(**wide))
    found = calibrator.transform(make_forecasts(300, seed=1).assign(**wide))
    assert coverage(found) == pytest.approx(0.8, abs=0.06)


def test_the_median_stays_where_it_is():
    frame = make_forecasts()
    found = ConformalCalibrator().fit(frame).transform(frame)
    np.testing.assert_array_equal(found["q0.5"], frame["q0.5"])


def test_the_median_gives_way_to_quantiles_that_move_past_it():
    rng = np.random.default_rng(0)
    frame = make_forecasts()
    biased = frame.assign(truth=rng.normal(5.0, 1.0, size=len(frame)))
    found = split().fit(biased).transform(biased)
    np.testing.assert_array_equal(found["q0.5"], found["q0.1"])
    assert 0.07 < (biased["truth"] < found["q0.1"]).mean() < 0.13
    assert 0.87 < (biased["truth"] < found["q0.9"]).mean() < 0.93


def test_quantiles_do_not_cross():
    rng = np.random.default_rng(0)
    frame = make_forecasts().assign(**{"q0.9": rng.normal(size=600)})
    calibrator = ConformalCalibrator(learning_rate=2.0).fit(frame)
    found = calibrator.transform(frame)[list(LEVELS)].to_numpy()
    assert (np.diff(found, axis=1) >= 0).all()


# Groups.


def test_several_targets_are_calibrated_apart():
    frames = [
        make_forecasts(seed=seed, spread=spread).assign(target=name)
        for seed, (name, spread) in enumerate({"small": 1, "large": 50}.items())
    ]
    frame = pd.concat(frames, ignore_index=True)
    offsets = split().fit(frame).offsets_
    assert offsets.index.names == ["target", "horizon"]
    alone = split().fit(frames[1]).offsets_
    np.testing.assert_array_equal(offsets.loc["large"], alone.loc["large"])
    assert offsets.loc[("large", 1), "q0.9"] > 20 * offsets.loc[("small", 1), "q0.9"]


def test_series_are_calibrated_apart_if_asked():
    frames = [
        make_forecasts(seed=seed, spread=spread).assign(station=name)
        for seed, (name, spread) in enumerate({"calm": 1, "windy": 9}.items())
    ]
    frame = pd.concat(frames, ignore_index=True)
    together = score_forecasts(split().fit(frame).transform(frame), "station")
    apart = split(by=["station", "horizon"]).fit(frame)
    assert apart.offsets_.index.names == ["station", "horizon"]
    apart = score_forecasts(apart.transform(frame), "station")
    np.testing.assert_allclose(apart["coverage_80"], 0.8, atol=0.02)
    assert together["coverage_80"]["calm"] > 0.95


def test_by_may_be_any_column():
    frame = make_forecasts().assign(night=lambda frame: frame["time"].dt.hour < 12)
    frame.loc[frame["night"], "truth"] *= 10
    offsets = split(by="night").fit(frame).offsets_["q0.9"].to_numpy()
    assert offsets[1] > 5 * offsets[0]


# Adaptive: goes on learning.


def drifting():
    """Errors that are four times as large from the 300th origin on."""
    frame = make_forecasts(1200, horizon=1, seed=1)
    frame.loc[300:, "truth"] *= 4
    return frame


def test_adaptive_recovers_from_a_drift_and_split_does_not():
    past, later = make_forecasts(500, horizon=1), drifting()
    fixed = split().fit(past).transform(later)
    moving = ConformalCalibrator(learning_rate=0.1).fit(past).transform(later)
    assert coverage(fixed[600:]) < 0.35
    assert coverage(moving[600:]) == pytest.approx(0.8, abs=0.06)


def test_a_higher_learning_rate_recovers_sooner():
    past, later = make_forecasts(500, horizon=1), drifting()
    slow, fast = (
        coverage(
            ConformalCalibrator(learning_rate=rate).fit(past).transform(later)[300:]
        )
        for rate in (0.005, 0.1)
    )
    assert slow < fast - 0.1


def test_without_a_learning_rate_adaptive_is_split():
    past, later = make_forecasts(), make_forecasts(seed=1, spread=3)
    still = ConformalCalibrator(learning_rate=0).fit(past).transform(later)
    pd.testing.assert_frame_equal(still, split().fit(past).transform(later))


def test_steps_are_those_of_the_quantile_tracker():
    past = make_forecasts(200, horizon=1, quantiles=False)
    later = make_forecasts(30, horizon=1, seed=1, quantiles=False)
    calibrator = ConformalCalibrator(quantiles=[0.9], learning_rate=0.05).fit(past)
    offset = calibrator.offsets_.to_numpy().item()
    step = 0.05 * np.subtract(*np.quantile(past["truth"], [0.9, 0.1]))
    expected = []
    for truth in later["truth"]:
        expected.append(offset)  # The truth one step ahead is known at the next origin.
        offset += step * (0.9 - (truth <= offset))
    found = calibrator.transform(later)["q0.9"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_truth_counts_from_the_moment_it_is_known_on(horizon):
    past = make_forecasts(horizon=horizon)
    later = make_forecasts(50, horizon=horizon, seed=1)
    calibrator = ConformalCalibrator(learning_rate=0.5).fit(past)
    before = calibrator.transform(later)
    when = later["origin"].unique()[25]
    other = later.copy()
    # To the other side of all quantiles.
    late = other["time"] > when
    other.loc[late, "truth"] = np.where(other.loc[late, "truth"] > 0, -99.0, 99.0)
    after = calibrator.transform(other)
    names = list(LEVELS)
    early = later["origin"] <= when
    pd.testing.assert_frame_equal(after.loc[early, names], before.loc[early, names])
    changed = (after[names] != before[names]).any(axis=1)
    assert changed[later["origin"] == when + pd.Timedelta("1h")].any()


def test_a_truth_h_steps_ahead_is_learned_h_steps_late():
    calibrator = ConformalCalibrator(learning_rate=0.5).fit(make_forecasts(horizon=4))
    later = make_forecasts(20, horizon=4, seed=1)
    moved = calibrator.transform(later)["q0.9"] - 0.5
    for step in (1, 4):
        of_step = moved[later["horizon"] == step].to_numpy()
        start = calibrator.offsets_["q0.9"].to_numpy()[step - 1]
        assert (of_step[:step] == pytest.approx(start)) and of_step[step] != start


def test_truths_that_are_not_known_teach_nothing():
    calibrator = ConformalCalibrator(learning_rate=0.5).fit(make_forecasts())
    later = make_forecasts(50, seed=1)
    fixed = split().fit(make_forecasts()).transform(later)
    for unknown in (later.assign(truth=np.nan), later.drop(columns="truth")):
        found = calibrator.transform(unknown)
        pd.testing.assert_frame_equal(found[list(LEVELS)], fixed[list(LEVELS)])


def test_the_order_of_the_rows_does_not_matter():
    calibrator = ConformalCalibrator(learning_rate=0.2).fit(make_forecasts())
    later = make_forecasts(100, seed=1, spread=2)
    shuffled = later.sample(frac=1, random_state=0)
    found = calibrator.transform(shuffled).loc[later.index]
    pd.testing.assert_frame_equal(found, calibrator.transform(later))


def test_transform_keeps_nothing_of_what_it_learns():
    calibrator = ConformalCalibrator(learning_rate=0.2).fit(make_forecasts())
    later, before = make_forecasts(seed=1, spread=3), calibrator.offsets_.copy()
    first = calibrator.transform(later)
    pd.testing.assert_frame_equal(calibrator.offsets_, before)
    pd.testing.assert_frame_equal(calibrator.transform(later), first)


def test_partial_fit_and_transform_are_one_transform():
    calibrator = ConformalCalibrator(learning_rate=0.2).fit(make_forecasts(horizon=1))
    later = make_forecasts(100, horizon=1, seed=1, spread=3)
    whole = calibrator.transform(later)
    for piece in np.split(np.arange(100), [30, 31, 70]):
        rows = later.iloc[piece]
        found = calibrator.transform(rows)
        pd.testing.assert_frame_equal(found, whole.iloc[piece])
        calibrator.partial_fit(rows)


def test_partial_fit_learns_from_every_truth():
    calibrator = ConformalCalibrator(learning_rate=0.2).fit(make_forecasts(horizon=3))
    before = calibrator.offsets_.copy()
    one_origin = make_forecasts(1, horizon=3).assign(truth=100.0)
    calibrator.partial_fit(one_origin)
    assert (calibrator.offsets_["q0.9"] > before["q0.9"]).all()
    assert (calibrator.offsets_["q0.1"] > before["q0.1"]).all()


def test_several_series_in_a_group_move_it_by_their_share():
    past = make_forecasts(horizon=1)
    later = make_forecasts(50, horizon=1, seed=1, spread=3)
    calibrator = ConformalCalibrator(learning_rate=0.2).fit(past)
    twins = [later.assign(station=name) for name in "ab"]
    found = calibrator.transform(pd.concat(twins, ignore_index=True))
    expected = calibrator.transform(later)
    for rows in (found[:50], found[50:]):
        np.testing.assert_allclose(rows[list(LEVELS)], expected[list(LEVELS)])


@pytest.mark.parametrize("kind", ["periods", "numbers", "time zone"])
def test_times_of_other_kinds(kind):
    def change(frame):
        frame = frame.copy()
        for name in ("origin", "time"):
            if kind == "periods":
                frame[name] = frame[name].dt.to_period("h")
            elif kind == "numbers":
                start = pd.Timestamp("2024-01-01")
                frame[name] = (frame[name] - start) // pd.Timedelta("1h")
            else:
                frame[name] = frame[name].dt.tz_localize("Europe/Berlin")
        return frame

    past, later = make_forecasts(), make_forecasts(100, seed=1, spread=2)
    calibrator = ConformalCalibrator(learning_rate=0.2)
    found = calibrator.fit(change(past)).transform(change(later))
    expected = calibrator.fit(past).transform(later)
    pd.testing.assert_frame_equal(found[list(LEVELS)], expected[list(LEVELS)])


# With everything else.


def test_a_frame_of_forecast_is_calibrated():
    calibrator = ConformalCalibrator().fit(make_forecasts())
    to_come = make_forecasts(1)[["time", "origin", "horizon", "prediction", *LEVELS]]
    to_come = to_come.set_index("time")
    found = calibrator.transform(to_come)
    assert found.index.equals(to_come.index)
    assert found.columns.tolist() == to_come.columns.tolist()
    expected = calibrator.offsets_.to_numpy() + list(LEVELS.values())
    np.testing.assert_allclose(found[list(LEVELS)], expected)


def test_a_backtest_of_a_point_model_gets_quantiles():
    rng = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=600, freq="D")
    table = pd.DataFrame({"sales": rng.normal(100, 10, size=600)}, index=days)
    past = backtest(LinearRegression(), table[:400], "sales", 2, cv=2)
    later = backtest(LinearRegression(), table[300:], "sales", 2, cv=1)
    levels = [0.05, 0.5, 0.95]
    found = ConformalCalibrator(quantiles=levels).fit(past).transform(later)
    assert list(found.columns)[-3:] == ["q0.05", "q0.5", "q0.95"]
    assert (found["q0.5"] == found["prediction"]).all()
    scores = score_forecasts(found)
    np.testing.assert_allclose(scores["coverage_90"], 0.9, atol=0.07)


def test_some_of_the_quantiles_alone():
    frame = make_forecasts()
    some = split(quantiles=[0.1, 0.9]).fit(frame)
    found, expected = some.transform(frame), split().fit(frame).transform(frame)
    assert "q0.5" not in found
    pd.testing.assert_frame_equal(found[["q0.1", "q0.9"]], expected[["q0.1", "q0.9"]])


def test_rows_without_a_truth_are_left_out_of_fit():
    frame = make_forecasts()
    holes = frame.copy()
    holes.loc[::3, "truth"] = np.nan
    expected = split().fit(frame.drop(index=frame.index[::3])).offsets_
    pd.testing.assert_frame_equal(split().fit(holes).offsets_, expected)


def test_pickle_and_clone():
    calibrator = ConformalCalibrator(by=["horizon"], learning_rate=0.2)
    calibrator.fit(make_forecasts())
    later = make_forecasts(seed=1)
    copy = pickle.loads(pickle.dumps(calibrator))
    expected = calibrator.transform(later)
    pd.testing.assert_frame_equal(copy.transform(later), expected)
    again = clone(calibrator)
    assert not hasattr(again, "offsets_")
    pd.testing.assert_frame_equal(
        again.fit(make_forecasts()).transform(later), expected
    )


def test_the_callers_frames_stay_as_they_are():
    past, later = make_forecasts(), make_forecasts(seed=1)
    calibrator = ConformalCalibrator().fit(past)
    calibrator.transform(later)
    calibrator.partial_fit(later)
    pd.testing.assert_frame_equal(past, make_forecasts())
    pd.testing.assert_frame_equal(later, make_forecasts(seed=1))


# What is refused.


@pytest.mark.parametrize("n_origins, is_enough", [(9, True), (8, False)])
def test_too_few_forecasts_are_refused(n_origins, is_enough):
    frame = make_forecasts(n_origins)
    if is_enough:
        split().fit(frame)
        return
    with pytest.raises(ValueError, match="8 forecasts at horizon 1 are too few"):
        split().fit(frame)


def test_forecasts_without_a_truth_are_too_few():
    with pytest.raises(ValueError, match="0 forecasts at horizon 1 are too few"):
        split().fit(make_forecasts().assign(truth=np.nan))


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_a_horizon_that_fit_did_not_see_is_refused(method):
    calibrator = ConformalCalibrator(method=method).fit(make_forecasts(horizon=1))
    with pytest.raises(ValueError, match="horizon 2 was not among the forecasts"):
        calibrator.transform(make_forecasts(horizon=2))


@pytest.mark.parametrize("method", ["split", "adaptive"])
def test_a_row_without_a_group_is_refused(method):
    shop = pd.Series(["a"] * 600, dtype=object)
    frame = make_forecasts().assign(shop=shop)
    calibrator = ConformalCalibrator(method=method, by=["shop", "horizon"]).fit(frame)
    frame.loc[3, "shop"] = None
    with pytest.raises(ValueError, match="shop"):
        calibrator.transform(frame)
    with pytest.raises(ValueError, match="shop"):
        clone(calibrator).fit(frame)


@pytest.mark.parametrize("method", ["split", "adaptive"])
@pytest.mark.parametrize("with_quantiles", [True, False])
def test_forecasts_of_another_kind_than_in_fit_are_refused(method, with_quantiles):
    calibrator = ConformalCalibrator(quantiles=[0.1, 0.9], method=method)
    calibrator.fit(make_forecasts(quantiles=with_quantiles))
    with pytest.raises(ValueError, match="quantile"):
        calibrator.transform(make_forecasts(quantiles=not with_quantiles))


def test_more_targets_than_in_fit_are_refused():
    calibrator = split().fit(make_forecasts())
    targets = np.repeat(["a", "b"], 300)
    with pytest.raises(ValueError, match="target"):
        calibrator.transform(make_forecasts().assign(target=targets))


def test_a_quantile_that_is_gone_is_refused():
    calibrator = split().fit(make_forecasts())
    with pytest.raises(ValueError, match=r"have no quantile 0\.9"):
        calibrator.transform(make_forecasts().drop(columns="q0.9"))


def test_a_point_model_needs_to_be_told_the_quantiles():
    with pytest.raises(ValueError, match=r"such as quantiles=\[0.1, 0.9\]"):
        split().fit(make_forecasts(quantiles=False))


def test_quantiles_that_the_forecasts_lack_are_refused():
    with pytest.raises(ValueError, match="leave quantiles at None"):
        split(quantiles=[0.2, 0.8]).fit(make_forecasts())


@pytest.mark.parametrize("has_quantiles", [True, False])
@pytest.mark.parametrize(
    "quantiles",
    [0.5, [], (0.9, 0.1), (0.1, 0.1), (0, 1), "abc", ["a"], [np.nan], [[0.1, 0.9]]],
    ids=repr,
)
def test_senseless_quantiles_are_refused(quantiles, has_quantiles):
    with pytest.raises(ValueError, match="quantiles"):
        split(quantiles=quantiles).fit(make_forecasts(quantiles=has_quantiles))


@pytest.mark.parametrize(
    "options, name",
    [
        ({"method": "x"}, "method"),
        ({"method": None}, "method"),
        ({"by": None}, "by"),
        ({"by": []}, "by"),
        ({"by": "shop"}, "'shop'"),
        ({"by": ["horizon", "shop"]}, "'shop'"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"learning_rate": np.nan}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
    ],
    ids=str,
)
def test_senseless_options_are_refused(options, name):
    with pytest.raises(ValueError, match=name):
        ConformalCalibrator(**options).fit(make_forecasts())


@pytest.mark.parametrize("frame", ["abc", None, np.zeros((3, 3))])
def test_what_is_no_frame_is_refused(frame):
    calibrator = ConformalCalibrator()
    with pytest.raises(TypeError, match="ConformalCalibrator needs a DataFrame"):
        calibrator.fit(frame)
    calibrator.fit(make_forecasts())
    with pytest.raises(TypeError, match="ConformalCalibrator needs a DataFrame"):
        calibrator.transform(frame)


@pytest.mark.parametrize("column", ["truth", "prediction", "origin", "horizon"])
def test_a_column_that_is_not_there_is_named(column):
    with pytest.raises(ValueError, match=f"needs a column '{column}'"):
        ConformalCalibrator().fit(make_forecasts().drop(columns=column))


def test_frames_without_a_row_are_refused():
    calibrator = ConformalCalibrator()
    with pytest.raises(ValueError, match="without a row"):
        calibrator.fit(make_forecasts()[:0])
    calibrator.fit(make_forecasts())
    with pytest.raises(ValueError, match="without a row"):
        calibrator.transform(make_forecasts()[:0])


def test_times_that_are_not_there_are_refused():
    frame = make_forecasts().drop(columns="time")
    with pytest.raises((TypeError, ValueError), match="'time'"):
        ConformalCalibrator().fit(frame).transform(frame)


def test_transform_before_fit_is_refused():
    with pytest.raises(NotFittedError):
        ConformalCalibrator().transform(make_forecasts())
    with pytest.raises(NotFittedError):
        ConformalCalibrator().partial_fit(make_forecasts())


def test_split_does_not_go_on():
    calibrator = split().fit(make_forecasts())
    with pytest.raises(ValueError, match="set method='adaptive'"):
        calibrator.partial_fit(make_forecasts())


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda f: f.assign(time=f["time"].dt.tz_localize("UTC")),
            "'origin' .* holds dates, .* dates with a time zone",
        ),
        (lambda f: f.assign(time=f["time"].astype(str)), "dates, .* are text"),
        (lambda f: f.astype({"time": str, "origin": str}), "are text"),
        (lambda f: f.assign(time=range(len(f))), "dates, .* are numbers"),
        (lambda f: f[f.index % 5 > 0].drop(columns="time"), "dates, .* are numbers"),
    ],
)
def test_times_that_do_not_compare_with_the_origins_are_refused(change, message):
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    table = pd.DataFrame({"sales": np.arange(60.0)}, index=days)
    frame = backtest(LinearRegression(), table, "sales", horizon=2, cv=2)
    with pytest.raises(ValueError, match=message):
        ConformalCalibrator([0.3, 0.7]).fit(change(frame))
