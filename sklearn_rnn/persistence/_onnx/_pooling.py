"""Pooling in a graph: of whole sequences, and step by step."""

import numpy as np

from sklearn_rnn.persistence._onnx._graph import FLOAT


def array(tensor):
    """Return a tensor of torch as an array of float32."""
    return tensor.detach().cpu().numpy().astype(FLOAT)


def linear(layer, x):
    """Return what a linear layer makes of (..., n) values."""
    product = x @ np.ascontiguousarray(array(layer.weight).T)
    return product if layer.bias is None else product + array(layer.bias)


def pool_sequences(network, steps, states):
    """Return one vector (N, state_size) per sequence of its states (T, N, ...)."""
    kind = network.spec.pooling
    if kind == "last":
        return _pool_last(network, steps, states)
    inside = steps.inside().transpose(1, 0).expand(2)  # (T, N, 1)
    if kind == "mean":
        total = states.graph.where(inside, states, 0.0).sum(0)
        return total / steps.lengths.expand(1).cast(FLOAT)
    if kind == "max":
        return states.graph.where(inside, states, -np.inf).max(0)
    scores = states.graph.where(inside, _scores(network.pooling, states), -np.inf)
    return (scores.apply("Softmax", axis=0) * states).sum(0)


def _pool_last(network, steps, states):
    row = states.graph.range(steps.lengths.length(0))
    positions = states.graph.stack([steps.lengths - 1, row], 1)
    last = states.graph.node("GatherND", states, positions)
    size, n_forward = network.core.output_size, network.pooling.n_forward
    if n_forward == size:
        return last
    # A backward direction has read everything at the first step.
    first = states.take(0, axis=0).part(n_forward, size, 1)
    return states.graph.concatenate([last.part(0, n_forward, 1), first], 1)


def _scores(pooling, states):
    """Return the scores (T, N, 1) of attention, before the softmax."""
    return linear(pooling.score, linear(pooling.hidden, states).apply("Tanh"))


def pool_newest(network, steps, states):
    """Return one vector (N, state_size) per stream after one more step (1, N, ...)."""
    kind, state_size, where = (
        network.spec.pooling,
        network.core.output_size,
        states.graph.where,
    )
    state = states.squeeze(0)
    if kind == "last":
        return state
    before = steps.carry(state_size)
    if kind == "mean":
        total = before + state
        steps.keep(total)
        return total / steps.n_steps
    if kind == "max":
        largest = where(steps.has_begun, before.maximum(state), state)
        steps.keep(largest)
        return largest
    weight, largest = steps.carry(1), steps.carry(1)
    score = _scores(network.pooling, states).squeeze(0)
    new_largest = where(steps.has_begun, largest.maximum(score), score)
    # The largest score is subtracted, or the exponential could overflow.
    own = (score - new_largest).apply("Exp")
    faded = where(steps.has_begun, (largest - new_largest).apply("Exp"), 0.0)
    total, weight = faded * before + own * state, faded * weight + own
    for value in (total, weight, new_largest):
        steps.keep(value)
    return total / weight
