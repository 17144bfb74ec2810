"""The skorch net that trains a sequence network."""

import math
import time

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, ParamMapper

from sklearn_rnn._exceptions import DivergenceError, StopTraining
from sklearn_rnn.kernels import import_whole
from sklearn_rnn.training._batches import BatchIterator, SequenceDataset
from sklearn_rnn.training._callbacks import (
    NOT_FOUND,
    explain_failure,
)
from sklearn_rnn.training._compiled_optimizer import count_updates
from sklearn_rnn.training._eager import COMPILER, make_optimizer
from sklearn_rnn.training._embedding_rows import find_row_wise
from sklearn_rnn.training._flat_weights import (
    CompiledWeights,
    FlatWeights,
    SeparateWeights,
)
from sklearn_rnn.training._fused import FusedNetwork, supports_fused
from sklearn_rnn.training._memory import note_batch
from sklearn_rnn.training._optimizers import check_optimizer_state, is_elementwise
from sklearn_rnn.training._snapshot import WeightSnapshot
from sklearn_rnn.training._truncation import gradient_steps

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class SequenceNet(NeuralNet):
    """A skorch net with whole batches, clipping, and a safe way to stop.

    It does what ``skorch.NeuralNet`` does, hook by hook, but batches are
    gathered at once; batches are reported only to callbacks that handle
    them; a loss that is no longer finite, an exception or Ctrl-C leave the
    weights of the last finished epoch in place, or with patience the best.

    Parameters
    ----------
    module : SequenceNetwork
        What to train, already initialised.
    criterion : WeightedLoss
        The loss.
    shuffle : bool
        Whether each epoch has a new order.
    random_state : numpy.random.RandomState
        Source of the order.
    clip_norm : float or None
        Bound of the norm of the whole gradient.
    clip_value : float or None
        Bound of every single derivative.
    bptt_steps : int or None
        Most steps that gradients flow back through; None has no bound.
    schedule : callable or None
        Factor of the learning rate at a share of the updates, from 0 to 1.
    judge : callable or None
        ``judge(net, validation)`` gives loss and score of an epoch.
    on_progress : callable or None
        Called before each update with the share of training that is done.
    shortest_first : bool, default=False
        Whether the first pass goes from the shortest sequences to the longest.
    kernel : {"torch", "compiled"}, default="torch"
        What computes all that the loop itself does to weights.
    **options : dict
        For ``skorch.NeuralNet``.

    Attributes
    ----------
    module_, optimizer_, history_
        As in skorch.
    n_streamed : int
        Records at the end of the history that a stream of short trainings made. Set
        from outside.
    """

    def __init__(
        self,
        module,
        criterion,
        *,
        shuffle=True,
        random_state=None,
        clip_norm=None,
        clip_value=None,
        bptt_steps=None,
        schedule=None,
        judge=None,
        on_progress=None,
        shortest_first=False,
        kernel="torch",
        **options,
    ):
        super().__init__(module, criterion=criterion, train_split=None, **options)
        self.shuffle = shuffle
        self.random_state = random_state
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.bptt_steps = bptt_steps
        self.schedule = schedule
        self.judge = judge
        self.on_progress = on_progress
        self.shortest_first = shortest_first
        self.kernel = kernel
        self.validation = None
        self.patience = None
        self.n_streamed = 0
        self._fused = self._fused_data = None

    @property
    def _default_callbacks(self):
        return []

    def get_params_for_optimizer(self, prefix, named_parameters):
        """Tell skorch what the optimizer is to change.

        Parameters
        ----------
        prefix : str
            As in skorch.
        named_parameters : iterable of (str, Parameter)
            All weights.

        Returns
        -------
        args : tuple
            The groups of parameters: one flat tensor each, and one per embedding
            that is updated row by row, if the optimizer does with each number the
            same.
        kwargs : dict
            Options of the optimizer.
        """
        (groups,), options = super().get_params_for_optimizer(prefix, named_parameters)
        self._fused = None  # it holds the weights where they lay
        # A callback that freezes weights by name needs them one by one.
        picks = any(isinstance(one, ParamMapper) for _, one in self.callbacks_)
        parameters = [group["params"] for group in groups]
        trains = any(p.requires_grad for group in parameters for p in group)
        if picks or not trains or not is_elementwise(self.optimizer):
            self._weights = SeparateWeights([p for group in parameters for p in group])
            return (groups,), options
        kind = CompiledWeights if self.kernel == "compiled" else FlatWeights
        self._weights = kind(parameters, find_row_wise(self.module_))
        for group, leaves in zip(groups, self._weights.leaves, strict=True):
            group["params"] = list(leaves)
        return (groups,), options

    def initialize_optimizer(self, triggered_directly=None):
        """Make the optimizer, as skorch does, without importing torch's compiler.

        Parameters
        ----------
        triggered_directly : None
            Ignored.

        Returns
        -------
        SequenceNet
            Itself.
        """
        args, kwargs = self.get_params_for_optimizer(
            "optimizer", self.get_all_learnable_params()
        )
        if not self._weights.is_flat:  # updated by the optimizer's own step
            import_whole(*COMPILER)
        self.optimizer_ = make_optimizer(self.optimizer, *args, **kwargs)
        return self

    def get_iterator(self, dataset, training=False):
        """Return the batches of one pass over `dataset`.

        Parameters
        ----------
        dataset : SequenceDataset
            What to iterate over.
        training : bool, default=False
            Whether to shuffle.

        Returns
        -------
        BatchIterator
            In batches of ``batch_size``.
        """
        return BatchIterator(
            dataset,
            self.batch_size,
            training and self.shuffle,
            self.random_state if training else None,
            self.device,
            shortest_first=self.shortest_first,
        )

    def train(self, data, validation, n_epochs, patience=None):
        """Train, and forget the data afterwards.

        Parameters
        ----------
        data : SequenceDataset
            The training data.
        validation : SequenceDataset or None
            What to score after each epoch.
        n_epochs : int
            Passes over the data.
        patience : Patience, default=None
            When to stop early, going back to the best weights; None never does.

        Raises
        ------
        DivergenceError
            If the loss becomes NaN or infinite.
        ValueError
            If a callback looks for what is not recorded, or all weights are frozen.
        """
        self.validation, self.patience, self.max_epochs = validation, patience, n_epochs
        n_batches = len(self.get_iterator(data))
        self._n_usual = self._targets_an_update(data, n_batches)
        self._start_training(n_epochs * n_batches)
        try:
            self.notify("on_train_begin", X=data, y=data.targets)
            try:
                self.fit_loop(data)
            finally:
                self.notify("on_train_end", X=data, y=data.targets)
        except StopTraining:
            pass
        finally:
            self.module_.eval()
            self.validation = self.patience = self._fused = self._fused_data = None

    def __getstate__(self):
        return {**super().__getstate__(), "_fused": None, "_fused_data": None}

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for a number of epochs.

        Parameters
        ----------
        X : SequenceDataset
            The training data, targets included.
        y : None
            Ignored.
        epochs : int, default=None
            Passes over the data; None takes ``max_epochs``.
        **fit_params : dict
            Ignored.

        Returns
        -------
        SequenceNet
            Itself.

        Raises
        ------
        DivergenceError
            If the loss becomes NaN or infinite.
        """
        epochs = self.max_epochs if epochs is None else epochs
        data = {"dataset_train": X, "dataset_valid": self.validation}
        batches = self.get_iterator(X, training=True)
        finished = WeightSnapshot(self.module_)
        best = WeightSnapshot(self.module_) if self.patience else None
        try:
            for _ in range(epochs):
                stop = self._run_epoch(batches, data, finished, best)
                if stop:
                    break
        except BaseException:
            self._restore_weights(best or finished)
            raise
        if best:
            best.restore()
        return self

    def notify(self, method_name, **cb_kwargs):
        """Call a method of the net and of every callback.

        Parameters
        ----------
        method_name : str
            Such as ``on_epoch_end``.
        **cb_kwargs : dict
            Its arguments.

        Raises
        ------
        ValueError
            If a callback looks for something in the history that is not there.
        """
        getattr(self, method_name)(self, **cb_kwargs)
        for name, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except NOT_FOUND as error:
                record = self.history[-1] if len(self.history) else {}
                has_validation = self.validation is not None
                explain_failure(name, callback, error, record, has_validation)
                raise

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Begin a record, numbered on from the last one, though older ones are gone.

        Parameters
        ----------
        net, dataset_train, dataset_valid, **kwargs
            As in skorch.
        """
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        if len(self.history) > 1:
            self.history.record("epoch", self.history[-2]["epoch"] + 1)

    def _targets_an_update(self, data, n_batches):
        """Return how many targets an update has on average, if that varies."""
        n_targets, lengths = data.n_targets, data.lengths
        if n_targets is None:
            return None
        size = self.bptt_steps or lengths.max()
        are_whole = lengths.max() <= size
        are_full_pieces = (lengths % size == 0).all() and (n_targets == lengths).all()
        if n_targets.min() == n_targets.max() and (are_whole or are_full_pieces):
            return None
        weights = None if data.weights is None else data.weights.double().cpu().numpy()
        n_pieces = np.average(lengths, weights=weights) / size
        return n_targets.sum() / n_batches / max(1, n_pieces)

    def _start_training(self, n_batches):
        callbacks = [callback for _, callback in self.callbacks_]
        self._has_batch_callbacks = any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in callbacks
            for hook in BATCH_HOOKS
        )
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr
        self._n_batches = n_batches
        self._n_batches_done = 0
        self._norms, self._n_clipped = [], 0

    def _restore_weights(self, snapshot):
        snapshot.restore()
        # The optimizer's moments may hold the NaN that ended training.
        self.initialize_optimizer()

    def _run_epoch(self, batches, data, finished, best):
        """Run one epoch; return whether training should end."""
        begin = time.perf_counter()
        self.notify("on_epoch_begin", **data)
        self.run_single_epoch(batches, training=True, prefix="train", step_fn=None)
        self._check_weights()
        stop = self._validate()
        self._record_best()
        self.history.record("dur", time.perf_counter() - begin)
        finished.take()
        if best and self.patience.improved:
            best.take()
        try:
            self.notify("on_epoch_end", **data)
        except StopTraining:
            stop = True
        except KeyboardInterrupt:
            if not self._callback_ended_training():
                raise
            stop = True
        return stop

    def _record_best(self):
        """Record whether a loss is the lowest so far, which skorch's callbacks ask."""
        for name in ("train_loss", "valid_loss"):
            if name in self.history[-1]:
                is_best = self.history[-1][name] <= min(self.history[:, name])
                self.history.record(f"{name}_best", is_best)

    def _callback_ended_training(self):
        """Tell skorch's early stopping, which raises KeyboardInterrupt, from Ctrl-C."""
        return any(
            isinstance(callback, EarlyStopping)
            and callback.misses_ == callback.patience
            for _, callback in self.callbacks_
        )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Train on every batch once and record the mean loss.

        Parameters
        ----------
        iterator : BatchIterator
            The batches.
        training, prefix, step_fn, **fit_params
            As in skorch; only training epochs come this way.
        """
        self._set_training(True)
        self._norms, self._n_clipped = [], 0
        self._refresh_weight_views()
        if not self._train_fused(iterator, prefix):
            self._train_by_batch(iterator, prefix)
        self._record_gradients()

    def _train_by_batch(self, iterator, prefix):
        """Update the weights batch by batch, and record losses."""
        total, n_seen, batch = 0.0, 0, None
        try:
            for batch in iterator:
                if self._has_batch_callbacks:
                    loss, size = self._step_with_callbacks(batch, prefix)
                else:
                    loss, size, _ = self._update(batch)
                total, n_seen = total + loss * size, n_seen + size
        except (MemoryError, RuntimeError) as error:
            if batch is not None:
                note_batch(error, *batch[0]["x"].shape[:2])
            raise
        total, loss = self._check_finite(float(total)), float(loss)
        self._record_losses(prefix, total / n_seen, len(iterator), loss, size)

    def _train_fused(self, iterator, prefix):
        """Train on all batches by few calls to the kernels; return whether it did.

        They do what `_train_by_batch` does, where no callback handles batches.
        """
        dataset, fused = iterator.dataset, self._fused
        if (
            fused is None
            or self._has_batch_callbacks
            or self.on_progress is not None
            or type(dataset) is not SequenceDataset
            or dataset.lengths.max() > (self.bptt_steps or math.inf)
        ):
            return False
        optimizer = self._weights.make_optimizer(self.optimizer_)
        if optimizer is None:
            return False
        # A callback may have changed the dataset since the last epoch.
        previous = None if self.callbacks_ else self._fused_data
        data = self._fused_data = fused.training_data(dataset, previous)
        if data is None:
            return False
        optimizer.max_norm = self.clip_norm or math.inf
        optimizer.max_value = self.clip_value or math.inf
        batches = iterator.index_batches()
        rates = self._learning_rates(len(batches))
        n_before = optimizer.n_updates
        self._weights.clear_gradients(every_row=True)
        try:
            record = fused.train(data, batches, optimizer, rates, self._n_usual)
        except MemoryError as error:
            note_batch(error, len(batches[0]), int(dataset.lengths.max()))
            raise
        finally:
            count_updates(self.optimizer_, optimizer.n_updates - n_before)
        n_done = len(record.losses)
        self._n_batches_done += n_done
        self.module_.advance_dropout(n_done)
        for group in self.optimizer_.param_groups:
            group["lr"] = rates[n_done - 1]
        losses, sizes = record.losses, record.n_targets
        self._check_finite(float(losses[-1]))
        self._norms = record.norms[sizes > 0].tolist()
        self._n_clipped = int(record.clipped.sum())
        total = float((losses * sizes).sum() / sizes.sum())
        self._record_losses(prefix, total, n_done, float(losses[-1]), int(sizes[-1]))
        return True

    def _learning_rates(self, n_batches):
        """Return the learning rate of each of the next batches."""
        if self.schedule is None:
            return [float(self.optimizer_.param_groups[0]["lr"])] * n_batches
        done = self._n_batches_done + np.arange(n_batches)
        return [self.lr * self.schedule(k / self._n_batches) for k in done.tolist()]

    def _record_losses(self, prefix, mean, n_batches, last_loss, last_size):
        """Record an epoch's loss; and its last batch, which callbacks look at."""
        if not self._has_batch_callbacks:
            self.history.new_batch()
            self._record_batch(prefix, last_loss, last_size)
        self.history.record(f"{prefix}_loss", mean)
        self.history.record(f"{prefix}_batch_count", n_batches)

    def _refresh_weight_views(self):
        """Find weights where they lie now: callbacks may move, freeze or hook them."""
        parameters = list(self.module_.parameters())
        _check_trainable(parameters)
        if not self._weights.owns_storage(parameters):
            self.initialize_optimizer()
        check_optimizer_state(self.optimizer_)
        self._weights.clear_gradients(every_row=True)  # anyone may have added to them
        self._fused = None
        if self._weights.is_flat:
            if supports_fused(self.module_, self.criterion_):
                self._fused = FusedNetwork(
                    self.module_,
                    self.criterion_,
                    keeps_outputs=self._has_batch_callbacks,
                )

    def _step_with_callbacks(self, batch, prefix):
        """Update the weights for one batch, and call the callbacks."""
        self.notify("on_batch_begin", batch=batch, training=True)
        self._refresh_weight_views()
        step = self.train_step(batch)
        loss, size = step["loss"].item(), step["n_targets"]
        self._record_batch(prefix, loss, size)
        self.notify("on_batch_end", batch=batch, training=True, **step)
        return loss, size

    def _record_batch(self, prefix, loss, size):
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", size)

    def _record_gradients(self):
        norms = self._norms
        if not isinstance(norms[0], float):  # a GPU's, looked at together
            norms = torch.stack(norms).tolist()
        self.history.record("gradient_norm", sum(norms) / len(norms))
        self.history.record("largest_gradient_norm", max(norms))
        self.history.record("clipped_share", float(self._n_clipped) / len(norms))
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])

    def _check_weights(self):
        """Refuse to keep weights that the epoch's last update ruined."""
        self._check_finite(float(sum(values.sum() for values in self._weights.values)))

    def _check_finite(self, loss):
        """Return a loss that is finite; one that is not ends training."""
        if not math.isfinite(loss):
            self._raise_divergence(loss)
        return loss

    def _raise_divergence(self, loss):
        epoch = self.history[-1]["epoch"]
        raise DivergenceError(
            f"training diverged in epoch {epoch}: the loss or the weights became "
            f"{loss}. Try a lower learning_rate, a lower clip_norm (or set one), or "
            "look for outliers in the data. The weights of the last finished epoch "
            "(with early stopping: the best) are kept; predict works with them, but "
            "they may be bad already."
        )

    def train_step(self, batch, **fit_params):
        """Update the weights for one batch: once, or once a piece of it.

        Parameters
        ----------
        batch : tuple
            Inputs of the module; targets and weights.
        **fit_params : dict
            Ignored.

        Returns
        -------
        dict
            ``loss``, a scalar tensor, the mean over ``n_targets`` targets, and
            ``y_pred``, the outputs, without pieces that have no target.
        """
        loss, n_targets, outputs = self._update(batch)
        if not outputs:  # no step of the batch has a target
            return {"loss": torch.zeros(()), "n_targets": 0, "y_pred": torch.empty(0)}
        # Pieces follow one another in time: outputs are (N, T, n_outputs).
        y_pred = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
        return {
            "loss": torch.as_tensor(loss, dtype=torch.float64),
            "n_targets": n_targets,
            "y_pred": y_pred,
        }

    def _update(self, batch):
        """Update the weights; return mean loss, targets, and outputs of pieces."""
        total, n_targets, outputs = 0.0, 0, []
        for share, compute in gradient_steps(
            self.module_,
            self.criterion_,
            batch,
            self.bptt_steps,
            self._n_usual,
            self._fused,
        ):
            self._report_progress(share)
            gradient = self._step(compute, batch)
            if isinstance(gradient.loss, float):  # of a GPU's an epoch tells
                self._check_finite(gradient.loss)
            total += gradient.loss * gradient.n_targets
            n_targets += gradient.n_targets
            outputs.append(gradient.outputs)
        self._n_batches_done += 1
        self.module_.advance_dropout()
        return total / max(1, n_targets), n_targets, outputs

    def trained_weights(self):
        """Return the names of the weights that the optimizer's state is of.

        Returns
        -------
        list of str
            In the optimizer's order.
        """
        names = {id(p): name for name, p in self.module_.named_parameters()}
        return [names.get(id(p)) for p in self._weights.parameters]

    def _step(self, compute, batch):
        """Compute a gradient and let the optimizer use it."""
        if self._weights.is_flat:  # by an optimizer that asks for one gradient
            gradient = self._gradient(compute, batch)
            if self._has_batch_callbacks:  # they may have put anything there
                check_optimizer_state(self.optimizer_)
            self._weights.update(self.optimizer_)
            return gradient
        results = []

        def closure():
            results.append(self._gradient(compute, batch))
            return results[-1].loss

        self.optimizer_.step(closure)
        return results[0]

    def _gradient(self, compute, batch):
        """Compute a gradient and clip it."""
        self._weights.clear_gradients(every_row=self._has_batch_callbacks)
        with self._weights.recording_rows():
            gradient = compute()
        if self._has_batch_callbacks:
            named = list(self.module_.named_parameters())
            self.notify("on_grad_computed", named_parameters=named, batch=batch)
        norm, clipped = self._weights.clip(self.clip_norm, self.clip_value)
        self._norms.append(norm)
        self._n_clipped += clipped
        return gradient

    def _report_progress(self, share_of_batch):
        progress = (self._n_batches_done + share_of_batch) / self._n_batches
        if self.on_progress is not None:
            self.on_progress(progress)
        if self.schedule is None:
            return
        factor = self.schedule(progress)
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor

    def _validate(self):
        """Score the validation data; return whether patience is at its end."""
        if self.validation is None:
            return False
        loss, score = self.judge(self, self.validation)
        self.history.record("valid_loss", loss)
        self.history.record("valid_score", score)
        return self.patience is not None and self.patience.exhausted(loss)


def _check_trainable(parameters):
    """Check that there is anything to train."""
    if not any(parameter.requires_grad for parameter in parameters):
        raise ValueError(
            "no weight of the network requires a gradient: all are frozen, and there "
            "is nothing to train. Set requires_grad_(True) on those of module_ that "
            "are to be trained."
        )
