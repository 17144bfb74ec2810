"""The skorch net that trains a sequence network, and restores its best weights."""

import logging
import math
import re
import time
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from sklearn.utils import ClassifierTags
from skorch import NeuralNet
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    ParamMapper,
)
from skorch.exceptions import SkorchException
from torch.optim import lr_scheduler as torch_schedulers

from sklearn_rnn._exceptions import DivergenceError, StopTraining
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.kernels import import_whole
from sklearn_rnn.training._datasets import BatchIterator, SequenceDataset, StepTargets
from sklearn_rnn.training._fused import (
    GLOBAL_HOOKS,
    FusedNetwork,
    observe,
    supports_fused,
)
from sklearn_rnn.training._gradients import batch_gradients
from sklearn_rnn.training._memory import note_batch
from sklearn_rnn.training._optimizers import (
    COMPILER,
    ELEMENTWISE,
    GLOBAL_OPTIMIZER_HOOKS,
    OPTIMIZERS,
    SCHEDULES,
    FlatWeights,
    SeparateWeights,
    check_optimizer_state,
    make_optimizer,
)
from sklearn_rnn.training._parallel import check_dividable
from sklearn_rnn.training._progress import log_epoch
from sklearn_rnn.training._resume import TrainingRun
from sklearn_rnn.training._scoring import (
    ScoringData,
    score_validation_batches,
    scoring_batch,
    scoring_dataset,
)

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# Hooks of batches that do nothing, the last one without caching.
WITHOUT_EFFECT = {
    *(getattr(Callback, hook) for hook in BATCH_HOOKS),
    EpochScoring.on_batch_end,
}
# What an epoch's record holds only where there are validation data.
VALIDATION_KEYS = {"valid_loss", "valid_loss_best", "valid_score"}
# What a callback may raise if the history lacks what it looks for.
NOT_FOUND = KeyError, SkorchException, ValueError, TypeError


class WeightSnapshot:
    """A copy of a module's weights that can be restored.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import WeightSnapshot
    >>> layer = torch.nn.Linear(1, 1)
    >>> snapshot = WeightSnapshot(layer)
    >>> with torch.no_grad():
    ...     _ = layer.weight.fill_(float("nan"))
    >>> snapshot.restore()
    >>> bool(layer.weight.isnan())
    False
    """

    def __init__(self, module):
        self._module = module
        self._copies = {
            name: parameter.detach().clone()
            for name, parameter in module.named_parameters()
        }
        self._shapes = {name: saved.shape for name, saved in self._copies.items()}

    @property
    def copies(self):
        """The weights that were saved last, by name."""
        return dict(self._copies)

    def load(self, copies):
        """Take over weights that another snapshot of the same module saved."""
        for name, saved in self._copies.items():
            saved.copy_(copies[name])

    @torch.no_grad()
    def save(self):
        """Copy the weights as they are now."""
        weights = dict(self._module.named_parameters())
        if {name: weight.shape for name, weight in weights.items()} != self._shapes:
            raise self._other_shapes(weights)
        for name, saved in self._copies.items():
            saved.copy_(weights[name])

    @torch.no_grad()
    def restore(self):
        """Give the module the weights that were saved last."""
        weights = dict(self._module.named_parameters())
        if {name: weight.shape for name, weight in weights.items()} != self._shapes:
            raise self._other_shapes(weights)
        for name, saved in self._copies.items():
            weights[name].copy_(saved)

    def _other_shapes(self, weights):
        """Return the error for shapes that changed: copies between them broadcast."""
        shapes = {name: weight.shape for name, weight in weights.items()}
        changed = sorted(dict(shapes.items() ^ self._shapes.items()))
        return ValueError(
            f"the weights {changed} no longer have the shapes that they had when "
            "training began: a callback replaced them. Set the sizes of the network by "
            "the parameters of the estimator, and let callbacks change values only."
        )


