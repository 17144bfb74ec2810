"""The n-grams beside a generator's network: what they learn from, and their weight."""

import numpy as np
import torch

# Part of a text that neither network nor n-grams see until the weight is fitted to it:
# a fraction of the steps; of a small text more of them, of a large one fewer.
UNSEEN_FRACTION, MOST_UNSEEN = 0.03, 20_000
UNSEEN_FRACTION_OF_FEW, FEW_UNSEEN = 0.1, 300
# Whole sequences are held out if they are so many, and the chosen ones neither so short
# nor so long that they have much less or more than that part.
FEWEST_SEQUENCES, SMALLEST_RATIO, LARGEST_RATIO = 50, 0.5, 2.0
# Steps below which held-out ones would say nothing, and both parts count alike.
FEWEST_STEPS = 300
# Symbols up to which the mean is geometric, as that of all of them has to be known, and
# up to which longer n-grams are tried.
FEW_SYMBOLS = 500
# By "auto": steps below which there are no n-grams, and how long they are.
FEWEST_FOR_AUTO, LONG, SHORT = 1000, 7, 4
# The weight is fitted as if so many held-out steps had been equally likely by each
# part alone: it stays between 0 and 1, and near a half if there are few others.
PRIOR_STEPS = 10
# Logs of probabilities that count as zero.
LOWEST = -100.0


def longest_order(order, n_steps, n_symbols):
    """Return the length of the longest n-grams to try, None for no n-grams."""
    if order != "auto":
        return order
    if n_steps < FEWEST_FOR_AUTO:
        return None
    return LONG if n_symbols <= FEW_SYMBOLS else SHORT


def hold_out_steps(sequences):
    """Return indices and ranges of sequences to learn from, and of held-out ones.

    The same whenever it is called: where a fit continues, its network has not seen what
    it is compared on.

    Parameters
    ----------
    sequences : SequenceArray
        The first step of each is not predicted.

    Returns
    -------
    seen, unseen : tuple of (indices, SequenceArray), or None if there are few steps
    """
    lengths = sequences.lengths
    n_steps = int((lengths - 1).sum())
    if n_steps < FEWEST_STEPS:
        return None
    n_unseen = max(
        min(round(UNSEEN_FRACTION * n_steps), MOST_UNSEEN),
        min(round(UNSEEN_FRACTION_OF_FEW * n_steps), FEW_UNSEEN),
    )
    if len(sequences) >= FEWEST_SEQUENCES:
        n_chosen = max(1, round(len(sequences) * n_unseen / n_steps))
        chosen = np.linspace(0, len(sequences), n_chosen, endpoint=False, dtype=int)
        chosen += len(sequences) // (2 * n_chosen)
        ratio = (lengths[chosen] - 1).sum() / n_unseen
        if SMALLEST_RATIO <= ratio <= LARGEST_RATIO:
            others = np.setdiff1d(np.arange(len(sequences)), chosen)
            return (others, sequences[others]), (chosen, sequences[chosen])
    # The end of the longest: of one text, that of the text.
    longest = int(lengths.argmax())
    n_unseen = min(n_unseen, int(lengths[longest]) // 2)
    shortened = lengths.copy()
    shortened[longest] -= n_unseen
    start = sequences.starts[longest] + shortened[longest] - 1
    unseen = sequences.over(np.array([start]), np.array([n_unseen + 1]))
    seen = sequences.over(sequences.starts, shortened)
    return (np.arange(len(sequences)), seen), (np.array([longest]), unseen)


def fit_weight(of_network, of_ngrams, weights=None):
    """Return the weight of the n-grams that makes held-out steps likeliest.

    Parameters
    ----------
    of_network, of_ngrams : ndarray of shape (n_steps,)
        Log-likelihood of each step.
    weights : ndarray of shape (n_steps,), default=None
        How often each step counts.

    Returns
    -------
    weight : float
        In (0, 1).
    likelihood : float
        Log of the mean probability, averaged over the steps.
    """
    # The likelihood is concave in the weight: its derivative has one root.
    ratio = np.expm1(np.clip(of_ngrams - of_network, -100, 100))
    low, high = 0.0, 1.0
    for _ in range(40):
        weight = (low + high) / 2
        gain = ratio / (1 + weight * ratio)
        gain = gain.sum() if weights is None else weights @ gain
        prior = PRIOR_STEPS / 2 * (1 / weight - 1 / (1 - weight))
        low, high = (weight, high) if gain + prior > 0 else (low, weight)
    steps = average_logs(of_network, of_ngrams, weight)
    return weight, float(np.average(steps, weights=weights))


def fit_geometric_weight(of_network, of_ngrams, targets, weights=None):
    """Return the weight of the n-grams in a geometric mean, as `fit_weight` does.

    Parameters
    ----------
    of_network, of_ngrams : ndarray of shape (n_steps, n_symbols)
        Log-probabilities of all symbols.
    targets : ndarray of int of shape (n_steps,)
        The symbols that came.
    weights : ndarray of shape (n_steps,), default=None
        How often each step counts.

    Returns
    -------
    float
        In (0, 1).
    """
    # The likelihood is concave here too. Its derivative is how much more the n-grams
    # than the network say of what came, less how much more of what was expected.
    ratios = np.maximum(of_ngrams, LOWEST) - np.maximum(of_network, LOWEST)
    came = ratios[np.arange(len(targets)), targets]
    low, high = 0.0, 1.0
    for _ in range(12):
        weight = (low + high) / 2
        mixed = torch.from_numpy(geometric_mean(of_network, of_ngrams, weight))
        expected = (mixed.softmax(dim=1).numpy() * ratios).sum(axis=1)
        gain = np.average(came - expected, weights=weights) * len(targets)
        prior = PRIOR_STEPS / 2 * (1 / weight - 1 / (1 - weight))
        low, high = (weight, high) if gain + prior > 0 else (low, weight)
    return weight


def geometric_mean(of_network, of_ngrams, weight):
    """Return logits whose softmax is the weighted geometric mean, normalised.

    `weight` is that of the n-grams, in [0, 1].
    """
    if weight in (0, 1):  # which would multiply minus infinity by zero
        return of_ngrams if weight else of_network
    return (1 - weight) * of_network + weight * of_ngrams


def average_logs(of_network, of_ngrams, weight):
    """Return the log of the average of probabilities that are given by their logs.

    `weight` is that of the n-grams.
    """
    with np.errstate(divide="ignore"):  # a weight of 0 or 1 leaves one of them
        return np.logaddexp(np.log1p(-weight) + of_network, np.log(weight) + of_ngrams)
