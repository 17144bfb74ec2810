"""The linear part of a classifier of tokens: counts, then logistic regression."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from sklearn_rnn._plain_state import plain_type
from sklearn_rnn.estimators.closed_form._calibrated import CalibratedClassifier
from sklearn_rnn.estimators.closed_form._linear import evenly
from sklearn_rnn.estimators.closed_form._probabilities import (
    UNSEEN_PROBABILITY,
    log_softmax,
)
from sklearn_rnn.sequences import flat_rows, has_overlaps
from sklearn_rnn.training import validation_folds

# Texts that a pair of neighbours must occur in, to be counted: as accurate as with all
# pairs, with a third of the columns.
LEAST_TEXTS = 2
# Length of the vectors of pairs, where those of tokens have 1. Normalised together, as
# TfidfVectorizer has them, both corpora were classified by 0.002 worse.
LENGTH_OF_PAIRS = 0.5
# Inverse of the penalty. With the temperature fitted, 1 and 10 came within 0.005 nats.
INVERSE_PENALTY = 3.0
# Added to texts of each class in which a column occurs, before they are compared.
SMOOTHING = 1.0
# Coefficients at most: the most frequent tokens and pairs have them.
MOST_COEFFICIENTS = 5_000_000
# Of more classes stochastic gradients (SAG) are as good in a quarter of the time; of
# two to four, conjugate gradients take a seventh of that of L-BFGS.
MANY_CLASSES = 10
# Folds that are left out in turn; of texts that are many, the last of ten alone.
N_FOLDS, N_FOLDS_OF_MANY = 3, 10
MANY_TEXTS = 1000
# Left-out texts that are compared on, at most.
MOST_COMPARED = 20_000
# The network's weight where too few texts are there to fit it to.
UNFITTED_WEIGHT = 1 / 4
# Of the scores.
LARGEST_TEMPERATURE = 5.0


class Split(NamedTuple):
    """Rows of texts to fit on and of others to compare on; seed of a network."""

    train: np.ndarray
    held_out: np.ndarray
    seed: int


@plain_type
class BagOfWordsClassifier(CalibratedClassifier):
    """Classify sequences of tokens by how often tokens and pairs of them occur.

    Counts are weighed by TF-IDF; their classifier is a ``LogisticRegression``.

    Attributes
    ----------
    table_ : TokenTable
        From sequences to a sparse table.
    model_ : LogisticRegression
        From the table to logits.
    n_texts_ : int
        Distinct sequences.
    alone_temperature_ : float
        Factor of the logits where they are alone.
    splits_ : list of Split
        How texts were left out; dropped after training.
    left_out_scores_ : list of ndarray of shape (n_held_out, n_classes)
        Scores of the held-out texts of each split; dropped after training.
    """

    def fit(self, sequences, codes, n_classes, weights, random_state):
        """Fit to labelled sequences.

        Copies of a text stay together when it is left out, and an integer weight is as
        many copies.

        Parameters
        ----------
        sequences : SequenceArray
            Training sequences of ids.
        codes : ndarray of int of shape (n_sequences,)
            Their classes, two at least.
        n_classes : int
            More than `codes` may show.
        weights : ndarray of shape (n_sequences,) or None
            Positive.
        random_state : numpy.random.RandomState
            Source of the folds.

        Returns
        -------
        BagOfWordsClassifier
            Itself.
        """
        first, copy_of = group_copies(sequences)
        self.n_classes, self.n_texts_ = n_classes, len(first)
        weights = np.ones(len(codes)) if weights is None else weights
        # Of mean 1 per distinct text, so that the penalty is the same for copies.
        weights = weights * (len(first) / weights.sum())
        n_outputs = 1 if n_classes == 2 else n_classes
        self.table_ = TokenTable()
        distinct = sequences[first]
        table = self.table_.fit_transform(distinct, MOST_COEFFICIENTS // n_outputs)
        table = table[copy_of]
        self.model_ = fit_logits(table, codes, weights)
        fractions = np.bincount(codes, weights, n_classes) / weights.sum()
        self.log_priors_ = np.zeros(n_classes)
        np.log(fractions, where=fractions > 0, out=self.log_priors_)
        splits = split_texts(distinct, copy_of, codes[first], random_state)
        self._leave_out(splits, table, codes, weights)
        return self

    def _leave_out(self, splits, table, codes, weights):
        """Fit the temperature to texts that are left out."""
        self.splits_, self.left_out_scores_ = [], []
        for train, held_out, seed in splits:
            # A class that is not in the training part cannot be predicted.
            held_out = held_out[np.isin(codes[held_out], codes[train])]
            if len(np.unique(codes[train])) < 2 or len(held_out) == 0:
                continue
            model = fit_logits(table[train], codes[train], weights[train])
            self.splits_.append(Split(train, held_out, seed))
            self.left_out_scores_.append(self._scores(model, table[held_out]))
        self.temperature_, self.network_weight_ = 1.0, UNFITTED_WEIGHT
        self.alone_temperature_ = 1.0
        self.left_out_loss_ = self.left_out_score_ = np.nan
        if not self.splits_:
            return
        rows = np.concatenate([split.held_out for split in self.splits_])
        scores, codes = np.concatenate(self.left_out_scores_), codes[rows]
        weights = weights[rows] / weights[rows].sum()
        (self.temperature_,), self.left_out_loss_ = fit_factors(
            [scores], codes, weights, self.n_texts_, [1.0], [LARGEST_TEMPERATURE]
        )
        self.alone_temperature_ = self.temperature_
        self.left_out_score_ = float(weights @ (scores.argmax(axis=1) == codes))

    def fit_network_weight(self, scores, outputs, codes, weights):
        """Fit the weight of a network, and the temperature, to texts neither has seen.

        Parameters
        ----------
        scores : ndarray of shape (n_sequences, n_classes)
            Of models that have not seen the texts.
        outputs : ndarray of shape (n_sequences, n_classes)
            Logits of networks that have not seen them.
        codes : ndarray of int of shape (n_sequences,)
            Classes of the texts.
        weights : ndarray of shape (n_sequences,) or None
            Of the texts.
        """
        weights = np.ones(len(codes)) if weights is None else weights
        learned = log_softmax(outputs) - self.log_priors_
        factors, _ = fit_factors(
            [scores, learned],
            codes,
            weights / weights.sum(),
            self.n_texts_,
            # Not the last one fitted: epochs are weighed each by itself.
            [self.alone_temperature_, UNFITTED_WEIGHT],
            [LARGEST_TEMPERATURE, 1.0],
        )
        self.temperature_, self.network_weight_ = factors

    def finish(self):
        """Drop what is as long as the training data."""
        self.splits_, self.left_out_scores_ = [], []

    def scores(self, sequences):
        return self._scores(self.model_, self.table_.transform(sequences))

    def _scores(self, model, table):
        """Return log probabilities, before calibration."""
        logits = model.decision_function(table)
        if logits.ndim == 1:
            logits = np.column_stack([np.zeros_like(logits), logits])
        scores = np.full((len(logits), self.n_classes), np.log(UNSEEN_PROBABILITY))
        scores[:, model.classes_] = log_softmax(logits)
        return scores


@plain_type
class TokenTable:
    """TF-IDF of tokens, and beside it of pairs of neighbours.

    Attributes
    ----------
    n_ids : int
        One more than the largest id of fit. Larger ids are unknown.
    keys : ndarray of int64 of shape (n_columns,)
        Sorted: of a token its id, of a pair (a, b) ``(a + 1) * n_ids + b``.
    parts : list of (slice, float, TfidfTransformer)
        Columns of the tokens and of the pairs, length of their vectors, and their
        weights.
    """

    def fit_transform(self, sequences, most):
        """Choose at most so many columns; return the table of the sequences."""
        tokens, lengths = flat_tokens(sequences)
        self.n_ids = int(tokens.max()) + 1
        rows, keys = self._occurrences(tokens, lengths)
        self.keys, columns = np.unique(keys, return_inverse=True)
        counts = _count(rows, columns, (len(sequences), len(self.keys)))
        n_texts = np.bincount(counts.indices, minlength=len(self.keys))
        kept = np.flatnonzero((self.keys < self.n_ids) | (n_texts >= LEAST_TEXTS))
        if len(kept) > most:
            frequent = np.argsort(-n_texts[kept], kind="stable")[:most]
            kept = kept[np.sort(frequent)]
        self.keys, counts = self.keys[kept], counts[:, kept]
        n_tokens, n_columns = np.searchsorted(self.keys, self.n_ids), len(self.keys)
        bounds = (0, n_tokens, 1.0), (n_tokens, n_columns, LENGTH_OF_PAIRS)
        self.parts = [
            (slice(begin, end), length, _fit_tfidf(counts[:, begin:end]))
            for begin, end, length in bounds
            if begin < end
        ]
        return self._weigh(counts)

    def transform(self, sequences):
        """Return the table of sequences (n_sequences, n_columns), sparse."""
        rows, keys = self._occurrences(*flat_tokens(sequences))
        columns = np.searchsorted(self.keys, keys)
        columns = np.minimum(columns, len(self.keys) - 1)
        is_kept = self.keys[columns] == keys
        shape = len(sequences), len(self.keys)
        return self._weigh(_count(rows[is_kept], columns[is_kept], shape))

    def _weigh(self, counts):
        tables = [
            tfidf.transform(counts[:, columns]) * length
            for columns, length, tfidf in self.parts
        ]
        return hstack(tables, format="csr")

    def _occurrences(self, tokens, lengths):
        """Return sequence and key of each token and each pair, but of unknown ones."""
        rows = np.repeat(np.arange(len(lengths)), lengths)
        is_known = tokens < self.n_ids
        is_pair = (rows[1:] == rows[:-1]) & is_known[1:] & is_known[:-1]
        pairs = (tokens[:-1] + 1) * self.n_ids + tokens[1:]
        return (
            np.concatenate([rows[is_known], rows[1:][is_pair]]),
            np.concatenate([tokens[is_known], pairs[is_pair]]),
        )


def _fit_tfidf(counts):
    return TfidfTransformer(sublinear_tf=True).fit(counts)


def _count(rows, columns, shape):
    """Return how often each column occurs in each row."""
    table = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    table.sum_duplicates()
    return table


def flat_tokens(sequences):
    """Return the ids of all sequences in a row, int64, and the sequences' lengths."""
    lengths = sequences.lengths
    rows = flat_rows(sequences.starts, lengths)
    return sequences.read_rows(rows)[:, 0].astype(np.int64), lengths


