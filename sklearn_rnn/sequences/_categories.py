"""Categories: names in a column are encoded as integer codes.

Code 0 is a missing value, or a category that is not known; code k is category k - 1.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from sklearn_rnn._exceptions import InvalidSequenceError
from sklearn_rnn.sequences._container import covered_chunks, describe_position
from sklearn_rnn.sequences._times import holds_dates
from sklearn_rnn.sequences._transforms import Scaling

# Whole numbers up to here are exact in float64.
LARGEST_CODE = 2**53
# Categories named in a message.
SHOWN = 3


def is_text(column):
    """Return whether a Series holds strings, of whatever type pandas gave it."""
    if column.dtype != object:
        return isinstance(column.dtype, pd.StringDtype)
    return pd.api.types.infer_dtype(column, skipna=True) == "string"


def is_categorical(column):
    """Return whether a column of a frame holds categories rather than numbers.

    True for the type `category`, and for strings that are neither dates nor numbers.
    False for bools, which are the numbers 0 and 1.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = column.cat.categories
    elif isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return False
    elif not is_text(column):
        return False
    else:
        values = pd.Index(column.dropna().unique())
        if _are_numbers(values):
            return False
    return not holds_dates(values, certain=True)


def _are_numbers(strings):
    """Return whether all of some strings are numbers written out."""
    try:
        for string in strings:
            float(string)
    except ValueError:
        return False
    return True


