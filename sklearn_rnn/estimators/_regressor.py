"""RNNRegressor: a sequence becomes numbers."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn.estimators._base import (
    SequenceEstimator,
    TaskAttribute,
    compute_outputs,
    exclusive,
    predict,
    shared,
)
from sklearn_rnn.estimators._decoding import quantile_decoder, sample_decoder
from sklearn_rnn.estimators._fit import TRAINING_PARAMS, fit
from sklearn_rnn.estimators.closed_form import ELEMENTWISE_LOSSES
from sklearn_rnn.estimators.tasks import RegressionTask, score_steps
from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import POOLINGS
from sklearn_rnn.sequences import COUNT, SequencesLike, check_weights, plain_arrays
from sklearn_rnn.training import LIKELIHOODS


class RNNRegressor(RegressorMixin, SequenceEstimator):
    """A recurrent network that reads a sequence and predicts numbers.

    One prediction per sequence, or with ``return_sequences=True`` one per step.

    `X` is a 3-D array (n_sequences, n_timesteps, n_features), a list or object
    array of (length_i, n_features) arrays, a `SequenceArray`, or, for one
    feature per step, a 2-D array (n_sequences, n_timesteps). Sequences may differ
    in length; steps that are NaN in every feature at either end are padding.

    Parameters
    ----------
    cell : {"auto", "rnn", "rnn_relu", "lstm", "gru"}, default="auto"
        Recurrent cell: plain RNN with tanh or ReLU, LSTM or GRU. "auto" is "gru", or
        "rnn" if that, with windows in their own units, predicts held-out folds better:
        for forecasts from 40 to 2999 sequences with a linear part (`linear_skip`),
        where `scale_windows` and `subtract_last` allow such units, and no validation
        data are given or held out.
    hidden_size : int or "auto", default="auto"
        Units of each layer and direction. "auto" is 64, or 128 for the plain RNN that
        ``cell="auto"`` may choose.
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
    return_sequences : bool, default=False
        Whether to predict at every step, from the steps up to it (or, if
        bidirectional, from all), instead of once a sequence; there is no
        pooling then.
    pooling : {"last", "mean", "max", "attention"}, default="last"
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
    target_feature : int, str, list of these, "auto" or None, default="auto"
        The input feature that holds the target's own past, one or one per
        output. The network then predicts the change from ``a + b * last``, the
        last value of that feature with a and b by least squares, so that an
        untrained network is already the naive forecast; the linear part reads
        windows relative to their last value and mean. Forecasts want it. "auto"
        finds it by the names of y's columns, as `make_forecast_frame` makes
        them, or, if y has no names and X a single feature, where its values
        come close to the targets; otherwise there is none.
    season : int, default=None
        Steps per season, such as 7 for days of a week: a forecast then starts from
        the value that `target_feature` had a season before the time that is
        forecast (the same weekday last week), instead of the last value. How many
        steps ahead each target is follows from the names of y's columns, as
        `make_forecast_frame` makes them; without such names, outputs are 1, 2, ...
        steps ahead. Sequences too short for it start from their last value. None:
        the last value. The linear part compares both by itself.
    subtract_last : bool or "auto", default="auto"
        Whether nothing in the network depends on the level of
        `target_feature`: it reads it as differences from its last value in the
        sequence, and predicts the change from there (b is 1). For trends,
        which lead to levels that training never saw. "auto" does so where
        targets differ from the last value by less than 0.3 of their standard
        deviation, so that standardised levels would hide such changes.
    scale_windows : bool or "auto", default="auto"
        Whether the past of the targets is measured in units of its standard
        deviation within each window, forecasts and errors in the same, so that
        series of different size count alike. The network then reads
        differences from the last value. Needs `target_feature`. "auto" does so
        where the mean sizes of windows differ by more than a factor of 30 and
        the linear part predicts windows of all sizes better for it; and, for the
        network alone, with 40 to 2999 sequences, if a network with such windows
        predicts held-out folds better (see `cell`). Without a linear part never.
    linear_skip : bool or "auto", default="auto"
        Whether ridge regressions on the window are averaged with the network
        (an autoregressive component). Their penalties and weights are chosen by
        cross-validation, in blocks of time for windows over series, and so is
        the network's weight for each output (`network_weight_`), which is pulled
        towards 0.3, the more the fewer sequences there are. To compare them, three
        more networks are trained, each without a third of the data, and up to 2999
        sequences three more, to choose between two networks (see `cell`); from 10,000
        sequences on none, and the network itself is trained without the last tenth;
        with `X_val` or `early_stopping` none, and the weight is chosen on what is
        held out. Below 40 sequences the network has no weight. Up to 2999 sequences
        with `target_feature`, if all targets and their past are positive, and windows
        are not scaled, some of the regressions see the logarithms of both: forecasts
        scale with the series, but change if a constant is added to it. With
        `warm_start`, weights stay those of the first fit. "auto" leaves the
        linear part out where every step has a target, with tokens, in
        `partial_fit`, with more than 1024 features, and below 8 sequences, or
        40 without `target_feature`.
    missing_targets : {"auto", "raise", "ignore"}, default="auto"
        What NaN in `y` means: an error, or a target that is not known. The
        loss and the score are then of those that are. "auto" ignores them in the
        targets of ``make_forecast_frame(missing="mask")``, and raises an error
        for any others. With `return_sequences` NaN always is a step without a
        target.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "gaussian", \
