"""An output layer for many classes, of which most are rare."""

from itertools import pairwise

import torch
from torch import nn

# Outputs before the first cluster, at most. With each cluster there are FACTOR times as
# many in all, but about LARGEST in it at most; and its projection is FACTOR times
# smaller than that of the one before, but not below MIN_PROJECTION.
SHORTLIST, FACTOR, LARGEST, MIN_PROJECTION = 1000, 4, 8000, 8


def choose_cutoffs(n_classes):
    """Choose where the clusters of an `AdaptiveSoftmax` begin.

    Examples
    --------
    >>> from sklearn_rnn.modules import choose_cutoffs
    >>> choose_cutoffs(30_000)
    (1000, 4000, 12000, 20000)
    """
    cutoffs = [min(SHORTLIST, max(1, n_classes // FACTOR))]
    while True:
        begin = cutoffs[-1]
        size = min((FACTOR - 1) * begin, LARGEST)
        if n_classes - (begin + size) < size / 2:  # a small rest is in the last cluster
            return tuple(cutoffs)
        cutoffs.append(begin + size)


class AdaptiveSoftmax(nn.Module):
    """An output layer in which frequent classes are cheap (adaptive softmax).

    Classes are sorted, the most frequent first. Those below the first cutoff have an
    output each, and so has each cluster of rarer ones. A class within a cluster is
    scored by a smaller projection, which only steps with a target in the cluster need.

    Like `nn.AdaptiveLogSoftmaxWithLoss`, but clusters have biases and a minimum
    projection size. A call returns the log-probabilities of all classes.

    Parameters
    ----------
    in_features : int
        Size of the states that it reads.
    n_classes : int
        Number of outputs.
    cutoffs : tuple of int
        First class of each cluster, in order.

    References
    ----------
    Grave et al., "Efficient softmax approximation for GPUs", ICML 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import AdaptiveSoftmax
    >>> layer = AdaptiveSoftmax(in_features=8, n_classes=100, cutoffs=(10, 50))
    >>> layer(torch.zeros(3, 8)).exp().sum(dim=1).allclose(torch.ones(3))
    True
    """

    def __init__(self, in_features, n_classes, cutoffs):
        super().__init__()
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            in_features, n_classes, cutoffs, div_value=1.0, head_bias=True
        )
        clusters = []
        for i, (begin, end) in enumerate(pairwise([*cutoffs, n_classes])):
            size = max(in_features // FACTOR ** (i + 1), MIN_PROJECTION)
            size = min(in_features, size)
            project = nn.Linear(in_features, size, bias=False)
            clusters.append(nn.Sequential(project, nn.Linear(size, end - begin)))
        self.softmax.tail = nn.ModuleList(clusters)

    @property
    def bias(self):
        """The biases of the frequent classes and of the clusters."""
        return self.softmax.head.bias

    def forward(self, states):
        """Return log-probabilities (..., n_classes) of states (..., in_features)."""
        return self.softmax.log_prob(states.flatten(0, -2)).unflatten(
            0, states.shape[:-1]
        )

    def loss(self, states, classes, reduction="mean"):
        """Compute the negative log-likelihood of classes (n,), given states.

        Unlike a loss of the outputs it does not compute the outputs of all classes.
        """
        losses = -self.softmax(states, classes).output
        return losses.mean() if reduction == "mean" else losses

    @torch.no_grad()
    def set_log_priors(self, logits):
        """Let zero states predict a distribution, given its logits (n_classes,)."""
        cutoffs = self.softmax.cutoffs[:-1]
        shortlist, *clusters = logits.log_softmax(dim=0).tensor_split(cutoffs)
        of_clusters = torch.stack([cluster.logsumexp(dim=0) for cluster in clusters])
        self.bias.copy_(torch.cat([shortlist, of_clusters]))
        for layers, cluster in zip(self.softmax.tail, clusters, strict=True):
            layers.get_parameter("1.bias").copy_(cluster)
