"""Recurrent networks in a graph, from their weights."""

from typing import Any

import numpy as np

from sklearn_rnn.persistence._onnx._graph import FLOAT, INT
from sklearn_rnn.persistence._onnx._pooling import (
    array,
    linear,
    pool_newest,
    pool_sequences,
)
from sklearn_rnn.persistence._onnx._steps import NewestStep

# For each cell the operator, its gates (their positions in the weights of torch) in the
# order of the operator, and further attributes. The gates of an LSTM are input, forget,
# cell, output in torch and input, output, forget, cell in ONNX; those of a GRU reset,
# update, new and update, reset, new. In torch the reset gate multiplies the product of
# the state with its weights (linear_before_reset), not the state.
CELLS: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "rnn": ("RNN", [0], {"activations": ["Tanh"]}),
    "rnn_relu": ("RNN", [0], {"activations": ["Relu"]}),
    "lstm": ("LSTM", [0, 3, 1, 2], {}),
    "gru": ("GRU", [1, 0, 2], {"linear_before_reset": 1}),
}


def run_network(network, steps, inputs):
    """Return a network's outputs (N, n_outputs), or (N, T, n_outputs) of all steps.

    Parameters
    ----------
    network : SequenceNetwork
        On any device.
    steps : Steps
        What it reads.
    inputs : Value of shape (N, T, F), or (N, T) of ids of tokens
        The steps relative to what the task says.
    """
    states = _run_core(network.core, steps, _scale_inputs(network, inputs))
    if network.pooling is None:
        return linear(network.head, states.transpose(1, 0, 2))
    pool = pool_newest if isinstance(steps, NewestStep) else pool_sequences
    return linear(network.head, pool(network, steps, states))


def _scale_inputs(network, inputs):
    """Return what the core reads, (T, N, n_inputs) in float32."""
    if network.spec.n_tokens is not None:
        return _embed(network.embedding, inputs).transpose(1, 0, 2)
    center, factor = (
        values.detach().cpu().numpy() for values in (network.center, network.factor)
    )
    x = ((inputs - center) * factor).cast(FLOAT).transpose(1, 0, 2)
    return x if network.categories is None else _embed_categories(network, x)


def _embed(embedding, tokens):
    n_tokens, graph = embedding.n_tokens, tokens.graph
    is_unknown = (tokens < 0) | (tokens > n_tokens)
    if embedding.unknown_token is not None:
        is_unknown = is_unknown | tokens.equals(embedding.unknown_token)
    tokens = graph.where(is_unknown, n_tokens, tokens)
    return graph.constant(array(embedding.weight)).take(tokens, axis=0)


def _embed_categories(network, x):
    parts, begin, graph = [], 0, x.graph
    for position, which in network.categories.features:
        if begin < position:
            parts.append(x.part(begin, position, 2))
        vectors = graph.constant(array(network.categories.vectors[which].weight))
        parts.append(vectors.take(x.take(position, axis=2).cast(INT), axis=0))
        begin = position + 1
    if begin < network.spec.n_features:
        parts.append(x.part(begin, network.spec.n_features, 2))
    return graph.concatenate(parts, 2)


def _run_core(core, steps, x):
    """Return the states (T, N, state_size) of the last layer."""
    for layer in range(core.n_layers):
        inputs = x if layer == 0 else _normalise(core.norms[layer - 1], x)
        states = _run_layer(core, layer, steps, inputs)
        x = states + x if core.residual and layer > 0 else states
    return _normalise(core.norms[-1], x)


def _run_layer(core, layer, steps, x):
    """Return the states (T, N, state_size) of one layer."""
    if core.cell not in CELLS:
        raise ValueError(
            f"to_onnx has no operator for cell={core.cell!r}: fit with one of "
            f"{sorted(CELLS)}, or save the model by save_model."
        )
    op, gates, attributes = CELLS[core.cell]
    rnn, ways = core.rnn, ["", "_reverse"] if core.rnn.bidirectional else [""]
    per_way = [_layer_weights(rnn, f"l{layer}{way}", gates) for way in ways]
    weights = [np.stack(parts) for parts in zip(*per_way, strict=True)]
    if rnn.bidirectional and "activations" in attributes:
        attributes = {"activations": attributes["activations"] * 2}
    before, kept = [], 0
    if isinstance(steps, NewestStep):
        kept = 2 if op == "LSTM" else 1
        before = [steps.carry(rnn.hidden_size).expand(0) for _ in range(kept)]
    outputs = x.graph.nodes(
        op,
        x,
        *weights,
        steps.lengths.cast(np.dtype(np.int32)),
        *before,
        dtypes=[None] * (1 + kept),
        direction="bidirectional" if rnn.bidirectional else "forward",
        hidden_size=rnn.hidden_size,
        **attributes,
    )
    for state in outputs[1:]:
        steps.keep(state.squeeze(0))
    if rnn.bidirectional:
        return outputs[0].transpose(0, 2, 1, 3).reshape(0, 0, 2 * rnn.hidden_size)
    return outputs[0].squeeze(1)


def _layer_weights(rnn, name, gates):
    """Return the weights of one layer and direction as ONNX has them."""
    w_ih, w_hh, b_ih, b_hh = (
        _reorder(array(getattr(rnn, f"{kind}_{name}")), gates)
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return w_ih, w_hh, np.concatenate([b_ih, b_hh])


def _reorder(weight, gates):
    blocks = np.split(weight, len(gates))
    return np.concatenate([blocks[gate] for gate in gates])


def _normalise(norm, x):
    """Return states after a LayerNorm, or none."""
    if not hasattr(norm, "eps"):
        return x
    return x.graph.node(
        "LayerNormalization",
        x,
        array(norm.weight),
        array(norm.bias),
        axis=-1,
        epsilon=norm.eps,
    )
