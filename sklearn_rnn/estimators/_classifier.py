"""RNNClassifier: a sequence becomes a label."""

import os
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions

from sklearn_rnn.estimators._base import (
    SequenceEstimator,
    TaskAttribute,
    check_partial_classes,
    exclusive,
    predict,
    shared,
)
from sklearn_rnn.estimators._fit import fit
from sklearn_rnn.estimators.tasks import (
    ClassificationTask,
    check_labels,
)
from sklearn_rnn.modules import POOLINGS
from sklearn_rnn.sequences import COUNT, SequencesLike, check_weights, plain_arrays


class RNNClassifier(ClassifierMixin, SequenceEstimator):
    """A recurrent network that reads a sequence and predicts its class.

    `X` is a 3-D array (n_sequences, n_timesteps, n_features), a list or object
    array of (length_i, n_features) arrays, a `SequenceArray`, or, for one
    feature per step, a 2-D array (n_sequences, n_timesteps). Sequences may differ
    in length; steps that are NaN in every feature at either end are padding.

    Parameters
    ----------
    cell : {"rnn", "rnn_relu", "lstm", "gru"}, default="gru"
        Recurrent cell: plain RNN with tanh or ReLU, LSTM or GRU.
    hidden_size : int, default=64
        Units of each layer and direction.
    n_layers : int, default=1
        Recurrent layers, each reading the states of the one below.
    bidirectional : bool, default=False
        Whether every layer also reads the sequence backwards.
    residual : bool, default=False
        Whether layers from the second on add their input to their output
        (skip connections), which keeps deep stacks trainable.
    layer_norm : bool, default=False
        Whether a layer's states are normalised over its units before the next
        layer, or the output layer, reads them.
    dropout : float, default=0.0
        Fraction of the units hidden in training, between layers and before the
        output layer, drawn for each sequence and hidden at all of its
        steps (locked or variational dropout).
    input_dropout : float, default=0.2
        The same for the input features, or the dimensions of embedded tokens.
        A hidden feature is 0 at every step, which is its mean after
        `standardize`; a single feature is never hidden.
    weight_drop : float, default=0.0
        Fraction of the recurrent weights set to zero in training, drawn for
        each batch.
    pooling : {"last", "mean", "max", "attention"}, default="max"
        How the hidden states of a sequence's steps become one vector: the
        state after the last step, their mean, their maximum, or a mean with
        learned weights.
    categorical_features : {"from_dtype"} or array-like of {bool, int, str}, or None, \
default="from_dtype"
        Features that hold categories, each read as a learned vector beside the numbers,
        of ``min(50, ceil(sqrt(n_categories)) + 1)`` values. "from_dtype": columns of
        strings or of the type `category` in the table that a `SequenceWindower`
        cuts, such as a shop or a kind of promotion. Else their names or positions, or
        a mask, which must include such columns; the others hold whole numbers from 0,
        in arrays and lists too. None: none. A missing value (a negative number) is a
        category of its own. A category that `fit` did not see counts as missing;
        `input_dropout` hides categories as missing, so that this is learned. Columns
        known in advance, such as "promotion+1", share the vectors of "promotion".
    convolutions : int, "auto" or None, default="auto"
        Features from fixed convolutions beside the network (the transform of
        MiniRocket), from which a ridge regression in closed form classifies as
        well; the prediction is from the sum of both logits. They see short
        patterns of many widths, and need few sequences. Made in multiples of
        84. "auto" makes 2016, but none for tokens, for windows that overlap, of
        which leave-one-out errors say little, or in `partial_fit`. Categorical
        features are left to the network. None leaves
        the network alone, as a `StatefulPredictor` needs it.
    bag_of_words : {"auto", True, False}, default="auto"
        Whether a logistic regression on counts of tokens and of neighbouring pairs
        (TF-IDF with sublinear counts) predicts beside a network that reads tokens;
        the prediction is from the weighted sum of both logits. It knows what a word
        says after few texts. "auto" means from 40 distinct sequences on, but not of
        windows that overlap, or in `partial_fit`. False leaves the network alone, as a
        `StatefulPredictor` needs it.
    embedding_dim : int, default=None
        Width of a learned vector for each token. Set it when `X` holds token
        ids, whole numbers from 0, one per step, as a `SequenceTokenizer` makes
        them. Ids above the largest one of fit count as unknown.
    token_dropout : float or "auto", default="auto"
        How often tokens are read as unknown in training, so that it is learned what
        unknown ones mean: a token that the training data show n times is hidden with
        probability ``token_dropout / (token_dropout + n)``, drawn for each batch.
        "auto" is 5, and in a first `partial_fit`, which cannot tell what is rare, 0.
    embeddings : array of shape (n_tokens, embedding_dim) or mapping, default=None
        Vectors that tokens start with, say such as were learned from much more
        text: a row for each id, or where `X` comes from a `SequenceTokenizer`
        a mapping from token to vector (a dict, gensim's ``KeyedVectors``).
        Tokens that it lacks start at random. `embedding_dim` may stay None.
    train_embeddings : bool, default=True
        Whether training changes the vectors. False keeps those of
        `embeddings` as they are; a token that has none there is 0.
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
        once an epoch; by skorch's ``LRScheduler``; or constant (None). Calls
        of partial_fit are constant.
    weight_decay : float, default=0.0
        Decay of the weight matrices by the optimizer; biases are spared.
        ``MLPClassifier`` has the penalty `alpha` instead.
    clip_norm : float, default=1.0
        Largest norm of the whole gradient; None does not clip it.
    clip_value : float, default=None
        Largest size of every single derivative; None does not clip it.
    bptt_steps : int, default=None
        Most steps that gradients flow back through (truncated backpropagation
        through time). Longer sequences are learned in chunks, the state
        carried over; memory is then that of a chunk. Chunks are counted from the
        end of a sequence that has one target, and from its start, with an
        update each, where every step has one. None has no bound. Not for a
        bidirectional network.
    batch_size : int or "auto", default="auto"
        Sequences per update, at most; sequences of like length go together.
        "auto" takes all up to 32 sequences at once, and of more about a
        sixteenth: 8, 16, 32 or 64.
    max_epochs : int or "auto", default="auto"
        Passes over the training data (`max_iter` in ``MLPClassifier``).
        "auto" aims at 200 updates up to 32 sequences, else at 600 and, above 64
        steps, at more with the root of the median length, to at most three
        times as many; in at least 5 epochs.
    shuffle : bool, default=True
        Whether to draw a new order for every epoch.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss; "balanced" weighs by the inverse of
        the class's frequency, in which sequences count with their weights.
    early_stopping : bool, default=False
        Whether to set training sequences aside, stop when their loss no
        longer falls, and go back to the weights with the lowest one.
    validation_fraction : float, default=0.1
        Fraction of the sequences set aside when `early_stopping` is on and no
        ``X_val`` is given: the last block of a series cut into windows, less
        the training windows that overlap it; else a random choice,
        stratified by class.
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
    dtype : {"auto", "float32", "float64", "mixed"}, default="auto"
        Precision of the network. "auto" is float64 up to 32 sequences, where
        `fit` treats a sample weight of two as two copies to rounding, else
        float32, as in `partial_fit`. "mixed" is meant for GPUs: it trains in
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
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted, without those that only sequences of weight 0 have.
    n_features_in_ : int
        Features a step; columns, if fitted on a 2-D array.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` had any.
    categories_ : dict of int to ndarray of object
        The categories of each categorical feature, by its position: those of the
        sequences trained on.
    is_categorical_ : ndarray of bool of shape (n_step_features,) or None
        Which features hold categories; None if none does.
    n_iter_ : int
        Epochs trained, over all calls since the weights were drawn.
    loss_curve_ : list of float
        Mean training loss of each epoch in `history_`.
    validation_scores_ : list of float or None
        Validation score of each epoch (accuracy), if there was validation.
    best_epoch_ : int
        Epoch whose weights were kept, from 1: the last one, or with early
        stopping the one with the lowest validation loss.
    best_validation_score_ : float or None
        Validation score of that epoch.
    batch_size_ : int
        Most sequences per update, as `batch_size` or its "auto" chose in the last
        call.
    n_parameters_ : int
        Trained numbers in the network.
    kernel_ : {"compiled", "torch"}
        What computes the recurrence on this machine.
    history_ : list of dict
        One an epoch: losses, validation score, seconds (``dur``); mean and
        largest norm of the gradient before clipping (``gradient_norm``,
        ``largest_gradient_norm``), fraction of updates clipped
        (``clipped_share``), and the last step size (``learning_rate``). All
        epochs of ``fit``, and of the calls of ``partial_fit`` since then the
        last 1000; ``epoch`` continues to count after records
        are dropped.
    convolutions_ : object or None
        The closed-form part, of the last `fit` that did not continue: among others
        ``left_out_score_``, its accuracy on training sequences by fits without
        them; ``left_out_loss_``, their cross-entropy; and ``network_weight_``, by
        which the network's logits are multiplied.
    bag_of_words_ : object or None
        The logistic regression on counts, of the last `fit` that did not continue:
        ``left_out_score_`` is its accuracy on training sequences by fits without
        them; ``left_out_loss_`` their cross-entropy, in nats; ``temperature_`` the
        factor of its logits; ``network_weight_`` that of the network's.
    net_ : SequenceNet
        The skorch net.
    module_ : SequenceNetwork
        The torch module; ``module_.core.rnn.state_dict()`` loads into
        ``torch.nn.RNN``, ``LSTM`` or ``GRU``.

    See Also
    --------
    RNNRegressor : Predicts numbers.

    Notes
    -----
    The loss is the cross-entropy. The output layer's bias starts at the log of
    the classes' shares in the training data. Ctrl-C during fit reaches the caller
    and leaves the weights of the last finished epoch (with early stopping:
    the best), ready to predict.

    The convolutions have their penalty and the scale of its logits from
    leave-one-out predictions. The less of the classes' entropy these leave open,
    the less the network's logits count, but at least a quarter. What is read off
    the network (``hidden_states``, ``input_gradients``, ``module_``) is without
    that part.

    With a bag of words the factors of both logits are those of the least
    cross-entropy of texts that neither part has seen: validation data if there are any;
    else of less than 1000 distinct sequences all, by three networks that are trained
    without a third each; else a tenth, which the network is not trained on (the bag
    of words, in the end, is).

    Where embeddings are trained, an update changes only the vectors of the tokens
    that its batch reads. As the others have no momentum in between, a gradient of a
    vector has all of its effect at once: "adam" and "adamw" update vectors as with
    ``betas=(0, 0.999)``, "sgd" with the learning rate divided by ``1 - momentum``, and
    weight decay acts on vectors that are read. With a class of optimizers other than
    those named, every update changes all of them.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9,
    1997. Cho et al., "Learning phrase representations using RNN
    encoder-decoder for statistical machine translation", EMNLP 2014 (GRU).
    Dempster, Schmidt and Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 1)) for n in rng.integers(5, 15, size=60)]
    >>> y = np.array(["up" if x.sum() > 0 else "down" for x in X])
    >>> model = RNNClassifier(pooling="last", random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> model.predict_proba(X).shape
    (60, 2)
    """

    _task_type = ClassificationTask
    _task: ClassificationTask
    classes_ = TaskAttribute("labels.classes")
    convolutions_ = TaskAttribute("convolutions")
    bag_of_words_ = TaskAttribute("bag_of_words")
    _parameter_constraints: dict[str, Any] = {
        **SequenceEstimator._parameter_constraints,
        "pooling": [StrOptions(set(POOLINGS))],
        "convolutions": [COUNT, StrOptions({"auto"}), None],
        "bag_of_words": ["boolean", StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        cell: Literal["rnn", "rnn_relu", "lstm", "gru"] = "gru",
        hidden_size: int = 64,
        n_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.2,
        weight_drop: float = 0.0,
        pooling: Literal["last", "mean", "max", "attention"] = "max",
        categorical_features: ArrayLike | str | None = "from_dtype",
        convolutions: int | Literal["auto"] | None = "auto",
        bag_of_words: Literal["auto"] | bool = "auto",
        embedding_dim: int | None = None,
        token_dropout: float | Literal["auto"] = "auto",
        embeddings: Any = None,
        train_embeddings: bool = True,
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        learning_rate: float = 4e-3,
        lr_schedule: Any = "cosine",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        clip_value: float | None = None,
        bptt_steps: int | None = None,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        shuffle: bool = True,
        class_weight: dict | Literal["balanced"] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        standardize: bool = True,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_seconds: float = 30.0,
        dtype: Literal["auto", "float32", "float64", "mixed"] = "auto",
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
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_drop = weight_drop
        self.categorical_features = categorical_features
        self.embedding_dim = embedding_dim
        self.token_dropout = token_dropout
        self.embeddings = embeddings
        self.train_embeddings = train_embeddings
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
        self.pooling = pooling
        self.convolutions = convolutions
        self.bag_of_words = bag_of_words
        self.class_weight = class_weight

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: SequencesLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: SequencesLike | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps, n_features), \
list of arrays or SequenceArray
            The sequences; see the class for all that is accepted.
        y : array-like of shape (n_sequences,)
            Class labels, of any type that can be sorted.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence. An integer weight w has the effect of w copies
            on losses, means, class weights and vocabularies; zero is as if the
            sequence were not there. Batch sizes, epochs and
            `validation_fraction` count each sequence once.
        X_val : like X, default=None
            Sequences to validate on after each epoch, instead of setting some
            of `X` aside.
        y_val : array-like, default=None
            Labels of `X_val`.

        Returns
        -------
        RNNClassifier
            The fitted estimator.

        Raises
        ------
        InvalidSequenceError
            If the data cannot be read as finite sequences.
        DivergenceError
            If the loss becomes NaN or infinite; the weights of the last
            finished epoch (with early stopping: the best) are kept.

        Warns
        -----
        SequenceLayoutWarning
            If steps and features of an array or a list of arrays look exchanged,
            as in the order (n_sequences, n_channels, n_timesteps). Or if X is a table
            or an array of one column whose rows look like the steps of one series.
        SklearnRNNWarning
            If hardly any category of a feature comes twice.
        """
        return fit(self, X, y, sample_weight, X_val, y_val)

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: SequencesLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over some more data.

        The first call fixes categories, and the scaling of the inputs. Convolutions
        and a bag of words stay as ``fit`` made them; without a call of it before, there
        are none.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps, n_features), \
list of arrays or SequenceArray
            The sequences.
        y : array-like of shape (n_sequences,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed in the first call unless
            `y` shows them all.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence in the loss: 2 counts twice.

        Returns
        -------
        RNNClassifier
            Itself.

        Raises
        ------
        ValueError
            If a label is not one of the classes, `early_stopping` is on, or
            `convolutions` is a number, or `bag_of_words` True, and the estimator not
            fitted.
        """
        classes = check_partial_classes(self, classes)
        may_be_none = self.convolutions in ("auto", None)
        if not (may_be_none or self.__sklearn_is_fitted__()):
            raise ValueError(
                f"convolutions={self.convolutions} needs all training data at once, "
                "and partial_fit sees a part: set convolutions='auto' or None, or call "
                "fit first."
            )
        if (
            self.bag_of_words not in ("auto", False)
            and not self.__sklearn_is_fitted__()
        ):
            raise ValueError(
                "bag_of_words=True needs all training data at once, and partial_fit "
                "sees a part: set bag_of_words='auto' or False, or call fit first."
            )
        return fit(self, X, y, sample_weight, is_stream=True, classes=classes)

    @shared
    def predict(self, X: SequencesLike) -> np.ndarray:
        """Predict the label of each sequence.

        Parameters
        ----------
        X : like the X of fit
            The sequences; their lengths may differ from those of fit.

        Returns
        -------
        ndarray of shape (n_sequences,)
            Labels, of the type of `classes_`.
        """
        return predict(self, X, self._task_type.decode)

    @shared
    def predict_proba(self, X: SequencesLike) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Columns in the order of `classes_`; rows sum to 1.
        """
        return predict(self, X, self._task_type.probabilities)

    @shared
    def predict_log_proba(self, X: SequencesLike) -> np.ndarray:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : like the X of fit
            The sequences.

        Returns
        -------
        ndarray of shape (n_sequences, n_classes)
            Columns in the order of `classes_`.
        """
        return predict(self, X, self._task_type.log_probabilities)

    def score(
        self, X: SequencesLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the fraction of sequences whose class is predicted right.

        Parameters
        ----------
        X : like the X of fit
            The sequences.
        y : like the y of fit
            Their classes.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence.

        Returns
        -------
        float
            Accuracy, in [0, 1].
        """
        y = check_labels(plain_arrays(y, estimator_name=type(self).__name__))
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, y)
        return super().score(X, y, sample_weight)