"student_t", "poisson", "negative_binomial"} or callable, default="squared_error"
        What training minimises; "huber" is linear from one standard deviation
        of the target on, and "quantile" is the pinball loss, averaged over
        `quantiles`. The last four are negative log-likelihoods of a distribution
        whose parameters are predicted for each target: `predict` returns its mean,
        `predict_quantiles` its quantiles, `sample` draws from it. "poisson" and
        "negative_binomial" are for counts, whole numbers from 0, "student_t" is for
        outliers. A callable takes two tensors of one shape, outputs and targets, and
        returns a tensor of that shape, the loss of each: (n, n_outputs), or (n_values,)
        where targets may be missing, with `return_sequences`, and where the linear
        part is weighed. It receives standardised residuals from a baseline forecast,
        not the targets: use losses of ``outputs - targets`` alone, not those that
        need positive values or percentages. The estimator can be pickled if the
        callable can: a function of a module, not a lambda.
    quantiles : sequence of float, default=(0.1, 0.5, 0.9)
        Which quantiles to predict, increasing. With ``loss="quantile"``
        `predict_quantiles` returns them all, `predict` the median (between
        the two quantiles around it, if it is not among them). With a likelihood those
        that `predict_quantiles` returns if it is not given others.
    bounds : tuple of (float or None, float or None), default=None
        What no target is below, and above, in the units of the targets, such as
        ``(0, None)``: predictions, quantiles and samples outside are set to the bound,
        and targets outside are an error. None: no bounds.
    target_weight : array-like of shape (n_outputs,), default=None
        Weight of each target, or step ahead, in the loss of the network, from 0. Only
        their ratios count; each target's linear part (`linear_skip`) is fitted
        to it alone. None: all are alike.
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
        times as many; in at least 5 epochs. Forecasts from 8192 and more windows make
        5000 updates, in at most 20 epochs.
    shuffle : bool, default=True
        Whether to draw a new order for every epoch.
    early_stopping : bool, default=False
        Whether to set training sequences aside, stop when their loss no
        longer falls, and go back to the weights with the lowest one.
    validation_fraction : float, default=0.1
        Fraction of the sequences set aside when `early_stopping` is on and no
        ``X_val`` is given: the last block of a series cut into windows, less
        the training windows that overlap it; else a random choice.
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
    n_features_in_ : int
        Features a step; columns, if fitted on a 2-D array.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` had any.
    target_names_ : ndarray of str
        Names of y's columns, if it had any.
    linear_ : LinearPart or None
        The linear part: ``coef_`` of shape (n_outputs, n_lags, n_features), the
        ``member_weights_`` of the regressions in it, and ``anchor_lags_``, the
        lag that comes closest to each target (a season ago, or the last step).
    network_weight_ : ndarray of shape (n_outputs,)
        Weight of the network's forecast in the average with the linear part,
        from 0 to 1; ones without a linear part.
    validation_errors_ : DataFrame of shape (n_outputs, 4) or None
        Errors on sequences that neither part was fitted to: of the naive forecast
        (the value at the anchor, or the mean), the linear part, the network, and
        both combined. The weight, and up to 2999 sequences cell and units, were
        chosen on these sequences: errors on others will be larger. In units of the
        targets: the root of the mean square ("squared_error"), the mean absolute error
        ("absolute_error") or the pinball loss, averaged over the quantiles
        ("quantile"); "huber" in squared units. If windows are scaled
        (`scale_windows`), the unit is the standard deviation of the target's past in
        each window instead: 0.2 is a fifth of it. Of likelihoods the mean negative
        logarithm, in nats, which may be negative; of a callable its mean, of targets
        divided by their standard deviation.
    advice_ : str or None
        Where the network, or the whole, does not improve on the simpler
        forecast: which parameter to look at. Printed, if `verbose` is set.
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
        Validation score of each epoch (R²) of the network alone, if there was
        validation.
    best_epoch_ : int
        Epoch whose weights were kept, from 1: the last one, or with early
        stopping the one with the lowest validation loss.
    best_validation_score_ : float or None
        Validation score of that epoch.
    cell_ : {"rnn", "rnn_relu", "lstm", "gru"}
        The recurrent cell that `cell` or its "auto" chose.
    hidden_size_ : int
        Units of each layer and direction, as `hidden_size` or its "auto" chose.
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
    net_ : SequenceNet
        The skorch net.
    module_ : SequenceNetwork
        The torch module; ``module_.core.rnn.state_dict()`` loads into
        ``torch.nn.RNN``, ``LSTM`` or ``GRU``.

    See Also
    --------
    RNNClassifier : Predicts a class.
    RNNTagger : Predicts a class for every step.
    SequenceWindower : Cuts a time table into windows.
    make_forecast_frame : Makes the targets of a forecast.

    Notes
    -----
    Targets are brought to mean 0 and standard deviation 1 for training and
    back in predict. `hidden_states`, `attention_weights` and `input_gradients` are
    of the network alone, whatever its weight beside the linear part. Ctrl-C during
    fit reaches the caller and leaves the weights of the last finished epoch (with
    early stopping: the best), ready to predict, and the network without weight
    beside a linear part with which it was not compared yet. While networks are
    trained to choose between two (see `cell`), it leaves the estimator as it was.

    Where embeddings are trained, an update changes only the vectors of the tokens
    that its batch reads. As the others have no momentum in between, a gradient of a
    vector has all of its effect at once: "adam" and "adamw" update vectors as with
    ``betas=(0, 0.999)``, "sgd" with the learning rate divided by ``1 - momentum``, and
    weight decay acts on vectors that are read. With a class of optimizers other than
    those named, every update changes all of them.

    References
    ----------
    Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9,
    1997. Lai et al., "Modeling long- and short-term temporal patterns with deep
    neural networks", SIGIR 2018 (the linear part). Kim et al., "Reversible
    instance normalization", ICLR 2022 (`scale_windows`). Cho et al., "Learning
    phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP 2014 (GRU). Zeng
    et al., "Are transformers effective for time series forecasting?", AAAI 2023
    (`subtract_last`). Salinas et al., "DeepAR: probabilistic forecasting with
    autoregressive recurrent networks", International Journal of Forecasting 36, 2020
    (likelihoods).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 8))
    >>> y = X.mean(axis=1)
    >>> model = RNNRegressor(hidden_size=16, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True

    Columns of strings, or of the type `category`, hold categories:

    >>> import pandas as pd
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_rnn import SequenceWindower
    >>> days = pd.date_range("2024-01-01", periods=90, freq="D")
    >>> table = pd.DataFrame({"plan": ["none", "sale", "fair"] * 30}, index=days)
    >>> sold = table["plan"].map({"none": 1.0, "sale": 5.0, "fair": 2.0})
    >>> model = make_pipeline(SequenceWindower(7), RNNRegressor(random_state=0))
    >>> bool(model.fit(table, sold).score(table, sold) > 0.9)
    True
    >>> model[-1].categories_
    {0: array(['fair', 'none', 'sale'], dtype=object)}

    A loss of one's own, by which predictions that are too low cost three times as much:

    >>> import torch
    >>> def costly_below(outputs, targets):
    ...     error = targets - outputs
    ...     return torch.maximum(3 * error, -error)
    >>> y = X[:, -1] + rng.normal(size=100)
    >>> model = RNNRegressor(loss=costly_below, max_epochs=10, random_state=0)
    >>> bool((model.fit(X, y).predict(X) > y).mean() > 0.6)
    True
    """

    _task_type = RegressionTask
    _task: RegressionTask
    cell_ = TaskAttribute("network_spec.cell")
    hidden_size_ = TaskAttribute("network_spec.hidden_size")
    linear_ = TaskAttribute("linear.part")
    network_weight_ = TaskAttribute("linear.weight")
    validation_errors_ = TaskAttribute("linear.errors")
    advice_ = TaskAttribute("advice")
    target_names_ = TaskAttribute("numbers.names", is_optional=True)
    _parameter_constraints: dict[str, Any] = {
        **SequenceEstimator._parameter_constraints,
        "cell": [StrOptions({"auto", *CELLS})],
        "hidden_size": [COUNT, StrOptions({"auto"})],
        "return_sequences": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "target_feature": [Integral, str, "array-like", None],
        "season": [COUNT, None],
        "subtract_last": ["boolean", StrOptions({"auto"})],
        "scale_windows": ["boolean", StrOptions({"auto"})],
        "linear_skip": ["boolean", StrOptions({"auto"})],
        "missing_targets": [StrOptions({"auto", "raise", "ignore"})],
        "loss": [
            StrOptions({*ELEMENTWISE_LOSSES, *LIKELIHOODS, "quantile"}),
            callable,
        ],
        "quantiles": ["array-like", Real],
        "bounds": [tuple, list, None],
        "target_weight": ["array-like", None],
    }

    def __init__(
        self,
        cell: Literal["auto", "rnn", "rnn_relu", "lstm", "gru"] = "auto",
        hidden_size: int | Literal["auto"] = "auto",
        n_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.2,
        weight_drop: float = 0.0,
        return_sequences: bool = False,
        pooling: Literal["last", "mean", "max", "attention"] = "last",
        categorical_features: ArrayLike | str | None = "from_dtype",
        embedding_dim: int | None = None,
        token_dropout: float | Literal["auto"] = "auto",
        embeddings: Any = None,
        train_embeddings: bool = True,
        target_feature: int | str | Sequence[int | str] | None = "auto",
        season: int | None = None,
        subtract_last: bool | Literal["auto"] = "auto",
        scale_windows: bool | Literal["auto"] = "auto",
        linear_skip: bool | Literal["auto"] = "auto",
        missing_targets: Literal["auto", "raise", "ignore"] = "auto",
        loss: str | Callable = "squared_error",
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        bounds: tuple[float | None, float | None] | None = None,
        target_weight: ArrayLike | None = None,
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
        self.return_sequences = return_sequences
        self.pooling = pooling
        self.target_feature = target_feature
        self.season = season
        self.subtract_last = subtract_last
        self.scale_windows = scale_windows
        self.linear_skip = linear_skip
        self.missing_targets = missing_targets
        self.loss = loss
        self.quantiles = quantiles
        self.bounds = bounds
        self.target_weight = target_weight

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
        y : array-like of shape (n_sequences,) or (n_sequences, n_outputs)
            Targets. With `return_sequences`: array (n_sequences, n_timesteps)
            or (n_sequences, n_timesteps, n_outputs), or list of (length_i,)
            or (length_i, n_outputs) arrays; NaN where there is no target.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence. An integer weight w has the effect of w copies
            on losses, means, class weights and vocabularies; zero is as if the
            sequence were not there. Batch sizes, epochs and
            `validation_fraction` count each sequence once.
        X_val : like X, default=None
            Sequences to validate on after each epoch, instead of setting some
            of `X` aside.
        y_val : array-like, default=None
            Targets of `X_val`.

        Returns
        -------
        RNNRegressor
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
        TargetWarning
            If y holds -1 or -100 only at the ends of sequences, as padding does.
        """
        return fit(self, X, y, sample_weight, X_val, y_val)

    @exclusive
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: SequencesLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Make one pass over some more data.

        The first call fixes categories, and the scaling of inputs and targets. With
        ``linear_skip=True``, which needs at least 8 sequences in the first call, the
        linear part is fitted to all sequences so far that have all targets; penalties,
        weights of its members and quantiles of its errors stay those of the first call.
        The network's weight is chosen by each call's data before they are learned
        from, as soon as 40 sequences were compared. After `fit` the linear part stays
        as it is.

        Parameters
        ----------
        X : array-like of shape (n_sequences, n_timesteps, n_features), \
list of arrays or SequenceArray
            The sequences.
        y : array-like of shape (n_sequences,) or (n_sequences, n_outputs)
            Targets. With `return_sequences`: array (n_sequences, n_timesteps)
            or (n_sequences, n_timesteps, n_outputs), or list of (length_i,)
            or (length_i, n_outputs) arrays; NaN where there is no target.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence in the loss: 2 counts twice.

        Returns
        -------
        RNNRegressor
            Itself.

        Raises
        ------
        ValueError
            If `early_stopping` is on.
        """
        return fit(self, X, y, sample_weight, is_stream=True)

    @shared
    def predict(self, X: SequencesLike) -> np.ndarray:
        """Predict the targets of each sequence.

        Parameters
        ----------
        X : like the X of fit
            The sequences; their lengths may differ from those of fit.

        Returns
        -------
        ndarray of shape (n_sequences,) or (n_sequences, n_outputs)
            In the units and the shape of the targets of fit, float64. With
            `return_sequences`: (n_sequences, n_timesteps) or (n_sequences,
            n_timesteps, n_outputs), or, where lengths differ or fit was given
            a list, a 1-D object array of (length_i,) or (length_i, n_outputs)
            arrays.
        """
        return predict(self, X, self._task_type.decode)

    @shared
    def predict_linear(self, X: SequencesLike) -> np.ndarray:
        """Predict by the linear part alone: what `predict` adds is the network's.

        Parameters
        ----------
        X : like the X of fit
            The sequences; their lengths may differ from those of fit.

        Returns
        -------
        ndarray of shape (n_sequences,) or (n_sequences, n_outputs)
            In the units and the shape of the targets of fit, float64; with
            ``loss="quantile"`` the median.

        Raises
        ------
        ValueError
            If the model has no linear part.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import RNNRegressor
        >>> x = np.sin(np.arange(200) / 3)
        >>> X = np.lib.stride_tricks.sliding_window_view(x, 12)
        >>> X, y = X[:-1], x[12:]
        >>> model = RNNRegressor(random_state=0).fit(X, y)
        >>> bool(np.abs(model.predict_linear(X) - y).max() < 1e-3)
        True
        """
        check_is_fitted(self)
        if self.linear_ is None:
            raise ValueError(
                f"this {type(self).__name__} has no linear part: linear_skip='auto' "
                "leaves it out where every step has a target, with tokens, in "
                "partial_fit and for few sequences, and False always. Fit with "
                "linear_skip=True."
            )
        sequences, _ = self._task.parse_X(self, X)
        return self._task.decode(sequences, outputs=None)

    @shared
    def predict_quantiles(
        self, X: SequencesLike, quantiles: Sequence[float] | None = None
    ) -> np.ndarray:
        """Predict quantiles of the targets of each sequence.

        They never cross: each is at least the one before.

        Parameters
        ----------
        X : like the X of fit
            The sequences; their lengths may differ from those of fit.
        quantiles : sequence of float, default=None
            Which ones, increasing: any where the loss of fit is a likelihood, some of
            those of fit where it is "quantile". None: those of fit.

        Returns
        -------
        ndarray of shape (n_sequences, n_quantiles) or \
(n_sequences, n_outputs, n_quantiles)
            What `predict` returns, with one more axis: the `quantiles`. Of counts
            whole numbers.

        Raises
        ------
        ValueError
            If the loss of fit was neither "quantile" nor a likelihood, or
            `quantiles` has others than "quantile" was fitted to.

        References
        ----------
        Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978.
        Chernozhukov, Fernández-Val and Galichon, "Quantile and probability
        curves without crossing", Econometrica 78, 2010.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import RNNRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(300, 4))
        >>> y = X.sum(axis=1) + rng.normal(size=300)
        >>> model = RNNRegressor(loss="quantile", quantiles=(0.1, 0.5, 0.9))
        >>> low, middle, high = model.fit(X, y).predict_quantiles(X).T
        >>> bool(0.7 < np.mean((low <= y) & (y <= high)) < 0.9)
        True
        """
        check_is_fitted(self)
        return predict(self, X, quantile_decoder(self, quantiles))

    @shared
    def sample(
        self,
        X: SequencesLike,
        n_samples: int = 100,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw from the predicted distribution of the targets of each sequence.

        Targets of one sequence, such as the steps of a horizon, are drawn together:
        a sample is a path. How they vary together, given the forecast of each, is the
        correlation of their normal scores in training (a Gaussian copula), which is in
        sample: of what the model was fitted to. Where targets are missing, each pair
        is compared where both are known. Steps of a sequence (`return_sequences`) are
        drawn independently.

        Parameters
        ----------
        X : like the X of fit
            The sequences; their lengths may differ from those of fit.
        n_samples : int, default=100
            Number of samples of each sequence.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; None draws otherwise each time.

        Returns
        -------
        ndarray of shape (n_sequences, n_samples) or \
(n_sequences, n_outputs, n_samples)
            What `predict` returns, with one more axis. Of counts whole numbers.

        Raises
        ------
        ValueError
            If the loss of fit was not a likelihood.

        See Also
        --------
        RNNRegressor.predict_quantiles : Quantiles of each target alone.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_rnn import RNNRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(0, 2, size=(200, 5))
        >>> y = rng.poisson(X.sum(axis=1))
        >>> model = RNNRegressor(loss="poisson", random_state=0).fit(X, y)
        >>> draws = model.sample(X, n_samples=50, random_state=0)
        >>> draws.shape, bool((draws == draws.astype(int)).all())
        ((200, 50), True)
        """
        check_is_fitted(self)
        decode = sample_decoder(self, n_samples, random_state)
        return predict(self, X, decode)

    @shared
    def score(
        self, X: SequencesLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : like the X of fit
            The sequences.
        y : like the y of fit
            Their targets. Those of steps count alike. NaN does not count where
            it is allowed.
        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence.

        Returns
        -------
        float
            At most 1, averaged over outputs.
        """
        check_is_fitted(self)
        names = self._parameter_constraints.keys() - TRAINING_PARAMS
        params = {name: getattr(self, name) for name in names}
        task = self._task.continued(SimpleNamespace(**params))
        if not task.targets_may_be_missing:
            y = plain_arrays(y, estimator_name=type(self).__name__)
            if sample_weight is not None:
                sample_weight = check_weights(sample_weight, y)
            return super().score(X, y, sample_weight)
        samples = task.parse(self, X, y, sample_weight, reset=False, is_scored=True)
        outputs = compute_outputs(self, samples.sequences)
        predicted = task.decode(samples.sequences, outputs, like_y=False)
        true, weights = samples.all_targets(), samples.target_weights()
        return score_steps(r2_score, true, predicted, weights)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
