"""Fitted attributes of an estimator, which its task holds."""

from operator import attrgetter


class TaskAttribute:
    """A fitted attribute of an estimator, which is one of its task.

    There is none before the first fit. To set it changes what is predicted, as it does
    with ``coef_`` of a linear model.

    Parameters
    ----------
    path : str
        Where the task has it, such as "labels.classes".
    is_optional : bool, default=False
        Whether there is no such attribute where the task has None.
    """

    def __init__(self, path, *, is_optional=False):
        *holders, self.last = path.split(".")
        self.holders, self.is_optional = holders, is_optional

    def __set_name__(self, estimator_type, name):
        self.name = name

    def __get__(self, estimator, estimator_type=None):
        if estimator is None:
            return self
        if estimator._task is None:
            raise AttributeError(self._message(estimator))
        value = getattr(self._find_holder(estimator), self.last)
        if value is None and self.is_optional:
            raise AttributeError(self._message(estimator))
        return value

    def __set__(self, estimator, value):
        if estimator._task is None:
            raise AttributeError(self._message(estimator))
        setattr(self._find_holder(estimator), self.last, value)

    def _find_holder(self, estimator):
        holder = estimator._task
        return attrgetter(".".join(self.holders))(holder) if self.holders else holder

    def _message(self, estimator):
        return f"{type(estimator).__name__!r} object has no attribute {self.name!r}"
