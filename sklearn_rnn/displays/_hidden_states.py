"""HiddenStateDisplay: the hidden states at each step."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sklearn_rnn.displays._labels import check_symbols, label_rows, label_steps
from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.estimators import (
    check_has_method,
    find_trained_and_input,
    inspect_model,
)
from sklearn_rnn.sequences import is_list_of_sequences

# A unit saturates at the first step at which its state reaches this fraction of its
# largest absolute value: the maximum itself may be anywhere on a plateau.
SATURATION = 0.9


class HiddenStateDisplay:
    """The hidden states of a network while it reads one sequence.

    Units are rows, steps run to the right. The colours diverge from white, a
    state of 0. A unit that saturates at some step and stays there is memory.

    Create one with `from_estimator`, which sets the parameters below.

    Parameters
    ----------
    states : ndarray of shape (n_timesteps, n_units)
        State of each unit after each step, float.
    symbols : list of str, default=None
        Labels of the steps. None numbers them from 0.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the heat map.
    ax_ : matplotlib.axes.Axes
        Axes of the heat map.
    image_ : matplotlib.image.AxesImage
        The heat map: its array has shape (n_rows, n_timesteps).
    colorbar_ : matplotlib.colorbar.Colorbar
        Colour bar of the states.
    units_ : ndarray of int of shape (n_rows,)
        Index of the unit in each row, from the top.

    See Also
    --------
    sklearn_rnn.RNNClassifier.hidden_states : The states alone.
    AttentionDisplay : The weights of the states in the output.

    Notes
    -----
    The states are those of the last layer. Of an LSTM they are the outputs,
    which its output gate may hide, not the memory cells. In a bidirectional
    network the units from ``hidden_size`` on read backwards.

    References
    ----------
    Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent
    networks", ICLR 2016 workshop.

    Examples
    --------
    >>> from sklearn_rnn import HiddenStateDisplay, RNNTagger
    >>> texts, inside = ["a(b)a", "(ab)"], [[0, 1, 1, 1, 0], [1, 1, 1, 1]]
    >>> X = [["ab()".index(letter) for letter in text] for text in texts]
    >>> model = RNNTagger(hidden_size=6, embedding_dim=4, max_epochs=2).fit(X, inside)
    >>> display = HiddenStateDisplay.from_estimator(model, X[0], symbols=texts[0])
    >>> display.image_.get_array().shape
    (6, 5)
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['a', '(', 'b', ')', 'a']
    """

    def __init__(self, *, states: np.ndarray, symbols: Sequence | None = None) -> None:
        self.states = states
        self.symbols = symbols

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: Any,
        *,
        symbols: Sequence | None = None,
        order: Any = "activity",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the hidden states of a fitted estimator.

        Parameters
        ----------
        estimator : RNNRegressor, RNNClassifier, RNNTagger, or a wrapper of one
            Fitted. A pipeline that ends in one transforms `x` first; of a search,
            the best estimator is used.
        x : ndarray or frame of shape (n_timesteps, n_features) or (n_timesteps,)
            One sequence; also a list, 3-D array or `SequenceArray` that holds
            one. Of a table for a pipeline with a `SequenceWindower`, the last
            window is drawn, the one behind ``estimator.predict(x)[-1]``.
        symbols : list of str, default=None
            Labels of the steps; a str is a list of its characters. None
            numbers the steps from 0.
        order : {"activity"}, array-like of int, or None, default="activity"
            Order of the units from the top: by the step at which they saturate
            ("activity"), by index (None), or the indices of those to draw, such
            as the `units_` of another display.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        HiddenStateDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no recurrent network.
        ValueError
            If `x` holds more than one sequence, the number of symbols does not
            match its steps, or the order is invalid.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn_rnn import HiddenStateDisplay, RNNRegressor, SequenceWindower
        >>> table = np.random.default_rng(0).normal(size=(40, 2))
        >>> network = RNNRegressor(hidden_size=8, max_epochs=2)
        >>> model = make_pipeline(SequenceWindower(12, history=None), network)
        >>> model = model.fit(table, table[:, 0])
        >>> display = HiddenStateDisplay.from_estimator(model, table)
        >>> display.image_.get_array().shape  # the window that ends with the table
        (8, 12)
        """
        trained, X = _find_one_sequence(estimator, x)
        check_has_method(trained, "hidden_states")
        [states] = trained.hidden_states(X)
        if symbols is not None:
            [symbols] = check_symbols(symbols, [len(states)])
        return cls(states=states, symbols=symbols).plot(ax=ax, order=order, **kwargs)

    def plot(self, ax: Any = None, *, order: Any = "activity", **kwargs: Any) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        order : {"activity"}, array-like of int, or None, default="activity"
            Order of the units from the top: by the step at which they saturate
            ("activity"), by index (None), or the indices of those to draw, such
            as the `units_` of another display.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        HiddenStateDisplay
            Itself, with `figure_`, `ax_`, `image_`, `colorbar_` and `units_`
            set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the order is invalid.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import HiddenStateDisplay
        >>> states = np.array([[0.0, 0.8], [-0.4, 0.8]])
        >>> display = HiddenStateDisplay(states=states).plot()
        >>> display.units_  # unit 1 saturates first
        array([1, 0])
        >>> display.image_.get_clim()
        (-0.8, 0.8)
        """
        matplotlib = import_matplotlib(type(self).__name__)
        states = np.asarray(self.states, dtype=np.float64)
        self.units_ = _order_units(states, order)
        if ax is None:
            _, ax = matplotlib.pyplot.subplots(
                figsize=_figure_size(len(states), len(self.units_)),
                layout="constrained",
            )
        self.ax_, self.figure_ = ax, ax.figure
        limit = np.abs(states).max() or 1.0
        limits = {} if "norm" in kwargs else {"vmin": -limit, "vmax": limit}
        options = {"cmap": "RdBu_r", "aspect": "auto", **limits, **kwargs}
        self.image_ = ax.imshow(states.T[self.units_], **options)
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=ax, label="hidden state")
        ax.set(xlabel="step", ylabel="unit")
        ax.xaxis.get_major_locator().set_params(integer=True)
        label_rows(ax, [str(unit) for unit in self.units_])
        if self.symbols is not None:
            label_steps(ax, self.symbols)
        return self


def _find_one_sequence(estimator, x):
    """Return the recurrent network's estimator, and the one sequence that it reads."""
    is_one = not is_list_of_sequences(x) and np.ndim(x) < 3
    if is_one and np.ndim(x) == 2 and inspect_model(estimator).windowers:
        trained, windows = find_trained_and_input(estimator, x)
        return trained, windows[-1:]
    if not is_one and len(x) != 1:
        raise ValueError(
            f"x holds {len(x)} sequences, and HiddenStateDisplay draws one: pass "
            "x[0], for example."
        )
    return find_trained_and_input(estimator, [x] if is_one else x)


def _order_units(states, order):
    """Return the index of the unit in each row, from the top."""
    n_units = states.shape[1]
    if order is None:
        return np.arange(n_units)
    if isinstance(order, str) and order == "activity":
        return _by_activity(states)
    units = np.asarray(order)
    are_indices = units.ndim == 1 and units.dtype.kind in "iu" and len(units) > 0
    if not are_indices or units.min() < 0 or units.max() >= n_units:
        raise ValueError(
            f'order must be "activity", None, or indices of units from 0 to '
            f"{n_units - 1}, got {order!r}."
        )
    return units


def _by_activity(states):
    """Sort units by the step at which they saturate, then positive ones first."""
    sizes = np.abs(states)
    saturates_at = (sizes >= SATURATION * sizes.max(axis=0)).argmax(axis=0)
    is_negative = states[saturates_at, np.arange(states.shape[1])] < 0
    return np.lexsort([is_negative, saturates_at])


def _figure_size(n_timesteps, n_rows):
    """Return width and height in inches, so that cells are legible."""
    width = np.clip(2 + 0.18 * n_timesteps, 5, 12)
    return width, np.clip(1.2 + 0.16 * n_rows, 2.6, 8)
