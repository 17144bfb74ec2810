"""What a model is made of: its windowers, its network, and what these predict."""

import warnings
from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._base import RNNEstimator
from sklearn_rnn.estimators._regressor import RNNRegressor
from sklearn_rnn.estimators.tasks import MEDIAN, point_forecast
from sklearn_rnn.preprocessing import (
    SequenceWindower,
    TableKeys,
    UnknownTimesWarning,
)
from sklearn_rnn.sequences import SequenceArray

# Where a meta-estimator keeps the one that it fitted last.
FITTED_INSIDE = ("best_estimator_", "regressor_")
# Steps of a pipeline that do nothing.
SKIPPED = (None, "passthrough")


def find_trained(estimator):
    """Return the recurrent network's estimator inside a fitted one.

    Parameters
    ----------
    estimator : estimator instance
        One of this package's, or a pipeline, search or
        `TransformedTargetRegressor` that holds one.

    Returns
    -------
    RNNRegressor, RNNClassifier, RNNTagger, RNNGenerator, RNNSeq2Seq or RNNTranscriber
        Fitted.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it holds no recurrent network.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import RNNRegressor, SequenceScaler
    >>> from sklearn_rnn.estimators._trained import find_trained
    >>> model = make_pipeline(SequenceScaler(), RNNRegressor(max_epochs=1))
    >>> find_trained(model.fit([[1.0, 2.0], [3.0]], [0.0, 1.0]))
    RNNRegressor(max_epochs=1)
    """
    return _layers_to_network(estimator)[-1]


def find_trained_and_input(estimator, X):
    """Return the recurrent network's estimator, and X as it gets there.

    Parameters
    ----------
    estimator : estimator instance
        As for `find_trained`.
    X : like the X of fit
        What the outermost estimator predicts from.

    Returns
    -------
    trained : RNNRegressor, RNNClassifier, RNNTagger, RNNGenerator, RNNSeq2Seq or \
RNNTranscriber
        Fitted.
    X : like the X of fit
        Transformed by the steps of the pipelines on the way.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it holds no recurrent network.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import RNNRegressor, SequenceWindower
    >>> from sklearn_rnn.estimators._trained import find_trained_and_input
    >>> table = [[1.0], [2.0], [4.0]]
    >>> model = make_pipeline(SequenceWindower(2, history=None), RNNRegressor())
    >>> model = model.set_params(rnnregressor__max_epochs=1).fit(table, [0, 1, 2])
    >>> find_trained_and_input(model, table)[1]
    SequenceArray(3 sequences of 1 to 2 steps, 1 feature, float64)
    """
    layers = _layers_to_network(estimator)
    for layer in layers:
        if isinstance(layer, Pipeline) and len(layer) > 1:
            X = layer[:-1].transform(X)
    return layers[-1], X


def check_has_method(trained, method):
    """Check that a fitted estimator has a method that a display needs.

    Parameters
    ----------
    trained : estimator instance
        From `find_trained`.
    method : str
        What it would need.

    Raises
    ------
    TypeError
        If it has no such method.
    """
    if not hasattr(trained, method):
        raise TypeError(
            f"{type(trained).__name__} has no {method}(): this display draws "
            "estimators that have."
        )


class ModelParts(NamedTuple):
    """What a model is made of, as far as tables and forecasts need to know.

    windowers : list of SequenceWindower, fitted ones where there are
    network : the fitted estimator whose recurrent network predicts; None without one
    target_names : ndarray of str, the targets of fit; None without names
    lookback : int, how many rows before a row its prediction depends on; None where
        it is not known: without a windower, or behind steps that may look at earlier
        rows themselves
    keys : TableKeys of the first windower; `missing` is "mask" if any of them masks
    """

    windowers: Sequence[SequenceWindower] = ()
    network: RNNEstimator | None = None
    target_names: np.ndarray | None = None
    lookback: int | None = None
    keys: TableKeys = TableKeys()


