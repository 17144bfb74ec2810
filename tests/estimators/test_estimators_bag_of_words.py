"""A bag of words beside the recurrence: what it adds, and how both are weighed."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    SequenceArray,
    SequenceTokenizer,
    SequenceWindower,
    StatefulPredictor,
)
from sklearn_rnn.estimators.closed_form import BagOfWordsClassifier, _bag_of_words
from sklearn_rnn.estimators.closed_form._bag_of_words import group_copies
from sklearn_rnn.sequences import check_sequences

N_WORDS = 300


def make_texts(n_texts, n_classes=2, seed=0):
    """Return texts of ids; a third of the words are of their class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_texts) % n_classes
    X = []
    for label in y:
        text = rng.integers(N_WORDS, size=rng.integers(4, 12))
        telling = rng.random(len(text)) < 1 / 3
        text[telling] -= (text[telling] - label) % n_classes
        X.append(np.abs(text))
    return X, y


def make_orders(n_texts, seed=0):
    """Return texts of equal words, whose class is which of two comes first."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_texts) % 2
    X = []
    for label in y:
        text = rng.integers(2, 6, size=8)
        first, last = np.sort(rng.choice(range(0, 8, 2), 2, replace=False))
        text[first], text[last] = label, 1 - label
        X.append(text)
    return X, y


def make_noise(n_texts, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = [rng.integers(30, size=rng.integers(1, 9)) for _ in range(n_texts)]
    return X, rng.integers(n_classes, size=n_texts)


def make_classifier(**options):
    small = {"hidden_size": 4, "embedding_dim": 4, "max_epochs": 3, "batch_size": 32}
    return RNNClassifier(**small | {"random_state": 0} | options)


def fit_bag(X, y, weights=None, n_classes=None, seed=0):
    X, y = check_sequences(X), np.asarray(y)
    n_classes = y.max() + 1 if n_classes is None else n_classes
    random_state = np.random.RandomState(seed)
    return BagOfWordsClassifier().fit(X, y, n_classes, weights, random_state)


def test_few_texts_are_classified_better():
    (X, y), (X_test, y_test) = make_texts(300), make_texts(300, seed=1)
    scores = {
        bag: make_classifier(bag_of_words=bag).fit(X, y).score(X_test, y_test)
        for bag in (False, "auto")
    }
    assert scores["auto"] > 0.65 > scores[False] + 0.05


def test_pairs_of_neighbours_are_counted():
    # Both classes have the same words, one after the other or the other way round.
    rng = np.random.default_rng(0)
    X, y = [], np.arange(80) % 2
    for label in y:
        text = rng.integers(2, 8, size=6)
        text[2:4] = (0, 1) if label else (1, 0)
        X.append(text)
    assert fit_bag(X, y).left_out_score_ > 0.9


def test_false_is_the_network_alone_and_the_same_network():
    X, y = make_texts(60)
    alone = make_classifier(bag_of_words=False).fit(X, y)
    beside = make_classifier().fit(X, y)
    assert alone.bag_of_words_ is None
    for key, weight in alone.module_.state_dict().items():
        np.testing.assert_array_equal(weight, beside.module_.state_dict()[key])
    assert (alone.predict_proba(X) != beside.predict_proba(X)).any()


@pytest.mark.thorough
@pytest.mark.parametrize("n_texts", [200, 1200])
def test_the_network_counts_where_it_knows_more(n_texts):
    params = {"max_epochs": 20, "hidden_size": 16, "learning_rate": 0.02}
    model = make_classifier(**params).fit(*make_orders(n_texts))
    knows_less = make_classifier(**params).fit(*make_texts(n_texts))
    assert model.bag_of_words_.left_out_score_ < 0.8
    assert model.bag_of_words_.network_weight_ > 0.5
    assert knows_less.bag_of_words_.network_weight_ < 0.45
    assert model.score(*make_orders(200, seed=1)) > 0.9


@pytest.mark.thorough
@pytest.mark.parametrize("n_texts", [60, 1200])
def test_probabilities_suit_unseen_texts(n_texts):
    # A network that knows its training texts by heart may not outvote.
    (X, y), (X_test, y_test) = make_noise(n_texts), make_noise(300, seed=1)
    params = {"max_epochs": 40, "hidden_size": 16, "learning_rate": 0.02}
    alone, beside = (
        log_loss(
            y_test,
            make_classifier(bag_of_words=bag, **params).fit(X, y).predict_proba(X_test),
        )
        for bag in (False, True)
    )
    assert beside < 1.1 * np.log(3) < alone


def test_a_tenth_of_many_texts_weighs_the_network(monkeypatch):
    X, y = make_texts(120)
    monkeypatch.setattr(_bag_of_words, "MANY_TEXTS", 100)
    model = make_classifier(bag_of_words=True).fit(X, y)
    monkeypatch.undo()
    by_folds = make_classifier(bag_of_words=True).fit(X, y)
    weights = {m.bag_of_words_.network_weight_ for m in (model, by_folds)}
    assert len(weights | {_bag_of_words.UNFITTED_WEIGHT}) == 3
    # The network has not seen that tenth, and the bag of words has.
    bag = model.bag_of_words_
    assert len(by_folds.bag_of_words_.table_.keys) == len(bag.table_.keys)
    same = model.module_.state_dict()["head.weight"]
    assert (same != by_folds.module_.state_dict()["head.weight"]).any()


def test_nothing_as_long_as_the_data_is_kept():
    for n_texts in (60, 1100):
        bag = make_classifier().fit(*make_texts(n_texts)).bag_of_words_
        assert not bag.splits_ and not bag.left_out_scores_


def test_predictions_agree_with_one_another():
    X, y = make_texts(60, n_classes=3)
    model = make_classifier().fit(X, y)
    chances = model.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_allclose(np.log(chances), model.predict_log_proba(X), atol=1e-12)
    np.testing.assert_array_equal(
        model.predict(X), model.classes_[chances.argmax(axis=1)]
    )
    alone = [model.predict_proba([x])[0] for x in X]
    np.testing.assert_array_equal(chances, alone)


@pytest.mark.parametrize("n_texts", [50, 1100])
def test_an_integer_weight_is_as_many_copies(n_texts):
    X, y = make_texts(n_texts, n_classes=3)
    weights = np.random.default_rng(0).integers(1, 4, size=n_texts)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(X)), weights))
    weighted = fit_bag(X, y, weights.astype(float))
    repeated = fit_bag([X[i] for i in rows], y[rows])
    scaled = fit_bag(X, y, 5.0 * weights)
    expected = weighted.log_probabilities(check_sequences(X))
    for other in (repeated, scaled):
        found = other.log_probabilities(check_sequences(X))
        np.testing.assert_allclose(found, expected, atol=0.02)
        assert other.left_out_loss_ == pytest.approx(weighted.left_out_loss_, abs=0.01)


def test_copies_are_left_out_together():
    X, y = make_noise(60)
    bag = fit_bag(X * 20, np.tile(y, 20))
    # Else every text would be known from its copies.
    assert bag.n_texts_ == len({x.tobytes() for x in X})
    assert bag.left_out_score_ < 0.6
    first, copy_of = group_copies(check_sequences(X * 20))
    np.testing.assert_array_equal(copy_of[:60], copy_of[-60:])
    assert len(first) == bag.n_texts_


def test_class_weights_count():
    X, y = make_noise(200)
    y = (np.arange(200) < 20).astype(int)
    plain, balanced = (
        make_classifier(class_weight=class_weight).fit(X, y)
        for class_weight in (None, "balanced")
    )
    np.testing.assert_allclose(np.exp(plain.bag_of_words_.log_priors_), [0.9, 0.1])
    np.testing.assert_allclose(np.exp(balanced.bag_of_words_.log_priors_), [0.5, 0.5])
    assert plain.predict_proba(X)[:, 1].mean() < 0.2
    assert balanced.predict_proba(X)[:, 1].mean() > 0.3


def test_a_class_of_one_text_is_learned():
    X, y = make_texts(60)
    y[7] = 2
    model = make_classifier().fit(X, y)
    assert model.predict_proba(X).shape == (60, 3)
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert model.predict_proba(X)[7, 2] > model.predict_proba(X)[8, 2]


def test_a_class_that_is_held_out_can_be_absent():
    X, y = make_texts(60)
    y[0] = 2
    model = make_classifier(early_stopping=True, validation_fraction=0.5)
    found = model.fit(X, y, X_val=X[:10], y_val=y[:10]).predict_log_proba(X)
    assert np.isfinite(found).all()
    bag = fit_bag(X, np.arange(60) % 2, n_classes=4)
    assert bag.scores(check_sequences(X)).shape == (60, 4)


def test_two_texts_and_texts_that_say_nothing_can_be_learned():
    model = make_classifier(bag_of_words=True)
    assert model.fit([[0, 1], [2, 3]], ["a", "b"]).bag_of_words_.network_weight_ == 0.25
    assert model.predict([[0, 1], [2, 3]]).tolist() == ["a", "b"]
    same = make_classifier(bag_of_words=True).fit([[1, 2]] * 40, [0, 1, 1, 1] * 10)
    np.testing.assert_allclose(same.predict_proba([[1, 2]]), [[0.25, 0.75]], atol=0.1)
    single = make_classifier(bag_of_words=True).fit([[1], [2]] * 30, [0, 1] * 30)
    assert single.predict([[1], [2]]).tolist() == [0, 1]


def test_few_texts_that_are_told_apart_are_no_certainty():
    model = make_classifier(max_epochs=40, learning_rate=0.05)
    X = [[label + 5, *text] for label in (0, 1) for text in np.ndindex(5, 5)]
    chances = model.fit(X, np.repeat([0, 1], 25)).predict_proba(X)
    assert 0.9 < chances.max() < 1 - 1e-4


def test_unknown_and_empty_texts_get_what_is_frequent():
    X, y = make_texts(90)
    y = (y * (np.arange(90) % 3 > 0)).astype(int)
    words = [" ".join(f"w{token}" for token in x) for x in X]
    model = make_pipeline(SequenceTokenizer(min_count=2), make_classifier())
    model.fit(words, y)
    found = model.predict_proba(["", "nothing of it was ever seen"])
    assert np.isfinite(found).all() and (found[:, 0] > 0.4).all()
    ids = make_classifier(bag_of_words=True).fit(X, y)
    assert np.isfinite(ids.predict_log_proba([[N_WORDS + 5], [10**6]])).all()


def test_few_texts_are_left_to_the_network():
    X, y = make_texts(39)
    assert make_classifier().fit(X, y).bag_of_words_ is None
    assert make_classifier(bag_of_words=True).fit(X, y).bag_of_words_ is not None
    # Copies say nothing new.
    assert make_classifier().fit(X * 2, [*y, *y]).bag_of_words_ is None


def test_windows_that_overlap_have_none_unless_asked_for():
    table, y = np.random.default_rng(0).integers(9, size=(90, 1)), np.arange(90) % 2
    windows = SequenceWindower(4).fit_transform(table)
    assert make_classifier().fit(windows, y).bag_of_words_ is None
    assert make_classifier(bag_of_words=True).fit(windows, y).bag_of_words_ is not None


def test_validation_scores_are_those_of_score():
    (X, y), (X_val, y_val) = make_texts(200), make_texts(60, seed=1)
    model = make_classifier().fit(X, y, X_val=X_val, y_val=y_val)
    assert model.validation_scores_[-1] == model.score(X_val, y_val)
    alone = make_classifier(bag_of_words=False).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.validation_scores_ != alone.validation_scores_
    # With validation data all of the others train the network.
    for key, weight in alone.module_.state_dict().items():
        np.testing.assert_array_equal(weight, model.module_.state_dict()[key])


def test_early_stopping_weighs_by_what_is_set_aside():
    X, y = make_texts(300)
    model = make_classifier(early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert model.bag_of_words_.network_weight_ != 0.25
    assert max(model.validation_scores_) > 0.7


def test_a_copy_predicts_the_same():
    X, y = make_texts(60)
    model = make_classifier().fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), copied.predict_proba(X))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_a_task_that_was_pickled_without_one_predicts():
    X, y = make_texts(60)
    model = make_classifier(bag_of_words=False).fit(X, y)
    expected = model.predict_proba(X)
    del model._task.params.bag_of_words
    vars(model._task).pop("bag_of_words", None)
    model = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.bag_of_words_ is None


def test_a_warm_start_keeps_it():
    X, y = make_texts(60)
    model = make_classifier(warm_start=True).fit(X, y)
    before = model.bag_of_words_
    weight = before.network_weight_
    assert model.fit(*make_texts(60, seed=1)).bag_of_words_ is before
    assert before.network_weight_ == weight
    assert model.set_params(warm_start=False).fit(X, y).bag_of_words_ is not before


def test_a_stream_has_none_unless_fit_made_it():
    X, y = make_texts(60)
    assert make_classifier().partial_fit(X, y).bag_of_words_ is None
    model = make_classifier().fit(X, y)
    before = model.bag_of_words_
    assert model.partial_fit(X, y).bag_of_words_ is before
    with pytest.raises(ValueError, match="bag_of_words=True needs all training data"):
        make_classifier(bag_of_words=True).partial_fit(X, y)


def test_booleans_of_numpy_are_booleans():
    X, y = make_texts(20)
    for choice in np.array([True, False]):
        model = make_classifier(bag_of_words=choice).fit(X, y)
        assert (model.bag_of_words_ is not None) == choice


def test_numbers_have_none():
    X, y = np.random.default_rng(0).normal(size=(60, 5, 1)), np.arange(60) % 2
    model = make_classifier(embedding_dim=None)
    assert model.fit(X, y).bag_of_words_ is None
    with pytest.raises(ValueError, match="counts tokens, and X holds numbers"):
        model.set_params(bag_of_words=True).fit(X, y)
    with pytest.raises(ValueError, match="counts tokens, and X holds numbers"):
        make_classifier(embedding_dim=None, bag_of_words=True).fit("no sequences", y)


def test_a_live_signal_needs_a_network_alone():
    X, y = make_texts(60)
    with pytest.raises(ValueError, match="bag_of_words=False"):
        StatefulPredictor(make_classifier().fit(X, y))
    live = StatefulPredictor(make_classifier(bag_of_words=False).fit(X, y))
    assert live.predict(X[0][:1].reshape(1, 1, 1)).shape == (1,)


def test_an_interrupted_fit_can_predict():
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    X, y = make_texts(1100)
    model = make_classifier(callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.bag_of_words_.network_weight_ == 0.25
    assert model.score(X, y) > 0.7
    assert not model.bag_of_words_.splits_


@pytest.mark.parametrize("n_classes", [20, 100])
def test_many_classes_can_be_told_apart(n_classes):
    X, y = make_texts(1500, n_classes)
    bag = fit_bag(X, y)
    assert bag.left_out_score_ > 10 / n_classes
    assert bag.scores(check_sequences(X[:5])).shape == (5, n_classes)


def test_the_most_frequent_columns_are_kept(monkeypatch):
    monkeypatch.setattr(_bag_of_words, "MOST_COEFFICIENTS", 50)
    (X, y), X_test = make_texts(200), make_texts(50, seed=1)[0]
    bag = fit_bag(X, y)
    assert len(bag.table_.keys) == 50
    tokens, counts = np.unique(
        np.concatenate([np.unique(x) for x in X]), return_counts=True
    )
    assert set(tokens[counts > np.sort(counts)[-45]]) <= set(bag.table_.keys)
    assert np.isfinite(bag.scores(check_sequences(X_test))).all()


def test_the_table_is_tf_idf():
    X, _ = make_texts(50)
    texts = [" ".join(map(str, x)) for x in X]
    table = _bag_of_words.TokenTable()
    found = table.fit_transform(check_sequences(X), 10**6).toarray()
    tokens = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    pairs = TfidfVectorizer(
        token_pattern=r"\w+", sublinear_tf=True, ngram_range=(2, 2), min_df=2
    )
    n_tokens = (table.keys < table.n_ids).sum()
    for columns, vectorizer, length in (
        (found[:, :n_tokens], tokens, 1.0),
        (found[:, n_tokens:], pairs, 0.5),
    ):
        expected = vectorizer.fit_transform(texts).toarray() * length
        assert columns.shape == expected.shape
        # Columns in another order: the products of texts are the same.
        np.testing.assert_allclose(columns @ columns.T, expected @ expected.T)


def test_words_that_tell_classes_apart_are_penalised_less():
    # Of 10 texts each: word 0 tells the first class, word 1 nothing, 2 is in all.
    y = np.repeat([0, 1], 10)
    table = np.zeros((20, 3))
    table[:5, 0] = table[::4, 1] = table[:, 2] = 1.0
    table = csr_array(table)
    ratios = _bag_of_words.log_ratios(table, y, np.ones(20))
    np.testing.assert_allclose(ratios[0], -ratios[1])
    # Texts of each class with the word, and one more, over their sums.
    own, others = np.array([6, 4, 11]), np.array([1, 3, 11])
    expected = np.log(own / own.sum()) - np.log(others / others.sum())
    np.testing.assert_allclose(ratios[0], expected)
    model = _bag_of_words.fit_logits(table, y, np.ones(20))
    plain = LogisticRegression(C=_bag_of_words.INVERSE_PENALTY).fit(table, y)
    assert np.abs(model.coef_[0, 0]) > 1.5 * np.abs(plain.coef_[0, 0])


def test_the_same_ids_of_another_type_count_alike():
    X, y = make_texts(60)
    lengths = np.array([len(x) for x in X])
    values = np.concatenate(X)[:, np.newaxis]
    starts = np.cumsum(lengths) - lengths
    found = [
        fit_bag(SequenceArray(values.astype(dtype), starts, lengths), y)
        for dtype in (np.uint16, np.int64, np.float64)
    ]
    sequences = check_sequences(X)
    for bag in found[1:]:
        np.testing.assert_array_equal(bag.scores(sequences), found[0].scores(sequences))
