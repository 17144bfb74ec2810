"""Task: what an estimator is to learn, between the data of a user and a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.modules import build_network
from sklearn_rnn.sequences import check_range

# Of weights, gradients and outputs.
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "mixed": torch.float32,
}
# What a parameter is called where it describes the network.
SPEC_NAMES = {"attention": "attention_type", "cutoffs": "softmax"}


class FitContext(NamedTuple):
    """What a fit has besides data.

    random_state : RandomState
    is_continued : bool, whether the network of the last fit is trained further
    is_stream : bool, whether the data are those of a call of ``partial_fit``
    has_validation : bool, whether there are validation data
    stops_early : bool, whether they say when training ends
    compute_outputs : callable, from sequences to outputs of the network that is trained
    train_trial : callable, trains a network like it on other data
    """

    random_state: np.random.RandomState
    is_continued: bool
    is_stream: bool
    has_validation: bool
    stops_early: bool
    compute_outputs: Callable
    train_trial: Callable


class Task(ABC):
    """What is to be learned: from data to outputs of a network, and back.

    `estimators._fit.fit` calls the methods, in the order in which they stand here. What
    a fitted estimator needs in order to predict is in its network and its task. Of the
    parameters a task has those that decide what is learned, as they were when the last
    fit began; those of the training are read from the estimator.

    Parameters
    ----------
    estimator_name : str
        For messages.
    params : dict
        Parameters of the estimator.
    """

    # Attributes that a fit changes: a fit that continues has copies of them.
    parts: tuple[str, ...] = ()

    network_spec: Any = None
    dtype: Any = None  # a name in DTYPES
    batch_size: Any = None  # int where the parameter may be "auto"
    # Length of the cool-down of early stopping, and what it watches, as of `Patience`.
    cool_down: float | None = None
    monitor = "valid_loss"
    # While it trains, without validation data: what ``max_epochs="auto"`` stops by.
    held_back: Any = None

    def __init__(self, estimator_name: str, params: dict[str, Any]) -> None:
        self.estimator_name = estimator_name
        self.params = SimpleNamespace(**params)
        # Whether it is learned for a comparison. Then X and y are samples of the fit
        # that compares, parsed already, and warnings about them were given.
        self.is_trial = False

    def continued(self, params: dict[str, Any]) -> Self:
        """Return a copy to continue training with, which may have other parameters."""
        task = copy(self)
        for name in self.parts:
            setattr(task, name, copy(getattr(self, name)))
        task.params = SimpleNamespace(**params)
        return task

    # Data

    def check_params(self, last: "Task | None") -> None:
        """Check that parameters go together, and with those of the last fit."""

    @abstractmethod
    def parse(
        self, estimator, X, y, sample_weight, *, reset, is_validation=False, **about_y
    ):
        """Return what was given to fit, as data that the task is learned from.

        Counts and names of features are set on the estimator, or checked.

        Parameters
        ----------
        estimator : estimator instance
            That was given the data.
        X, y, sample_weight : object
            As given to ``fit``.
        reset : bool
            Whether X and y say what there is to be read and predicted.
        is_validation : bool, default=False
            Whether they are X_val and y_val.
        **about_y : object
            What else is known of y, such as `classes`.
        """

    def check_trainable(self, data) -> None:
        """Check that something can be learned from data."""

    def parse_validation(self, estimator, X_val, y_val):
        """Return validation data, None if none was given."""
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            given, missing = ("X_val", "y_val")[:: 1 if y_val is None else -1]
            raise ValueError(f"{given} was given without {missing}: pass both.")
        data = X_val, y_val, None
        try:
            return self.parse(estimator, *data, reset=False, is_validation=True)
        except ValueError as error:
            names = "X_val or y_val"
            if isinstance(error, InvalidSequenceError):
                names = self.suspects_of_validation
            raise InvalidSequenceError(
                f"{names}: {error} (A pipeline passes X_val on as it is, unless it was "
                "made with Pipeline(..., transform_input=['X_val']).)"
            ) from error

    # What an error about the form of validation data is about.
    suspects_of_validation = "X_val"

    @abstractmethod
    def hold_out(self, data, random_state):
        """Return the data to train on, and some set aside to validate on."""

    @abstractmethod
    def prepare(self, data, validation, context: FitContext):
        """Return training and validation data as the network needs them.

        And fit what inputs and outputs of a new network mean; of one that is trained
        further, what data until now could not tell.
        """

    # Network: a new one, or that of the last fit

    @abstractmethod
    def make_spec(self, data):
        """Return the spec of the network."""

    def build(self, spec, generator=None):
        """Return a network with random weights."""
        return build_network(spec, DTYPES[self.dtype], generator)

    @abstractmethod
    def initialize(self, network, data):
        """Let an untrained network predict what is known without its inputs."""

    @property
    def fixed_params(self) -> tuple[str, ...]:
        """Parameters that decide how data are read: they stay where a fit continues."""
        return ()

    # Of the spec, what may be another one where training continues.
    ignored_in_spec: tuple[str, ...] = ()

    def check_same_network(self, spec, last: "Task") -> None:
        """Check that the network of the last fit is the one to be trained now."""
        before, now = asdict(last.network_spec), asdict(spec)
        changed = [
            SPEC_NAMES.get(k, k)
            for k in now
            if now[k] != before[k] and k not in self.ignored_in_spec
        ]
        changed += [
            k
            for k in self.fixed_params
            if getattr(self.params, k) != getattr(last.params, k)
        ]
        if self.params.dtype not in ("auto", self.dtype):
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{self.estimator_name} continues to train the network of its last "
                f"fit, which had another {' and '.join(changed)}. Restore it, or set "
                "warm_start=False."
            )

    def check_data(self, network, data, validation) -> None:
        """Check that inputs and targets stay finite in the network's dtype."""

    def check_values(self, network, sequences) -> None:
        """Check that sequences of numbers stay finite in the network's dtype."""
        if hasattr(network, "embedding"):
            return  # which reads symbols
        check_range(
            sequences,
            estimator_name=self.estimator_name,
            center=network.center.cpu().numpy(),
            factor=network.factor.cpu().numpy(),
            dtype=self.dtype,
        )

    def fit_closed_form(self, data, context: FitContext) -> None:
        """Fit what is added to the network's outputs, at the first fit."""

    # Training

    @abstractmethod
    def loss(self):
        """Return the criterion."""

    @contextmanager
    def around_training(self, net, data, validation, context: FitContext):
        """Set up and finish the training of a net, and what depends on it.

        Yields the data that the network is trained on.
        """
        yield data

    @abstractmethod
    def make_dataset(self, data, device):
        """Return data as the training loop reads them."""

    @abstractmethod
    def choose_n_epochs(self, dataset):
        """Return the number of epochs for ``max_epochs="auto"``."""

    @abstractmethod
    def score_validation(self, net, dataset):
        """Return loss and score of validation data."""

    def finish(self) -> None:
        """Drop what is needed during a fit alone."""
