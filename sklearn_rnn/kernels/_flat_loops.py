"""What is done to all weights at once, as compiled loops over one array."""

import math

import numpy as np

from sklearn_rnn.kernels._compiler import compiled


@compiled(fastmath={"reassoc", "contract"})
def _squares(numbers):
    total = 0.0
    for k in range(len(numbers)):
        number = np.float64(numbers[k])
        total += number * number
    return total


@compiled
def clip(gradient, max_norm, max_value):
    """Bound a gradient by value, then by norm.

    Parameters
    ----------
    gradient : ndarray of shape (n,)
        Changed in place.
    max_norm, max_value : float
        Infinity is no bound.

    Returns
    -------
    norm : float
        Before.
    clipped : bool
        Whether a bound changed it.
    """
    before = norm = math.sqrt(_squares(gradient))
    clipped = False
    # No number is larger than the norm.
    if norm > max_value:
        for k in range(len(gradient)):
            if abs(gradient[k]) > max_value:
                gradient[k] = math.copysign(max_value, gradient[k])
                clipped = True
        norm = math.sqrt(_squares(gradient))
    if norm > max_norm:
        clipped = True
        factor = max_norm / norm
        for k in range(len(gradient)):
            gradient[k] *= factor
    return before, clipped


# A division by zero gives infinity, as in NumPy: to look for it would cost registers.
@compiled(error_model="numpy")
def adam(values, gradient, mean, square, numbers):
    """Change weights by a step of Adam, as ``torch.optim`` has it.

    Parameters
    ----------
    values, gradient, mean, square : ndarray of shape (n,)
        The weights, their gradient, and its running mean and mean square; all but
        the gradient are changed.
    numbers : tuple of float
        Which step it is, from 1; the learning rate; both betas; epsilon; L2 penalty
        of Adam, and decay of AdamW.
    """
    # Nothing else is in the way of writing past an array's end.
    n_values = len(values)
    if not n_values == len(gradient) == len(mean) == len(square):
        raise ValueError("Adam's arrays are not of one length.")
    n_steps, rate, beta_1, beta_2, epsilon, penalty, decay = numbers
    # In the weights' own precision.
    constants = np.empty(8, dtype=values.dtype)
    constants[0] = 1.0 - beta_1
    constants[1] = beta_2
    constants[2] = 1.0 - beta_2
    constants[3] = rate / (1.0 - beta_1**n_steps)
    constants[4] = 1.0 / math.sqrt(1.0 - beta_2**n_steps)
    constants[5] = epsilon
    constants[6] = penalty
    constants[7] = rate * decay
    fresh, kept, fresh_square, size, correction = constants[:5]
    epsilon, penalty, decay = constants[5:]
    for k in range(n_values):
        slope = gradient[k] + penalty * values[k]
        mean[k] += fresh * (slope - mean[k])
        square[k] = kept * square[k] + fresh_square * slope * slope
        spread = correction * math.sqrt(square[k]) + epsilon
        values[k] -= decay * values[k] + size * mean[k] / spread
