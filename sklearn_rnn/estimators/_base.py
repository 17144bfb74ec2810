"""What estimators share: parameters, turns of threads, pickling, and inspection."""

import os
import threading
import weakref
from collections import deque
from contextlib import contextmanager
from functools import wraps
from numbers import Real
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import LRScheduler

from sklearn_rnn._html import Block, DescribedParameters
from sklearn_rnn._plain_state import damage_reported, describe_state, restore_state
from sklearn_rnn.estimators._network import (
    check_outputs,
    network_input,
    run_network,
)
from sklearn_rnn.estimators._state import complete_state, pack_net, unpack_net
from sklearn_rnn.estimators.tasks import (
    DTYPES,
    FROM_DTYPE,
    Task,
    check_labels,
    object_array,
    split_steps,
    wrap_vectors,
)
from sklearn_rnn.kernels import CELLS, KERNELS
from sklearn_rnn.sequences import COUNT, SequencesLike, plain_arrays
from sklearn_rnn.training import (
    BLOCK_SIZE,
    OPTIMIZERS,
    SCHEDULES,
    computing,
    note_batch_size,
    raise_out_of_memory,
    step_outputs,
    to_batch,
)

# Beyond all real parameters that make sense; Python has integers that no float holds.
LARGEST = 1.7e308

# Parameters as scikit-learn's multilayer perceptrons, Keras, skorch or torch call them.
NAMES_ELSEWHERE = {
    "activation": "cell: 'rnn' has tanh, 'rnn_relu' a rectifier",
    "alpha": "weight_decay",
    "dropout_rate": "dropout",
    "epochs": "max_epochs",
    "hidden_dim": "hidden_size",
    "hidden_layer_sizes": "hidden_size, for units per layer, and n_layers",
    "hidden_units": "hidden_size",
    "learning_rate_init": "learning_rate",
    "lr": "learning_rate",
    "max_iter": "max_epochs",
    "n_epochs": "max_epochs",
    "n_hidden": "hidden_size",
    "num_layers": "n_layers",
    "patience": "n_iter_no_change",
    "rnn_type": "cell",
    "seed": "random_state",
    "solver": "optimizer",
    "units": "hidden_size",
    "validation_split": "validation_fraction",
}
# Options of optimizers there, which are no parameters here.
OPTIMIZER_OPTIONS = {"beta_1", "beta_2", "epsilon", "momentum", "nesterovs_momentum"}


class StepSize(Interval):
    """A constraint to numbers, which names the parameter that schedules are for."""

    def __str__(self):
        return (
            f"{super().__str__()}, the highest step size (the schedules that "
            "MLPClassifier takes here are for lr_schedule: 'plateau' for its "
            "'adaptive', None for 'constant')"
        )


class TaskAttribute:
    """A fitted attribute of an estimator, which is one of its task.

    There is none before the first fit. To set it changes what is predicted, as it does
    with ``coef_`` of a linear model.

    Parameters
    ----------
    path : str
        Where the task has it, such as "labels.classes".
    is_optional : bool, default=False
        Whether there is no such attribute where the task has None.
    """

    def __init__(self, path, *, is_optional=False):
        self.path, self.is_optional = path, is_optional

    def __set_name__(self, estimator_type, name):
        self.name = name

    def __get__(self, estimator, estimator_type=None):
        if estimator is None:
            return self
        if estimator._task is None:
            # A subclass may set what it knows before `fit` does.
            value = vars(estimator).get(self.name)
        else:
            value = attrgetter(self.path)(estimator._task)
        if value is None and (self.is_optional or estimator._task is None):
            raise AttributeError(
                f"{type(estimator).__name__!r} object has no attribute {self.name!r}"
            )
        return value

    def __set__(self, estimator, value):
        if estimator._task is None:
            vars(estimator)[self.name] = value
        else:
            *holders, last = self.path.split(".")
            holder = estimator._task
            setattr(
                attrgetter(".".join(holders))(holder) if holders else holder,
                last,
                value,
            )

    def __delete__(self, estimator):
        raise AttributeError(f"{self.name!r} is set by fit, and cannot be deleted")


