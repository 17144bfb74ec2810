"""Features that hold categories: which they are, and what their codes stand for."""

import warnings
from numbers import Integral

import numpy as np

from sklearn_rnn._exceptions import (
    InvalidSequenceError,
    SklearnRNNWarning,
    user_stacklevel,
)
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


class CategoryReader:
    """Part of an estimator that may read features of categories.

    Which features do is fixed at a new start (``_categorical``), and their categories
    (``_categories``) by the sequences that it then trains on.
    """

    # As estimators that were pickled by release 0.6 have it.
    categorical_features = FROM_DTYPE
    _categorical = ()
    # Of each of these features; None until they are known.
    _categories = None
    _warns_of_labels = True
    # Which embedding each of them reads.
    _embedding_of = {}

    def _read_categories(self, sequences, *, reset):
        """Return sequences that know the categories of all categorical features."""
        owner = type(self).__name__
        if reset:
            chosen = _read_choice(self.categorical_features, sequences, owner)
            self._categorical, self._categories = tuple(map(int, chosen)), None
            self._check_goes_with_categories(sequences)
        self._check_same_features(sequences)
        sequences = with_categories(sequences, self._categorical, estimator_name=owner)
        if self._categories is None:
            return sequences
        self._check_same_kinds(sequences)
        return recode(sequences, self._categories)

    def _check_goes_with_categories(self, sequences):
        """Refuse what reads all features as something else."""
        if self._categorical and self._reads_tokens:
            raise ValueError(
                "categorical_features reads a feature among others as categories, and "
                "embedding_dim or embeddings reads X as tokens, one per step. Set one "
                "of them to its default."
            )
        if self._categorical and sequences.augmentation is not None:
            raise ValueError(
                "categorical_features does not go with augmented sequences, whose "
                "features are numbers that change in training: set it to None."
            )

    def _check_same_features(self, sequences):
        """Refuse categories in a feature that is read as numbers."""
        others = sorted(set(sequences.categories or ()) - set(self._categorical))
        if not others:
            return
        name, found = type(self).__name__, describe_category(sequences, others[0])
        if self._categories is not None:
            raise InvalidSequenceError(
                f"{found}, and {name} was fitted on numbers there: give it columns of "
                "the same types as in fit."
            )
        raise InvalidSequenceError(
            f"{found}, and categorical_features={self.categorical_features!r} of "
            f"{name} does not name it. Add it, set categorical_features='from_dtype', "
            "or drop the column."
        )

    def _recode(self, sequences):
        """Return sequences with the codes of this estimator's network."""
        return recode(sequences, self._categories) if self._categories else sequences

    def _check_same_choice(self, sequences):
        """Refuse to go on with a network that read other features as categories."""
        owner = type(self).__name__
        chosen = _read_choice(self.categorical_features, sequences, owner)
        if tuple(chosen) != self._categorical:
            raise ValueError(
                f"categorical_features={self.categorical_features!r} is not what the "
                "last fit had, whose network continues to be trained. Restore it, or "
                "set warm_start=False."
            )

    def _check_same_kinds(self, sequences):
        """Refuse numbers where there were names: all of them would be unknown."""
        for j, categories in self._categories.items():
            kinds = [
                {isinstance(value, str) for value in of_feature}
                for of_feature in (categories, sequences.categories[j])
            ]
            if all(kinds) and kinds[0].isdisjoint(kinds[1]):
                raise InvalidSequenceError(
                    f"{describe_category(sequences, j)}, and {type(self).__name__} was "
                    f"fitted on categories such as {categories[0]!r}: give it the same "
                    "type as in fit."
                )

    def _fit_categories(self, samples, validation=None):
        """Fix the categories, and bring samples to their codes."""
        if self._categories is None:
            seen = categories_seen(samples.sequences)
            if self._warns_of_labels:
                _warn_of_labels(samples.sequences, seen)
            self._embedding_of = _embeddings(samples.sequences)
            self._categories = _join(seen, self._embedding_of)
            self.categories_ = self._categories
            self.is_categorical_ = None
            if self._categorical:
                features = np.arange(samples.sequences.n_features)
                self.is_categorical_ = np.isin(features, self._categorical)
        parts = [
            part and part._replace(sequences=recode(part.sequences, self._categories))
            for part in (samples, validation)
        ]
        return tuple(parts)

    def _check_target_features(self):
        """Refuse a category as the target's own past."""
        columns = getattr(self, "_target_columns", None)
        if columns is None:
            return
        both = np.intersect1d(columns, self._categorical)
        if len(both):
            names = getattr(self, "feature_names_in_", None)
            name = int(both[0]) if names is None else names[both[0]]
            raise ValueError(
                f"target_feature={self.target_feature!r} is feature {name!r}, which "
                "holds categories, and the target's own past is numbers: name another "
                "one."
            )

    def _category_spec(self):
        """Return what a network's spec says about categories."""
        if not self._categories:
            return {}
        counts = {
            self._embedding_of[j]: len(categories)
            for j, categories in self._categories.items()
        }
        return {
            "n_categories": tuple(counts[which] for which in sorted(counts)),
            "category_features": tuple(sorted(self._embedding_of.items())),
        }


def _warn_of_labels(sequences, seen):
    """Warn of features in which hardly any category comes twice."""
    largest = max(seen, key=lambda j: len(seen[j]), default=None)
    if largest is None or len(seen[largest]) < MANY_CATEGORIES:
        return
    n_steps = sum(len(rows) for rows, _ in covered_chunks(sequences))
    if len(seen[largest]) > n_steps / 2:
        warnings.warn(
            f"{describe_category(sequences, largest)}, {len(seen[largest])} of them in "
            f"{n_steps} steps. What comes once teaches nothing about new data: drop "
            "the column if it holds names or texts, or merge rare categories.",
            SklearnRNNWarning,
            stacklevel=user_stacklevel(),
        )


def _embeddings(sequences):
    """Return which embedding each categorical feature reads, by its position.

    What is known of a column in advance, "plan+1", reads that of the column itself.
    """
    names, found, of_source = sequences.feature_names, {}, {}
    for j in sorted(sequences.categories or ()):
        name = j if names is None else names[j]
        ahead = None if names is None else parse_ahead(name)
        source = name if ahead is None else ahead[0]
        found[j] = of_source.setdefault(source, len(of_source))
    return found


def _join(categories, embedding_of):
    """Give features that share an embedding the categories of all of them."""
    joined = {}
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


def _read_choice(wanted, sequences, owner):
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
    return sorted({_find_feature(one, sequences, owner) for one in given})


def _find_feature(wanted, sequences, owner):
    """Return the position of a feature, given its name or position."""
    names, n_features = list(sequences.feature_names or ()), sequences.n_features
    if isinstance(wanted, str):
        if wanted not in names:
            having = f"whose features are {names}" if names else "which has no names"
            raise ValueError(
                f"categorical_features names {wanted!r}, which is no feature of the X "
                f"that {owner} got, {having}."
            )
        return names.index(wanted)
    if not isinstance(wanted, Integral) or isinstance(wanted, (bool, np.bool_)):
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
