"""Steps of time, where pickles of release 0.6 look for them."""

from sklearn_rnn.sequences._neighbours import CalendarStep, FixedStep, Reach

__all__ = ["CalendarStep", "FixedStep", "Reach"]