def _check_names(estimator_type, names, error_type):
    """Answer names that parameters have in other packages with those of ours."""
    known = estimator_type._get_param_names()
    for name in names:
        if name in known:
            continue
        missing = f"{estimator_type.__name__} has no parameter {name!r}."
        if name in NAMES_ELSEWHERE:
            raise error_type(f"{missing} Here it is called {NAMES_ELSEWHERE[name]}.")
        if name in OPTIMIZER_OPTIONS:
            raise error_type(
                f"{missing} It is an option of the optimizer: 'sgd' has Nesterov "
                "momentum 0.9, the others have torch's defaults. For another value "
                "pass optimizer= a subclass of one of torch.optim that sets it."
            )


# Around every call of an estimator: its turn among threads, and lack of memory.
#
# Of the threads that share an estimator, one may train it, or several predict with it.
# The locks are kept beside the estimators, not in them: they are no part of what is
# pickled, copied or compared.


class AccessLock:
    """A lock that one thread has for itself, or that several share.

    A thread that has it may take it again in either way, so that a callback can
    predict while its estimator is trained. All others wait in the order in which they
    came: neither a stream of predictions nor one of training holds the other up.

    Parameters
    ----------
    thing : object
        What the lock is for, held weakly: an estimator, or what predicts with one.
    """

    def __init__(self, thing):
        self._thing = weakref.ref(thing)
        self._changed = threading.Condition()
        self._sharing: dict[int, int] = {}  # how often each thread has it
        self._holder, self._depth = None, 0
        # A network that was training, and evaluates while the lock is shared.
        self._left_training = None
        self._waiting: deque[object] = deque()

    @contextmanager
    def shared(self):
        """Keep training out, and the estimator's network in evaluation mode."""
        me = threading.get_ident()
        with self._changed:
            is_contended = self._holder is not None or self._waiting
            if is_contended and self._holder != me and me not in self._sharing:
                self._wait_for(lambda: self._holder is None)
            network = None if self._sharing else getattr(self._thing(), "module_", None)
            if network is not None and network.training:
                # The first one does it and the last one takes it back: dropout that
                # came back while another thread still predicts would be in its
                # predictions.
                network.eval()
                self._left_training = network
            self._sharing[me] = self._sharing.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing[me] -= 1
                if not self._sharing[me]:
                    del self._sharing[me]
                if not self._sharing and self._left_training is not None:
                    self._left_training.train()
                    self._left_training = None
                self._changed.notify_all()

    @contextmanager
    def exclusive(self):
        """Keep every other thread out."""
        me = threading.get_ident()
        with self._changed:
            if self._holder != me:
                is_free = self._holder is None and not self._sharing.keys() - {me}
                if self._waiting or not is_free:
                    self._wait_for(
                        lambda: self._holder is None and not self._sharing.keys() - {me}
                    )
                self._holder = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._holder = None
                self._changed.notify_all()

    @contextmanager
    def exclusive_with_estimator(self):
        """Keep every other thread out, and training of the estimator within."""
        # The estimator's lock first, as a callback of its fit has it when it calls a
        # predictor: in the other order two threads could wait for each other.
        predictor: Any = self._thing()
        with lock_of(predictor.estimator).shared(), self.exclusive():
            yield

    def _wait_for(self, is_free):
        """Wait for the front of the queue, and there until the lock is free."""
        ticket = object()
        self._waiting.append(ticket)
        try:
            self._changed.wait_for(lambda: self._waiting[0] is ticket and is_free())
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()


_GUARD = threading.Lock()
# The lock of each object, by its id: a subclass may define equality, and have no hash.
_LOCKS: dict[int, AccessLock] = {}


def lock_of(thing):
    """Return the lock of an object, which lives as long.

    Parameters
    ----------
    thing : object
        An estimator, fitted or not, or what predicts with one and changes by it.

    Returns
    -------
    AccessLock
        Always the same one.
    """
    with _GUARD:
        lock = _LOCKS.get(id(thing))
        if lock is None:
            lock = _LOCKS[id(thing)] = AccessLock(thing)
            end = weakref.finalize(thing, _LOCKS.pop, id(thing), None)
            end.atexit = False
        return lock