def group_copies(sequences):
    """Find sequences of the same ids.

    Returns
    -------
    first : ndarray of int of shape (n_distinct,)
        Index of the first copy of each, in an order that depends on the ids alone.
    copy_of : ndarray of int of shape (n_sequences,)
        Position in `first` for each sequence.
    """
    tokens, lengths = flat_tokens(sequences)
    ends = np.cumsum(lengths)
    texts = [
        tokens[end - length : end].tobytes()
        for end, length in zip(ends, lengths, strict=True)
    ]
    positions = {text: k for k, text in enumerate(sorted(set(texts)))}
    copy_of = np.array([positions[text] for text in texts])
    _, first = np.unique(copy_of, return_index=True)
    return first, copy_of


def split_texts(distinct, copy_of, codes, random_state):
    """Yield rows to train on and rows to leave out; copies of a text stay together."""
    n_texts = len(distinct)
    is_many = n_texts >= MANY_TEXTS
    n_folds = N_FOLDS_OF_MANY if is_many else N_FOLDS
    near = None
    if has_overlaps(distinct):
        folds, near = validation_folds(distinct, n_folds, 1, random_state)
    else:
        folds = np.empty(n_texts, dtype=int)
        by_class = np.lexsort((random_state.permutation(n_texts), codes))
        folds[by_class] = np.arange(n_texts) % n_folds
    last = folds.max()
    for k in [last] if is_many else range(last + 1):
        is_seen = folds != k
        if near is not None:
            is_seen &= ~near(k, np.arange(n_texts))
        held_out = np.flatnonzero((folds == k)[copy_of])
        held_out = held_out[evenly(len(held_out), MOST_COMPARED)]
        seed = random_state.randint(2**31 - 1)
        yield Split(np.flatnonzero(is_seen[copy_of]), held_out, seed)


