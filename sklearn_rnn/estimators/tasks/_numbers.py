"""Numbers as targets: parsed and checked."""

import numpy as np
from sklearn.utils import check_array

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.preprocessing import get_target_names
from sklearn_rnn.sequences import (
    CONVERSION_ERRORS,
    check_not_ragged,
    is_missing,
    plain_arrays,
    raise_conversion_error,
    to_numbers,
)


@plain_type
class NumberTargets:
    """Targets that are numbers, of a sequence or of a step.

    Parameters
    ----------
    estimator_name : str
        For messages.
    per_step : bool
        Whether every step has a target.
    """

    def __init__(self, estimator_name, per_step):
        self.estimator_name, self.per_step = estimator_name, per_step
        # Of the y of fit: whether it was 1-D, the shape of one target, their names.
        self.is_1d, self.shape, self.names = True, (1,), None

    def parse(self, y, *, reset, may_be_missing):
        """Return the targets of sequences, (n_sequences, n_outputs) in float64."""
        names = get_target_names(y)
        y = plain_arrays(y, estimator_name=self.estimator_name)
        check_not_ragged(y, "set return_sequences=True")
        wanted = "one number per sequence and output"
        try:
            values = np.asarray(y)
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, wanted)
        self._check_are_numbers(values)
        try:
            y = check_array(
                self._without_objects(y),
                ensure_2d=False,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="y",
            )
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, wanted)
        missing = np.isnan(y).reshape(len(y), -1)
        if may_be_missing:
            self._check_not_empty(missing, reset=reset)
        elif missing.any():
            missing = missing.any(axis=1)
            raise ValueError(
                f"Input y contains NaN: {missing.sum()} of {len(y)} targets, the first "
                f"at {int(missing.argmax())}. The last rows of a shifted table have no "
                "target: drop them from X and y, or use make_forecast_frame. To learn "
                "from what is there, set missing_targets='ignore'."
            )
        self._check_shape(y, reset=reset)
        self._check_names(names, reset=reset)
        return y.reshape(len(y), -1)

    def parse_steps(self, steps, *, reset):
        """Return the targets of all steps, (n_steps, n_outputs) in float64."""
        self._check_are_numbers(steps.values)
        wanted = "numbers for each step"
        try:
            values = np.where(is_missing(steps.values), np.nan, steps.values)
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, wanted)
        if values.dtype == object:

            def name_place(index):
                place = steps.locate(index[0]) if index else None
                return "y[{}], step {}".format(*place) if place else "y"

            values = to_numbers(
                values, estimator_name=self.estimator_name, describe=name_place
            )
        try:
            values = values.astype(np.float64)
        except CONVERSION_ERRORS as error:
            raise_conversion_error(error, wanted)
        infinite = np.isinf(values)
        if infinite.any():
            step = int(np.argwhere(infinite)[0][0])
            place = int(np.searchsorted(steps.starts, step, side="right")) - 1
            raise ValueError(
                f"y[{place}] is infinite at step {step - steps.starts[place]}. A step "
                "without a target is NaN."
            )
        self._check_not_empty(np.isnan(values).reshape(len(values), -1), reset=reset)
        self._check_shape(values, reset=reset)
        return values.reshape(len(values), -1)

    def _without_objects(self, y):
        """Return targets as numbers, if an array of them would hold objects."""
        array = np.asarray(y)
        if array.dtype != object and array.dtype.itemsize <= 8:
            return y
        return to_numbers(
            array,
            estimator_name=self.estimator_name,
            describe=lambda index: "y" + "".join(f"[{i}]" for i in index or ()),
        )

    def _check_names(self, names, *, reset):
        if names is None:
            return
        known = self.names
        if reset:
            self.names = names
        elif known is not None and sorted(known) == sorted(names):
            if list(known) != list(names):
                raise ValueError(
                    f"y has the columns {list(names)}, and {self.estimator_name} was "
                    f"fitted on {list(known)}: give them in that order."
                )

    def _check_not_empty(self, missing, *, reset):
        empty = missing.all(axis=0)
        if empty.all() or (reset and empty.any()):
            everywhere = "at every step" if self.per_step else "for every sequence"
            raise ValueError(
                f"output {int(empty.argmax())} of y is NaN {everywhere}: there is "
                "nothing to learn or to score."
            )

    def _check_are_numbers(self, y):
        text = y.dtype == object and any(isinstance(value, str) for value in y.flat)
        if y.dtype.kind in "US" or text:
            other = "RNNTagger" if self.per_step else "RNNClassifier"
            raise ValueError(
                f"y holds strings; a regressor needs numbers. Convert them, or use "
                f"{other} for labels."
            )
        if y.dtype.kind in "mM":
            raise ValueError(
                f"y holds {y.dtype}; a regressor needs numbers. Convert times to "
                "numbers in a unit of your choice, such as days: y / "
                "np.timedelta64(1, 'D') of durations."
            )

    def _check_shape(self, y, *, reset):
        shape = (1,) if y.ndim == 1 else y.shape[1:]
        if reset:
            self.is_1d, self.shape = y.ndim == 1, shape
        elif shape != self.shape:
            raise ValueError(
                f"y has {shape[0]} outputs, but {self.estimator_name} was fitted with "
                f"{self.shape[0]}."
            )
