"""How estimators are trained that read one sequence and write another."""

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._samples import has_validation, read_weights
from sklearn_rnn.estimators._sources import learn_symbols, refuse_unequal
from sklearn_rnn.estimators._state import DTYPES
from sklearn_rnn.estimators._steps import object_array
from sklearn_rnn.estimators._trainer import Trainer
from sklearn_rnn.sequences import mean_and_scale, unpack
from sklearn_rnn.training import (
    limit_threads,
    n_epochs_for,
    new_random_state,
    validation_split,
)

# "auto" trains for this many updates, and for more epochs than other estimators:
# there are whole sequences to be learned to write.
UPDATE_BUDGET, MAX_EPOCHS = 3000, 200


class PairFit(Trainer):
    """Part of an estimator that turns pairs of sequences into a trained network.

    A subclass says how `X` is read (``_learn_source``), what a dataset of pairs is
    (``_pair``), which network there is to be (``_spec``, ``_build_network``,
    ``_start``), and which pairs and parameters it refuses (``_check_options``).
    """

    # Limits of the vocabulary that is learned from y.
    _symbol_limits = {"min_count": 1, "max_symbols": None}

    def _check_options(self):
        """Refuse parameters that do not go together, or not with what was read."""

    def _start(self, network, pairs):
        """Let an untrained network predict what is known without reading."""

    @torch.inference_mode(False)
    def _fit(self, X, y, sample_weight, X_val, y_val):
        continuing = self.warm_start and self.__sklearn_is_fitted__()
        self._check_callbacks()
        with self._all_or_nothing():
            X, y, weights = self._with_weight(X, y, sample_weight)
            if not continuing:
                self._learn_symbols(X, y, weights)
            pairs = self._read_pairs(X, y, weights, reset=not continuing)
            random_state = new_random_state(self.random_state)
            held_out = self._read_validation(X_val, y_val)
            if held_out is None and self.early_stopping:
                train, validation = validation_split(
                    pairs.sources, self.validation_fraction, random_state
                )
                pairs, held_out = pairs.select(train), pairs.select(validation)
            network = self._network(pairs, random_state, continuing)
            if self._source.reads != "symbols":
                for part in (pairs, held_out):
                    if part is not None:
                        self._check_range(part.sources, network)
            self._check_options()
            self._make_net(network, self._find_schedule(held_out))
        pairs = self._weighted(pairs)
        if held_out is not None:
            held_out = self._weighted(held_out)
        n_epochs = self.max_epochs
        if n_epochs == "auto":
            n_epochs = n_epochs_for(
                len(pairs), self.batch_size, 1, UPDATE_BUDGET, MAX_EPOCHS
            )
        self._train(pairs, held_out, n_epochs, random_state)
        return self

    def _with_weight(self, X, y, sample_weight):
        """Return the pairs that count, and their weights."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None: give what is to be written for each sequence of X."
            )
        if sample_weight is None:
            return X, y, None
        owner = type(self).__name__
        X, y = (
            unpack(X, estimator_name=owner),
            unpack(y, estimator_name=owner, name="y"),
        )
        refuse_unequal(_num_samples(X), _num_samples(y))
        weights = read_weights(sample_weight, X)
        # A weight of zero means: as if it were not there, in the vocabulary, too.
        rows = np.flatnonzero(weights)
        return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]

    def _learn_symbols(self, X, y, weights):
        """Find out what is read, and learn the symbols of what is written."""
        for name in ("n_features_in_", "feature_names_in_"):  # of a former fit
            self.__dict__.pop(name, None)
        self._learn_source(X, weights)
        self._target = learn_symbols(
            y,
            owner=type(self).__name__,
            name="y",
            weights=weights,
            **self._symbol_limits,
        )

    def _read_pairs(self, X, y, weights=None, *, reset=False, suffix=""):
        sources = self._source.read(X, self, name=f"X{suffix}", reset=reset)
        rows = self._target.rows(y, f"y{suffix}")
        refuse_unequal(len(sources), len(rows))
        return self._pair(sources, rows, weights, suffix)

    def _read_sources(self, X):
        """Read what the fitted network is to read."""
        sources = self._source.read(X, self)
        if self._source.reads != "symbols":
            self._check_range(sources)
        return sources

    def _read_validation(self, X_val, y_val):
        if not has_validation(X_val, y_val):
            return None
        try:
            return self._read_pairs(X_val, y_val, suffix="_val")
        except ValueError as error:
            raise InvalidSequenceError(
                f"X_val or y_val: {error} (A pipeline passes X_val on as it is, unless "
                "it was made with Pipeline(..., transform_input=['X_val']).)"
            ) from error

    def _weighted(self, pairs):
        """Return the same pairs, their weights as the loss reads them."""
        if pairs.weights is None:
            return pairs
        mean = np.average(pairs.weights, weights=pairs.n_targets)
        weights = torch.as_tensor(
            pairs.weights / mean,
            dtype=DTYPES[self._torch_dtype],
            device=self.net_.device,
        )
        return pairs.with_weights(weights)

    def _network(self, pairs, random_state, continuing):
        spec = self._spec(pairs)
        if continuing:
            self._refuse_another_network(spec)
            return self.module_
        self.history_ = []
        self._torch_dtype = self.dtype
        self._network_spec = spec
        generator = torch.Generator().manual_seed(random_state.randint(2**31 - 1))
        with limit_threads(1):
            network = self._build_network(spec, DTYPES[self.dtype], generator)
        if self.standardize and self._source.reads != "symbols":
            mean, scale = mean_and_scale(pairs.sources, pairs.weights)
            network.set_input_scaling(mean, 1 / scale)
        self._start(network, pairs)
        return network

    def _empty_network(self):
        return self._build_network(self._network_spec, DTYPES[self._torch_dtype])


def as_objects(vocabulary):
    """Return the symbols of a vocabulary, most frequent first.

    Parameters
    ----------
    vocabulary : Vocabulary or None
        None where numbers are read.

    Returns
    -------
    ndarray of object or None
        Symbols of any kind.
    """
    return None if vocabulary is None else object_array(vocabulary.symbols)
