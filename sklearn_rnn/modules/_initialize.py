"""Initial weights, drawn from a generator of our own."""

import torch
from torch import nn

from sklearn_rnn.modules._categories import CategoryEmbedding
from sklearn_rnn.modules._core import RecurrentCore
from sklearn_rnn.modules._embedding import TiedHead, TokenEmbedding


@torch.no_grad()
def initialize(network, generator):
    """Initialize the weights of a whole network in place, from a CPU generator alone.

    Recurrent weights are orthogonal and input weights Glorot-uniform, gate by
    gate; biases are zero, but an LSTM's forget gate starts at 1; layer
    normalisation starts as plain normalisation; other layers are Glorot-uniform
    and embeddings normal with standard deviation 0.1.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014 (orthogonal). Glorot
    and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010. Jozefowicz, Zaremba and Sutskever, "An
    empirical exploration of recurrent network architectures", ICML 2015
    (forget bias).
    """
    for module in network.modules():
        if isinstance(module, RecurrentCore):
            _initialize_core(module, generator)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, (CategoryEmbedding, TokenEmbedding)):
            module.initialize(generator)
        elif isinstance(module, TiedHead):
            module.bias.zero_()


def _initialize_core(core, generator):
    units = core.rnn.hidden_size
    for name, parameter in core.rnn.named_parameters():
        if "bias" in name:
            parameter.zero_()
            # torch adds two biases per gate: one of them gets the whole 1.
            if core.cell == "lstm" and "bias_ih" in name:
                parameter[units : 2 * units] = 1.0
            continue
        draw = nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_
        for gate in parameter.split(units):
            draw(gate, generator=generator)
