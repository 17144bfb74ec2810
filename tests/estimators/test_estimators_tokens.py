"""Tokens in the estimators: hidden ones, given vectors, and vocabularies."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    SequenceTokenizer,
)

ESTIMATORS = [RNNClassifier, RNNRegressor, RNNTagger]
QUICK = {"hidden_size": 4, "max_epochs": 3, "batch_size": 16, "random_state": 0}

# Each sentence has one word that says good (even) or bad (odd), and some that say
# nothing.
WORDS = [f"word{i}" for i in range(40)]
FILLERS = ["the", "film", "is", "a"]


def make_sentences(n_sentences, words=WORDS, seed=0):
    rng = np.random.default_rng(seed)
    sentences, y = [], []
    for _ in range(n_sentences):
        telling = words[rng.integers(len(words))]
        sentence = [*rng.choice(FILLERS, size=rng.integers(1, 4)), telling]
        sentences.append(" ".join(rng.permutation(sentence)))
        y.append(int(telling.removeprefix("word")) % 2)
    return sentences, np.array(y)


def make_vectors(seed=0):
    """Vectors in which one number says good or bad, and the others nothing."""
    rng = np.random.default_rng(seed)
    vectors = {word: rng.normal(size=3) for word in FILLERS + WORDS}
    for i, word in enumerate(WORDS):
        vectors[word][0] = 1.0 if i % 2 else -1.0
    return vectors


def make_tokens(n_sentences=40):
    """Return sequences with their tokens, and labels."""
    sentences, y = make_sentences(n_sentences)
    return SequenceTokenizer().fit_transform(sentences), y


def fit(estimator=RNNClassifier, X=None, y=None, **options):
    if X is None:
        X, y = make_tokens()
    if estimator is RNNTagger:
        y = [np.full(n, label) for n, label in zip(X.lengths, y, strict=True)]
    return estimator(**{**QUICK, **options}).fit(X, y)


def weight_of(model):
    return model.module_.embedding.weight.detach().numpy()


class Vectors:
    """What gensim's KeyedVectors are to an estimator: not a dict."""

    def __init__(self, vectors):
        self.vectors = vectors

    def __contains__(self, token):
        return token in self.vectors

    def __getitem__(self, token):
        return self.vectors[token].astype(np.float32)


# Token dropout.


@pytest.mark.thorough
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_token_dropout_hides_words_in_training_and_the_seed_says_which(estimator):
    without, some, again = (
        weight_of(fit(estimator, embedding_dim=3, token_dropout=p))
        for p in (0, 0.5, 0.5)
    )
    assert (some == again).all()
    assert (without != some).any()


def test_what_unknown_means_is_learned_from_hidden_words():
    assert (weight_of(fit(embedding_dim=3, token_dropout=0))[-1] == 0).all()
    assert (weight_of(fit(embedding_dim=3))[-1] != 0).all()


def test_nothing_is_hidden_when_predicting():
    X, y = make_tokens()
    model = fit(X=X, y=y, embedding_dim=3, token_dropout=0.9)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))


def test_unknown_words_read_as_what_hidden_words_taught():
    sentences, y = make_sentences(40)
    options = {**QUICK, "embedding_dim": 3, "token_dropout": 0.3}
    model = make_pipeline(SequenceTokenizer(), RNNClassifier(**options))
    model.fit(sentences, y)
    network = model[-1].module_
    unknown = network.embedding(torch.tensor([1, 10**6]))
    assert (unknown == network.embedding.weight[-1]).all()
    probabilities = model.predict_proba(["nothing known here", "other new words"])
    np.testing.assert_array_equal(probabilities[0], probabilities[1])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rare_words_are_hidden_more_often_than_frequent_ones(estimator):
    X, y = make_tokens()
    model = fit(estimator, X, y, embedding_dim=3, token_dropout=2.0)
    dropout = model.module_.embedding.token_dropout
    counts = np.bincount(np.concatenate(list(X)).ravel(), minlength=len(X.tokens) + 1)
    expected = np.where(counts > 0, 2 / (2 + counts), 0)
    np.testing.assert_allclose(dropout.probabilities(), expected)
    auto = fit(estimator, X, y, embedding_dim=3)
    explicit = fit(estimator, X, y, embedding_dim=3, token_dropout=5)
    assert (weight_of(auto) == weight_of(explicit)).all()


def test_a_stream_does_not_hide_words_unless_asked_to():
    X, y = make_tokens()
    auto, without, asked = (
        weight_of(RNNClassifier(**options, **QUICK).partial_fit(X, y))
        for options in (
            {"embedding_dim": 3},
            {"embedding_dim": 3, "token_dropout": 0},
            {"embedding_dim": 3, "token_dropout": 0.5},
        )
    )
    assert (auto == without).all()
    assert (auto != asked).any()


