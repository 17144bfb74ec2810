"""The recurrent cells: the modules that hold their weights, and what computes them.

To add a cell, add it to the three tables here; torch's operations then compute it, for
every network. Compiled kernels are a second step: the cells that they have are in
`COMPILED_CELLS`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

# The module with the weights of a cell, made from input_size, hidden_size, num_layers
# and bidirectional, which are attributes of it, too, except for the first. Its weights
# have the names and the order of torch.nn.GRU's: weight_ih_l0 (n_gates * hidden_size,
# input_size), weight_hh_l0, bias_ih_l0, bias_hh_l0, with _reverse for the other
# direction, and `all_weights` lists them by layer and direction. Units whose weights
# are all 0 must keep a state of 0: sizes are padded with such units. Only tests call
# its forward(x), of one layer and direction, or look at its input_size.
CELLS: dict[str, Callable[..., Any]] = {
    "rnn": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
# Blocks of hidden_size rows in the weights.
N_GATES = {"rnn": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
# Called as torch.gru is, with one layer and one direction: inputs (T, N, n_features),
# the state (a tuple for LSTM), the four weights, and flags, which are those of one
# layer without dropout and may be ignored. Returns the states of all steps
# (T, N, hidden_size) and the last state.
TORCH_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "rnn": torch.rnn_tanh,
    "rnn_relu": torch.rnn_relu,
    "lstm": torch.lstm,
    "gru": torch.gru,
}
