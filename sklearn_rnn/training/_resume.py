"""All that a training run needs to continue in another process.

Datasets, the order of the parameters and the options are made again from the data and
the parameters; the rest is here: weights, the optimizer's state, the place in the
schedule, random generators, patience, the best weights, the history and what callbacks
keep.
"""

import types
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch.callbacks import LRScheduler

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._plain_state import describe
from sklearn_rnn._plain_tree import PlainReader, PlainWriter
from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.training._datasets import BatchIterator
from sklearn_rnn.training._optimizers import (
    check_optimizer_state,
    get_optimizer_state,
    load_optimizer_state,
)
from sklearn_rnn.training._progress import EpochLines, ProgressBar

# What callbacks hold that training does not change: code.
CONSTANT = (
    *(type, partial, types.FunctionType, types.BuiltinFunctionType),
    *(types.MethodType, types.ModuleType),
)
# Of a training run; the first are of batches, the last is set by early stopping.
COUNTERS = "_n_batches_done", "_n_batches", "_cool_down"


class TrainingRun(NamedTuple):
    """A training run of a net, between two epochs.

    net : SequenceNet
    batches : BatchIterator, of the training data
    finished, best : WeightSnapshot, of the last epoch, and of the best or None
    """

    net: Any
    batches: BatchIterator
    finished: Any
    best: Any


class StateWriter(PlainWriter):
    """Writes tensors as well, and objects of `parameters` by their names."""

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._parameters = dict(parameters or {})

    def _write_object(self, value, path):
        for name, parameter in self._parameters.items():
            if value is parameter:
                return {"parameter": name}
        if not isinstance(value, torch.Tensor):
            return super()._write_object(value, path)
        try:
            array = value.detach().cpu().numpy()
        except TypeError as error:  # bfloat16, which NumPy does not have
            raise InvalidModelError(f"{path}: {error}") from error
        return {"tensor": self.write(array, path)}


class StateReader(PlainReader):
    """Reads what `StateWriter` wrote."""

    def __init__(
        self, parameters: Mapping[str, Any], tensors: dict[str, np.ndarray]
    ) -> None:
        super().__init__(tensors)
        self._readers |= {
            "tensor": self._parse_tensor,
            "parameter": lambda node, path: parameters[node["parameter"]],
        }

    def _parse_tensor(self, node, path):
        # A copy, aligned as torch aligns tensors.
        return torch.from_numpy(np.array(self.parse(node["tensor"], path))).clone()


def pack_run(run: TrainingRun) -> dict[str, Any]:
    """Return the state of a training run after an epoch; tensors are not copied."""
    net, module = run.net, run.net.module_
    weights = dict(module.state_dict())
    finished = run.finished.copies
    if all(torch.equal(finished[name], weights[name]) for name in finished):
        finished = None
    # A callback may have frozen weights: then the next epoch makes a new optimizer.
    is_kept = net._weights.owns_storage(list(module.parameters()))
    optimizer = _as_dicts(get_optimizer_state(net.optimizer_)) if is_kept else None
    return {
        "weights": weights,
        "requires_grad": {n: p.requires_grad for n, p in module.named_parameters()},
        "finished": finished,
        "best": None if run.best is None else run.best.copies,
        "optimizer": optimizer,
        "counters": {name: getattr(net, name) for name in COUNTERS},
        "patience": None if net.patience is None else dict(vars(net.patience)),
        "random_state": net.random_state,
        "shortest_first": run.batches.shortest_first,
        "generators": [_pack_generator(g) for g in _generators(module)],
        "history": list(net.history),
        "callbacks": pack_callbacks(net),
    }


