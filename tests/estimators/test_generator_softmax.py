"""A generator of many symbols: what its adaptive softmax computes and learns."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import BatchScoring, Callback, EpochScoring

from sklearn_rnn import RNNGenerator
from sklearn_rnn.modules import AdaptiveSoftmax

SMALL = {
    "hidden_size": 16,
    "embedding_dim": 8,
    "max_epochs": 2,
    "bptt_steps": 20,
    "batch_size": 8,
    "softmax": "adaptive",
    "random_state": 0,
}


def generator(**options):
    return RNNGenerator(**{**SMALL, **options})


def make_words(n_steps=3000, n_words=60, seed=0):
    """Return words that follow one another: each one tells half of the next."""
    random_state = np.random.RandomState(seed)
    drawn = n_words * random_state.beta(0.5, 2.0, size=n_steps)
    words = [0]
    for step, value in enumerate(drawn.astype(int)):
        words.append((7 * words[-1] + 3) % n_words if step % 2 else value)
    return [f"word {word}" for word in words]


WORDS = make_words()
KINDS = {
    "one text": [WORDS],
    "texts": [WORDS[i : i + 15 + i % 7] for i in range(0, 2970, 30)],
}


@pytest.fixture(scope="module")
def models():
    return {
        (kind, order): generator(ngram_order=order).fit(X)
        for kind, X in KINDS.items()
        for order in (None, 2)
    }


@pytest.mark.thorough
@pytest.mark.parametrize("order", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_samples_and_next_symbols_have_the_same_probabilities(
    models, kind, order
):
    model, prompt = models[kind, order], WORDS[40:43]
    found = dict(model.next_symbols(prompt, k=1000))
    assert len(found) == model.n_symbols_
    by_score = {
        word: np.exp(model.score_steps([[*prompt, word]])[0][len(prompt)])
        for word in found
    }
    assert found == pytest.approx(by_score, rel=1e-4)
    total = sum(found.values())
    if kind == "texts":
        total += np.exp(model.score_steps([prompt])[0][len(prompt)])
    assert 0.9 < total <= 1 + 1e-6  # what never comes has the rest
    drawn = model.sample(prompt, 1, n=4000, random_state=0)
    word = max(found, key=found.get)
    share = np.mean([row == [word] for row in drawn])
    assert share == pytest.approx(found[word], abs=0.04)
    likeliest = model.sample(prompt, 1, temperature=0)
    assert likeliest == [word]


@pytest.mark.parametrize("kind", KINDS)
def test_all_probabilities_sum_to_one(models, kind):
    model = models[kind, None]
    with torch.no_grad():
        states = torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(0))
        log_probabilities = model.module_.read(states).double()
    sums = log_probabilities.exp().sum(dim=2)
    torch.testing.assert_close(sums, torch.ones(3, 5).double(), rtol=0, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_about_as_well_as_a_full_softmax(kind):
    X, options = KINDS[kind], {"max_epochs": 8, "learning_rate": 0.02}
    adaptive, full, untrained = (
        generator(ngram_order=None, **{**options, **more}).fit(X).perplexity(X)
        for more in ({}, {"softmax": "full"}, {"learning_rate": 1e-30})
    )
    assert adaptive < 0.7 * untrained
    assert adaptive < 1.2 * full


@pytest.mark.thorough
@pytest.mark.parametrize(
    "n_words, options, is_adaptive",
    [
        (2100, {}, True),
        (1900, {}, False),
        (2100, {"max_symbols": 1500}, False),
        (2100, {"tie_embeddings": True}, False),
        (2100, {"softmax": "full"}, False),
        (30, {"softmax": "adaptive"}, True),
    ],
)
def test_auto_is_adaptive_where_there_are_many_symbols(n_words, options, is_adaptive):
    options = {"softmax": "auto", "max_epochs": 1, "bptt_steps": 300, **options}
    model = generator(ngram_order=None, **options).fit([[*map(str, range(n_words))]])
    assert (type(model.module_.head) is AdaptiveSoftmax) == is_adaptive


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_both_kernels_learn_and_predict_the_same(kind):
    X, scores = KINDS[kind], []
    for kernel in ("compiled", "torch"):
        model = generator(kernel=kernel, ngram_order=None, dtype="float64").fit(X)
        assert model.kernel_ == kernel
        scores += [np.concatenate(model.score_steps(X))]
    np.testing.assert_allclose(*scores, rtol=1e-6, atol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("order", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_writes_and_scores_the_same(models, kind, order):
    model = models[kind, order]
    copy = pickle.loads(pickle.dumps(model))
    assert copy.score(KINDS[kind]) == model.score(KINDS[kind])
    written = [m.sample(WORDS[:2], 20, random_state=0) for m in (model, copy)]
    assert written[0] == written[1] == list(model.stream(WORDS[:2], 20, random_state=0))
    assert clone(model).fit(KINDS[kind]).score(KINDS[kind]) == model.score(KINDS[kind])


@pytest.mark.thorough
def test_warm_start_continues_with_the_same_softmax():
    model = generator(warm_start=True, lr_schedule=None, ngram_order=None).fit([WORDS])
    before = model.score([WORDS])
    assert model.fit([WORDS]).score([WORDS]) > before
    model.set_params(softmax="full")
    with pytest.raises(ValueError, match="had another softmax"):
        model.fit([WORDS])


@pytest.mark.thorough
def test_weights_of_sequences_count():
    X = KINDS["texts"]
    model = generator(warm_start=True, ngram_order=None).fit(X)
    weights = np.linspace(0.5, 2, len(X))
    weighted = clone(model).fit(X, sample_weight=weights)
    assert weighted.score(X) != model.score(X)
    doubled = clone(model).fit(X, sample_weight=np.full(len(X), 2.0))
    assert doubled.score(X) == model.score(X)


@pytest.mark.thorough
def test_mixed_precision_learns_too():
    model = generator(dtype="mixed", ngram_order=None).fit([WORDS])
    plain = generator(ngram_order=None, kernel="torch").fit([WORDS])
    assert model.score([WORDS]) == pytest.approx(plain.score([WORDS]), abs=0.05)


# Of the metrics, in some versions of scikit-learn.
@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_callbacks_are_given_probabilities_of_all_symbols():
    sums = []

    class Watcher(Callback):
        def on_batch_end(self, net, *, y_pred, **kwargs):
            sums.append(y_pred.exp().sum(dim=2))

    scoring = [
        ("epoch", EpochScoring("accuracy", name="of_epoch")),
        ("batch", BatchScoring("accuracy", name="of_batch", on_train=True)),
    ]
    X, options = [WORDS[:400]], {"ngram_order": None, "max_symbols": 20}
    watched = generator(callbacks=[Watcher(), *scoring], **options).fit(X, X_val=X)
    for found in sums:
        torch.testing.assert_close(found, torch.ones_like(found))
    for name in ("of_epoch", "of_batch"):
        assert all(0 < value <= 1 for value in watched.net_.history_[:, name])
    # Without them no outputs of all symbols are computed, and nothing else changes.
    alone = generator(**options).fit(X, X_val=X)
    assert watched.score(X) == pytest.approx(alone.score(X), rel=1e-6)


@pytest.mark.parametrize(
    "X, options, said",
    [
        (np.zeros((2, 5, 3)), {}, 'frames of zeros and ones.*softmax="auto"'),
        ([WORDS], {"tie_embeddings": True}, "tie_embeddings=False"),
        ([WORDS], {"softmax": "sampled"}, "'softmax' parameter"),
    ],
)
def test_what_cannot_be_adaptive_is_refused(X, options, said):
    with pytest.raises(ValueError, match=said):
        generator(**options).fit(X)
