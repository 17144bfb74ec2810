"""Classification: a sequence has a label."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form import (
    UNSEEN_PROBABILITY,
    BagOfWordsClassifier,
    CalibratedClassifier,
    ConvolutionClassifier,
    log_softmax,
)
from sklearn_rnn.estimators.tasks._labels import (
    check_labels,
    check_one_kind,
    describe_one_label,
)
from sklearn_rnn.estimators.tasks._samples import flat_weights
from sklearn_rnn.estimators.tasks._task import Labels, SequenceTask
from sklearn_rnn.estimators.tasks._trials import classify_held_out
from sklearn_rnn.sequences import (
    CONVERSION_ERRORS,
    check_not_ragged,
    has_overlaps,
    plain_arrays,
    raise_conversion_error,
)
from sklearn_rnn.training import WeightedLoss

# Distinct texts that a bag of words is worth fitting to, by default.
FEWEST_TEXTS = 40


@plain_type
@dataclass(eq=False, repr=False)
class ClassificationTask(SequenceTask):
    """Learn which class a sequence is of."""

    has_labels = True
    parts = (*SequenceTask.parts, "labels")
    labels: Labels = field(default_factory=Labels)
    # What the outputs are added to, of numbers and of tokens.
    convolutions: ConvolutionClassifier | None = None
    bag_of_words: BagOfWordsClassifier | None = None
    # While the bag's weights are fitted to the validation data of each epoch.
    is_weighed_by_validation = False

    def check_params(self, last):
        super().check_params(last)
        params, has_tokens = self.params, self.tokens.is_used
        if last is None and has_tokens and params.convolutions not in ("auto", None):
            raise ValueError(
                f"convolutions={params.convolutions} reads numbers, and X holds "
                "tokens: set convolutions='auto' or None."
            )
        is_asked_for = params.bag_of_words not in ("auto", False)
        if last is None and is_asked_for and not has_tokens:
            raise ValueError(
                "bag_of_words=True counts tokens, and X holds numbers: set the width "
                "of their vectors, say embedding_dim=32, or bag_of_words='auto'."
            )

    @property
    def auxiliary(self) -> CalibratedClassifier | None:
        """The classifier beside the network."""
        return self.convolutions or self.bag_of_words

    def parse_targets(self, y, *, reset, classes=None, **about_y):
        if type(y) is not np.ndarray or y.dtype.kind in "fO":  # with no single type
            y = plain_arrays(y, estimator_name=self.estimator_name)
            check_not_ragged(y, "use RNNTagger")
            check_one_kind(y)
            y = check_labels(y)
        try:
            try:
                y = column_or_1d(y, warn=True)
            except ValueError as error:
                raise ValueError(f"{error} {describe_one_label(y)}") from error
            y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
            check_classification_targets(y)
            distinct = np.unique(y)
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, "one label per sequence")
        codes = self.labels.encode(y, distinct, reset=reset, classes=classes)
        self.n_outputs = len(self.labels.classes)
        return codes

    def loss(self):
        return WeightedLoss("log_loss")

    @torch.no_grad()
    def initialize(self, network, samples):
        # An untrained network predicts the frequencies of the classes.
        counts = np.bincount(samples.y, samples.weights, self.n_outputs)
        network.head.bias.copy_(torch.from_numpy(log_priors(counts)))

    def fit_closed_form(self, samples, context):
        if context.is_stream:
            return
        if self.tokens.is_used:
            self._fit_bag(samples, context.random_state)
            return
        sequences, n_features = samples.sequences, self.params.convolutions
        if n_features is None:
            return
        if len(sequences.transforms.categories or ()) == sequences.n_features:
            return  # nothing but categories
        about = samples.y, self.n_outputs, samples.weights, context.random_state
        self.convolutions = ConvolutionClassifier(n_features).fit(sequences, *about)

    def _fit_bag(self, samples, random_state):
        sequences, choice = samples.sequences, self.params.bag_of_words
        if not choice or len(np.unique(samples.y)) < 2:
            return
        is_auto = choice == "auto"
        if is_auto and (len(sequences) < FEWEST_TEXTS or has_overlaps(sequences)):
            return
        about = samples.y, self.n_outputs, samples.weights
        bag = BagOfWordsClassifier().fit(sequences, *about, random_state)
        if not is_auto or bag.n_texts_ >= FEWEST_TEXTS:
            self.bag_of_words = bag

    @contextmanager
    def around_training(self, net, samples, validation, context):
        bag = self.bag_of_words
        if bag is None or context.is_continued or context.is_stream:
            yield samples
            return
        try:
            if validation is not None:
                self.is_weighed_by_validation = True
                yield samples
                scores = bag.scores(validation.sequences)
                _weigh_network(bag, validation, scores, context)
            elif bag.n_texts_ < FEWEST_TEXTS or not bag.splits_:
                yield samples
            elif len(bag.splits_) == 1:
                (split,), (scores,) = bag.splits_, bag.left_out_scores_
                yield samples.select(split.train)
                unseen = samples.select(split.held_out)
                _weigh_network(bag, unseen, scores, context)
            else:
                _weigh_by_folds(self, bag, samples, context)
                yield samples
        finally:
            self.is_weighed_by_validation = False
            bag.finish()

    def score(self, outputs, dataset):
        codes, weights = dataset.targets.cpu().numpy(), flat_weights(dataset)
        if weights is not None and self.params.class_weight is not None:
            weights = weights / self.labels.weights[codes]  # as `score` counts
        outputs = outputs.cpu().numpy().astype(np.float64)
        if self.auxiliary is not None:
            kept = vars(dataset)  # they say the same of it in every epoch
            if "auxiliary_scores" not in kept:
                kept["auxiliary_scores"] = self.auxiliary.scores(dataset.sequences)
            scores = kept["auxiliary_scores"]
            if self.bag_of_words is not None and self.is_weighed_by_validation:
                counted = flat_weights(dataset)
                self.bag_of_words.fit_network_weight(scores, outputs, codes, counted)
            outputs = self.auxiliary.add(scores, outputs)
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
        if self.auxiliary is None:
            return outputs
        return self.auxiliary.join(sequences, outputs)


def _weigh_network(bag, unseen, scores, context):
    """Weigh the network that was trained by texts that it has not seen."""
    try:
        outputs = context.compute_outputs(unseen.sequences)
    except InvalidSequenceError:  # it overflows
        return
    bag.fit_network_weight(scores, outputs, unseen.y, unseen.weights)


def _weigh_by_folds(task, bag, samples, context):
    """Weigh the network by others like it, which have not seen a fold each."""
    rows, outputs = classify_held_out(task, samples, bag.splits_, context)
    if outputs is None:
        return
    scores, unseen = np.concatenate(bag.left_out_scores_), samples.select(rows)
    bag.fit_network_weight(scores, outputs, unseen.y, unseen.weights)


def log_priors(counts):
    """Return finite log probabilities from counts (n, ...), or sums of weights.

    Classes that do not occur get half the smallest probability, at most 0.001; the
    result is not normalised again.
    """
    probabilities = counts / counts.sum(axis=0)
    smallest = np.where(probabilities > 0, probabilities, 1.0).min(axis=0)
    unseen = np.minimum(smallest / 2, UNSEEN_PROBABILITY)
    return np.log(np.where(probabilities > 0, probabilities, unseen))
