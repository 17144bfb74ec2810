"""What each cell computes, on vector registers.

Forwards: from the inputs' share of each gate `x`, the product of the last state `h`
and the recurrent weights, and the cell's other state `c`, come the new state, what the
way back needs of the gates, and the new other state. Backwards: from these and the
derivatives by both states come those by what recurrent product and inputs add up to,
and the share that both states before get without going through the product.
"""

from collections.abc import Callable
from typing import NamedTuple

from sklearn_rnn.kernels._lanes import N_REGISTERS, sigmoid, tanh


def rnn_forward(x, product, h, c):
    """Tanh of the sum."""
    return tanh(x[0] + product[0]), [], None


def rnn_backward(gates, h, c, new, new_c, dh, dc):
    """Through the tanh."""
    return [dh * (1.0 - new * new)], None, None


def relu_forward(x, product, h, c):
    """The sum where it is positive."""
    total = x[0] + product[0]
    return total.where_positive(total), [], None


def relu_backward(gates, h, c, new, new_c, dh, dc):
    """Where the state is positive."""
    return [new.where_positive(dh)], None, None


def gru_forward(x, product, h, c):
    """Cho et al. 2014, as torch has it: reset comes after the product."""
    reset, update = sigmoid(x[0] + product[0]), sigmoid(x[1] + product[1])
    new = tanh(reset.times_plus(product[2], x[2]))
    return update.times_plus(h - new, new), [reset, update, new], product[2]


def gru_backward(gates, h, c, new, new_c, dh, dc):
    """Derivatives in the order new (of inputs), reset, update, new (of states)."""
    reset, update, candidate = gates
    d_update = dh * (h - candidate) * update * (1.0 - update)
    d_new = (dh - dh * update) * (1.0 - candidate * candidate)
    d_reset = d_new * new_c * reset * (1.0 - reset)
    return [d_new, d_reset, d_update, d_new * reset], dh * update, None


def lstm_forward(x, product, h, c):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    total = [a + b for a, b in zip(x, product, strict=True)]
    enter, forget, leave = (sigmoid(total[k]) for k in (0, 1, 3))
    candidate = tanh(total[2])
    new_c = forget.times_plus(c, enter * candidate)
    return leave * tanh(new_c), [enter, forget, candidate, leave], new_c


def lstm_backward(gates, h, c, new, new_c, dh, dc):
    """Derivatives in the order input, forget, cell, output."""
    enter, forget, candidate, leave = gates
    squashed = tanh(new_c)
    d_leave = dh * squashed * leave * (1.0 - leave)
    dc = (dh * leave).times_plus(1.0 - squashed * squashed, dc)
    d_enter = dc * candidate * enter * (1.0 - enter)
    d_forget = dc * c * forget * (1.0 - forget)
    d_candidate = dc * enter * (1.0 - candidate * candidate)
    return [d_enter, d_forget, d_candidate, d_leave], None, dc * forget


class Arithmetic(NamedTuple):
    """How one cell is computed.

    Parameters
    ----------
    forward, backward : callable
        As described above.
    n_gates : int
        Products with the recurrent weights.
    n_slopes : int
        Derivatives that backward has.
    """

    forward: Callable
    backward: Callable
    n_gates: int
    n_slopes: int

    @property
    def has_two_states(self):
        """Whether the cell has a state that it does not show."""
        return self.forward is lstm_forward

    @property
    def n_kept(self):
        """Gates that backward needs; the plain cell's is the state itself."""
        return 0 if self.n_gates == 1 else self.n_gates


LSTM = 4
# The loops are told their cell by the type of an argument, a tuple of so many
# numbers: Numba compiles, and keeps on disk, one version a type.
ARITHMETIC = {
    1: Arithmetic(rnn_forward, rnn_backward, 1, 1),
    2: Arithmetic(relu_forward, relu_backward, 1, 1),
    3: Arithmetic(gru_forward, gru_backward, 3, 4),
    LSTM: Arithmetic(lstm_forward, lstm_backward, 4, 4),
}


def rows_at_once(n_gates):
    """Return how many rows go through the steps together.

    Parameters
    ----------
    n_gates : int
        Products with the recurrent weights.

    Returns
    -------
    int
        As many as there are registers for, and no more than hide the time that a
        sum takes to be ready.
    """
    return min((N_REGISTERS - n_gates - 1) // n_gates, 8)
