"""How much of a network's forecast goes into the average with the linear part."""

import numpy as np

# Candidates of the network's weight.
GRID = np.linspace(0.0, 1.0, 21)
# The weight that it has as long as held-out data do not tell another, and how strongly
# it is pulled there (see `prior_pull`). Chosen on the development half of the quality
# benchmark.
PRIOR = 0.3
PULL, STRONGLY_BELOW = 1.0, 30
# Of more sequences weights are pulled less.
PULLED_UP_TO = 600
# Losses are no smaller where they are divided by, or have logarithms.
TINY = 1e-300


def prior_pull(counts, strength, strongly_below):
    """Return how strongly weights of an average are pulled towards prior ones.

    Parameters
    ----------
    counts : ndarray of shape (n_outputs,) or float
        Number of held-out sequences.
    strength : float
        Penalty of a squared difference of 1, relative to the loss of the best part.
    strongly_below : float
        Number of sequences left which the penalty is much larger.

    Returns
    -------
    ndarray of shape (n_outputs,) or float
    """
    counts = np.maximum(counts, 1)
    pull = strength * np.minimum(1.0, PULLED_UP_TO / counts)
    return pull + (strongly_below / counts) ** 2


def elementwise_loss(name, y, predicted, scale=None, levels=None):
    """Return the loss of each target.

    Parameters
    ----------
    name : {"squared_error", "absolute_error", "huber", "quantile"}
        As the parameter `loss`.
    y : ndarray of shape (n, n_outputs)
        Targets, NaN where there is none.
    predicted : ndarray of shape (n, n_outputs) or (n, n_outputs, n_quantiles)
        Predictions; of "quantile" the quantiles.
    scale : ndarray of shape (n_outputs,), default=None
        From which error on "huber" is linear.
    levels : ndarray of shape (n_quantiles,), default=None
        Of the quantiles.

    Returns
    -------
    ndarray of shape (n, n_outputs)
        NaN where there is no target.
    """
    if name == "quantile":
        error = y[:, :, np.newaxis] - predicted
        return np.maximum(levels * error, (levels - 1) * error).mean(axis=2)
    return ELEMENTWISE_LOSSES[name](np.abs(y - predicted), scale)


def _huber_loss(error, scale):
    small = np.minimum(error, scale)
    return small * (error - small / 2)


# Of absolute errors, which are NaN without a target, and a scale.
ELEMENTWISE_LOSSES = {
    "squared_error": lambda error, scale: error**2,
    "absolute_error": lambda error, scale: error,
    "huber": _huber_loss,
}


def network_weights(losses, weights, counts):
    """Choose the network's weight in the average, for each output.

    Parameters
    ----------
    losses : ndarray of shape (n_grid, n_outputs)
        Sums over held-out sequences of the losses of averages, times sample weights.
    weights : ndarray of shape (n_outputs,)
        Sums of the sample weights.
    counts : ndarray of int of shape (n_outputs,)
        Number of these sequences, copies of one counted once.

    Returns
    -------
    ndarray of shape (n_outputs,)
        Between 0 (the linear part alone) and 1. 0 where there are no targets.
    """
    pull = prior_pull(counts, PULL, STRONGLY_BELOW)
    better = np.maximum(np.minimum(losses[0], losses[-1]), TINY)
    with np.errstate(over="ignore"):
        penalised = losses / better + pull * (GRID[:, np.newaxis] - PRIOR) ** 2
    return np.where(weights > 0, _minimum(penalised), 0.0)


def _minimum(losses):
    """Return where losses on `GRID`, (n_grid, n_outputs), are lowest, between points.

    A point of the grid alone would jump with the rounding of losses.
    """
    best = losses.argmin(axis=0)
    inside = np.clip(best, 1, len(GRID) - 2)
    left, at, right = (
        np.take_along_axis(losses, (inside + k)[np.newaxis], axis=0)[0]
        for k in (-1, 0, 1)
    )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # Of the parabola through three points; losses may be infinite.
        shift = (left - right) / (2 * (left - 2 * at + right))
    is_vertex = (best == inside) & np.isfinite(shift)
    step = GRID[1] - GRID[0]
    return GRID[best] + np.where(is_vertex, shift, 0.0) * step


def weighted_losses(loss, linear, network, weights):
    """Sum the losses of averages with each weight in `GRID`.

    Parameters
    ----------
    loss : callable
        From predictions to the loss of each held-out target, (n, n_outputs), NaN
        where there is no target.
    linear, network : ndarray of shape (n, n_outputs, ...)
        Predictions for held-out sequences.
    weights : ndarray of shape (n,)
        Their sample weights.

    Returns
    -------
    losses : ndarray of shape (n_grid, n_outputs)
        Times the sample weights.
    weights : ndarray of shape (n_outputs,)
        Of the sequences that have a target.
    """
    losses = np.stack([loss(linear + w * (network - linear)) for w in GRID])
    weights = np.where(np.isnan(losses[0]), 0.0, weights[:, np.newaxis])
    losses = np.nan_to_num(losses, nan=0.0, posinf=np.inf)
    return np.einsum("gnj,nj->gj", losses, weights), weights.sum(axis=0)
