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
from typing import Any

from sklearn_rnn.training import raise_out_of_memory


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
        with access(lock_of(self)):
            try:
                return method(self, *args, **kwargs)
            except (MemoryError, RuntimeError, TypeError) as error:
                _explain(error, self, method.__name__)
                raise

    return call
