"""Tagging: every step of a sequence has a label."""

from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import Transitions, log_softmax
from sklearn_rnn.estimators.tasks._classification import log_priors
from sklearn_rnn.estimators.tasks._labels import (
    check_distinguishable,
    check_size,
)
from sklearn_rnn.estimators.tasks._samples import flat_weights
from sklearn_rnn.estimators.tasks._steps import split_steps
from sklearn_rnn.estimators.tasks._task import DTYPES, Labels, SequenceTask
from sklearn_rnn.sequences import (
    CONVERSION_ERRORS,
    is_missing,
    is_one_hot,
    raise_conversion_error,
)
from sklearn_rnn.training import NO_CODE, WeightedLoss


@plain_type
@dataclass(eq=False, repr=False)
class TaggingTask(SequenceTask):
    """Learn the label of every step."""

    per_step = has_labels = True
    parts = (*SequenceTask.parts, "labels", "transitions")
    labels: Labels = field(default_factory=Labels)
    targets_may_be_missing = True
    transitions: Transitions | None = None

    def check_params(self, last):
        super().check_params(last)
        missing_label = self.params.missing_label
        if np.ndim(missing_label) != 0:
            raise ValueError(
                f"missing_label={missing_label!r} is not one label. Put None, which is "
                "always missing, in the place of several."
            )

    def parse_labels(self, steps, missing_label):
        """Return the labels of all steps, and which of them exist."""
        labels = steps.values
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1:
            remedy = "Fit one model for each."
            if is_one_hot(labels):
                remedy = (
                    "One-hot labels are one label each: pass Y.argmax(axis=-1), or of "
                    "a list [y.argmax(axis=-1) for y in Y]."
                )
            raise ValueError(
                f"y has {labels.shape[1]} labels per step, and {self.estimator_name} "
                f"predicts one. {remedy}"
            )
        missing = is_missing(labels, missing_label)
        if missing.all():
            raise ValueError("no step of y has a label: all are missing.")
        check_distinguishable(labels[~missing])
        if labels.dtype == object:
            for row in np.flatnonzero(~missing):
                check_size(labels[row], "y[{}], step {}".format(*steps.locate(row)))
        if labels.dtype.kind == "f" and np.isinf(labels).any():
            raise ValueError("Input y contains infinity, which is no label.")
        return labels, ~missing

    def parse_targets(self, y, *, reset, classes=None, **about_y):
        labels, exists = self.parse_labels(y, self.params.missing_label)
        found = of_one_type(labels[exists])
        fractions = found[found % 1 != 0] if found.dtype.kind == "f" else found[:0]
        if len(fractions):
            raise ValueError(
                f"y holds continuous numbers, such as {fractions[0]}, which are no "
                "labels; for numbers use RNNRegressor(return_sequences=True)."
            )
        try:
            check_classification_targets(found)
            distinct = np.unique(found)
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, "one label per step")
        codes = np.full(len(labels), NO_CODE)
        codes[exists] = self.labels.encode(
            found, distinct, reset=reset, classes=classes
        )
        self.n_outputs = len(self.labels.classes)
        return codes[:, np.newaxis]

    def prepare(self, samples, validation, context):
        # With what is counted in labels: transitions, and weights of the classes.
        prepared = super().prepare(samples, validation, context)
        samples = prepared[0]
        last, self.transitions = self.transitions, None
        if self.params.transition_weight > 0:
            self.transitions = Transitions.count(
                samples.all_targets()[:, 0],
                samples.sequences.lengths,
                self.n_outputs,
                samples.target_weights(),
            )
            if context.is_stream and last is not None:
                self.transitions.counts += last.counts
        self.labels.weights = None
        if self.params.class_weight is None:
            return prepared
        codes, of_steps = self._codes_and_weights(samples)
        self.labels.set_weights(self.params.class_weight, codes, of_steps)
        weights = self.labels.weights
        # Of mean 1 over the labelled steps, times the weights of their sequences.
        mean = np.average(weights[codes], weights=of_steps)
        self.labels.weights = weights / mean
        return prepared

    def network_targets(self, samples):
        return samples.all_targets()[:, 0]

    def loss(self):
        weights = self.labels.weights
        if weights is not None:
            weights = torch.as_tensor(weights, dtype=DTYPES[self.dtype])
        return WeightedLoss("log_loss", may_miss=True, class_weights=weights)

    @torch.no_grad()
    def initialize(self, network, samples):
        # An untrained network predicts the frequencies of the labels.
        codes, weights = self._codes_and_weights(samples)
        counts = np.bincount(codes, weights, self.n_outputs)
        network.head.bias.copy_(torch.from_numpy(log_priors(counts)))

    def _codes_and_weights(self, samples):
        """Return the codes of labelled steps, and their weights or None."""
        codes, weights = samples.all_targets()[:, 0], samples.target_weights()
        exists = codes != NO_CODE
        return codes[exists], None if weights is None else weights[exists]

    def score(self, outputs, dataset):
        codes = dataset.targets.values.cpu().numpy()
        exists = codes != NO_CODE
        predicted, weights = outputs.argmax(1).cpu().numpy(), flat_weights(dataset)
        weights = None if weights is None else weights[exists]
        return accuracy_score(codes[exists], predicted[exists], sample_weight=weights)

    def decode(self, sequences, outputs):
        return _split(self, self.labels_of_steps(sequences, outputs), sequences)

    def labels_of_steps(self, sequences, outputs):
        """Return the most probable label of all steps, one sequence after the other."""
        if self.transitions is not None:
            outputs = _log_marginals(self, sequences, outputs)
        return self.labels.classes[outputs.argmax(axis=1)]

    def probabilities(self, sequences, outputs):
        """Turn outputs into what ``predict_proba`` returns."""
        return _split(self, np.exp(_log_marginals(self, sequences, outputs)), sequences)

    def log_probabilities(self, sequences, outputs):
        """Turn outputs into what ``predict_log_proba`` returns."""
        return _split(self, _log_marginals(self, sequences, outputs), sequences)


def _split(task, values, sequences):
    """Return values of all steps a sequence at a time, as y was given."""
    return split_steps(values, sequences.lengths, as_array=task.y_was_array)


def _log_marginals(task, sequences, outputs):
    """Return the log-probability of each label at each step, (n_steps, n_classes)."""
    logs = log_softmax(outputs)
    if task.transitions is None:
        return logs
    weight = float(task.params.transition_weight)
    found = task.transitions.log_marginals(
        logs.astype(np.float64), sequences.lengths, weight
    )
    return found.astype(logs.dtype)


def of_one_type(labels):
    """Bring what stood beside missing labels to the type it has without them."""
    if labels.dtype != object:
        return labels
    if len({isinstance(label, (str, bytes)) for label in labels}) > 1:
        raise ValueError("y mixes text and numbers; make all labels of one type.")
    return np.array(labels.tolist())