def inspect_model(model: Any) -> ModelParts:
    """Return what an estimator of any kind, fitted or not, is made of."""
    if isinstance(model, RNNEstimator):
        if not hasattr(model, "module_"):
            return ModelParts()
        names = model._task.numbers.names if isinstance(model, RNNRegressor) else None
        return ModelParts(network=model, target_names=names)
    if isinstance(model, SequenceWindower):
        keys = TableKeys(  # not fitted yet, it has its parameters alone
            time=getattr(model, "time_", model.time),
            group_by=getattr(model, "group_by_", model.group_by),
            freq=getattr(model, "freq_", None),
            missing="mask" if getattr(model, "_fill", None) is not None else None,
        )
        names = getattr(model, "_target_names", None)
        return ModelParts([model], None, names, model.n_steps - 1, keys)
    is_pipeline = isinstance(model, Pipeline)
    steps = [step for _, step in model.steps] if is_pipeline else parts_of(model)
    steps = [step for step in steps if step not in SKIPPED]
    found = [inspect_model(step) for step in steps]
    windowers = list({id(w): w for part in found for w in part.windowers}.values())
    keys = next((part.keys for part in found if part.windowers), TableKeys())
    is_masked = any(part.keys.missing for part in found)
    keys = keys._replace(missing="mask" if is_masked else None)
    holds_one = is_pipeline or isinstance(model, FrozenEstimator)
    holds_one = holds_one or any(hasattr(model, name) for name in FITTED_INSIDE)
    network = found[-1].network if found and holds_one else None
    if network is not None:
        target_names = found[-1].target_names
    else:
        names = [getattr(w, "_target_names", None) for w in windowers]
        is_same = all(n is not None and np.array_equal(n, names[0]) for n in names)
        target_names = names[0] if names and is_same else None
    # What reads the rows: of a target transformer, before fit, the first part.
    has_first = is_pipeline or isinstance(model, TransformedTargetRegressor)
    reading = [
        part
        for step, part in zip(steps, found, strict=True)
        if not getattr(step, "_is_rowwise", False)
    ]
    is_known = reading and (has_first or len(found) == 1)
    lookback = reading[0].lookback if is_known else None
    return ModelParts(windowers, network, target_names, lookback, keys)


def parts_of(estimator):
    """Return the estimators that one, no pipeline, is made of, fitted where there are.

    Parameters
    ----------
    estimator : estimator instance
        Of any other kind.

    Returns
    -------
    list of estimator instances
        What was fitted inside, members of an ensemble, or parameters.
    """
    if isinstance(estimator, FrozenEstimator):
        return [estimator.estimator]
    for attribute in FITTED_INSIDE:
        if hasattr(estimator, attribute):
            return [getattr(estimator, attribute)]
    several = getattr(estimator, "estimators_", None)
    if isinstance(several, list):
        return [part for part in several if hasattr(part, "get_params")]
    if not hasattr(estimator, "get_params"):
        return []
    parameters = estimator.get_params(deep=False).values()
    return [part for part in parameters if hasattr(part, "get_params")]


def flatten_steps(estimator):
    """Return the steps of a pipeline, and those of pipelines in it.

    Parameters
    ----------
    estimator : estimator instance
        Of any kind.

    Returns
    -------
    list of estimator instances
        The estimator alone if it is no pipeline.
    """
    if isinstance(estimator, FrozenEstimator):
        return flatten_steps(estimator.estimator)
    if not isinstance(estimator, Pipeline):
        return [estimator]
    steps = [step for _, step in estimator.steps if step not in SKIPPED]
    return [part for step in steps for part in flatten_steps(step)]


def split_at_windower(estimator, *, deep=False):
    """Take a fitted model apart at its first windower.

    Parameters
    ----------
    estimator : estimator instance
        Of any kind; of a search, its best estimator is taken apart.
    deep : bool, default=False
        Whether to look inside of a `TransformedTargetRegressor`, and of the last step,
        too.

    Returns
    -------
    before : list of estimator instances
        The steps before the windower; without one, all but the last.
    windower : SequenceWindower or None
        None if there is none that can be reached.
    after : estimator instance
        What predicts from windows; without a windower, the last step.
    """
    outer = "best_estimator_"
    while isinstance(estimator, FrozenEstimator) or hasattr(estimator, outer):
        estimator = parts_of(estimator)[0]
    if deep and isinstance(estimator, TransformedTargetRegressor):
        inside = split_at_windower(estimator.regressor_, deep=True)
        estimator = copy(estimator)
        estimator.regressor_ = inside[2]
        return inside[0], inside[1], estimator
    steps = flatten_steps(estimator)
    for k, step in enumerate(steps[:-1]):
        if isinstance(step, SequenceWindower):
            after = steps[k + 1 :]
            after = after[0] if len(after) == 1 else make_pipeline(*after)
            return steps[:k], step, after
    before, last = steps[:-1], steps[-1] if steps else estimator
    if deep and last is not estimator:
        inside, windower, last = split_at_windower(last, deep=True)
        return [*before, *inside], windower, last
    return before, None, last


class RowPredictions(NamedTuple):
    """Predictions for some rows, of any estimator.

    predictions : ndarray of shape (n, n_outputs)
    levels : ndarray of shape (n_quantiles,), empty without quantiles
    quantiles : ndarray of shape (n, n_outputs, n_quantiles)
    """

    predictions: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray


def quantile_column(level: float) -> str:
    """Return the column name of a quantile, such as "q0.975"."""
    return f"q{level:.10g}"