class SequenceNet(NeuralNet):
    """A skorch net with whole batches, gradient clipping, and a safe way to stop.

    It calls the hooks of ``skorch.NeuralNet`` in its order, but batches are gathered
    at once, and reported only to callbacks that handle them. A loss that is no longer
    finite, an exception or Ctrl-C leave the weights of the last finished epoch in
    place, or with patience the best.

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
        Maximum norm of the whole gradient.
    clip_value : float or None
        Maximum magnitude of each element of the gradient.
    bptt_steps : int or None
        Maximum number of steps that gradients flow back through.
    schedule : callable or None
        Factor of the learning rate, given the fraction of updates made, from 0 to 1.
    score_validation : callable or None
        ``score_validation(net, validation)`` returns loss and score of an epoch.
    on_progress : callable or None
        Called before each update with the fraction of training that is done.
    shortest_first : bool, default=False
        Whether the first pass goes from the shortest sequences to the longest.
    kernel : {"torch", "compiled"}, default="torch"
        What clips gradients and updates weights.
    label : str or None, default=None
        Name of what is trained, in the log of epochs; None logs none.
    **options : dict
        For ``skorch.NeuralNet``.

    Attributes
    ----------
    module_, optimizer_, history_
        As in skorch.
    n_streamed : int
        Records at the end of the history that calls of ``partial_fit`` made. Set
        from outside.
    checkpoint : TrainingCheckpoint or None
        The file from which training continues, and in which it is kept. Set from
        outside, while the net trains.
    processes : Processes or None
        Those that train this net together. Set from outside, while it trains.
    """

    _default_callbacks: list[Any] = []  # none of skorch's

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
        score_validation=None,
        on_progress=None,
        shortest_first=False,
        kernel="torch",
        label=None,
        **options,
    ):
        super().__init__(
            module,
            criterion=criterion,
            train_split=None,
            # Scoring callbacks would collect padded batches: they get `ScoringData`.
            use_caching=False,
            **options,
        )
        self.shuffle = shuffle
        self.random_state = random_state
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.bptt_steps = bptt_steps
        self.schedule = schedule
        self.score_validation = score_validation
        self.on_progress = on_progress
        self.shortest_first = shortest_first
        self.kernel = kernel
        self.label = label
        self.validation = None
        self.patience = None
        self.n_streamed = 0
        self.checkpoint = None
        self.processes = None
        self._weights: SeparateWeights | FlatWeights
        # While it trains: what the kernels compute, and what that was decided by.
        self._fused: FusedNetwork | None = None
        self._fused_epochs: Any = None
        self._state: Any = None

    def __getstate__(self):
        kernels = dict.fromkeys(["_fused", "_fused_epochs", "_state"])
        return {**super().__getstate__(), **kernels}

    # The optimizer, and the weights that it changes.

    def initialize_optimizer(self, triggered_directly=None):
        """Make the optimizer, as skorch does, of weights in one tensor per group.

        An embedding that is updated row by row has a tensor of its own. Optimizers that
        are not elementwise, and callbacks that freeze weights by name, get the weights
        one by one. torch's compiler is imported only where it is used.

        Returns
        -------
        SequenceNet
            This net.
        """
        (groups,), options = self.get_params_for_optimizer(
            "optimizer", self.get_all_learnable_params()
        )
        # They hold the addresses of the weights.
        self._fused = self._fused_epochs = self._state = None
        maps_by_name = any(isinstance(cb, ParamMapper) for _, cb in self.callbacks_)
        parameters = [group["params"] for group in groups]
        trains = any(p.requires_grad for group in parameters for p in group)
        if maps_by_name or not trains or self.optimizer not in ELEMENTWISE:
            self._weights = SeparateWeights([p for group in parameters for p in group])
            import_whole(*COMPILER)  # for the optimizer's own step
        else:
            self._weights = FlatWeights(
                parameters, self.module_, compiled=self.kernel == "compiled"
            )
            for group, leaves in zip(groups, self._weights.leaves, strict=True):
                group["params"] = list(leaves)
        self.optimizer_ = make_optimizer(self.optimizer, groups, **options)
        return self

    def trained_weights(self):
        """Return the names of the trained weights, in the order of the optimizer."""
        names = {id(p): name for name, p in self.module_.named_parameters()}
        return [names.get(id(p)) for p in self._weights.parameters]

    # Training.

    def get_iterator(self, dataset, training=False):
        """Return the batches of one pass over a dataset, shuffled in training."""
        return BatchIterator(
            dataset,
            self.batch_size,
            training and self.shuffle,
            self.random_state if training else None,
            self.device,
            shortest_first=self.shortest_first,
        )

    def train(self, data, validation, n_epochs, patience=None):
        """Train, and drop the references to the data afterwards.

        Parameters
        ----------
        data : SequenceDataset
            The training data.
        validation : SequenceDataset or None
            What to score after each epoch.
        n_epochs : int
            Passes over the data.
        patience : Patience, default=None
            When to stop early and restore the best weights; None never does. Before a
            cool-down the best weights are restored, and during it the learning rate
            falls evenly from its value to zero.

        Raises
        ------
        DivergenceError
            If the loss becomes NaN or infinite.
        ValueError
            If a callback looks for what is not recorded, or all weights are frozen.
        """
        self.validation, self.patience, self.max_epochs = validation, patience, n_epochs
        batch_callbacks = []  # the names of those that handle batches of training
        for name, callback in self.callbacks_:
            hooks = {getattr(type(callback), hook) for hook in BATCH_HOOKS}
            if not getattr(callback, "on_train", True):
                hooks -= {BatchScoring.on_batch_end}
            if hooks - WITHOUT_EFFECT:
                batch_callbacks.append(name)
        self._has_batch_callbacks = bool(batch_callbacks)
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr
        if self.processes is not None:
            check_dividable(self.callbacks_, batch_callbacks)
            self.processes.align(self._weights.tensors)
        self._is_prepared = False
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
            self.validation = self.patience = None
            self._fused = self._fused_epochs = self._state = None

    def _count_batches(self, data, n_batches, n_epochs):
        """Set what counts batches, and the targets of each."""
        self._n_batches = n_epochs * n_batches
        self._n_batches_done = 0
        self._cool_down: tuple[int, int] | None = None  # batches before it and in it
        # The average number of targets per update; None if it is constant.
        self._targets_per_update = None
        n_targets, lengths = data.n_targets, data.lengths
        if n_targets is None:
            return
        size = self.bptt_steps or lengths.max()
        are_whole = lengths.max() <= size
        are_full_chunks = (lengths % size == 0).all() and (n_targets == lengths).all()
        if n_targets.min() == n_targets.max() and (are_whole or are_full_chunks):
            return
        weights = None if data.weights is None else data.weights.double().cpu().numpy()
        n_chunks = np.average(lengths, weights=weights) / size
        self._targets_per_update = n_targets.sum() / n_batches / max(1, n_chunks)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for a number of epochs, ``max_epochs`` by default.

        Parameters
        ----------
        X : SequenceDataset
            The training data, with targets.
        y, **fit_params
            Ignored.
        epochs : int, default=None
            Passes over the data; None takes ``max_epochs``.

        Returns
        -------
        SequenceNet
            This net.
        """
        epochs = self.max_epochs if epochs is None else epochs
        data = {"dataset_train": X, "dataset_valid": self.validation}
        batches = self.get_iterator(X, training=True)
        self._count_batches(X, len(batches), epochs)
        finished = WeightSnapshot(self.module_)
        best = WeightSnapshot(self.module_) if self.patience else None
        run = TrainingRun(self, batches, finished, best)
        try:
            n_done, stop = 0, False
            if self.checkpoint is not None:
                n_done, stop = self.checkpoint.resume(run)
            while n_done < epochs and not stop:
                stop = self._run_epoch(batches, data, finished, best)
                n_done += 1
                if self.checkpoint is not None:
                    self.checkpoint.save(run, n_done, stop or n_done == epochs)
        except BaseException as error:
            (best or finished).restore()
            # The optimizer's momentum may hold the NaN that ended training.
            self.initialize_optimizer()
            if self.checkpoint is not None:
                self.checkpoint.write_kept(error)
            raise
        if best:
            best.restore()
        return self

    def _run_epoch(self, batches, data, finished, best):
        """Run one epoch; return whether training should end."""
        begin = time.perf_counter()
        self.notify("on_epoch_begin", **data)
        self.run_single_epoch(batches, training=True, prefix="train", step_fn=None)
        # The losses do not show whether the last update left the weights finite.
        total = float(sum(values.sum() for values in self._weights.tensors))
        if not math.isfinite(total):
            raise self._divergence(total)
        if self.processes is not None:
            self.processes.align(self._weights.tensors)
        stop = self.validation is not None and self._validate()
        for name in ("train_loss", "valid_loss"):  # lowest so far? For callbacks.
            if name in self.history[-1]:
                is_best = self.history[-1][name] <= min(self.history[:, name])
                self.history.record(f"{name}_best", is_best)
        self.history.record("dur", time.perf_counter() - begin)
        if self.label is not None and LOGGER.isEnabledFor(logging.INFO):
            log_epoch(self.label, self.history[-1])
        finished.save()
        if best is not None and self.patience is not None and self.patience.improved:
            best.save()
        if self.patience is not None and self.patience.n_cool_down > 0:
            best.restore()
            self._begin_cool_down(self.patience.n_cool_down)
        try:
            self.notify("on_epoch_end", **data)
        except StopTraining:
            stop = True
        except KeyboardInterrupt:
            if not self._callback_ended_training():
                raise
            stop = True
        return stop if self.processes is None else self.processes.any(stop)

    def _validate(self):
        """Score the validation data; return whether to stop early."""
        loss, score = self.score_validation(self, self.validation)
        if self.processes is not None:
            loss, score = self.processes.broadcast_first(loss, score)
        self.history.record("valid_loss", loss)
        self.history.record("valid_score", score)
        score_validation_batches(self, self.validation)
        if self.patience is None:
            return False
        if self.patience.monitor == "valid_score":
            return self.patience.exhausted(1 - score, tie=loss)
        return self.patience.exhausted(loss)

    def _callback_ended_training(self):
        """Return whether KeyboardInterrupt came from skorch's early stopping."""
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
            As in skorch; it is called for training epochs only.
        """
        self.module_.train()
        self.criterion_.train()
        self._norms, self._n_clipped = [], 0
        # Only callbacks can change the network after the first epoch.
        if not self._is_prepared or (
            self.callbacks_ and (self._state is None or self._observe() != self._state)
        ):
            self._prepare_network(iterator)
        if self._fused_epochs is None:
            self._train_by_batch(iterator, prefix)
            return
        epochs, struct = self._fused_epochs, self._fused_epochs.optimizer_struct
        struct.max_norm = self.clip_norm or math.inf
        struct.max_value = self.clip_value or math.inf
        n_before, n_batches = self._n_batches_done, len(epochs.losses)
        batches = iterator.index_batches()
        rates = [self._learning_rate(n_before + k) for k in range(n_batches)]
        self._weights.clear_gradients(every_row=True)
        try:
            n_done = epochs.train(batches, rates)
        except MemoryError as error:
            note_batch(error, len(batches[0]), int(iterator.dataset.lengths.max()))
            raise
        self._n_batches_done += n_done
        for group in self.optimizer_.param_groups:
            group["lr"] = rates[n_done - 1]
        losses, sizes = epochs.losses[:n_done], epochs.n_targets[:n_done]
        if not math.isfinite(losses[-1]):
            raise self._divergence(losses[-1])
        self._norms = epochs.norms[:n_done][sizes > 0].tolist()
        self._n_clipped = int(epochs.clipped[:n_done].sum())
        mean = float((losses * sizes).sum() / sizes.sum())
        self._record_losses(prefix, mean, n_done, float(losses[-1]), int(sizes[-1]))

    def _prepare_network(self, iterator=None):
        """Check the weights, and decide what the kernels compute.

        That is the network; and, where nothing comes between the batches of an
        iterator, all that `_train_by_batch` does, by few calls.
        """
        parameters = list(self.module_.parameters())
        if not any(parameter.requires_grad for parameter in parameters):
            raise ValueError(
                "all weights of the network are frozen, so there is nothing to train. "
                "Set requires_grad_(True) on those of module_ that are to be trained."
            )
        if not self._weights.owns_storage(parameters):
            self.initialize_optimizer()
        check_optimizer_state(self.optimizer_)
        self._weights.clear_gradients(every_row=True)
        self._fused = self._fused_epochs = self._state = None
        network, criterion, weights = self.module_, self.criterion_, self._weights
        if isinstance(weights, FlatWeights) and supports_fused(network, criterion):
            self._fused = FusedNetwork(
                network, criterion, keeps_outputs=self._has_batch_callbacks
            )
            if iterator is not None and self._trains_by_epoch(iterator.dataset):
                struct = weights.compile_optimizer(self.optimizer_)
                if struct is not None:
                    self._fused_epochs = self._fused.make_epochs(
                        iterator.dataset,
                        self.optimizer_,
                        struct,
                        len(iterator),
                        self._targets_per_update,
                    )
        self._is_prepared = True
        if self._fused is not None and self.callbacks_:  # others change nothing
            self._state = self._observe()

    def _trains_by_epoch(self, dataset):
        """Return whether nothing comes between the batches of an epoch."""
        return (
            self.processes is None
            and not self._has_batch_callbacks
            and self.on_progress is None
            and type(dataset) is SequenceDataset
            and isinstance(dataset.targets, torch.Tensor | StepTargets)
            and dataset.lengths.max() <= (self.bptt_steps or math.inf)
        )

    def _observe(self):
        """Return the model, the loss with the data, and counts, as they are now.

        `_prepare_network` decides by these; of what has changed since it is None.
        Callbacks may move, freeze or replace weights, hook or patch modules, and change
        the loss, the optimizer or the data.
        """
        optimizer, epochs, data = self.optimizer_, self._fused_epochs, [self.criterion_]
        states, steps = list(getattr(optimizer, "state", {}).values()), []
        if epochs is not None:
            data += [epochs.dataset, epochs.dataset.targets]
            # The kernels have a count of their own, which goes with these.
            n = epochs.optimizer_struct.n_updates
            steps = [float(s["step"]) - n for s in states if "step" in s]
        # Training itself sets the learning rate, for all groups alike.
        rate = optimizer.param_groups[0]["lr"]
        groups = [{**g, "lr": g["lr"] == rate} for g in optimizer.param_groups]
        own = {"bptt_steps": self.bptt_steps, "on_progress": self.on_progress}
        parts = [*self.module_.modules(), self._weights, optimizer, *groups, *states]
        parts += [own, *GLOBAL_HOOKS, *GLOBAL_OPTIMIZER_HOOKS]
        model, loss_and_data, _ = self._state or (None, None, None)
        # Of some data the kernels have copies.
        seen = observe(data, loss_and_data, in_place=True)
        return observe(parts, model), seen, steps

    def _begin_cool_down(self, n_epochs):
        """Let the learning rate fall to zero in `n_epochs`, or before the last one."""
        n_left = self._n_batches - self._n_batches_done
        n_batches = n_epochs * self._n_batches // self.max_epochs
        self._cool_down = self._n_batches_done, min(n_batches, n_left)

    def _learning_rate(self, n_done):
        """Return the learning rate after a number of batches, maybe a fraction."""
        if self.schedule is None:
            return float(self.optimizer_.param_groups[0]["lr"])
        if self._cool_down is None:
            return self.lr * self.schedule(n_done / self._n_batches)
        n_before, n_batches = self._cool_down
        left = 1 - (n_done - n_before) / n_batches
        return left * self.lr * self.schedule(n_before / self._n_batches)

    def _train_by_batch(self, iterator, prefix):
        """Update the weights batch by batch, and record losses."""
        total, n_seen, batch = 0.0, 0, None
        try:
            for batch in iterator:
                if self._has_batch_callbacks:
                    loss, size = self._step_with_callbacks(batch, prefix)
                else:
                    loss, size, _ = self._update(batch, keeps_outputs=False)
                total, n_seen = total + loss * size, n_seen + size
        except (MemoryError, RuntimeError) as error:
            if batch is not None:
                note_batch(error, *batch[0]["x"].shape[:2])
            raise
        if not math.isfinite(total):
            raise self._divergence(total)
        mean = float(total) / n_seen
        self._record_losses(prefix, mean, len(iterator), float(loss), size)

    def _step_with_callbacks(self, batch, prefix):
        """Update the weights for one batch, and call the callbacks."""
        self.notify("on_batch_begin", batch=batch, training=True)
        if self._state is None or self._observe() != self._state:
            self._prepare_network()
        step = self.train_step(batch)
        loss, size = step["loss"].item(), step["n_targets"]
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", size)
        self.notify("on_batch_end", batch=batch, training=True, **step)
        return loss, size

    def train_step(self, batch, **fit_params):
        """Update the weights for one batch: once, or once per chunk of it.

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
            ``y_pred``, the outputs, without chunks that have no target.
        """
        loss, n_targets, outputs = self._update(batch)
        if not outputs:  # no step of the batch has a target
            return {"loss": torch.zeros(()), "n_targets": 0, "y_pred": torch.empty(0)}
        # Chunks follow one another in time: outputs are (N, T, n_outputs).
        y_pred = torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]
        return {
            "loss": torch.as_tensor(loss, dtype=torch.float64),
            "n_targets": n_targets,
            "y_pred": y_pred,
        }

    def _update(self, batch, keeps_outputs=True):
        """Update the weights; return mean loss, targets, and outputs per update."""
        total, n_targets, outputs, whole = 0.0, 0, [], None
        if self.processes is not None:
            whole, batch = batch, self.processes.divide(batch)
        for progress, compute in batch_gradients(
            self.module_,
            self.criterion_,
            batch,
            self.bptt_steps,
            self._targets_per_update,
            self._fused,
            keeps_outputs,
            whole=whole,
        ):
            self._report_progress(progress)
            gradient = self._weights.step(
                self.optimizer_, lambda c=compute: self._clipped_gradient(c, batch)
            )
            # A tensor on a GPU is not read before the epoch has ended.
            if isinstance(gradient.loss, float) and not math.isfinite(gradient.loss):
                raise self._divergence(gradient.loss)
            total += gradient.loss * gradient.n_targets
            n_targets += gradient.n_targets
            outputs.append(gradient.outputs)
        self._n_batches_done += 1
        self.module_.advance_dropout()
        return total / max(1, n_targets), n_targets, outputs

    def _clipped_gradient(self, compute, batch):
        """Compute a gradient, show it to callbacks, and clip it."""
        self._weights.clear_gradients(every_row=self._has_batch_callbacks)
        with self._weights.recording_rows():
            gradient = compute()
        if self.processes is not None:
            gradient = self.processes.sum_gradients(self._weights, gradient)
        if self._has_batch_callbacks:
            named = list(self.module_.named_parameters())
            self.notify("on_grad_computed", named_parameters=named, batch=batch)
        norm, clipped = self._weights.clip(self.clip_norm, self.clip_value)
        self._norms.append(norm)
        self._n_clipped += clipped
        if self._has_batch_callbacks:  # they may have changed the optimizer's state
            check_optimizer_state(self.optimizer_)
        return gradient

    def _report_progress(self, batch_progress):
        """Call `on_progress` and set the learning rate, given the batch's progress."""
        n_done = self._n_batches_done + batch_progress
        if self.on_progress is not None:
            self.on_progress(n_done / self._n_batches)
        if self.schedule is None:
            return
        rate = self._learning_rate(n_done)
        for group in self.optimizer_.param_groups:
            group["lr"] = rate

    def _divergence(self, value):
        """Return the error for a loss, or a sum of weights, that is not finite."""
        epoch = self.history[-1]["epoch"]
        return DivergenceError(
            f"training diverged in epoch {epoch}: the loss or the weights became "
            f"{float(value)}. Try a lower learning_rate, a lower clip_norm (or set "
            "one), or look for outliers in the data. The weights of the last finished "
            "epoch (with early stopping: the best) are restored; predict works with "
            "them, but they may be bad already."
        )

    # History and callbacks.

    def notify(self, method_name, **cb_kwargs):
        """Call a hook of the net and of every callback.

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
        scored: dict[str, Any] = {}
        for name, callback in self.callbacks_:
            arguments = cb_kwargs
            if method_name == "on_epoch_end" and isinstance(callback, EpochScoring):
                arguments = self._scoring_arguments(callback, cb_kwargs, scored)
            if method_name == "on_batch_end" and isinstance(callback, BatchScoring):
                if not callback.on_train or cb_kwargs["n_targets"] == 0:
                    continue
                batch = scoring_batch(self, cb_kwargs["batch"], cb_kwargs["y_pred"])
                arguments = {**cb_kwargs, "batch": batch}
            try:
                getattr(callback, method_name)(self, **arguments)
            except NOT_FOUND as error:
                record = self.history[-1] if len(self.history) else {}
                has_validation = self.validation is not None
                _explain_failure(name, callback, error, record, has_validation)
                raise

    def _scoring_arguments(self, callback, arguments, scored):
        """Return the arguments of an epoch's scoring; `scored` caches the datasets."""
        name = "dataset_train" if callback.on_train else "dataset_valid"
        if arguments[name] is not None and name not in scored:
            scored[name] = scoring_dataset(self, arguments[name])
        return {**arguments, **scored}

    def predict(self, X):
        """Return the predictions of `ScoringData`, of other data as skorch does."""
        return X.predictions if isinstance(X, ScoringData) else super().predict(X)

    def predict_proba(self, X):
        """Return the probabilities of `ScoringData`, of other data as skorch does."""
        is_scoring = isinstance(X, ScoringData)
        return X.probabilities if is_scoring else super().predict_proba(X)

    def __sklearn_tags__(self):
        # Scorers call predict_proba of classifiers only.
        tags = super().__sklearn_tags__()
        if getattr(self.criterion, "name", None) == "log_loss":
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags()
        return tags

    @property
    def classes_(self):
        """The class codes of a classifying network."""
        return np.arange(self.module_.spec.n_outputs)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Begin a record; its number follows the last one's, even if others are gone.

        Parameters
        ----------
        net, dataset_train, dataset_valid, **kwargs
            As in skorch.
        """
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        if len(self.history) > 1:
            self.history.record("epoch", self.history[-2]["epoch"] + 1)

    def _record_losses(self, prefix, mean, n_batches, last_loss, last_size):
        """Record an epoch's losses and gradients, and the last batch for callbacks."""
        if not self._has_batch_callbacks:
            self.history.new_batch()
            self.history.record_batch(f"{prefix}_loss", last_loss)
            self.history.record_batch(f"{prefix}_batch_size", last_size)
        self.history.record(f"{prefix}_loss", mean)
        self.history.record(f"{prefix}_batch_count", n_batches)
        norms = self._norms
        if not isinstance(norms[0], float):  # of a GPU: read together
            norms = torch.stack(norms).tolist()
        self.history.record("gradient_norm", sum(norms) / len(norms))
        self.history.record("largest_gradient_norm", max(norms))
        self.history.record("clipped_share", float(self._n_clipped) / len(norms))
        self.history.record("learning_rate", self.optimizer_.param_groups[0]["lr"])


