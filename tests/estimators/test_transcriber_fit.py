"""RNNTranscriber: what training does, and what every option changes."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklearn_rnn import RNNTranscriber, SequenceScaler
from sklearn_rnn.metrics import sequence_accuracy
from sklearn_rnn.sequences import check_sequences


def speak(texts, letters="abc", noise=0.1, seed=0):
    """Return frames in which each letter sounds for a while, with pauses."""
    rng = np.random.default_rng(seed)
    X = []
    for text in texts:
        sounds = [0]
        for letter in text:
            sounds += [letters.index(letter) + 1] * rng.integers(2, 5)
            sounds += [0] * rng.integers(1, 3)
        frames = np.eye(len(letters) + 1)[sounds]
        X.append(frames + rng.normal(0, noise, frames.shape))
    return X


def spoken(n=120, letters="abc", longest=4, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    y = ["".join(rng.choice(list(letters), k)) for k in rng.integers(1, longest + 1, n)]
    return speak(y, letters, noise, seed), y


def small(**options):
    options = {"learning_rate": 0.01, "random_state": 0, **options}
    return RNNTranscriber(**{"hidden_size": 16, "max_epochs": 8, **options})


def same_weights(first, second):
    a, b = (m.module_.state_dict() for m in (first, second))
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def listener():
    return small(hidden_size=24, max_epochs=15).fit(*spoken())


@pytest.mark.thorough
def test_strings_are_transcribed_and_come_back_as_strings(listener):
    X, y = spoken(seed=1)
    written = listener.predict(X)
    assert written.dtype == object
    assert all(isinstance(text, str) for text in written)
    assert listener.score(X, y) > 0.97
    counts = Counter("".join(spoken()[1]))
    assert listener.symbols_.tolist() == [s for s, _ in counts.most_common()]


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_every_cell_learns(cell):
    X, y = spoken(letters="ab", longest=2)
    assert small(cell=cell, max_epochs=12).fit(X, y).score(X, y) > 0.9


@pytest.mark.thorough
def test_equal_neighbours_are_told_from_one():
    X, y = spoken(80, letters="a", longest=3)
    model = small(max_epochs=15).fit(X, y)
    assert model.predict(speak(["a", "aa", "aaa"], "a", seed=9)).tolist() == [
        "a", "aa", "aaa",
    ]  # fmt: skip


def test_lists_of_any_symbols_are_written_as_lists():
    X, y = spoken(60)
    names = {"a": ("up", 1), "b": 7, "c": "c"}
    y = [[names[s] for s in text] for text in y]
    model = small(max_epochs=15).fit(X, y)
    written = model.predict(X)
    assert isinstance(written[0], list)
    assert model.score(X, y) > 0.9
    assert {s for row in written for s in row} <= set(names.values())


@pytest.mark.thorough
def test_frames_may_be_joined():
    X, y = spoken()
    joined = small(subsampling=2, max_epochs=15).fit(X, y)
    assert joined.score(X, y) > 0.9
    lengths = np.array([len(x) for x in X])
    found = [len(p) for p in joined.posteriors(X)]
    assert found == (-(-lengths // 2)).tolist()
    assert joined.module_.core.rnn.input_size == 8


def test_a_single_frame_is_enough_for_a_symbol():
    X = [np.eye(2)[[i % 2]] * 3 for i in range(40)]
    y = ["ab"[i % 2] for i in range(40)]
    model = small(max_epochs=10).fit(X, y)
    assert model.predict(X[:2]).tolist() == ["a", "b"]


def test_silence_is_transcribed_as_nothing():
    X, y = spoken(100)
    silence = speak([""] * 20, seed=5)
    model = small(max_epochs=12).fit(X + silence, y + [""] * 20)
    assert model.predict(silence).tolist() == [""] * 20
    assert model.score(X, y) > 0.9


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": False},
        {"n_layers": 2},
        {"layer_norm": False},
        {"subsampling": 2},
        {"dropout": 0.5},
        {"input_dropout": 0.5},
        {"weight_drop": 0.5},
        {"shortest_first": False},
        {"shuffle": False},
        {"standardize": False},
        {"batch_size": 30},
        {"optimizer": "sgd"},
        {"weight_decay": 0.1, "optimizer": "adamw"},
        {"clip_norm": 0.01, "optimizer": "sgd"},
        {"clip_value": 1e-4, "optimizer": "sgd"},
        {"lr_schedule": None},
        {"random_state": 1},
        {"max_epochs": 3},
        {"dtype": "float64"},
    ],
)
def test_every_option_of_training_changes_what_is_learned(options):
    X, y = spoken(50)
    plain = small(max_epochs=2).fit(X, y)
    other = small(**{"max_epochs": 2, **options}).fit(X, y)
    a, b = (m.posteriors(X[:1])[0] for m in (plain, other))
    assert a.shape != b.shape or not np.allclose(a, b, rtol=1e-5)


def test_residual_layers_add_their_inputs():
    X, y = spoken(50)
    plain = small(n_layers=2, max_epochs=1).fit(X, y)
    other = small(n_layers=2, max_epochs=1, residual=True).fit(X, y)
    a, b = (m.posteriors(X[:1])[0] for m in (plain, other))
    assert not np.allclose(a, b)


def test_the_first_epoch_goes_from_short_to_long():
    X, y = spoken(64)
    seen = []

    class Watch:
        def draw(self, starts, lengths, random_state):
            seen.append(int(lengths.max()))
            return np.zeros((lengths.sum(), 4))

    X = check_sequences(X).with_transforms(augmentation=Watch())
    model = small(max_epochs=2, warm_start=True).fit(X, y)
    assert seen[:4] == sorted(seen[:4]) != seen[4:]
    seen.clear()
    model.fit(X, y)  # goes on: it knows the long ones already
    assert seen[:4] != sorted(seen[:4])


def test_a_seed_fixes_the_model_and_leaves_the_callers_randomness_alone():
    X, y = spoken(40)
    before = torch.get_rng_state()
    a, b = (small(max_epochs=2, dropout=0.3).fit(X, y) for _ in range(2))
    assert same_weights(a, b)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_untrained_network_says_nothing_as_often_as_nothing_is_said():
    X, y = spoken(40)
    model = small(max_epochs=1, learning_rate=1e-12).fit(X, y)
    n_frames, counts = sum(map(len, X)), Counter("".join(y))
    shares = [counts[symbol] / n_frames for symbol in model.symbols_]
    found = model.module_.head.bias.detach().softmax(dim=0).numpy()
    np.testing.assert_allclose(found, [1 - sum(shares), *shares], rtol=1e-5)
    # And the weights leave it at that, more or less.
    assert np.concatenate(list(model.posteriors(X)))[:, 0].mean() > 0.5


def test_a_weight_of_zero_is_as_if_the_clip_were_not_there():
    X, y = spoken(40)
    odd_X, odd_y = speak(["zz"], "z")[0][:, [0, 1, 1, 1]], "zz"
    weighted = small(max_epochs=2).fit(
        [*X, odd_X], [*y, odd_y], sample_weight=[1] * 40 + [0]
    )
    plain = small(max_epochs=2).fit(X, y)
    assert same_weights(weighted, plain)
    assert "z" not in weighted.symbols_


def test_weights_say_which_of_two_transcripts_is_learned():
    X = speak(["a"] * 40, seed=1)
    X, y = X + X, ["a"] * 40 + ["b"] * 40
    for weight_of_a, said in ((1.0, "b"), (9.0, "a")):
        weights = [weight_of_a] * 40 + [10.0 - weight_of_a] * 40
        model = small(max_epochs=8, beam_width=5).fit(X, y, sample_weight=weights)
        assert Counter(model.predict(X)).most_common(1)[0][0] == said


def test_early_stopping_goes_back_to_the_best_weights():
    X, y = spoken(60, noise=1.0)
    model = small(early_stopping=True, max_epochs=40, n_iter_no_change=3).fit(X, y)
    assert model.n_iter_ < 40
    losses = [row["valid_loss"] for row in model.history_]
    assert model.best_epoch_ == int(np.argmin(losses)) + 1
    best = model.validation_scores_[model.best_epoch_ - 1]
    assert model.best_validation_score_ == best


def test_validation_data_of_ones_own_are_judged_each_epoch():
    X, y = spoken(60)
    X_val, y_val = spoken(30, seed=1)
    model = small(max_epochs=10).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == 10
    assert model.validation_scores_[-1] == pytest.approx(model.score(X_val, y_val))
    losses = [row["valid_loss"] for row in model.history_]
    assert losses[-1] < losses[0]


@pytest.mark.thorough
def test_validation_inside_fit_counts_weights():
    X, y = spoken(100)
    wrong = ["c" if "b" in text else "b" for text in y]
    scores = []
    for weight in (1.0, 1e-9):
        weights = [1.0] * 100 + [weight] * 100
        options = {"early_stopping": True, "validation_fraction": 0.3}
        model = small(**options, max_epochs=10, n_iter_no_change=10)
        # Nearly the same frames, as copies would stay together.
        model.fit([*X, *(x + 1e-6 for x in X)], y + wrong, sample_weight=weights)
        scores.append(model.validation_scores_[-1])
    assert scores[0] < 0.9 < scores[1]


def test_validation_without_any_symbol_has_no_score():
    X, y = speak(["", "", "", "", "ab"]), ["", "", "", "", "ab"]
    scores = []
    for seed in range(4):
        model = small(early_stopping=True, max_epochs=1, random_state=seed).fit(X, y)
        assert np.isfinite(model.history_[0]["valid_loss"])
        scores += model.validation_scores_
    assert np.isnan(scores).any()


def test_validation_weights_nothing_that_training_does_not_know():
    X, y = spoken(40)
    model = small(max_epochs=1).fit(X, y, X_val=X[:3], y_val=["z", "az", ""])
    assert np.isfinite(model.history_[0]["valid_loss"])


def test_warm_start_goes_on_and_refuses_another_network():
    X, y = spoken(40)
    model = small(max_epochs=2, warm_start=True).fit(X, y)
    first = model.loss_curve_[-1]
    model.fit(X, y)
    assert model.n_iter_ == 4
    assert model.loss_curve_[-1] < first
    with pytest.raises(ValueError, match="another hidden_size"):
        model.set_params(hidden_size=8).fit(X, y)
    with pytest.raises(ValueError, match="another subsampling"):
        model.set_params(hidden_size=16, subsampling=2).fit(X, y)


def test_clones_and_pickles(listener):
    X, y = spoken(20, seed=3)
    again = pickle.loads(pickle.dumps(listener))
    assert again.predict(X).tolist() == listener.predict(X).tolist()
    assert clone(listener).get_params() == listener.get_params()
    again.set_params(beam_width=5, ngram_order=2)
    assert again.score(X, y) > 0.9


@pytest.mark.thorough
def test_it_is_searched_over_in_a_pipeline():
    X, y = spoken(60)
    pipeline = make_pipeline(SequenceScaler(), small(max_epochs=6))
    grid = {"rnntranscriber__hidden_size": [4, 24]}
    search = GridSearchCV(
        pipeline, grid, cv=2, scoring=make_scorer(sequence_accuracy)
    ).fit(X, y)
    assert search.best_params_ == {"rnntranscriber__hidden_size": 24}
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5


def test_nothing_works_before_fit():
    X, y = spoken(2)
    for call in ("predict", "posteriors", "predict_n_best"):
        with pytest.raises(NotFittedError):
            getattr(RNNTranscriber(), call)(X)
    with pytest.raises(NotFittedError):
        RNNTranscriber().score(X, y)


def test_float64_is_trained_in_float64():
    X, y = spoken(20)
    model = small(max_epochs=1, dtype="float64").fit(X, y)
    assert model.module_.head.weight.dtype == torch.float64


def test_an_interrupted_fit_leaves_a_model_that_transcribes():
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    X, y = spoken(30)
    model = small(callbacks=Interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert len(model.predict(X)) == 30


@pytest.mark.parametrize("X", [None, 5, 2.5])
def test_what_is_no_collection_is_refused_by_its_type(X):
    with pytest.raises(TypeError, match="which RNNTranscriber cannot read as sequ"):
        RNNTranscriber(max_epochs=1).fit(X, [["b"]])
