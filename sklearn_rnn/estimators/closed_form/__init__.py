"""Models beside the network, which are fitted without it."""

from sklearn_rnn.estimators.closed_form._bag_of_words import BagOfWordsClassifier
from sklearn_rnn.estimators.closed_form._blend import (
    ELEMENTWISE_LOSSES,
    elementwise_loss,
)
from sklearn_rnn.estimators.closed_form._calibrated import CalibratedClassifier
from sklearn_rnn.estimators.closed_form._convolutions import (
    N_FEATURES,
    ConvolutionClassifier,
)
from sklearn_rnn.estimators.closed_form._linear import (
    BEYOND,
    FEWEST_TO_COMPARE,
    LOG,
    SMALLEST_SPREAD,
    LinearSkip,
    evenly,
    window_units,
)
from sklearn_rnn.estimators.closed_form._linear_fit import (
    FEW,
    FEWEST_SEQUENCES,
    MOST_VALUES,
    choose_scaled_layout,
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
    "FEWEST_TO_COMPARE",
    "LOG",
    "LinearSkip",
    "MOST_VALUES",
    "NGrams",
    "N_FEATURES",
    "SMALLEST_SPREAD",
    "Transitions",
    "UNSEEN_PROBABILITY",
    "choose_scaled_layout",
    "elementwise_loss",
    "evenly",
    "fit_linear",
    "log_softmax",
    "window_units",
]
