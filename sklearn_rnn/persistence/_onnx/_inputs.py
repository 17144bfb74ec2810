"""What the input of a graph holds: numbers, codes of categories, or ids of tokens."""

from numbers import Real

import numpy as np

from sklearn_rnn.persistence._onnx._graph import DOUBLE, FLOAT, INT


class InputReader:
    """Reads numbers and categories, or ids of tokens.

    Parameters
    ----------
    task : SequenceTask
        Of a fitted estimator.
    names : sequence of str, or None
        Of the features.
    """

    def __init__(self, task, names):
        self.reads_tokens = task.tokens.is_used
        self.n_features = task.network_spec.n_features
        self.names = None if names is None else [str(name) for name in names]
        # By position; in the file for readers that have no Python.
        self.categories = {
            j: [value if _is_number(value) else str(value) for value in known]
            for j, known in (task.categories.categories or {}).items()
        }
        self._check_distinguishable()

    def _check_distinguishable(self):
        """Check that float32, which the file reads, tells numeric categories apart."""
        for j, known in self.categories.items():
            if not _are_numbers(known):
                continue
            rounded = np.array(known, dtype=FLOAT)
            order = np.argsort(rounded)
            equal = np.flatnonzero(np.diff(rounded[order]) == 0)
            if len(equal):
                first, second = (known[k] for k in order[equal[0] : equal[0] + 2])
                raise ValueError(
                    f"the categories {first!r} and {second!r} of feature "
                    f"{self.name(j)} are one number in float32, which the file reads. "
                    "Fit the model with smaller numbers, or with strings."
                )

    def add_input(self, graph, name, dims):
        """Add the input of these dimensions, besides that of features."""
        if self.reads_tokens:
            return graph.input(name, INT, dims, "Ids of tokens, from 0.")
        features = ", ".join(map(self._describe, range(self.n_features)))
        about = f"Features: {features}."
        return graph.input(name, FLOAT, [*dims, self.n_features], about)

    def name(self, feature):
        """Return the name of a feature, or its position."""
        return str(feature) if self.names is None else self.names[feature]

    def _describe(self, feature):
        name = self.name(feature)
        known = self.categories.get(feature)
        if known is None:
            return name
        if _are_numbers(known):
            return f"{name} (a category, by its number)"
        return f"{name} (a category, by its position in the metadata, from 1; else 0)"

    def parse(self, given):
        """Return steps (N, T, F) in double, categories as the codes of fit."""
        values = given.cast(DOUBLE)
        if not self.categories:
            return values
        columns = []
        for j in range(self.n_features):
            column = given.part(j, j + 1, 2)
            known = self.categories.get(j)
            columns.append(column if known is None else _find_codes(column, known))
        return given.graph.concatenate([c.cast(DOUBLE) for c in columns], 2)


def _find_codes(column, known):
    """Return the codes of categories (N, T, 1): positions from 1, 0 where unknown."""
    codes = np.arange(1, len(known) + 1)
    wanted = known if _are_numbers(known) else codes
    # In float32, as they are given.
    is_found = column.equals(np.array(wanted, dtype=FLOAT)).cast(FLOAT)
    return (is_found * codes).sum(2, keeps_axis=True)


def _are_numbers(known):
    return all(map(_is_number, known))


def _is_number(value):
    return isinstance(value, Real)
