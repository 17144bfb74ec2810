"""Ridge regression from sums of products of rows."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from sklearn_rnn._plain_state import plain_type

# Candidates of the penalty, in units of the number of rows.
PENALTIES = np.logspace(-8, 4, 25)
# A feature whose spread is below this fraction of its size counts as constant: such a
# spread is the root of rounding.
SMALLEST_SPREAD = 1e-7
# The best of some members counts as no better than this fraction of the worst.
SMALLEST_ERROR = 1e-6


@plain_type
@dataclass(frozen=True)
class Products:
    """Weighted sums of products of rows of features z and targets t.

    Sums of disjoint rows add up, so that models of many parts of rows cost one pass.

    Parameters
    ----------
    zz : ndarray of shape (p + 1, p + 1)
        Features with features; the last one is constant 1.
    zt : ndarray of shape (p + 1, n_outputs)
        Features with targets.
    tt : ndarray of shape (n_outputs,)
        Targets with themselves.
    """

    zz: np.ndarray
    zt: np.ndarray
    tt: np.ndarray

    @classmethod
    def zero(cls, n_values, n_outputs):
        """Return the sums over no rows."""
        size = n_values + 1
        return cls(
            np.zeros((size, size)), np.zeros((size, n_outputs)), np.zeros(n_outputs)
        )

    @classmethod
    def of(cls, z, t, weights=None):
        """Sum the products of some rows; `z` ends with a column of ones."""
        weighted = z if weights is None else z * weights[:, np.newaxis]
        squares = t**2 if weights is None else t**2 * weights[:, np.newaxis]
        return cls(weighted.T @ z, weighted.T @ t, squares.sum(axis=0))

    def __add__(self, other):
        return Products(self.zz + other.zz, self.zt + other.zt, self.tt + other.tt)

    @property
    def total(self):
        """Sum of the weights."""
        return self.zz[-1, -1]

    def solve(self, penalties=PENALTIES):
        """Fit ridge regression for each of some penalties.

        Features are standardised first, and the constant is not penalised.

        Returns
        -------
        ndarray of shape (n_penalties, p + 1, n_outputs)
            Coefficients of the features and the constant.
        """
        total = self.total
        if not total > 0:
            return np.zeros((len(penalties), *self.zt.shape))
        mean, mean_t = self.zz[-1, :-1] / total, self.zt[-1] / total
        square = np.diag(self.zz)[:-1] / total  # no sum of squares is below 0
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        varies = spread > SMALLEST_SPREAD * np.sqrt(square)
        factor = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
        covariance = self.zz[:-1, :-1] / total - np.outer(mean, mean)
        joint = self.zt[:-1] / total - np.outer(mean, mean_t)
        values, vectors = np.linalg.eigh(covariance * np.outer(factor, factor))
        projected = vectors.T @ (joint * factor[:, np.newaxis])
        shrunk = projected / (np.maximum(values, 0)[:, np.newaxis] + _column(penalties))
        coef = factor[:, np.newaxis] * (vectors @ shrunk)
        constant = mean_t - np.einsum("p,apj->aj", mean, coef)
        return np.concatenate([coef, constant[:, np.newaxis]], axis=1)

    def solve_at(self, penalties):
        """Fit ridge regression with a penalty for each output.

        Parameters
        ----------
        penalties : ndarray of shape (n_outputs,)
            As in `solve`.

        Returns
        -------
        ndarray of shape (p + 1, n_outputs)
            Coefficients of the features and the constant.
        """
        distinct, which = np.unique(penalties, return_inverse=True)
        return self.solve(distinct)[which.ravel(), :, np.arange(len(penalties))].T

    def squared_errors(self, coef):
        """Sum the squared errors of some coefficients over the rows.

        Parameters
        ----------
        coef : ndarray of shape (n_penalties, p + 1, n_outputs)
            As `solve` returns them.

        Returns
        -------
        ndarray of shape (n_penalties, n_outputs)
            Not below 0.
        """
        explained = np.einsum("apj,pj->aj", coef, self.zt)
        own = np.einsum("apj,apj->aj", coef, self.zz @ coef)
        return np.maximum(self.tt - 2 * explained + own, 0.0)


def _column(penalties):
    return np.asarray(penalties)[:, np.newaxis, np.newaxis]


def average_weights(predictions, y, weights, shrinkage, prior):
    """Choose weights for an average of predictions, near prior ones.

    Parameters
    ----------
    predictions : ndarray of shape (n, n_members)
        Each made without the row that it is for.
    y : ndarray of shape (n,)
        The truth.
    weights : ndarray of shape (n,)
        Weights of the rows.
    shrinkage : float
        How strongly other weights than the prior ones are penalised, relative to the
        mean squared error of the best member.
    prior : ndarray of shape (n_members,)
        Weights of sum 1.

    Returns
    -------
    ndarray of shape (n_members,)
        Not negative, of sum 1.

    References
    ----------
    Timmermann, "Forecast combinations", Handbook of Economic Forecasting 1, 2006.
    """
    n_members = predictions.shape[1]
    if len(y) == 0:
        return prior
    errors = (predictions - y[:, np.newaxis]) * np.sqrt(weights)[:, np.newaxis]
    sizes = np.sqrt((errors**2).mean(axis=0))
    # Relative to the best member, as far as it is not perfect.
    size = max(sizes.min(), SMALLEST_ERROR * sizes.max())
    if n_members == 1 or not size > 0 or not np.isfinite(size):
        return prior
    # All in units of the mean error, per row; the last row makes the sum 1.
    pull = np.sqrt(shrinkage)
    system = np.vstack(
        [
            np.linalg.qr(errors / (size * np.sqrt(len(y))), mode="r"),
            pull * np.eye(n_members),
            np.full((1, n_members), 1e3),
        ]
    )
    wanted = np.zeros(len(system))
    wanted[-n_members - 1 : -1] = pull * prior
    wanted[-1] = 1e3
    found, _ = nnls(system, wanted)
    return found / found.sum()
