"""Attention: a decoder weighs the encoder's states at every step."""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from sklearn_rnn.kernels import is_traced
from sklearn_rnn.modules._layers import valid_steps
from sklearn_rnn.modules._linear import Linear

# Additive attention has one hidden vector for every pair of steps. Above this number
# of values they are computed in chunks and, in training, recomputed for the gradient
# instead of stored: memory does not grow with the product of both lengths.
MAX_STORED = 2**26

# Location attention sees the last weights of a step and of two on either side, through
# this number of filters. One linear layer could express the same, but learnt worse: of
# reversed strings up to twice as long as in training, one run got 20 % right, and with
# filters 100 %.
WINDOW, N_FILTERS = 5, 8


class Attention(nn.Module):
    """Attention over the steps of a memory.

    With the query *q* and the memory *m* of one step, the score of the pair is
    ``v · tanh(W q + U m + b)`` ("additive") or ``q · W m`` ("multiplicative"),
    or ``v · tanh(W q + U m + F f + b)`` ("location"), where *f* are features that a
    few filters extract, around this step, from the weights of the previous query.
    The weights are the softmax of the scores over the sequence's own steps, and the
    context is the weighted mean of the memory.

    References
    ----------
    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to
    align and translate", ICLR 2015 (additive). Chorowski, Bahdanau, Serdyuk, Cho
    and Bengio, "Attention-based models for speech recognition", NeurIPS 2015
    (location). Luong, Pham and Manning, "Effective approaches to attention-based
    neural machine translation", EMNLP 2015 (multiplicative, there "general").
    """

    def __init__(self, kind, query_size, memory_size):
        super().__init__()
        self.kind = kind
        additive = kind != "multiplicative"
        self.of_memory = Linear(memory_size, query_size, bias=additive)
        if additive:
            self.of_query = Linear(query_size, query_size, bias=False)
            self.score = Linear(query_size, 1, bias=False)
        if kind == "location":
            # A convolution over one channel is a linear layer over windows.
            self.filters = Linear(WINDOW, N_FILTERS, bias=False)
            self.of_last = Linear(N_FILTERS, query_size, bias=False)

    def keys(self, memory):
        """Project the memory (T_in, N, memory_size) to keys (T_in, N, query_size)."""
        return self.of_memory(memory)

    def forward(self, queries, memory, keys, lengths=None, last=None):
        """Return the context and the weights of every query.

        Parameters
        ----------
        queries : Tensor of shape (T_out, N, query_size)
            Decoder states, time first.
        memory : Tensor of shape (T_in, N, memory_size)
            Encoder states, time first.
        keys : Tensor of shape (T_in, N, query_size)
            From `keys`.
        lengths : LongTensor of shape (N,), default=None
            Steps of each memory; None when all have T_in.
        last : Tensor of shape (N, T_in), default=None
            Weights of the query before the first one, for location attention; None
            stands for zeros.

        Returns
        -------
        contexts : Tensor of shape (T_out, N, memory_size)
        weights : Tensor of shape (N, T_out, T_in)
            They sum to 1 over T_in, and are exactly 0 at padding.
        """
        padding = None
        if lengths is not None:  # (N, 1, T_in)
            padding = ~valid_steps(memory.shape[0], lengths).permute(1, 2, 0)
        if self.kind == "location":
            weights = self._location_weights(queries, keys, padding, last)
        else:
            is_additive = self.kind == "additive"
            scores = self._additive if is_additive else self._multiplicative
            weights = _softmax(scores(queries, keys), padding)
        return (weights @ memory.transpose(0, 1)).transpose(0, 1), weights

    def _multiplicative(self, queries, keys):
        return queries.transpose(0, 1) @ keys.permute(1, 2, 0)

    def _additive(self, queries, keys):
        queries = self.of_query(queries)
        # In a trace, the number of chunks would be a constant.
        if is_traced(keys) or len(queries) * keys.numel() <= MAX_STORED:
            return self._pair_scores(queries, keys)
        chunks = queries.split(max(1, MAX_STORED // keys.numel()))
        scores = (_recompute(self._pair_scores, chunk, keys) for chunk in chunks)
        return torch.cat(list(scores), dim=1)

    def _pair_scores(self, queries, keys):
        hidden = (queries[:, None] + keys).tanh_()  # (T_out, T_in, N, query_size)
        return self.score(hidden).squeeze(-1).permute(2, 0, 1)

    def _location_weights(self, queries, keys, padding, last):
        if last is None:
            last = keys.new_zeros(keys.shape[1], keys.shape[0])
        is_stored = is_traced(keys) or len(queries) * keys.numel() <= MAX_STORED
        weights = []
        for query in self.of_query(queries).split(1):
            given = query, keys, padding, last
            if is_stored:
                last = self._next_weights(*given)
            else:
                last = _recompute(self._next_weights, *given)
            weights.append(last)
        return torch.stack(weights, dim=1)

    def _next_weights(self, query, keys, padding, last):
        """Return the weights (N, T_in) that follow the last ones."""
        around = functional.pad(last.T, (0, 0, WINDOW // 2, WINDOW // 2))
        around = around.unfold(0, WINDOW, 1)  # (T_in, N, WINDOW)
        scores = self._pair_scores(query, keys + self.of_last(self.filters(around)))
        return _softmax(scores, padding)[:, 0]


def _softmax(scores, padding):
    if padding is not None:
        scores = scores.masked_fill(padding, -torch.inf)
    return torch.softmax(scores, dim=2)


def _recompute(function, *inputs):
    """Call a function whose intermediate results are recomputed for the gradient."""
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
