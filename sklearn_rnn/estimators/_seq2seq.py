"""RNNSeq2Seq: reads a sequence and writes another one."""

import math
import os
from functools import partial
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._base import (
    RNNEstimator,
    TaskAttribute,
    check_params,
    exclusive,
    shared,
)
from sklearn_rnn.estimators._fit import fit
from sklearn_rnn.estimators._network import (
    network_input,
    overflow_error,
)
from sklearn_rnn.estimators._sampling import check_count
from sklearn_rnn.estimators.tasks import (
    DTYPES,
    SOURCES,
    Seq2SeqTask,
    check_same_number,
    object_array,
)
from sklearn_rnn.metrics import symbol_error_rate
from sklearn_rnn.modules import beam_search
from sklearn_rnn.sequences import BEGIN, COUNT, END, PADDING, UNKNOWN
from sklearn_rnn.training import (
    SequenceDataset,
    WrittenTargets,
    blocks_by_length,
    computing,
    note_batch_size,
    to_batch,
)

# Hypotheses that are written side by side, and steps that they look back at.
SIDE_BY_SIDE, MAX_STEPS = 256, 65_536


class RNNSeq2Seq(RNNEstimator):
    """A recurrent network that reads a sequence and writes another one.

    An encoder reads `X`, a decoder writes `y` symbol by symbol and looks back at
    what was read by attention: translation, spelling to pronunciation, captions.
    `X` is a list of strings (sequences of characters), a list of lists of
    symbols of any hashable kind, sequences of numbers as `RNNClassifier` takes
    them, or a 2-D array of vectors, one per row; see `source`. `y` is a list of
    strings or of lists of symbols; what is predicted is of that kind.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}, default="gru"
        Recurrent cell: plain RNN with tanh or ReLU, LSTM or GRU.
    hidden_size : int, default=128
        Units of each layer and direction, of encoder and decoder.
    n_layers : int, default=1
        Recurrent layers of encoder and decoder, each reading the states of the
        one below.
    bidirectional : bool, default=True
        Whether every layer of the encoder also reads the sequence backwards.
    attention_type : {"additive", "location", "multiplicative"} or None, \
default="multiplicative"
        How the decoder looks back at what was read before it writes a symbol: a
        step's weight comes from a small network over decoder and encoder state
        ("additive"), or from their product ("multiplicative"). "location" is
        "additive" that also sees where it looked for the symbol before: choose it
        where one place leads to the next, as in spelling, speech, copying or
        reversing: strings that were longer than those of training were reversed
        right by it alone. It goes step by step, and trains a fifth longer. None
        shows the decoder the encoder's last state alone, at every step. A vector
        is one step: there attention has nothing to choose from.
    source : {"auto", "symbols", "sequences", "vectors"}, default="auto"
        What `X` holds. "auto" takes a 2-D array or frame of numbers for one
        vector per row, a 3-D array, a list of 2-D arrays or of lists of floats for
        sequences of numbers, and all else for sequences of symbols.
    residual : bool, default=False
        Whether layers from the second on add their input to their output
        (skip connections), which keeps deep stacks trainable.
    layer_norm : bool, default=False
        Whether a layer's states are normalised over its units before the next
        layer, or the output layer, reads them.
    dropout : float, default=0.1
        Fraction of the units hidden in training, between layers and before the
        output layer, drawn for each sequence and hidden at all of its
        steps (locked or variational dropout).
    input_dropout : float, default=0.0
        The same for what the encoder reads: input features, or the dimensions of
        embedded symbols.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training, drawn for
        each batch.
    embedding_dim : int, default=64
        Width of a learned vector for each symbol, of both sides.
    tie_embeddings : bool, default=False
        Whether the output layer scores a symbol by the vector that it has as an
        input, through a linear layer where the widths differ: fewer weights to
        learn where the vocabulary is large.
    min_count : int, default=1
        Symbols that come more rarely in `fit` are learned as one unknown symbol,
        which is never written.
    max_symbols : int, default=None
        Most symbols to learn; the rarest count as unknown. None has no bound.
    copy_unknown : bool, default=False
        Whether an unknown symbol may be written, as a copy of the symbol of `X`
        that attention looks at most: for names and numbers. For `X` and `y` of
        one kind, and where training shows unknown symbols, by `min_count` or
        `max_symbols`.
    scheduled_sampling : float, default=0.0
        Fraction of the symbols given to the decoder that are drawn from its own
        predictions at the end of training, instead of the true ones (teacher
        forcing); rises evenly from 0.
    label_smoothing : float, default=0.0
        Fraction of each true symbol's probability that the training loss spreads
        over all symbols.
    beam_width : int, default=5
        Hypotheses that ``predict`` follows at a time; 1 is greedy. This and the
        next two count when predicting: set them after fit as well.
    length_penalty : float, default=0.0
        Power of the length, ``((5 + length) / 6)``, that the log-probability of a
        hypothesis is divided by: 0 favours short ones, 1 hardly does.
    max_length : int, default=None
        Most symbols to write. None is 10 more than twice what the training pairs
        suggest for what is read, or than their longest if that is more; in any
        case not more than ten times their longest, and 10.
    optimizer : {"adam", "adamw", "sgd", "rmsprop"} or type, default="adam"
        Optimizer, by name or as a ``torch.optim.Optimizer`` class ("sgd" has
        Nesterov momentum 0.9). ``MLPClassifier`` calls it `solver`.
    learning_rate : float, default=4e-3
        Highest step size. A number, not the name of a schedule as in
        ``MLPClassifier``: that is `lr_schedule`.
    lr_schedule : {"cosine", "one_cycle", "plateau"}, callable, LRScheduler or \
None, default="cosine"
        How the step size runs over training: up in the first 5 % of the
        updates and down to zero along a cosine; up in the first 30 %
        ("one_cycle"); divided by 5 after 5 epochs in which the validation
        loss, or else the training loss, has not fallen by `tol` ("plateau");
        by a function from the fraction of updates made to a factor; by a
        scheduler class of torch or a ``functools.partial`` of one, stepped
        once an epoch; by skorch's ``LRScheduler``; or constant (None).
    weight_decay : float, default=0.0
        Decay of the weight matrices by the optimizer; biases are spared.
        ``MLPClassifier`` has the penalty `alpha` instead.
    clip_norm : float, default=1.0
        Largest norm of the whole gradient; None does not clip it.
    clip_value : float, default=None
        Largest size of every single derivative; None does not clip it.
    batch_size : int, default=64
        Sequences an update, at most; pairs of like length go together.
    max_epochs : int or "auto", default="auto"
        Passes over the training data (`max_iter` in ``MLPClassifier``).
        "auto" aims at 3000 updates, in at least 5 and at most 200 epochs, or fewer
        as `early_stopping` has it.
    shuffle : bool, default=True
        Whether to draw a new order for every epoch.
    early_stopping : bool or "auto", default="auto"
        Whether to set training sequences aside, stop when the fraction of their symbols
        that are told right from the true ones before them no longer rises, and go back
        to the weights with the highest one. Where `lr_schedule` is a function or the
        name of one, a cool-down follows: from the best weights so far, half as many
        epochs as they took, in which the step size falls to zero. "auto" does so where
        ``max_epochs="auto"`` is more than 20 epochs, in batches of 64 up to 9,536
        pairs, of at least 200 pairs.
    validation_fraction : float, default=0.1
        Fraction of the sequences set aside when `early_stopping` is on and no
        ``X_val`` is given, a random choice.
    n_iter_no_change : int, default=10
        Epochs without improvement before early stopping.
    tol : float, default=1e-4
        Least rise of the validation score that counts as improvement, and least fall
        of a loss for ``lr_schedule="plateau"``.
    standardize : bool, default=True
        Whether each input feature is brought to mean 0 and standard deviation
        1, by the steps of the training data.
    warm_start : bool, default=False
        Whether fit continues from the weights and scaling of the last fit.
    callbacks : skorch callback or list of them, default=None
        Copied, and called during training as by skorch. ``EpochScoring`` and
        ``BatchScoring`` score the network alone, by class codes or standardised
        targets; `validation_scores_` is the estimator's own score. Not of a
        network trained by CTC.
    checkpoint : str or path, default=None
        Folder in which a fit saves the state of its training. Calling `fit` again with
        the same data and parameters resumes, with the same result, bit for bit on a
        CPU. An interrupted fit of another version of this package raises. The file is
        removed when the fit has ended, and candidates of a search may share the folder.
        The file of a stream of `partial_fit` is not removed. The same first call then
        restores the model as of the last saved call, and warns how many calls that is
        ahead: repeat them, or delete the file or take another folder to start over.
        Data, parameters, code and plain global values identify a fit; class attributes
        and what the code calls do not count. Requires a `random_state`. Callbacks may
        hold plain values, arrays and tensors; they are not called for epochs already
        trained. None saves nothing.
    checkpoint_seconds : float, default=30.0
        Least time between two writes to `checkpoint`, in seconds; 0 writes after
        every epoch.
    dtype : {"float32", "float64", "mixed"}, default="float32"
        Precision of the network. "mixed" is meant for GPUs: it trains in
        bfloat16, and keeps weights, gradients and predictions in float32.
    device : str or torch.device, default="cpu"
        Where to train and predict, say "cuda"; "auto" prefers a GPU.
    n_threads : int, default=None
        Threads inside one operation during fit and predict, when called from
        the main thread or a worker of joblib; None chooses by the size of the
        network, and one in a worker. The compiled kernels share a large batch
        among as many threads, by None among up to four.
    kernel : {"auto", "compiled", "torch"}, default="auto"
        What computes the recurrence on a CPU: the compiled kernels of this
        package, or torch. "auto" takes the compiled ones where they are
        available (see `sklearn_rnn.show_versions`) and the layers are small
        enough for them to be faster. "numba", the name up to version 0.6, still
        works, with a FutureWarning.
    verbose : int, default=0
        1 shows a progress bar, 2 prints a line an epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the order and dropout. An int gives the same
        model every time. None takes a seed from the operating system, not
        from NumPy's global state.

    Attributes
    ----------
    source_symbols_, target_symbols_ : ndarray of object
        The symbols of `X` (None if it holds numbers) and of `y`, the most
        frequent first.
    n_features_in_ : int
        Features of a step or vector, if `X` holds numbers.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` had any.
    n_iter_ : int
        Epochs trained, over all calls since the weights were drawn.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats a symbol.
    validation_scores_ : list of float or None
        Fraction of the validation symbols of each epoch that were told right from
        the true ones before them, if there was validation.
    best_epoch_ : int
        Epoch whose weights were kept, from 1: the last one, or with early
        stopping the one with the highest validation score, of several the one with
        the lowest loss.
    best_validation_score_ : float or None
        Validation score of that epoch.
    n_parameters_ : int
        Trained numbers in the network.
    kernel_ : {"compiled", "torch"}
        What computes the recurrence on this machine.
    history_ : list of dict
        One an epoch: losses, validation score, seconds (``dur``); mean and
        largest norm of the gradient before clipping (``gradient_norm``,
        ``largest_gradient_norm``), fraction of updates clipped
        (``clipped_share``), and the last step size (``learning_rate``).
    net_ : SequenceNet
        The skorch net.
    module_ : Seq2SeqNetwork
        The torch module.

    See Also
    --------
    RNNTagger : Writes one label for every step that it reads.
    RNNGenerator : Writes without reading anything but its own beginning.
    AttentionDisplay : Draws what ``attention`` returns.

    Notes
    -----
    The decoder's recurrence reads the symbols written so far; attention joins its
    states afterwards (Luong's global attention without input feeding), so that in
    training all steps are computed at once. Hypotheses of a beam are followed
    until none that still lives can win.

    Where embeddings are trained, an update changes only the vectors of the symbols
    that its batch reads. As the others have no momentum in between, a gradient of a
    vector has all of its effect at once: "adam" and "adamw" update vectors as with
    ``betas=(0, 0.999)``, "sgd" with the learning rate divided by ``1 - momentum``, and
    weight decay acts on vectors that are read. With tied embeddings, or a class of
    optimizers other than those named, every update changes all of them.

    References
    ----------
    Sutskever, Vinyals and Le, "Sequence to sequence learning with neural
    networks", NeurIPS 2014. Bahdanau, Cho and Bengio, "Neural machine
    translation by jointly learning to align and translate", ICLR 2015
    (additive). Luong, Pham and Manning, "Effective approaches to attention-based
    neural machine translation", EMNLP 2015 (multiplicative). Chorowski et al.,
    "Attention-based models for speech recognition", NeurIPS 2015 (location). Bengio
    et al., "Scheduled sampling for sequence prediction with recurrent neural
    networks", NeurIPS 2015. Wu et al., "Google's neural machine translation system",
    arXiv:1609.08144, 2016 (length penalty). Luong et al., "Addressing the rare
    word problem in neural machine translation", ACL 2015 (copying).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNSeq2Seq
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("abc"), n)) for n in rng.integers(1, 5, 300)]
    >>> y = [x[::-1] for x in X]
    >>> model = RNNSeq2Seq(hidden_size=32, max_epochs=40, random_state=0).fit(X, y)
    >>> model.predict(["ab", "cab"])
    array(['ba', 'bac'], dtype=object)
    >>> model.attention(["cab"])[0].shape
    (3, 3)
    """

    _task_type = Seq2SeqTask
    _task: Seq2SeqTask
    source_symbols_ = TaskAttribute("source_symbols")
    target_symbols_ = TaskAttribute("target_symbols")
    _parameter_constraints: dict[str, Any] = {
        **RNNEstimator._parameter_constraints,
        "bidirectional": ["boolean"],
        "attention_type": [
            StrOptions({"additive", "location", "multiplicative"}),
            None,
        ],
        "source": [StrOptions(set(SOURCES))],
        "embedding_dim": [COUNT],
        "tie_embeddings": ["boolean"],
        "min_count": [COUNT],
        "max_symbols": [COUNT, None],
        "copy_unknown": ["boolean"],
        "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "beam_width": [COUNT],
        "length_penalty": [Interval(Real, -100, 100, closed="both")],
        "max_length": [COUNT, None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "standardize": ["boolean"],
        "dtype": [StrOptions(set(DTYPES))],
    }

    def __init__(
        self,
        cell: Literal["rnn", "rnn_relu", "lstm", "gru"] = "gru",
        hidden_size: int = 128,
        n_layers: int = 1,
        *,
        bidirectional: bool = True,
        attention_type: Literal["additive", "location", "multiplicative"]
        | None = "multiplicative",
        source: Literal["auto", "symbols", "sequences", "vectors"] = "auto",
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        weight_drop: float = 0.0,
        embedding_dim: int = 64,
        tie_embeddings: bool = False,
        min_count: int = 1,
        max_symbols: int | None = None,
        copy_unknown: bool = False,
        scheduled_sampling: float = 0.0,
        label_smoothing: float = 0.0,
        beam_width: int = 5,
        length_penalty: float = 0.0,
        max_length: int | None = None,
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        learning_rate: float = 4e-3,
        lr_schedule: Any = "cosine",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        clip_value: float | None = None,
        batch_size: int = 64,
        max_epochs: int | Literal["auto"] = "auto",
        shuffle: bool = True,
        early_stopping: bool | Literal["auto"] = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        standardize: bool = True,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_seconds: float = 30.0,
        dtype: Literal["float32", "float64", "mixed"] = "float32",
        device: str | torch.device = "cpu",
        n_threads: int | None = None,
        kernel: Literal["auto", "compiled", "torch"] = "auto",
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.attention_type = attention_type
        self.source = source
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_drop = weight_drop
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.min_count = min_count
        self.max_symbols = max_symbols
        self.copy_unknown = copy_unknown
        self.scheduled_sampling = scheduled_sampling
        self.label_smoothing = label_smoothing
        self.beam_width = beam_width
        self.length_penalty = length_penalty
        self.max_length = max_length
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.standardize = standardize
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.dtype = dtype
        self.device = device
        self.n_threads = n_threads
        self.kernel = kernel
        self.verbose = verbose
        self.random_state = random_state

    # Chunks of a pair cannot be learned one after the other.
    bptt_steps = None

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Learn to write `y` for `X`.

        Parameters
        ----------
        X : list of str, list of list, list of arrays or array
            What is read; see the class for all that is accepted.
        y : list of str or list of list
            What is to be written for each: strings or lists of symbols.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence. An integer weight w has the effect of w copies
            on losses, means, class weights and vocabularies; zero is as if the
            sequence were not there. Batch sizes, epochs and
            `validation_fraction` count each sequence once.
        X_val : like X, default=None
            Sequences to validate on after each epoch, instead of setting some
            of `X` aside.
        y_val : like y, default=None
            What is to be written for `X_val`.

        Returns
        -------
        RNNSeq2Seq
            The fitted estimator.

        Raises
        ------
        InvalidSequenceError
            If `X` or `y` cannot be read, or there is not one y for each X.
        TypeError
            If symbols cannot be hashed, or a single string was given.
        DivergenceError
            If the loss becomes NaN or infinite; the weights of the last
            finished epoch (with early stopping: the best) are kept.

        Warns
        -----
        SequenceLayoutWarning
            If steps and features of an array or a list of arrays look exchanged,
            as in the order (n_sequences, n_channels, n_timesteps). Or if X is a table
            or an array of one column whose rows look like the steps of one series.
        TargetWarning
            If symbols are numbers that look like measurements, or like sequences padded
            with 0. If strings look like symbols between spaces, such as "K S AH":
            strings are learned by their characters.
        """
        return fit(self, X, y, sample_weight, X_val, y_val)

    @shared
    def predict(self, X: Any) -> np.ndarray:
        """Write a sequence for each one that is read.

        Parameters
        ----------
        X : like the X of fit
            What is read.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Strings, or lists of symbols, as the y of fit.

        Raises
        ------
        InvalidSequenceError, TypeError
            If `X` is not of the kind that fit was given.
        """
        found = self._search(X, 1, self.copy_unknown)
        task, copies = self._task, self.copy_unknown
        pairs = zip(found, task.source_rows(X, len(found)), strict=True)
        return object_array([task.write(best[0], row, copies) for best, row in pairs])

    @shared
    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[Any, float]]]:
        """Write the best few sequences for each one that is read.

        Parameters
        ----------
        X : like the X of fit
            What is read.
        n : int, default=5
            How many; the beam is at least as wide.

        Returns
        -------
        list of list of tuple of (str or list, float)
            Of each sequence what was written and its score, the best first, all
            different (fewer than `n`, where copies made some alike). The score
            is the log-probability (natural logarithm) after the length penalty.

        Raises
        ------
        ValueError
            If `n` is not a whole number from 1.
        InvalidSequenceError, TypeError
            If `X` is not of the kind that fit was given.
        """
        n = check_count(n, "n")
        found = self._search(X, n, self.copy_unknown)
        task, copies = self._task, self.copy_unknown
        return [
            _distinct((task.write(h, row, copies), h.score) for h in best)
            for best, row in zip(found, task.source_rows(X, len(found)), strict=True)
        ]

    @shared
    def attention(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute which steps of X each written symbol was looked up from.

        Parameters
        ----------
        X : like the X of fit
            What is read.
        y : like the y of fit, default=None
            What is written; None takes what ``predict`` writes.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (n_symbols_i, length_i): for each symbol
            written the weights of the steps, which sum to 1.

        Raises
        ------
        ValueError
            If the estimator was fitted without attention.
        """
        check_is_fitted(self)
        if self._task.network_spec.attention is None:
            raise ValueError(
                f"this {type(self).__name__} has no attention: it was fitted with "
                "attention_type=None."
            )
        if y is None:
            return object_array(
                [best[0].attention for best in self._search(X, 1, True)]
            )
        return object_array(self._alignments(X, y))

    @shared
    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Compute 1 minus the symbol error rate of what ``predict`` writes.

        Parameters
        ----------
        X : like the X of fit
            What is read.
        y : like the y of fit
            What should be written.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence.

        Returns
        -------
        float
            1 at best; below 0 where predictions are so much too long that empty
            ones would do better.

        See Also
        --------
        sklearn_rnn.metrics.symbol_error_rate : Edits per true symbol.
        """
        check_is_fitted(self)
        true = self._task.target.rows(y, "y")
        error = symbol_error_rate(true, self.predict(X), sample_weight=sample_weight)
        return 1.0 - error

    # Writing.

    def _search(self, X, n_best, keep_attention=False):
        """Return the best hypotheses for each sequence of X."""
        check_is_fitted(self)
        check_params(self)  # those of writing may be set after fit
        task = self._task
        task.check_options(self)
        sources = network_input(self, task.parse_sources(self, X))
        found: list[Any] = [None] * len(sources)
        with computing(self.n_threads, self.net_):
            width = max(self.beam_width, n_best)
            side_by_side, n_steps = max(1, SIDE_BY_SIDE // width), MAX_STEPS // width
            for rows in blocks_by_length(sources.lengths, side_by_side, n_steps):
                with note_batch_size(len(rows), int(sources.lengths[rows].max())):
                    block = self._search_block(sources, rows, n_best, keep_attention)
                for row, best in zip(rows, block, strict=True):
                    if not best or not math.isfinite(best[0].score):
                        raise overflow_error(self, f"sequence {row}")
                    found[row] = best
        return found

    @torch.inference_mode()
    def _search_block(self, sources, rows, n_best, keep_attention):
        network, device = self.module_, self.net_.device
        memory = network.encode(**to_batch(sources, rows, device))
        max_steps = self._task.max_steps(sources.lengths[rows], self.max_length)
        return beam_search(
            network.step if keep_attention else partial(_step_blindly, network),
            memory,
            network.initial_state(memory),
            begin=BEGIN,
            end=END,
            forbidden=[PADDING, BEGIN] + [UNKNOWN] * (not self.copy_unknown),
            beam_width=max(self.beam_width, n_best),
            max_steps=torch.from_numpy(max_steps).to(device),
            length_penalty=self.length_penalty,
            n_best=n_best,
        )

    def _alignments(self, X, y):
        task = self._task
        sources = network_input(self, task.parse_sources(self, X))
        rows = task.target.rows(y, "y")
        check_same_number(len(sources), len(rows))
        targets = task.target.vocabulary.encode_all(rows, bounded=True)
        pairs = SequenceDataset(sources, WrittenTargets(targets))
        found: list[Any] = [None] * len(rows)
        with computing(self.n_threads, self.net_), torch.inference_mode():
            for block in blocks_by_length(pairs.lengths, SIDE_BY_SIDE, MAX_STEPS):
                inputs, _ = pairs.batch(block, self.net_.device)
                for row, weights in zip(
                    block, self.module_.align(**inputs).cpu().numpy(), strict=True
                ):
                    shape = len(rows[row]), sources.lengths[row]
                    found[row] = weights[: shape[0], : shape[1]].astype(np.float64)
                    if not np.isfinite(found[row]).all():
                        raise overflow_error(self, f"sequence {row}")
        return found

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _distinct(answers):
    """Leave out answers that copying has made equal to a better one."""
    kept: list[tuple[Any, float]] = []
    for written, score in answers:
        if all(written != other for other, _ in kept):
            kept.append((written, score))
    return kept


def _step_blindly(network, tokens, memory, state):
    """Write one symbol more, and keep no weights: of long texts they are many."""
    log_probabilities, state, weights = network.step(tokens, memory, state)
    return log_probabilities, state, weights.new_empty(len(weights), 0)
