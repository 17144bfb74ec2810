"""Networks from their specs: shapes of their weights, memory, initial values."""

import torch
from torch import nn

from sklearn_rnn.modules._categories import CategoryEmbedding
from sklearn_rnn.modules._embedding import TiedHead, TokenEmbedding
from sklearn_rnn.modules._layers import RecurrentCore
from sklearn_rnn.modules._network import NetworkSpec, SequenceNetwork
from sklearn_rnn.modules._seq2seq import Seq2SeqNetwork, Seq2SeqSpec

NETWORKS = {NetworkSpec: SequenceNetwork, Seq2SeqSpec: Seq2SeqNetwork}


def weight_shapes(spec):
    """Return the shape of each weight and buffer of the network of a spec, by name.

    Examples
    --------
    >>> from sklearn_rnn.modules import NetworkSpec, weight_shapes
    >>> spec = NetworkSpec("rnn", n_features=10**9, hidden_size=10**6, n_outputs=3)
    >>> weight_shapes(spec)["head.weight"]
    (3, 1000000)
    """
    with torch.device("meta"):
        network = NETWORKS[type(spec)](spec)
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def build_network(spec, dtype, generator=None, scaling=None):
    """Build the network of a spec on the CPU, without any global random state.

    A generator of None leaves the weights undefined, for a network whose weights are
    loaded afterwards. `scaling` is the center and the factor of inputs, each of shape
    (n_features,) or a float; None leaves them as they are.
    """
    # torch's modules draw from the global generator when built on a real device.
    with torch.device("meta"):
        network = NETWORKS[type(spec)](spec)
    # Undefined values on the CPU. `to_empty` gives them as well, but imports torch's
    # compiler.
    weights: dict[torch.Tensor, nn.Parameter] = {}  # modules may share one
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight not in weights:
                memory = torch.empty(weight.shape, dtype=dtype, device="cpu")
                weights[weight] = nn.Parameter(memory, weight.requires_grad)
            setattr(module, name, weights[weight])
        for name, buffer in list(module.named_buffers(recurse=False)):
            memory = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")
            setattr(module, name, memory)
    center, factor = scaling or (0.0, 1.0)
    network.center.copy_(torch.as_tensor(center))
    network.factor.copy_(torch.as_tensor(factor))
    if generator is not None:
        initialize(network, generator)
    return network


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
            n_units = module.rnn.hidden_size
            for name, parameter in module.rnn.named_parameters():
                if "bias" in name:
                    parameter.zero_()
                    # torch adds two biases per gate: one of them gets the whole 1.
                    if module.cell == "lstm" and "bias_ih" in name:
                        parameter[n_units : 2 * n_units] = 1.0
                    continue
                is_recurrent = "weight_hh" in name
                draw = nn.init.orthogonal_ if is_recurrent else nn.init.xavier_uniform_
                for gate in parameter.split(n_units):
                    draw(gate, generator=generator)
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
