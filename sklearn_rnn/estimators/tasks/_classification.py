"""Classification: a sequence has a label."""

import copy

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklearn_rnn.estimators.closed_form import (
    N_FEATURES,
    ConvolutionClassifier,
    log_softmax,
)
from sklearn_rnn.estimators.tasks._labels import (
    Labels,
    check_labels,
    check_one_kind,
    describe_one_label,
)
from sklearn_rnn.estimators.tasks._samples import flat_weights
from sklearn_rnn.estimators.tasks._sequence_task import SequenceTask
from sklearn_rnn.sequences import (
    check_not_ragged,
    explain_target_errors,
    plain_arrays,
)
from sklearn_rnn.training import has_overlaps


class ClassificationTask(SequenceTask):
    """Learn which class a sequence is of."""

    has_labels = True
    parts = (*SequenceTask.parts, "labels")
    loss_name = "log_loss"

    def __init__(self, estimator_name, params):
        super().__init__(estimator_name, params)
        self.labels = Labels()
        # What the outputs are added to, a ConvolutionClassifier.
        self.convolutions: ConvolutionClassifier | None = None

    @property
    def n_outputs(self):
        return len(self.labels.classes)

    def check_params(self, last):
        super().check_params(last)
        may_be_none = self.params.convolutions in ("auto", None)
        if last is None and self.tokens.is_used and not may_be_none:
            raise ValueError(
                f"convolutions={self.params.convolutions} reads numbers, and X holds "
                "tokens: set convolutions='auto' or None."
            )

    def parse_targets(self, y, *, reset, classes=None, **about_y):
        y = plain_arrays(y, estimator_name=self.estimator_name)
        check_not_ragged(y, "use RNNTagger")
        check_one_kind(y)
        y = check_labels(y)
        with explain_target_errors("one label per sequence"):
            try:
                y = column_or_1d(y, warn=True)
            except ValueError as error:
                raise ValueError(f"{error} {describe_one_label(y)}") from error
            y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
            check_classification_targets(y)
            distinct = np.unique(y)
        return self.labels.encode(y, distinct, reset=reset, classes=classes)

    def class_weights_of_samples(self, y, sample_weight, *, is_validation):
        class_weight = self.params.class_weight
        if class_weight is None:
            return None
        # "balanced" counts the training data alone, so validation weighs alike.
        if not is_validation:
            self.labels.weights = self.labels.compute_weights(
                class_weight, y, sample_weight
            )
        return self.labels.weights[y]

    def check_trainable(self, samples):
        self.labels.check_trainable(samples.y)

    def network_targets(self, samples):
        return samples.y.astype(np.int64)

    def initialize_head(self, network, samples):
        self.labels.initialize_head(network, samples.y, samples.weights)

    def fit_closed_form(self, samples, context):
        sequences, n_features = samples.sequences, self.params.convolutions
        if n_features is None or self.tokens.is_used or context.is_stream:
            return
        if len(sequences.categories or ()) == sequences.n_features:
            return  # nothing but categories
        if n_features == "auto":
            # A window that is left out is known from those that overlap it.
            if has_overlaps(sequences):
                return
            n_features = N_FEATURES
        convolutions = ConvolutionClassifier(int(n_features))
        convolutions.fit(
            sequences,
            samples.y,
            self.n_outputs,
            samples.weights,
            # A copy: the network is the same without this part.
            copy.deepcopy(context.random_state),
        )
        self.convolutions = convolutions

    def score(self, outputs, dataset):
        codes, weights = dataset.targets.cpu().numpy(), flat_weights(dataset)
        if weights is not None and self.params.class_weight is not None:
            weights = weights / self.labels.weights[codes]  # as `score` counts
        outputs = outputs.cpu().numpy().astype(np.float64)
        if self.convolutions is not None:
            kept = vars(dataset)  # they say the same of it in every epoch
            if "of_convolutions" not in kept:
                kept["of_convolutions"] = self.convolutions.log_probabilities(
                    dataset.sequences
                )
            outputs = self.convolutions.add(kept["of_convolutions"], outputs)
        predicted = outputs.argmax(axis=1)
        return accuracy_score(codes, predicted, sample_weight=weights)

    def decode(self, sequences, outputs):
        return self.labels.classes[self._logits(sequences, outputs).argmax(axis=1)]

    def log_probabilities(self, sequences, outputs):
        """Turn outputs into what ``predict_log_proba`` returns."""
        return log_softmax(self._logits(sequences, outputs))

    def probabilities(self, sequences, outputs):
        """Turn outputs into what ``predict_proba`` returns."""
        return np.exp(self.log_probabilities(sequences, outputs))

    def _logits(self, sequences, outputs):
        if self.convolutions is None:
            return outputs
        return self.convolutions.join(sequences, outputs)
