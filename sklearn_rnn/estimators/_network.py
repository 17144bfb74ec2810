"""The network of an estimator: its net of skorch, and what it computes."""

from copy import copy

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.sequences import check_range
from sklearn_rnn.training import (
    EpochLines,
    ProgressBar,
    SequenceNet,
    check_scheduler,
    find_optimizer,
    find_schedule,
    network_outputs,
)

# The callback that `lr_schedule` asked for, among the others.
SCHEDULER = "lr_schedule"


def make_net(estimator, network, loss, device, context=None):
    """Set ``net_`` and ``module_``: a net around a network, ready to train.

    `context` is that of a fit, None where a model is loaded.
    """
    task, name = estimator._task, type(estimator).__name__
    optimizer, options = find_optimizer(estimator.optimizer, estimator.weight_decay)
    schedule = scheduler = None
    callbacks = estimator.callbacks
    if not isinstance(callbacks, list):
        callbacks = [] if callbacks is None else [callbacks]
    # Copies, as training changes them, and fit must not change a parameter.
    callbacks = [
        (item[0], copy(item[1])) if isinstance(item, tuple) else copy(item)
        for item in callbacks
    ]
    if context is not None and not context.is_stream:
        schedule, scheduler = find_schedule(
            estimator.lr_schedule,
            learning_rate=estimator.learning_rate,
            monitor="valid_loss" if context.has_validation else "train_loss",
            tol=estimator.tol,
        )
    if scheduler is not None:
        callbacks = [*callbacks, (SCHEDULER, copy(scheduler))]
    own = {0: [], 1: [ProgressBar]}.get(int(estimator.verbose), [EpochLines])
    net = SequenceNet(
        network,
        criterion=loss,
        optimizer=optimizer,
        lr=estimator.learning_rate,
        batch_size=task.batch_size or estimator.batch_size,
        callbacks=callbacks + [callback(name) for callback in own],
        device=device,
        verbose=0,
        shuffle=estimator.shuffle,
        clip_norm=estimator.clip_norm,
        clip_value=estimator.clip_value,
        bptt_steps=estimator.bptt_steps,
        schedule=schedule,
        kernel=estimator.kernel_,
        label=None if task.is_trial else name,
        **options,
    ).initialize()
    if scheduler is not None:
        check_scheduler(scheduler, net.optimizer_)
    estimator.net_, estimator.module_ = net, net.module_
    estimator.n_parameters_ = sum(
        p.numel() for p in net.module_.parameters() if p.requires_grad
    )


def update_net(estimator, loss):
    """Let parameters set since the last call of ``partial_fit`` count."""
    net, task = estimator.net_, estimator._task
    net.set_params(schedule=None, lr=estimator.learning_rate)
    # The rate is constant now, whatever fit had.
    net.callbacks_ = [item for item in net.callbacks_ if item[0] != SCHEDULER]
    net.batch_size = task.batch_size
    for name in ("bptt_steps", "clip_norm", "clip_value", "shuffle"):
        setattr(net, name, getattr(estimator, name))
    optimizer, options = find_optimizer(estimator.optimizer, estimator.weight_decay)
    options = {"optimizer": optimizer, **options}
    net.kernel = estimator.kernel_
    if any(getattr(net, name, None) != value for name, value in options.items()):
        for name in [name for name in vars(net) if name.startswith("optimizer__")]:
            delattr(net, name)
        for name, value in options.items():
            setattr(net, name, value)
        net.initialize_optimizer()
    net.criterion_ = loss.to(net.device)


def check_device(device):
    """Return a device's name, such as "cuda:0"; raise ValueError if it cannot be used.

    "auto" is a GPU if there is one.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("tensors on 'meta' have no values")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here: {error}. Use device='cpu', "
            "or device='auto' for a GPU where there is one."
        ) from error
    return str(device)


def usable_device(device):
    """Return a device's name, or ``"cpu"`` where it cannot be used."""
    try:
        return check_device(device)
    except ValueError as error:
        LOGGER.warning("a loaded model computes on the CPU: %s", error)
        return "cpu"


def run_network(estimator, sequences):
    """Return the network's outputs for sequences, or for all their steps."""
    sequences = network_input(estimator, sequences)
    outputs = network_outputs(estimator.module_, sequences, estimator.net_.device)
    outputs = outputs.cpu().numpy().astype(np.float64)
    if not np.isfinite(outputs).all():
        check_outputs(estimator, outputs, sequences.lengths)  # which says where
    return outputs


def network_input(estimator, sequences):
    """Return sequences as the network reads them; check that they stay finite in it."""
    task, network = estimator._task, estimator.module_
    sequences = task.as_network_input(sequences)
    if not hasattr(network, "embedding"):  # which reads symbols
        check_range(
            sequences,
            estimator_name=type(estimator).__name__,
            center=network.center.cpu().numpy(),
            factor=network.factor.cpu().numpy(),
            dtype=task.dtype,
        )
    return sequences


def check_outputs(estimator, values, lengths):
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
    raise overflow_error(estimator, place)


def overflow_error(estimator, place):
    """Return the error for values that overflowed, as states of ReLU units may."""
    return InvalidSequenceError(
        f"{type(estimator).__name__} with dtype={estimator._task.dtype!r} computes NaN "
        f"or infinity for {place}: its values are too large, or it is too long, for "
        "this network. Leave it out, bring X to another unit, or fit with another "
        "cell than 'rnn_relu', or with dtype='float64'."
    )
