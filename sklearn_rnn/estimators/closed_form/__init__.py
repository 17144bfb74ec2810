"""Models beside the network, which are fitted without it."""

from sklearn_rnn.estimators.closed_form._bag_of_words import BagOfWordsClassifier
from sklearn_rnn.estimators.closed_form._blend import (
    ELEMENTWISE_LOSSES,
    TINY,
    elementwise_loss,
    network_weights,
    weighted_losses,
)
from sklearn_rnn.estimators.closed_form._calibrated import CalibratedClassifier
from sklearn_rnn.estimators.closed_form._convolutions import (
    N_FEATURES,
    ConvolutionClassifier,
)
from sklearn_rnn.estimators.closed_form._linear import (
    BEYOND,
    LOG,
    SMALLEST_SPREAD,
    weights_of_long,
    window_units,
)
from sklearn_rnn.estimators.closed_form._linear_fit import (
    FEW,
    FEWEST_SEQUENCES,
    MOST_VALUES,
    LinearStream,
    choose_scaled_layout,
    evenly,
    fit_linear,
)
from sklearn_rnn.estimators.closed_form._ngrams import NGrams
from sklearn_rnn.estimators.closed_form._probabilities import (
    UNSEEN_PROBABILITY,
    log_softmax,
)
from sklearn_rnn.estimators.closed_form._transitions import Transitions

__all__ = [
    "BEYOND",
    "BagOfWordsClassifier",
    "CalibratedClassifier",
    "ConvolutionClassifier",
    "ELEMENTWISE_LOSSES",
    "FEW",
    "FEWEST_SEQUENCES",
    "LOG",
    "LinearStream",
    "MOST_VALUES",
    "NGrams",
    "N_FEATURES",
    "SMALLEST_SPREAD",
    "TINY",
    "Transitions",
    "UNSEEN_PROBABILITY",
    "choose_scaled_layout",
    "elementwise_loss",
    "evenly",
    "fit_linear",
    "log_softmax",
    "network_weights",
    "weighted_losses",
    "weights_of_long",
    "window_units",
]
