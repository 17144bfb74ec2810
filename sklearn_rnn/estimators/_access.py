"""Around every call of an estimator: its turn among threads, and lack of memory.

Of the threads that share an estimator, one may train it, or several predict with it.

The locks are kept beside the estimators, not in them: they are no part of what is
pickled, copied or compared.
"""

import os
import threading
import weakref
from collections import deque
from contextlib import contextmanager
from functools import wraps

from sklearn_rnn.training import raise_out_of_memory


class AccessLock:
    """A lock that one thread has for itself, or that several share.

    A thread that has it may take it again in either way, so that a callback can
    predict while its estimator is trained. All others wait in the order in which they
    came: neither a stream of predictions nor one of training holds the other up.
    """

    def __init__(self):
        self.changed = threading.Condition()
        self.sharing: dict[int, int] = {}  # how often each thread has it
        self.holder, self.depth = None, 0
        # A network that was training, and evaluates while the lock is shared.
        self.left_training = None
        self.waiting: deque[object] = deque()

    def wait_for(self, is_free):
        """Wait for the front of the queue, and there until the lock is free."""
        ticket = object()
        self.waiting.append(ticket)
        try:
            self.changed.wait_for(lambda: self.waiting[0] is ticket and is_free())
        finally:
            self.waiting.remove(ticket)
            self.changed.notify_all()


class _Locks:
    """The lock of each object, as long as it lives."""

    def __init__(self):
        self.forget()
        if hasattr(os, "register_at_fork"):
            # Other threads do not live on in a forked process to give locks back.
            os.register_at_fork(after_in_child=self.forget)

    def forget(self):
        """Begin without locks."""
        self._guard = threading.Lock()
        self._by_id = {}

    def of(self, thing):
        """Return the lock of an object."""
        with self._guard:
            lock = self._by_id.get(id(thing))
            if lock is None:
                # Not by hash: a subclass may define equality, and have none.
                lock = self._by_id[id(thing)] = AccessLock()
                end = weakref.finalize(thing, self._by_id.pop, id(thing), None)
                end.atexit = False
            return lock


_LOCKS = _Locks()


@contextmanager
def shared_access(estimator):
    """Keep training out, and the estimator's network in evaluation mode.

    Parameters
    ----------
    estimator : object
        Fitted or not.
    """
    lock, me = _LOCKS.of(estimator), threading.get_ident()
    with lock.changed:
        is_contended = lock.holder is not None or lock.waiting
        if is_contended and lock.holder != me and me not in lock.sharing:
            lock.wait_for(lambda: lock.holder is None)
        network = None if lock.sharing else getattr(estimator, "module_", None)
        if network is not None and network.training:
            # The first one does it and the last one takes it back: dropout that
            # came back while another thread still predicts would be in its
            # predictions.
            network.eval()
            lock.left_training = network
        lock.sharing[me] = lock.sharing.get(me, 0) + 1
    try:
        yield
    finally:
        with lock.changed:
            lock.sharing[me] -= 1
            if not lock.sharing[me]:
                del lock.sharing[me]
            if not lock.sharing and lock.left_training is not None:
                lock.left_training.train()
                lock.left_training = None
            lock.changed.notify_all()


@contextmanager
def exclusive_access(thing):
    """Keep every other thread out.

    Parameters
    ----------
    thing : object
        An estimator, or what predicts with one and changes by it.
    """
    lock, me = _LOCKS.of(thing), threading.get_ident()
    with lock.changed:
        if lock.holder != me:
            if lock.waiting or lock.holder is not None or lock.sharing.keys() - {me}:
                lock.wait_for(
                    lambda: lock.holder is None and not lock.sharing.keys() - {me}
                )
            lock.holder = me
        lock.depth += 1
    try:
        yield
    finally:
        with lock.changed:
            lock.depth -= 1
            if not lock.depth:
                lock.holder = None
            lock.changed.notify_all()


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
    return _guarded(method, shared_access)


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
    return _guarded(method, _access_with_estimator)


@contextmanager
def _access_with_estimator(predictor):
    # The estimator's lock first, as a callback of its fit has it when it calls one of
    # these methods: in the other order two threads could wait for each other.
    with shared_access(predictor.estimator), exclusive_access(predictor):
        yield


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
    return _guarded(method, exclusive_access)


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
        with access(self):
            try:
                return method(self, *args, **kwargs)
            except (MemoryError, RuntimeError, TypeError) as error:
                _explain(error, self, method.__name__)
                raise

    return call
