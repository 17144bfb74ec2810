"""Scorers that compute scikit-learn's metrics over steps."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_rnn.sequences import (
    Extents,
    check_input,
    check_step_targets,
    is_missing,
)


def make_step_scorer(
    score_func: Callable,
    *,
    response_method: str = "predict",
    greater_is_better: bool = True,
    missing_label: Any = None,
    **kwargs: Any,
) -> Callable:
    """Make a scorer that computes a metric over the steps of all sequences.

    The metrics of scikit-learn compare one target per sample with one
    prediction. This scorer concatenates the steps of all sequences, without
    those that have no target, and passes them to the metric; use it as
    `scoring` of ``GridSearchCV`` and ``cross_validate``. Of several outputs
    each is scored over the steps where it has a target, and the mean taken;
    with a `multioutput` among the keywords, over steps that have all of them.

    Parameters
    ----------
    score_func : callable
        ``score_func(y_true, y_pred, **kwargs)``, such as
        ``sklearn.metrics.f1_score`` or ``mean_absolute_error``.
    response_method : {"predict", "predict_proba", "predict_log_proba"}, \
default="predict"
        Method of the estimator whose results the metric takes.
    greater_is_better : bool, default=True
        False for errors and losses, whose sign the scorer flips.
    missing_label : object, default=None
        Target of steps that have none. None and NaN always are.
    **kwargs : dict
        Passed to `score_func`.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)`` returns a float.

    See Also
    --------
    sklearn.metrics.make_scorer : The same for one target per sample.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import mean_absolute_error
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn_rnn import RNNRegressor, make_step_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=n) for n in rng.integers(5, 10, size=40)]
    >>> y = [x.cumsum() for x in X]
    >>> model = RNNRegressor(return_sequences=True, random_state=0)
    >>> error = make_step_scorer(mean_absolute_error, greater_is_better=False)
    >>> bool(cross_val_score(model, X, y, scoring=error, cv=2).mean() > -0.5)
    True
    """
    sign = 1 if greater_is_better else -1
    return StepScorer(score_func, response_method, sign, missing_label, kwargs)


class StepScorer:
    """The scorer that `make_step_scorer` returns; `sign` multiplies the result."""

    def __init__(self, score_func, response_method, sign, missing_label, kwargs):
        self.score_func = score_func
        self.response_method = response_method
        self.sign = sign
        self.missing_label = missing_label
        self.kwargs = kwargs

    def __call__(self, estimator, X, y):
        predictions = getattr(estimator, self.response_method)(X)
        lengths = np.array([len(sequence) for sequence in predictions])
        true = check_step_targets(
            y,
            *_extents(X, lengths),
            estimator_name="make_step_scorer",
            missing_label=self.missing_label,
        ).values
        predicted = np.concatenate(list(predictions))
        if true.ndim == 1 or true.shape[1] == 1:
            return self.sign * self._score(true.reshape(len(true)), predicted)
        if "multioutput" in self.kwargs:  # the metric needs all outputs at once
            complete = ~is_missing(true).any(axis=1)
            return self.sign * float(
                self.score_func(true[complete], predicted[complete], **self.kwargs)
            )
        # Each output counts where it has a target, as in the estimators' score.
        scores = map(self._score, true.T, predicted.T)
        return self.sign * float(np.mean(list(scores)))

    def _score(self, true, predicted):
        has_target = ~is_missing(true, self.missing_label)
        if not has_target.any():
            raise ValueError("no step of y has a target: there is nothing to score.")
        true, predicted = true[has_target], predicted[has_target]
        if true.dtype == object:
            true = np.array(true.tolist())
        return float(self.score_func(true, predicted, **self.kwargs))

    def __repr__(self):
        name = getattr(self.score_func, "__name__", repr(self.score_func))
        return f"make_step_scorer({name})"


def _extents(X, lengths):
    """Return starts and lengths of sequences, without padding and with it."""
    try:
        checked = check_input(X, allow_categories=True)
        if np.array_equal(checked.sequences.lengths, lengths):
            return checked.sequences, checked.padded
    except (TypeError, ValueError):
        pass  # such as a table that a pipeline converts to sequences
    extents = Extents(np.cumsum(lengths) - lengths, lengths)
    return extents, extents
