"""The steps of a closed-form classifier: fixed convolutions, then ridge regression."""

from dataclasses import dataclass
from itertools import combinations, groupby
from operator import itemgetter

import numpy as np
import torch

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.sequences import mean_and_scale

# A kernel of nine weights, three of them 2 and the others -1, sums to 0: it does not
# see the level. There are 84 of them.
KERNEL_SIZE, N_LARGE, N_KERNELS = 9, 3, 84
KERNELS = np.full((KERNEL_SIZE, N_KERNELS), -1.0, np.float32)
KERNELS[np.array([*combinations(range(KERNEL_SIZE), N_LARGE)]).T, range(N_KERNELS)] = 2
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
# Sequences convolved at a time. So many rows are scored at a time, too, always the same
# number, so that a row's scores do not depend on the others.
BLOCK_ROWS = 64
# Penalties tried, as fractions of the summed variance of the features.
PENALTIES = np.logspace(-6, 1, 29)
# Added to the features' own standard deviation: features that vary less count less,
# such as those in which only sequences of nearly no weight differ.
LEAST_SPREAD = 0.01
# Lower bound of 1 - leverage: with the smallest penalty a row may fit itself.
LEAST_FREEDOM = 1e-9


@plain_type
@dataclass(eq=False)
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

    n_features: int

    def fit(self, sequences, random_state, weights=None):
        """Choose dilations, channels and thresholds.

        `random_state` draws the channels, and the sequences behind the thresholds;
        `weights` (n_sequences,) enter mean and scale.
        """
        self.center_, self.scale_ = mean_and_scale(sequences, weights)
        n_groups = -(-self.n_features // N_KERNELS)
        longest = max(2, int(sequences.lengths.max()))
        largest = max(0, np.log2((longest - 1) / (KERNEL_SIZE - 1)))
        self.dilations_ = np.floor(2 ** np.linspace(0, largest, n_groups)).astype(int)
        codes = list(sequences.transforms.categories or ())
        numeric = np.setdiff1d(np.arange(sequences.n_features), codes)
        # Which channels each kernel reads, 1 or 0.
        reads = np.zeros((n_groups, sequences.n_features, N_KERNELS), np.float32)
        if len(numeric) == 1:
            reads[:, numeric] = 1
        else:
            # Log-uniform: 1 to 2 channels are as likely as 2 to 4.
            most = np.log2(min(len(numeric), MOST_CHANNELS) + 1)
            for of_group in reads:
                counts = np.floor(2 ** random_state.uniform(0, most, N_KERNELS))
                for kernel, count in enumerate(counts.astype(int)):
                    chosen = random_state.choice(numeric, count, replace=False)
                    of_group[chosen, kernel] = 1
        weights_of_reads = KERNELS[:, None] * reads[:, None]
        self.weights_ = weights_of_reads.reshape(n_groups, -1, N_KERNELS)
        self.thresholds_ = np.zeros((n_groups, N_KERNELS), np.float32)
        n_examples = min(N_EXAMPLES, len(sequences))
        chosen = random_state.choice(len(sequences), n_examples, replace=False)
        for group, blocks in groupby(self._convolve(sequences, chosen), itemgetter(0)):
            parts = [values[inside] for _, inside, values in blocks]
            values = torch.cat(parts).sort(dim=0).values.numpy()  # (steps, 84)
            quantiles = (group * N_KERNELS + np.arange(N_KERNELS)) * GOLDEN_RATIO % 1
            rows = (quantiles * len(values)).astype(int)
            # Halfway between integers: no convolution equals its threshold.
            self.thresholds_[group] = values[rows, np.arange(N_KERNELS)] + 0.5
        return self

    def transform(self, sequences):
        """Return float64 features in [-1, 1], of shape (n_sequences, n_features)."""
        all_lengths = sequences.lengths
        order = np.argsort(all_lengths, kind="stable")
        features = np.empty((len(sequences), self.thresholds_.size))
        thresholds = torch.tensor(self.thresholds_)  # copied, see `_convolve`
        for begin in range(0, len(order), BLOCK_ROWS):
            rows = order[begin : begin + BLOCK_ROWS]
            lengths = torch.from_numpy(all_lengths[rows])
            is_padded = bool(lengths[0] < lengths[-1])
            sums = thresholds.new_zeros(len(thresholds), len(rows), N_KERNELS)
            for group, inside, values in self._convolve(sequences, rows):
                signs = values.sub_(thresholds[group]).sign_()
                if is_padded:
                    signs.mul_(inside[:, :, None])
                sums[group] += signs.sum(dim=0)
            means = sums.double() / lengths[:, None]
            features[rows] = means.transpose(0, 1).reshape(len(rows), -1).numpy()
        return features

    def _convolve(self, sequences, rows):
        """Yield (group, inside, convolutions), group by group, a block at a time.

        `inside` (n_steps, N) says which steps are no padding; convolutions, of shape
        (n_steps, N, 84), are those of rounded inputs.
        """
        steps = sequences.gather(rows, dtype=np.float64)
        steps = np.rint((steps - self.center_) / self.scale_ * GRID)
        steps = np.clip(steps, -LARGEST, LARGEST).astype(np.float32)
        inputs, n_steps = torch.from_numpy(steps), len(steps)
        lengths = torch.from_numpy(sequences.lengths[rows])
        inside = torch.arange(n_steps)[:, None] < lengths
        inputs.masked_fill_(~inside[:, :, None], 0.0)
        size = max(1, BLOCK_STEPS // len(rows))
        for group, dilation in enumerate(self.dilations_.tolist()):
            # Copied: the arrays of a memory-mapped pickle are read-only.
            weights = torch.tensor(self.weights_[group])
            margin = (KERNEL_SIZE // 2) * dilation
            padded = torch.nn.functional.pad(inputs, (0, 0, 0, 0, margin, margin))
            for begin in range(0, n_steps, size):
                end = min(begin + size, n_steps)
                shifted = [
                    padded[begin + k * dilation : end + k * dilation]
                    for k in range(KERNEL_SIZE)
                ]
                columns = torch.cat(shifted, dim=2)  # (n_steps, N, 9 * C)
                yield group, inside[begin:end], columns @ weights


@plain_type
class RidgeScores:
    """Linear scores of classes, with the best penalty for left-out rows.

    The targets are each row's class fractions, usually one-hot. All penalties are tried
    at the cost of one eigendecomposition; the one with the smallest weighted squared
    error of leave-one-out predictions is chosen.

    Attributes
    ----------
    penalty_ : float
        The chosen one, as a fraction of the summed variance of the features.
    coef_ : ndarray of shape (n_features, n_classes)
        For unscaled features.
    intercept_ : ndarray of shape (n_classes,)
        Scores of a row of zeros.
    left_out_scores_ : ndarray of shape (n_rows, n_classes)
        Scores of each row by a fit without it.

    References
    ----------
    Allen, "The relationship between variable selection and data augmentation and a
    method for prediction", Technometrics 16, 1974 (leave-one-out in closed form).
    """

    def fit(self, X, Y, weights):
        """Fit the scores.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Features, within about -1 and 1.
        Y : ndarray of shape (n_rows, n_classes)
            Class fractions.
        weights : ndarray of shape (n_rows,)
            Positive.
        """
        weights = weights / weights.sum()
        mean_x, mean_y = weights @ X, weights @ Y
        variance = weights @ (X - mean_x) ** 2 + LEAST_SPREAD**2
        scale = np.sqrt(variance * X.shape[1])
        roots = np.sqrt(weights)[:, np.newaxis]
        A, T = (
            torch.from_numpy(roots * part)
            for part in ((X - mean_x) / scale, Y - mean_y)
        )
        # The nonzero squared singular values, and left and right vectors, by the
        # eigenvectors of the smaller one of both products.
        is_flat = len(A) <= A.shape[1]
        values, vectors = torch.linalg.eigh(A @ A.T if is_flat else A.T @ A)
        kept = values > 1e-12 * values[-1].clamp(min=1e-300)
        values, vectors = values[kept], vectors[:, kept]
        others = (A.T if is_flat else A) @ vectors / values.sqrt()
        U, V = (vectors, others) if is_flat else (others, vectors)
        fitted = U.T @ T
        best = np.inf
        for penalty in PENALTIES:
            shrink = values / (values + penalty)
            leverage = (U**2 @ shrink).numpy() + weights
            # Residuals of rows times the root of their weight.
            residuals = (T - U @ (shrink[:, None] * fitted)).numpy()
            residuals /= np.maximum(1 - leverage, LEAST_FREEDOM)[:, np.newaxis]
            error = (residuals**2).sum()
            if error < best:
                best, self.penalty_ = error, float(penalty)
                self.left_out_scores_ = Y - residuals / roots
        shrunk = fitted * (values.sqrt() / (values + self.penalty_))[:, None]
        self.coef_ = (V @ shrunk).numpy() / scale[:, np.newaxis]
        self.intercept_ = mean_y - mean_x @ self.coef_
        return self

    def scores(self, X):
        """Return the scores (n_rows, n_classes) of features (n_rows, n_features).

        They are about the probabilities of the classes, but not within [0, 1].
        """
        coef = torch.tensor(self.coef_)  # copied: a pickle may be mapped read-only
        block = torch.zeros(BLOCK_ROWS, X.shape[1], dtype=torch.float64)
        scores = np.empty((len(X), len(self.intercept_)))
        for begin in range(0, len(X), BLOCK_ROWS):
            rows = torch.from_numpy(X[begin : begin + BLOCK_ROWS])
            block[: len(rows)] = rows
            scores[begin : begin + len(rows)] = (block @ coef)[: len(rows)].numpy()
        return scores + self.intercept_
