"""Pictures of models and of how they were trained."""

from sklearn_rnn.displays._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