def encode_categories(column, known=None):
    """Encode a column as codes, 0 where a value is missing, and return its categories.

    `known` categories come first, in their order; then the others, in the order that
    the type `category` declares, or sorted.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_rnn.sequences import encode_categories
    >>> encode_categories(pd.Series(["sun", None, "rain"]))
    (array([2, 0, 1], dtype=int16), array(['rain', 'sun'], dtype=object))
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        codes, found = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, found = _factorize(column)
    found = np.asarray(found, dtype=object)
    categories, found_codes = found, np.arange(1, len(found) + 1)
    if known is not None:
        found_codes = _find(found, known)
        new = found[found_codes == 0]
        categories = np.concatenate([known, new])
        found_codes[found_codes == 0] = len(known) + 1 + np.arange(len(new))
    lookup = np.append(found_codes, 0)  # code -1 is a missing value
    return lookup[codes].astype(code_type(len(categories))), categories


def _factorize(column):
    try:
        return pd.factorize(column, sort=True)
    except TypeError:  # of types that have no order
        return pd.factorize(column)


def _find(values, known):
    """Return the codes of values among known categories, 0 where there is none."""
    return pd.Index(known, dtype=object).get_indexer(pd.Index(values, dtype=object)) + 1


def code_type(n_categories):
    """Return the type of codes. Beside float32 columns, int16 keeps a table float32."""
    return np.dtype(np.int16 if n_categories < 2**15 else np.int32)


def with_categories(sequences, features, *, estimator_name):
    """Return sequences with categories in all `features`, of which some are numbers.

    Numbers must be whole; negative ones are missing values. Features that have
    categories stay as they are.
    """
    known = sequences.categories or {}
    new = [j for j in features if j not in known]
    if not new:
        return sequences
    found = {j: _distinct(sequences, j, estimator_name) for j in new}
    codes, scaling = {}, sequences.transforms.scaling
    for j, categories in found.items():
        column = sequences.values[:, j].astype(np.float64)
        if scaling is not None:
            column = (column - scaling.center[j]) * scaling.factor[j]
        positions = np.searchsorted(categories, column)
        positions[positions == len(categories)] = 0
        is_found = categories[positions] == column if len(categories) else False
        codes[j] = np.where(is_found, positions + 1, 0)
    categories = {j: c.astype(np.int64).astype(object) for j, c in found.items()}
    return _with_codes(sequences, codes, {**known, **categories})


def _distinct(sequences, feature, estimator_name):
    """Return the distinct whole numbers from 0 of a feature, sorted."""
    found = np.empty(0)
    for rows, _ in covered_chunks(sequences):
        column = sequences.read_rows(rows)[:, feature].astype(np.float64)
        is_whole = (column == np.floor(column)) & (np.abs(column) <= LARGEST_CODE)
        if not is_whole.all():
            at = int(np.argmin(is_whole))
            raise InvalidSequenceError(
                f"X holds {column[at]:.6g} at "
                f"{describe_position(sequences, rows[at], feature)}, and "
                f"{estimator_name} reads that feature as categories "
                "(categorical_features), whole numbers from 0. Do not scale or fill "
                "codes; or give a table whose column has the type category, which a "
                "SequenceWindower encodes and a SequenceScaler leaves as it is."
            )
        found = np.union1d(found, column[column >= 0])
    return found


def _with_codes(sequences, codes, categories):
    """Return sequences with codes in place of some features, which are not scaled."""
    types = [code_type(len(categories[j])) for j in codes]
    values = sequences.values.astype(np.result_type(sequences.values.dtype, *types))
    for j, column in codes.items():
        values[:, j] = column
    transforms = replace(sequences.transforms, categories=categories)
    if transforms.scaling is not None:
        center, factor = transforms.scaling.center, transforms.scaling.factor
        center, factor = center.copy(), factor.copy()
        center[list(codes)], factor[list(codes)] = 0.0, 1.0
        transforms = replace(transforms, scaling=Scaling(center, factor))
    return sequences._replace(values=values, transforms=transforms)


def categories_seen(sequences):
    """Return the categories that sequences cover, by feature, in the order of codes.

    Other sequences over the same rows may cover more.
    """
    known = sequences.categories or {}
    seen = {j: np.zeros(len(c) + 1, dtype=bool) for j, c in known.items()}
    if seen:
        for _, steps in covered_chunks(sequences):
            for j, is_seen in seen.items():
                is_seen[steps[:, j].astype(np.intp)] = True
    return {j: known[j][is_seen[1:]] for j, is_seen in seen.items()}


def recode(sequences, categories):
    """Return sequences with the codes of given categories, by feature.

    Categories that are not among them become unknown. The sequences themselves where
    codes are the same already.
    """
    codes = {}
    for j, own in (sequences.categories or {}).items():
        if len(own) == len(categories[j]) and (own == categories[j]).all():
            continue
        lookup = np.append(0, _find(own, categories[j]))
        codes[j] = lookup[sequences.values[:, j].astype(np.intp)]
    return _with_codes(sequences, codes, categories) if codes else sequences


def one_hot_last_step(sequences):
    """Encode the categories of each sequence's last step as columns of 0 and 1.

    Returns float64 of shape (n_sequences, n_categories), feature by feature in the
    order of ``sequences.categories``; no 1 where a value is missing or unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_rnn import SequenceArray
    >>> from sklearn_rnn.sequences import one_hot_last_step
    >>> codes, names = np.array([[1], [2], [0]]), np.array(["rain", "sun"], object)
    >>> X = SequenceArray(codes, [0, 0, 2], [1, 2, 1])
    >>> X = X.with_transforms(categories={0: names})
    >>> one_hot_last_step(X)
    array([[1., 0.],
           [0., 1.],
           [0., 0.]])
    """
    last = sequences.values[sequences.ends - 1]
    columns = [np.empty((len(last), 0))]
    for j, categories in (sequences.categories or {}).items():
        columns.append(last[:, [j]] == np.arange(1, len(categories) + 1))
    return np.concatenate(columns, axis=1).astype(np.float64)


def check_no_categories(sequences, *, estimator_name):
    """Raise if a feature holds categories, for estimators that read numbers alone."""
    if sequences.categories:
        raise InvalidSequenceError(
            f"{describe_category(sequences)}, and {estimator_name} reads numbers: drop "
            "such columns, or encode them as numbers, for example with pd.get_dummies. "
            "RNNRegressor, RNNClassifier and RNNTagger read categories."
        )


def describe_category(sequences, feature=None):
    """Describe what categories a feature holds, the first such feature by default."""
    feature = min(sequences.categories) if feature is None else feature
    names = sequences.feature_names
    name = f"{feature}" if names is None else repr(names[feature])
    shown = ", ".join(map(repr, sequences.categories[feature][:SHOWN]))
    more = ", ..." if len(sequences.categories[feature]) > SHOWN else ""
    return f"feature {name} of X holds categories ({shown}{more})"
