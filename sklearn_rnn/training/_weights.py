"""The weights of a network while it is trained.

On small networks a call costs more than its arithmetic: with six weights, clipping,
zeroing and the optimizer are six times as many calls. So all weights, and all
gradients, are views of one tensor each, unless something needs them one by one.
"""

from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext

import torch

from sklearn_rnn.kernels import run_kernel
from sklearn_rnn.modules import TiedHead, TokenEmbedding
from sklearn_rnn.training._embedding_rows import EmbeddingRows
from sklearn_rnn.training._optimizers import (
    begin_state,
    clip_compiled,
    clip_gradients,
    has_compiled_step,
    make_optimizer_struct,
    update_weights,
)

# Each weight begins at a multiple of this many elements, where vector registers are
# loaded fastest.
ALIGNMENT = 16


class SeparateWeights:
    """The weights of a network, each with a gradient of its own or none.

    For optimizers that may treat a weight as a whole, and for callbacks that select
    weights by name.

    Parameters
    ----------
    parameters : list of Parameter
        Those that training may change.
    """

    def __init__(self, parameters):
        self.parameters = parameters

    @property
    def tensors(self):
        """The values of the weights, a list of tensors."""
        return [parameter.detach() for parameter in self.parameters]

    def owns_storage(self, parameters):
        """Return whether the network still has these weights, none frozen or moved."""
        return {id(p) for p in parameters} == {id(p) for p in self.parameters}

    def clear_gradients(self, every_row=False):
        """Clear the gradient. `every_row` is for flat weights."""
        for parameter in self.parameters:
            parameter.grad = None

    def recording_rows(self):
        """Return a context in which a gradient is computed."""
        return nullcontext()

    def gradients(self):
        """Return the gradient, a list of tensors that may be changed in place."""
        return [p.grad for p in self.parameters if p.grad is not None]

    @torch.no_grad()
    def sum_gradients(self, processes):
        """Add up the gradient over processes, of which some may have none."""
        has_gradient = torch.tensor([int(p.grad is not None) for p in self.parameters])
        processes.maximum(has_gradient)
        trained = [
            parameter
            for parameter, has in zip(self.parameters, has_gradient, strict=True)
            if has
        ]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        _sum_together([parameter.grad for parameter in trained], processes)

    def clip(self, max_norm=None, max_value=None):
        """Clip the gradient; return its norm before, and whether it was clipped."""
        return clip_gradients(self.gradients(), max_norm, max_value)

    def step(self, optimizer, compute):
        """Let an optimizer change the weights; return the gradient that it used.

        `compute` fills in the gradient and returns a `Gradient`. An optimizer such as
        LBFGS calls it several times; the first result is returned.
        """
        results = []

        def closure():
            results.append(compute())
            return results[-1].loss

        optimizer.step(closure)
        return results[0]


