"""All weights and all gradients as parts of one tensor each.

On small networks a call costs more than its arithmetic: with six weights, clipping,
zeroing and the optimizer are six times as many calls.
"""

from contextlib import ExitStack, contextmanager, nullcontext

import torch

from sklearn_rnn.kernels import run_kernel
from sklearn_rnn.training._clipping import clip_gradients
from sklearn_rnn.training._compiled_optimizer import (
    begin_state,
    clip_compiled,
    count_updates,
    has_compiled_step,
    make_optimizer_struct,
)
from sklearn_rnn.training._eager import update_weights
from sklearn_rnn.training._embedding_rows import EmbeddingRows

# Weights begin at multiples of so many numbers, where registers are read fastest.
ALIGNMENT = 16


class SeparateWeights:
    """The weights of a network, each with a gradient of its own or none.

    Parameters
    ----------
    parameters : list of Parameter
        Those that training may change.

    Attributes
    ----------
    is_flat : bool
        Whether they lie in one tensor.
    """

    is_flat = False

    def __init__(self, parameters):
        self.parameters = parameters

    @property
    def values(self):
        """The weights, a list of tensors."""
        return [parameter.detach() for parameter in self.parameters]

    def owns_storage(self, parameters):
        """Return whether these are still the weights that training may change.

        Parameters
        ----------
        parameters : iterable of Parameter
            Those that the network has now.

        Returns
        -------
        bool
            False if some were replaced, moved, frozen or thawed.
        """
        return {id(p) for p in parameters} == {id(p) for p in self.parameters}

    def clear_gradients(self, every_row=False):
        """Begin a new gradient.

        Parameters
        ----------
        every_row : bool, default=False
            Ignored.
        """
        for parameter in self.parameters:
            parameter.grad = None

    def recording_rows(self):
        """Return a context in which a gradient is computed."""
        return nullcontext()

    def gradients(self):
        """Return the gradient.

        Returns
        -------
        list of Tensor
            To be changed in place.
        """
        return [p.grad for p in self.parameters if p.grad is not None]

    def clip(self, max_norm=None, max_value=None):
        """Bound the gradient.

        Parameters
        ----------
        max_norm, max_value : float, default=None
            As `clip_gradients` takes them.

        Returns
        -------
        norm : float
            Before.
        clipped : bool
            Whether a bound changed it.
        """
        return clip_gradients(self.gradients(), max_norm, max_value)