def unpack_run(run: TrainingRun, state: dict[str, Any]) -> None:
    """Let a training run that has just begun continue from a state."""
    net, module = run.net, run.net.module_
    module.load_state_dict(state["weights"])
    parameters = dict(module.named_parameters())
    for name, requires_grad in state["requires_grad"].items():
        parameters[name].requires_grad_(requires_grad)
    if state["optimizer"] is not None:
        if not net._weights.owns_storage(list(parameters.values())):
            net.initialize_optimizer()
        load_optimizer_state(net.optimizer_, state["optimizer"])
        check_optimizer_state(net.optimizer_)
    run.finished.save()
    for snapshot, copies in ((run.finished, "finished"), (run.best, "best")):
        if snapshot is not None and state[copies] is not None:
            snapshot.load(state[copies])
    vars(net).update(state["counters"])
    if net.patience is not None:
        vars(net.patience).update(state["patience"])
    _unpack_random_state(net.random_state, state["random_state"])
    run.batches.shortest_first = state["shortest_first"]
    generators = _generators(module)
    for generator, saved in zip(generators, state["generators"], strict=True):
        _unpack_generator(generator, saved)
    net.history.extend(state["history"])
    unpack_callbacks(net, state["callbacks"])


def _as_dicts(tree):
    """Return nested mappings as dicts, which are plain."""
    if isinstance(tree, Mapping):
        return {key: _as_dicts(value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(_as_dicts(value) for value in tree)
    return tree


# Random generators


def _generators(module):
    """Return the generators of a network's dropout and sampled symbols, each once."""
    found: dict[int, Any] = {}
    for part in module.modules():
        for name in ("dropout_generator", "generator"):
            generator = getattr(part, name, None)
            if isinstance(generator, (CounterGenerator, torch.Generator)):
                found.setdefault(id(generator), generator)
    return list(found.values())


def _pack_generator(generator):
    if isinstance(generator, CounterGenerator):
        return [generator.seed, generator.update]
    return generator.get_state()


def _unpack_generator(generator, saved):
    if isinstance(generator, CounterGenerator):
        generator.seed, generator.update = saved
    else:
        generator.set_state(saved)


def _unpack_random_state(random_state, saved):
    # In place: the batches draw from the same object.
    if random_state is not None:
        random_state.set_state(saved.get_state())


# Callbacks


def pack_callbacks(net: Any) -> dict[str, Any]:
    """Return what the callbacks of a net keep, by name.

    Raises
    ------
    InvalidModelError
        If one keeps what is not plain.
    """
    return {
        name: _pack_callback(name, callback)
        for name, callback in net.callbacks_
        if not isinstance(callback, (EpochLines, ProgressBar))
    }


def unpack_callbacks(net: Any, states: dict[str, Any]) -> None:
    """Let the callbacks of a net, which were told that training begins, have it."""
    for name, callback in net.callbacks_:
        if isinstance(callback, ProgressBar):
            callback.bar_.update(len(net.history))
        if name in states:
            _unpack_callback(callback, states[name])


def _pack_callback(name, callback):
    if _has_state_dict(callback):
        return _pack_kept(callback.state_dict(), f"callback {name!r}", "its state")
    where = f"callback {name!r}"
    options = {"kwargs"} if isinstance(callback, LRScheduler) else set()
    return {
        attribute: _pack_kept(value, where, attribute)
        for attribute, value in vars(callback).items()
        if attribute not in options and not isinstance(value, CONSTANT)
    }


def _pack_kept(value, where, attribute):
    """Return what a callback keeps under a name, after checking that it is plain."""
    value = _as_dicts(value.state_dict() if _has_state_dict(value) else value)
    try:
        StateWriter().write(describe(value), attribute)
    except InvalidModelError as error:
        raise InvalidModelError(
            f"{where} keeps what a checkpoint cannot hold: {error} Give the callback "
            "methods state_dict and load_state_dict, or set checkpoint=None."
        ) from error
    return value


def _unpack_callback(callback, state):
    if _has_state_dict(callback):
        callback.load_state_dict(state)
        return
    kept = vars(callback)
    for attribute, value in state.items():
        before = kept.get(attribute)
        if _has_state_dict(before):
            before.load_state_dict(value)
        elif type(before) is type(value) and isinstance(value, list):
            before[:] = value  # others may hold the same list
        elif isinstance(before, (dict, set)) and isinstance(value, (dict, set)):
            before.clear()
            before.update(value)
        else:
            kept[attribute] = value


def _has_state_dict(value):
    is_object = not isinstance(value, type)
    return (
        is_object and hasattr(value, "state_dict") and hasattr(value, "load_state_dict")
    )
