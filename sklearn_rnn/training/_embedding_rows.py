"""Embeddings of which an update changes only the rows that the batch read.

A batch reads some hundred rows of an embedding that may have 100,000. The others have
no gradient, and clearing, clipping and applying a dense one would take most of the
time.
"""

from contextlib import contextmanager

import torch

from sklearn_rnn.modules import has_gradient_hooks


class EmbeddingRows:
    """One embedding's part of the flat weights, updated row by row.

    The optimizer's state has all rows. For an update, the rows that the batch read are
    gathered into a small tensor, with their gradient and state, and written back
    afterwards; so this works with every elementwise optimizer.

    Parameters
    ----------
    embedding : TokenEmbedding
        Whose weight it is.
    leaf : Parameter of shape (n_rows, embedding_dim)
        The optimizer's parameter; it shares memory with the weight.
    gradient : Tensor of shape (n_rows, embedding_dim)
        The dense gradient; zero but for rows that were read since it was cleared.
    """

    def __init__(self, embedding, leaf, gradient):
        self.embedding = embedding
        self.leaf = leaf
        self.gradient = gradient
        self._tokens, self._rows = [], None

    @contextmanager
    def recording(self):
        """Let the embedding record the rows that it reads, and add to them only."""
        self.embedding.reader = self
        try:
            yield
        finally:
            self.embedding.reader = None

    def add(self, tokens):
        """Record that rows have a gradient: indices of any shape, may be repeated."""
        self._tokens.append(tokens.detach().reshape(-1))
        self._rows = None

    @property
    def rows(self):
        """The rows that were read since the gradient was cleared, in order."""
        if self._rows is None:
            parts = self._tokens or [torch.empty(0, dtype=torch.long)]
            rows = torch.cat(parts).unique().to(self.leaf.device)
            self._tokens, self._rows = [rows], rows
        return self._rows

    def join_rows(self, processes):
        """Add the rows that other processes read."""
        is_read = torch.zeros(len(self.leaf), dtype=torch.uint8)
        is_read[self.rows] = 1
        processes.maximum(is_read)
        self.add(is_read.nonzero())

    def clear(self, every_row=False):
        """Clear the gradient; with `every_row` also in rows that were not read."""
        if every_row or has_gradient_hooks(self.embedding.weight):
            self.gradient.zero_()
        elif self._tokens:
            self.gradient.index_fill_(0, self.rows, 0.0)
        self._tokens, self._rows = [], None

    def gather_gradient(self):
        """Return the gradient of the rows that were read, a copy."""
        return self.gradient.index_select(0, self.rows)

    def store_gradient(self, values):
        """Set the gradient of the rows that were read."""
        self.gradient.index_copy_(0, self.rows, values)

    @contextmanager
    def as_only_rows(self, optimizer):
        """Replace the leaf by a copy of the rows that were read, with their state.

        So the optimizer changes no others.
        """
        state = optimizer.state.get(self.leaf, {})
        group, k = next(
            (group, k)
            for group in optimizer.param_groups
            for k, leaf in enumerate(group["params"])
            if leaf is self.leaf
        )
        rows, rows_state = self._gather(optimizer, group, state)
        group["params"][k] = rows
        if rows_state:
            optimizer.state[rows] = rows_state
        try:
            yield
            self._scatter(rows, optimizer.state.get(rows, {}), state)
            if state:
                optimizer.state[self.leaf] = state
        finally:
            group["params"][k] = self.leaf
            optimizer.state.pop(rows, None)

    @torch.no_grad()
    def _gather(self, optimizer, group, state):
        """Return the rows that were read, with their gradient, and their state.

        State per element is a copy; the rest, such as the step count, is that of all
        rows.
        """
        rows = torch.nn.Parameter(self.leaf.index_select(0, self.rows))
        rows.grad = self.gather_gradient()
        rows_state = {
            name: value.index_select(0, self.rows)
            if self._is_per_element(value)
            else value
            for name, value in state.items()
        }
        rows_state.update(steady_momentum(optimizer, rows, group, state))
        return rows, rows_state

    @torch.no_grad()
    def _scatter(self, rows, rows_state, state):
        """Write back what an update changed.

        State that the first update creates is zero in the other rows, as if their
        gradient had been zero.
        """
        self.leaf.index_copy_(0, self.rows, rows)
        for name, value in rows_state.items():
            if not torch.is_tensor(value) or value.shape != rows.shape:
                state[name] = value
                continue
            if not self._is_per_element(state.get(name)):
                state[name] = torch.zeros_like(self.leaf, dtype=value.dtype)
            state[name].index_copy_(0, self.rows, value)

    def _is_per_element(self, value):
        return torch.is_tensor(value) and value.shape == self.leaf.shape


def steady_momentum(optimizer, rows, group, state):
    """Return the state in which the momentum of rows is that of a constant gradient.

    Momentum spreads the effect of a gradient over the updates that follow. A row that
    few batches read would never get the rest of it, so a row's gradient has all of its
    effect at once: that of Adam with ``betas=(0, beta_2)``, and of SGD with the
    learning rate divided by ``1 - momentum``.
    """
    gradient = rows.grad
    if group.get("weight_decay") and not decouples_decay(optimizer, group):
        gradient = gradient + group["weight_decay"] * rows.detach()
    if group.get("momentum"):
        return {"momentum_buffer": gradient / (1 - group["momentum"])}
    if "exp_avg" not in state:  # Adam's first update has no momentum
        return {}
    decay = group["betas"][0] ** float(state["step"])
    return {"exp_avg": gradient * (1 - decay)}


def decouples_decay(optimizer, group):
    """Return whether weight decay bypasses the gradient, as in AdamW.

    From torch 2.7 this is an option of Adam; before, AdamW was a class of its own.
    """
    is_adamw = isinstance(optimizer, torch.optim.AdamW)
    return is_adamw or bool(group.get("decoupled_weight_decay"))
