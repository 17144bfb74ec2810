"""How much of a network's forecast goes into the average with the linear part."""

import numpy as np

# Candidates of the network's weight.
GRID = np.linspace(0.0, 1.0, 21)
# An improvement of fewer standard errors than this may be chance, and counts for
# nothing; of t of them the fraction 1 - (this / t)**2 of the weight remains (the
# positive-part estimator of James and Stein).
CHANCE = 2.0
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
    blocks : list of tuple
        For each output the block of each sequence, an ndarray of int of shape (n,)
        from 0, whose errors depend on one another, as those of overlapping forecasts
        do, and count as one; and how many blocks in a row depend on one another.

    Returns
    -------
    ndarray of shape (n_outputs,)
        Between 0 (the linear part alone) and 1.
    """
    losses, weights = weighted_losses(loss, linear, network, weights)
    chosen = []
    for j, (block, n_dependent) in enumerate(blocks):
        sums = np.array([np.bincount(block, at) for at in losses[:, :, j]])
        sizes = np.bincount(block, weights[:, j])
        chosen.append(weight_of_blocks(sums, sizes, n_dependent))
    return np.array(chosen)


def weighted_losses(loss, linear, network, weights):
    """Compute the losses of averages with each weight in `GRID`.

    Parameters
    ----------
    loss, linear, network, weights
        As for `network_weights`.

    Returns
    -------
    losses : ndarray of shape (n_grid, n, n_outputs)
        Times the sample weights; 0 where there is no target.
    weights : ndarray of shape (n, n_outputs)
        The sample weights; 0 where there is no target.
    """
    weights = np.ones(len(linear)) if weights is None else weights
    losses = np.stack([loss(linear + w * (network - linear)) for w in GRID])
    weights = np.where(np.isnan(losses[0]), 0.0, weights[:, np.newaxis])
    return np.nan_to_num(losses, nan=0.0, posinf=np.inf) * weights, weights


def weight_of_blocks(sums, sizes, n_dependent=1.0):
    """Choose the network's weight by the losses of blocks of held-out data.

    Parameters
    ----------
    sums : ndarray of shape (n_grid, n_blocks)
        Summed losses, times sample weights.
    sizes : ndarray of shape (n_blocks,)
        Summed sample weights.
    n_dependent : float, default=1.0
        How many blocks in a row depend on one another.

    Returns
    -------
    float
        Between 0 and 1.
    """
    sums, sizes = sums[:, sizes > 0], sizes[sizes > 0]
    best = int(sums.sum(axis=1).argmin())
    gain, n = sums[0] - sums[best], len(sizes)
    if n < FEWEST_BLOCKS or gain.sum() <= 0:
        return 0.0
    gain = gain / np.abs(gain).max()  # their squares may overflow
    mean = gain.sum() / sizes.sum()
    variance = ((gain - mean * sizes) ** 2).sum() * n / (n - 1) / sizes.sum() ** 2
    variance *= n_dependent
    return GRID[best] * max(0.0, 1 - CHANCE**2 * variance / mean**2)