class FlatWeights(SeparateWeights):
    """The weights of a network as parts of one tensor, and so the gradients.

    Parameters
    ----------
    groups : list of list of Parameter
        All weights, by the optimizer's options. Data and gradients of those that are
        not frozen become views of this object's.
    row_wise : list of TokenEmbedding, default=()
        Embeddings of which an update changes only the rows that it read.

    Attributes
    ----------
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
    >>> weights.values[0].zero_()[:2]
    tensor([0., 0.])
    >>> layer(torch.ones(1)).item()
    0.0
    """

    is_flat = True

    def __init__(self, groups, row_wise=()):
        self._are_trained = [(p, p.requires_grad) for group in groups for p in group]
        trained = [[p for p in group if p.requires_grad] for group in groups]
        by_row = {id(embedding.weight): embedding for embedding in row_wise}
        # Row-wise weights lie behind all others, whose gradient so is one slice.
        blocks = [[p for p in group if id(p) not in by_row] for group in trained]
        rows = [(k, p) for k, ps in enumerate(trained) for p in ps if id(p) in by_row]
        blocks += [[parameter] for _, parameter in rows]
        super().__init__([parameter for block in blocks for parameter in block])
        self._leaf_shapes = [None] * len(groups) + [p.shape for _, p in rows]
        self._allocate(blocks)
        self._dense_gradient = self._gradient[: sum(self._leaf_sizes[: len(groups)])]
        self.leaves = [[leaf] for leaf in self._all_leaves[: len(groups)]]
        self.embeddings = []
        own = self._all_leaves[len(groups) :]
        for (k, parameter), leaf in zip(rows, own, strict=True):
            self.leaves[k].append(leaf)
            embedding = by_row[id(parameter)]
            self.embeddings.append(EmbeddingRows(embedding, leaf, leaf.grad))

    def _allocate(self, blocks):
        """Let the weights of each block lie side by side, as one leaf."""
        sizes = [[_aligned(p.numel()) for p in block] for block in blocks]
        self._leaf_sizes = [sum(block_sizes) for block_sizes in sizes]
        first = self.parameters[0]
        n_values = sum(self._leaf_sizes)
        self._flat = torch.zeros(n_values, dtype=first.dtype, device=first.device)
        self._gradient = torch.zeros_like(self._flat)
        self._views, self._layout = [], []
        begin = 0
        for block, block_sizes in zip(blocks, sizes, strict=True):
            for parameter, size in zip(block, block_sizes, strict=True):
                self._take_in(parameter, begin)
                begin += size
        self._all_leaves = [torch.nn.Parameter(v) for v in self._leaf_views(self._flat)]
        self._leaf_gradients = self._leaf_views(self._gradient)
        for leaf, gradient in zip(self._all_leaves, self._leaf_gradients, strict=True):
            leaf.grad = gradient

    @torch.no_grad()
    def _take_in(self, parameter, begin):
        inside = slice(begin, begin + parameter.numel())
        value = self._flat[inside].view(parameter.shape)
        value.copy_(parameter)
        parameter.data = value
        parameter.grad = self._gradient[inside].view(parameter.shape)
        self._views.append(parameter.grad)
        self._layout.append(self._place(parameter))

    def _place(self, parameter):
        """Return where a weight lies, relative to the flat tensor, and its layout.

        Relative: a copy of this object in another process may be anywhere.
        """
        offset = parameter.data_ptr() - self._flat.data_ptr()
        return offset, parameter.dtype, parameter.shape, parameter.stride()

    @property
    def values(self):
        """The weights, a list of one tensor."""
        return [self._flat]

    def owns_storage(self, parameters):
        """Return whether these are still the weights that training may change.

        Parameters
        ----------
        parameters : iterable of Parameter
            Those that the network has now.

        Returns
        -------
        bool
            False if some were replaced, moved, frozen or thawed.
        """
        known = {id(p): is_trained for p, is_trained in self._are_trained}
        found = {id(p): p.requires_grad for p in parameters}
        views = self._leaf_views(self._flat)
        return (
            found == known
            and [self._place(p) for p in self.parameters] == self._layout
            and [(leaf.data_ptr(), leaf.shape) for leaf in self._all_leaves]
            == [(view.data_ptr(), view.shape) for view in views]
        )

    def _leaf_views(self, flat):
        """Return the parts of a flat tensor that belong to the leaves."""
        return [
            part if shape is None else part[: shape.numel()].view(shape)
            for part, shape in zip(
                flat.split(self._leaf_sizes), self._leaf_shapes, strict=True
            )
        ]

    def clear_gradients(self, every_row=False):
        """Begin a new gradient.

        Parameters
        ----------
        every_row : bool, default=False
            Whether something else than training may have put other gradients in
            place, or values into rows of embeddings that were not read.
        """
        if every_row:
            self._restore_gradients()
        self._dense_gradient.zero_()
        for embedding in self.embeddings:
            embedding.clear(every_row)

    def _restore_gradients(self):
        """Let weights and leaves have the gradients that lie side by side."""
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view
        for leaf, gradient in zip(self._all_leaves, self._leaf_gradients, strict=True):
            leaf.grad = gradient

    @contextmanager
    def recording_rows(self):
        """Return a context in which a gradient is computed.

        In it, row-wise embeddings note what they read.
        """
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.recording())
            yield

    def update(self, optimizer):
        """Let an optimizer change the weights.

        Of a row-wise embedding it changes the rows that were read, in weights and
        state, and leaves the others as they are: they have no weight decay in this
        update, and as they would miss what momentum brings later, all of a gradient's
        effect comes at once (see `steady_momentum`). Counts of steps, as for Adam's
        bias correction, are of all updates.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Of the leaves.
        """
        if not self._are_leaves_of(optimizer):  # a callback made another one
            update_weights(optimizer)
            return
        if self.embeddings:
            begin_state(optimizer)
        with ExitStack() as stack:
            for embedding in self.embeddings:
                stack.enter_context(embedding.as_only_rows(optimizer))
            self._step(optimizer)

    def _are_leaves_of(self, optimizer):
        """Return whether an optimizer changes the leaves and nothing else."""
        found = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        return found == [[id(leaf) for leaf in group] for group in self.leaves]

    def _step(self, optimizer):
        """Make a step of the optimizer of the leaves."""
        update_weights(optimizer)

    def clip(self, max_norm=None, max_value=None):
        """Bound the gradient.

        Parameters
        ----------
        max_norm, max_value : float, default=None
            As `clip_gradients` takes them.

        Returns
        -------
        norm : float
            Before, of the gradient that `update` uses.
        clipped : bool
            Whether a bound changed it.
        """
        gradients = self.gradients()
        norm, clipped = self._clip(gradients, max_norm, max_value)
        if clipped is not False:  # on a GPU a tensor, which is not looked at
            rows = gradients[1:]
            for embedding, gradient in zip(self.embeddings, rows, strict=True):
                embedding.store_gradient(gradient)
        return norm, clipped

    def make_optimizer(self, optimizer):
        """Return what compiled kernels need to make steps of an optimizer: nothing."""
        return None

    def _clip(self, gradients, max_norm, max_value):
        """Bound gradients in place; return their norm, and whether one was bound."""
        return clip_gradients(gradients, max_norm, max_value)

    def gradients(self):
        """Return the gradient.

        Returns
        -------
        list of Tensor
            All but row-wise embeddings, to be changed in place; then of each of these
            a copy of the rows that were read.
        """
        for parameter, view in zip(self.parameters, self._views, strict=True):
            if parameter.grad is not view:  # a callback put another one there
                if parameter.grad is None:
                    view.zero_()
                else:
                    view.copy_(parameter.grad)
                parameter.grad = view
        # After the optimizer's zero_grad there would be none, and no step either.
        for leaf, gradient in zip(self._all_leaves, self._leaf_gradients, strict=True):
            if leaf.grad is not gradient:
                leaf.grad = gradient
        rows = [embedding.gather_gradient() for embedding in self.embeddings]
        return [self._dense_gradient, *rows]


class CompiledWeights(FlatWeights):
    """Flat weights on the CPU, clipped and updated by the compiled kernels.

    Parameters
    ----------
    groups : list of list of Parameter
        As for `FlatWeights`.
    row_wise : list of TokenEmbedding, default=()
        As for `FlatWeights`.
    """

    def _clip(self, gradients, max_norm, max_value):
        """Bound gradients in place; return their norm, and whether one was bound."""
        return clip_compiled(gradients, max_norm, max_value)

    def _step(self, optimizer):
        """Make a step of the optimizer of the leaves."""
        is_compiled = has_compiled_step(optimizer)
        struct = make_optimizer_struct(optimizer) if is_compiled else None
        if struct is None:
            update_weights(optimizer)
            return
        run_kernel("update", struct)
        count_updates(optimizer, 1)

    def make_optimizer(self, optimizer):
        """Return what the kernels need to make many steps of an optimizer.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Any.

        Returns
        -------
        ctypes.Structure or None
            None if torch has to make them.
        """
        if not self._are_leaves_of(optimizer) or not has_compiled_step(optimizer):
            return None
        self.gradients()
        return make_optimizer_struct(optimizer, [rows.leaf for rows in self.embeddings])


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT
