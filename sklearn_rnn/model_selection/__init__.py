"""What model selection needs beside scikit-learn's own."""

from sklearn_rnn.model_selection._step_scorer import make_step_scorer

__all__ = ["make_step_scorer"]
