"""Features that hold categories: which they are, and what their codes stand for."""

import warnings
from typing import Any

import numpy as np

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.preprocessing import parse_ahead
from sklearn_rnn.sequences import (
    categories_seen,
    covered_chunks,
    describe_category,
    recode,
    with_categories,
)

FROM_DTYPE = "from_dtype"
# Fewer are no reason to warn.
MANY_CATEGORIES = 50


@plain_type
class CategoricalInput:
    """The features of X that hold categories, and the categories of each.

    Which features do is set where X is first read, and their categories by the
    sequences that are then trained on.
    """

    features: tuple[int, ...] = ()
    # Of each of these features; None until they are fitted.
    categories: Any = None
    # Which embedding each of them has.
    embedding_of: dict[int, int] = {}
    # Whether each feature is one of them, None if none is.
    mask: np.ndarray | None = None

    def apply(self, sequences, params, name, *, reset, has_tokens=False):
        """Return sequences with the categories of all categorical features.

        `name` is that of the estimator, for messages.
        """
        if reset:
            chosen = _find_features(params.categorical_features, sequences, name)
            self.features, self.categories = tuple(map(int, chosen)), None
            if self.features:
                self._check_goes_with_categories(sequences, has_tokens)
        if not (self.features or sequences.categories):
            return sequences
        self._check_same_features(sequences, params, name)
        sequences = with_categories(sequences, self.features, estimator_name=name)
        if self.categories is None:
            return sequences
        self._check_same_types(sequences, name)
        return recode(sequences, self.categories)

    def recode(self, sequences):
        """Return sequences with the codes of these categories."""
        return recode(sequences, self.categories) if self.categories else sequences

    def fit(self, sequences, *, warns=True):
        """Set the categories, at the first fit."""
        if self.categories is not None:
            return
        seen = categories_seen(sequences)
        if warns:
            _warn_of_labels(sequences, seen)
        self.embedding_of = _embeddings(sequences)
        self.categories = _join(seen, self.embedding_of)
        self.mask = np.isin(np.arange(sequences.n_features), self.features)

    def spec(self):
        """Return what the network's spec says about categories."""
        counts = {
            self.embedding_of[j]: len(categories)
            for j, categories in self.categories.items()
        }
        return {
            "n_categories": tuple(counts[which] for which in sorted(counts)),
            "category_features": tuple(sorted(self.embedding_of.items())),
        }

    def check_same_choice(self, sequences, params, name):
        """Check that the same features are categorical as in the last fit."""
        wanted = params.categorical_features
        chosen = _find_features(wanted, sequences, name)
        if tuple(chosen) != self.features:
            raise ValueError(
                f"categorical_features={wanted!r} is not what the last fit had, whose "
                "network continues to be trained. Restore it, or set warm_start=False."
            )

    def _check_goes_with_categories(self, sequences, has_tokens):
        """Check that nothing reads all features as something else."""
        if has_tokens:
            raise ValueError(
                "categorical_features reads a feature among others as categories, and "
                "embedding_dim or embeddings reads X as tokens, one per step. Set one "
                "of them to its default."
            )
        if sequences.augmentation is not None:
            raise ValueError(
                "categorical_features does not go with augmented sequences, whose "
                "features are numbers that change in training: set it to None."
            )

    def _check_same_features(self, sequences, params, name):
        """Check that no feature that is read as numbers holds categories."""
        others = sorted(set(sequences.categories or ()) - set(self.features))
        if not others:
            return
        found = describe_category(sequences, others[0])
        if self.categories is not None:
            raise InvalidSequenceError(
                f"{found}, and {name} was fitted on numbers there: give it columns of "
                "the same types as in fit."
            )
        raise InvalidSequenceError(
            f"{found}, and categorical_features={params.categorical_features!r} of "
            f"{name} does not name it. Add it, set categorical_features='from_dtype', "
            "or drop the column."
        )

    def _check_same_types(self, sequences, name):
        """Check that names are names still: numbers would all be unknown."""
        for j, categories in self.categories.items():
            kinds = [
                {isinstance(value, str) for value in of_feature}
                for of_feature in (categories, sequences.categories[j])
            ]
            if all(kinds) and kinds[0].isdisjoint(kinds[1]):
                raise InvalidSequenceError(
                    f"{describe_category(sequences, j)}, and {name} was "
                    f"fitted on categories such as {categories[0]!r}: give it the same "
                    "type as in fit."
                )


def _warn_of_labels(sequences, seen):
    """Warn of features in which hardly any category comes twice."""
    largest = max(seen, key=lambda j: len(seen[j]), default=None)
    if largest is None or len(seen[largest]) < MANY_CATEGORIES:
        return
    n_steps = sum(len(rows) for rows, _ in covered_chunks(sequences))
    if len(seen[largest]) > n_steps / 2:
        warnings.warn(
            f"{describe_category(sequences, largest)}, {len(seen[largest])} of them in "
            f"{n_steps} steps. What comes once tells nothing about new data: drop "
            "the column if it holds names or texts, or merge rare categories.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def _embeddings(sequences):
    """Return which embedding each categorical feature reads, by its position.

    What is known of a column in advance, "plan+1", reads that of the column itself.
    """
    names, found = sequences.feature_names, {}
    of_source: dict = {}
    for j in sorted(sequences.categories or ()):
        name = j if names is None else names[j]
        ahead = None if names is None else parse_ahead(name)
        source = name if ahead is None else ahead[0]
        found[j] = of_source.setdefault(source, len(of_source))
    return found


def _join(categories, embedding_of):
    """Give features that share an embedding the categories of all of them."""
    joined: dict = {}
    for j, of_feature in categories.items():
        known = joined.get(embedding_of[j], [])
        # As keys of a dict, which keeps their order.
        joined[embedding_of[j]] = list(dict.fromkeys([*known, *of_feature]))
    arrays = {k: _as_objects(values) for k, values in joined.items()}
    return {j: arrays[embedding_of[j]] for j in categories}


def _as_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _find_features(wanted, sequences, estimator_name):
    """Return the positions of categorical features, by the parameter and by X."""
    if wanted is None:
        return []
    if isinstance(wanted, str) and wanted == FROM_DTYPE:
        return sorted(sequences.categories or ())
    given = np.atleast_1d(np.asarray(wanted, dtype=object))
    n_features = sequences.n_features
    if all(isinstance(one, (bool, np.bool_)) for one in given):
        if len(given) not in (0, n_features):
            raise ValueError(
                f"categorical_features is a mask of {len(given)} bools, and X has "
                f"{n_features} features per step: give one for each."
            )
        return np.flatnonzero(given.astype(bool))
    return sorted({_find_feature(one, sequences, estimator_name) for one in given})


def _find_feature(wanted, sequences, estimator_name):
    """Return the position of a feature, given its name or position."""
    names, n_features = list(sequences.feature_names or ()), sequences.n_features
    if isinstance(wanted, str):
        if wanted not in names:
            having = f"whose features are {names}" if names else "which has no names"
            raise ValueError(
                f"categorical_features names {wanted!r}, which is no feature of the X "
                f"that {estimator_name} got, {having}."
            )
        return names.index(wanted)
    if not isinstance(wanted, (int, np.integer)) or isinstance(wanted, bool):
        raise ValueError(
            "categorical_features must be 'from_dtype', None, or names, positions or a "
            f"mask of features, and contains {wanted!r}."
        )
    if not 0 <= wanted < n_features:
        raise ValueError(
            f"categorical_features contains {wanted}, and X has {n_features} features "
            "per step, which count from 0."
        )
    return int(wanted)
