"""The closed-form part of a classifier: fixed convolutions, then ridge regression."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form._calibrated import CalibratedClassifier
from sklearn_rnn.modules import ConvolutionFeatures, RidgeScores
from sklearn_rnn.sequences import find_distinct, has_overlaps

# By default; 4032 took twice as long for the same accuracy.
N_FEATURES = 2016
# Sequences that it is fitted on, at most: more are drawn from.
MOST_SEQUENCES = 4096
# Factors from scores to logits that are tried.
TEMPERATURES = np.logspace(-2, 2.5, 181)
# The least weight of the network's logits. They fit the training data, while those of
# the closed form are calibrated on left-out data: with equal weights an overfitted
# network would outvote them.
LEAST_NETWORK_WEIGHT = 1 / 4


@plain_type
@dataclass(eq=False)
class ConvolutionClassifier(CalibratedClassifier):
    """Classify sequences in closed form, and say how much that leaves open.

    Parameters
    ----------
    n_features : int or "auto"
        Of the convolutions; a number once it is fitted.

    Attributes
    ----------
    features_ : ConvolutionFeatures
        From sequences to a table.
    ridge_ : RidgeScores
        From the table to scores of the classes.
    network_weight_ : float
        What the network's logits count beside these: the squared fraction of the
        entropy of the classes that the left-out loss is, within 1/4 and 1.
    """

    n_features: Any
    features_: ConvolutionFeatures = field(init=False, repr=False)
    ridge_: RidgeScores = field(init=False, repr=False)

    def scores(self, sequences):
        scores = np.empty((len(sequences), len(self.ridge_.intercept_)))
        # Of a few at a time: the table is larger than most sequences.
        for begin in range(0, len(sequences), 1024):
            block = sequences[begin : begin + 1024]
            table = self.features_.transform(block)
            scores[begin : begin + 1024] = self.ridge_.scores(table)
        return scores

    def fit(self, sequences, codes, n_classes, weights, random_state):
        """Fit it to labelled sequences.

        Copies of a sequence count as one of their summed weight, so that leaving one
        out leaves all out, and an integer weight is as many copies.

        Parameters
        ----------
        sequences : SequenceArray
            Training sequences.
        codes : ndarray of int of shape (n_sequences,)
            Their classes.
        n_classes : int
            More than `codes` may show.
        weights : ndarray of shape (n_sequences,) or None
            Positive.
        random_state : numpy.random.RandomState
            Source of the features.

        Returns
        -------
        ConvolutionClassifier or None
            None of windows that overlap, with "auto" features: one that is left out is
            known from those that overlap it.
        """
        if self.n_features == "auto":
            if has_overlaps(sequences):
                return None
            self.n_features = N_FEATURES
        self.n_features = int(self.n_features)
        weights = np.ones(len(codes)) if weights is None else weights
        if len(codes) > MOST_SEQUENCES:
            chosen = random_state.choice(len(codes), MOST_SEQUENCES, replace=False)
            chosen = np.sort(chosen)
            sequences, codes = sequences[chosen], codes[chosen]
            weights = weights[chosen]
        first, copy_of = find_distinct(sequences)
        targets = np.zeros((len(first), n_classes))
        np.add.at(targets, (copy_of, codes), weights)
        sequences, weights = sequences[first], targets.sum(axis=1)
        targets /= weights[:, np.newaxis]
        self.features_ = ConvolutionFeatures(self.n_features)
        # Weights of 1 need not be added up step by step.
        are_equal = (weights == 1).all()
        self.features_.fit(sequences, random_state, None if are_equal else weights)
        table = self.features_.transform(sequences)
        self.ridge_ = RidgeScores().fit(table, targets, weights)
        left_out, weights = self.ridge_.left_out_scores_, weights / weights.sum()
        del self.ridge_.left_out_scores_  # as long as the training data
        scores = torch.from_numpy(left_out)
        losses = [
            -weights @ (targets * (scores * factor).log_softmax(1).numpy()).sum(axis=1)
            for factor in TEMPERATURES
        ]
        best = int(np.argmin(losses))
        self.temperature_ = float(TEMPERATURES[best])
        self.left_out_loss_ = float(losses[best])
        predicted = targets[np.arange(len(targets)), left_out.argmax(axis=1)]
        self.left_out_score_ = float(weights @ predicted)
        fractions = weights @ targets
        self.log_priors_ = np.zeros(n_classes)
        np.log(fractions, where=fractions > 0, out=self.log_priors_)
        entropy = -fractions @ self.log_priors_
        open_fraction = self.left_out_loss_ / max(entropy, np.finfo(float).tiny)
        weight = min(max(open_fraction**2, LEAST_NETWORK_WEIGHT), 1.0)
        self.network_weight_ = float(weight)
        return self
