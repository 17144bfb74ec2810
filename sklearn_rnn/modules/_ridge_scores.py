"""Ridge regression on class indicators, with leave-one-out predictions."""

import numpy as np
import torch

# Penalties tried, as fractions of the summed variance of the features.
PENALTIES = np.logspace(-6, 1, 29)
# Standard deviation that features are taken to have besides their own: what varies
# less counts less, such as what only sequences of nearly no weight differ in.
LEAST_SPREAD = 0.01
# Of 1 less the leverage of a row: with the least penalty a row may fit itself.
LEAST_FREEDOM = 1e-9
# Rows scored at a time, always as many, so that a row's scores do not depend on
# those beside it.
BLOCK_ROWS = 64


class RidgeScores:
    """Linear scores of classes, with the penalty that predicts left-out rows best.

    The targets are each row's fractions of the classes, usually one 1 among 0. All
    penalties are tried at the cost of one eigendecomposition, and chosen by the
    weighted squared error of leave-one-out predictions.

    Attributes
    ----------
    penalty_ : float
        The one chosen, as a fraction of the summed variance of the features.
    coef_ : ndarray of shape (n_features, n_classes)
        For features as they were given.
    intercept_ : ndarray of shape (n_classes,)
        Scores of a row of zeros.
    left_out_scores_ : ndarray of shape (n_rows, n_classes)
        Of each row by a fit without it.

    References
    ----------
    Allen, "The relationship between variable selection and data augmentation and a
    method for prediction", Technometrics 16, 1974 (leave-one-out in closed form).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn.modules import RidgeScores
    >>> X, weights = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.ones(4)
    >>> Y = np.eye(2)[[0, 0, 1, 1]]
    >>> RidgeScores().fit(X, Y, weights).left_out_scores_.argmax(axis=1)
    array([0, 0, 1, 1])
    """

    def fit(self, X, Y, weights):
        """Fit the scores.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Features, within about -1 and 1.
        Y : ndarray of shape (n_rows, n_classes)
            Fractions of the classes.
        weights : ndarray of shape (n_rows,)
            Positive.

        Returns
        -------
        RidgeScores
            Itself.
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
        """Compute the scores of rows.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            About the probabilities of the classes, but not within [0, 1].
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
    """Return squared singular values, and left and right vectors, of what is not 0."""
    n_rows, n_columns = A.shape
    gram = A @ A.T if n_rows <= n_columns else A.T @ A
    values, vectors = torch.linalg.eigh(gram)
    kept = values > 1e-12 * values[-1].clamp(min=1e-300)
    values, vectors = values[kept], vectors[:, kept]
    others = (A.T if n_rows <= n_columns else A) @ vectors / values.sqrt()
    pair = (vectors, others) if n_rows <= n_columns else (others, vectors)
    return values, *pair
