"""A linear layer whose outputs for a row are bitwise independent of the batch."""

from torch import nn
from torch.nn import functional as F

from sklearn_rnn.kernels import n_missing


class Linear(nn.Linear):
    """``torch.nn.Linear`` by `linear`, with the same parameters and state dict."""

    def forward(self, x):
        return linear(x, self.weight, self.bias)


def linear(x, weight, bias=None):
    """Return ``x @ weight.T + bias``.

    In inference mode, features are padded to a multiple for which products do not
    depend on the number of rows.
    """
    missing = n_missing(x.shape[-1])
    if missing:
        x, weight = F.pad(x, (0, missing)), F.pad(weight, (0, missing))
    return F.linear(x, weight, bias)
