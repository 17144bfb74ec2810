"""A weight of two is a repetition and a weight of zero absence, whatever counts."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceArray,
)

# One full batch in float64 without dropout: nothing is random but the first weights.
OPTIONS = {
    "hidden_size": 3,
    "max_epochs": 3,
    "batch_size": 1000,
    "shuffle": False,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "dtype": "float64",
    # Adam and clipping would hide a gradient that is too large as a whole.
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "clip_norm": None,
    "random_state": 0,
}
WEIGHTS = np.array([0, 1, 2, 3, 0, 1, 2, 1, 1, 4, 0, 2, 1, 1, 0, 3, 1, 2, 1, 1])
N = len(WEIGHTS)
rng = np.random.default_rng(0)
LENGTHS = rng.integers(2, 9, size=N)
# What has no weight stands out: it would move every mean, prior and vocabulary.
FRAMES = [
    rng.normal(size=(n + 8, 2)) * (100.0 if w == 0 else 1.0)
    for n, w in zip(LENGTHS, WEIGHTS, strict=True)
]
NUMBERS = np.array([x[-1].sum() for x in FRAMES])
# Class 2 is rare; nothing that counts is of class 3.
CLASSES = np.where(WEIGHTS == 0, 3, np.arange(N) % 8 // 3)
STEP_LABELS = [
    np.where(w == 0, 3, (x[:, 0] > 0).astype(int) + (x[:, 0] > 1.5))
    for x, w in zip(FRAMES, WEIGHTS, strict=True)
]
STEP_NUMBERS = [np.cumsum(x[:, :1]) for x in FRAMES]
TEXTS = [
    "".join(rng.choice(list("abcd" if w else "xyz"), size=n))
    for n, w in zip(LENGTHS, WEIGHTS, strict=True)
]
WORDS = [list(text) for text in TEXTS]
BITS = [(x > 0.3).astype(int) for x in FRAMES]
IDS = [rng.integers(2, 6 if w else 9, n) for n, w in zip(LENGTHS, WEIGHTS, strict=True)]


def holes(values, every):
    """Return the same values, some of them missing."""
    values = np.array(values, dtype=float)
    values[::every] = np.nan
    return values


TWO_NUMBERS = np.column_stack([NUMBERS, -(NUMBERS**2)])
RARE_LABELS = [
    np.where(np.arange(len(y)) % 4 == 1, -9, y) for y in STEP_LABELS
]  # of -9 to be missing


# Folds of the linear part take copies in a list apart, which differ in nothing but
# their place: with that part, weights are tested where sequences are.
ALONE = {"linear_skip": False}


def model(kind, **options):
    return kind(**{**OPTIONS, **options})


CASES = {
    "classifier": (model(RNNClassifier), FRAMES, CLASSES),
    "classifier balanced": (
        model(RNNClassifier, class_weight="balanced"),
        FRAMES,
        CLASSES,
    ),
    "classifier dict": (
        model(RNNClassifier, class_weight={0: 1.0, 1: 2.5, 2: 0.5}),
        FRAMES,
        CLASSES,
    ),
    "classifier bptt": (
        model(RNNClassifier, bptt_steps=4, pooling="mean", class_weight="balanced"),
        FRAMES,
        CLASSES,
    ),
    "classifier strings": (
        model(RNNClassifier, class_weight="balanced"),
        FRAMES,
        np.array(list("abcd"))[CLASSES],
    ),
    "classifier ids": (
        model(RNNClassifier, embedding_dim=3, class_weight="balanced"),
        IDS,
        CLASSES,
    ),
    "regressor": (model(RNNRegressor), FRAMES, NUMBERS),
    "regressor two outputs": (model(RNNRegressor), FRAMES, TWO_NUMBERS),
    "regressor quantiles": (
        model(RNNRegressor, loss="quantile", quantiles=(0.2, 0.5, 0.8)),
        FRAMES,
        NUMBERS,
    ),
    "regressor target_feature": (
        model(RNNRegressor, target_feature=0, **ALONE),
        FRAMES,
        NUMBERS,
    ),
    "regressor subtract_last": (
        model(
            RNNRegressor, target_feature=0, subtract_last=True, loss="huber", **ALONE
        ),
        FRAMES,
        NUMBERS,
    ),
    "regressor missing": (
        model(RNNRegressor, missing_targets="ignore", loss="absolute_error"),
        FRAMES,
        np.column_stack([holes(NUMBERS, 3), NUMBERS]),
    ),
    "regressor plateau": (
        model(RNNRegressor, lr_schedule="plateau", optimizer="adam"),
        FRAMES,
        NUMBERS,
    ),
    "step numbers": (
        model(RNNRegressor, return_sequences=True),
        FRAMES,
        STEP_NUMBERS,
    ),
    "step numbers missing": (
        model(RNNRegressor, return_sequences=True, target_feature=1),
        FRAMES,
        [holes(y, 4) for y in STEP_NUMBERS],
    ),
    "step quantiles": (
        model(RNNRegressor, return_sequences=True, loss="quantile", quantiles=[0.3]),
        FRAMES,
        STEP_NUMBERS,
    ),
    "step numbers bptt": (
        model(RNNRegressor, return_sequences=True, bptt_steps=4),
        FRAMES,
        STEP_NUMBERS,
    ),
    "tagger": (model(RNNTagger), FRAMES, STEP_LABELS),
    "tagger balanced": (
        model(RNNTagger, class_weight="balanced"),
        FRAMES,
        STEP_LABELS,
    ),
    "tagger dict": (
        model(RNNTagger, class_weight={0: 0.3, 1: 1.0, 2: 4.0}),
        FRAMES,
        STEP_LABELS,
    ),
    "tagger missing": (
        model(RNNTagger, class_weight="balanced", missing_label=-9),
        FRAMES,
        RARE_LABELS,
    ),
    "tagger bptt": (
        model(RNNTagger, class_weight="balanced", bptt_steps=4),
        FRAMES,
        STEP_LABELS,
    ),
    "tagger ids": (
        model(RNNTagger, class_weight="balanced", embedding_dim=3),
        IDS,
        [np.where(ids > 5, 9, ids % 2) for ids in IDS],
    ),
    "generator text": (model(RNNGenerator, bptt_steps=None), TEXTS, None),
    "generator words": (
        model(RNNGenerator, max_symbols=3, tie_embeddings=True, embedding_dim=3),
        WORDS,
        None,
    ),
    "generator rare": (model(RNNGenerator, min_count=18), TEXTS, None),
    "generator bptt": (model(RNNGenerator, bptt_steps=3), TEXTS, None),
    "generator frames": (model(RNNGenerator), BITS, None),
    "seq2seq": (model(RNNSeq2Seq), TEXTS, [text[::-1] for text in TEXTS]),
    "seq2seq limits": (
        model(RNNSeq2Seq, max_symbols=3, label_smoothing=0.1),
        WORDS,
        [row[:-1] for row in WORDS],
    ),
    "seq2seq rare": (
        model(RNNSeq2Seq, min_count=18, copy_unknown=True),
        WORDS,
        [row[:-1] for row in WORDS],
    ),
    "seq2seq numbers": (model(RNNSeq2Seq), FRAMES, TEXTS),
    "seq2seq vectors": (model(RNNSeq2Seq), TWO_NUMBERS, TEXTS),
    "transcriber": (model(RNNTranscriber), FRAMES, [text[:4] for text in TEXTS]),
    "transcriber n-grams": (
        model(RNNTranscriber, ngram_order=2, beam_width=3),
        FRAMES,
        [text[:3] for text in TEXTS],
    ),
}
SYMBOLS = (RNNGenerator, RNNSeq2Seq, RNNTranscriber)


def take(values, rows):
    if isinstance(values, list):
        return [values[i] for i in rows]
    return None if values is None else values[rows]


def fit(model, X, y, rows, weights=None, **options):
    X, y = take(X, rows), take(y, rows)
    if isinstance(model, RNNGenerator):
        return model.fit(X, sample_weight=weights, **options)
    return model.fit(X, y, sample_weight=weights, **options)


def results(model, X):
    """Return all that a fitted estimator says about sequences that count."""
    X = take(X, np.flatnonzero(WEIGHTS))
    found = [np.array(model.loss_curve_)]
    if isinstance(model, RNNGenerator):
        found += [model.score_samples(X)]
    elif isinstance(model, RNNSeq2Seq):
        n_best = model.predict_n_best(X, 3)
        found += [np.array([score for best in n_best for _, score in best])]
        found += [np.array([len(text) for best in n_best for text, _ in best])]
    elif isinstance(model, RNNTranscriber):
        found += list(model.posteriors(X))
        if model.ngram_order is not None:
            n_best = model.predict_n_best(X, 3)
            found += [np.array([score for best in n_best for _, score in best])]
    elif hasattr(model, "classes_"):
        found += list(model.predict_proba(X))
        found += [model.classes_]
    elif model.loss == "quantile":
        found += list(model.predict_quantiles(X))
    else:
        found += list(model.predict(X))
    return found


def assert_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if one.dtype.kind in "US":
            assert list(one) == list(other)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_a_weight_of_zero_is_absence(name):
    model, X, y = CASES[name]
    there = np.flatnonzero(WEIGHTS)
    found = results(fit(model, X, y, np.arange(N), WEIGHTS), X)
    assert_alike(found, results(fit(model, X, y, there, WEIGHTS[there]), X))


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_a_whole_weight_is_a_repetition(name):
    model, X, y = CASES[name]
    found = results(fit(model, X, y, np.arange(N), WEIGHTS), X)
    repeated = np.repeat(np.arange(N), WEIGHTS)
    assert_alike(found, results(fit(model, X, y, repeated), X))


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_equal_weights_of_two_are_everything_twice(name):
    model, X, y = CASES[name]
    there = np.flatnonzero(WEIGHTS)
    found = results(fit(model, X, y, there, np.full(len(there), 2)), X)
    assert_alike(found, results(fit(model, X, y, np.repeat(there, 2)), X))


# What is counted against a number of times: there a whole weight is a repetition.
PROPORTIONAL = [n for n in CASES if "rare" not in n and "n-grams" not in n]


@pytest.mark.thorough
@pytest.mark.parametrize("name", PROPORTIONAL)
def test_only_the_proportions_of_weights_matter(name):
    model, X, y = CASES[name]
    if "ids" in name:  # how rare a token is, is counted, too
        model = clone(model).set_params(token_dropout=0)
    found = results(fit(model, X, y, np.arange(N), WEIGHTS / 1024), X)
    assert_alike(found, results(fit(model, X, y, np.arange(N), WEIGHTS * 8.0), X))


IN_BATCHES = {
    "batch_size": 4,
    "shuffle": True,
    "early_stopping": True,
    "validation_fraction": 0.3,
    "optimizer": "adam",
    "learning_rate": 0.01,
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", [n for n in CASES if "plateau" not in n])
def test_a_weight_of_zero_is_absence_in_batches_and_validation(name):
    model, X, y = CASES[name]
    model = clone(model).set_params(**IN_BATCHES)
    there = np.flatnonzero(WEIGHTS)
    found = fit(model, X, y, np.arange(N), WEIGHTS)
    scores, found = found.validation_scores_, results(found, X)
    expected = fit(model, X, y, there, WEIGHTS[there])
    assert scores == expected.validation_scores_
    assert_alike(found, results(expected, X))


@pytest.mark.parametrize(
    "model, y",
    [
        (model(RNNRegressor), NUMBERS),
        (model(RNNClassifier), CLASSES % 2),
        (model(RNNClassifier, class_weight={0: 1.0, 1: 3.0}), CLASSES % 2),
        (model(RNNTagger), [labels % 2 for labels in STEP_LABELS]),
        (model(RNNRegressor, return_sequences=True), STEP_NUMBERS),
    ],
)
def test_validation_scores_count_weights(model, y):
    # Sequences that share rows: the last ones are held out.
    lengths = np.full(N, 4)
    X = SequenceArray(np.concatenate(FRAMES), np.arange(N), lengths)
    y = [np.resize(one, 4) for one in y] if isinstance(y, list) else y
    weights = np.arange(1.0, N + 1) ** 2
    model = clone(model).set_params(early_stopping=True, validation_fraction=0.4)
    model.set_params(max_epochs=1, learning_rate=1e-30).fit(X, y, weights)
    held_out = np.arange(N - 8, N)
    score = model.score(X[held_out], take(y, held_out), weights[held_out])
    assert model.validation_scores_[0] == pytest.approx(score, rel=1e-12)
    assert score != model.score(X[held_out], take(y, held_out))


def test_a_class_without_weight_is_not_there():
    X, y = np.random.default_rng(0).normal(size=(6, 3)), ["a", "b", "c"] * 2
    model = RNNClassifier(hidden_size=2, max_epochs=1).fit(X, y, [1, 1, 0, 1, 1, 0])
    assert list(model.classes_) == ["a", "b"]
    steps = np.resize(y, (6, 3))
    model = RNNTagger(hidden_size=2, max_epochs=1)
    model.fit(X, np.where(np.arange(6)[:, None] < 3, steps, "d"), np.arange(6) < 3)
    assert list(model.classes_) == ["a", "b", "c"]


def test_targets_without_weight_are_not_read():
    X, weights = np.random.default_rng(0).normal(size=(6, 3)), [1, 1, 1, 1, 1, 0]
    fitted = RNNRegressor(hidden_size=2, max_epochs=1)
    fitted.fit(X, [1.0, 2.0, 3.0, 4.0, 5.0, np.nan], weights)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.fit(X, [1.0, 2.0, 3.0, 4.0, 5.0], weights)


def test_symbols_are_counted_with_their_weights():
    """The rarer symbol is known if a weight makes it come often enough."""
    texts, options = ["aaab", "aaac"], {"hidden_size": 2, "max_epochs": 1}
    model = RNNGenerator(min_count=2, **options).fit(texts, sample_weight=[1, 2])
    assert list(model.symbols_) == ["a", "c"]
    model = RNNGenerator(max_symbols=2, **options).fit(texts, sample_weight=[0.1, 0.2])
    assert list(model.symbols_) == ["a", "c"]
    model = RNNGenerator(**options).fit(texts, sample_weight=[0.1, 0.2])
    assert set(model.symbols_) == {"a", "b", "c"}


@pytest.mark.parametrize("last, known", [(1.9, "a"), (2.0, "ab"), (2.5, "ab")])
def test_fractions_among_weights_count_as_they_are(last, known):
    texts, weights = ["aa", "aab", "aab"], [2, 2, last]
    options = {"min_count": 4, "hidden_size": 2, "max_epochs": 1}
    model = RNNGenerator(**options).fit(texts, sample_weight=weights)
    assert list(model.symbols_) == list(known)
    model = RNNSeq2Seq(**options).fit(texts, texts, sample_weight=weights)
    assert list(model.source_symbols_) == list(model.target_symbols_) == list(known)
    many = RNNGenerator(min_count=2, hidden_size=2, max_epochs=1)
    many.fit(["ab"] * 20 + ["ac"], sample_weight=[0.1] * 21)
    assert list(many.symbols_) == ["a", "b"]


def test_n_grams_change_little_when_weights_do():
    X, y = list(FRAMES), [text[:3] for text in TEXTS]
    options = {"ngram_order": 2, "beam_width": 3, "max_epochs": 1, "random_state": 0}
    scores = []
    for last in (2.0, 2.0 + 1e-9):
        weights = np.full(len(X), 2.0)
        weights[-1] = last
        model = RNNTranscriber(**options).fit(X, y, sample_weight=weights)
        scores.append([s for best in model.predict_n_best(X, 2) for _, s in best])
    np.testing.assert_allclose(*scores, rtol=1e-6)
