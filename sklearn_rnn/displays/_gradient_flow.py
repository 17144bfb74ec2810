"""GradientFlowDisplay: gradients of the output over the distance in time."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.estimators import check_has_method, find_trained_and_input


class GradientFlowDisplay:
    """Size of the last output's gradient over the distance in time.

    The curve is the norm of the output's gradient with respect to the input of a
    step, averaged over sequences, against the distance of the step from the last
    one, on a logarithmic axis. Where it vanishes the network can hardly learn from
    inputs that far back; where it rises, gradients explode. Draw several networks
    into the same axes to compare them.

    Create one with `from_estimator` or `from_gradients`, which set the parameters
    below.

    Parameters
    ----------
    distances : array-like of int of shape (n_distances,)
        Steps from the last one, from 0.
    gradients : array-like of shape (n_distances,)
        Mean size of the gradient at each distance, float.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the curve.
    ax_ : matplotlib.axes.Axes
        Axes of the curve.
    line_ : matplotlib.lines.Line2D
        The curve.

    See Also
    --------
    sklearn_rnn.RNNRegressor.input_gradients : The sizes of the gradients alone.

    Notes
    -----
    The curve shows the flow through time with ``pooling="last"``, and for outputs
    of every step: the output then depends on an input only through all states
    after it. Any other pooling, and a bidirectional network, have shorter paths.
    Where sequences differ in length, the mean at a distance is over those that
    are long enough.

    References
    ----------
    Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient
    descent is difficult", IEEE Transactions on Neural Networks 5, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import GradientFlowDisplay, RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(20, 30))
    >>> ax = None
    >>> for cell in ["rnn", "gru"]:
    ...     model = RNNRegressor(cell, max_epochs=1, random_state=0).fit(X, X[:, 0])
    ...     display = GradientFlowDisplay.from_estimator(model, X, name=cell, ax=ax)
    ...     ax = display.ax_
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['rnn', 'gru']
    >>> display.distances[-1]  # from the last step to the first
    np.int64(29)
    """

    def __init__(
        self,
        *,
        distances: Sequence[int] | np.ndarray,
        gradients: Sequence[float] | np.ndarray,
        name: str | None = None,
    ) -> None:
        self.distances = distances
        self.gradients = gradients
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the gradients of a fitted estimator.

        Parameters
        ----------
        estimator : RNNRegressor, RNNClassifier, RNNTagger, or a wrapper of one
            Fitted. A pipeline that ends in one transforms `X` first; of a search,
            the best estimator is used.
        X : like the X of fit
            The sequences to average over.
        name : str, default=None
            Name of the model in the legend; None leaves it out.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        GradientFlowDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no recurrent network.
        ValueError
            If the gradient is zero at every distance.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import GradientFlowDisplay, RNNRegressor
        >>> X = np.random.default_rng(0).normal(size=(20, 30))
        >>> model = RNNRegressor(max_epochs=1, random_state=0).fit(X, X[:, 0])
        >>> display = GradientFlowDisplay.from_estimator(model, X)
        >>> bool(display.gradients[0] > display.gradients[20])
        True
        """
        trained, X = find_trained_and_input(estimator, X)
        check_has_method(trained, "input_gradients")
        gradients = trained.input_gradients(X)
        return cls.from_gradients(gradients, name=name, ax=ax, **kwargs)

    @classmethod
    def from_gradients(
        cls,
        gradients: Sequence,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given gradients.

        Parameters
        ----------
        gradients : list of array-like of shape (length_i,)
            Size of the gradient with respect to the input of each step of each
            sequence, as ``input_gradients`` of an estimator returns it.
        name : str, default=None
            Name of the model in the legend; None leaves it out.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        GradientFlowDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no sequence, or the gradient is zero at every distance.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import GradientFlowDisplay
        >>> display = GradientFlowDisplay.from_gradients([[0.1, 1.0], [0.2, 0.3, 2.0]])
        >>> display.gradients.tolist()
        [1.5, 0.2, 0.2]
        """
        if len(gradients) == 0:
            raise ValueError(
                "gradients is empty: there is no sequence to average over."
            )
        longest = max(len(row) for row in gradients)
        totals, counts = np.zeros(longest), np.zeros(longest)
        for row in gradients:
            totals[: len(row)] += np.asarray(row)[::-1]  # from the last step back
            counts[: len(row)] += 1
        display = cls(
            distances=np.arange(longest), gradients=totals / counts, name=name
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        name : str, default=None
            Name of the model in the legend; None takes that of the display.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        GradientFlowDisplay
            Itself, with `figure_`, `ax_` and `line_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the gradient is zero at every distance.

        Examples
        --------
        >>> from sklearn_rnn import GradientFlowDisplay
        >>> display = GradientFlowDisplay(distances=[0, 1], gradients=[1.0, 0.01])
        >>> display.plot(color="black").ax_.get_yscale()
        'log'
        """
        matplotlib = import_matplotlib(type(self).__name__)
        options = matplotlib.cbook.normalize_kwargs(kwargs, matplotlib.lines.Line2D)
        if not np.any(self.gradients):
            raise ValueError(
                "the gradient is zero at every distance: the output does not depend on "
                "the inputs, and a logarithmic axis cannot show zero."
            )
        if ax is None:
            _, ax = matplotlib.pyplot.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        name = name or self.name
        if name is not None:
            options = {"label": name, **options}
        if len(self.distances) == 1:  # a line through one point would not show
            options = {"marker": ".", **options}
        [self.line_] = ax.plot(self.distances, self.gradients, **options)
        # Zero has no logarithm: the curve ends where the gradient underflows.
        ax.set_yscale("log", nonpositive="mask")
        ax.set(xlabel="steps before the last", ylabel="mean size of the gradient")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        return self
