"""RNNTagger(transition_weight=...): the order of labels counts."""

from itertools import pairwise, product

import numpy as np
import pytest

from sklearn_rnn import RNNTagger, StatefulPredictor
from sklearn_rnn.estimators.closed_form import Transitions, log_softmax
from sklearn_rnn.persistence import load_model, save_model, to_onnx


def weather(n=60, noise=1.5, seed=0):
    """Return noisy readings of states that seldom change, and the states."""
    rng = np.random.default_rng(seed)
    y = []
    for length in rng.integers(3, 20, n):
        changes = rng.random(length) < 0.05
        states = (np.cumsum(changes) + rng.integers(2)) % 2
        y.append(np.array(["dry", "wet"])[states])
    X = [((s == "wet") + rng.normal(0, noise, len(s)))[:, np.newaxis] for s in y]
    return X, y


def tagger(**options):
    options = {"hidden_size": 4, "max_epochs": 3, "random_state": 0, **options}
    return RNNTagger(**options)


def chain_of(log_probabilities, links):
    """Return the log marginals of one sequence, by summing over all labellings."""
    n_steps, n_classes = log_probabilities.shape
    marginals = np.zeros((n_steps, n_classes))
    for labels in product(range(n_classes), repeat=n_steps):
        value = np.exp(sum(log_probabilities[t, k] for t, k in enumerate(labels)))
        value *= np.prod([links[a, b] for a, b in pairwise(labels)])
        marginals[np.arange(n_steps), labels] += value
    return np.log(marginals / marginals.sum(axis=1, keepdims=True))


def test_marginals_are_sums_over_all_labellings():
    rng = np.random.default_rng(0)
    transitions = Transitions(rng.random((3, 3)))
    lengths = np.array([4, 1, 6, 2])
    logs = log_softmax(rng.normal(size=(lengths.sum(), 3)))
    found = transitions.log_marginals(logs, lengths, weight=0.7)
    links = transitions.ratios() ** 0.7
    parts = np.split(logs, np.cumsum(lengths)[:-1])
    expected = np.vstack([chain_of(part, links) for part in parts])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_pairs_are_counted_inside_sequences_between_labels_that_exist():
    codes, lengths = np.array([0, 0, 1, 1, -100, 0, 1, 0]), np.array([3, 4, 1])
    codes[codes < 0] = -1
    counts = Transitions.count(codes, lengths, 2).counts
    assert counts.tolist() == [[1, 2], [0, 0]]
    weights = np.array([3.0] * 3 + [0.5] * 4 + [9.0])
    counts = Transitions.count(codes, lengths, 2, weights).counts
    assert counts.tolist() == [[3, 3.5], [0, 0]]


def test_ratios_compare_with_how_often_a_label_comes_at_all():
    ratios = Transitions(np.array([[50.0, 0.0], [0.0, 50.0]])).ratios()
    assert ratios[0, 0] == pytest.approx(2, rel=1e-3)
    assert 0 < ratios[0, 1] < 0.001
    independent = Transitions(np.array([[9.0, 3.0], [3.0, 1.0]])).ratios()
    np.testing.assert_allclose(independent, 1, rtol=1e-3)
    np.testing.assert_allclose(Transitions(np.zeros((2, 2))).ratios(), 1)


def test_states_that_seldom_change_are_told_better():
    X, y = weather()
    X_new, y_new = weather(seed=1)
    options = {"max_epochs": 20, "learning_rate": 0.02}
    alone = tagger(**options).fit(X, y)
    chained = tagger(transition_weight=1.0, **options).fit(X, y)
    assert chained.score(X_new, y_new) > alone.score(X_new, y_new) + 0.02


def test_predictions_are_the_labels_of_the_largest_probabilities():
    X, y = weather()
    model = tagger(transition_weight=1.0).fit(X, y)
    for labels, found, logs in zip(
        model.predict(X),
        model.predict_proba(X),
        model.predict_log_proba(X),
        strict=True,
    ):
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.exp(logs), found, rtol=1e-5)
        assert labels.tolist() == model.classes_[found.argmax(axis=1)].tolist()


def test_no_weight_leaves_the_networks_predictions():
    X, y = weather(20)
    model, chained = tagger().fit(X, y), tagger(transition_weight=1e-12).fit(X, y)
    for a, b in zip(model.predict_proba(X), chained.predict_proba(X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert model._task.transitions is None


def test_other_sequences_do_not_change_a_sequences_labels():
    X, y = weather()
    model = tagger(transition_weight=1.0).fit(X, y)
    alone = model.predict_proba(X[:1])[0]
    np.testing.assert_allclose(model.predict_proba(X)[0], alone, rtol=1e-6)


def test_weights_count_as_copies():
    X, y = weather(10)
    weights = np.array([3] + [1] * 9)
    weighted = tagger(transition_weight=1.0).fit(X, y, sample_weight=weights)
    copied = tagger(transition_weight=1.0).fit(X[:1] * 2 + X, y[:1] * 2 + y)
    np.testing.assert_allclose(
        weighted._task.transitions.ratios(), copied._task.transitions.ratios()
    )


def test_streams_add_their_pairs_and_warm_starts_replace_them():
    X, y = weather(10)
    model = tagger(transition_weight=1.0)
    for part in (slice(5), slice(5, None)):
        model.partial_fit(X[part], y[part], classes=["dry", "wet"])
    whole = tagger(transition_weight=1.0, warm_start=True).fit(X, y)
    counts = whole._task.transitions.counts.copy()
    np.testing.assert_array_equal(model._task.transitions.counts, counts)
    assert whole.fit(X, y)._task.transitions.counts.tolist() == counts.tolist()
    assert whole.set_params(transition_weight=0).fit(X, y)._task.transitions is None


def test_what_reads_step_by_step_refuses_transitions(tmp_path):
    X, y = weather(10)
    model = tagger(transition_weight=1.0).fit(X, y)
    with pytest.raises(ValueError, match="transition_weight=0"):
        StatefulPredictor(model)
    with pytest.raises(ValueError, match="transition_weight=0"):
        to_onnx(model, tmp_path / "tagger.onnx")


def test_a_saved_model_predicts_the_same(tmp_path):
    X, y = weather(10)
    model = tagger(transition_weight=1.0).fit(X, y)
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    for a, b in zip(model.predict_proba(X), again.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)
