"""A linear layer whose outputs do not depend on the other rows of a batch, bitwise."""

from torch import nn
from torch.nn import functional as F

from sklearn_rnn.kernels import n_missing


class Linear(nn.Linear):
    """A linear layer; where no gradient is asked for, its sums are of whole multiples.

    Parameters and state dict are those of ``torch.nn.Linear``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import Linear
    >>> layer = Linear(3, 2)
    >>> with torch.inference_mode():
    ...     layer(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def forward(self, x):
        """Compute ``x @ weight.T + bias``.

        Parameters
        ----------
        x : Tensor of shape (..., in_features)
            Inputs.

        Returns
        -------
        Tensor of shape (..., out_features)
            Outputs.
        """
        return linear(x, self.weight, self.bias)


def linear(x, weight, bias=None):
    """Compute ``x @ weight.T + bias``, as `Linear` does.

    Parameters
    ----------
    x : Tensor of shape (..., in_features)
        Inputs.
    weight : Tensor of shape (out_features, in_features)
        Weights.
    bias : Tensor of shape (out_features,), default=None
        Added to every row.

    Returns
    -------
    Tensor of shape (..., out_features)
        Outputs.
    """
    missing = n_missing(x.shape[-1])
    if missing:
        x, weight = F.pad(x, (0, missing)), F.pad(weight, (0, missing))
    return F.linear(x, weight, bias)
