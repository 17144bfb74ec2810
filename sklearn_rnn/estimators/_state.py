"""The state of an estimator in a pickle: plain NumPy, parameters and its task."""

import numpy as np
import torch

from sklearn_rnn._exceptions import InvalidModelError
from sklearn_rnn._logging import LOGGER
from sklearn_rnn.estimators._migrate import migrate, missing_params
from sklearn_rnn.estimators._network import make_net, usable_device
from sklearn_rnn.estimators.tasks import DTYPES
from sklearn_rnn.kernels import rename_kernel, usable_kernel
from sklearn_rnn.modules import build_network, weight_shapes
from sklearn_rnn.training import (
    check_optimizer_state,
    get_optimizer_state,
    load_optimizer_state,
)

RESTARTED = "%s was loaded without the state of its optimizer, which starts again"


def pack_net(estimator, state):
    """Return a state with the net as plain NumPy, for pickles that load anywhere."""
    if "net_" not in state:
        return state
    net = state.pop("net_")
    del state["module_"]
    _check_loadable(estimator, net.module_)
    state["_saved_net"] = {
        "weights": to_numpy(net.module_.state_dict()),
        "requires_grad": {
            name: parameter.requires_grad
            for name, parameter in net.module_.named_parameters()
        },
        "trained": net.trained_weights(),
        "optimizer": to_numpy(get_optimizer_state(net.optimizer_)),
        "optimizer_class": type(net.optimizer_).__name__,
    }
    return state


def complete_state(estimator, state):
    """Return the state of a pickle, and the net in it or None."""
    state = dict(state)
    saved = state.pop("_saved_net", None)
    # Pickles of version 0.5 have none, those of 0.6 another name.
    state["kernel"] = rename_kernel(state.get("kernel", "auto"))
    if saved is not None and "_task" not in state:
        state = migrate(estimator, state)
    return state | missing_params(estimator, state), saved


def unpack_net(estimator, saved):
    """Build the net of a pickle: on this machine, whatever it was trained on."""
    task = estimator._task
    _check_weights(task.network_spec, saved["weights"])
    network = build_network(task.network_spec, DTYPES[task.dtype])
    if hasattr(network, "embedding"):
        task.prepare_embedding(network.embedding)
    network.load_state_dict(to_torch(saved["weights"]))
    weights = dict(network.named_parameters())
    for name, is_trained in saved.get("requires_grad", {}).items():
        weights[name].requires_grad_(is_trained)
    # After set_params(kernel=...) it may be one that mixed precision refuses.
    kernel = "auto" if task.dtype == "mixed" else estimator.kernel
    n_parameters = estimator.n_parameters_
    device, kernel = usable_device(estimator.device), usable_kernel(kernel)
    network.mixed = task.dtype == "mixed"
    estimator.kernel_ = network.use_kernel(kernel, device, estimator.bptt_steps)
    make_net(estimator, network, task.loss(), device)
    estimator.n_parameters_ = n_parameters  # as fit counted, whatever was frozen since
    estimator.module_.eval()
    _load_optimizer(estimator.net_, saved)


def _check_loadable(estimator, network):
    """Check that a copy's network could take over the weights of this one."""
    shapes = weight_shapes(estimator._task.network_spec)
    found = {name: tuple(w.shape) for name, w in network.state_dict().items()}
    changed = sorted(dict(shapes.items() ^ found.items()))
    if changed:
        first = changed[0]
        raise ValueError(
            f"{type(estimator).__name__} cannot be copied or pickled: its network was "
            f"changed in {len(changed)} weights, such as {first!r}, of shape "
            f"{found.get(first, 'none')} instead of {shapes.get(first, 'none')}. "
            "Build the network by the parameters of the estimator, or save module_ "
            "with torch.save."
        )


def _check_weights(spec, weights):
    """Check that saved weights are those of a spec, before memory is taken for it."""
    if spec.n_layers > len(weights):
        raise InvalidModelError(
            f"a network of {spec.n_layers} layers was saved with {len(weights)} "
            "weights. The file is damaged; save the model again."
        )
    expected = weight_shapes(spec)
    for name in sorted(expected.keys() | weights.keys()):
        shape = np.shape(weights[name]) if name in weights else "none"
        if shape != expected.get(name, "none"):
            raise InvalidModelError(
                f"the weight {name!r} of a network has to be of shape "
                f"{expected.get(name, 'none')}, and one of shape {shape} was saved. "
                "The file is damaged; save the model again."
            )
        if weights[name].dtype.kind != "f" or not np.isfinite(weights[name]).all():
            raise InvalidModelError(
                f"the weight {name!r} of a network has to be of finite real numbers, "
                "and others were saved. Save a model that was trained to its end."
            )


def _load_optimizer(net, saved):
    """Load an optimizer's state, if it is of these weights; else it starts again.

    It belongs to one class, after ``set_params(optimizer=...)`` another, and to the
    weights that were trained last, of which some may have been frozen since.
    """
    optimizer, before = net.optimizer_, to_torch(saved["optimizer"])
    if (
        type(optimizer).__name__ != saved["optimizer_class"]
        or saved.get("trained", net.trained_weights()) != net.trained_weights()
        or not _is_of_same_shape(get_optimizer_state(optimizer), before)
    ):
        LOGGER.warning(RESTARTED, net.label)
        return
    try:
        load_optimizer_state(optimizer, before)
        check_optimizer_state(optimizer)
    except ValueError:
        LOGGER.warning(RESTARTED, net.label)
        net.initialize_optimizer()


def _is_of_same_shape(one, other):
    """Return whether two optimizers' states are of as many tensors and groups.

    Up to version 0.5 each weight had its own.
    """
    sizes = ([len(g["params"]) for g in s["param_groups"]] for s in (one, other))
    return len({tuple(group_sizes) for group_sizes in sizes}) == 1


def to_numpy(tree):
    """Replace every tensor in nested dicts, lists and tuples by an array, a copy."""
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().numpy().copy()
    if isinstance(tree, dict):
        return {key: to_numpy(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_numpy(value) for value in tree)
    return tree


def to_torch(tree, device="cpu"):
    """Replace every array in nested dicts, lists and tuples by a tensor."""
    if isinstance(tree, np.ndarray):
        # A copy: a memory-mapped pickle is read-only, and tensors must not be.
        return torch.from_numpy(tree.copy()).to(device)
    if isinstance(tree, dict):
        return {key: to_torch(value, device) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_torch(value, device) for value in tree)
    return tree