def predicted_columns(
    model: Any,
    X: Any,
    rows: np.ndarray,
    outputs: list[tuple[str, int]],
    wanted: list[tuple[str, int]],
) -> dict[str, np.ndarray]:
    """Return predictions and quantiles of some rows of X as columns.

    `outputs` are all that the model predicts. The columns have shape
    (n_rows * n_wanted,): those `wanted` of the first row, then of the second, and so
    on.
    """
    with warnings.catch_warnings():
        # X has all rows of a window that there are.
        warnings.simplefilter("ignore", UnknownTimesWarning)
        found = predict_rows(model, X, rows)
    n_predicted = found.predictions.shape[1]
    if n_predicted != len(outputs):
        raise ValueError(
            f"the model predicts {n_predicted} values per row, but target and horizon "
            f"name {len(outputs)}: pass those that it was fitted with, or fit it on "
            "the X and Y of make_forecast_frame for those."
        )
    chosen = [outputs.index(output) for output in wanted]
    columns = {"prediction": found.predictions[:, chosen].ravel()}
    for i, level in enumerate(found.levels):
        columns[quantile_column(level)] = found.quantiles[:, chosen, i].ravel()
    return columns


def predict_rows(estimator, X, rows):
    """Predict for some rows, with quantiles where there are such.

    Through pipelines, searches and target transformers; what is costly is
    computed for these rows alone.

    Parameters
    ----------
    estimator : estimator instance
        Fitted, of any kind.
    X : like the X of fit
        What it predicts from.
    rows : ndarray of int of shape (n,)
        Rows of X, or of what a pipeline makes of it.

    Returns
    -------
    RowPredictions

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import RNNRegressor, SequenceScaler
    >>> from sklearn_rnn.estimators._trained import predict_rows
    >>> model = make_pipeline(SequenceScaler(), RNNRegressor(loss="quantile"))
    >>> model = model.set_params(rnnregressor__max_epochs=1)
    >>> X = np.zeros((4, 3))
    >>> found = predict_rows(model.fit(X, X[:, 0]), X, np.array([0, 2]))
    >>> found.levels, found.quantiles.shape
    (array([0.1, 0.5, 0.9]), (2, 1, 3))
    """
    if isinstance(estimator, Pipeline):
        if type(estimator) is not Pipeline:  # steps of others may be no transformers
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        else:  # as scikit-learn's `predict` does, without a new pipeline
            for _, step in estimator.steps[:-1]:
                X = X if step in SKIPPED else step.transform(X)
        return predict_rows(estimator[-1], X, rows)
    if isinstance(estimator, TransformedTargetRegressor):
        return _transform_back(estimator, predict_rows(estimator.regressor_, X, rows))
    if isinstance(estimator, FrozenEstimator) or hasattr(estimator, "best_estimator_"):
        return predict_rows(parts_of(estimator)[-1], X, rows)
    is_network = isinstance(estimator, RNNEstimator)
    if not is_network and inspect_model(estimator).windowers:
        # Inside of an ensemble, say: it needs the rows between.
        predictions = estimator.predict(X)[rows]
    else:
        X = X[rows] if isinstance(X, SequenceArray) else _safe_indexing(X, rows)
        is_regressor = isinstance(estimator, RNNRegressor)
        output = estimator._task.output if is_regressor else None
        if output is not None and output.levels is not None:
            levels = output.levels
            quantiles = estimator.predict_quantiles(X)
            quantiles = quantiles.reshape(len(rows), -1, len(levels))
            # The mean of a distribution is not among its quantiles.
            points = point_forecast(quantiles, levels)
            if output.is_distribution:
                points = _as_columns(estimator.predict(X))
            return RowPredictions(points, levels, quantiles)
        predictions = estimator.predict(X)
    predictions = np.asarray(predictions).reshape(len(rows), -1)
    return RowPredictions(predictions, np.empty(0), np.empty((*predictions.shape, 0)))


