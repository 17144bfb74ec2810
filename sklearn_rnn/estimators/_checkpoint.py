"""Checkpoints of fits and of streams of partial_fit: file names and identities."""

import time
import warnings
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from sklearn_rnn._exceptions import (
    InvalidModelError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn._fingerprint import fingerprint
from sklearn_rnn._logging import LOGGER
from sklearn_rnn._plain_state import damage_reported, plain_type
from sklearn_rnn._version import __version__
from sklearn_rnn.estimators._network import check_device
from sklearn_rnn.estimators._state import pack_net, unpack_net
from sklearn_rnn.training import (
    CheckpointFile,
    TrainingCheckpoint,
    environment_of,
    pack_callbacks,
    unpack_callbacks,
)

# Parameters that do not change what is learned.
WITHOUT_EFFECT = {"checkpoint", "checkpoint_seconds", "verbose"}


def open_checkpoint(estimator, task, data, last):
    """Return the checkpoint of a fit, which has the parameter.

    Parameters
    ----------
    estimator : estimator instance
        Not fitted yet, or with the last fit's attributes.
    task : Task
        That has parsed the data.
    data : tuple
        Parsed data to train on, and to validate on or None.
    last : Task or None
        Of the last fit, whose network is trained further.
    """
    vars(estimator).pop("_stream", None)
    identity = _identity(estimator, task, data, last)
    path = _folder(estimator) / f"{_name(estimator, identity)}.npz"
    identity = {"version": __version__, **identity}
    name = type(estimator).__name__
    checkpoint = TrainingCheckpoint(path, identity, name, _environment(estimator))
    checkpoint.seconds = estimator.checkpoint_seconds
    return checkpoint.open()


def _identity(estimator, task, data, last):
    """Return what identifies a fit, or the first call of a stream."""
    kind = type(estimator)
    code = fingerprint(kind)  # which is that of a subclass, of the user's
    identity = {
        "estimator": f"{kind.__module__}.{kind.__qualname__} {code}",
        "parameters": _fingerprints(estimator, WITHOUT_EFFECT),
        "data": _fingerprint_of_data(estimator, task, data),
    }
    if last is not None:
        before = _task_state(last), pack_net(estimator, dict(vars(estimator)))
        weights = before[1]["_saved_net"]["weights"]
        identity["network before"] = _checked(fingerprint, (before[0], weights), "it")
    return identity


def _environment(estimator):
    return environment_of(check_device(estimator.device), estimator.n_threads)


def _folder(estimator):
    return Path(estimator.checkpoint).expanduser()


def _name(estimator, identity):
    return f"{type(estimator).__name__}-{fingerprint(identity)}"


def _fingerprints(estimator, left_out):
    """Return a hash of each parameter."""
    return {
        name: _checked(fingerprint, getattr(estimator, name), name)
        for name in estimator._get_param_names()
        if name not in left_out and hasattr(estimator, name)
    }


def _fingerprint_of_data(estimator, task, data):
    features = [
        getattr(estimator, name, None)
        for name in ("n_features_in_", "feature_names_in_")
    ]
    return _checked(fingerprint, [data, features, _task_state(task)], "X or y")


def _task_state(task):
    """Return what a task knows, without parameters, which are told by themselves."""
    return {name: value for name, value in vars(task).items() if name != "params"}


def _checked(function, value, name):
    try:
        return function(value, name)
    except InvalidModelError as error:
        raise ValueError(
            f"checkpoint names a file by a hash of parameters and data, but {error} "
            "Set checkpoint=None, or make it of types whose state Python can tell."
        ) from error


# Streams of calls of partial_fit


@plain_type
class Stream:
    """Which calls of partial_fit an estimator was trained by, and which were made.

    name : str, of the file in the folder
    identity : dict, of the first call
    calls : ndarray of uint64, a hash of each call that it was trained by
    n_made : int, calls that were made; fewer, where the file is ahead of them
    written : float, when the file was written, in seconds
    has_warned : bool, whether the user was warned that the file cannot be written
    """

    def __init__(self, name, identity):
        self.name = name
        self.identity = identity
        self.calls = np.empty(0, dtype=np.uint64)
        self.n_made = 0
        self.written = time.time()
        self.has_warned = False


def follow_stream(estimator, task, data, last):
    """Take note of a call of partial_fit; return whether its training is done already.

    The file of a stream is named by parameters and data of the first call. It holds
    the estimator as it was after a call, and hashes of the calls up to that. Where the
    same calls come again, the first one restores that estimator, and those that follow
    are compared and left out.

    Parameters
    ----------
    estimator : estimator instance
        On which partial_fit was called.
    task : Task
        That has parsed the data.
    data : tuple
        Parsed data of this call.
    last : Task or None
        Of the last call, or of fit.
    """
    if estimator._stream is None:
        call = _begin_stream(estimator, task, data, last)
    else:
        parameters = _fingerprints(estimator, WITHOUT_EFFECT | {"random_state"})
        call = fingerprint([parameters, _checked(fingerprint, data, "X or y")])
    # A copy: if this call fails to begin, the estimator stays as it was.
    stream = estimator._stream = copy(estimator._stream)
    stream.n_made += 1
    hashed = np.uint64(int(call[:16], 16))
    if stream.n_made > len(stream.calls):
        stream.calls = np.append(stream.calls, hashed)
        return False
    if stream.calls[stream.n_made - 1] != hashed:
        raise ValueError(
            f"call {stream.n_made} of partial_fit has other data, or parameters, than "
            f"call {stream.n_made} of {len(stream.calls)} in the checkpoint "
            f"{_folder(estimator) / stream.name}. Make the same calls again, or delete "
            "the file and begin with a new estimator."
        )
    estimator._task.params = task.params
    return True


def _begin_stream(estimator, task, data, last):
    """Set the stream of a first call, restored if there is a file; return its hash."""
    identity = _identity(estimator, task, data, last)
    stream = Stream(f"{_name(estimator, identity)}-stream.npz", identity)
    estimator._stream = stream
    file = _stream_file(estimator)
    saved = file.load()
    file.prepare()
    stream.has_warned = file.has_warned
    if saved is not None:
        with damage_reported(type(estimator).__name__):
            _restore(estimator, task, saved)
        stream.calls = saved["calls"]
        n_calls = len(stream.calls)
        LOGGER.info("%s continues after call %d of %s", file.label, n_calls, file.path)
        _warn_if_ahead(file, n_calls - 1)
    return fingerprint(identity)


def _warn_if_ahead(file, n_ahead):
    """Warn that a first call of partial_fit restored a model of later calls."""
    if n_ahead > 0:
        warnings.warn(
            f"the checkpoint {file.path} is {n_ahead} calls of partial_fit ahead: "
            f"{file.label} now predicts as after call {n_ahead + 1}. Repeat these "
            "calls to continue the stream. To train from the beginning, delete the "
            "file or set checkpoint to another folder.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def _stream_file(estimator):
    """Return the file of an estimator's stream."""
    stream = estimator._stream
    return CheckpointFile(
        _folder(estimator) / stream.name,
        {"version": __version__, **stream.identity},
        type(estimator).__name__,
        parameters=_objects(estimator),
        environment=_environment(estimator),
        has_warned=stream.has_warned,
    )


def _objects(estimator):
    """Return the parameters, which a task may hold: files name them."""
    names = estimator._get_param_names()
    return {name: vars(estimator)[name] for name in names if name in vars(estimator)}


def _restore(estimator, task, saved):
    """Let an estimator be as it was when the file of its stream was written."""
    state = dict(saved["state"])
    saved_net, given = state.pop("_saved_net"), estimator.random_state
    vars(estimator).update(state)
    if isinstance(given, np.random.RandomState):  # which the calls have drawn from
        given.set_state(estimator._random_state.get_state())
        estimator._random_state = given
    estimator._task.params = task.params
    unpack_net(estimator, saved_net)
    net = estimator.net_
    net.history.extend(saved["history"])
    net.n_streamed = saved["n_streamed"]
    unpack_callbacks(net, saved["callbacks"])


def save_stream(estimator):
    """Write the file of a stream after a call, if it is time to."""
    stream = estimator._stream
    if 0 <= time.time() - stream.written < estimator.checkpoint_seconds:
        return
    file, net = _stream_file(estimator), estimator.net_
    state = vars(estimator).keys() - _objects(estimator).keys() - {"_stream"}
    state = {name: vars(estimator)[name] for name in sorted(state)}
    state["_task"] = copy(estimator._task)
    state["_task"].params = SimpleNamespace()
    file.write(
        lambda: {
            "calls": stream.calls,
            "state": pack_net(estimator, state),
            "history": list(net.history),
            "n_streamed": net.n_streamed,
            "callbacks": pack_callbacks(net),
        }
    )
    stream.written, stream.has_warned = time.time(), file.has_warned
