"""Finding the recurrent network inside a fitted estimator."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.preprocessing import SequenceWindower

# Where a meta-estimator keeps the one that it fitted last.
FITTED_INSIDE = ("best_estimator_", "regressor_")


def find_trained(estimator):
    """Return the recurrent network's estimator inside a fitted one.

    Parameters
    ----------
    estimator : estimator instance
        RNNRegressor, RNNClassifier or RNNTagger, or a pipeline, search or
        `TransformedTargetRegressor` that holds one.

    Returns
    -------
    RNNRegressor, RNNClassifier or RNNTagger
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
    >>> from sklearn_rnn.displays._trained import find_trained
    >>> model = make_pipeline(SequenceScaler(), RNNRegressor(max_epochs=1))
    >>> find_trained(model.fit([[1.0, 2.0], [3.0]], [0.0, 1.0]))
    RNNRegressor(max_epochs=1)
    """
    return _layers(estimator)[-1]


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
    trained : RNNRegressor, RNNClassifier or RNNTagger
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
    >>> from sklearn_rnn.displays._trained import find_trained_and_input
    >>> table = [[1.0], [2.0], [4.0]]
    >>> model = make_pipeline(SequenceWindower(2, history=None), RNNRegressor())
    >>> model = model.set_params(rnnregressor__max_epochs=1).fit(table, [0, 1, 2])
    >>> find_trained_and_input(model, table)[1]
    SequenceArray(3 sequences of 1 to 2 steps, 1 feature, float64)
    """
    layers = _layers(estimator)
    for layer in layers:
        if isinstance(layer, Pipeline) and len(layer) > 1:
            X = layer[:-1].transform(X)
    return layers[-1], X


def cuts_windows(estimator):
    """Tell whether a pipeline on the way cuts a table into windows.

    Parameters
    ----------
    estimator : estimator instance
        As for `find_trained`.

    Returns
    -------
    bool
        Whether it has a `SequenceWindower`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it holds no recurrent network.
    """
    return any(
        isinstance(step, SequenceWindower)
        for layer in _layers(estimator)
        if isinstance(layer, Pipeline)
        for _, step in layer.steps
    )


def _layers(estimator):
    """Return a fitted estimator and those that it holds, outermost first."""
    check_is_fitted(estimator)
    if hasattr(estimator, "history_"):
        return [estimator]
    return [estimator, *_layers(_held_by(estimator))]


def _held_by(estimator):
    if isinstance(estimator, Pipeline):
        return estimator[-1]
    for attribute in FITTED_INSIDE:
        if hasattr(estimator, attribute):
            return getattr(estimator, attribute)
    raise TypeError(
        f"{type(estimator).__name__} holds no recurrent network. Give a fitted "
        "RNNRegressor, RNNClassifier or RNNTagger, a pipeline that ends in one, or a "
        "search over one with refit=True."
    )