def sample_rows(estimator, X, rows, n_samples, random_state):
    """Draw the targets of some rows from what a fitted model predicts of them.

    A likelihood draws all targets of a row together; quantiles at one level for all of
    them. A model of points draws these.

    Parameters
    ----------
    estimator : estimator instance
        Fitted, of any kind, as for `predict_rows`.
    X : like the X of fit
        What it predicts from.
    rows : ndarray of int of shape (n,)
        Rows of X, or of what a pipeline makes of it.
    n_samples : int
        Draws per row.
    random_state : RandomState instance
        Source of the draws.

    Returns
    -------
    ndarray of shape (n, n_outputs, n_samples)
    """
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return sample_rows(estimator[-1], X, rows, n_samples, random_state)
    if isinstance(estimator, TransformedTargetRegressor):
        drawn = sample_rows(estimator.regressor_, X, rows, n_samples, random_state)
        back = estimator.transformer_.inverse_transform
        restored = [_as_columns(back(sample)) for sample in np.moveaxis(drawn, -1, 0)]
        return np.stack(restored, axis=-1)
    if isinstance(estimator, FrozenEstimator) or hasattr(estimator, "best_estimator_"):
        inside = parts_of(estimator)[-1]
        return sample_rows(inside, X, rows, n_samples, random_state)
    is_regressor = isinstance(estimator, RNNRegressor)
    if is_regressor and estimator._task.output.is_distribution:
        drawn = estimator.sample(_safe_indexing(X, rows), n_samples, random_state)
        return drawn.reshape(len(rows), -1, n_samples)
    found = predict_rows(estimator, X, rows)
    if not len(found.levels):
        return np.repeat(found.predictions[:, :, np.newaxis], n_samples, axis=-1)
    if len(found.levels) < 2 or not found.levels[0] <= MEDIAN <= found.levels[-1]:
        raise ValueError(
            f"the model predicts the quantiles {found.levels.tolist()}, and a longer "
            "horizon needs at least two, on both sides of the median, to draw paths "
            "from: fit it with quantiles=(0.1, 0.5, 0.9), or with a likelihood."
        )
    drawn = _draw_between(found, n_samples, random_state)
    return estimator._task.output.clip(drawn)


def summarize_samples(estimator, samples):
    """Return points and quantiles of samples, of the kinds that a model predicts.

    Parameters
    ----------
    estimator : estimator instance
        Fitted, with quantiles.
    samples : ndarray of shape (..., n_samples)

    Returns
    -------
    RowPredictions
        Of samples of counts, quantiles are counts.
    """
    layers = _layers(estimator)
    output = layers[-1]._task.output
    found = np.quantile(samples, output.levels, axis=-1, method="inverted_cdf")
    quantiles = np.moveaxis(found, 0, -1)
    points = point_forecast(quantiles, output.levels)
    # What a mean is transformed back to is rather the median.
    is_transformed = any(isinstance(e, TransformedTargetRegressor) for e in layers)
    if output.is_distribution and not is_transformed:
        points = samples.mean(axis=-1)
    return RowPredictions(points, output.levels, quantiles)


def _draw_between(found, n_samples, random_state):
    """Draw from quantiles, (n, n_outputs, n_samples), at one level per row and draw.

    On lines between the quantiles over normal scores, which continue beyond the
    outermost ones: with Gaussian errors any two quantiles give the distribution.
    """
    known = ndtri(found.levels)
    scores = random_state.normal(size=(len(found.quantiles), n_samples))
    upper = np.clip(np.searchsorted(known, scores), 1, len(known) - 1)
    fraction = (scores - known[upper - 1]) / (known[upper] - known[upper - 1])
    upper, fraction = upper[:, np.newaxis], fraction[:, np.newaxis]
    low = np.take_along_axis(found.quantiles, upper - 1, axis=-1)
    high = np.take_along_axis(found.quantiles, upper, axis=-1)
    return low + fraction * (high - low)


def _transform_back(estimator, found):
    """Bring predictions into the units from before a target was transformed."""
    back = estimator.transformer_.inverse_transform
    predictions = _as_columns(back(found.predictions))
    quantiles = found.quantiles
    if len(found.levels):
        restored = [back(quantiles[:, :, i]) for i in range(len(found.levels))]
        # A decreasing transformation reverses their order.
        quantiles = np.sort(np.stack([_as_columns(one) for one in restored], axis=-1))
    return RowPredictions(predictions, found.levels, quantiles)


def _as_columns(predictions):
    return np.asarray(predictions).reshape(len(predictions), -1)


def _layers(estimator):
    """Return a fitted estimator and those that it holds, outermost first.

    The last one is the network's, or holds several or none.
    """
    layers = [estimator]
    check_is_fitted(estimator)
    while not isinstance(layers[-1], RNNEstimator):
        holder = layers[-1]
        if isinstance(holder, Pipeline):
            layers.append(holder.steps[-1][1])
        elif isinstance(holder, FrozenEstimator) or any(
            hasattr(holder, name) for name in FITTED_INSIDE
        ):
            layers.append(parts_of(holder)[-1])
        else:
            break
        check_is_fitted(layers[-1])
    return layers


def _layers_to_network(estimator):
    """Return the layers of an estimator after a check that the last is a network's."""
    layers = _layers(estimator)
    if not isinstance(layers[-1], RNNEstimator):
        raise TypeError(
            f"{type(layers[-1]).__name__} holds no recurrent network. Give a fitted "
            "RNNRegressor, RNNClassifier, RNNTagger, RNNGenerator, RNNSeq2Seq or "
            "RNNTranscriber, a pipeline that ends in one, or a search over one "
            "with refit=True."
        )
    return layers
