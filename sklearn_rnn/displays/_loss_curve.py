"""LossCurveDisplay: the loss of every epoch of training."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.estimators import find_trained


class LossCurveDisplay:
    """The training and validation loss of every epoch, as curves.

    The training loss is a solid line. The validation loss, where there was
    validation, is dashed and has the same colour, so that several models can
    share the same axes. Where early stopping restored the weights of an epoch,
    a dot marks it.

    Create one with `from_estimator` or `from_history`, which set the parameters
    below.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
        Epochs, counted from 1.
    train_loss : array-like of shape (n_epochs,)
        Mean loss over the batches of each epoch, float.
    valid_loss : array-like of shape (n_epochs,), default=None
        Loss on the validation sequences after each epoch, float; NaN where an
        epoch had none. None draws no such curve.
    kept_epoch : int, default=None
        Epoch whose weights were kept; None marks none.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the curves.
    ax_ : matplotlib.axes.Axes
        Axes of the curves.
    lines_ : list of matplotlib.lines.Line2D
        The training curve and, where there was validation, its curve.
    mark_ : matplotlib.lines.Line2D or None
        The dot at `kept_epoch`.

    See Also
    --------
    sklearn_rnn.RNNRegressor : Its ``history_`` holds the losses.
    sklearn_rnn.RNNClassifier : Its ``history_`` holds the losses.

    Notes
    -----
    The training loss is averaged while the weights change and with dropout,
    the validation loss computed after the epoch and without dropout: early in
    training the validation loss can be the lower one. The regressor's losses
    are those of its standardised targets.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import LossCurveDisplay, RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> model = RNNRegressor(hidden_size=8, early_stopping=True, random_state=0)
    >>> display = LossCurveDisplay.from_estimator(model.fit(X, X.mean(axis=1)))
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation']
    """

    def __init__(
        self,
        *,
        epochs: Sequence[int] | np.ndarray,
        train_loss: Sequence[float] | np.ndarray,
        valid_loss: Sequence[float] | np.ndarray | None = None,
        kept_epoch: int | None = None,
        name: str | None = None,
    ) -> None:
        self.epochs = epochs
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.kept_epoch = kept_epoch
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None, **kwargs: Any
    ) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : RNNRegressor, RNNClassifier, RNNTagger, or a wrapper of one
            Fitted. Wrappers are a pipeline that ends in one, a search with
            refit (the best estimator is used), or a
            `TransformedTargetRegressor`.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        name : str, default=None
            Name of the model in the legend; None leaves it out.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for both curves.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no recurrent network.
        ValueError
            If no epoch was finished, as after an early Ctrl-C.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn_rnn import LossCurveDisplay, RNNRegressor, SequenceWindower
        >>> table = np.random.default_rng(0).normal(size=(80, 2))
        >>> model = make_pipeline(SequenceWindower(4), RNNRegressor(max_epochs=3))
        >>> display = LossCurveDisplay.from_estimator(model.fit(table, table[:, 0]))
        >>> display.epochs
        array([1, 2, 3])
        """
        trained = find_trained(estimator)
        rows = trained.history_
        stops_early = trained.early_stopping and trained.validation_scores_
        kept_epoch = trained.best_epoch_ if stops_early else None
        return cls.from_history(rows, kept_epoch=kept_epoch, ax=ax, name=name, **kwargs)

    @classmethod
    def from_history(
        cls,
        history: list[dict],
        *,
        kept_epoch: int | None = None,
        ax: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the losses of a training history.

        Parameters
        ----------
        history : list of dict
            One per epoch, with ``train_loss``, optional ``valid_loss`` and
            ``epoch``, such as ``history_`` of an estimator. Without ``epoch``,
            epochs count from 1.
        kept_epoch : int, default=None
            Epoch to mark, the one whose weights were kept.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        name : str, default=None
            Name of the model in the legend; None leaves it out.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for both curves.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the history has no epoch.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import LossCurveDisplay
        >>> history = [{"train_loss": 1.0}, {"train_loss": 0.4}]
        >>> display = LossCurveDisplay.from_history(history)
        >>> display.lines_[0].get_ydata()
        array([1. , 0.4])
        """
        if len(history) == 0:
            raise ValueError(
                "the history has no finished epoch, so there is nothing to draw: fit "
                "the estimator for at least one epoch."
            )
        display = cls(
            epochs=np.array([row.get("epoch", i) for i, row in enumerate(history, 1)]),
            train_loss=_column(history, "train_loss"),
            valid_loss=_column(history, "valid_loss"),
            kept_epoch=kept_epoch,
            name=name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        name : str, default=None
            Name of the model in the legend; None takes that of the display.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.plot`` for both curves.

        Returns
        -------
        LossCurveDisplay
            Itself, with `figure_`, `ax_`, `lines_` and `mark_` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `kept_epoch` is not one of the epochs.

        Examples
        --------
        >>> from sklearn_rnn import LossCurveDisplay
        >>> display = LossCurveDisplay(epochs=[1, 2], train_loss=[1.0, 0.4])
        >>> display.plot(color="black").ax_.get_xlabel()
        'epoch'
        """
        matplotlib = import_matplotlib(type(self).__name__)
        options = matplotlib.cbook.normalize_kwargs(kwargs, matplotlib.lines.Line2D)
        if ax is None:
            _, ax = matplotlib.pyplot.subplots()
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = self._draw_curves(name or self.name, options)
        self.mark_ = self._draw_mark()
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        return self

    def _draw_curves(self, name, options):
        prefix = f"{name}, " if name else ""
        if len(self.epochs) == 1:  # a line through one point would not show
            options = {"marker": ".", **options}
        options = {"label": f"{prefix}training", **options}
        lines = self.ax_.plot(self.epochs, self.train_loss, **options)
        if self.valid_loss is not None:
            like_training = {"color": lines[0].get_color(), "linestyle": "--"}
            options = {**like_training, **options, "label": f"{prefix}validation"}
            lines += self.ax_.plot(self.epochs, self.valid_loss, **options)
        return lines

    def _draw_mark(self):
        if self.kept_epoch is None:
            return None
        index = np.flatnonzero(np.asarray(self.epochs) == self.kept_epoch)
        if len(index) == 0:
            raise ValueError(
                f"kept_epoch={self.kept_epoch} is not one of the epochs, which go "
                f"from {self.epochs[0]} to {self.epochs[-1]}."
            )
        curve = self.lines_[-1]  # that of validation, if there is one
        [mark] = self.ax_.plot(
            self.kept_epoch,
            curve.get_ydata()[index[0]],
            marker="o",
            linestyle="none",
            color=curve.get_color(),
            label=f"kept: epoch {self.kept_epoch}",
        )
        return mark


def _column(history, key):
    """Return a value per epoch, NaN where it is missing; None if it always is."""
    values = np.array([row.get(key, np.nan) for row in history])
    return None if np.isnan(values).all() else values
