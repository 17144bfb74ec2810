"""sequence_importance: which features and steps a prediction hangs on."""

from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators import find_trained, input_gradients, split_at_windower
from sklearn_rnn.sequences import SequenceArray, check_sequences, convert_input

# Steps of the differences that a gradient of a whole regressor is found by, in standard
# deviations of a feature: small beside its changes, large beside rounding in float32.
STEP = 0.01
# Parts beside a network whose gradients are not those of the network.
BESIDE = {
    "convolutions_": "convolutions=None",
    "bag_of_words_": "bag_of_words=False",
}


def sequence_importance(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    by: Literal["feature", "step", "both"] = "feature",
    method: Literal["permutation", "gradient"] = "permutation",
    scoring: Any = None,
    n_repeats: int = 5,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Measure how much each feature, or step, of sequences counts in predictions.

    What ``sklearn.inspection.permutation_importance`` is for tables, for everything
    that ``predict`` takes: 3-D arrays, lists, and tables behind a `SequenceWindower`.

    Parameters
    ----------
    estimator : estimator instance
        Fitted: an `RNNRegressor`, `RNNClassifier` or `RNNTagger`, a pipeline that
        ends in one, or a search over one; with "permutation" any estimator behind a
        windower.
    X : like the X of fit
        Data to measure on; better such as it was not fitted to.
    y : like the y of fit, default=None
        Their targets. Needed by "permutation".
    by : {"feature", "step", "both"}, default="feature"
        What is measured: each feature with all of its steps, each step with all of its
        features, or each feature at each step. Steps count from the last one, 0.
    method : {"permutation", "gradient"}, default="permutation"
        "permutation": how much the score falls if the values are exchanged between
        sequences at random. "gradient": the mean size of the gradient with respect to
        the inputs, without targets (see Notes).
    scoring : str or callable, default=None
        Scorer for "permutation", as in scikit-learn; None is the estimator's ``score``,
        of a search what it chose by.
    n_repeats : int, default=5
        How often each is permuted.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    DataFrame
        One row per feature (its name, or its position), per step (0, -1, ...), or
        per pair of both. Columns: `mean`, the importance, and `std`, its standard
        deviation over repeats, or over sequences with "gradient". By "permutation" in
        units of the score, about 0 for what does not count.

    Raises
    ------
    ValueError
        If "gradient" is asked for features that are not numbers, or of a classifier
        with more than a network; if "permutation" has no targets.

    See Also
    --------
    ImportanceDisplay : The same as a picture.
    RNNRegressor.input_gradients : Gradients of each sequence.

    Notes
    -----
    Of features, or neighbouring steps, that carry the same information each seems to
    count little, as the model can do without it; by "step", so does each step of a
    smooth series. A sequence that is shorter than others counts in the steps it has.

    The gradient of a network alone is that of its outputs with respect to its inputs,
    both standardised, in one pass. Of a regressor with a linear part it is the gradient
    of what it predicts, both parts weighed: in units of the target per standard
    deviation of the feature in `X`. It is found by differences, with two predictions
    per step and feature. Of several outputs (targets, steps ahead, quantiles) the sizes
    of their gradients are added up, so that opposite effects do not cancel.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNRegressor, sequence_importance
    >>> X = np.random.default_rng(0).normal(size=(300, 6, 2))
    >>> y = X[:, -2, 1]  # the second feature, one step before the last
    >>> model = RNNRegressor(random_state=0).fit(X[:200], y[:200])
    >>> found = sequence_importance(model, X[200:], y[200:], by="both", random_state=0)
    >>> step, feature = found["mean"].idxmax()
    >>> print(step, feature)
    -1 1
    """
    check_is_fitted(estimator)
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    for name, value, known in (
        ("by", by, ("feature", "step", "both")),
        ("method", method, ("permutation", "gradient")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, got {value!r}.")
    if scoring is None:  # of a search the one that it chose by
        scoring = getattr(estimator, "scorer_", None)
        scoring = scoring[estimator.refit] if isinstance(scoring, dict) else scoring
    before, windower, model = split_at_windower(estimator)
    for step in before if windower is None else [*before, windower]:
        X = step.transform(X)
    name = type(estimator).__name__
    X = convert_input(X, estimator_name=name)
    sequences = check_sequences(X, estimator_name=name, allow_categories=True)
    if method == "gradient":
        values = _gradients(find_trained(model), sequences, by)
    else:
        values = _permute(
            model,
            sequences,
            y,
            by,
            scoring,
            n_repeats,
            check_random_state(random_state),
        )
    index = _make_index(sequences, by)
    with np.errstate(invalid="ignore"):
        found = {"mean": np.nanmean(values, axis=0), "std": np.nanstd(values, axis=0)}
    return pd.DataFrame(found, index=index)


class _Steps(NamedTuple):
    """Sequences as one array, aligned at their ends.

    values : (n_sequences, longest, n_features), the first step of shorter ones repeated
    sequences : SequenceArray, where they come from
    """

    values: np.ndarray
    sequences: SequenceArray

    def with_values(self, values: np.ndarray) -> SequenceArray:
        """Return sequences of the same lengths with other values."""
        sequences, lengths = self.sequences, self.sequences.lengths
        longest = values.shape[1]
        is_own = np.arange(longest) >= longest - lengths[:, np.newaxis]
        # As they are read: what scales them is applied already.
        transforms = replace(sequences.transforms, scaling=None, augmentation=None)
        return SequenceArray(
            values[is_own],
            np.cumsum(lengths) - lengths,
            lengths,
            sequences.feature_names,
            transforms=transforms,
        )


def _permute(model, sequences, y, by, scoring, n_repeats, random_state):
    """Return falls of the score, (n_repeats, n_rows)."""
    if y is None:
        raise ValueError(
            "method='permutation' compares scores, and y is None: pass the targets, or "
            "use method='gradient'."
        )
    scorer = check_scoring(model, scoring)
    steps = _Steps(sequences.last_steps(sequences.shape[1]), sequences)
    n, longest, n_features = steps.values.shape
    score = scorer(model, steps.with_values(steps.values), y)
    falls = np.empty((n_repeats, _n_rows(by, longest, n_features)))
    for repeat in range(n_repeats):
        for row in range(falls.shape[1]):
            chosen = _choose(by, row, longest, n_features)
            values = steps.values.copy()
            values[chosen] = values[chosen][random_state.permutation(n)]
            falls[repeat, row] = score - scorer(model, steps.with_values(values), y)
    return falls


def _gradients(trained, sequences, by):
    """Return sizes of gradients, (n_sequences, n_rows); NaN where there is no step."""
    if getattr(trained, "linear_", None) is not None:
        return _reduce(_differences(trained, sequences), by)
    for attribute, remedy in BESIDE.items():
        if getattr(trained, attribute, None) is not None:
            raise ValueError(
                f"this {type(trained).__name__} has more than a network "
                f"({attribute.rstrip('_')}), whose gradients are not in those of the "
                f"network: use method='permutation', or fit with {remedy}."
            )
    gradients = input_gradients(trained, sequences, per_output=True)
    n_inputs, longest = gradients[0].shape[1], sequences.shape[1]
    if by != "step" and n_inputs != sequences.n_features:
        raise ValueError(
            f"the network reads {n_inputs} inputs per step, as tokens or categories "
            f"are vectors, and X has {sequences.n_features} features: use "
            "method='permutation', or by='step'."
        )
    sizes = np.full((len(gradients), longest, n_inputs), np.nan)
    for i, own in enumerate(gradients):
        sizes[i, longest - len(own) :] = own
    return _reduce(sizes, by)


def _differences(trained, sequences):
    """Return sizes of gradients of predictions, (n_sequences, longest, n_features)."""
    if sequences.categories:
        raise ValueError(
            f"the features {sorted(sequences.categories)} of X are categories, which "
            "have no gradient: use method='permutation'."
        )
    steps = _Steps(sequences.last_steps(sequences.shape[1]), sequences)
    n, longest, n_features = steps.values.shape
    is_own = np.arange(longest) >= longest - sequences.lengths[:, np.newaxis]
    sizes = np.full(steps.values.shape, np.nan)
    for feature in range(n_features):
        spread = steps.values[:, :, feature][is_own].std()
        for step in range(longest):
            moved = []
            for change in (STEP * spread, -STEP * spread):
                values = steps.values.astype(np.float64)
                values[:, step, feature] += change
                predicted = trained.predict(steps.with_values(values))
                moved.append(predicted.reshape(n, -1))
            # Opposite effects on two outputs do not cancel.
            changes = np.abs(moved[0] - moved[1]).sum(axis=1)
            sizes[:, step, feature] = changes / (2 * STEP)
    sizes[~is_own] = np.nan
    return sizes


def _reduce(sizes, by):
    """Return sizes of gradients by step and feature as (n_sequences, n_rows)."""
    if by == "step":
        return np.sqrt((sizes**2).sum(axis=2))[:, ::-1]
    if by == "feature":
        return np.nansum(sizes, axis=1)
    return sizes[:, ::-1].reshape(len(sizes), -1)


def _n_rows(by, longest, n_features):
    return {"feature": n_features, "step": longest, "both": longest * n_features}[by]


def _choose(by, row, longest, n_features):
    """Return the index of a row's values; rows count steps from the last one."""
    everything = slice(None)
    if by == "feature":
        return everything, everything, row
    if by == "step":
        return everything, longest - 1 - row
    return everything, longest - 1 - row // n_features, row % n_features


def _make_index(sequences, by):
    """Return the rows of the result."""
    names = sequences.feature_names or range(sequences.n_features)
    features = pd.Index(list(names), name="feature")
    steps = pd.Index(-np.arange(sequences.shape[1]), name="step")
    if by == "both":
        return pd.MultiIndex.from_product([steps, features])
    return features if by == "feature" else steps
