"""How much of a network's forecast goes into the average with the linear part."""

import os

import numpy as np

# Candidates of the network's weight.
GRID = np.linspace(0.0, 1.0, 21)
# An improvement of fewer standard errors than this may be chance, and counts for
# nothing; of t of them the fraction 1 - (this / t)**2 of the weight remains (the
# positive-part estimator of James and Stein).
CHANCE = float(os.environ.get('CHANCE','1.5'))
# Blocks of held-out data below which nothing can be told from chance.
FEWEST_BLOCKS = 4


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
    error = np.abs(y - predicted)
    if name == "absolute_error":
        return error
    if name == "huber":
        small = np.minimum(error, scale)
        return small * (error - small / 2)
    return error**2


def network_weights(loss, linear, network, weights, blocks):
    """Choose the network's weight in the average, for each output.

    The best weight on held-out data, as far as it improves on the linear part by more
    than chance.

    Parameters
    ----------
    loss : callable
        From predictions to the loss of each held-out target, (n, n_outputs), NaN
        where there is no target.
    linear, network : ndarray of shape (n, n_outputs, ...)
        Predictions for held-out sequences.
    weights : ndarray of shape (n,), or None
        Their sample weights.
    blocks : list of ndarray of int of shape (n,)
        For each output the block of each sequence, from 0: errors within a block hang
        together, as those of forecasts that overlap do, and count as one.

    Returns
    -------
    ndarray of shape (n_outputs,)
        Between 0 (the linear part alone) and 1.
    """
    weights = np.ones(len(linear)) if weights is None else weights
    losses = np.stack([loss(linear + w * (network - linear)) for w in GRID])
    known = ~np.isnan(losses[0])
    weights = np.where(known, weights[:, np.newaxis], 0.0)
    losses = np.where(known, losses, 0.0)
    best = np.einsum("gnj,nj->gj", losses, weights).argmin(axis=0)
    chosen = [
        GRID[k] * _beyond_chance(losses[0, :, j] - losses[k, :, j], weights[:, j], block)
        for j, (k, block) in enumerate(zip(best, blocks, strict=True))
    ]
    return np.array(chosen)


def _beyond_chance(gain, weights, blocks):
    """Return the fraction of a mean gain that is more than chance."""
    size = np.bincount(blocks, weights)
    total = np.bincount(blocks, weights * gain)
    total, size = total[size > 0], size[size > 0]
    n = len(size)
    if n < FEWEST_BLOCKS or total.sum() <= 0:
        return 0.0
    mean = total.sum() / size.sum()
    variance = ((total - mean * size) ** 2).sum() * n / (n - 1) / size.sum() ** 2
    return max(0.0, 1 - CHANCE**2 * variance / mean**2)
