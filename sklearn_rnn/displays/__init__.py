"""Pictures of models and of how they were trained."""

from sklearn_rnn.displays._attention import AttentionDisplay
from sklearn_rnn.displays._forecast import ForecastDisplay
from sklearn_rnn.displays._gradient_flow import GradientFlowDisplay
from sklearn_rnn.displays._hidden_states import HiddenStateDisplay
from sklearn_rnn.displays._loss_curve import LossCurveDisplay
from sklearn_rnn.displays._posterior import PosteriorDisplay
from sklearn_rnn.displays._spectrogram import SpectrogramDisplay

__all__ = [
    "AttentionDisplay",
    "ForecastDisplay",
    "GradientFlowDisplay",
    "HiddenStateDisplay",
    "LossCurveDisplay",
    "PosteriorDisplay",
    "SpectrogramDisplay",
]
