"""RNNTranscriber: frames, or symbols, to symbols, without alignment."""

import os
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
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
from sklearn_rnn.estimators.tasks import DTYPES, TranscriptionTask, object_array
from sklearn_rnn.metrics import symbol_error_rate
from sklearn_rnn.modules import greedy_paths, prefix_beam_search
from sklearn_rnn.sequences import COUNT, SequencesLike
from sklearn_rnn.training import blocks_by_length, computing, note_batch_size, to_batch

# A wider beam would compare more pairs of hypotheses than memory holds.
MAX_BEAM = 10_000
# Sequences, and steps of them with their padding, that are read at a time.
SIDE_BY_SIDE, MAX_STEPS = 64, 65_536
# Numbers that their posteriors may be, where there are many symbols.
MAX_OUTPUTS = 16_000_000
# Pairs of hypotheses that a search compares at a time, over all sequences.
MAX_PAIRS = 8_000_000


class RNNTranscriber(RNNEstimator):
    """A recurrent network that transcribes frames or symbols to symbols, by CTC.

    `X` holds sequences of frames, such as a `LogMelSpectrogram` makes of sound,
    and `y` what is said in each: a string, or a list of symbols of any hashable
    kind. At which frame a symbol comes need not be known: training sums over
    all alignments (connectionist temporal classification). A transcript has at most
    as many symbols as there are frames. What is predicted are strings or lists.

    `X` may also hold strings, or lists of strings: letters to phonemes, or one script
    to another. Order must be kept; `RNNSeq2Seq` also learns another one. Where `y` may
    be longer than `X`, set `upsampling`.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}, default="gru"
        Recurrent cell: plain RNN with tanh or ReLU, LSTM or GRU.
    hidden_size : int, default=128
        Units of each layer and direction.
    n_layers : int, default=1
        Recurrent layers, each reading the states of the one below.
    bidirectional : bool, default=True
        Whether every layer also reads the sequence backwards.
    subsampling : int, default=1
        Frames that are joined into one before the network reads them (frame
        stacking): fewer steps, so faster training, and symbols that are closer
        together. There must be as many steps left as there are symbols.
    upsampling : int, default=1
        Frames of the output per step that the network reads, so that more symbols may
        be written than there are steps: 2 lets "x" be the phonemes K S.
    embedding_dim : int, default=64
        Width of a learned vector for each symbol of `X`, where `X` holds strings.
    residual : bool, default=False
        Whether layers from the second on add their input to their output
        (skip connections), which keeps deep stacks trainable.
    layer_norm : bool, default=True
        Whether a layer's states are normalised over its units before the next
        layer, or the output layer, reads them.
    dropout : float, default=0.1
        Fraction of the units hidden in training, between layers and before the
        output layer, drawn for each sequence and hidden at all of its
        steps (locked or variational dropout).
    input_dropout : float, default=0.0
        The same for the input features, or the dimensions of embedded tokens.
        A hidden feature is 0 at every step, which is its mean after
        `standardize`; a single feature is never hidden.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training, drawn for
        each batch.
    beam_width : int, default=1
        Beginnings of a transcript that ``predict`` follows at a time, each with
        all the ways to say it (prefix beam search); 1 takes the most probable
        symbol of each frame. At most 10,000; time grows with it, from some
        hundreds on with its square. This and the next six count when predicting:
        set them after fit as well.
    ngram_order : int, default=None
        Symbols that an n-gram model looks at, the one that it foretells among
        them: 3 tells a symbol from the two before it. Learned from `y` and
        `ngram_text`. Needs a beam.
    ngram_text : list of str or list of list, default=None
        More transcripts that the n-gram model learns from, of the kind of `y`:
        text without sound. Those with symbols that `y` does not have are left out.
    ngram_weight : float, default=0.5
        Power of the n-gram model's probability beside that of the network.
    word_list : list or set of str, or list of list, default=None
        The only words that may be written, of the kind of `y`; those with symbols
        that training does not show are left out. Needs a beam.
    word_separator : object, default=" "
        Symbol that stands between the words of `word_list`. One that `y` does not
        have makes a transcript a single word; with None words follow one another
        directly.
    insertion_bonus : float, default=0.0
        What the beam adds to the log-probability for every symbol, in nats: makes
        up for an n-gram model that favours short transcripts.
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
    batch_size : int, default=16
        Sequences an update, at most; sequences of like length go together.
    max_epochs : int or "auto", default="auto"
        Passes over the training data (`max_iter` in ``MLPClassifier``).
        "auto" aims at 3000 updates, in at least 5 and at most 200 epochs.
    shortest_first : bool, default=True
        Whether the first epoch goes from the shortest sequences to the longest,
        which are the hardest to begin with (if `shuffle`).
    shuffle : bool, default=True
        Whether to draw a new order for every epoch.
    early_stopping : bool, default=False
        Whether to set training sequences aside, stop when their loss no
        longer falls, and go back to the weights with the lowest one.
    validation_fraction : float, default=0.1
        Fraction of the sequences set aside when `early_stopping` is on and no
        ``X_val`` is given, a random choice.
    n_iter_no_change : int, default=10
        Epochs without improvement before early stopping.
    tol : float, default=1e-4
        Least fall of the validation loss that counts as improvement.
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
    symbols_ : ndarray of object of shape (n_symbols,)
        The symbols of `y`, the most frequent first.
    source_symbols_ : ndarray of object or None
        The symbols of `X`, the most frequent first; None if it holds frames.
    n_features_in_ : int
        Features of a frame, if `X` holds frames.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` had any.
    n_iter_ : int
        Epochs trained, over all calls since the weights were drawn.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats a symbol, the end of a
        transcript counted as one.
    validation_scores_ : list of float or None
        1 minus the symbol error rate of the validation data of each epoch,
        without a beam, if there was validation.
    best_epoch_ : int
        Epoch whose weights were kept, from 1: the last one, or with early
        stopping the one with the lowest validation loss.
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
    module_ : SequenceNetwork
        The torch module; ``module_.core.rnn.state_dict()`` loads into
        ``torch.nn.RNN``, ``LSTM`` or ``GRU``.

    See Also
    --------
    LogMelSpectrogram : Makes frames of sound.
    RNNTagger : Learns a label for every step, where it is known.
    RNNSeq2Seq : Writes sequences that may be longer than what it reads, in
        another order.
    PosteriorDisplay : Draws what ``posteriors`` returns.

    Notes
    -----
    The loss is torch's own, summed over a batch and divided by its number of
    symbols. Sequences with fewer frames than their transcript takes are refused.
    The output layer's bias starts at the log of the fractions of frames of each
    symbol, or nothing: from zero, a network spends its first epochs on unlearning
    to speak at every frame.
    Without a beam the most probable class of each frame is taken; repeats are one,
    and blanks part equal neighbours.

    References
    ----------
    Graves et al., "Connectionist temporal classification: labelling unsegmented
    sequence data with recurrent neural networks", ICML 2006. Graves and Jaitly,
    "Towards end-to-end speech recognition with recurrent neural networks", ICML
    2014 (prefix beam search). Hannun et al., "First-pass large vocabulary
    continuous speech recognition using bi-directional recurrent DNNs",
    arXiv:1408.2873, 2014 (its n-gram model and bonus). Witten and Bell, "The
    zero-frequency problem", IEEE Transactions on Information Theory 37, 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNTranscriber
    >>> rng = np.random.default_rng(0)
    >>> y = ["".join(rng.choice(list("abc"), n)) for n in rng.integers(1, 5, 200)]
    >>> def speak(text):  # letters sound for some frames each, with pauses
    ...     sounds = "".join(s * rng.integers(2, 5) + "_" for s in text)
    ...     frames = np.eye(4)[["_abc".index(sound) for sound in sounds]]
    ...     return frames + rng.normal(0, 0.1, frames.shape)
    >>> model = RNNTranscriber(hidden_size=32, max_epochs=15, random_state=0)
    >>> model = model.fit([speak(text) for text in y], y)
    >>> model.predict([speak("ab"), speak("cab")])
    array(['ab', 'cab'], dtype=object)
    >>> model.posteriors([speak("cab")])[0].shape[1]
    4

    From strings to longer lists of symbols:

    >>> X = ["mix", "max", "six", "sam"] * 20
    >>> y = [["M", "I", "K", "S"], ["M", "A", "K", "S"], ["S", "I", "K", "S"],
    ...      ["S", "A", "M"]] * 20
    >>> model = RNNTranscriber(
    ...     hidden_size=32, upsampling=2, max_epochs=15, random_state=0
    ... )
    >>> model.fit(X, y).predict(["sax"])[0]
    ['S', 'A', 'K', 'S']
    """

    _task_type = TranscriptionTask
    _task: TranscriptionTask
    symbols_ = TaskAttribute("target_symbols")
    source_symbols_ = TaskAttribute("source_symbols")
    _parameter_constraints: dict[str, Any] = {
        **RNNEstimator._parameter_constraints,
        "bidirectional": ["boolean"],
        "subsampling": [COUNT],
        "upsampling": [COUNT],
        "embedding_dim": [COUNT],
        "beam_width": [Interval(Integral, 1, MAX_BEAM, closed="both")],
        "ngram_order": [COUNT, None],
        "ngram_text": ["array-like", None],
        "ngram_weight": [Interval(Real, 0, None, closed="left")],
        "word_list": [HasMethods(["__iter__", "__len__"]), None],
        "word_separator": "no_validation",
        "insertion_bonus": [Interval(Real, -100, 100, closed="both")],
        "shortest_first": ["boolean"],
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
        subsampling: int = 1,
        upsampling: int = 1,
        embedding_dim: int = 64,
        residual: bool = False,
        layer_norm: bool = True,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        weight_drop: float = 0.0,
        beam_width: int = 1,
        ngram_order: int | None = None,
        ngram_text: Any = None,
        ngram_weight: float = 0.5,
        word_list: Collection | None = None,
        word_separator: Any = " ",
        insertion_bonus: float = 0.0,
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        learning_rate: float = 4e-3,
        lr_schedule: Any = "cosine",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        clip_value: float | None = None,
        batch_size: int = 16,
        max_epochs: int | Literal["auto"] = "auto",
        shortest_first: bool = True,
        shuffle: bool = True,
        early_stopping: bool = False,
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
        self.subsampling = subsampling
        self.upsampling = upsampling
        self.embedding_dim = embedding_dim
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_drop = weight_drop
        self.beam_width = beam_width
        self.ngram_order = ngram_order
        self.ngram_text = ngram_text
        self.ngram_weight = ngram_weight
        self.word_list = word_list
        self.word_separator = word_separator
        self.insertion_bonus = insertion_bonus
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.shortest_first = shortest_first
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

    # Chunks of a sequence cannot be learned one after the other.
    bptt_steps = None

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: SequencesLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        X_val: SequencesLike | None = None,
        y_val: Any = None,
    ) -> Self:
        """Learn to transcribe `X` to `y`.

        Parameters
        ----------
        X : list of array of shape (n_frames_i, n_features), array or SequenceArray
            Sequences of frames, in any form that `RNNClassifier` accepts; or a list
            of strings, whose characters are read, or of lists of strings. Symbols
            that fit did not see are read as one unknown symbol.
        y : list of str or list of list
            What is said in each: strings or lists of symbols. One may be empty.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence. An integer weight w has the effect of w copies
            on losses, means, class weights and vocabularies; zero is as if the
            sequence were not there. Batch sizes, epochs and
            `validation_fraction` count each sequence once.
        X_val : like X, default=None
            Sequences to validate on after each epoch, instead of setting some
            of `X` aside.
        y_val : like y, default=None
            What is said in each of `X_val`. Symbols that `y` does not have are
            left out of the loss and the score.

        Returns
        -------
        RNNTranscriber
            The fitted estimator.

        Raises
        ------
        InvalidSequenceError
            If `X` or `y` cannot be read, there is not one y for each X, or a
            sequence has too few frames for its symbols.
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
    def predict(self, X: SequencesLike) -> np.ndarray:
        """Transcribe sequences of frames.

        Parameters
        ----------
        X : like the X of fit
            Sequences of frames.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Strings, or lists of symbols, as the y of fit.

        Raises
        ------
        InvalidSequenceError
            If `X` cannot be read as sequences, or has other features.

        Warns
        -----
        SklearnRNNWarning
            If `X` holds symbols that fit did not see, which are read as unknown.
        """
        self._check_search()
        if self.beam_width > 1:
            return object_array([best[0][0] for best in self._n_best(X, 1)])
        found: dict[int, Any] = {}
        for rows, log_probabilities, n_frames in self._frames(X):
            paths = greedy_paths(log_probabilities, n_frames)
            found.update(zip(rows, map(self._task.write, paths), strict=True))
        return object_array([found[i] for i in range(len(found))])

    @shared
    def predict_n_best(
        self, X: SequencesLike, n: int = 5
    ) -> list[list[tuple[Any, float]]]:
        """Find the best few transcripts of each sequence.

        Parameters
        ----------
        X : like the X of fit
            Sequences of frames.
        n : int, default=5
            How many; the beam is at least as wide.

        Returns
        -------
        list of list of tuple of (str or list, float)
            Of each sequence transcripts and their scores, the best first (fewer
            than `n`, where no more can be said). The score is the
            log-probability (natural logarithm), with what the n-gram model and
            the insertion bonus add to it; the bonus may make it positive.

        Raises
        ------
        ValueError
            If `n` is not a whole number from 1 to 10,000.
        InvalidSequenceError
            If `X` cannot be read as sequences, or has other features.
        """
        n = check_count(n, "n")
        if n > MAX_BEAM:
            raise ValueError(
                f"n={n} is more than {MAX_BEAM}, the widest beam there is."
            )
        return self._n_best(X, n)

    @shared
    def posteriors(self, X: SequencesLike) -> np.ndarray:
        """Compute the probability of each symbol, and of none, at each frame.

        Parameters
        ----------
        X : like the X of fit
            Sequences of frames.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (n_frames_i, 1 + n_symbols): the blank
            first, then `symbols_` in their order; each row sums to 1. There are
            ``ceil(n_frames_i / subsampling) * upsampling`` rows.

        Raises
        ------
        InvalidSequenceError
            If `X` cannot be read as sequences, or has other features.
        """
        check_is_fitted(self)
        found: dict[int, Any] = {}
        for rows, log_probabilities, n_frames in self._frames(X):
            for i, frames, n in zip(rows, log_probabilities, n_frames, strict=True):
                found[i] = np.exp(frames[:n])
        return object_array([found[i] for i in range(len(found))])

    @shared
    def score(
        self, X: SequencesLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Compute 1 minus the symbol error rate of what ``predict`` writes.

        Parameters
        ----------
        X : like the X of fit
            Sequences of frames.
        y : like the y of fit
            What is said in each. Symbols that fit did not see count as errors.
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

    def _check_search(self, n_best=1):
        """Check that parameters of the search go together."""
        check_is_fitted(self)
        check_params(self)  # those of the search may be set after fit
        self._task.check_options(self, n_best)

    def _n_best(self, X, n):
        self._check_search(n)
        automata, width = self._task.automata(self), max(self.beam_width, n)
        found: dict[int, Any] = {}
        for rows, log_probabilities, n_frames in self._frames(X, width):
            best = prefix_beam_search(
                log_probabilities,
                n_frames,
                width,
                automata=automata,
                insertion_bonus=self.insertion_bonus,
                n_best=n,
            )
            found.update(zip(rows, best, strict=True))
        return [
            [(self._task.write(t.symbols), t.score) for t in found[i]]
            for i in range(len(found))
        ]

    def _frames(self, X, beam_width=1):
        """Yield (rows, log-probabilities (N, T, 1 + n_symbols), frames of each)."""
        task = self._task
        sources = network_input(self, task.parse_sources(self, X))
        n_frames = task.n_frames(sources.lengths)
        side_by_side = max(1, min(SIDE_BY_SIDE, MAX_PAIRS // beam_width**2))
        n_steps = min(MAX_STEPS, MAX_OUTPUTS // task.network_spec.n_outputs)
        for rows in blocks_by_length(sources.lengths, side_by_side, n_steps):
            # Not around the yield: who reads may fail, and the threads stay limited.
            n_padded = int(sources.lengths[rows].max())
            with (
                computing(self.n_threads, self.net_),
                note_batch_size(len(rows), n_padded),
                torch.inference_mode(),
            ):
                batch = to_batch(sources, rows, self.net_.device)
                outputs = self.module_(**batch).double().log_softmax(dim=2)
                outputs = outputs.cpu().numpy()
            overflowed = np.isnan(outputs).any(axis=(1, 2))
            if overflowed.any():
                raise overflow_error(self, f"sequence {rows[overflowed.argmax()]}")
            yield rows, outputs, n_frames[rows]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags
