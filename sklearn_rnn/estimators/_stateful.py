"""StatefulPredictor: a fitted model on a live signal, step by step."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_rnn._plain_state import damage_reported, describe_state, restore_state
from sklearn_rnn.estimators._base import (
    SequenceEstimator,
    exclusive_with_estimator,
)
from sklearn_rnn.estimators._decoding import quantile_decoder, sample_decoder
from sklearn_rnn.estimators._missing_steps import fill_steps, forecast_outputs
from sklearn_rnn.estimators._network import check_outputs, network_input
from sklearn_rnn.estimators._state import to_numpy, to_torch
from sklearn_rnn.estimators.tasks import RegressionTask
from sklearn_rnn.sequences import (
    SequenceArray,
    SequencesLike,
    Transforms,
    check_item,
    convert_input,
)
from sklearn_rnn.training import computing, run_to_ends, to_batch


def _model_has(method):
    return lambda self: hasattr(self.estimator, method)


class StatefulPredictor:
    """Predict from a signal as it comes, remembering what came before.

    Each call hands over the newest steps alone; the network continues from
    the state in which the last call left it. What comes out is what the estimator
    would predict from everything handed over so far, at the cost of the new
    steps.

    Parameters
    ----------
    estimator : RNNRegressor, RNNClassifier or RNNTagger
        Fitted, and not bidirectional; a classifier with ``convolutions=None``, or
        ``bag_of_words=False`` if it reads tokens; a regressor without `subtract_last`,
        which "auto" may have chosen. Before as many steps have come as its linear part
        reads, the first one counts as repeated, as in ``predict``.
    missing : {"last", "forecast"}, default=None
        What takes the place of NaN in new steps, so that the signal continues: the last
        value of that feature in that stream; or, where the estimator forecasts the
        feature one step ahead (`target_feature`, and names of y such as "temp+1"; of
        ``return_sequences=True`` the first output of a feature counts as that), what it
        forecast, and else the last value. None: NaN is an error.

    Attributes
    ----------
    n_steps_ : ndarray of int of shape (n_streams,) or None
        Steps that each stream has handed over; None before the first.

    Raises
    ------
    TypeError
        If the estimator is none of these.
    ValueError
        If it is bidirectional: the backward direction starts at the last step,
        which a live signal does not have. If it has convolutions beside its
        network, or a bag of words: these read whole sequences. If `missing` is
        "forecast", and it forecasts none of its inputs one step ahead.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    RNNRegressor : With ``return_sequences=True``, predicts at every step.

    Notes
    -----
    Every call has at least one new step of every stream; streams that come at
    times of their own want a predictor each. After more training with
    ``partial_fit`` the state is still that of the weights before: `reset`.
    Pickled between two calls, a predictor continues where it was. Networks read time
    by the order of steps: a step that is left out makes its neighbours adjacent, and
    one of NaN, with `missing`, keeps their distance.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import RNNRegressor, StatefulPredictor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(50, 20, 2))
    >>> model = RNNRegressor(max_epochs=5, random_state=0).fit(X, X.mean(axis=(1, 2)))
    >>> live = StatefulPredictor(model)
    >>> for step in X[0]:
    ...     prediction = live.predict(step)
    >>> np.allclose(prediction, model.predict(X[:1]), atol=1e-6)
    True
    """

    def __init__(
        self, estimator: Any, *, missing: Literal["last", "forecast"] | None = None
    ) -> None:
        if isinstance(estimator, Pipeline):
            raise TypeError(
                "StatefulPredictor takes the network's estimator alone. After a "
                "SequenceWindower, call pipeline.predict on the last rows instead: the "
                "network has learned windows, and begins each one again. Otherwise "
                "give pipeline[-1], and steps as pipeline[:-1].transform makes them."
            )
        if not isinstance(estimator, SequenceEstimator):
            raise TypeError(
                "StatefulPredictor takes a fitted RNNRegressor, RNNClassifier or "
                f"RNNTagger, got {type(estimator).__name__}."
            )
        check_is_fitted(estimator)
        check_causal(estimator)
        if missing not in ("last", "forecast", None):
            raise ValueError(
                f"missing must be 'last', 'forecast' or None, got {missing!r}."
            )
        if missing == "forecast":
            forecast_outputs(estimator)  # which raises an error if there are none
        self.estimator, self.missing = estimator, missing
        self.reset()

    @exclusive_with_estimator
    def reset(self) -> Self:
        """Forget everything: the next call starts new streams, of any number.

        Returns
        -------
        StatefulPredictor
            Itself.
        """
        self.n_steps_ = None
        self._network: Any = None
        self._state = None
        self._summary = None
        self._recent: Any = None
        self._last: Any = None  # of each stream the newest step, if `missing` needs it
        self._forecasts: dict[int, np.ndarray] = {}  # of the next step, by feature
        return self

    @exclusive_with_estimator
    def __getstate__(self):
        # The network goes with the estimator, which knows how to save it.
        return describe_state(
            {
                "estimator": self.estimator,
                "n_steps_": self.n_steps_,
                "carried": to_numpy((self._state, self._summary)),
                "recent": self._recent,
                "missing": self.missing,
                "last": self._last,
                "forecasts": self._forecasts,
                "is_up_to_date": self._network is self.estimator.module_,
            }
        )

    def __setstate__(self, kept):
        name = type(self).__name__
        kept = restore_state(kept, name)
        with damage_reported(name):
            self._continue_from(kept)

    def _continue_from(self, kept):
        self.estimator, self.n_steps_ = kept["estimator"], kept["n_steps_"]
        self._network = self.estimator.module_ if kept["is_up_to_date"] else None
        device = self.estimator.net_.device
        self._state, self._summary = to_torch(kept["carried"], device)
        self._recent = kept.get("recent")
        # Predictors pickled by version 0.6 have none of these.
        self.missing, self._last = kept.get("missing"), kept.get("last")
        self._forecasts = kept.get("forecasts", {})

    @exclusive_with_estimator
    def predict(self, X: SequencesLike | ArrayLike) -> np.ndarray:
        """Hand over the newest steps, and predict.

        Parameters
        ----------
        X : like the X of fit, array of shape (n_features,), or DataFrame
            New steps of each stream, in the order of the first call. A 1-D
            array or Series is one step of a single stream; a frame, or an
            array (n_steps, n_features) of more than one feature, some steps
            of it.

        Returns
        -------
        ndarray
            What the estimator's ``predict`` returns: the prediction from all
            steps so far, or, where it predicts at every step, those of the
            new steps, as an array (n_streams, n_new_steps, ...) if all streams have
            as many.

        Raises
        ------
        ValueError
            If the number of streams is not that of the first call, or, in that
            call, an array of one column may be steps or streams. If a value is NaN,
            and `missing` is None or does not know what to put there.
        """
        return self._predict(X, lambda task, *outputs: task.decode(*outputs))

    @available_if(_model_has("predict_quantiles"))
    @exclusive_with_estimator
    def predict_quantiles(
        self, X: SequencesLike | ArrayLike, quantiles: Sequence[float] | None = None
    ) -> np.ndarray:
        """Hand over the newest steps, and predict quantiles.

        Parameters
        ----------
        X : like the X of fit, or array of shape (n_features,)
            As for ``predict``, instead of which it is called.
        quantiles : sequence of float, default=None
            Which ones, as for the estimator's ``predict_quantiles``.

        Returns
        -------
        ndarray
            What the estimator's ``predict_quantiles`` returns; of steps as ``predict``.
        """
        return self._predict(X, quantile_decoder(self.estimator, quantiles))

    @available_if(_model_has("sample"))
    @exclusive_with_estimator
    def sample(
        self,
        X: SequencesLike | ArrayLike,
        n_samples: int = 100,
        random_state: int | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Hand over the newest steps, and draw from the predicted distribution.

        Parameters
        ----------
        X : like the X of fit, or array of shape (n_features,)
            As for ``predict``, instead of which it is called.
        n_samples : int, default=100
            Number of samples of each stream.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws; None draws otherwise each time.

        Returns
        -------
        ndarray
            What the estimator's ``sample`` returns; of steps as ``predict``.
        """
        return self._predict(X, sample_decoder(self.estimator, n_samples, random_state))

    @available_if(_model_has("predict_proba"))
    @exclusive_with_estimator
    def predict_proba(self, X: SequencesLike | ArrayLike) -> np.ndarray:
        """Hand over the newest steps, and predict probabilities.

        Parameters
        ----------
        X : like the X of fit, or array of shape (n_features,)
            As for ``predict``, instead of which it is called.

        Returns
        -------
        ndarray
            What the estimator's ``predict_proba`` returns; of steps as ``predict``.
        """
        return self._predict(X, lambda task, *outputs: task.probabilities(*outputs))

    @available_if(_model_has("predict_log_proba"))
    @exclusive_with_estimator
    def predict_log_proba(self, X: SequencesLike | ArrayLike) -> np.ndarray:
        """Hand over the newest steps, and predict logarithms of probabilities.

        Parameters
        ----------
        X : like the X of fit, or array of shape (n_features,)
            As for ``predict``, instead of which it is called.

        Returns
        -------
        ndarray
            What the estimator's ``predict_log_proba`` returns; of steps as ``predict``.
        """
        return self._predict(X, lambda task, *outputs: task.log_probabilities(*outputs))

    def __repr__(self):
        return f"StatefulPredictor({self.estimator!r})"

    def _predict(self, X, decode):
        """Read new steps, and return what `decode` makes of their outputs."""
        task = self.estimator._task
        sequences, outputs = self._advance(X)
        if self.missing == "forecast":
            self._keep_forecasts(sequences, outputs)
        found = decode(task, sequences, outputs)
        if task.per_step and found.ndim == 1 and len({len(own) for own in found}) == 1:
            return np.stack(list(found))
        return found

    def _keep_forecasts(self, sequences, outputs):
        """Keep what is forecast for the next step of features, stream by stream."""
        task = self.estimator._task
        points = task.decode(sequences, outputs, like_y=False)
        if task.per_step:
            points = points[np.cumsum(sequences.lengths) - 1]
        found = forecast_outputs(self.estimator)
        self._forecasts = {feature: points[:, i] for feature, i in found.items()}

    def _advance(self, X):
        """Read new steps; return them, and the network's outputs for them."""
        estimator = self.estimator
        X = convert_input(X, estimator_name=type(estimator).__name__)
        if self.n_steps_ is None:
            _check_not_one_stream(X, estimator)
        X = _as_sequences(X, estimator)
        X = fill_steps(X, self._last, self._forecasts, self.missing)
        sequences, _ = estimator._task.parse_X(estimator, X)
        if self.n_steps_ is not None and len(self.n_steps_) != len(sequences):
            raise ValueError(
                f"X has {len(sequences)} streams, but the first call had "
                f"{len(self.n_steps_)}: hand over new steps of all of them, in the "
                "same order, or reset()."
            )
        if self._state is not None and self._network is not estimator.module_:
            raise ValueError(
                f"the {type(estimator).__name__} was fitted again since the last call, "
                "and the state is of another network: reset()."
            )
        check_causal(estimator)
        sequences = network_input(estimator, sequences)
        self._network = estimator.module_
        with computing(estimator.n_threads, estimator.net_):
            outputs = self._run(sequences)
        outputs = outputs.cpu().numpy().astype(np.float64)
        check_outputs(estimator, outputs, sequences.lengths)
        before = 0 if self.n_steps_ is None else self.n_steps_
        self.n_steps_ = before + sequences.lengths
        if self.missing is not None:
            self._last = [np.asarray(own)[-1].reshape(-1) for own in X]
        return self._with_recent(sequences), outputs

    def _with_recent(self, sequences):
        """Put the last steps that the linear part reads in front of new ones."""
        linear = getattr(self.estimator, "linear_", None)
        if linear is None:
            return sequences
        steps = [sequences[i] for i in range(len(sequences))]
        if self._recent is not None:
            pairs = zip(self._recent, steps, strict=True)
            steps = [np.concatenate(pair) for pair in pairs]
        self._recent = steps = [own[-linear.n_lags_ :] for own in steps]
        lengths = np.array([len(own) for own in steps])
        starts = np.cumsum(lengths) - lengths
        # As they are read: what scaled them is applied already.
        return SequenceArray(
            np.concatenate(steps),
            starts,
            lengths,
            feature_names=sequences.feature_names,
            transforms=Transforms(categories=sequences.categories),
        )

    @torch.inference_mode()
    def _run(self, sequences):
        network = self._network
        everyone = np.arange(len(sequences))
        batch = to_batch(sequences, everyone, self.estimator.net_.device)
        lengths = torch.tensor(sequences.lengths, device=batch["x"].device)
        states, self._state = run_to_ends(network, batch["x"], lengths, self._state)
        if network.pooling is None:
            steps = network.read(states)  # (N, T, n_outputs)
            own = [s[:n] for s, n in zip(steps, sequences.lengths, strict=True)]
            return torch.cat(own)
        summary = network.pooling.summarize(states, batch["lengths"])
        if self._summary is not None:
            summary = network.pooling.join(self._summary, summary)
        self._summary = summary
        return network.head(network.pooling.finish(summary))


def check_causal(estimator):
    """Check that no prediction needs the last step of a sequence."""
    task = estimator._task
    if isinstance(task, RegressionTask) and task.baseline.lags is not None:
        raise ValueError(
            f"{type(estimator).__name__}(season=...) predicts relative to an earlier "
            "step, and StatefulPredictor reads one step at a time: fit it with "
            "season=None."
        )
    if getattr(task, "transitions", None) is not None:
        raise ValueError(
            f"this {type(estimator).__name__} weighs labels by those after them, too, "
            "and a live signal has none yet. Fit one with transition_weight=0."
        )
    if isinstance(task, RegressionTask) and task.baseline.subtracts_last:
        raise ValueError(
            f"this {type(estimator).__name__} reads sequences relative to their last "
            "value, and a live signal has none yet. Fit one with subtract_last=False."
        )
    if estimator.module_.core.rnn.bidirectional:
        raise ValueError(
            f"this {type(estimator).__name__} is bidirectional: it reads sequences "
            "from their last step back, and a live signal has none yet. Fit one "
            "with bidirectional=False."
        )
    if getattr(estimator, "convolutions_", None) is not None:
        raise ValueError(
            f"this {type(estimator).__name__} has convolutions beside its network, and "
            "these read whole sequences, which a live signal has not yet. Fit one with "
            "convolutions=None."
        )
    if getattr(estimator, "bag_of_words_", None) is not None:
        raise ValueError(
            f"this {type(estimator).__name__} has a bag of words beside its network, "
            "which counts the tokens of whole sequences, and a live signal has not all "
            "of them yet. Fit one with bag_of_words=False."
        )