def test_a_pickle_keeps_how_rare_words_are():
    X, y = make_tokens()
    model = fit(X=X, y=y, embedding_dim=3, token_dropout=1.0, warm_start=True)
    again = pickle.loads(pickle.dumps(model))
    assert (weight_of(again.fit(X, y)) == weight_of(model.fit(X, y))).all()
    model.partial_fit(X, y)  # with the same "auto" as in fit


@pytest.mark.thorough
def test_token_dropout_keeps_unknown_words_from_deciding():
    unknown = ["the film is neverseen", "unseen a film", "is strange", "the other"]
    distances = {0.0: [], 1.0: []}
    for p, of_seeds in distances.items():
        for seed in range(3):
            X, y = make_sentences(80, seed=seed)
            options = {"hidden_size": 8, "max_epochs": 40, "learning_rate": 0.02}
            options |= {"embedding_dim": 8, "random_state": seed, "input_dropout": 0.0}
            options |= {"bag_of_words": False}
            network = RNNClassifier(token_dropout=p, **options)
            model = make_pipeline(SequenceTokenizer(), network).fit(X, y)
            assert model.score(X, y) > 0.95
            # Half of all such sentences are good.
            of_seeds.append(np.abs(model.predict_proba(unknown) - 0.5).mean())
    assert np.mean(distances[1.0]) < 0.7 * np.mean(distances[0.0])


# Rows that nothing is known of.


def test_ids_that_training_does_not_show_start_as_unknown_does():
    y = np.arange(40) % 2
    model = fit(X=[[1, 4], [4, 1]] * 20, y=y, embedding_dim=3)
    is_zero = (weight_of(model) == 0).all(axis=1)
    assert is_zero.tolist() == [True, False, True, True, False, True]


def test_ids_that_come_later_are_learned_later():
    model = RNNClassifier(embedding_dim=3, **QUICK)
    model.partial_fit([[1, 4], [4, 1]] * 20, [0, 1] * 20)
    model.partial_fit([[2, 4], [4, 2]] * 20, [0, 1] * 20)
    is_zero = (weight_of(model) == 0).all(axis=1)
    assert is_zero.tolist() == [True, False, False, True, False, True]


def test_the_vocabulary_is_that_of_the_tokenizer():
    X, y = make_tokens()
    seen = X[:5]
    model = fit(X=seen, y=y[:5], embedding_dim=3, token_dropout=0)
    assert len(weight_of(model)) == len(X.tokens) + 1
    shown = np.unique(np.concatenate(list(seen)))
    assert (weight_of(model)[shown] != 0).all()
    assert (np.delete(weight_of(model), shown, axis=0) == 0).all()


# Given vectors.


@pytest.mark.thorough
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_vectors_by_token_and_by_id_are_the_same(estimator):
    X, y = make_tokens()
    vectors = make_vectors()
    rows = np.array([vectors.get(token, np.zeros(3)) for token in X.tokens])
    expected = fit(estimator, X, y, embeddings=rows).predict(X)
    same = [vectors, Vectors(vectors), pd.Series(vectors), rows.tolist()]
    same.append(torch.tensor(rows, requires_grad=True))
    for embeddings in same:
        # An absent token starts at random, but neither special id comes.
        predicted = fit(estimator, X, y, embeddings=embeddings).predict(X)
        for one, other in zip(predicted, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_starts_from_given_vectors_and_changes_them(estimator, dtype):
    X, y = make_tokens()
    vectors = make_vectors()
    options = {"embeddings": vectors, "dtype": dtype, "max_epochs": 1}
    options["token_dropout"] = 0
    barely = fit(estimator, X, y, learning_rate=1e-9, **options)
    rows = np.array([vectors[token] for token in X.tokens[2:]])
    np.testing.assert_allclose(weight_of(barely)[2:-1], rows, atol=1e-6)
    assert (weight_of(barely)[[0, 1, -1]] == 0).all()
    assert (weight_of(fit(estimator, X, y, **options))[2:-1] != rows).any()


def test_tokens_without_a_vector_start_near_zero_at_random():
    X, y = make_tokens()
    vectors = make_vectors()
    del vectors["film"]
    options = {"embeddings": vectors, "max_epochs": 1, "learning_rate": 1e-9}
    weight = weight_of(fit(X=X, y=y, **options))
    row = weight[X.tokens.tolist().index("film")]
    assert (row != 0).all()
    assert np.abs(row).max() < 0.5


@pytest.mark.thorough
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1, "optimizer": "adamw"},
        {"optimizer": "rmsprop", "weight_decay": 0.1},
        {"early_stopping": True, "validation_fraction": 0.2},
        {"bptt_steps": 2, "clip_value": 0.1, "clip_norm": 0.1},
        {"token_dropout": 0.3, "input_dropout": 0.3},
    ],
)
def test_frozen_vectors_stay_bit_for_bit(estimator, options):
    X, y = make_tokens()
    vectors = make_vectors()
    del vectors["film"]
    options = {"dtype": "float32", "train_embeddings": False, **options}
    model = fit(estimator, X, y, embeddings=vectors, **options)
    rows = [vectors.get(token, np.zeros(3)) for token in X.tokens]
    expected = np.array([*rows, np.zeros(3)], dtype=np.float32)
    assert weight_of(model).tobytes() == expected.tobytes()