def _forget_locks():
    """Begin without locks: other threads do not live on in a forked process."""
    global _GUARD
    _GUARD = threading.Lock()
    _LOCKS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


# Parameters that memory grows with, and what to do if it does not suffice.
SIZES = "hidden_size", "n_layers", "embedding_dim", "batch_size", "bptt_steps"
IN_TRAINING = (
    "Lower {}, or give shorter sequences, as a SequenceWindower with fewer n_steps "
    "makes them."
)
IN_PREDICTION = (
    "Give fewer or shorter sequences at a time, as a SequenceWindower with fewer "
    "n_steps makes them, or fit with a lower hidden_size."
)


def shared(method):
    """Let a method run beside others that are shared, but not beside exclusive ones.

    Parameters
    ----------
    method : callable
        That predicts: it changes nothing of its object.

    Returns
    -------
    callable
        The same, waiting for its turn.
    """
    return _guarded(method, AccessLock.shared)


def exclusive_with_estimator(method):
    """Let a method of a predictor run while no other thread uses that predictor.

    Parameters
    ----------
    method : callable
        Of an object that has an ``estimator``, and predicts with it.

    Returns
    -------
    callable
        The same, serialised.
    """
    return _guarded(method, AccessLock.exclusive_with_estimator)


def exclusive(method):
    """Let a method run while no other thread uses its object.

    Parameters
    ----------
    method : callable
        That trains.

    Returns
    -------
    callable
        The same, waiting for its turn.
    """
    return _guarded(method, AccessLock.exclusive)


def _explain(error, thing, method):
    """Raise a clear error where memory does not suffice."""
    values = vars(thing)
    sizes = {key: values[key] for key in SIZES if values.get(key) is not None}
    advice = IN_PREDICTION
    if method in ("fit", "partial_fit"):
        # bptt_steps may be lowered from None, which is all steps.
        to_lower = [key for key in SIZES if key in sizes or key == "bptt_steps"]
        to_lower = [key for key in to_lower if key in values]
        advice = IN_TRAINING.format(" or ".join(to_lower))
    raise_out_of_memory(error, f"{type(thing).__name__}.{method}", sizes, advice)


def _guarded(method, access):
    """Return a method that waits for its turn, and tells what it has no memory for."""

    @wraps(method)
    def call(self, *args, **kwargs):
        # Without the guard where there is a lock already.
        with access(_LOCKS.get(id(self)) or lock_of(self)):
            try:
                return method(self, *args, **kwargs)
            except (MemoryError, RuntimeError, TypeError) as error:
                _explain(error, self, method.__name__)
                raise

    return call


# Estimators.


