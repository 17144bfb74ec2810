"""What fits by several processes need: the same call in all of them."""

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._fingerprint import fingerprint
from sklearn_rnn.estimators._network import check_device
from sklearn_rnn.training import current_processes

# Parameters that may differ between processes.
WITHOUT_EFFECT = {"n_threads", "verbose"}


def check_parallel(estimator, data, last):
    """Check that a fit can be divided, and that all processes make the same one.

    Parameters
    ----------
    estimator : estimator instance
        Not fitted yet, or with the last fit's attributes.
    data : tuple
        Parsed data to train on, and to validate on or None.
    last : Task or None
        Of the last fit, whose network is trained further.
    """
    _check_supported(estimator)
    own = {
        **{name: getattr(estimator, name) for name in estimator._get_param_names()},
        "X and y": data,
        "random numbers drawn so far": estimator._random_state,
        "whether it is fitted": last is not None,
    }
    own = {name: _hash(own[name], name) for name in own.keys() - WITHOUT_EFFECT}
    own["type"] = type(estimator).__name__
    first, *others = current_processes.processes.gather(own)
    for rank, other in enumerate(others, 1):
        names = sorted(
            k for k in first.keys() | other.keys() if first.get(k) != other.get(k)
        )
        if names:
            raise ValueError(
                "data_parallel needs the same call in every process, but process "
                f"{rank} has other values than process 0 of: {', '.join(names)}. Give "
                "every process the same parameters, and all of the data: batches are "
                "divided, not the data."
            )


def _check_supported(estimator):
    name = type(estimator).__name__
    if check_device(estimator.device) != "cpu":
        raise ValueError(
            f"data_parallel trains on the CPU, and {name} has "
            f"device={estimator.device!r}. Set device='cpu', or train on the GPU by "
            "one process."
        )
    if estimator.random_state is None:
        raise ValueError(
            f"data_parallel needs a random_state, so that all processes draw the same "
            f"random numbers, and {name} has None. Set random_state=0, say."
        )
    if estimator.checkpoint is not None:
        raise ValueError(
            "data_parallel does not support checkpoint, which is the file of one "
            f"process. Set checkpoint=None of {name}."
        )


def _hash(value, name):
    """Return a hash of a value, or its type if its state cannot be read."""
    try:
        return fingerprint(value, name)
    except InvalidModelError:
        return type(value).__qualname__