def _check_not_one_stream(X, estimator):
    """Check that X is no array of one column, which may be steps or streams."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype == object:
        return
    is_one_feature = estimator._task.network_spec.n_features == 1
    if is_one_feature and not estimator._fitted_on_columns and len(X) > 1 == X.shape[1]:
        raise ValueError(
            f"X has shape {X.shape}: {len(X)} steps of one stream, or one new step of "
            f"{len(X)} streams? If x is one sequence: pass [x]. If its rows are "
            "streams, pass the 3-D array X[:, :, np.newaxis]."
        )


def _as_sequences(X, estimator):
    """Turn one step, and tables of steps, into sequences."""
    names = getattr(estimator, "feature_names_in_", None)
    if isinstance(X, pd.Series) and names is not None and X.dtype != object:
        X = X.to_frame().T
    if hasattr(X, "columns") and not estimator._fitted_on_columns:
        if names is not None and list(X.columns) != list(names):
            raise ValueError(
                f"new steps have the features {list(X.columns)}, and "
                f"{type(estimator).__name__} was fitted on {list(names)}: give them in "
                "that order."
            )
        return [X]
    if hasattr(X, "columns") or isinstance(X, pd.Series):
        X = X.to_numpy()
    if isinstance(X, (list, tuple)):
        if all(np.ndim(x) == 0 for x in X):
            X = check_item(X, "X", type(estimator).__name__)
        else:
            return [np.asarray(x) if isinstance(x, (list, tuple)) else x for x in X]
    if isinstance(X, np.ndarray) and X.dtype != object:
        if X.ndim == 1:
            return X[np.newaxis, np.newaxis]
        if X.ndim == 2:
            one_stream = estimator._task.network_spec.n_features > 1
            return X[np.newaxis] if one_stream else X[:, :, np.newaxis]
    return X
