"""ImportanceDisplay: which features and steps a prediction hangs on, as a picture."""

from typing import Any, Self

import numpy as np
import pandas as pd

from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.model_selection import sequence_importance


class ImportanceDisplay:
    """Importance of the features, or steps, of sequences.

    Bars of features, the largest on top; bars of steps, the last one on the right; or
    of both an image. Lines on bars are standard deviations. Create one with
    `from_estimator` or `from_importance`, which set the parameter below.

    Parameters
    ----------
    importance : DataFrame
        As `sequence_importance` returns it.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the picture.
    ax_ : matplotlib.axes.Axes
        Axes of the picture.

    See Also
    --------
    sequence_importance : The numbers alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import ImportanceDisplay, RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 6, 2))
    >>> model = RNNRegressor(max_epochs=5, random_state=0).fit(X, X[:, -2, 1])
    >>> display = ImportanceDisplay.from_estimator(model, X, X[:, -2, 1], by="step")
    >>> display.ax_.get_xlabel()
    'steps from the last one'
    """

    def __init__(self, *, importance: pd.DataFrame) -> None:
        self.importance = importance

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, ax: Any = None, **options: Any
    ) -> Self:
        """Measure the importance of inputs of a fitted estimator, and draw it.

        Parameters
        ----------
        estimator : estimator instance
            Fitted, as for `sequence_importance`.
        X : like the X of fit
            Data to measure on.
        y : like the y of fit, default=None
            Their targets.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        **options : dict
            Passed to `sequence_importance`, such as ``by="both"``.

        Returns
        -------
        ImportanceDisplay
            The display, drawn.
        """
        return cls.from_importance(
            sequence_importance(estimator, X, y, **options), ax=ax
        )

    @classmethod
    def from_importance(cls, importance: pd.DataFrame, *, ax: Any = None) -> Self:
        """Draw importance that was measured before.

        Parameters
        ----------
        importance : DataFrame
            As `sequence_importance` returns it.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.

        Returns
        -------
        ImportanceDisplay
            The display, drawn.
        """
        return cls(importance=importance).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the importance.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.

        Returns
        -------
        ImportanceDisplay
            The display itself.
        """
        if ax is None:
            plt = import_matplotlib(type(self).__name__).pyplot
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        if isinstance(self.importance.index, pd.MultiIndex):
            self._draw_both()
        elif self.importance.index.name == "step":
            self._draw_steps()
        else:
            self._draw_features()
        return self

    def _draw_features(self):
        found = self.importance.sort_values("mean")
        names = [str(name) for name in found.index]
        self.ax_.barh(names, found["mean"], xerr=found["std"], color="C0")
        self.ax_.axvline(0, color="black", linewidth=0.8)
        self.ax_.set(xlabel="importance", ylabel="feature")

    def _draw_steps(self):
        found = self.importance
        self.ax_.bar(found.index, found["mean"], yerr=found["std"], color="C0")
        self.ax_.axhline(0, color="black", linewidth=0.8)
        self.ax_.set(xlabel="steps from the last one", ylabel="importance")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)

    def _draw_both(self):
        found = self.importance["mean"].unstack("step")
        found = found.reindex(self.importance.index.unique("feature"))
        names, steps = [str(name) for name in found.index], found.columns.to_numpy()
        image = self.ax_.imshow(
            np.maximum(found.to_numpy(), 0),
            aspect="auto",
            interpolation="nearest",
            extent=(steps[0] - 0.5, steps[-1] + 0.5, len(names) - 0.5, -0.5),
            cmap="Blues",
        )
        self.ax_.set_yticks(range(len(names)), names)
        self.ax_.set(xlabel="steps from the last one", ylabel="feature")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.figure_.colorbar(image, ax=self.ax_, label="importance")
