"""Tasks on pairs: a sequence is read, and another one is written."""

from abc import abstractmethod
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_rnn.estimators.tasks._samples import parse_weights
from sklearn_rnn.estimators.tasks._sources import check_same_number, fit_symbols
from sklearn_rnn.estimators.tasks._steps import object_array
from sklearn_rnn.estimators.tasks._task import DTYPES, FitContext, Task
from sklearn_rnn.estimators.tasks._tokens import count_tokens, initialize_embedding
from sklearn_rnn.sequences import unpack
from sklearn_rnn.training import n_epochs_for, validation_split

# "auto" trains for this many updates, and for more epochs than other estimators:
# there are whole sequences to be learned to write.
UPDATE_BUDGET, MAX_EPOCHS = 3000, 200


class PairTask(Task):
    """Learn to write a sequence of symbols for each sequence that is read.

    A subclass says how X is read, what a dataset of pairs is, and which network there
    is to be.
    """

    # How X is read, and the symbols of y: see `_sources`.
    source: Any = None
    target: Any = None

    # An attribute of other tasks.
    @property
    def reads_symbols(self):  # type: ignore[override]
        return self.source.kind == "symbols"

    @property
    def symbol_limits(self):
        """Limits of the vocabulary of y."""
        return {"min_count": 1, "max_symbols": None}

    @abstractmethod
    def choose_source(self, X, weights):
        """Return how X is read."""

    @abstractmethod
    def make_pairs(self, sources, rows, weights, name):
        """Return a dataset of pairs; `name` ends the names of X and y in messages."""

    def check_symbols(self, rows):
        """Check that a network that is trained further can write symbols."""

    def check_options(self, params, n_best=1):
        """Check that parameters go together, and with what was read."""

    # Data

    def parse(
        self, estimator, X, y, sample_weight, *, reset, is_validation=False, **about_y
    ):
        name, weights = "_val" if is_validation else "", None
        if not is_validation:
            X, y, weights = self._with_weight(X, y, sample_weight)
        if reset:
            for attribute in ("n_features_in_", "feature_names_in_"):
                vars(estimator).pop(attribute, None)  # of the last fit
            self.fit_symbols(X, y, weights)
        sources = self.source.parse(X, estimator, name=f"X{name}", reset=reset)
        rows = self.target.rows(y, f"y{name}")
        check_same_number(len(sources), len(rows))
        if not (reset or is_validation):
            self.check_symbols(rows)
        return self.make_pairs(sources, rows, weights, name)

    def _with_weight(self, X, y, sample_weight):
        """Return the pairs that count, and their weights."""
        estimator_name = self.estimator_name
        if y is None:
            raise ValueError(
                f"{estimator_name} requires y to be passed, but the target y is None: "
                "give what is to be written for each sequence of X."
            )
        if sample_weight is None:
            return X, y, None
        X, y = (
            unpack(X, estimator_name=estimator_name),
            unpack(y, estimator_name=estimator_name, name="y"),
        )
        for name, given in ("X", X), ("y", y):
            if isinstance(given, Mapping | Set):
                raise TypeError(
                    f"{name} is of type {type(given).__name__}; {estimator_name} takes "
                    "a list, Series or array, with an item for each weight."
                )
        check_same_number(_num_samples(X), _num_samples(y))
        weights = parse_weights(sample_weight, X)
        # A weight of zero means: as if it were not there, in the vocabulary, too.
        rows = np.flatnonzero(weights)
        return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]

    def fit_symbols(self, X, y, weights):
        """Set how X is read, and the vocabulary of what is written."""
        self.source = self.choose_source(X, weights)
        self.target = fit_symbols(
            y,
            estimator_name=self.estimator_name,
            name="y",
            weights=weights,
            **self.symbol_limits,
        )
        self.source_symbols = as_objects(self.source.vocabulary)
        self.target_symbols = as_objects(self.target.vocabulary)

    def parse_sources(self, estimator, X):
        """Return what the fitted network of an estimator is to read."""
        return self.source.parse(X, estimator)

    suspects_of_validation = "X_val or y_val"

    def hold_out(self, pairs, random_state):
        train, validation = validation_split(
            pairs.sequences, self.params.validation_fraction, random_state
        )
        return pairs.select(train), pairs.select(validation)

    def prepare(self, pairs, validation, context: FitContext):
        if not context.is_continued:
            self.dtype = self.params.dtype
        self.check_options(self.params)
        return pairs, validation

    # Network

    def prepare_embedding(self, embedding, pairs=None):
        if pairs is not None:
            shown = count_tokens(pairs.sequences, embedding.n_tokens) > 0
            initialize_embedding(embedding, shown)

    # Training

    def make_dataset(self, pairs, device):
        if pairs.weights is None:
            return pairs
        mean = np.average(pairs.weights, weights=pairs.n_targets)
        weights = torch.as_tensor(
            pairs.weights / mean, dtype=DTYPES[self.dtype], device=device
        )
        return pairs.with_weights(weights)

    def choose_n_epochs(self, dataset):
        return n_epochs_for(
            len(dataset), self.params.batch_size, 1, UPDATE_BUDGET, MAX_EPOCHS
        )


def as_objects(vocabulary):
    """Return the symbols of a vocabulary, most frequent first, or None."""
    return None if vocabulary is None else object_array(vocabulary.symbols)
