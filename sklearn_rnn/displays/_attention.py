"""AttentionDisplay: attention weights, step by step."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from sklearn_rnn.displays._alignment import (
    check_alignment,
    check_alignments,
    grid_of_alignments,
    label_alignment,
    predict_alignments,
    sharpen_cells,
)
from sklearn_rnn.displays._labels import (
    cell_size,
    check_symbols,
    fitting_style,
    label_rows,
    label_steps,
)
from sklearn_rnn.displays._matplotlib import import_matplotlib
from sklearn_rnn.estimators import find_trained_and_input


class AttentionDisplay:
    """Heat map of attention weights.

    Sequences are rows, steps run to the right, and a frame around each row
    ends where its sequence ends. Symbols, such as the characters or words of
    the sequences, are written into the cells; those of a single sequence are
    the labels of its steps.

    Of an encoder-decoder it draws an alignment instead: the weight of each
    step of the input (a column) for each symbol of the output (a row, from the
    top down). Several pairs of input and output have a panel each.

    Create one with `from_estimator`, `from_weights` or `from_alignment`, which
    set the parameters below.

    Parameters
    ----------
    weights : list of ndarray of shape (length_i,)
        Weight of each step of each sequence, float. Of an alignment an ndarray
        of shape (n_outputs, n_inputs), of several a list of them.
    symbols : list of list of str, default=None
        Symbols of the steps of each sequence. None writes nothing.
    names : list of str, default=None
        Label of each sequence's row. None numbers them from 0.
    source : list of str, or list of list of str, default=None
        Of an alignment, the labels of its columns, the input's symbols; of
        several a list for each. None numbers them from 0.
    target : list of str, or list of list of str, default=None
        Of an alignment, the labels of its rows, the output's symbols; of
        several a list for each. None draws weights of sequences.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the heat map.
    ax_ : matplotlib.axes.Axes
        Axes of the heat map; of several alignments, of the first.
    axes_ : ndarray of matplotlib.axes.Axes, of shape (n_panels,)
        Axes of all alignments, or of the one heat map.
    image_ : matplotlib.image.AxesImage
        The heat map: its array has shape (n_sequences, longest), and is masked
        after a sequence's end. Of an alignment, (n_outputs, n_inputs).
    images_ : list of matplotlib.image.AxesImage
        The heat map of each panel.
    colorbar_ : matplotlib.colorbar.Colorbar
        Colour bar of the weights.
    texts_ : list of list of matplotlib.text.Text, or None
        The symbols in the cells; None if there are none, or if they label
        the steps.

    See Also
    --------
    sklearn_rnn.RNNClassifier.attention_weights : The weights alone.
    HiddenStateDisplay : The hidden states at each step.

    Notes
    -----
    The weights are those of hidden states. A state depends on all inputs before
    it (in a bidirectional network also after it), so that a large weight may lie
    a step or more away from the input that matters.

    References
    ----------
    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to
    align and translate", ICLR 2015.

    Examples
    --------
    >>> from sklearn_rnn import AttentionDisplay, RNNClassifier
    >>> words = ["abc", "ba", "cab"]
    >>> X = [["abc".index(letter) for letter in word] for word in words]
    >>> model = RNNClassifier(pooling="attention", embedding_dim=4, max_epochs=2)
    >>> model = model.fit(X, [True, False, True])  # whether there is a c
    >>> display = AttentionDisplay.from_estimator(model, X, symbols=words)
    >>> display.image_.get_array().mask
    array([[False, False, False],
           [False, False,  True],
           [False, False, False]])
    """

    def __init__(
        self,
        *,
        weights: Any,
        symbols: Sequence | None = None,
        names: Sequence[str] | None = None,
        source: Sequence | None = None,
        target: Sequence | None = None,
    ) -> None:
        self.weights = weights
        self.symbols = symbols
        self.names = names
        self.source = source
        self.target = target

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        symbols: Sequence | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the attention of a fitted estimator.

        Of an estimator with a method ``attention``, an encoder-decoder, it
        draws the alignment of each sequence of `X` with its prediction; of any
        other, the weights of its attention pooling.

        Parameters
        ----------
        estimator : RNNRegressor, RNNClassifier or RNNSeq2Seq, or a wrapper
            Fitted, the first two with ``pooling="attention"``. A pipeline that
            ends in one transforms `X` first; of a search, the best estimator
            is used.
        X : like the X of fit
            The sequences to draw, one or several; of an encoder-decoder
            at most 12.
        symbols : list of list of str, default=None
            Symbols of the steps of each sequence; for a single sequence
            also its list alone. A str is a list of its characters. None takes
            those of an encoder-decoder from `X`: its characters, words or
            symbols, whichever match the number of steps; and of a pipeline with
            a `SequenceTokenizer` its tokens.
        names : list of str, default=None
            Label of each row. None numbers sequences from 0; of an
            encoder-decoder it takes the predicted symbols, which a list (for
            several sequences a list of lists) replaces.
        ax : matplotlib.axes.Axes, or array of them, default=None
            Axes to draw in, for several alignments one for each; None creates a
            figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        AttentionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it holds no recurrent network.
        ValueError
            If it was fitted without attention, or the numbers of symbols, names
            or axes do not match the steps and sequences.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn_rnn import AttentionDisplay, RNNRegressor, SequenceScaler
        >>> X = [[0.0, 1.0, 2.0], [3.0, 1.0]]
        >>> network = RNNRegressor(pooling="attention", max_epochs=2)
        >>> model = make_pipeline(SequenceScaler(), network).fit(X, [1.0, 2.0])
        >>> display = AttentionDisplay.from_estimator(model, X, names=["up", "down"])
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['up', 'down']
        """
        trained, X_read = find_trained_and_input(estimator, X)
        if hasattr(trained, "attention"):
            weights, source, target = predict_alignments(trained, X_read, X)
            if symbols is not None:
                source = check_symbols(symbols, [w.shape[1] for w in weights])
            if len(weights) == 1:
                weights, source, target = weights[0], source[0], target[0]
            target = target if names is None else names
            return cls.from_alignment(weights, source, target, ax=ax, **kwargs)
        if not hasattr(trained, "attention_weights"):
            raise TypeError(
                f"{type(trained).__name__} has no attention to draw: use RNNSeq2Seq, "
                "or RNNClassifier or RNNRegressor with pooling='attention'."
            )
        weights = trained.attention_weights(X_read)
        tokens = getattr(X_read, "tokens", None)
        if symbols is None and tokens is not None:
            symbols = [tokens[row[:, 0].astype(int)] for row in X_read]
        return cls.from_weights(weights, symbols=symbols, names=names, ax=ax, **kwargs)

    @classmethod
    def from_weights(
        cls,
        weights: Any,
        *,
        symbols: Sequence | None = None,
        names: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw given weights.

        Parameters
        ----------
        weights : list of array-like of shape (length_i,)
            Weight of each step of each sequence, as ``attention_weights`` of
            an estimator returns them; for a single sequence also its weights
            alone.
        symbols : list of list of str, default=None
            Symbols of the steps of each sequence; for a single sequence
            also its list alone. A str is a list of its characters.
        names : list of str, default=None
            Label of each sequence's row. None numbers them from 0.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        AttentionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a sequence has no weights or more than one per step, or the
            numbers of symbols or names do not match the steps and sequences.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import AttentionDisplay
        >>> display = AttentionDisplay.from_weights([0.2, 0.7, 0.1], symbols="cat")
        >>> display.image_.get_array().data
        array([[0.2, 0.7, 0.1]])
        """
        weights = _check_weights(weights)
        symbols = check_symbols(symbols, [len(row) for row in weights])
        if names is not None and len(names) != len(weights):
            raise ValueError(
                f"names has {len(names)} names for {len(weights)} sequences: give one "
                "per sequence."
            )
        display = cls(weights=weights, symbols=symbols, names=names)
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_alignment(
        cls,
        weights: Any,
        source: Sequence | None,
        target: Sequence,
        *,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the alignment of an output with its input, or of several.

        Parameters
        ----------
        weights : array-like of shape (n_outputs, n_inputs), or list of them
            Weight of each step of the input for each symbol of the output.
            The last row may be that of the end of the output. A list of at most
            12 such arrays draws a panel for each.
        source : list of hashable or str, list of them, or None
            The symbols of the input, one per column; of several inputs a list for
            each. A str is a list of its characters. None numbers the columns from
            0, for numeric input.
        target : list of hashable or str, or list of them
            The symbols of the output, one per row; of several outputs a list for
            each. Where they are one fewer than the rows, the last row is the end's.
        ax : matplotlib.axes.Axes, or array of them, default=None
            Axes to draw in, one for each alignment; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        AttentionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `weights` is not a 2-D array, or empty, or the numbers of symbols
            do not match its columns and rows. If there are more than 12 alignments,
            or not one list of symbols and one of the axes for each.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import AttentionDisplay
        >>> weights = [[0.9, 0.1, 0.0], [0.1, 0.1, 0.8], [0.0, 0.1, 0.9]]
        >>> display = AttentionDisplay.from_alignment(weights, "ten", ["1", "0"])
        >>> [label.get_text() for label in display.ax_.get_yticklabels()]
        ['1', '0', '<end>']
        """
        check = check_alignments if _are_several(weights) else check_alignment
        weights, source, target = check(weights, source, target)
        display = cls(weights=weights, source=source, target=target)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, or array of them, default=None
            Axes to draw in, one for each alignment; None creates a figure.
        **kwargs : dict
            Passed to ``matplotlib.axes.Axes.imshow``.

        Returns
        -------
        AttentionDisplay
            Itself, with `figure_`, `ax_`, `axes_`, `image_`, `images_`,
            `colorbar_` and `texts_` set.

        Raises
        ------
        ValueError
            If there are not as many axes as panels.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn_rnn import AttentionDisplay
        >>> display = AttentionDisplay(weights=[[0.2, 0.8], [1.0]])
        >>> display.plot(cmap="Greens").colorbar_.ax.get_ylabel()
        'attention weight'
        """
        matplotlib = import_matplotlib(type(self).__name__)
        self.axes_ = self._check_axes(ax)
        if ax is None:
            self.axes_ = self._create_axes(matplotlib.pyplot)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.images_ = [
            self._draw_image(ax, weights, kwargs)
            for ax, (weights, *_) in zip(self.axes_, self._panels(), strict=True)
        ]
        self.image_ = self.images_[0]
        self.colorbar_ = self.figure_.colorbar(
            self.image_, ax=list(self.axes_), label="attention weight"
        )
        if self.target is not None:
            self.texts_ = None
            self._label_alignments(is_sharp="interpolation" not in kwargs)
            return self
        ax = self.ax_
        self._frame_rows(matplotlib.patches.Rectangle)
        ax.set_xlabel("step")
        ax.xaxis.get_major_locator().set_params(integer=True)
        self._label_rows()
        self.texts_ = self._write_symbols()
        return self

    def _panels(self):
        """Return weights, source and target of each panel."""
        if self.target is None or not _are_several(self.weights):
            return [(self.weights, self.source, self.target)]
        source = self.source or [None] * len(self.weights)
        return list(zip(self.weights, source, self.target, strict=True))

    def _check_axes(self, ax):
        axes, n_panels = np.ravel(ax), len(self._panels())
        if ax is not None and len(axes) != n_panels:
            raise ValueError(
                f"ax holds {len(axes)} axes for {n_panels} panels: give one for each, "
                "or None for a new figure."
            )
        return axes

    def _create_axes(self, pyplot):
        if self.target is not None:
            return grid_of_alignments(pyplot, self._panels())
        size = self._figure_size()
        return np.ravel(pyplot.subplots(figsize=size, layout="constrained")[1])

    def _figure_size(self):
        """Return width and height in inches, so that cells are legible."""
        longest = max(len(row) for row in self.weights)
        n_letters = 1
        if self.symbols is not None and len(self.weights) > 1:
            n_letters = max(len(symbol) for row in self.symbols for symbol in row)
        width = np.clip(2.5 + np.clip(0.1 * n_letters, 0.28, 0.8) * longest, 5, 14)
        return width, np.clip(1.3 + 0.35 * len(self.weights), 2.6, 10)

    def _draw_image(self, ax, weights, options):
        longest = max(len(row) for row in weights)
        table = np.ma.masked_all((len(weights), longest))
        for row, of_row in zip(table, weights, strict=True):
            row[: len(of_row)] = of_row
        limits = {"vmin": 0}
        if self.target is not None:  # the same scale for all alignments: rows sum to 1
            limits["vmax"] = 1
        if "norm" in options:
            limits = {}
        options = {"cmap": "Blues", "aspect": "auto", **limits, **options}
        return ax.imshow(table, **options)

    def _label_alignments(self, *, is_sharp):
        panels = zip(self.axes_, self.images_, self._panels(), strict=True)
        for ax, image, (_, source, target) in panels:
            label_alignment(ax, source, target)
            if is_sharp:
                sharpen_cells(image)

    def _frame_rows(self, rectangle):
        self.ax_.spines[:].set_visible(False)
        for row, weights in enumerate(self.weights):
            frame = rectangle(
                (-0.5, row - 0.5), len(weights), 1, fill=False, color="gray", lw=0.8
            )
            self.ax_.add_patch(frame).set_clip_on(False)

    def _label_rows(self):
        if self.names is not None:
            return label_rows(self.ax_, [str(name) for name in self.names])
        if len(self.weights) == 1:
            return self.ax_.set_yticks([])
        self.ax_.set_ylabel("sequence")
        self.ax_.yaxis.get_major_locator().set_params(integer=True)

    def _write_symbols(self):
        if self.symbols is None:
            return None
        if len(self.weights) == 1:
            label_steps(self.ax_, self.symbols[0])
            return None
        texts = [
            [self._write(row, step, symbol) for step, symbol in enumerate(symbols)]
            for row, symbols in enumerate(self.symbols)
        ]
        every = [text for row in texts for text in row]
        style = fitting_style(every, *cell_size(self.ax_))
        for text in every:
            text.set(**style)
        return texts

    def _write(self, row, step, symbol):
        image = self.image_
        red, green, blue, _ = image.cmap(image.norm(self.weights[row][step]))
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        return self.ax_.text(
            step,
            row,
            symbol,
            color="black" if is_light else "white",
            ha="center",
            va="center",
            parse_math=False,
        )


def _are_several(weights):
    """Return whether these are weights of several alignments."""
    is_list = isinstance(weights, (list, tuple)) and len(weights) > 0
    return is_list and np.ndim(weights[0]) == 2


def _check_weights(weights):
    """Return the weights of each sequence as a list of arrays."""
    if len(weights) == 0:
        raise ValueError("weights is empty: there is no sequence to draw.")
    if all(np.ndim(row) == 0 for row in weights):
        weights = [weights]
    weights = [np.asarray(row, dtype=np.float64) for row in weights]
    for i, row in enumerate(weights):
        if row.ndim != 1 or len(row) == 0:
            raise ValueError(
                f"weights[{i}] has shape {row.shape}: give one weight per step, and "
                "at least one step."
            )
    return weights
