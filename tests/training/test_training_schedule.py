import math

import numpy as np
import pytest

from sklearn_rnn.training import (
    Patience,
    n_epochs_for,
    warm_up_cosine,
)
from sklearn_rnn.training._optimizers import MIN_EPOCHS, UPDATE_BUDGET


def test_schedule_climbs_then_falls_along_a_cosine():
    climb = [warm_up_cosine(p) for p in np.linspace(0, 0.049, 20)]
    fall = [warm_up_cosine(p) for p in np.linspace(0.05, 1, 20)]
    assert 0 < climb[0] < 0.5
    assert all(np.diff(climb) > 0)
    assert fall[0] == 1
    assert all(np.diff(fall) < 0)
    assert fall[-1] == pytest.approx(0)
    quarter = 0.05 + 0.95 / 4
    assert warm_up_cosine(quarter) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_auto_epochs_spend_a_budget_of_updates():
    assert n_epochs_for(64 * 30, 64) == UPDATE_BUDGET / 30
    assert n_epochs_for(64 * 30 + 1, 64) == math.ceil(UPDATE_BUDGET / 31)
    # What counts is the number of batches, not of sequences.
    assert n_epochs_for(32 * 30, 32) == UPDATE_BUDGET / 30
    assert n_epochs_for(32 * 30, 32, updates_per_batch=2) == UPDATE_BUDGET / 60


def test_auto_epochs_are_bounded():
    assert n_epochs_for(1, 64) == n_epochs_for(64, 64) == UPDATE_BUDGET
    assert n_epochs_for(1, 64, at_most=60) == 60
    assert n_epochs_for(10**9, 64) == MIN_EPOCHS


def test_patience_counts_epochs_without_enough_improvement():
    patience = Patience(n_iter_no_change=3, tol=0.1)
    losses = [1.0, 0.95, 0.93, 0.8, 0.79, 0.78, 0.77]
    assert [patience.exhausted(loss) for loss in losses] == [False] * 6 + [True]


def test_a_cool_down_follows_for_half_as_many_epochs_as_the_best_took():
    patience = Patience(n_iter_no_change=2, tol=0.0, cool_down=0.5)
    losses = [1.0 - epoch / 100 for epoch in range(8)] + [2.0] * 6
    stops, lengths = [], []
    for loss in losses:
        stops.append(patience.exhausted(loss))
        lengths.append(patience.n_cool_down)
    assert lengths == [0] * 9 + [4] + [0] * 4
    assert stops == [False] * 13 + [True]
    assert patience.best_epoch == 7


def test_an_early_cool_down_has_three_epochs_and_may_find_better_ones():
    patience = Patience(n_iter_no_change=1, tol=0.0, cool_down=0.5)
    losses = [1.0, 1.1, 0.9, 0.8, 0.7]
    assert [patience.exhausted(loss) for loss in losses] == [False] * 4 + [True]
    assert patience.best_epoch == 4


def test_of_equal_losses_the_lowest_tie_is_the_best():
    patience = Patience(n_iter_no_change=10, tol=0.0)
    improved = []
    for loss, tie in [(0.5, 2.0), (0.5, 3.0), (0.5, 1.0), (0.6, 0.1), (0.4, 9.0)]:
        patience.exhausted(loss, tie)
        improved.append(patience.improved)
    assert improved == [True, False, True, False, True]


def test_small_improvements_add_up():
    patience = Patience(n_iter_no_change=2, tol=0.1)
    # Each step is below tol, but every second one passes it since the last.
    assert not any(patience.exhausted(loss) for loss in [1.0, 0.94, 0.88, 0.82, 0.76])


def test_patience_remembers_the_lowest_loss_by_any_amount():
    patience = Patience(n_iter_no_change=10, tol=0.5)
    improved = []
    for loss in [1.0, 0.9, 0.95, 0.89, math.nan, 0.9]:
        patience.exhausted(loss)
        improved.append(patience.improved)
    assert improved == [True, True, False, True, False, False]
    assert patience.best_epoch == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_no_improvement(bad):
    patience = Patience(n_iter_no_change=2, tol=0.0)
    assert [patience.exhausted(loss) for loss in (1.0, bad, bad)] == [0, 0, 1]
    assert patience.best_epoch == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_first_epoch_is_better_than_none_and_worse_than_any_other(bad):
    patience = Patience(n_iter_no_change=5, tol=0.0)
    patience.exhausted(bad)
    assert patience.improved
    assert patience.best_epoch == 0
    patience.exhausted(1.0)
    assert patience.improved
    assert patience.best_epoch == 1