# Parameters of estimators, as a net takes them.

# On a plateau the rate is divided by 5, as MLPClassifier's "adaptive" does, after
# more than this many epochs in a row that have not lowered the loss by `tol`, and
# down to this fraction of the first rate. With a patience of 2, as there, humps in the
# validation loss of small data ended training early.
PLATEAU_FACTOR, PLATEAU_PATIENCE, PLATEAU_FLOOR = 0.2, 4, 0.008


def find_optimizer(optimizer, weight_decay):
    """Return an optimizer's class, and its options for a skorch net.

    Parameters
    ----------
    optimizer : str or type
        A name out of `OPTIMIZERS`, or a class derived from ``torch.optim.Optimizer``.
    weight_decay : float
        For matrices only: biases and the scales of layer normalisation are not
        decayed.

    Returns
    -------
    optimizer : type
        The class.
    options : dict
        For skorch, prefixed with ``optimizer__``.

    Examples
    --------
    >>> from sklearn_rnn.training import find_optimizer
    >>> optimizer, options = find_optimizer("rmsprop", 0.1)
    >>> optimizer.__name__, options["optimizer__weight_decay"]
    ('RMSprop', 0.1)
    """
    options: dict[str, Any] = {}
    if isinstance(optimizer, str):
        optimizer, options = OPTIMIZERS[optimizer]
    elif not issubclass(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer={optimizer!r} is not a torch.optim.Optimizer class; give one, "
            f"or a name out of {sorted(OPTIMIZERS)}."
        )
    options = dict(options)
    takes_decay = "weight_decay" in signature(optimizer).parameters
    if weight_decay and not takes_decay:
        raise ValueError(
            f"weight_decay={weight_decay} is given, but {optimizer.__name__} has no "
            "weight decay. Set weight_decay=0, or use another optimizer."
        )
    # Passed even if zero: torch's AdamW decays by 0.01 unless told otherwise.
    if takes_decay:
        options["weight_decay"] = float(weight_decay)
    if weight_decay:
        without_decay = ("*bias*", "*norms*")
        options["param_groups"] = [
            (name, {"weight_decay": 0.0}) for name in without_decay
        ]
    return optimizer, {f"optimizer__{name}": value for name, value in options.items()}


