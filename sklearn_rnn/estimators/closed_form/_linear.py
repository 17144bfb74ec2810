"""The linear part of a regressor: ridge regressions on the window, averaged."""

from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form._windows import LOG, Layout, iterate_windows

# The member that repeats the value at the anchor.
NAIVE = "naive"


@plain_type
@dataclass(frozen=True)
class Member:
    """One ridge regression of the average, in its own view of the window.

    Parameters
    ----------
    name : {"level", "change", "deviation", "log_level", "log_change", "log_deviation"}
        The window as it is; relative to its last value, the target relative to its
        anchor; both relative to the window's mean. The last two are in units of the
        window's spread. The others see the logarithms of the targets and their past.
    coef : ndarray of shape (n_folds + 1, n_values + 1, n_outputs)
        Of the fits that leave one fold out, and of the one to all data; the last row
        is the constant.
    penalties : ndarray of shape (n_outputs,)
        The penalty that was best for each output.
    factor : ndarray of shape (n_outputs,) or 1.0, default=1.0
        Of forecasts: other than 1 where those by logarithms, medians, are to be means.
    """

    name: str
    coef: np.ndarray
    penalties: np.ndarray
    factor: np.ndarray | float = 1.0

    def predict(self, windows, fold=-1):
        """Predict by one of the fits."""
        seen = windows.logarithms if self.name.startswith(LOG) else windows
        name = self.name.removeprefix(LOG)
        features, offset, unit = seen.regression(name)
        coef = self.coef[fold]
        if fold >= 0:  # such predictions are only compared: there speed counts
            product = features @ coef
        else:
            # No row may depend on the others, bitwise: a product of matrices sums in an
            # order that depends on their sizes.
            product = np.stack(
                [
                    np.einsum("nv,v->n", features, np.ascontiguousarray(one))
                    for one in coef.T
                ],
                axis=1,
            )
        return self.factor * seen.inverse_transform(offset + unit * product)


@plain_type
@dataclass(frozen=True)
class LinearPart:
    """A forecast that is linear in the steps of the window.

    It is an average of ridge regressions that see the window in different ways, and
    of the naive forecast. Penalties and weights are chosen by cross-validation, in
    blocks of time where sequences are windows over series.

    Attributes
    ----------
    n_lags_ : int
        Steps read, counted from the end of a sequence. Where a sequence is shorter,
        its first step is repeated before it.
    coef_ : ndarray of shape (n_outputs, n_lags, n_features)
        Change of each forecast with each value of the window, oldest step first, in
        units of the target per unit of the feature, while the window's spread stays
        the same; of other features than the targets' past at the typical spread, and
        of the logarithmic members where all values are the mean ones.
    member_weights_ : dict of str to ndarray of shape (n_outputs,)
        Weight of each member of the average. "level" reads the values as they are,
        "change" and "deviation" relative to the last value and to the mean of the
        window, in units of its standard deviation; "log_level", "log_change" and
        "log_deviation" the same of logarithms, for multiplicative changes; "naive" is
        the value at the anchor.
    anchor_lags_ : ndarray of int of shape (n_outputs,) or None
        Lag (0 is the last step) whose value comes closest to each target: the last
        one, or that of a season ago. None without `target_feature`.
    """

    layout: Layout = field(repr=False)
    members: tuple = field(repr=False)
    weights: np.ndarray = field(repr=False)  # (n_members, n_outputs)

    def __repr__(self):
        return (
            f"LinearPart({len(self.weights)} members, {self.n_lags_} lags, "
            f"{self.weights.shape[1]} outputs)"
        )

    @property
    def n_lags_(self):
        return self.layout.n_lags

    @property
    def anchor_lags_(self):
        return self.layout.anchors

    @property
    def member_weights_(self):
        names = [member.name for member in self.members]
        names += [] if self.layout.columns is None else [NAIVE]
        return dict(zip(names, self.weights, strict=True))

    @property
    def coef_(self):
        return sum(
            self.layout.unit_coefficients(member.name, member.coef[-1])
            * (member.factor * weight)
            for member, weight in zip(self.members, self.weights, strict=False)
        ).transpose(2, 0, 1) + self.layout.naive_coefficients(
            self.member_weights_.get(NAIVE)
        )

    def without_folds(self):
        """Return the same part without the fits that leave a fold out."""
        members = tuple(replace(m, coef=m.coef[-1:]) for m in self.members)
        return replace(self, members=members)

    def predict(self, sequences, rows=None, fold=-1):
        """Predict the targets of sequences.

        Parameters
        ----------
        sequences : SequenceArray
            Of any lengths.
        rows : ndarray of int, default=None
            Indices of the sequences to predict for; None for all.
        fold : int, default=-1
            Predict by the fit without this fold of the training data; -1 is that to
            all data.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs)
            In the units of the targets.
        """
        rows = np.arange(len(sequences)) if rows is None else rows
        averages = []
        for _, windows in iterate_windows(self.layout, sequences, rows):
            members = predict_members(self.members, windows, fold)
            # One by one: the order in which they add up must not depend on the windows.
            total = 0.0
            for k, weight in enumerate(self.weights):
                total = total + weight * members[:, k]
            averages.append(total)
        return np.concatenate(averages)

    def predict_naive(self, sequences):
        """Predict the value at each target's anchor.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs), or None
            None without `target_feature`.
        """
        if self.layout.columns is None:
            return None
        rows = np.arange(len(sequences))
        blocks = iterate_windows(self.layout, sequences, rows, past_only=True)
        return np.concatenate([w.anchor_values() + w.level for _, w in blocks])

    def units(self, sequences, of_errors=False):
        """Return the unit of each forecast: the window's spread, or 1.

        Parameters
        ----------
        sequences : SequenceArray
            The sequences.
        of_errors : bool, default=False
            Whether it is NaN for windows whose errors must not count.

        Returns
        -------
        ndarray of shape (n_sequences, n_outputs)
            Ones, if windows do not differ in size.
        """
        if not self.layout.is_scaled:
            return np.ones((len(sequences), self.weights.shape[1]))
        rows = np.arange(len(sequences))
        blocks = iterate_windows(self.layout, sequences, rows, past_only=True)
        return np.concatenate(
            [w.error_units() if of_errors else w.units() for _, w in blocks]
        )


def predict_members(members, windows, fold=-1):
    """Return the members' predictions, (n, n_members, n_outputs), naive ones last."""
    found = [member.predict(windows, fold) for member in members]
    if windows.layout.columns is not None:
        found.append(windows.inverse_transform(windows.anchor_values()))
    return np.stack(found, axis=1)
