"""A classifier beside the network, whose log probabilities join the logits."""

from abc import ABC, abstractmethod

import numpy as np

from sklearn_rnn.estimators.closed_form._probabilities import log_softmax


class CalibratedClassifier(ABC):
    """A classifier beside the network, calibrated on data that it has not seen.

    Attributes
    ----------
    temperature_ : float
        Factor from scores to logits that suits the left-out sequences best.
    left_out_loss_ : float
        Cross-entropy of the left-out sequences, in nats.
    left_out_score_ : float
        Fraction of the left-out sequences that are classified right.
    log_priors_ : ndarray of shape (n_classes,)
        Logarithms of the fractions of the classes; 0 of a class without sequences.
    network_weight_ : float
        Factor of the network's logits.
    """

    temperature_: float
    left_out_loss_: float
    left_out_score_: float
    log_priors_: np.ndarray
    network_weight_: float

    @abstractmethod
    def scores(self, sequences):
        """Return the scores of the classes (n_sequences, n_classes), as float64."""

    def log_probabilities(self, sequences):
        """Compute the log probabilities of the classes.

        Parameters
        ----------
        sequences : SequenceArray
            Of as many features per step as in fit.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Float64.
        """
        return log_softmax(self.scores(sequences) * self.temperature_)

    def join(self, sequences, outputs):
        """Add a network's logits to those of this classifier.

        Both know how frequent the classes are, which is to count once.

        Parameters
        ----------
        sequences : SequenceArray
            What the network has read.
        outputs : ndarray of shape (n_sequences, n_classes)
            Its logits.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Logits.
        """
        return self.add(self.scores(sequences), outputs)

    def add(self, scores, outputs):
        """Add a network's logits to scores that are known.

        Parameters
        ----------
        scores : ndarray of shape (n_sequences, n_classes)
            Of this classifier.
        outputs : ndarray of shape (n_sequences, n_classes)
            The network's logits.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Logits.
        """
        learned = log_softmax(outputs) - self.log_priors_
        own = log_softmax(scores * self.temperature_)
        return own + self.network_weight_ * learned
