"""Fixed convolutions: how often patterns of many widths occur in a sequence."""

from itertools import combinations

import numpy as np
import torch

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import mean_and_scale

# A kernel of nine weights, three of them 2 and the others -1, sums to 0: it does not
# see the level. There are 84 of them.
KERNEL_SIZE, N_LARGE = 9, 3
N_KERNELS = 84
# Standardised inputs are clipped to 16 and rounded to multiples of 2**-12. As integers
# up to 2**16, times weights whose sizes sum to 12 for each of at most 9
# channels, all sums stay below 2**23 and are exact in float32: a comparison has the
# same outcome in any order, on any machine and in any batch.
GRID, LARGEST = 2.0**12, 2.0**16
# Sequences whose convolutions the thresholds are quantiles of.
N_EXAMPLES = 8
# Channels that one kernel reads, at most.
MOST_CHANNELS = 9
# Fractions that fill [0, 1) evenly, however many there are.
GOLDEN_RATIO = (1 + 5**0.5) / 2
# Steps convolved at a time: with 84 float32 per step they fit the second-level cache.
BLOCK_STEPS = 2048
# Sequences per block.
BLOCK_ROWS = 64


def make_kernels():
    """Return all kernels, of shape (9, 84)."""
    kernels = np.full((KERNEL_SIZE, N_KERNELS), -1.0, np.float32)
    for kernel, large in enumerate(combinations(range(KERNEL_SIZE), N_LARGE)):
        kernels[list(large), kernel] = 2
    return kernels


