"""Ridge regression on class indicators, with leave-one-out predictions."""

import numpy as np
import torch

from sklearn_rnn._plain_state import plain_type

# Penalties tried, as fractions of the summed variance of the features.
PENALTIES = np.logspace(-6, 1, 29)
# Added to the features' own standard deviation: features that vary less count less,
# such as those in which only sequences of nearly no weight differ.
LEAST_SPREAD = 0.01
# Lower bound of 1 - leverage: with the smallest penalty a row may fit itself.
LEAST_FREEDOM = 1e-9
# Rows scored at a time, always the same number, so that a row's scores do not depend
# on the others.
BLOCK_ROWS = 64


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
        values, U, V = _decompose(A)
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


def _decompose(A):
    """Return the nonzero squared singular values, and left and right vectors."""
    n_rows, n_columns = A.shape
    gram = A @ A.T if n_rows <= n_columns else A.T @ A
    values, vectors = torch.linalg.eigh(gram)
    kept = values > 1e-12 * values[-1].clamp(min=1e-300)
    values, vectors = values[kept], vectors[:, kept]
    others = (A.T if n_rows <= n_columns else A) @ vectors / values.sqrt()
    pair = (vectors, others) if n_rows <= n_columns else (others, vectors)
    return values, *pair
