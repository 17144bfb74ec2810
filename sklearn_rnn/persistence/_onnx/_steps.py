"""Sequences in a graph: padded ones, or the newest step of running ones."""

from abc import ABC, abstractmethod

import numpy as np

from sklearn_rnn.persistence._onnx._graph import DOUBLE, FLOAT, INT, Graph, Value


class Steps(ABC):
    """The steps that a model reads, in a graph.

    Attributes
    ----------
    graph : Graph
        Where they are.
    values : Value of shape (N, T, F), or (N, T) of ids of tokens
        Numbers in double; padding repeats the last step of its sequence.
    lengths : Value of shape (N,)
        Steps of each sequence.
    """

    graph: Graph
    values: Value
    lengths: Value

    @abstractmethod
    def last_steps(self, n_steps: int) -> Value:
        """Return the last steps (N, n_steps, F); a first step is repeated in front."""

    def last_step(self) -> Value:
        """Return the last step (N, F) of each sequence."""
        return self.last_steps(1).squeeze(1)

    def inside(self) -> Value:
        """Return a mask (N, T) that is False at padding."""
        steps = self.graph.range(self.values.length(1))
        return steps.expand(0) < self.lengths.expand(1)


class PaddedSequences(Steps):
    """Whole sequences of unequal length.

    Parameters
    ----------
    graph : Graph
        To which the inputs ``X`` and ``lengths`` are added.
    reader : InputReader
        Reads the steps.
    """

    def __init__(self, graph, reader):
        self.graph = graph
        given = reader.add_input(graph, "X", ["N", "T"])
        self.lengths = graph.input(
            "lengths", INT, ["N"], "Steps of each sequence, from 1 to T."
        )
        n_steps = given.length(1)
        index = graph.range(n_steps).expand(0).minimum(self.lengths.expand(1) - 1)
        # Lengths that there are not become indices that there are not: an error.
        is_wrong = (self.lengths < 1) | (self.lengths > n_steps)
        index = graph.where(is_wrong.expand(1), n_steps, index)
        if reader.reads_tokens:
            given = given.expand(2)
        given = given.rows_at(index)
        self.values = given.squeeze(2) if reader.reads_tokens else reader.parse(given)

    def last_steps(self, n_steps):
        index = self.lengths.expand(1) + np.arange(-n_steps, 0)[np.newaxis]
        return self.values.rows_at(index.maximum(0))


class NewestStep(Steps):
    """The newest step of each stream, and a state that tells of those before.

    All states are zeros before the first step. Each is a part of one tensor.

    Parameters
    ----------
    graph : Graph
        To which the inputs ``X`` and, by `finish`, ``state`` are added.
    reader : InputReader
        Reads the step.
    """

    def __init__(self, graph, reader):
        self.graph = graph
        given = reader.add_input(graph, "X", ["N"]).expand(1)
        self.values = given if reader.reads_tokens else reader.parse(given)
        self.lengths = graph.fill(given.length(0), np.int64(1))
        self._state = Value(graph, "state", FLOAT)
        self._kept: list[Value] = []
        self.state_size = 0
        self.n_features = reader.n_features
        # More than 2**24 steps are not told apart in float32, nor need they be.
        n_before = self.carry(1)
        self.has_begun, self.n_steps = n_before > 0, n_before + 1
        self.keep(self.n_steps)

    def carry(self, size: int) -> Value:
        """Return a part (N, size) of the state after the last step."""
        begin, self.state_size = self.state_size, self.state_size + size
        return self._state.part(begin, self.state_size, 1)

    def keep(self, value: Value) -> None:
        """Keep the new value (N, size) of a part, in the order of `carry`."""
        self._kept.append(value)

    def last_steps(self, n_steps):
        if n_steps == 1:
            return self.values
        shape = n_steps, self.n_features
        before = self.carry(n_steps * self.n_features).reshape(-1, *shape)
        older = before.part(1, n_steps, 1).cast(DOUBLE)
        moved = self.graph.concatenate([older, self.values], 1)
        repeated = self.graph.node("Tile", self.values, np.array([1, n_steps, 1]))
        steps = self.graph.where(self.has_begun.expand(2), moved, repeated)
        self.keep(steps.cast(FLOAT).reshape(0, -1))
        return steps

    def finish(self) -> None:
        """Add the state as an input and as an output."""
        shape = "N", self.state_size
        about = "Of each stream; zeros before its first step."
        self.graph.input("state", FLOAT, shape, about)
        state = self.graph.concatenate(self._kept, 1)
        about = "The state after this step, for the next call."
        self.graph.output("next_state", state, shape, about)