def test_frozen_vectors_are_no_trained_numbers():
    X, y = make_tokens()
    vectors = make_vectors()
    trained, frozen = (
        fit(X=X, y=y, embeddings=vectors, train_embeddings=train).n_parameters_
        for train in (True, False)
    )
    assert trained - frozen == 3 * (len(X.tokens) + 1)


def test_frozen_vectors_stay_so_through_pickles_and_more_training():
    X, y = make_tokens()
    options = {"embeddings": make_vectors(), "train_embeddings": False}
    model = fit(X=X, y=y, warm_start=True, **options)
    again = pickle.loads(pickle.dumps(model))
    before = weight_of(model).copy()
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    for trained in (again.fit(X, y), again.partial_fit(X, y), model.partial_fit(X, y)):
        assert (weight_of(trained) == before).all()
    assert again.n_parameters_ == model.n_parameters_
    assert again.n_iter_ == 7


def test_given_vectors_help_where_words_are_few():
    # Half of the words that tell never come in the sentences to learn from.
    train, y = make_sentences(30, words=WORDS[:20])
    test, y_test = make_sentences(100, words=WORDS[20:], seed=1)
    tokenizer = SequenceTokenizer().fit(train + test)
    X, X_test = tokenizer.transform(train), tokenizer.transform(test)
    options = {"hidden_size": 8, "max_epochs": 40, "learning_rate": 0.02}
    options |= {"input_dropout": 0.0}
    scores = {}
    for kind, given in {
        "none": {"embedding_dim": 3},
        "trained": {"embeddings": make_vectors()},
        "frozen": {"embeddings": make_vectors(), "train_embeddings": False},
    }.items():
        model = fit(X=X, y=y, **options, **given)
        assert model.score(X, y) > 0.9
        scores[kind] = model.score(X_test, y_test)
    assert scores["none"] < 0.7
    assert scores["trained"] > 0.8
    assert scores["frozen"] > 0.8


def test_words_beyond_training_have_their_vectors():
    train, y = make_sentences(30, words=WORDS[:20])
    tokenizer = SequenceTokenizer().fit([*train, "word39"])
    vectors = make_vectors()
    X = tokenizer.transform(train)
    model = fit(X=X, y=y, embeddings=vectors, dtype="float64")
    row = weight_of(model)[tokenizer.vocabulary_["word39"]]
    np.testing.assert_array_equal(row, vectors["word39"])


def test_a_vector_for_unknown_is_taken():
    X, y = make_tokens()
    vectors = {**make_vectors(), "<unk>": np.array([5.0, 6.0, 7.0])}
    model = fit(X=X, y=y, embeddings=vectors, train_embeddings=False)
    assert weight_of(model)[-1].tolist() == [5, 6, 7]


def test_an_array_may_have_more_rows_than_ids_without_tokens():
    rows = np.random.default_rng(0).normal(size=(7, 3))
    X, y = [[1, 4], [4, 1]] * 20, [0, 1] * 20
    model = fit(X=X, y=y, embeddings=rows, train_embeddings=False, dtype="float64")
    np.testing.assert_array_equal(weight_of(model)[:-1], rows)
    assert model.module_.core.rnn.input_size == 3
    seen, more, unknown = model.predict_proba([[1, 1], [6, 6], [7, 7]])
    assert (seen != more).all() and (more != unknown).all()


def test_the_width_may_be_given_as_well_if_it_is_right():
    X, y = make_tokens()
    one = fit(X=X, y=y, embeddings=make_vectors(), embedding_dim=3)
    other = fit(X=X, y=y, embeddings=make_vectors())
    np.testing.assert_array_equal(weight_of(one), weight_of(other))
    with pytest.raises(
        ValueError, match="embedding_dim=4, but .* vectors of 3 numbers"
    ):
        fit(X=X, y=y, embeddings=make_vectors(), embedding_dim=4)


