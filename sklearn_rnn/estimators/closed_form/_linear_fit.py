"""Fitting the linear part: penalties and weights by cross-validation in blocks."""

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form._blend import TINY, prior_pull
from sklearn_rnn.estimators.closed_form._linear import (
    BEYOND,
    LOG,
    Layout,
    LinearPart,
    Member,
    evenly,
    iterate_windows,
    weights_of_long,
)
from sklearn_rnn.estimators.closed_form._ridge import (
    PENALTIES,
    Products,
    average_weights,
)
from sklearn_rnn.sequences import mean_and_scale
from sklearn_rnn.training import find_copies, validation_folds

# Values of a window that are read at most, and at most so many per sequence: the
# matrices of the normal equations have their square.
MOST_VALUES, VALUES_PER_SEQUENCE, FEWEST_VALUES = 1024, 2, 64
# Categories of all features that are read at most, for the same reason; of more, none.
MOST_INDICATORS = 512
# Rows times squared values that are summed at most; beyond it every k-th sequence is
# read, which changes such well-determined coefficients little.
MOST_WORK = 4e10
N_FOLDS, N_FOLDS_OF_MANY_VALUES, MANY_VALUES = 5, 3, 512
# Fewer sequences say nothing about a penalty.
FEWEST_SEQUENCES = 8
# How strongly the members' weights are pulled towards prior ones (see `prior_pull`).
# These, and the choice of members, come from the development half of the quality
# benchmark.
SHRINKAGE, STRONGLY_BELOW = 0.5, 60
# Beside equal weights the naive forecast has the prior weight c² / (n² + c²).
NAIVE_COUNT = 20
# From so many sequences on, averages of more members, and choices between networks,
# gain nothing.
FEW = 3000
# Sets of outputs that miss targets in the same sequences, at most: of more, sequences
# with all targets are read, if they are half of all.
MOST_PATTERNS = 4
# Sequences from which anchors and the members' weights are chosen, at most.
MOST_COMPARED = 20_000
# Windows may be of different size if their mean sizes, of 98 %, differ by this factor;
# they are, if that predicts windows of all sizes better.
SAME_SIZE, N_SIZES = 30.0, 5


@dataclass(frozen=True)
class CrossFit:
    """A linear part that predicts each training sequence without having seen it.

    Parameters
    ----------
    part : LinearPart
        With a fit without each fold.
    fold_of : ndarray of int of shape (n_sequences,)
        The fold of each training sequence.
    """

    part: LinearPart
    fold_of: np.ndarray

    def predict(self, sequences, rows):
        """Predict some of the training sequences, (n_rows, n_outputs)."""
        found = np.empty((len(rows), self.part.weights.shape[1]))
        for fold in np.unique(self.fold_of[rows]):
            chosen = np.flatnonzero(self.fold_of[rows] == fold)
            found[chosen] = self.part.predict(sequences, rows[chosen], int(fold))
        return found

    def start_stream(self):
        """Return a linear part that continues to be fitted."""
        return LinearStream(self.part.without_folds())


