"""The recurrence itself: one layer, one direction."""

from sklearn_rnn.kernels._recurrence import CELLS, recurrence

__all__ = ["CELLS", "recurrence"]
