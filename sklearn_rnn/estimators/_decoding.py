"""Functions that turn the outputs of a regressor's network into distributions."""

from collections.abc import Callable
from functools import partial
from numbers import Integral

from sklearn.utils import check_scalar

from sklearn_rnn.estimators._fit import new_random_state
from sklearn_rnn.training import LIKELIHOODS


def quantile_decoder(estimator, quantiles) -> Callable:
    """Return a function from task, sequences and outputs to quantiles, as checked."""
    levels = estimator._task.output.parse_levels(quantiles)

    def decode(task, sequences, outputs):
        describe = partial(task.output.quantiles, levels=levels)
        return task.decode(sequences, outputs, describe)

    return decode


def sample_decoder(estimator, n_samples, random_state) -> Callable:
    """Return a function from task, sequences and outputs to draws, as checked."""
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    output = estimator._task.output
    if not output.is_distribution:
        raise ValueError(
            f"this {type(estimator).__name__} was fitted with loss={output.loss!r}, "
            "which predicts no distribution to draw from: fit it with one of "
            f"{sorted(LIKELIHOODS)}."
        )
    random_state = new_random_state(random_state)

    def decode(task, sequences, outputs):
        def draw(forecasts):
            scores = task.dependence.draw(len(forecasts), n_samples, random_state)
            return task.output.sample(forecasts, scores)

        return task.decode(sequences, outputs, draw)

    return decode