@plain_type
class ConvolutionFeatures:
    """Features of a whole sequence from fixed dilated convolutions.

    A feature is the mean sign of a convolution less a threshold, over the steps of
    the sequence: 1 where it is larger at all of them, -1 where at none. Dilations
    grow up to the longest sequence of fit, thresholds are quantiles of convolved
    training sequences, and each kernel reads a random choice of the numeric channels.

    Parameters
    ----------
    n_features : int
        Features to make; rounded up to a multiple of 84, the number of kernels.

    Attributes
    ----------
    dilations_ : ndarray of int of shape (n_groups,)
        Steps between the weights of the 84 kernels of each group.
    weights_ : ndarray of shape (n_groups, 9 * n_channels, 84)
        Kernels, with zeros for channels that they do not read.
    thresholds_ : ndarray of shape (n_groups, 84)
        In units of the rounded inputs.
    center_, scale_ : ndarray of shape (n_channels,)
        Inputs are standardised as ``(x - center_) / scale_``.

    References
    ----------
    Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import ConvolutionFeatures
    >>> from sklearn_rnn.sequences import check_sequences
    >>> X = check_sequences(np.random.default_rng(0).normal(size=(5, 20, 2)))
    >>> features = ConvolutionFeatures(168).fit(X, np.random.RandomState(0))
    >>> features.transform(X).shape
    (5, 168)
    """

    def __init__(self, n_features):
        self.n_features = n_features

    def fit(self, sequences, random_state, weights=None):
        """Choose dilations, channels and thresholds.

        `random_state` draws the channels, and the sequences behind the thresholds;
        `weights` (n_sequences,) enter mean and scale.
        """
        self.center_, self.scale_ = mean_and_scale(sequences, weights)
        n_groups = -(-self.n_features // N_KERNELS)
        longest = max(2, int(sequences.lengths.max()))
        exponents = np.linspace(
            0, max(0, np.log2((longest - 1) / (KERNEL_SIZE - 1))), n_groups
        )
        self.dilations_ = np.floor(2**exponents).astype(int)
        numeric = np.setdiff1d(
            np.arange(sequences.n_features), list(sequences.transforms.categories or ())
        )
        reads = np.zeros((n_groups, sequences.n_features, N_KERNELS), np.float32)
        for group in range(n_groups):
            reads[group, numeric] = _draw_channels(len(numeric), random_state)
        weights_of_reads = make_kernels()[:, None] * reads[:, None]
        self.weights_ = weights_of_reads.reshape(n_groups, -1, N_KERNELS)
        self.thresholds_ = np.zeros((n_groups, N_KERNELS), np.float32)
        n_examples = min(N_EXAMPLES, len(sequences))
        chosen = random_state.choice(len(sequences), n_examples, replace=False)
        inputs, inside = self._round(sequences, chosen)
        for group, weights in enumerate(torch.from_numpy(self.weights_)):
            dilation = int(self.dilations_[group])
            parts = [v[inside[s]] for s, v in _convolve(inputs, weights, dilation)]
            values = torch.cat(parts).sort(dim=0).values.numpy()  # (steps, 84)
            quantiles = (group * N_KERNELS + np.arange(N_KERNELS)) * GOLDEN_RATIO % 1
            rows = (quantiles * len(values)).astype(int)
            # Halfway between integers: no convolution equals its threshold.
            self.thresholds_[group] = values[rows, np.arange(N_KERNELS)] + 0.5
        return self

    def transform(self, sequences):
        """Return float64 features in [-1, 1], of shape (n_sequences, n_features)."""
        order = np.argsort(sequences.lengths, kind="stable")
        features = np.empty((len(sequences), self.thresholds_.size))
        # Copied: the arrays of a memory-mapped pickle are read-only.
        kernels = [
            (torch.tensor(weights), int(dilation), torch.tensor(thresholds))
            for weights, dilation, thresholds in zip(
                self.weights_, self.dilations_, self.thresholds_, strict=True
            )
        ]
        for begin in range(0, len(order), BLOCK_ROWS):
            rows = order[begin : begin + BLOCK_ROWS]
            inputs, inside = self._round(sequences, rows)
            is_padded = not bool(inside.all())
            sums = inputs.new_zeros(len(kernels), len(rows), N_KERNELS)
            for group, (weights, dilation, thresholds) in enumerate(kernels):
                for steps, values in _convolve(inputs, weights, dilation):
                    signs = values.sub_(thresholds).sign_()
                    if is_padded:
                        signs.mul_(inside[steps, :, None])
                    sums[group] += signs.sum(dim=0)
            means = sums.double() / inside.sum(dim=0)[:, None]
            features[rows] = means.transpose(0, 1).reshape(len(rows), -1).numpy()
        return features

    def _round(self, sequences, rows):
        """Return rounded inputs (T, N, C), 0 at padding, and a mask (T, N) of steps."""
        steps = sequences.gather(rows, dtype=np.float64)
        steps = np.rint((steps - self.center_) / self.scale_ * GRID)
        steps = np.clip(steps, -LARGEST, LARGEST).astype(np.float32)
        steps = torch.from_numpy(steps)
        lengths = torch.from_numpy(np.array(sequences.lengths[rows]))
        inside = torch.arange(len(steps))[:, None] < lengths
        return steps.masked_fill_(~inside[:, :, None], 0.0), inside


def _convolve(inputs, weights, dilation):
    """Yield (steps, their convolutions (n_steps, N, 84)), a block at a time."""
    n_steps, n_rows, _ = inputs.shape
    margin = (KERNEL_SIZE // 2) * dilation
    padded = torch.nn.functional.pad(inputs, (0, 0, 0, 0, margin, margin))
    size = max(1, BLOCK_STEPS // n_rows)
    for begin in range(0, n_steps, size):
        end = min(begin + size, n_steps)
        shifted = [
            padded[begin + k * dilation : end + k * dilation]
            for k in range(KERNEL_SIZE)
        ]
        columns = torch.cat(shifted, dim=2)  # (n_steps, N, 9 * C)
        yield slice(begin, end), columns @ weights


def _draw_channels(n_channels, random_state):
    """Return which channels each kernel reads, 1 or 0, of shape (n_channels, 84)."""
    if n_channels == 1:
        return np.ones((1, N_KERNELS), np.float32)
    # Log-uniform: 1 to 2 channels are as likely as 2 to 4.
    most = np.log2(min(n_channels, MOST_CHANNELS) + 1)
    counts = np.floor(2 ** random_state.uniform(0, most, N_KERNELS)).astype(int)
    reads = np.zeros((n_channels, N_KERNELS), np.float32)
    for kernel, count in enumerate(counts):
        reads[random_state.choice(n_channels, count, replace=False), kernel] = 1
    return reads