def fit_logits(table, codes, weights):
    """Return a logistic regression; its classes are those of the codes.

    Columns that tell classes apart are penalised less (Wang and Manning, "Baselines and
    bigrams", ACL 2012): each is multiplied by one more than its largest log odds ratio.
    """
    options: dict[str, Any] = {"solver": "newton-cg"}
    classes, positions = np.unique(codes, return_inverse=True)
    if len(classes) > MANY_CLASSES:
        options = {"solver": "sag", "tol": 5e-2, "max_iter": 30, "random_state": 0}
    scale = 1 + np.abs(log_ratios(table, positions, weights)).max(axis=0)
    scaled = table.multiply(scale).tocsr()
    if scaled.nnz <= np.iinfo(np.int32).max:
        # Which scikit-learn before 1.8 needs for this solver.
        scaled.indices = scaled.indices.astype(np.int32)
        scaled.indptr = scaled.indptr.astype(np.int32)
    model = LogisticRegression(C=INVERSE_PENALTY, **options)
    with warnings.catch_warnings():
        # About convergence: what is fitted so far is calibrated like any other.
        warnings.simplefilter("ignore")
        model.fit(scaled, codes, weights)
    model.coef_ *= scale  # of the table as it is
    return model


def log_ratios(table, codes, weights):
    """Return how much more often each column occurs in a class than in the others.

    As the logarithm of the ratio of both fractions of occurrences, for codes from 0;
    of shape (n_classes, n_columns).
    """
    membership = csr_array((weights, (codes, np.arange(len(codes)))))
    own = (membership @ (table != 0)).toarray() + SMOOTHING
    others = own.sum(axis=0) - own  # smoothed once per other class
    ratios = np.log(own) - np.log(own.sum(axis=1, keepdims=True))
    return ratios - np.log(others) + np.log(others.sum(axis=1, keepdims=True))


