"""What every estimator with a network shares: how it is trained, and pickled."""

from contextlib import contextmanager
from dataclasses import asdict
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from skorch.callbacks import LRScheduler

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.estimators._state import DTYPES, PortableState
from sklearn_rnn.kernels import (
    CELLS,
    KERNELS,
    CounterGenerator,
    choose_kernel,
    rename_kernel,
)
from sklearn_rnn.sequences import COUNT, check_range
from sklearn_rnn.training import (
    OPTIMIZERS,
    SCHEDULES,
    EpochLines,
    Patience,
    ProgressBar,
    SequenceNet,
    any_lr_scheduler,
    check_device,
    check_monitors,
    choose_n_threads,
    computing,
    copy_callbacks,
    find_optimizer,
    find_schedule,
    is_fusible,
    max_threads,
    try_scheduler,
)

# Beyond all real parameters that make sense; Python has integers that no float holds.
LARGEST = 1.7e308
# The callback that `lr_schedule` asked for, among the others.
SCHEDULER = "lr_schedule"
# Records that are kept of a stream of calls of partial_fit; of fit all are.
STREAM_RECORDS = 1000
# What a parameter is called where it describes the network.
SPEC_NAMES = {"tied": "tie_embeddings", "attention": "attention_type"}


class Trainer(PortableState, BaseEstimator):
    """Base of the estimators: a network, and the loop that trains it.

    A subclass says what the loss is (``_criterion``) and how validation data are
    judged (``_judge``), and knows the shape of its network (``_network_spec``).
    """

    _parameter_constraints = {
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [COUNT],
        "n_layers": [COUNT],
        "residual": ["boolean"],
        "layer_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_drop": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "learning_rate": [Interval(Real, 0, LARGEST, closed="right")],
        "lr_schedule": [
            StrOptions({*SCHEDULES, "plateau"}),
            callable,
            LRScheduler,
            torch.optim.lr_scheduler.LRScheduler,  # refused, with what to do
            None,
        ],
        "weight_decay": [Interval(Real, 0, LARGEST, closed="both")],
        "clip_norm": [Interval(Real, 0, LARGEST, closed="right"), None],
        "clip_value": [Interval(Real, 0, LARGEST, closed="right"), None],
        "batch_size": [COUNT],
        "max_epochs": [
            COUNT,
            StrOptions({"auto"}),
        ],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [COUNT],
        "tol": [Interval(Real, 0, LARGEST, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, HasMethods("on_epoch_end"), None],
        "dtype": [StrOptions({"auto", *DTYPES})],
        "device": [str, torch.device],
        "n_threads": [COUNT, None],
        "kernel": [StrOptions({"auto", "numba", *KERNELS}, deprecated={"numba"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(self, **parameters):
        # The signature that a user sees is that of the subclass.
        for name, value in parameters.items():
            setattr(self, name, value)

    # Parameters that decided how data were read: later fits that go on need them, too.
    _read_with = {}

    def _remember(self, *names):
        """Keep parameters that decide how data are read."""
        self._read_with = {name: getattr(self, name) for name in names}

    def _check_range(self, sequences, network=None):
        """Check that what enters the network, the fitted one if None, stays finite."""
        network = self.module_ if network is None else network
        check_range(
            sequences,
            estimator_name=type(self).__name__,
            center=network.center.cpu().numpy(),
            factor=network.factor.cpu().numpy(),
            dtype=self._torch_dtype,
        )

    def _check_outputs(self, values, lengths):
        """Check that no value overflowed; `values` are of sequences, or all steps."""
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if finite.all():
            return
        row = int(np.argmin(finite))
        place = f"sequence {row}"
        if len(values) != len(lengths):
            ends = np.cumsum(lengths)
            i = int(np.searchsorted(ends, row, side="right"))
            place = f"sequence {i}, step {row - ends[i] + lengths[i]}"
        raise self._overflow_at(place)

    def _overflow_at(self, place):
        """Return the error for values that overflowed, as states of ReLU units may."""
        return InvalidSequenceError(
            f"{type(self).__name__} with dtype={self._torch_dtype!r} computes NaN or "
            f"infinity for {place}: its values are too large, or it is too long, for "
            "this network. Leave it out, bring X to another unit, or fit with another "
            "cell than 'rnn_relu', or with dtype='float64'."
        )

    def _refuse_another_network(self, spec, ignored=()):
        """Refuse to go on with a network that parameters no longer describe."""
        before, now = asdict(self._network_spec), asdict(spec)
        changed = [k for k in now if now[k] != before[k] and k not in ignored]
        changed = [SPEC_NAMES.get(k, k) for k in changed]
        changed += [
            k for k, kept in self._read_with.items() if getattr(self, k) != kept
        ]
        if self.dtype not in ("auto", self._torch_dtype):
            changed.append("dtype")
        if changed:
            raise ValueError(
                f"{type(self).__name__} goes on training the network of its last fit, "
                f"which had another {' and '.join(changed)}. Put that back, or fit "
                "anew with warm_start=False."
            )

    def _check_callbacks(self):
        """Refuse two who set the learning rate."""
        if self.lr_schedule is not None and any_lr_scheduler(self._given_callbacks()):
            raise ValueError(
                f"callbacks has an LRScheduler, and lr_schedule={self.lr_schedule!r} "
                "sets the learning rate as well. Set lr_schedule=None."
            )

    @contextmanager
    def _all_or_nothing(self):
        """Leave a fitted estimator as it was if its next fit fails to begin."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            # Parameters are never missing: other threads may clone the estimator.
            for name in self.__dict__.keys() - before.keys():
                del self.__dict__[name]
            self.__dict__.update(before)
            raise

    def __sklearn_is_fitted__(self):
        return hasattr(self, "module_")

    def _make_net(self, network, schedule=(None, None), device=None, kernel=None):
        """Set ``net_`` and ``module_``: a net around `network`, ready to train."""
        device = device or check_device(self.device)
        network.mixed = self._torch_dtype == "mixed"
        self._choose_kernel(network, device, kernel)
        schedule, scheduler = schedule
        optimizer, options = find_optimizer(self.optimizer, self.weight_decay)
        self.net_ = SequenceNet(
            network,
            criterion=self._criterion(),
            optimizer=optimizer,
            lr=self.learning_rate,
            batch_size=self._fitted_batch_size(),
            callbacks=self._callbacks(scheduler),
            device=device,
            verbose=0,
            shuffle=self.shuffle,
            clip_norm=self.clip_norm,
            clip_value=self.clip_value,
            bptt_steps=self.bptt_steps,
            schedule=schedule,
            kernel=self.kernel_,
            **options,
        ).initialize()
        if scheduler is not None:
            try_scheduler(scheduler, self.net_.optimizer_)
        self.module_ = self.net_.module_
        self.n_parameters_ = sum(
            p.numel() for p in self.module_.parameters() if p.requires_grad
        )

    def _choose_kernel(self, network, device, kernel=None):
        """Set ``kernel_``, and let `network` use it."""
        spec = self._network_spec
        self.kernel_ = choose_kernel(
            kernel or rename_kernel(self.kernel),
            spec.cell,
            spec.hidden_size,
            self._torch_dtype,
            device,
            fused=is_fusible(network) and self.bptt_steps is None,
        )
        network.use_kernel(self.kernel_)

    # What is called before each update with the share of training that is done.
    _on_progress = None

    def _find_schedule(self, validation):
        """Return what sets the learning rate: a function or a callback."""
        check_monitors(self._given_callbacks(), validation is not None)
        return find_schedule(
            self.lr_schedule,
            learning_rate=self.learning_rate,
            monitor="train_loss" if validation is None else "valid_loss",
            tol=self.tol,
        )

    # Records at the end of ``history_`` that partial_fit made.
    _n_streamed = 0

    def _train(self, data, held_out, n_epochs, random_state, streamed=False):
        """Train ``net_`` and record what happened, whatever happens."""
        net = self.net_
        net.random_state = np.random.RandomState(random_state.randint(2**31 - 1))
        self._seed_dropout(random_state.randint(2**31 - 1))
        patience = None
        if self.early_stopping:
            patience = Patience(self.n_iter_no_change, self.tol)
        first = len(net.history)
        # Only while it trains: estimator and net would keep each other alive, and
        # hundreds of fits their memory, until Python looks for cycles.
        net.score_validation, net.on_progress = self._judge, self._on_progress
        try:
            with self._computing():
                net.train(data, held_out, n_epochs, patience)
        finally:
            net.score_validation = net.on_progress = None
            self._record(net.history[first:], patience, streamed)
            net.n_streamed = _bound_stream(
                net.history, net.n_streamed + len(net.history) - first, streamed
            )

    def _seed_dropout(self, seed):
        """Let dropout masks depend on a seed: on the CPU on nothing else."""
        device = torch.device(self.net_.device)
        if device.type == "cpu":
            generator = CounterGenerator(seed)
        else:
            generator = torch.Generator(device).manual_seed(seed)
        self.module_.seed_dropout(generator)

    def _record(self, rows, patience, streamed):
        """Set the attributes that tell how training went, from finished epochs."""
        rows = [row for row in rows if "dur" in row]
        n_before = self.history_[-1]["epoch"] if self.history_ else 0
        for epoch, row in enumerate(rows, n_before + 1):
            kept = {key: value for key, value in row.items() if key != "batches"}
            self.history_.append({**kept, "epoch": epoch})
        self._n_streamed = _bound_stream(
            self.history_, self._n_streamed + len(rows), streamed
        )
        self.n_iter_ = n_before + len(rows)
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        scores = [row["valid_score"] for row in self.history_ if "valid_score" in row]
        self.validation_scores_ = scores or None
        if n_before and not rows:
            return  # broken off at once: the weights are those from before
        n_kept = len(rows) if patience is None else patience.best_epoch + 1
        self.best_epoch_ = n_before + n_kept
        best = [row for row in self.history_ if row["epoch"] == self.best_epoch_]
        self.best_validation_score_ = best[0].get("valid_score") if best else None

    def _given_callbacks(self):
        given = self.callbacks
        if given is None:
            return []
        return given if isinstance(given, list) else [given]

    def _callbacks(self, scheduler):
        given = copy_callbacks(self._given_callbacks())
        if scheduler is not None:
            given += copy_callbacks([(SCHEDULER, scheduler)])
        own = {0: [], 1: [ProgressBar]}.get(int(self.verbose), [EpochLines])
        return given + [callback(type(self).__name__) for callback in own]

    def _fitted_batch_size(self):
        """Return the batch size of the last fit, where `batch_size` may be "auto"."""
        return getattr(self, "batch_size_", self.batch_size)

    def _computing(self):
        """Return a context that computes with the estimator's threads."""
        return computing(
            self._n_threads(),
            self.n_threads or min(max_threads(), torch.get_num_threads()),
        )

    def _n_threads(self):
        if self.n_threads is not None:
            return self.n_threads
        return choose_n_threads(self._fitted_batch_size(), self._network_spec)


def _bound_stream(records, n_streamed, streamed):
    """Drop the oldest records of a stream beyond the bound; return how many are left.

    They stand at the end of `records`; after ``fit`` there are none.
    """
    if not streamed:
        return 0
    n_dropped = max(0, n_streamed - STREAM_RECORDS)
    begin = len(records) - n_streamed
    del records[begin : begin + n_dropped]
    return n_streamed - n_dropped
