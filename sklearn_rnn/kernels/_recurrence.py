"""The recurrence of one layer in one direction, by torch."""

import torch

# Torch's own module of each cell; its parameters are the ones used here.
CELLS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def recurrence(cell, x, weights, state=None):
    """Run one layer of a recurrent cell forwards over a batch.

    For the plain cell,
    ``h_t = tanh(W_xh x_t + b_xh + W_hh h_(t-1) + b_hh)``; LSTM and GRU are
    those of ``torch.nn.LSTM`` and ``torch.nn.GRU``, gates in their order.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The cell.
    x : Tensor of shape (T, N, F)
        Inputs, time first.
    weights : list of Tensor
        ``weight_ih, weight_hh, bias_ih, bias_hh`` in torch's layout.
    state : tuple of Tensor of shape (1, N, H), default=None
        Where to go on from: the hidden state, for the LSTM also the cell's,
        as a former call returned it. None starts from zero.

    Returns
    -------
    states : Tensor of shape (T, N, H)
        The hidden state after each step.
    state : tuple of Tensor of shape (1, N, H)
        The state after the last step.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.kernels import recurrence
    >>> weights = [torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1), torch.zeros(1)]
    >>> x = torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
    >>> states, (last,) = recurrence("rnn", x, weights)
    >>> states.ravel(), last.ravel()
    (tensor([0.0000, 0.7616]), tensor([0.7616]))
    """
    if state is None:
        zero = x.new_zeros(1, x.shape[1], weights[1].shape[1])
        state = (zero, zero) if cell == "lstm" else (zero,)
    # has_biases, num_layers, dropout, train, bidirectional, batch_first; cuDNN
    # keeps what backward needs only when told that it trains.
    options = (True, 1, 0.0, torch.is_grad_enabled(), False, False)
    if cell == "lstm":
        states, *state = torch.lstm(x, state, weights, *options)
        return states, tuple(state)
    run = torch.gru if cell == "gru" else torch.rnn_tanh
    states, last = run(x, *state, weights, *options)
    return states, (last,)