def test_given_vectors_make_an_estimator_read_tokens():
    with pytest.raises(InvalidSequenceError, match="whole numbers from 0"):
        fit(X=[[0.5, 1.0]] * 4, y=[0, 1] * 2, embeddings=np.eye(3))
    with pytest.raises(ValueError, match="target_feature needs numbers"):
        fit(RNNRegressor, embeddings=make_vectors(), target_feature=0)


@pytest.mark.parametrize(
    "embeddings, error, message",
    [
        ("glove.6B", TypeError, "one row per id, .* got str"),
        (pd.DataFrame(make_vectors()).T, TypeError, "got DataFrame.* make dict"),
        ({"other": [1.0]}, ValueError, "none of the .* tokens of X, such as"),
        ({}, ValueError, "none of the"),
        (
            {"the": [1.0, 2.0], "film": [1.0]},
            ValueError,
            r"has shape \(.,\), but a vec",
        ),
        ({"the": 5.0}, ValueError, r"embeddings\['the'\] has shape \(\)"),
        ({"the": [np.nan]}, ValueError, r"embeddings\['the'\] holds NaN or infinity"),
        ({"the": "abc"}, ValueError, r"embeddings\['the'\] cannot be read as numbers"),
        (np.eye(5), ValueError, "embeddings has 5 rows, but the ids in X need 31"),
        (np.eye(99), ValueError, "embeddings has 99 rows, but the ids in X need 31"),
        (np.full((31, 2), np.inf), ValueError, "embeddings contains infinity"),
        ([["a", "b"]] * 31, ValueError, "array of finite numbers, one row per id"),
        (np.zeros(31), ValueError, "one row per id: Expected 2D array"),
        (7, ValueError, "'embeddings' parameter"),
    ],
)
def test_impossible_vectors_are_refused(embeddings, error, message):
    X, y = make_tokens()
    with pytest.raises(error, match=message):
        fit(X=X, y=y, embeddings=embeddings)


def test_vectors_by_token_need_to_know_the_tokens():
    with pytest.raises(
        ValueError, match="Put a SequenceTokenizer in front, or pass an"
    ):
        fit(X=[[1, 2]] * 4, y=[0, 1] * 2, embeddings=make_vectors())


def test_without_tokens_an_array_needs_a_row_for_every_id():
    with pytest.raises(
        ValueError, match="has 3 rows, but the ids in X need at least 4"
    ):
        fit(X=[[1, 3]] * 4, y=[0, 1] * 2, embeddings=np.eye(3))


class Failing(dict):
    """A mapping whose lookup fails in one way or another."""

    def __init__(self, error, where):
        super().__init__()
        self.error, self.where = error, where

    def __contains__(self, token):
        if self.where == "in":
            raise self.error
        return True

    def __getitem__(self, token):
        raise self.error

    def __len__(self):
        raise self.error


class UnknownWord(KeyError):
    pass


@pytest.mark.parametrize("where", ["in", "get"])
@pytest.mark.parametrize("error", [RuntimeError("closed"), UnknownWord("w"), OSError()])
def test_a_mapping_that_raises_names_the_token_and_the_cause(error, where):
    X, y = make_sentences(4)
    model = RNNClassifier(embeddings=Failing(error, where), max_epochs=1)
    message = f"embeddings raised {type(error).__name__} .* the token '<pad>'"
    with pytest.raises(ValueError, match=message) as caught:
        make_pipeline(SequenceTokenizer(), model).fit(X, y)
    assert caught.value.__cause__ is error
    assert "of vectors" in repr(model)
    assert clone(model).embeddings.vectors is model.embeddings


@pytest.mark.parametrize(
    "vector",
    ["abc", ["a", "b"], [1j, 2], [[1], [1, 2]], [10**400, 1], [None, {}], {1, 2}],
)
def test_vectors_that_are_no_numbers_name_the_token(vector):
    X = ["the cat", "a dog"]
    model = RNNClassifier(embeddings={"the": vector}, max_epochs=1)
    with pytest.raises(ValueError, match=r"embeddings\['the'\]"):
        make_pipeline(SequenceTokenizer(), model).fit(X, [0, 1])


def test_a_vector_that_trains_elsewhere_is_read():
    vector = torch.ones(2, requires_grad=True)
    model = RNNClassifier(embeddings={"the": vector}, hidden_size=2, max_epochs=1)
    make_pipeline(SequenceTokenizer(), model).fit(["the cat", "a dog"], [0, 1])
    assert vector.grad is None


