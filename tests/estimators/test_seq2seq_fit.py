"""RNNSeq2Seq: what training does, and what every option changes."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklearn_rnn import RNNSeq2Seq, SequenceScaler, StopTraining
from sklearn_rnn.metrics import sequence_accuracy
from sklearn_rnn.sequences import UNKNOWN


def reversed_strings(n=200, letters="abc", longest=4, seed=0):
    rng = np.random.default_rng(seed)
    X = ["".join(rng.choice(list(letters), k)) for k in rng.integers(1, longest + 1, n)]
    return X, [x[::-1] for x in X]


def small(**options):
    options = {"hidden_size": 16, "embedding_dim": 8, "random_state": 0, **options}
    return RNNSeq2Seq(**options)


class StopAtOnce(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise StopTraining


def weights_of(model):
    return {k: v.clone() for k, v in model.module_.state_dict().items()}


def same_weights(first, second):
    pairs = zip(weights_of(first).values(), weights_of(second).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def reverser():
    X, y = reversed_strings()
    return small(hidden_size=32, max_epochs=60).fit(X, y)


@pytest.mark.thorough
def test_strings_are_reversed_and_come_back_as_strings(reverser):
    X, y = reversed_strings(seed=1)
    written = reverser.predict(X)
    assert written.dtype == object
    assert all(isinstance(text, str) for text in written)
    assert reverser.score(X, y) > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "attention_type", ["additive", "location", "multiplicative", None]
)
def test_every_cell_learns_with_every_attention(cell, attention_type):
    X, y = reversed_strings(longest=2)
    options = {"cell": cell, "attention_type": attention_type}
    model = small(max_epochs=60, learning_rate=0.01, **options).fit(X, y)
    assert model.score(X, y) > 0.9


@pytest.mark.slow
def test_lists_of_any_symbols_are_written_as_lists():
    X, y = reversed_strings(longest=2)
    X = [[(letter, 1) for letter in x] for x in X]
    y = [[ord(letter) for letter in text] for text in y]
    model = small(max_epochs=60, learning_rate=0.01).fit(X, y)
    assert model.score(X, y) > 0.9
    assert isinstance(model.predict(X[:1])[0], list)
    assert set(model.target_symbols_) == {97, 98, 99}
    assert set(model.source_symbols_) == {("a", 1), ("b", 1), ("c", 1)}


@pytest.mark.thorough
def test_vectors_are_described():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) * [1, 100] + [0, 1000]
    y = [f"{'-+'[int(a > 0)]}{'-+'[int(b > 1000)]}" for a, b in X]
    model = small(max_epochs=60, learning_rate=0.01).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.n_features_in_ == 2
    assert model.module_.spec.source == "vectors"


@pytest.mark.thorough
def test_standardize_is_what_makes_numbers_of_any_unit_readable():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) * 1e-6
    y = ["-+"[int(a > 0)] for a in X[:, 0]]
    options = {"max_epochs": 10, "learning_rate": 0.01}
    assert small(**options).fit(X, y).score(X, y) > 0.9
    assert small(standardize=False, **options).fit(X, y).score(X, y) < 0.8


@pytest.mark.thorough
def test_sequences_of_numbers_are_read_at_unequal_lengths_in_a_pipeline():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in rng.integers(1, 5, size=200)]
    y = ["".join("-+"[int(a > 0)] for a in x[:, 0]) for x in X]
    network = small(max_epochs=60, learning_rate=0.01)
    model = make_pipeline(SequenceScaler(), network).fit(X, y)
    assert model.score(X, y) > 0.9
    assert network.module_.spec.source == "sequences"


def test_source_says_what_auto_would_read_otherwise():
    X = np.array([[0, 1, 2], [2, 1, 0], [1, 1, 1]] * 10)
    y = ["".join("abc"[i] for i in row) for row in X]
    reads = {
        source: small(source=source, max_epochs=1).fit(X, y).module_.spec.source
        for source in ("auto", "symbols", "sequences", "vectors")
    }
    assert reads.pop("auto") == "vectors"
    assert all(source == read for source, read in reads.items())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": False},
        {"attention_type": "additive"},
        {"n_layers": 2},
        {"embedding_dim": 5},
        {"layer_norm": True},
        {"dropout": 0.5},
        {"input_dropout": 0.5},
        {"weight_drop": 0.5},
        {"tie_embeddings": True},
        {"scheduled_sampling": 1.0},
        {"label_smoothing": 0.3},
        {"optimizer": "sgd"},
        {"lr_schedule": None},
        {"weight_decay": 0.1, "optimizer": "adamw"},
        {"clip_norm": 1e-3},
        {"clip_value": 1e-4, "clip_norm": None},
        {"batch_size": 10},
        {"shuffle": False},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_option_of_training_changes_what_is_learned(options):
    X, y = reversed_strings(60)
    plain = small(max_epochs=3, batch_size=20).fit(X, y)
    other = small(**{"max_epochs": 3, "batch_size": 20, **options}).fit(X, y)
    assert other.loss_curve_ != plain.loss_curve_


def test_residual_layers_add_their_inputs():
    X, y = reversed_strings(60)
    curves = [
        small(max_epochs=2, n_layers=2, residual=residual).fit(X, y).loss_curve_
        for residual in (True, False)
    ]
    assert curves[0] != curves[1]


def test_a_seed_fixes_the_model_and_leaves_the_callers_randomness_alone():
    X, y = reversed_strings(60)
    options = {"max_epochs": 3, "dropout": 0.3, "scheduled_sampling": 0.5}
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (small(**options).fit(X, y) for _ in range(2))
    assert same_weights(first, second)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_scheduled_sampling_ends_with_training():
    X, y = reversed_strings(40)
    model = small(max_epochs=2, scheduled_sampling=1.0).fit(X, y)
    assert model.module_.sampling_probability == 0.0


def test_scheduled_sampling_rises_evenly():
    X, y = reversed_strings(40)
    model = small(max_epochs=4, scheduled_sampling=0.8, batch_size=20)
    probabilities = []

    class Watch(Callback):
        def on_batch_end(self, net, training, **kwargs):
            probabilities.append(net.module_.sampling_probability)

    model.set_params(callbacks=[Watch()]).fit(X, y)
    assert probabilities == pytest.approx(0.8 * np.arange(8) / 8)
    assert model.module_.sampling_probability == 0


def test_an_untrained_network_writes_by_how_often_symbols_come():
    X, y = reversed_strings(100)
    model = small(learning_rate=1e-12, max_epochs=1, hidden_size=1, dropout=0.0)
    model.fit(X, y)
    counts = np.unique(list("".join(y)) + ["end"] * len(y), return_counts=True)[1]
    shares = counts / counts.sum()
    assert model.loss_curve_[0] == pytest.approx(-(shares @ np.log(shares)), abs=0.05)


def test_a_weight_of_zero_is_as_if_the_pair_were_not_there():
    X, y = reversed_strings(60)
    rows = np.arange(60) % 3 > 0
    weights = [*rows * 1.0, 0.0]
    with_weights = small(max_epochs=3).fit([*X, "zz"], [*y, "z"], weights)
    chosen = np.flatnonzero(rows)
    alone = small(max_epochs=3).fit([X[i] for i in chosen], [y[i] for i in chosen])
    assert alone.loss_curve_ == pytest.approx(with_weights.loss_curve_, abs=1e-4)
    assert "z" not in with_weights.target_symbols_


@pytest.mark.thorough
def test_weights_say_which_of_two_answers_is_learned():
    X, y = ["a", "a"] * 20, ["p", "q"] * 20
    for weights, answer in [([9, 1] * 20, "p"), ([1, 9] * 20, "q")]:
        model = small(max_epochs=30).fit(X, y, sample_weight=weights)
        assert model.predict(["a"])[0] == answer


def assert_best_is_kept(model):
    """Check that the highest score was kept, and of several the lowest loss."""
    rows = [(-row["valid_score"], row["valid_loss"]) for row in model.history_]
    best = min(rows)
    assert model.best_epoch_ == 1 + rows.index(best)
    assert model.best_validation_score_ == -best[0]


def test_early_stopping_goes_back_to_the_best_weights():
    X, y = reversed_strings(60, letters="abcdefgh")
    model = small(early_stopping=True, max_epochs=200, n_iter_no_change=3, tol=0.0)
    model.set_params(learning_rate=0.02, validation_fraction=0.3).fit(X, y)
    assert model.n_iter_ < 200
    assert_best_is_kept(model)


def test_early_stopping_lets_the_learning_rate_fall_first():
    # No rise of the score counts, so that it is over after three epochs.
    X, y = reversed_strings(100)
    options = {"early_stopping": True, "tol": 100.0, "n_iter_no_change": 2}
    model = small(max_epochs=50, batch_size=10, **options).fit(X, y)
    rates = np.array([row["learning_rate"] for row in model.history_])
    assert model.n_iter_ == 6
    # Of nine updates an epoch the last begins when eight are made.
    assert rates[3:] / 4e-3 == pytest.approx((1 - (np.arange(3) + 8 / 9) / 3), rel=0.02)
    constant = small(max_epochs=50, lr_schedule=None, **options).fit(X, y)
    assert constant.n_iter_ == 3


def test_a_cool_down_begins_from_the_best_weights_and_ends_with_training():
    X, y = reversed_strings(100)
    model = small(early_stopping=True, tol=100.0, n_iter_no_change=5, max_epochs=8)
    model.set_params(learning_rate=0.2, clip_norm=None, optimizer="sgd").fit(X, y)
    assert model.n_iter_ == 8
    assert model.history_[-1]["learning_rate"] < 0.1
    assert_best_is_kept(model)


@pytest.mark.thorough
def test_auto_stops_where_nothing_more_is_learned():
    rng = np.random.default_rng(0)
    X, _ = reversed_strings(300, letters="abcdefgh")
    y = ["".join(rng.choice(list("pqrs"), 3)) for _ in X]
    model = small().fit(X, y)
    assert model.n_iter_ < 60  # of 200
    assert model.best_epoch_ < model.n_iter_
    assert model.module_.training is False


@pytest.mark.thorough
@pytest.mark.parametrize(
    "n_pairs, options",
    [
        (199, {"batch_size": 3}),  # few pairs
        (300, {"batch_size": 2}),  # few epochs
        (300, {"max_epochs": 30}),
        (300, {"early_stopping": False}),
    ],
)
def test_auto_holds_nothing_out_of(n_pairs, options):
    X, y = reversed_strings(n_pairs)
    model = small(hidden_size=2, callbacks=StopAtOnce(), **options).fit(X, y)
    assert model.n_iter_ == 1
    assert model.validation_scores_ is None
    held_out = small(hidden_size=2, callbacks=StopAtOnce()).fit(*reversed_strings(300))
    assert len(held_out.validation_scores_) == 1


@pytest.mark.thorough
def test_validation_data_of_ones_own_are_judged_each_epoch():
    X, y = reversed_strings(60)
    model = small(max_epochs=60, learning_rate=0.01)
    model.fit(X, y, X_val=["ab", "ca"], y_val=["ba", "ac"])
    assert len(model.validation_scores_) == 60
    assert model.validation_scores_[-1] == 1.0
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        model.fit(X, y, X_val=["ab"])


def test_validation_counts_weights():
    X, y = ["a", "b"] * 30, ["p", "q"] * 30
    losses = []
    for weights in ([1, 1], [100, 1]):
        model = small(early_stopping=True, max_epochs=2)
        model.fit(X, y, sample_weight=weights * 30)
        losses.append(model.history_[-1]["valid_loss"])
    assert abs(losses[0] - losses[1]) > 0.01


def test_symbols_that_training_does_not_show_say_nothing():
    model = small(max_epochs=1).fit(*reversed_strings(20))
    assert (model.module_.embedding.weight[UNKNOWN] == 0).all()


def test_warm_start_goes_on_and_refuses_another_network():
    X, y = reversed_strings(60)
    model = small(max_epochs=2, warm_start=True).fit(X, y)
    first = model.loss_curve_
    model.fit(X, y)
    assert model.n_iter_ == 4
    assert model.loss_curve_[:2] == first
    for name, value in {
        "hidden_size": 8,
        "tie_embeddings": True,
        "attention_type": None,
        "min_count": 2,
        "source": "symbols",
    }.items():
        before = model.get_params()[name]
        with pytest.raises(ValueError, match=f"another {name}"):
            model.set_params(**{name: value}).fit(X, y)
        model.set_params(**{name: before})


def test_a_fit_that_fails_to_begin_leaves_the_model_as_it_was():
    X, y = reversed_strings(40)
    model = small(max_epochs=2).fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.fit(X, y[:-1])
    assert (model.predict(X) == before).all()


def test_clones_and_pickles(reverser):
    X, _ = reversed_strings(20, seed=2)
    assert clone(reverser).get_params() == reverser.get_params()
    assert not hasattr(clone(reverser), "module_")
    loaded = pickle.loads(pickle.dumps(reverser))
    assert (loaded.predict(X) == reverser.predict(X)).all()
    assert loaded.predict_n_best(X, 2) == reverser.predict_n_best(X, 2)


@pytest.mark.slow
def test_it_is_searched_over_with_metrics_of_sequences():
    X, y = reversed_strings(90, longest=2)
    grid = {"hidden_size": [1, 24]}
    search = GridSearchCV(
        small(max_epochs=60, learning_rate=0.01),
        grid,
        scoring=make_scorer(sequence_accuracy),
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"hidden_size": 24}
    scores = cross_val_score(search.best_estimator_, X, y, cv=3)
    assert scores.mean() > 0.7


def test_nothing_works_before_fit():
    model = small()
    for call in (model.predict, model.predict_n_best, model.attention):
        with pytest.raises(NotFittedError):
            call(["ab"])


def test_float64_is_trained_in_float64():
    X, y = reversed_strings(30)
    model = small(max_epochs=1, dtype="float64").fit(X, y)
    kinds = {parameter.dtype for parameter in model.module_.parameters()}
    assert kinds == {torch.float64}


@pytest.mark.parametrize("kind", [dict.fromkeys, set])
def test_weights_of_what_has_no_order_are_refused(kind):
    words = ["ab", "cd"]
    for name, data in {"X": (kind(words), words), "y": (words, kind(words))}.items():
        with pytest.raises(TypeError, match=f"{name} is of type .* takes a list"):
            RNNSeq2Seq(max_epochs=1).fit(*data, sample_weight=[1.0, 2.0])