class RNNEstimator(DescribedParameters, BaseEstimator):
    """Base of all estimators: a task, and a network that is trained for it.

    `fit` sets ``_task``, what was learned besides the network, ``net_`` and
    ``module_``, the network in a net of skorch and alone, and the attributes that the
    task has.
    """

    _parameter_constraints: dict[str, Any] = {
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [COUNT],
        "n_layers": [COUNT],
        "residual": ["boolean"],
        "layer_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_drop": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "learning_rate": [StepSize(Real, 0, LARGEST, closed="right")],
        "lr_schedule": [
            StrOptions({*SCHEDULES, "plateau"}),
            callable,
            LRScheduler,
            torch.optim.lr_scheduler.LRScheduler,  # refused, with what to do
            None,
        ],
        "weight_decay": [Interval(Real, 0, LARGEST, closed="both")],
        "clip_norm": [Interval(Real, 0, LARGEST, closed="right"), None],
        "clip_value": [Interval(Real, 0, LARGEST, closed="right"), None],
        "batch_size": [COUNT],
        "max_epochs": [
            COUNT,
            StrOptions({"auto"}),
        ],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [COUNT],
        "tol": [Interval(Real, 0, LARGEST, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, HasMethods("on_epoch_end"), None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_seconds": [Interval(Real, 0, LARGEST, closed="left")],
        "dtype": [StrOptions({"auto", *DTYPES})],
        "device": [str, torch.device],
        "n_threads": [COUNT, None],
        "kernel": [StrOptions({"auto", "numba", *KERNELS}, deprecated={"numba"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __new__(cls, *args, **kwargs):
        _check_names(cls, kwargs, TypeError)
        return super().__new__(cls)

    def set_params(self, **params):
        """Set parameters by name.

        Parameters
        ----------
        **params : object
            Parameters and their values.

        Returns
        -------
        estimator instance
            The same.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        _check_names(type(self), params, ValueError)
        return super().set_params(**params)

    # What a subclass learns, and what its fits have set.
    _task_type: type[Task]
    _task: Any = None
    # Records at the end of ``history_`` that partial_fit made.
    _n_streamed = 0
    # The calls of partial_fit that its checkpoint has.
    _stream: Any = None

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def _sk_visual_block_(self):
        """Return what scikit-learn's diagram shows: the name, and how training went."""
        return Block(self, type(self).__name__, str(self), _describe_training(self))

    @shared
    def __getstate__(self):
        return describe_state(pack_net(self, dict(super().__getstate__())))

    def __setstate__(self, state):
        name = type(self).__name__
        state = restore_state(state, name)
        with damage_reported(name):
            state, saved = complete_state(self, state)
            super().__setstate__(state)
            if saved is not None:
                unpack_net(self, saved)


class SequenceEstimator(RNNEstimator):
    """Base of the estimators that learn from whole sequences with targets."""

    _parameter_constraints: dict[str, Any] = {
        **RNNEstimator._parameter_constraints,
        "bidirectional": ["boolean"],
        "categorical_features": [StrOptions({FROM_DTYPE}), "array-like", None],
        "embedding_dim": [COUNT, None],
        "token_dropout": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "embeddings": ["array-like", HasMethods(["__getitem__", "__contains__"]), None],
        "train_embeddings": ["boolean"],
        "batch_size": [COUNT, StrOptions({"auto"})],
        "bptt_steps": [COUNT, None],
        "standardize": ["boolean"],
    }

    batch_size_ = TaskAttribute("batch_size")
    categories_ = TaskAttribute("categories.categories")
    is_categorical_ = TaskAttribute("categories.mask")

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return those of estimators among them as well.

        Returns
        -------
        dict
            Value of each parameter. A mapping of `embeddings` is inside an object
            that is neither written out nor copied, as a dict would be.
        """
        params = super().get_params(deep=deep)
        if params.get("embeddings") is not None:  # not every subclass has it
            params["embeddings"] = wrap_vectors(params["embeddings"])
        return params

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @shared
    def hidden_states(self, X: SequencesLike) -> np.ndarray:
        """Compute the last layer's hidden state after every step.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i, hidden_size), or twice as wide
            if bidirectional, forward states first; float64.
        """
        return _step_values(self, X, lambda states: states.transpose(0, 1))

    @shared
    def attention_weights(self, X: SequencesLike) -> np.ndarray:
        """Compute how much each step counts in attention pooling.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i,) of weights that sum to 1,
            float64.

        Raises
        ------
        ValueError
            If the network was not fitted with ``pooling="attention"``.
        """
        check_is_fitted(self)
        if self._task.network_spec.pooling != "attention":
            raise ValueError(
                f"this {type(self).__name__} has no attention: only a network that "
                "makes one vector of all steps can, fitted with pooling='attention'."
            )
        pooling = self.module_.pooling
        scores = _step_values(
            self, X, lambda states: pooling.scores(states).transpose(0, 1)
        )
        for i, score in enumerate(scores):
            weights = np.exp(score[:, 0] - score.max())
            scores[i] = weights / weights.sum()
        return scores

    @shared
    @torch.inference_mode(False)
    def input_gradients(self, X: SequencesLike) -> np.ndarray:
        """Compute how strongly the last output hangs on the input of each step.

        The output is that of the sequence or, where every step has one, that
        of the last step: the sum of the predicted numbers, or how far the
        logit of the predicted class stands above the mean of all logits. The
        inputs are as the network reads them, standardised or embedded.
        Gradients that vanish with the distance from the end tell of a network
        that cannot learn from there. Memory grows with the length of the
        longest sequence.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i,): the Euclidean norm of the
            derivatives by the features of the step, float64.

        References
        ----------
        Bengio, Simard and Frasconi, "Learning long-term dependencies with
        gradient descent is difficult", IEEE Transactions on Neural Networks 5,
        1994.
        """
        # In double: float32 squares underflow where gradients vanish.
        gradients = input_gradients(self, X)
        return object_array([np.linalg.norm(own, axis=1) for own in gradients])


def input_gradients(estimator, X, per_output=False):
    """Return of each sequence its gradients, (length_i, n_inputs), of the network.

    These are of the sum of the outputs, or the summed sizes of those of each output.
    """
    sequences, found = _parse_network_input(estimator, X), []
    with computing(estimator.n_threads, estimator.net_):
        for begin in range(0, len(sequences), BLOCK_SIZE):
            rows = np.arange(begin, min(begin + BLOCK_SIZE, len(sequences)))
            with note_batch_size(len(rows), int(sequences.lengths[rows].max())):
                batch = to_batch(sequences, rows, estimator.net_.device)
                block = estimator.module_.input_gradients(
                    **batch,
                    of_classes=estimator._task.has_labels,
                    per_output=per_output,
                )
            lengths = sequences.lengths[rows]
            block = block.double().cpu().numpy()
            found += [own[:n].copy() for own, n in zip(block, lengths, strict=True)]
    return found


def _describe_training(estimator):
    """Return weights, epochs and the best score in one line; None before training."""
    if not hasattr(estimator, "history_"):
        return None
    epochs = f"{estimator.n_iter_} epoch{'s' if estimator.n_iter_ > 1 else ''}"
    if estimator.best_validation_score_ is not None:
        score = f"validation score {estimator.best_validation_score_:.4g}"
        score += f" in epoch {estimator.best_epoch_}"
    else:
        score = f"training loss {estimator.loss_curve_[-1]:.4g}"
    return f"{estimator.n_parameters_:,} weights, {epochs}, {score}"


def check_partial_classes(estimator, classes):
    """Return the `classes` of partial_fit, sorted, after checking them."""
    if estimator.class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' is not supported by partial_fit, which never "
            "sees all labels: give a dict, or sample_weight."
        )
    if classes is None:
        return None
    classes = plain_arrays(
        classes, estimator_name=type(estimator).__name__, name="classes"
    )
    classes = np.unique(check_labels(classes, "classes"))
    fitted = getattr(estimator, "classes_", None)
    if fitted is not None and not np.array_equal(classes, fitted):
        raise ValueError(f"classes={classes.tolist()} are not those of the first call.")
    return classes


def check_params(estimator):
    """Check each parameter by its constraints, as ``fit`` does."""
    estimator._validate_params()


def compute_outputs(estimator, sequences):
    """Return the network's outputs for sequences, or for all their steps."""
    with computing(estimator.n_threads, estimator.net_):
        return run_network(estimator, sequences)


def predict(estimator, X, decode):
    """Predict from X: `decode` makes predictions of task, sequences and outputs."""
    if not hasattr(estimator, "module_"):
        check_is_fitted(estimator)  # which raises the error
    task = estimator._task
    sequences, _ = task.parse_X(estimator, X)
    with computing(estimator.n_threads, estimator.net_):
        outputs = run_network(estimator, sequences)
        return decode(task, sequences, outputs)


def _parse_network_input(estimator, X):
    """Return sequences as the fitted network reads them."""
    check_is_fitted(estimator)
    sequences, _ = estimator._task.parse_X(estimator, X)
    return network_input(estimator, sequences)


def _step_values(estimator, X, of_states):
    """Return what a function makes of the states of all steps, sequence by sequence."""
    sequences = _parse_network_input(estimator, X)
    with computing(estimator.n_threads, estimator.net_):
        values = step_outputs(
            estimator.module_, sequences, estimator.net_.device, of_states
        )
    values = values.cpu().numpy().astype(np.float64)
    check_outputs(estimator, values, sequences.lengths)
    return split_steps(values, sequences.lengths, as_array=False)