# Options and vocabularies that do not go together.


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_options_that_would_do_nothing_are_refused(estimator):
    X = np.zeros((4, 3, 1))
    y = np.zeros((4, 3)) if estimator is RNNTagger else np.zeros(4)
    with pytest.raises(ValueError, match="token_dropout=0.1 hides tokens, but"):
        estimator(token_dropout=0.1).fit(X, y)
    with pytest.raises(ValueError, match="train_embeddings=False .* embeddings=None"):
        estimator(embedding_dim=2, train_embeddings=False).fit(X, y)
    with pytest.raises(ValueError, match="'token_dropout' parameter"):
        estimator(embedding_dim=2, token_dropout=-0.1).fit(X, y)
    with pytest.raises(ValueError, match="'train_embeddings' parameter"):
        estimator(train_embeddings="no").fit(X, y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_ids_of_tokens_are_not_read_as_numbers(estimator):
    with pytest.raises(InvalidSequenceError, match=r"\w+\(embedding_dim=32\)"):
        fit(estimator)


def test_strings_are_sent_to_the_tokenizer():
    sentences, y = make_sentences(4)
    for X in (sentences, np.array(sentences), pd.Series(sentences)):
        with pytest.raises(InvalidSequenceError, match="Put a SequenceTokenizer in"):
            RNNClassifier().fit(X, y)


def test_ids_of_another_vocabulary_are_refused():
    X, y = make_tokens()
    model = fit(X=X, y=y, embedding_dim=3)
    other = SequenceTokenizer().fit_transform(["the same words", "in another order"])
    with pytest.raises(InvalidSequenceError, match="stand for other tokens than those"):
        model.predict(other)
    with pytest.raises(InvalidSequenceError, match="stand for other tokens"):
        model.partial_fit(other, [0, 1])
    with pytest.raises(InvalidSequenceError, match="X_val: the ids in X stand for"):
        RNNClassifier(embedding_dim=3).fit(X, y, X_val=other, y_val=[0, 1])
    # An equal vocabulary is as good as the same, and plain ids must be trusted.
    alike = make_tokens()[0]
    for same in (alike, pickle.loads(pickle.dumps(X)), list(X)):
        np.testing.assert_array_equal(model.predict(same), model.predict(X))
    fit_anew = model.fit(other, [0, 1])
    fit_anew.predict(other)


def test_going_on_needs_the_same_options_and_keeps_the_vocabulary():
    X, y = make_tokens()
    model = fit(X=X, y=y, embedding_dim=3, token_dropout=0.1, warm_start=True)
    n_rows = len(weight_of(model))
    model.fit(list(X[:5]), y[:5])
    assert len(weight_of(model)) == n_rows
    with pytest.raises(ValueError, match="had another token_dropout"):
        model.set_params(token_dropout=0.5).fit(X, y)
    frozen = fit(
        X=X, y=y, embeddings=make_vectors(), train_embeddings=False, warm_start=True
    )
    frozen.fit(list(X), y)
    with pytest.raises(ValueError, match="had another train_embeddings"):
        frozen.set_params(train_embeddings=True).fit(X, y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_pickle_keeps_all(estimator):
    X, y = make_tokens()
    model = fit(estimator, X, y, embeddings=make_vectors(), token_dropout=0.2)
    again = pickle.loads(pickle.dumps(model))
    for one, other in zip(model.predict(X), again.predict(X), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.token_dropout == 0.2
    assert again.module_.spec == model.module_.spec
    with pytest.raises(InvalidSequenceError, match="other tokens"):
        again.predict(SequenceTokenizer().fit_transform(["a b", "c"]))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [dict, Vectors, pd.Series])
def test_a_mapping_is_neither_written_out_nor_copied(kind):
    class Unwritten(np.ndarray):
        def __repr__(self):
            raise AssertionError("a vector was written out")

        __deepcopy__ = __str__ = __repr__

    vectors = {word: vector.view(Unwritten) for word, vector in make_vectors().items()}
    given = kind(vectors)
    model = RNNClassifier(embeddings=given, **QUICK)
    assert model.embeddings is given
    assert f"<{kind.__name__} of " in repr(model)
    assert "vectors>" in repr(make_pipeline(SequenceTokenizer(), model))
    assert "vectors" in model._repr_html_()
    twin = clone(clone(model))
    assert twin.get_params()["embeddings"].vectors is given
    X, y = make_tokens()
    np.testing.assert_array_equal(
        twin.fit(X, y).predict_proba(X), model.fit(X, y).predict_proba(X)
    )
    assert twin.set_params(embeddings=None).get_params()["embeddings"] is None