def find_schedule(lr_schedule, *, learning_rate, monitor, tol):
    """Turn an `lr_schedule` into a function of progress, or a skorch callback.

    Parameters
    ----------
    lr_schedule : str, callable, LRScheduler or None
        "cosine", "one_cycle" or "plateau"; a function from the fraction of the
        updates made, in [0, 1], to a factor; a torch scheduler class, or a
        ``functools.partial`` of one; skorch's callback; None for a constant.
    learning_rate : float
        The highest rate.
    monitor : {"train_loss", "valid_loss"}
        The loss whose plateau lowers the rate.
    tol : float
        Minimum decrease of it that counts.

    Returns
    -------
    function : callable or None
        From progress to a factor of the learning rate.
    callback : skorch.callbacks.LRScheduler or None
        Sets the learning rate instead.

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> from functools import partial
    >>> from torch.optim.lr_scheduler import StepLR
    >>> from sklearn_rnn.training import find_schedule
    >>> halve = partial(StepLR, step_size=1, gamma=0.5)
    >>> function, callback = find_schedule(
    ...     halve, learning_rate=0.1, monitor="train_loss", tol=0.0
    ... )
    >>> function, callback.policy.__name__, callback.kwargs
    (None, 'StepLR', {'step_size': 1, 'gamma': 0.5})
    """
    if lr_schedule == "plateau":
        lr_schedule = partial(
            torch_schedulers.ReduceLROnPlateau,
            factor=PLATEAU_FACTOR,
            patience=PLATEAU_PATIENCE,
            min_lr=PLATEAU_FLOOR * learning_rate,
            threshold=tol,
            threshold_mode="abs",
        )
    if lr_schedule is None:
        return None, None
    if isinstance(lr_schedule, str):
        return SCHEDULES[lr_schedule], None
    if isinstance(lr_schedule, LRScheduler):
        return None, lr_schedule
    scheduler, options = lr_schedule, {}
    if isinstance(lr_schedule, partial):
        scheduler, options = lr_schedule.func, lr_schedule.keywords
        if lr_schedule.args and isinstance(scheduler, type):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} has positional arguments, but the first "
                "one is the optimizer, which fit fills in. Pass them by name."
            )
    if isinstance(scheduler, type):
        if not issubclass(scheduler, torch_schedulers.LRScheduler):
            raise TypeError(
                f"lr_schedule={lr_schedule!r} is not a learning rate scheduler of "
                "torch; give such a class, a functools.partial of one, or a name out "
                f"of {[*SCHEDULES, 'plateau']}."
            )
        return None, LRScheduler(scheduler, monitor=monitor, **options)
    if not callable(lr_schedule):
        raise TypeError(
            f"lr_schedule={lr_schedule!r} is a scheduler that has an optimizer "
            "already, or no scheduler: give torch's class, or a functools.partial of "
            "it, and fit makes the scheduler."
        )
    return lr_schedule, None