def fit_linear(
    sequences,
    y,
    weights,
    *,
    columns,
    horizon,
    is_scaled,
    random_state,
    steps_ahead=(),
    is_mean=True,
):
    """Fit a linear part to sequences.

    Parameters
    ----------
    sequences : SequenceArray
        Training inputs, at least 8.
    y : ndarray of shape (n_sequences, n_outputs)
        Targets; NaN where there is none.
    weights : ndarray of shape (n_sequences,), or None
        Sample weights.
    columns : ndarray of int of shape (n_outputs,), or None
        The feature that holds each target's past.
    horizon : int
        Steps that the furthest target lies ahead.
    is_scaled : bool or "auto"
        Whether windows are measured by their own size; "auto" if sizes differ by more
        than a factor of 30 and windows of all sizes are predicted better.
    random_state : numpy.random.RandomState
        Draws folds where sequences are not ordered in time.
    steps_ahead : list of int, default=()
        How far ahead each target lies, if that is known.
    is_mean : bool, default=True
        Whether forecasts by logarithms are means, as squared errors want them, or
        medians.

    Returns
    -------
    CrossFit
        The linear part, and its fits without each fold.
    """
    # As a weight of two is a repetition, copies count once.
    n_distinct = len(find_copies(sequences)[0])
    layout, spread, level = _choose_layout(sequences, n_distinct, weights, columns)
    has_many = layout.n_values > MANY_VALUES
    n_folds = min(N_FOLDS_OF_MANY_VALUES if has_many else N_FOLDS, n_distinct // 4)
    folds, near = validation_folds(sequences, n_folds, horizon, random_state)
    problem = _Problem(
        sequences,
        y,
        weights,
        folds,
        near,
        n_distinct,
        steps_ahead=steps_ahead,
        is_mean=is_mean,
    )
    if columns is None:
        return problem.solve(layout)
    plain = _with_typical_spread(layout, spread, level, problem.all_weights, False)
    any_size = (level > 0).all(axis=1).any()
    if is_scaled is False or not any_size:
        return problem.solve(problem.with_logarithms(plain))
    scaled = _with_typical_spread(layout, spread, level, problem.all_weights, True)
    if is_scaled is True:
        return problem.solve(scaled)
    low, high = np.quantile(level, [0.01, 0.99], axis=0)
    plain = problem.solve(problem.with_logarithms(plain))
    if (high <= SAME_SIZE * low).all():
        return plain
    scaled = problem.solve(scaled)
    return scaled if problem.is_better(scaled, plain, level) else plain


def choose_scaled_layout(sequences, weights, columns):
    """Choose the windows whose spread is the unit of what is read and predicted.

    Parameters
    ----------
    sequences, weights, columns
        As for `fit_linear`; with columns.

    Returns
    -------
    Layout
        Of the length that a linear part has.
    """
    n_distinct = len(find_copies(sequences)[0])
    layout, spread, level = _choose_layout(sequences, n_distinct, weights, columns)
    weights = np.ones(len(sequences)) if weights is None else weights
    return _with_typical_spread(layout, spread, level, weights, True)


def _choose_layout(sequences, n_distinct, weights, columns):
    """Choose the length of windows.

    Returns
    -------
    layout : Layout
        Without anchors and units.
    spread, level : ndarray of shape (n_compared, n_past), or None
        Standard deviation and mean size of each past in evenly spaced windows.
    """
    n_features = sequences.n_features
    most = np.clip(VALUES_PER_SEQUENCE * n_distinct, FEWEST_VALUES, MOST_VALUES)
    n_lags = int(max(1, min(sequences.lengths.max(), most // n_features)))
    n_indicators = sum(map(len, (sequences.categories or {}).values()))
    layout = Layout(
        n_lags,
        mean_and_scale(sequences, weights)[0],
        columns,
        n_indicators=n_indicators if n_indicators <= MOST_INDICATORS else 0,
    )
    if columns is None:
        return layout, None, None
    rows = evenly(len(sequences), MOST_COMPARED)
    spread, level = np.empty((2, len(rows), len(layout.past)))
    blocks = iterate_windows(layout, sequences, rows, past_only=True)
    for positions, windows in blocks:
        spread[positions], level[positions] = windows.spread, windows.size()
    return layout, spread, level


def _with_typical_spread(layout, spread, level, weights, is_scaled):
    """Return a layout with its units, for windows of like or of different size."""
    weights = weights[evenly(len(weights), MOST_COMPARED), np.newaxis]
    weights = np.where(spread > 0, weights, 0.0 if is_scaled else weights)
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    if is_scaled:
        logs = np.log(np.where(spread > 0, spread, 1.0))
        typical = np.exp((weights * logs).sum(axis=0) / total)
    else:
        typical = (weights * spread).sum(axis=0) / total
    moved = ((np.ptp(level, axis=0) > 0) | spread.any(axis=0)).any()
    ratio = None
    if is_scaled:
        columns = zip(spread.T, level.T, weights.T, strict=True)
        ratio = np.array([_mean_ratio(*of_past) for of_past in columns])
    return replace(
        layout,
        typical_ratio=ratio,
        typical_spread=np.where(typical > 0, typical, 1.0),
        is_scaled=is_scaled,
        has_level=bool(moved and not is_scaled),
    )


def _mean_ratio(spread, level, weights):
    """Return the geometric mean of spread divided by level, 0 if windows are flat."""
    known = (spread > 0) & (level > 0) & (weights > 0)
    if not known.any():
        return 0.0
    logs = np.log(spread[known] / level[known])
    return np.exp(np.average(logs, weights=weights[known]))


class _Problem:
    """The regressions that members are fitted by: sums over folds of windows."""

    def __init__(
        self, sequences, y, weights, folds, near, n_distinct, *, steps_ahead, is_mean
    ):
        self.sequences, self.y, self.n_distinct = sequences, y, n_distinct
        self.steps_ahead, self.is_mean = np.array(steps_ahead), is_mean
        self.folds, self.near = folds, near
        self.all_weights = np.ones(len(y)) if weights is None else weights
        # Outputs without a target in the same sequences share their sums.
        there = ~np.isnan(y)
        _, first, pattern = np.unique(
            there, axis=1, return_index=True, return_inverse=True
        )
        pattern = pattern.ravel()
        self.groups = [
            (np.flatnonzero(pattern == k), there[:, at]) for k, at in enumerate(first)
        ]
        whole = there.all(axis=1)
        if len(first) > MOST_PATTERNS and whole.mean() >= 0.5:
            self.groups = [(np.arange(y.shape[1]), whole)]

    def solve(self, layout):
        """Fit the members in a layout, and average them."""
        rows = evenly(len(self.y), MOST_COMPARED)
        self.use(layout)
        anchors = None
        if layout.columns is not None:
            anchors = self.find_anchors(layout, rows)
            log = layout.log and replace(layout.log, anchors=anchors)
            self.layout = replace(layout, anchors=anchors, log=log)
        names = ["level"] if layout.has_level else []
        names += [] if anchors is None else ["deviation", "change"]
        if layout.log is not None:
            names += [LOG + name for name in names]
        cells = self._cells()
        members = tuple(self.fit_member(name, *cells) for name in names)
        weights, factors = self.average(members)
        members = tuple(
            replace(member, factor=factor)
            for member, factor in zip(members, factors, strict=False)
        )
        return CrossFit(LinearPart(self.layout, members, weights), self.folds)

    def with_logarithms(self, layout):
        """Return a layout that sees logarithms as well, if there is a use for them."""
        is_large = self.n_distinct >= FEW or not layout.has_level
        if is_large or not np.nanmin(self.y) > 0:
            return layout
        rows, past = evenly(len(self.y), MOST_COMPARED), layout.past
        weights = self.all_weights[rows, np.newaxis]
        lowest = np.full(len(past), np.inf)
        highest, mean = np.zeros((2, len(past)))
        for positions, windows in iterate_windows(layout, self.sequences, rows):
            values = windows.past + layout.center[past]
            lowest = np.minimum(lowest, values.min(axis=(0, 1)))
            highest = np.maximum(highest, values.max(axis=(0, 1)))
            if not (lowest > 0).all():
                return layout
            mean += (weights[positions] * np.log(values).mean(axis=1)).sum(axis=0)
        center, own = layout.center.copy(), layout.index_in_past
        center[past] = mean / weights.sum()
        low = np.minimum(lowest[own], np.nanmin(self.y, axis=0)) / BEYOND
        high = np.maximum(highest[own], np.nanmax(self.y, axis=0)) * BEYOND
        log = replace(
            layout, center=center, typical_spread=None, bounds=np.log([low, high])
        )
        spread, both = np.zeros(len(past)), replace(layout, log=log)
        for positions, windows in iterate_windows(both, self.sequences, rows):
            spread += (weights[positions] * windows.logarithms.spread).sum(axis=0)
        spread /= weights.sum()
        log = replace(log, typical_spread=np.where(spread > 0, spread, 1.0))
        return replace(layout, log=log)

    def find_anchors(self, layout, rows):
        """Return the lag whose value is nearest to each target, in mean squares.

        Where it is known how far ahead targets lie, those of one series share a season:
        of few windows, each alone would take what chance makes the nearest.
        """
        errors = np.zeros((layout.n_lags, len(layout.columns)))
        blocks = iterate_windows(layout, self.sequences, rows, past_only=True)
        for positions, windows in blocks:
            block = rows[positions]
            target = self.y[block] - windows.level
            past = windows.values[:, ::-1, windows.layout.columns]
            error = (past - target[:, np.newaxis]) ** 2
            error /= windows.error_units()[:, np.newaxis] ** 2
            error *= self.weights[block][:, np.newaxis, np.newaxis]
            errors += np.nansum(error, axis=0)
        anchors = errors.argmin(axis=0)  # of equal ones the latest
        if len(self.steps_ahead) == 0:
            return anchors
        season = 1 + np.arange(layout.n_lags)[:, np.newaxis]
        lags = -self.steps_ahead % season  # (n_seasons, n_outputs); of season 1 all 0
        logs = np.log(np.maximum(errors[lags, np.arange(lags.shape[1])], TINY))
        for column in layout.past:
            own = layout.columns == column
            anchors[own] = lags[logs[:, own].sum(axis=1).argmin()][own]
        return anchors

    def use(self, layout):
        """Set the layout, and the sequences whose products are summed."""
        self.layout = layout
        self.weights = weights_of_long(layout, self.sequences, self.all_weights)
        at_most = int(max(1000, MOST_WORK // (layout.n_values + 1) ** 2))
        self.rows = evenly(len(self.y), at_most)

    def is_better(self, new, old, level):
        """Return whether windows of all sizes together are predicted better.

        Squared errors are averaged within five groups of windows of like size, and
        compared in the geometric mean of the groups.
        """
        rows = evenly(len(self.y), MOST_COMPARED)
        errors = [
            (c.predict(self.sequences, rows) - self.y[rows]) ** 2 for c in (new, old)
        ]
        gains = []
        for j, index in enumerate(new.part.layout.index_in_past):
            known = np.flatnonzero(~np.isnan(errors[0][:, j]))
            order = known[np.argsort(level[known, index], kind="stable")]
            for group in np.array_split(order, N_SIZES):
                if len(group) == 0:
                    continue
                weights = self.weights[rows[group]]
                mean = [np.average(e[group, j], weights=weights) for e in errors]
                gains.append(np.log((mean[0] + TINY) / (mean[1] + TINY)))
        return sum(gains) < 0

    def fit_member(self, name, cells, fold_of_cell, is_near):
        """Fit one member: to all windows, and without each fold."""
        sums = [self.sums(name, rows) for rows in cells]
        n_folds = self.folds.max() + 1
        n_values = self.layout.n_values
        coef = np.empty((n_folds + 1, n_values + 1, self.y.shape[1]))
        penalties = np.empty(self.y.shape[1])
        for g, (outputs, _) in enumerate(self.groups):
            coef[:, :, outputs], penalties[outputs] = _solve(
                [of_cell[g] for of_cell in sums], fold_of_cell, is_near
            )
        return Member(name, coef, penalties)

    def _cells(self):
        """Split rows by their fold, and by the folds that they are near to.

        What a fold must not see is left out by adding the others, as subtracting it
        would leave rounding where a feature is constant.

        Returns
        -------
        cells : list of ndarray of int
            Rows of each cell.
        fold_of_cell : ndarray of int of shape (n_cells,)
            The fold that each belongs to.
        is_near : ndarray of bool of shape (n_cells, n_folds)
            The folds that each is near to.
        """
        n_folds = self.folds.max() + 1
        near = [self.near(fold, self.rows) for fold in range(n_folds)]
        marks = np.column_stack([self.folds[self.rows], *near])
        marks, cell = np.unique(marks, axis=0, return_inverse=True)
        cells = [self.rows[cell.ravel() == k] for k in range(len(marks))]
        return cells, marks[:, 0], marks[:, 1:].astype(bool)

    def sums(self, name, rows):
        """Sum products over some sequences, one `Products` per group of outputs."""
        n_values = self.layout.n_values
        sums = [Products.zero(n_values, len(outputs)) for outputs, _ in self.groups]
        for positions, windows in iterate_windows(self.layout, self.sequences, rows):
            block = rows[positions]
            seen = windows.logarithms if name.startswith(LOG) else windows
            how = name.removeprefix(LOG)
            features, offset, unit = seen.regression(how)
            targets = (seen.transform_targets(self.y[block]) - offset) / unit
            counts = ~np.isnan(windows.error_units()).any(axis=1)
            weights = self.weights[block]
            for g, (outputs, there) in enumerate(self.groups):
                known = there[block] & counts & (weights > 0)
                is_equal = (weights[known] == 1).all()
                sums[g] += Products.of(
                    features[known],
                    targets[known][:, outputs],
                    None if is_equal else weights[known],
                )
        return sums

    def average(self, members):
        """Choose the weight of each member, and the factor of its forecasts.

        Returns
        -------
        weights : ndarray of shape (n_members, n_outputs)
        factors : ndarray of shape (n_members, n_outputs)
        """
        rows = evenly(len(self.y), MOST_COMPARED)
        rows = rows[np.argsort(self.folds[rows], kind="stable")]
        has_naive = self.layout.columns is not None
        weights = np.ones((len(members) + has_naive, self.y.shape[1]))
        factors = np.ones_like(weights)
        part = LinearPart(self.layout, members, weights)
        unit = part.units(self.sequences[rows], of_errors=True)
        target = self.y[rows] / unit
        blocks = [
            part.predict(
                self.sequences, rows[self.folds[rows] == fold], fold, averaged=False
            )
            for fold in np.unique(self.folds[rows])
        ]
        found = np.concatenate(blocks) / unit[:, np.newaxis]
        for j in range(found.shape[2]):
            known = ~np.isnan(target[:, j])
            count = max(1.0, self.n_distinct * known.mean())
            shrinkage, prior = _prior_weights(count, len(weights), has_naive)
            for k, member in enumerate(members):
                if self.is_mean and member.name.startswith(LOG):
                    factors[k, j] = _mean_factor(
                        found[known, k, j], target[known, j], self.weights[rows][known]
                    )
                    found[:, k, j] *= factors[k, j]
            weights[:, j] = average_weights(
                found[known, :, j],
                target[known, j],
                self.weights[rows][known],
                shrinkage,
                prior,
            )
        return weights, factors


def _prior_weights(count, n_members, has_naive):
    """Return how strongly members' weights are pulled, by the windows, and to which."""
    shrinkage = prior_pull(count, SHRINKAGE, STRONGLY_BELOW)
    prior = np.full(n_members, 1 / n_members)
    if has_naive:
        naive = NAIVE_COUNT**2 / (count**2 + NAIVE_COUNT**2)
        prior *= 1 - naive
        prior[-1] += naive
    return shrinkage, prior


def _mean_factor(predicted, y, weights):
    """Return what turns forecasts by logarithms, medians, into means.

    The mean ratio of targets and forecasts that did not see them (Duan, "Smearing
    estimate", Journal of the American Statistical Association 78, 1983).
    """
    total = weights.sum()
    if not total > 0:
        return 1.0
    return np.clip((weights * y / predicted).sum() / total, 1 / BEYOND, BEYOND)


def _solve(sums, fold_of_cell, is_near):
    """Return coefficients without each fold and with all, at the best penalty.

    Parameters
    ----------
    sums : list of Products
        Over each cell.
    fold_of_cell, is_near : ndarray
        As `_cells` returns them.

    Returns
    -------
    coef : ndarray of shape (n_folds + 1, n_values + 1, n_outputs)
        The last ones are of all folds.
    penalties : ndarray of shape (n_outputs,)
        The best ones.
    """
    total = _add(sums)
    paths: list[Any] = []
    errors: Any = 0.0
    for fold in range(is_near.shape[1]):
        is_own = fold_of_cell == fold
        rest = _add(sums, ~is_own & ~is_near[:, fold])
        path = (rest if rest is not None and rest.total > 0 else total).solve()
        own = _add(sums, is_own)
        errors = errors + (0.0 if own is None else own.squared_errors(path))
        paths.append(path)
    paths.append(total.solve())
    best = errors.argmin(axis=0)
    outputs = np.arange(len(best))
    coef = np.stack([path[best, :, outputs].T for path in paths])
    return coef, PENALTIES[best]


def _add(sums, chosen=None):
    """Add some sums; None if there are none."""
    chosen = range(len(sums)) if chosen is None else np.flatnonzero(chosen)
    return reduce(add, [sums[k] for k in chosen]) if len(chosen) else None


@plain_type
class LinearStream:
    """A linear part that continues to be fitted by calls of partial_fit.

    Penalties, weights of members, anchors, units and whether there are logarithms stay
    those of the first call; the coefficients are those of all sequences so far.
    Sequences with a missing target are left out.

    Parameters
    ----------
    part : LinearPart
        Fitted to the first call.
    """

    def __init__(self, part):
        self.part = part
        self.sums: list[Any] = [None] * len(part.members)

    def add(self, sequences, y, weights):
        """Add sequences.

        Returns
        -------
        LinearPart
            Fitted to all so far.
        """
        whole = ~np.isnan(y).any(axis=1)
        problem = _Problem(
            sequences, y, weights, None, None, len(y), steps_ahead=(), is_mean=False
        )
        problem.use(self.part.layout)
        problem.rows = problem.rows[whole[problem.rows]]
        problem.groups = [(np.arange(y.shape[1]), whole)]
        members, totals = [], []
        for member, before in zip(self.part.members, self.sums, strict=True):
            sums = problem.sums(member.name, problem.rows)[0]
            totals.append(sums if before is None else before + sums)
            coef = member.coef
            if totals[-1].total > 0:
                coef = totals[-1].solve_at(member.penalties)[np.newaxis]
            members.append(replace(member, coef=coef))
        self.sums = totals
        self.part = replace(self.part, members=tuple(members))
        return self.part