def fit_factors(parts, codes, weights, n_texts, start, largest):
    """Fit factors of logits that are added up, within 0 and the largest allowed.

    Parameters
    ----------
    parts : list of ndarray of shape (n_sequences, n_classes)
        The logits.
    codes : ndarray of int of shape (n_sequences,)
        Classes.
    weights : ndarray of shape (n_sequences,)
        Of sum 1.
    n_texts : int
        The fewer, the less sure may the probabilities be: as by Platt's scaling, a
        class counts as (n + 1) / (n + 2) certain.
    start, largest : list of float
        Of each factor.

    Returns
    -------
    factors : list of float
        Those of the least cross-entropy; it is convex.
    loss : float
        The cross-entropy, in nats.
    """
    rows, doubt = np.arange(len(codes)), 1 / (n_texts + 2)
    expected = [
        (1 - doubt) * part[rows, codes] + doubt * part.mean(axis=1) for part in parts
    ]

    def log_probabilities(factors):
        pairs = zip(factors, parts, strict=True)
        return log_softmax(sum(factor * part for factor, part in pairs))

    def loss_and_gradient(factors):
        logs = log_probabilities(factors)
        probabilities = np.exp(logs)
        own = (1 - doubt) * logs[rows, codes] + doubt * logs.mean(axis=1)
        gradient = [
            weights @ ((probabilities * part).sum(axis=1) - target)
            for part, target in zip(parts, expected, strict=True)
        ]
        return -weights @ own, np.array(gradient)

    found = minimize(
        loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, bound) for bound in largest],
    )
    loss = -weights @ log_probabilities(found.x)[rows, codes]
    return [float(f) for f in found.x], float(loss)