# Callbacks that look for what is not recorded.


def _explain_failure(name, callback, error, record, has_validation):
    """Raise a clear ValueError if a callback looked for what `record` does not have.

    For other errors nothing is raised.
    """
    key = _missing_key(callback, error, record)
    if key is not None:
        message = not_recorded(name, callback, key, record, has_validation)
        raise ValueError(message) from error


def _missing_key(callback, error, record):
    """Return the key that a callback did not find in the history, or None."""
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and monitor not in record:
        return monitor
    text = str(error.args[0]) if error.args else ""
    found = re.search(r"Key '(\w+)' was not found in history", text)
    if found:
        return found[1]
    is_of_record = isinstance(error, KeyError) and text.startswith(("valid_", "train_"))
    return text if is_of_record and text not in record else None


def not_recorded(name, callback, key, record=None, has_validation=False):
    """Return the message that a callback looks for a key that no record has.

    `record` is one of the history, or None before training without validation data.
    """
    kind = type(callback).__name__
    message = f"the callback {name!r} ({kind}) looks for {key!r} in the history, which "
    if record is None:
        message += "has it only with validation data."
    else:
        keys = sorted(k for k in record if k != "batches")
        message += f"has {', '.join(keys)}."
    if has_validation:
        return message + " Let it look for one of these."
    instead = "train_loss_best" if key.endswith("_best") else "train_loss"
    own = " (which stops training early without a callback)"
    return (
        f"{message} Set early_stopping=True{own if kind == 'EarlyStopping' else ''}, "
        f"give X_val (and y_val) to fit, or monitor {instead!r}."
    )