class FlatWeights:
    """The weights of a network as views of one tensor, and so the gradients.

    Parameters
    ----------
    groups : list of list of Parameter
        All weights, by the optimizer's options. Data and gradients of those that are
        not frozen become views of this object's.
    row_wise : list of TokenEmbedding, default=()
        Embeddings of which an update changes only the rows that it read.
    compiled : bool, default=False
        Whether the compiled kernels clip and update the weights, which are on the CPU.

    Attributes
    ----------
    tensors : list of Tensor
        The values of the weights, one tensor.
    leaves : list of list of Parameter
        What an optimizer is to change, by group: first the group's weights side by
        side as one vector, then each of its row-wise embeddings, (n_rows,
        embedding_dim). Their gradients are always there.
    embeddings : list of EmbeddingRows
        One per row-wise embedding: its leaf, its gradient and the rows that were
        read. What computes a gradient without calling the embedding has to `add`
        the rows before `clip` and `update`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.training import FlatWeights
    >>> layer = torch.nn.Linear(1, 1)
    >>> weights = FlatWeights([[layer.weight], [layer.bias]])
    >>> weights.tensors[0].zero_()[:2]
    tensor([0., 0.])
    >>> layer(torch.ones(1)).item()
    0.0
    """

    def __init__(self, groups, row_wise=(), compiled=False):
        self._compiled = compiled
        self._requires_grad = [(p, p.requires_grad) for group in groups for p in group]
        trained = [[p for p in group if p.requires_grad] for group in groups]
        by_row = {id(embedding.weight): embedding for embedding in row_wise}
        # Row-wise weights lie behind all others, whose gradient so is one slice.
        dense = [[p for p in group if id(p) not in by_row] for group in trained]
        rows = [(k, [p]) for k, ps in enumerate(trained) for p in ps if id(p) in by_row]
        blocks = [*enumerate(dense), *rows]
        self.parameters = [parameter for _, block in blocks for parameter in block]
        sizes = {p: -(-p.numel() // ALIGNMENT) * ALIGNMENT for p in self.parameters}
        first, n_elements = self.parameters[0], sum(sizes.values())
        self._flat = torch.zeros(n_elements, dtype=first.dtype, device=first.device)
        self._gradient = torch.zeros_like(self._flat)
        self.tensors = [self._flat]
        # Each with its gradient: views at the same offset in these two.
        self._weight_views: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._leaf_views: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.leaves: list[list[torch.nn.Parameter]] = [[] for _ in groups]
        self.embeddings: list[EmbeddingRows] = []
        end = 0
        for k, block in blocks:
            begin = end
            for parameter in block:
                inside = slice(end, end + parameter.numel())
                values = self._flat[inside].view(parameter.shape)
                gradient = self._gradient[inside].view(parameter.shape)
                parameter.data = values.copy_(parameter.detach())
                parameter.grad = gradient
                self._weight_views.append((parameter, gradient))
                end += sizes[parameter]
            embedding = by_row.get(id(block[0])) if block else None
            if embedding is None:  # with the gaps, which stay 0
                values, gradient = self._flat[begin:end], self._gradient[begin:end]
            leaf = torch.nn.Parameter(values)
            leaf.grad = gradient
            self._leaf_views.append((leaf, gradient))
            self.leaves[k].append(leaf)
            if embedding is not None:
                self.embeddings.append(EmbeddingRows(embedding, leaf, gradient))
        n_dense = sum(leaves[0].numel() for leaves in self.leaves)
        self._dense_gradient = self._gradient[:n_dense]

    def owns_storage(self, parameters):
        """Return whether the network still has these weights, none frozen or moved."""
        known = {id(p): requires_grad for p, requires_grad in self._requires_grad}
        found = {id(p): p.requires_grad for p in parameters}
        values_at, gradient_at = self._flat.data_ptr(), self._gradient.data_ptr()
        # Not their addresses: a copy of this object in another process may be anywhere.
        return found == known and all(
            values.data_ptr() - values_at == gradient.data_ptr() - gradient_at
            and values.dtype == gradient.dtype
            and values.shape == gradient.shape
            and values.stride() == gradient.stride()
            for values, gradient in (*self._weight_views, *self._leaf_views)
            if gradient.numel()
        )

    def clear_gradients(self, every_row=False):
        """Clear the gradient.

        With `every_row` also where a callback may have replaced gradients, or written
        to rows of embeddings that were not read.
        """
        if every_row:
            for parameter, gradient in (*self._weight_views, *self._leaf_views):
                parameter.grad = gradient
        self._dense_gradient.zero_()
        for embedding in self.embeddings:
            embedding.clear(every_row)

    @contextmanager
    def recording_rows(self):
        """Let row-wise embeddings record what they read in this context."""
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.recording())
            yield

    def gradients(self):
        """Return the gradient, a list of tensors.

        The first, of all but row-wise embeddings, may be changed in place; the others
        are copies of the rows of each of these that were read.
        """
        for parameter, gradient in self._weight_views:
            if parameter.grad is not gradient:  # a callback put another one there
                if parameter.grad is None:
                    gradient.zero_()
                else:
                    gradient.copy_(parameter.grad)
                parameter.grad = gradient
        # After the optimizer's zero_grad there would be none, and no step either.
        for leaf, gradient in self._leaf_views:
            leaf.grad = gradient
        rows = [embedding.gather_gradient() for embedding in self.embeddings]
        return [self._dense_gradient, *rows]

    @torch.no_grad()
    def sum_gradients(self, processes):
        """Add up the gradient over processes."""
        for embedding in self.embeddings:
            embedding.join_rows(processes)
        dense, *rows = self.gradients()
        if not rows:
            processes.sum(dense)
            return
        _sum_together([dense, *rows], processes)
        for embedding, gradient in zip(self.embeddings, rows, strict=True):
            embedding.store_gradient(gradient)

    def clip(self, max_norm=None, max_value=None):
        """Clip the gradient; return its norm before, and whether it was clipped."""
        gradients = self.gradients()
        clip = clip_compiled if self._compiled else clip_gradients
        norm, clipped = clip(gradients, max_norm, max_value)
        if clipped is not False:  # on a GPU a tensor: to read it would wait for the GPU
            rows = gradients[1:]
            for embedding, gradient in zip(self.embeddings, rows, strict=True):
                embedding.store_gradient(gradient)
        return norm, clipped

    def step(self, optimizer, compute):
        """Let an optimizer change the weights; return the gradient that it used."""
        gradient = compute()
        self.update(optimizer)
        return gradient

    def update(self, optimizer):
        """Let an optimizer change the weights.

        Of a row-wise embedding it changes the rows that were read, in weights and
        state, and leaves the others as they are: they have no weight decay in this
        update, and as they would miss what momentum brings later, all of a gradient's
        effect comes at once (see `steady_momentum`). Counts of steps, as for Adam's
        bias correction, are of all updates.
        """
        if not self._are_leaves_of(optimizer):  # a callback made another one
            update_weights(optimizer)
            return
        if self.embeddings:
            begin_state(optimizer)
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.as_only_rows(optimizer))
            self._update_leaves(optimizer)

    def _update_leaves(self, optimizer):
        struct = None
        if self._compiled and has_compiled_step(optimizer):
            struct = make_optimizer_struct(optimizer)
        if struct is None:
            update_weights(optimizer)
            return
        run_kernel("update", struct)
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if "step" in optimizer.state[weight]:
                    optimizer.state[weight]["step"] += 1

    def _are_leaves_of(self, optimizer):
        """Return whether an optimizer changes the leaves and nothing else."""
        found = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        return found == [[id(leaf) for leaf in group] for group in self.leaves]

    def compile_optimizer(self, optimizer):
        """Return the struct with which the kernels update weights, None for torch."""
        if not (
            self._compiled
            and self._are_leaves_of(optimizer)
            and has_compiled_step(optimizer)
        ):
            return None
        self.gradients()
        return make_optimizer_struct(optimizer, [rows.leaf for rows in self.embeddings])


def _sum_together(tensors, processes):
    """Add up tensors over processes in place, in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    processes.sum(flat)
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


def find_row_wise(network):
    """Return the trained embeddings that can be updated row by row.

    Not those that an output layer or another module shares, of which all rows have a
    gradient.

    Examples
    --------
    >>> import torch
    >>> from sklearn_rnn.modules import TiedHead, TokenEmbedding
    >>> from sklearn_rnn.training import find_row_wise
    >>> embedding = TokenEmbedding(n_tokens=5, embedding_dim=2)
    >>> len(find_row_wise(embedding))
    1
    >>> network = torch.nn.ModuleList([embedding, TiedHead(embedding, state_size=2)])
    >>> find_row_wise(network)
    []
    """
    modules = list(network.modules())
    n_owners = Counter(id(p) for m in modules for p in m.parameters(recurse=False))
    tied = [module.embedding for module in modules if isinstance(module, TiedHead)]
    return [
        module
        for module in modules
        if type(module) is TokenEmbedding
        and module.weight.requires_grad
        and n_owners[id(module.weight)] == 1
        and not any(module is embedding for embedding in tied)
    ]
