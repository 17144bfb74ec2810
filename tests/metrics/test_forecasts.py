"""Metrics of forecasts, against scikit-learn and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from sklearn_rnn.metrics import (
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    sequence_accuracy,
    symbol_error_rate,
    symmetric_mean_absolute_percentage_error,
)

LEVELS = [0.1, 0.25, 0.5, 0.9]


def random_forecasts(shape=(40,), n_quantiles=4):
    rng = np.random.default_rng(0)
    y_quantiles = np.sort(rng.normal(size=(*shape, n_quantiles)))
    return rng.normal(size=shape), y_quantiles, rng.uniform(size=shape[0])


def interval(y_true, y_pred, **kwargs):
    return interval_coverage(y_true, y_pred, np.asarray(y_pred) + 1, **kwargs)


def scaled(y_true, y_pred, **kwargs):
    return mean_absolute_scaled_error(y_true, y_pred, scale=2.0, **kwargs)


def pinball(y_true, y_pred, **kwargs):
    y_quantiles = np.stack([y_pred, np.asarray(y_pred) + 1], axis=-1)
    return mean_quantile_loss(y_true, y_quantiles, [0.3, 0.6], **kwargs)


def crps(y_true, y_pred, **kwargs):
    y_quantiles = np.stack([y_pred, np.asarray(y_pred) + 1], axis=-1)
    return crps_from_quantiles(y_true, y_quantiles, [0.3, 0.6], **kwargs)


METRICS = [scaled, symmetric_mean_absolute_percentage_error, interval, pinball, crps]


# What all of them share.


@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_of_two_counts_as_twice_the_sample(metric):
    y_true, y_quantiles, _ = random_forecasts((5, 3))
    y_pred, weights = y_quantiles[..., 0], [2, 1, 0, 1, 1]
    rows = [0, 0, 1, 3, 4]
    weighted = metric(y_true, y_pred, sample_weight=weights)
    assert weighted == pytest.approx(metric(y_true[rows], y_pred[rows]))
    assert weighted != pytest.approx(metric(y_true, y_pred))


@pytest.mark.parametrize("metric", METRICS)
def test_outputs_count_alike(metric):
    y_true, y_quantiles, _ = random_forecasts((6, 3))
    y_pred = y_quantiles[..., 0]
    columns = [metric(y_true[:, j], y_pred[:, j]) for j in range(3)]
    assert metric(y_true, y_pred) == pytest.approx(np.mean(columns))


@pytest.mark.parametrize("metric", METRICS)
def test_columns_lists_and_frames_are_read_alike(metric):
    y_true, y_quantiles, _ = random_forecasts((6,))
    y_pred = y_quantiles[:, 0]
    expected = metric(y_true, y_pred)
    assert type(expected) is float
    assert metric(y_true[:, None], y_pred) == expected
    assert metric(y_true, y_pred[:, None]) == expected
    assert metric(list(y_true), list(y_pred)) == expected
    assert metric(pd.Series(y_true), pd.Series(y_pred)[::1]) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_unsigned_integers_do_not_wrap(metric):
    y_true, y_pred = np.array([0, 5], dtype=np.uint8), np.array([3, 1], dtype=np.uint8)
    assert metric(y_true, y_pred) == metric([0.0, 5.0], [3.0, 1.0])


@pytest.mark.parametrize("metric", METRICS)
def test_what_cannot_be_compared_is_refused(metric):
    y = np.ones(4)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        metric(y, np.ones(3))
    with pytest.raises(ValueError, match=r"shape \(4, "):
        metric(np.ones((4, 2)), np.ones((4, 3)))
    with pytest.raises(ValueError, match="y_true contains NaN"):
        metric([1.0, np.nan, 1.0, 1.0], y)
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        metric([], [])
    with pytest.raises(ValueError, match="sample_weight"):
        metric(y, y, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="Negative"):
        metric(y, y, sample_weight=[1, 1, 1, -1])
    with pytest.raises(ValueError, match=r"0 for all samples|one non-zero"):
        metric(y, y, sample_weight=[0, 0, 0, 0])


# MASE.


def test_the_naive_forecast_itself_has_a_scaled_error_of_one():
    series = np.random.default_rng(0).normal(size=50).cumsum()
    scale = np.abs(series[7:] - series[:-7]).mean()
    error = mean_absolute_scaled_error(series[7:], series[:-7], scale=scale)
    assert error == pytest.approx(1)


def test_each_error_is_divided_by_its_own_scale():
    y_true, y_pred = np.array([[2.0, 4.0], [3.0, 3.0]]), np.zeros((2, 2))
    expected = (2 / 2 + 4 / 2 + 3 / 3 + 3 / 3) / 4
    for scale in ([2.0, 3.0], [[2.0], [3.0]], [[2.0, 2.0], [3.0, 3.0]]):
        assert mean_absolute_scaled_error(y_true, y_pred, scale=scale) == expected
    assert mean_absolute_scaled_error([2.0, 3.0], [0, 0], scale=[[2.0], [3.0]]) == 1
    assert mean_absolute_scaled_error([[2.0], [3.0]], [0, 0], scale=[2.0, 3.0]) == 1


@pytest.mark.parametrize("scale", [0, -1.0, [1.0, 0.0, 1.0]])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match=r"scale must be above 0.*constant series"):
        mean_absolute_scaled_error(np.ones(3), np.ones(3), scale=scale)


def test_the_place_of_a_zero_scale_is_named():
    with pytest.raises(ValueError, match=r"is 0 at \(1,\)"):
        mean_absolute_scaled_error([1, 2], [1, 2], scale=[1.0, 0.0])


def test_a_scale_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"scale has shape \(3,\).*\(4, 3\)"):
        mean_absolute_scaled_error(np.ones((4, 3)), np.ones((4, 3)), scale=np.ones(3))
    with pytest.raises(ValueError, match="scale contains NaN"):
        mean_absolute_scaled_error([1.0], [1.0], scale=np.nan)


# sMAPE.


@pytest.mark.parametrize(
    "y_true, y_pred, percent",
    [(3, 1, 100), (-3, -1, 100), (1, 3, 100), (0, 0, 0), (0, 5, 200), (2, -1, 200)],
)
def test_percentage_errors_are_relative_to_both_values(y_true, y_pred, percent):
    error = symmetric_mean_absolute_percentage_error([y_true], [y_pred])
    assert error == pytest.approx(percent)


# Intervals.


def test_the_ends_belong_to_an_interval():
    assert interval_coverage([1.0, 2.0, 2.1], [1, 1, 1], [2, 2, 2]) == 2 / 3


def test_a_crossed_interval_holds_nothing():
    assert interval_coverage([1.5], lower=[2], upper=[1]) == 0


def test_quantiles_of_the_truth_have_nominal_coverage():
    y_true = np.random.default_rng(0).normal(size=20_000)
    lower, upper = (np.full(20_000, norm.ppf(q)) for q in (0.1, 0.9))
    assert interval_coverage(y_true, lower, upper) == pytest.approx(0.8, abs=0.01)


# Quantiles.


@pytest.mark.parametrize("shape", [(40,), (20, 3)])
def test_the_quantile_loss_is_the_mean_of_scikit_learns(shape):
    y_true, y_quantiles, weights = random_forecasts(shape)
    losses = [
        mean_pinball_loss(y_true, y_quantiles[..., k], alpha=q, sample_weight=weights)
        for k, q in enumerate(LEVELS)
    ]
    loss = mean_quantile_loss(y_true, y_quantiles, LEVELS, sample_weight=weights)
    assert loss == pytest.approx(np.mean(losses), rel=1e-12)


def test_the_crps_weighs_a_level_as_its_interval():
    y_true, y_quantiles, _ = random_forecasts()
    weights = [0.175, 0.2, 0.325, 0.3]  # bounds 0, 0.175, 0.375, 0.7, 1
    losses = [
        mean_pinball_loss(y_true, y_quantiles[:, k], alpha=q)
        for k, q in enumerate(LEVELS)
    ]
    expected = 2 * np.dot(weights, losses)
    assert crps_from_quantiles(y_true, y_quantiles, LEVELS) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(40,), (20, 3)])
def test_the_crps_of_a_median_is_the_absolute_error(shape):
    y_true, y_quantiles, weights = random_forecasts(shape, n_quantiles=1)
    score = crps_from_quantiles(y_true, y_quantiles, [0.5], sample_weight=weights)
    error = mean_absolute_error(y_true, y_quantiles[..., 0], sample_weight=weights)
    assert score == pytest.approx(error)


def test_the_crps_approaches_that_of_the_normal():
    rng = np.random.default_rng(0)
    mean, sd = rng.normal(size=200), rng.uniform(0.5, 2, size=200)
    y_true = rng.normal(mean, 2 * sd)
    z = (y_true - mean) / sd
    closed = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    misses = []
    for n_levels in (9, 99, 999):
        levels = np.arange(1, n_levels + 1) / (n_levels + 1)
        y_quantiles = norm.ppf(levels, mean[:, None], sd[:, None])
        score = crps_from_quantiles(y_true, y_quantiles, levels)
        misses.append(abs(score / closed.mean() - 1))
    assert misses[1] < 2e-3
    assert misses[2] < misses[1] < misses[0]


@pytest.mark.parametrize("metric", [mean_quantile_loss, crps_from_quantiles])
@pytest.mark.parametrize(
    "levels", [0.5, [], [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [10, 90]]
)
def test_levels_that_do_not_increase_between_0_and_1_are_refused(metric, levels):
    with pytest.raises(ValueError, match=r"increase|minimum of 1"):
        metric([1.0, 2.0], np.ones((2, np.size(levels))), levels)


@pytest.mark.parametrize("metric", [mean_quantile_loss, crps_from_quantiles])
def test_every_level_needs_its_quantiles(metric):
    with pytest.raises(ValueError, match=r"\(2, 3\).* and 2 quantiles.*\(2, 2\)"):
        metric([1.0, 2.0], np.ones((2, 3)), [0.1, 0.9])
    with pytest.raises(ValueError, match=r"\(2,\).*ask for \(2, 2\)"):
        metric([1.0, 2.0], [1.0, 2.0], [0.1, 0.9])
    column = np.ones((2, 1, 2))
    assert metric([1.0, 2.0], column, [0.1, 0.9]) == metric(
        [1.0, 2.0], column[:, 0], [0.1, 0.9]
    )


def test_masked_values_and_weights_are_refused_as_missing():
    values, masked = [1.0, 2.0], np.ma.masked_array([1, 2], [0, 1])
    for call in (
        lambda: symmetric_mean_absolute_percentage_error(masked, values),
        lambda: mean_absolute_scaled_error(values, masked, scale=1.0),
        lambda: mean_absolute_scaled_error(values, values, scale=masked),
        lambda: mean_quantile_loss(masked, [[1.0], [2.0]], quantiles=[0.5]),
        lambda: interval_coverage(values, masked, values),
        lambda: mean_absolute_scaled_error(
            values, values, scale=1.0, sample_weight=masked
        ),
        lambda: symbol_error_rate(["a", "b"], ["a", "b"], sample_weight=masked),
        lambda: sequence_accuracy(["a", "b"], ["a", "b"], sample_weight=masked),
    ):
        with pytest.raises(ValueError, match="contains NaN"):
            call()
