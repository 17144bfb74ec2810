"""How an estimator reads what a user passes to fit."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing, check_consistent_length

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._samples import Samples, has_validation, read_weights
from sklearn_rnn.estimators._windows import window_units
from sklearn_rnn.sequences import (
    SequenceArray,
    check_features,
    check_no_padding,
    check_no_words,
    check_step_targets,
    check_with_padding,
    convert_input,
    unpack,
)
from sklearn_rnn.training import validation_split


class SampleReader:
    """Reads X, y and weights into samples, and splits off validation.

    The estimator that it is part of says whether every step has a target
    (``_per_step``) and is a label (``_predicts_labels``), whether a target may be
    missing all the same (``_ignores_missing``), which quantiles its network predicts
    (``_levels``), and how targets are read (``_check_y``, or for those of steps, all in
    a row, ``_check_step_values``).
    """

    _per_step = False
    _predicts_labels = False
    _ignores_missing = False
    _levels = None
    _subtracts_last = False
    _unit_layout = None

    def _as_seen(self, sequences):
        """Return sequences as the network reads them."""
        if not self._subtracts_last:
            return sequences
        units = None
        if self._unit_layout is not None:
            units = window_units(self._unit_layout, sequences)
        return sequences.difference(np.unique(self._target_columns), units)

    @property
    def _may_miss(self):
        """Whether some targets may be missing."""
        return self._per_step or self._ignores_missing

    def _class_weights(self, y, sample_weight, *, training):
        """Return a weight per sample that its target gives it, or None."""
        return None

    def _read_sequences(self, X, *, reset):
        """Read X, and set (reset) or check its features."""
        return self._read_with_padding(X, reset=reset)[0]

    def _read_with_padding(self, X, *, reset):
        """Read X; return it without padding, and as it was given."""
        owner = type(self).__name__
        X = convert_input(X, estimator_name=owner)
        sequences, padded = check_with_padding(
            X, estimator_name=owner, allow_categories=True
        )
        self._check_tokens(sequences, reset=reset)
        check_features(self, X, sequences, reset=reset)
        if reset and self._per_step and self._fitted_on_columns:
            self._check_not_one_column(X)
        return self._read_categories(sequences, reset=reset), padded

    def _check_not_one_column(self, X):
        """Refuse a column: of one step each, sequences would have no past."""
        if len(X) > 1 == X.shape[1]:
            raise InvalidSequenceError(
                f"X is a 2-D array of shape {X.shape}, with 1 feature(s): {len(X)} "
                f"sequences of one step, and {type(self).__name__} learns steps from "
                "those before. "
                "If x is one sequence: pass [x], and [y]. If its rows are sequences, "
                "pass the 3-D array X[:, :, np.newaxis]."
            )

    def _read_samples(self, X, y, sample_weight, *, reset, training=True, **about_y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        sequences, padded = self._read_with_padding(X, reset=reset)
        weights = None
        if sample_weight is not None:
            weights = read_weights(sample_weight, sequences)
            if not weights.all():  # as if it were not there, nor its target
                y = unpack(y, estimator_name=type(self).__name__, name="y")
                check_consistent_length(sequences, y)
                rows = np.flatnonzero(weights)
                sequences, padded = sequences[rows], padded[rows]
                y, weights = _safe_indexing(y, rows), weights[rows]
        if self._per_step:
            y = self._read_step_targets(y, sequences, padded, reset=reset, **about_y)
        else:
            y = self._check_y(y, reset=reset, **about_y)
        if len(y) != len(sequences):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: X has "
                f"{len(sequences)} sequences, y has {len(y)} values. A y cut for the "
                "rows of a table needs windows for all of its rows: see "
                "make_forecast_frame and make_windows."
            )
        class_weights = self._class_weights(y, weights, training=training)
        if class_weights is not None:
            weights = class_weights if weights is None else weights * class_weights
        samples = Samples(sequences, y, weights)
        # A class without weight is not learned from either, not even in the scaling;
        # nor is a sequence without any target.
        counts = np.ones(len(sequences), bool) if weights is None else weights > 0
        if self._may_miss:
            counts &= samples.sequences_with_target()
            if not counts.any():
                raise ValueError(
                    "no sequence whose weight is not zero has a target: there is "
                    "nothing to learn or to score."
                )
        return samples if counts.all() else samples.select(np.flatnonzero(counts))

    def _read_step_targets(self, y, sequences, padded, *, reset, **about_y):
        """Read a target for every step, in a container of its own."""
        about = {
            "estimator_name": type(self).__name__,
            "missing_label": getattr(self, "missing_label", None),
            "are_labels": self._predicts_labels,
        }
        steps = check_step_targets(y, sequences, padded, **about)
        values = self._check_step_values(steps, reset=reset, **about_y)
        if reset:
            classes = about_y.get("classes")
            check_no_padding(steps, sequences, classes=classes, **about)
            if classes is None:
                check_no_words(y, estimator_name=about["estimator_name"])
            # Padding makes folds of one length and of several: all are lists then.
            alike = (steps.lengths == padded.shape[1]).all()
            self._y_from_array = steps.from_array and bool(alike)
        return SequenceArray(values, steps.starts, steps.lengths)

    def _read_validation(self, X_val, y_val):
        if not has_validation(X_val, y_val):
            return None
        try:
            return self._read_samples(X_val, y_val, None, reset=False, training=False)
        except InvalidSequenceError as error:
            raise InvalidSequenceError(
                f"X_val: {error} (A pipeline passes X_val on as it is, unless it was "
                "made with Pipeline(..., transform_input=['X_val']).)"
            ) from error
        except ValueError as error:
            raise ValueError(f"X_val or y_val: {error}") from error

    def _horizon(self):
        """Return how many steps of time a target may reach beyond its window."""
        return 1

    def _hold_out(self, samples, random_state):
        """Split off the validation samples."""
        train, validation = validation_split(
            samples.sequences,
            self.validation_fraction,
            random_state,
            labels=samples.y if is_classifier(self) else None,
            horizon=self._horizon(),
            per_step=self._per_step,
        )
        return samples.select(train), samples.select(validation)
