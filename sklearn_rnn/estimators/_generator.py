"""RNNGenerator: learns how sequences continue, and writes more of them."""

import os
from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._base import (
    RNNEstimator,
    TaskAttribute,
    exclusive,
    shared,
)
from sklearn_rnn.estimators._fit import fit, new_random_state
from sklearn_rnn.estimators._network import check_outputs
from sklearn_rnn.estimators._sampling import Sampling, check_count
from sklearn_rnn.estimators._writing import Writer
from sklearn_rnn.estimators.tasks import DTYPES, GenerationTask, split_steps
from sklearn_rnn.sequences import COUNT
from sklearn_rnn.training import (
    NextStepDataset,
    computing,
    step_outputs,
)


class RNNGenerator(RNNEstimator):
    """A recurrent network that learns how sequences continue, and writes more.

    It reads a sequence step by step and predicts the next one: characters of a
    text, words, notes, chords. What `X` is decides what is learned:

    ===================================== =====================================
    `X`                                   a step is
    ===================================== =====================================
    one str                               a character of one long text
    list, Series or array of str          a character of several texts
    list of lists, tuples or 1-D arrays   a symbol: a word, a note, anything that
                                          can be hashed
    list of 2-D arrays, or a 3-D array    a frame: several features at once, each
                                          0 or 1, such as the keys of a piano
    ===================================== =====================================

    Of several sequences of symbols their ends are learned, too, and what is written
    ends by itself; a single one is taken for a part of an endless one, and so
    are frames.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}, default="gru"
        Recurrent cell: plain RNN with tanh or ReLU, LSTM or GRU.
    hidden_size : int or "auto", default="auto"
        Units of each layer and direction. "auto" takes 128, or 256 from 300,000 steps
        on.
    n_layers : int, default=1
        Recurrent layers, each reading the states of the one below.
    residual : bool, default=False
        Whether layers from the second on add their input to their output
        (skip connections), which keeps deep stacks trainable.
    layer_norm : bool, default=False
        Whether a layer's states are normalised over its units before the next
        layer, or the output layer, reads them.
    dropout : float, default=0.2
        Fraction of the units hidden in training, between layers and before the
        output layer, drawn for each sequence and hidden at all of its
        steps (locked or variational dropout).
    input_dropout : float, default=0.0
        The same for the dimensions of embedded symbols, or the features of
        frames. For frames 0 is best: what sounds now is most of what is known of
        the next frame.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training, drawn for
        each batch.
    embedding_dim : int, default=64
        Width of a learned vector for each symbol. Frames have none.
    tie_embeddings : bool, default=False
        Whether the output layer scores a symbol by the vector that it has as an
        input, through a linear layer where the widths differ: fewer weights to
        learn where the vocabulary is large.
    softmax : {"full", "adaptive", "auto"}, default="auto"
        What turns states into probabilities of the symbols. "full" computes a score for
        each; "adaptive" only of the frequent ones, and of clusters of rare ones where
        training needs them, which takes a fraction of the time. Predictions have exact
        probabilities of all symbols with both. "auto" is adaptive from 2000 symbols on,
        unless embeddings are tied. Frames have none.
    min_count : int, default=1
        Symbols that come more rarely in `fit` are learned as one unknown symbol,
        which is never written.
    max_symbols : int, default=None
        Most symbols to learn; the rarest count as unknown. None has no bound.
    ngram_order : int, "auto" or None, default="auto"
        Length of the longest n-grams that are counted beside the network, of
        symbols, not of frames. Every probability is then a mean of the
        network's and that of the n-grams, an interpolated model with Kneser-Ney
        smoothing: the geometric mean, normalised, up to 500 symbols, and else the
        arithmetic one. Its weight is fitted on text that neither has seen: the
        validation data, or else 3 % of the steps of `X` (up to 10 %, or 300 steps,
        of a small text; at most 20,000), which the network is not trained on. They are
        the end of the longest sequence; of 50 sequences and more, whole ones. Below
        300 steps nothing is held out, and both count alike. "auto" also chooses the
        length by that text, up to 7, or 4 with more than 500 symbols, and counts
        none below 1000 steps. None counts none.
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
    bptt_steps : int, default=50
        Most steps that gradients flow back through (truncated backpropagation
        through time). Longer sequences are learned in chunks, with an update
        each, the state carried over; memory is then that of a chunk. None has no
        bound.
    batch_size : int, default=32
        Sequences an update, at most. A text that is long enough is cut into as
        many parts, which are read side by side.
    max_epochs : int or "auto", default="auto"
        Passes over the training data (`max_iter` in ``MLPClassifier``).
        "auto" aims at 9600 updates, in at least 5 and at most 20 epochs, but makes
        at least 300. Where a part is held out for the weight of n-grams, training
        also stops when a fifth of these epochs, and at least 3, have not lowered its
        loss by `tol`, and goes back to the weights with the lowest one: more would
        learn a small text by heart.
    shuffle : bool, default=True
        Whether to draw a new order for every epoch.
    early_stopping : bool, default=False
        Whether to set training data aside, stop when their loss no longer
        falls, and go back to the weights with the lowest one.
    validation_fraction : float, default=0.1
        Fraction of the sequences set aside when `early_stopping` is on and no
        ``X_val`` is given, a random choice; of a single sequence its last part.
    n_iter_no_change : int, default=10
        Epochs without improvement before early stopping.
    tol : float, default=1e-4
        Least fall of the validation loss that counts as improvement.
    warm_start : bool, default=False
        Whether fit continues from the weights and symbols of the last fit.
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
    symbols_ : ndarray of object of shape (n_symbols_,) or None
        The symbols, the most frequent first. None for frames.
    n_symbols_ : int or None
        How many there are. None for frames.
    ngram_order_ : int or None
        Length of the longest n-grams. None without n-grams.
    ngram_weight_ : float
        Weight of the n-grams in the mean with the network, in [0, 1]; 0 without
        n-grams. It may be set: to 0, say, for the network alone.
    hidden_size_ : int
        Units of each layer and direction, as `hidden_size` or its "auto" chose.
    n_features_in_ : int
        Width of a frame, if fitted on frames.
    n_iter_ : int
        Epochs trained, over all calls since the weights were drawn.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats per step.
    validation_scores_ : list of float or None
        Validation score of each epoch (mean log-likelihood of a step by the
        network alone, in parts of long sequences), if there was validation, or a
        part was held out that ``max_epochs="auto"`` stops by.
    best_epoch_ : int
        Epoch whose weights were kept, from 1: the last one, or with early
        stopping, or where "auto" stops, the one with the lowest validation loss.
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
        The torch module.

    See Also
    --------
    RNNSeq2Seq : Writes a sequence for each sequence that it reads.

    Notes
    -----
    A step's loss is the negative log-likelihood of what came; features of a frame
    are taken to be independent given all frames before. The output layer's bias
    starts at the log of the symbols' frequencies in the training data. Ctrl-C during
    fit reaches the caller and leaves the weights of the last finished epoch (with
    early stopping: the best), ready to write; network and n-grams then count alike.

    The n-grams are those of the last call of ``fit``, also with `warm_start`: their
    weight is fitted again, to the same held-out part of the same `X`. Once it is known
    they are counted in all of `X`, held-out part included. Given ``X_val`` they are
    not counted in.

    Where embeddings are trained, an update changes only the vectors of the symbols
    that its batch reads. As the others have no momentum in between, a gradient of a
    vector has all of its effect at once: "adam" and "adamw" update vectors as with
    ``betas=(0, 0.999)``, "sgd" with the learning rate divided by ``1 - momentum``, and
    weight decay acts on vectors that are read. With tied embeddings, or a class of
    optimizers other than those named, every update changes all of them.

    References
    ----------
    Graves, "Generating sequences with recurrent neural networks",
    arXiv:1308.0850, 2013. Mikolov et al., "Recurrent neural network based
    language model", Interspeech 2010. Boulanger-Lewandowski, Bengio and Vincent,
    "Modeling temporal dependencies in high-dimensional sequences", ICML 2012
    (frames). Chen and Goodman, "An empirical study of smoothing techniques for
    language modeling", 1998 (n-grams). Jelinek and Mercer, "Interpolated estimation
    of Markov source parameters from sparse data", 1980 (held-out weights).

    Examples
    --------
    >>> from sklearn_rnn import RNNGenerator
    >>> text = "the cat sat on the mat. the dog sat on the log. " * 20
    >>> writer = RNNGenerator(hidden_size=32, random_state=0).fit(text)
    >>> writer.sample("the d", 10, temperature=0)
    'og sat on '
    >>> writer.next_symbols("the ", k=1)[0][0] in "cmdl"
    True
    >>> writer.bits_per_symbol("the cat sat on the log. ") < 1.5
    True
    """

    _task_type = GenerationTask
    _task: GenerationTask
    symbols_ = TaskAttribute("symbols")
    n_symbols_ = TaskAttribute("n_symbols")
    hidden_size_ = TaskAttribute("network_spec.hidden_size")
    ngram_order_ = TaskAttribute("ngram_order")
    ngram_weight_ = TaskAttribute("ngram_weight")
    _parameter_constraints: dict[str, Any] = {
        **RNNEstimator._parameter_constraints,
        "hidden_size": [COUNT, StrOptions({"auto"})],
        "embedding_dim": [COUNT],
        "tie_embeddings": ["boolean"],
        "softmax": [StrOptions({"full", "adaptive", "auto"})],
        "min_count": [COUNT],
        "max_symbols": [COUNT, None],
        "ngram_order": [COUNT, StrOptions({"auto"}), None],
        "bptt_steps": [COUNT, None],
        "dtype": [StrOptions(set(DTYPES))],
    }

    def __init__(
        self,
        cell: Literal["rnn", "rnn_relu", "lstm", "gru"] = "gru",
        hidden_size: int | Literal["auto"] = "auto",
        n_layers: int = 1,
        *,
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        weight_drop: float = 0.0,
        embedding_dim: int = 64,
        tie_embeddings: bool = False,
        softmax: Literal["full", "adaptive", "auto"] = "auto",
        min_count: int = 1,
        max_symbols: int | None = None,
        ngram_order: int | Literal["auto"] | None = "auto",
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        learning_rate: float = 4e-3,
        lr_schedule: Any = "cosine",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        clip_value: float | None = None,
        bptt_steps: int | None = 50,
        batch_size: int = 32,
        max_epochs: int | Literal["auto"] = "auto",
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
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
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_drop = weight_drop
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.softmax = softmax
        self.min_count = min_count
        self.max_symbols = max_symbols
        self.ngram_order = ngram_order
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.bptt_steps = bptt_steps
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
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

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
    ) -> Self:
        """Learn how sequences continue.

        Parameters
        ----------
        X : str, list of str, list of list, or list of arrays
            One text or several, sequences of symbols, or sequences of frames; see
            the class for all that is accepted.
        y : None
            Not used.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence. An integer weight w has the effect of w copies
            on losses, means, class weights and vocabularies; zero is as if the
            sequence were not there. Batch sizes, epochs and
            `validation_fraction` count each sequence once.
        X_val : like X, default=None
            Sequences to validate on after each epoch, instead of setting some
            of `X` aside.

        Returns
        -------
        RNNGenerator
            The fitted generator.

        Raises
        ------
        InvalidSequenceError
            If `X` cannot be read, or a sequence is empty.
        TypeError
            If symbols cannot be hashed, or `X` is a table.
        DivergenceError
            If the loss becomes NaN or infinite; the weights of the last
            finished epoch (with early stopping: the best) are kept.

        Warns
        -----
        TargetWarning
            If symbols are numbers that look like measurements, or like sequences padded
            with 0.
        """
        return fit(self, X, None, sample_weight, X_val)

    @shared
    def sample(
        self,
        prompt: Any = None,
        n_steps: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        sampling: Sampling | None = None,
        n: int | None = None,
        include_prompt: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> Any:
        """Write a continuation.

        Parameters
        ----------
        prompt : str, list of symbols or array of frames, default=None
            What to continue; None or an empty one begins a new sequence. Or a list of
            them: strings, lists or 1-D arrays of symbols, 2-D arrays of frames. After
            a fit on strings an empty list is one of no prompts, and so is the result.
        n_steps : int, default=200
            Most symbols, or frames, to write. Where several sequences of symbols
            were learned, their ends were, too, and a continuation may end before.
        temperature : float, default=1.0
            Divides the logits: below 1 the likely becomes likelier, above 1 the
            unlikely. 0 always takes the likeliest.
        top_k : int, default=None
            Draw only from this many of the likeliest symbols.
        top_p : float, default=None
            Draw only from the fewest likeliest symbols that have this
            probability together (nucleus sampling), after `top_k`.
        sampling : Sampling, default=None
            These three and further options in one object, instead of them: `min_p`,
            `typical_p`, `repetition_penalty`, `forbidden`, `forced`, `min_steps`.
        n : int, default=None
            How many continuations to write of each prompt; None writes one.
        include_prompt : bool, default=False
            Whether what is returned begins with the prompt.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; None draws otherwise each time.

        Returns
        -------
        str, list of symbols or array of shape (n_written, n_features)
            What was written, of the kind that fit was given, without the prompt unless
            `include_prompt` is set; with `n` a list of them. Of a list of prompts a
            list of all this.

        Raises
        ------
        TypeError
            If the prompt is not of the kind that fit was given.
        InvalidSequenceError
            If the prompt has symbols that fit has not seen, and no unknown symbol was
            learned (see `min_count`).
        ValueError
            If an option is outside its range, or does not go with frames; or if
            `sampling` is given beside one of the three options.

        Warns
        -----
        SklearnRNNWarning
            If symbols are forbidden that were never learned.

        Examples
        --------
        >>> from sklearn_rnn import RNNGenerator, Sampling
        >>> names = ["anna", "hanna", "nina", "ann"] * 25
        >>> writer = RNNGenerator(hidden_size=16, random_state=0).fit(names)
        >>> writer.sample(["an", "ni"], temperature=0, include_prompt=True)
        ['anna', 'nina']
        >>> rules = Sampling(min_steps=1, forbidden="h")
        >>> all(writer.sample(n=9, sampling=rules, random_state=0))
        True
        """
        n_rows = check_count(n, "n") if n is not None else 1
        writer = Writer(
            self._fitted(),
            _choose_sampling(sampling, temperature, top_k, top_p),
            check_count(n_steps, "n_steps"),
        )
        is_list = writer.corpus.are_prompts(prompt)
        prompts = list(prompt) if is_list else [prompt]
        if not prompts:
            return []
        past = writer.read(prompts).select(np.repeat(np.arange(len(prompts)), n_rows))
        rows: list[list[Any]] = [[] for _ in past.logits]
        for drawn, is_live in writer.draw(past, new_random_state(random_state)):
            for row in np.flatnonzero(is_live):
                rows[row].append(drawn[row])
        texts = [writer.corpus.decode(row) for row in rows]
        if include_prompt:
            pairs = zip(np.repeat(np.arange(len(prompts)), n_rows), texts, strict=True)
            texts = [writer.corpus.join(prompts[i], text) for i, text in pairs]
        if n is not None:
            texts = [texts[i : i + n_rows] for i in range(0, len(texts), n_rows)]
        return texts if is_list else texts[0]

    @shared
    def stream(
        self,
        prompt: Any = None,
        n_steps: int | None = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        sampling: Sampling | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Iterator[Any]:
        """Write a continuation, and hand over each symbol as it comes.

        Parameters
        ----------
        prompt : str, list of symbols or array of frames, default=None
            As for ``sample``, but one alone. It is not handed over.
        n_steps : int, default=None
            Most symbols to write; None continues until a sequence ends, if ends
            were learned, and else for ever.
        temperature, top_k, top_p : float or int
            As for ``sample``.
        sampling : Sampling, default=None
            As for ``sample``.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; the same as in ``sample`` writes the same.

        Returns
        -------
        iterator
            Of characters, symbols or frames, each written when it is asked for.

        Raises
        ------
        TypeError, ValueError
            As ``sample`` does, when called.
        """
        if n_steps is not None:
            n_steps = check_count(n_steps, "n_steps")
        sampling = _choose_sampling(sampling, temperature, top_k, top_p)
        writer = Writer(self._fitted(), sampling, n_steps)
        written = writer.draw(writer.read([prompt]), new_random_state(random_state))
        return (writer.corpus.decode([drawn[0]])[0] for drawn, _ in written)

    @shared
    def best_continuations(
        self,
        prompt: Any = None,
        n_steps: int = 20,
        n: int = 5,
        *,
        beam_width: int = 10,
        sampling: Sampling | None = None,
    ) -> list[Any]:
        """Search for the likeliest continuations, by a beam search.

        Parameters
        ----------
        prompt : str or list of symbols, default=None
            As for ``sample``; a list of prompts, too.
        n_steps : int, default=20
            Most symbols to write. Shorter continuations are those that end, where ends
            were learned.
        n : int, default=5
            How many to return of each prompt.
        beam_width : int, default=10
            Beginnings that are followed at a time; at least `n` of them.
        sampling : Sampling, default=None
            Its rules alone: `forbidden`, `forced` and `min_steps`.

        Returns
        -------
        list of tuple of (str or list, float)
            Continuations without the prompt, all different, and their log-probabilities
            (natural logarithm, of the end too where one was written), the likeliest
            first; fewer than `n` where no more can be written. Of a list of prompts a
            list of such lists. A search may miss likelier ones; a wider beam misses
            fewer.

        Raises
        ------
        TypeError, ValueError
            As ``sample`` does; also for frames, and for options that draw.

        Examples
        --------
        >>> from sklearn_rnn import RNNGenerator, Sampling
        >>> names = ["anna", "hanna", "nina", "ann"] * 25
        >>> writer = RNNGenerator(hidden_size=16, random_state=0).fit(names)
        >>> sorted(name for name, _ in writer.best_continuations(n_steps=9, n=4))
        ['ann', 'anna', 'hanna', 'nina']
        >>> rules = Sampling(forbidden="h", forced={0: "n"})
        >>> [name for name, _ in writer.best_continuations(n=1, sampling=rules)]
        ['nina']
        """
        n, beam_width = check_count(n, "n"), check_count(beam_width, "beam_width")
        n_steps = check_count(n_steps, "n_steps")
        writer = Writer(self._fitted(), sampling or Sampling(), n_steps)
        writer.check_search()
        is_list = writer.corpus.are_prompts(prompt)
        prompts = list(prompt) if is_list else [prompt]
        if not prompts:
            return []
        past = writer.read(prompts)
        found = [
            [(writer.corpus.decode(h.symbols), h.log_probability) for h in best]
            for best in writer.search(past, n, beam_width)
        ]
        return found if is_list else found[0]

    @shared
    def next_symbols(self, prompt: Any = None, k: int = 5) -> list[tuple[Any, float]]:
        """List the likeliest continuations by one symbol.

        Parameters
        ----------
        prompt : str, list of symbols or array of frames, default=None
            What comes before; None or an empty one is the beginning.
        k : int, default=5
            Most symbols to list.

        Returns
        -------
        list of tuple of (object, float)
            Symbols and their probabilities, the likeliest first. They may sum to
            less than 1, where the sequence may end or an unknown symbol may
            come. Of frames: the features that are likeliest to be 1, each with
            its own probability.
        """
        k = check_count(k, "k")
        writer = Writer(self._fitted(), Sampling(), n_steps=1)
        logits = torch.from_numpy(writer.read([prompt]).logits).double()
        if self._task.corpus.of_frames:
            probabilities = torch.sigmoid(logits[0]).numpy()
            return [
                (int(i), float(probabilities[i])) for i in _largest(probabilities, k)
            ]
        probabilities = logits[0].softmax(dim=0).numpy()
        symbols = self._task.corpus.vocabulary.symbols
        first = len(probabilities) - len(symbols)
        order = _largest(probabilities[first:], k)
        return [(symbols[i], float(probabilities[first + i])) for i in order]

    @shared
    def score_samples(self, X: Any) -> np.ndarray:
        """Compute the log-likelihood of each sequence.

        Parameters
        ----------
        X : like the X of fit
            The sequences. All symbols that fit has not seen count as one unknown
            symbol, see ``score``.

        Returns
        -------
        ndarray of shape (n_sequences,)
            Summed over the steps of a sequence, its end among them where ends
            were learned; natural logarithm. Longer sequences are less likely: to find
            anomalies, compare the mean of a sequence's steps.

        Examples
        --------
        What is unusual has a low mean log-likelihood per symbol:

        >>> import numpy as np
        >>> from sklearn_rnn import RNNGenerator
        >>> names = ["anna", "hanna", "nina", "ann"] * 25
        >>> model = RNNGenerator(hidden_size=16, random_state=0).fit(names)
        >>> unseen = ["hannah", "inna", "nnnhhh"]
        >>> per_symbol = np.array([steps.mean() for steps in model.score_steps(unseen)])
        >>> unseen[per_symbol.argmin()]
        'nnnhhh'
        """
        return np.array([steps.sum() for steps in self.score_steps(X)])

    @shared
    def score_steps(self, X: Any) -> np.ndarray:
        """Compute the log-likelihood of each step: how expected it was.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i,), with its end one longer where
            ends were learned; natural logarithm. Divided by ``-log(2)`` it is
            the surprise of a symbol in bits.
        """
        steps, lengths = self._likelihoods(X)
        return split_steps(steps, lengths, as_array=False)

    @shared
    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean log-likelihood of a symbol, or frame.

        Parameters
        ----------
        X : like the X of fit
            The sequences. All symbols that fit has not seen count as one unknown
            symbol. Its probability comes from how often rare symbols were learned as
            unknown (`min_count`, `max_symbols`); if none were, from the n-grams, by
            how often symbols were new when they came. Scores are comparable among
            models with the same symbols.
        y : None
            Not used.

        Returns
        -------
        float
            Natural logarithm; the higher the better.
        """
        return float(self._likelihoods(X)[0].mean())

    @shared
    def perplexity(self, X: Any) -> float:
        """Compute how many equally likely symbols there seem to be to choose from.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        float
            ``exp(-score(X))``; the lower the better, 1 at best. Where many symbols are
            unknown it is low because they are one: see ``score``.
        """
        with np.errstate(over="ignore"):
            return float(np.exp(-self.score(X)))

    @shared
    def bits_per_symbol(self, X: Any) -> float:
        """Compute the mean information of a symbol, or frame.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        float
            ``-score(X) / log(2)``, bits: to how much `X` could be compressed.
        """
        return -self.score(X) / float(np.log(2))

    @shared
    def hidden_states(self, X: Any) -> np.ndarray:
        """Compute the last layer's hidden state after every step.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of object, of shape (n_sequences,)
            Of each sequence an array (length_i, hidden_size), float64.
        """
        check_is_fitted(self)
        read = self._task.corpus.encode_all(X)
        if self._task.corpus.has_ends:
            read = read.over(read.starts, read.lengths - 1)
        network, device = self.module_, self.net_.device
        with computing(self.n_threads, self.net_):
            states = step_outputs(network, read, device, lambda h: h.transpose(0, 1))
        states = states.cpu().numpy().astype(np.float64)
        check_outputs(self, states, read.lengths)
        # The first state is that after the begin.
        states = split_steps(states, read.lengths, as_array=False)
        for i, of_one in enumerate(states):
            states[i] = of_one[1:]
        return states

    def _likelihoods(self, X):
        """Return the log-likelihood of all steps in a row, and the lengths."""
        check_is_fitted(self)
        of_frames = self._task.corpus.of_frames
        data = NextStepDataset(self._task.corpus.encode_all(X), of_frames=of_frames)
        network, criterion = self.module_, self.net_.criterion_
        with computing(self.n_threads, self.net_):
            steps = self._task.score_steps(network, criterion, data, self.net_.device)
        check_outputs(self, steps, data.lengths)
        return steps, data.lengths

    def _fitted(self):
        check_is_fitted(self)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _choose_sampling(sampling, temperature, top_k, top_p):
    """Return how to draw, by one object or by the options that have a name each."""
    given = Sampling(temperature, top_k, top_p)
    if sampling is None:
        return given
    if not isinstance(sampling, Sampling):
        raise TypeError(
            f"sampling={sampling!r} must be a Sampling, such as "
            "Sampling(temperature=0.7, min_p=0.05)."
        )
    if given.changed():
        raise ValueError(
            f"{' and '.join(given.changed())} and sampling are both given: set all "
            "options in the Sampling."
        )
    return sampling


def _largest(values, k):
    """Return the indices of the `k` largest, the largest first."""
    return np.argsort(-values, kind="stable")[:k]
