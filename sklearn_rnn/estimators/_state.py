"""A trained net as plain NumPy, for pickles that load anywhere."""

import numpy as np
import torch

from sklearn_rnn.estimators._access import shared
from sklearn_rnn.kernels import rename_kernel, usable_kernel
from sklearn_rnn.modules import build_network
from sklearn_rnn.training import (
    check_optimizer_state,
    get_optimizer_state,
    load_optimizer_state,
    usable_device,
)

# Values of parameters that models had before version 0.7, which has them.
BEFORE_0_7 = {
    "linear_skip": False,
    "scale_windows": False,
    "convolutions": None,
    "categorical_features": None,
}

# Of weights, gradients and outputs.
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "mixed": torch.float32,
}


class PortableState:
    """Pickling for estimators that hold a net: plain NumPy and parameters.

    The net is built anew when the pickle is loaded, so it loads on a machine
    without the device that it was trained on.
    """

    @shared
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:
            net = state.pop("net_")
            del state["module_"]
            self._check_loadable(net.module_)
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

    def _check_loadable(self, network):
        """Check that a copy's network could take over the weights of this one."""
        shapes, found = (
            {name: tuple(weight.shape) for name, weight in n.state_dict().items()}
            for n in (self._empty_network(), network)
        )
        changed = sorted(dict(shapes.items() ^ found.items()))
        if changed:
            first = changed[0]
            raise ValueError(
                f"{type(self).__name__} cannot be copied or pickled: its network was "
                f"changed in {len(changed)} weights, such as {first!r}, of shape "
                f"{found.get(first, 'none')} instead of {shapes.get(first, 'none')}. "
                "Build the network by the parameters of the estimator, or save module_ "
                "with torch.save."
            )

    def _empty_network(self):
        """Return a network to load weights into."""
        return build_network(self._network_spec, DTYPES[self._torch_dtype])

    def __setstate__(self, state):
        state = dict(state)
        saved = state.pop("_saved_net", None)
        # Pickles of version 0.5 have none, those of 0.6 another name.
        state["kernel"] = rename_kernel(state.get("kernel", "auto"))
        names = self._get_param_names()
        missing = {k: v for k, v in BEFORE_0_7.items() if k in names and k not in state}
        state.update(missing)
        super().__setstate__(state)
        if saved is None:
            return
        network = self._empty_network()
        network.load_state_dict(to_torch(saved["weights"]))
        weights = dict(network.named_parameters())
        for name, is_trained in saved.get("requires_grad", {}).items():
            weights[name].requires_grad_(is_trained)
        device = usable_device(self.device)
        # After set_params(kernel=...) it may be one that mixed precision refuses.
        kernel = "auto" if self._torch_dtype == "mixed" else self.kernel
        n_parameters = self.n_parameters_
        self._make_net(network, device=device, kernel=usable_kernel(kernel))
        self.n_parameters_ = n_parameters  # as fit counted, whatever was frozen since
        self.module_.eval()
        _load_optimizer(self.net_, saved)


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
        return
    try:
        load_optimizer_state(optimizer, before)
        check_optimizer_state(optimizer)
    except ValueError:
        net.initialize_optimizer()


def _is_of_same_shape(one, other):
    """Return whether two optimizers' states are of as many tensors and groups.

    Up to version 0.5 each weight had its own.
    """
    sizes = ([len(g["params"]) for g in s["param_groups"]] for s in (one, other))
    return len({tuple(group_sizes) for group_sizes in sizes}) == 1


def to_numpy(tree):
    """Replace every tensor in nested dicts and lists by an array.

    Parameters
    ----------
    tree : dict, list, tuple, Tensor or object
        Say, a state dict.

    Returns
    -------
    object
        Of the same shape; arrays are copies.
    """
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu().numpy().copy()
    if isinstance(tree, dict):
        return {key: to_numpy(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_numpy(value) for value in tree)
    return tree


def to_torch(tree, device="cpu"):
    """Replace every array in nested dicts and lists by a tensor.

    Parameters
    ----------
    tree : object
        As `to_numpy` made it.
    device : torch.device or str, default="cpu"
        Where tensors go.

    Returns
    -------
    object
        Of the same shape.
    """
    if isinstance(tree, np.ndarray):
        # A copy: a memory-mapped pickle is read-only, and tensors must not be.
        return torch.from_numpy(tree.copy()).to(device)
    if isinstance(tree, dict):
        return {key: to_torch(value, device) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(to_torch(value, device) for value in tree)
    return tree
