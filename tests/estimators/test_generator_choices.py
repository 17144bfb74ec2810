"""Weights, validation, continued fits and other options of generators."""

import copy
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from generator_models import KINDS, PLAIN, TEXT, TEXTS, WORDS, generator, weights_of
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from skorch.callbacks import Callback, LRScheduler

from sklearn_rnn import DivergenceError, RNNGenerator
from sklearn_rnn.training import NextStepDataset


def watcher(hook, look):
    """A callback that keeps what `look(net, **kwargs)` sees at a hook."""
    seen = []

    def keep(self, net, *args, **kwargs):
        seen.append(look(net, **kwargs))

    return type("Watcher", (Callback,), {hook: keep})(), seen


# Weights of sequences.


def test_a_sequence_without_weight_is_as_if_it_were_not_there():
    X, weights = [*TEXTS, "zzzz"], [*[1, 0, 2, 3, 0] * 4, 0]
    kept = [text for text, weight in zip(X, weights, strict=True) if weight]
    model = generator().fit(X, sample_weight=weights)
    expected = generator().fit(kept, sample_weight=[w for w in weights if w])
    assert torch.equal(weights_of(model), weights_of(expected))
    assert model.symbols_.tolist() == expected.symbols_.tolist()
    assert "z" not in model.symbols_
    assert model.loss_curve_ == expected.loss_curve_
    frames, weights = KINDS["frames"], [0, 1, 1, 2, 0, 1]
    model = generator().fit(frames, sample_weight=weights)
    expected = generator().fit(frames[[1, 2, 3, 5]], sample_weight=[1, 1, 2, 1])
    assert torch.equal(weights_of(model), weights_of(expected))


def test_a_weight_of_2_is_a_repetition_in_the_loss():
    # One update an epoch, and none of the figures of the start depends on it.
    model = generator(**{**PLAIN, "learning_rate": 1e-30, "max_epochs": 1})
    model.fit(["abc", "cabab", "bb"], sample_weight=[2, 1, 0])
    first, second = model.score_samples(["abc", "cabab"])
    expected = -(2 * first + second) / (2 * 4 + 6)
    loss_of_steps = model.loss_curve_[0]
    # Weights have mean 1 over the steps: 10 of them, 14 with the repetition.
    assert loss_of_steps == pytest.approx(expected, rel=1e-9)


def test_equal_weights_are_no_weights():
    expected = generator().fit(TEXTS)
    weighted = generator().fit(TEXTS, sample_weight=np.full(20, 7.0))
    assert torch.equal(weights_of(weighted), weights_of(expected))
    one = generator().fit(TEXT, sample_weight=[5])
    assert torch.equal(weights_of(one), weights_of(generator().fit(TEXT)))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_only_the_proportions_of_weights_matter(early_stopping):
    weights = np.tile([1.0, 2, 3, 4], 5)
    small, large = (
        generator(early_stopping=early_stopping).fit(TEXTS, sample_weight=weights * f)
        for f in (1 / 1024, 1024)
    )
    assert torch.equal(weights_of(small), weights_of(large))
    assert small.validation_scores_ == large.validation_scores_


@pytest.mark.thorough
def test_weights_pull_towards_what_they_weigh():
    low, high = (
        generator(max_epochs=30, learning_rate=0.02)
        .fit(["ab", "ac"] * 10, sample_weight=weights * 10)
        .next_symbols("a", k=1)[0]
        for weights in ([9, 1], [1, 9])
    )
    assert low[0] == "b"
    assert high[0] == "c"
    assert min(low[1], high[1]) > 0.8


@pytest.mark.parametrize(
    "form",
    [tuple, np.array, pd.Series, lambda X: pd.Series(X, index=range(20, 40))],
)
def test_sequences_without_weight_are_left_out_of_every_kind_of_list(form):
    weights = [1, 0, 2, 3, 0] * 4
    expected = generator().fit(TEXTS, sample_weight=weights)
    model = generator().fit(form(TEXTS), sample_weight=form(weights))
    assert torch.equal(weights_of(model), weights_of(expected))


@pytest.mark.parametrize(
    "weights, said",
    [
        ([1, -1], "Negative values"),
        ([1], r"shape == \(1,\), expected \(2,\)"),
        ([0, 0], "at least one non-zero"),
        ([1, np.nan], "NaN"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, said):
    with pytest.raises(ValueError, match=said):
        generator().fit(["ab", "cd"], sample_weight=weights)


# Validation.


def trained_and_held_out(X, **options):
    callback, seen = watcher(
        "on_train_begin", lambda net, X, **kwargs: (X, net.validation)
    )
    model = generator(early_stopping=True, callbacks=callback, **options).fit(X)
    return model, *seen[0]


def test_of_one_text_the_last_part_is_held_out():
    model, training, held_out = trained_and_held_out(TEXT, validation_fraction=0.25)
    assert training.lengths.sum() == 179  # begin tells nothing of the first
    assert held_out.lengths.sum() == 60
    assert training.sequences.ends.max() == 181  # the last step is only predicted
    assert held_out.sequences.starts.min() == 180
    # Whatever it is: training does not see it.
    other = generator(early_stopping=True, validation_fraction=0.25)
    other.fit(TEXT[:180] + TEXT[180:][::-1])
    assert other.loss_curve_ == model.loss_curve_
    assert other.validation_scores_ != model.validation_scores_
    alone = generator().fit(TEXT[:180])
    assert alone.loss_curve_ == model.loss_curve_


def test_of_several_sequences_a_random_choice_is_held_out():
    for X in (TEXTS, WORDS, KINDS["frames"]):
        model, training, held_out = trained_and_held_out(X, validation_fraction=0.3)
        n_held_out = -(-len(X) * 3 // 10)
        assert len(held_out) == n_held_out
        assert len(training) == len(X) - n_held_out
        assert not set(training.sequences.starts) & set(held_out.sequences.starts)
        other = trained_and_held_out(X, validation_fraction=0.3, random_state=1)[2]
        assert set(other.sequences.starts) != set(held_out.sequences.starts)
        assert len(model.validation_scores_) == 3


@pytest.mark.slow
def test_early_stopping_ends_and_goes_back_to_the_best():
    rng = np.random.default_rng(0)
    noise = "".join(rng.choice(list("abcdefgh"), size=400))
    model = generator(
        early_stopping=True,
        n_iter_no_change=3,
        max_epochs=200,
        learning_rate=0.05,
        hidden_size=32,
    ).fit(noise)
    assert model.n_iter_ < 200
    assert model.best_epoch_ == 1 + int(np.argmax(model.validation_scores_))
    assert model.best_validation_score_ == max(model.validation_scores_)
    again = generator(
        max_epochs=200, learning_rate=0.05, hidden_size=32, callbacks=None
    ).fit(noise[:360])
    assert model.score(noise[360:]) > again.score(noise[360:])


def test_validation_of_ones_own_is_scored_as_score_does():
    X_val = ["abc", "bcab"]
    model = generator().fit(TEXTS, X_val=X_val)
    assert model.validation_scores_[-1] == pytest.approx(model.score(X_val))
    assert model.best_epoch_ == 3
    unseen = generator().fit(TEXTS, X_val=["xyz"])
    assert unseen.validation_scores_[-1] < model.validation_scores_[-1] - 1
    frames = generator().fit(KINDS["frames"], X_val=KINDS["frames"][:2])
    expected = frames.score(KINDS["frames"][:2])
    assert frames.validation_scores_[-1] == pytest.approx(expected)
    text = generator().fit(TEXT, X_val="the cat")
    assert text.validation_scores_[-1] == pytest.approx(text.score("the cat"))


def test_held_out_sequences_count_by_their_weights():
    X = ["abab"] * 6 + ["cccc"] * 6
    weights = np.array([1.0] * 6 + [50.0] * 6)
    callback, seen = watcher("on_train_begin", lambda net, X, **kw: net.validation)
    model = generator(early_stopping=True, validation_fraction=0.5, callbacks=callback)
    model.set_params(max_epochs=1, random_state=1).fit(X, sample_weight=weights)
    held_out = np.searchsorted(np.arange(12) * 6, seen[0].sequences.starts)
    assert len(set(weights[held_out])) == 2
    scores = model.score_samples([X[i] for i in held_out])
    expected = np.average(scores / 5, weights=weights[held_out])
    assert model.validation_scores_[0] == pytest.approx(expected)


@pytest.mark.parametrize("text, fraction", [("a", 0.5), ("ab", 0.9), (TEXT, 0.999)])
def test_a_text_too_short_to_hold_some_out_is_told_so(text, fraction):
    model = generator(early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match="leaves none to train on.*X_val"):
        model.fit(text)


# Training further, and from the beginning.


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_warm_start_goes_on_with_the_last_weights(kind):
    X = KINDS[kind]
    model = generator(warm_start=True, lr_schedule=None).fit(X)
    before = model.score(X)
    model.fit(X)
    assert model.n_iter_ == 6
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[3] < model.loss_curve_[0]
    assert model.score(X) > before
    again = model.set_params(warm_start=False).fit(X)
    assert again.n_iter_ == 3
    assert again.score(X) == before


@pytest.mark.thorough
def test_warm_start_keeps_the_symbols_of_the_first_fit():
    model = generator(warm_start=True).fit(TEXT)
    before = model.symbols_.tolist()
    model.fit("zebra zebra zebra")
    assert model.symbols_.tolist() == before
    assert "z" not in model.sample(n_steps=200, random_state=0)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 9},
        {"cell": "lstm"},
        {"n_layers": 2},
        {"embedding_dim": 5},
        {"tie_embeddings": True},
        {"dtype": "float64"},
        {"max_symbols": 3},
        {"min_count": 5},
    ],
)
def test_warm_start_refuses_another_network_or_other_symbols(options):
    model = generator(warm_start=True).fit(TEXT)
    before, (name,) = weights_of(model), options
    model.set_params(**options)
    with pytest.raises(ValueError, match=f"had another {name}.*warm_start=False"):
        model.fit(TEXT)
    assert torch.equal(weights_of(model), before)
    assert model.set_params(warm_start=False).fit(TEXT).n_iter_ == 3


def test_warm_start_refuses_data_of_another_kind_and_stays_as_it_was():
    model = generator(warm_start=True).fit(TEXT)
    before = model.sample(n_steps=20, random_state=0)
    for other, said in [
        (WORDS, "X holds lists of symbols, but .* fitted on strings"),
        (KINDS["frames"], "X holds frames, but .* fitted on symbols"),
    ]:
        with pytest.raises(TypeError, match=said):
            model.fit(other)
    assert model.sample(n_steps=20, random_state=0) == before
    of_frames = generator(warm_start=True).fit(KINDS["frames"])
    with pytest.raises(TypeError, match="X holds no frames"):
        of_frames.fit(TEXT)
    with pytest.raises(ValueError, match="5 features, but .* fitted with 4"):
        of_frames.fit(np.ones((2, 3, 5)))


def test_a_fit_that_fails_to_begin_leaves_the_last_one():
    model = generator().fit(TEXT)
    before = model.sample(n_steps=20, random_state=0)
    for bad in (None, "", [["a"], "b"], [[["a"]]]):
        with pytest.raises((TypeError, ValueError)):
            model.fit(bad)
    assert model.sample(n_steps=20, random_state=0) == before
    assert model.n_iter_ == 3


def test_weights_of_the_last_finished_epoch_are_kept_when_training_ends_badly():
    class Stop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    for weights in (None, [1, 0, 1, 2, 1] * 4):
        model = generator(callbacks=[Stop()], max_epochs=9, lr_schedule=None)
        with pytest.raises(KeyboardInterrupt):
            model.fit(TEXTS, sample_weight=weights)
        whole = generator(max_epochs=2, lr_schedule=None)
        whole.fit(TEXTS, sample_weight=weights)
        assert model.n_iter_ == 2
        assert model.sample(n=5, random_state=0) == whole.sample(n=5, random_state=0)


def test_training_that_diverges_says_so():
    model = generator(
        cell="rnn",
        learning_rate=1e38,
        optimizer="sgd",
        clip_norm=None,
        lr_schedule=None,
    )
    with pytest.raises(DivergenceError, match="diverged"):
        model.fit(TEXT)


# Other options.


def test_precision_is_as_asked():
    assert weights_of(generator().fit(TEXT)).dtype == torch.float32
    double = generator(dtype="float64").fit(TEXT)
    assert weights_of(double).dtype == torch.float64
    with pytest.raises(ValueError, match="dtype"):
        generator(dtype="auto").fit(TEXT)


def test_shuffle_draws_an_order_of_the_streams():
    in_order, shuffled = (
        generator(shuffle=shuffle, batch_size=3, bptt_steps=None).fit(TEXTS)
        for shuffle in (False, True)
    )
    assert in_order.loss_curve_ != shuffled.loss_curve_


@pytest.mark.thorough
def test_batch_size_and_bptt_steps_change_the_number_of_updates():
    def n_updates(**options):
        callback, seen = watcher("on_grad_computed", lambda net, **kwargs: 1)
        generator(max_epochs=1, callbacks=callback, **options).fit(TEXT)
        return len(seen)

    # 240 steps in 8 streams of 30; in 4 of 60; one of 240.
    assert n_updates(batch_size=8, bptt_steps=10) == 3
    assert n_updates(batch_size=4, bptt_steps=10) == 6
    assert n_updates(batch_size=1, bptt_steps=10) == 24
    assert n_updates(batch_size=8, bptt_steps=None) == 1
    assert n_updates(batch_size=8, bptt_steps=240) == 1


@pytest.mark.slow
def test_auto_makes_300_updates_of_little_and_20_passes_over_some():
    options = {"max_epochs": "auto", "hidden_size": 1, "embedding_dim": 1}
    assert generator(**options).fit(TEXT[:15]).n_iter_ == 300
    # 5,000 symbols in 8 streams: 32 pieces of 20 steps an epoch.
    some = generator(**options, batch_size=8, bptt_steps=20).fit(TEXT[:200] * 25)
    assert some.n_iter_ == 20


def test_callbacks_are_called_and_told_the_data():
    callback, seen = watcher("on_epoch_end", lambda net, **kwargs: len(net.history))
    batches, sizes = watcher("on_batch_end", lambda net, **kwargs: kwargs["n_targets"])
    generator(callbacks=[callback, batches]).fit(TEXT)
    assert seen == [1, 2, 3]
    assert sizes == [239] * 3
    begin, data = watcher("on_train_begin", lambda net, X, **kwargs: X)
    generator(callbacks=begin).fit(TEXT)
    assert isinstance(data[0], NextStepDataset)
    scheduled = generator(
        callbacks=LRScheduler("StepLR", step_size=1, gamma=0.5), lr_schedule=None
    ).fit(TEXT)
    rates = [row["learning_rate"] for row in scheduled.history_]
    assert rates[1] == pytest.approx(rates[0] / 2)


def test_verbose_tells_how_training_goes(capsys):
    for verbose, n_lines in [(0, 0), (2, 3)]:
        generator(verbose=verbose, early_stopping=True).fit(TEXT)
        out = capsys.readouterr().out
        assert (
            len([line for line in out.splitlines() if "RNNGenerator" in line])
            == n_lines
        )
    generator(verbose=1).fit(TEXT)
    assert "RNNGenerator" in "".join(capsys.readouterr())


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_an_integer_as_random_state_gives_the_same_model_bit_for_bit(kind):
    X = KINDS[kind]
    options = {"dropout": 0.2, "early_stopping": kind != "text", "n_layers": 2}
    first, again, other = (
        generator(**{**options, "random_state": seed}).fit(X) for seed in (0, 0, 1)
    )
    assert torch.equal(weights_of(first), weights_of(again))
    assert first.validation_scores_ == again.validation_scores_
    assert not torch.equal(weights_of(first), weights_of(other))


def global_state():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return (
        (name, keys.tolist(), *rest),
        random.getstate(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["text", "frames"])
@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_the_callers_state_is_left_as_it_was(kind, n_threads):
    X = KINDS[kind]
    before = global_state()
    model = generator(n_threads=n_threads, random_state=None, dropout=0.1).fit(X)
    model.sample(n_steps=3)
    stream = model.stream()
    next(stream)
    assert global_state() == before  # in the middle of a stream, too
    model.score(X)
    model.next_symbols()
    pickle.loads(pickle.dumps(model))
    assert global_state() == before


def test_the_callers_data_are_not_changed():
    X = copy.deepcopy(KINDS)
    for kind, data in X.items():
        generator().fit(data).score(data)
        np.testing.assert_array_equal(data, KINDS[kind]) if kind == "frames" else None
        if kind != "frames":
            assert data == KINDS[kind]


# In scikit-learn.


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make_copy", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_writes_and_scores_the_same(kind, make_copy):
    X = KINDS[kind]
    model = generator(n_layers=2, cell="lstm", tie_embeddings=True).fit(X)
    twin = make_copy(model)
    np.testing.assert_array_equal(
        twin.sample(n_steps=30, random_state=3),
        model.sample(n_steps=30, random_state=3),
    )
    np.testing.assert_array_equal(twin.score_samples(X), model.score_samples(X))
    assert set(vars(twin)) == set(vars(model))
    twin.set_params(warm_start=True).fit(X)
    model.set_params(warm_start=True).fit(X)
    assert torch.equal(weights_of(twin), weights_of(model))


def test_tied_weights_are_still_one_after_a_copy():
    model = pickle.loads(pickle.dumps(generator(tie_embeddings=True).fit(TEXT)))
    head, embedding = model.module_.head, model.module_.embedding
    assert head.weight.data_ptr() == embedding.weight.data_ptr()


def test_symbols_that_are_not_text_survive_a_copy():
    chords = [[(60, 64), None, frozenset("a")], [(60, 64), 1.5, ("x", (1, 2))]] * 4
    model = generator().fit(chords)
    twin = pickle.loads(pickle.dumps(model))
    assert twin.sample(n_steps=30, random_state=0) == model.sample(
        n_steps=30, random_state=0
    )


def test_parameters_are_kept_and_a_clone_is_unfitted():
    model = generator(min_count=2)
    before = model.get_params()
    assert before["min_count"] == 2
    model.fit(TEXT)
    assert model.get_params() == before
    twin = clone(model)
    assert not hasattr(twin, "module_")
    assert twin.get_params() == before
    assert twin.set_params(hidden_size=3).fit(TEXT).module_.spec.hidden_size == 3


def test_fitted_attributes_are_set_by_fit_alone():
    def fitted_attributes(model):
        names = [n for n in dir(model) if n.endswith("_") and not n.startswith("_")]
        return {name for name in names if hasattr(model, name)}

    model = generator()
    assert not fitted_attributes(model)
    documented = {
        "symbols_", "n_symbols_", "n_iter_", "loss_curve_", "validation_scores_",
        "best_epoch_", "best_validation_score_", "n_parameters_", "history_", "net_",
        "module_", "kernel_", "ngram_order_", "ngram_weight_", "hidden_size_",
    }  # fmt: skip
    assert fitted_attributes(model.fit(TEXT)) == documented
    assert model.n_parameters_ == weights_of(model).numel()


def test_representations_are_short_and_work_fitted_and_not():
    model = generator()
    before = repr(model)
    assert before.startswith("RNNGenerator(")
    assert "min_count" not in before
    assert "Not fitted" in model._repr_html_()
    assert repr(model.fit(TEXT)) == before
    assert "Fitted" in model._repr_html_()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["texts", "words", "frames"])
def test_a_grid_search_scores_by_the_likelihood_of_what_it_has_not_seen(kind):
    X = KINDS[kind]
    search = GridSearchCV(
        generator(), {"hidden_size": [2, 8]}, cv=3, error_score="raise"
    ).fit(X)
    by_hand = []
    for train, test in KFold(3).split(X):
        model = generator(hidden_size=8).fit([X[i] for i in train])
        by_hand.append(model.score([X[i] for i in test]))
    row = search.cv_results_["params"].index({"hidden_size": 8})
    assert search.cv_results_["mean_test_score"][row] == pytest.approx(np.mean(by_hand))
    assert search.best_estimator_.n_iter_ == 3
    assert cross_val_score(generator(), X, cv=3).tolist() == pytest.approx(by_hand)


def test_symbols_of_a_test_fold_are_unknown_where_training_has_none_of_them():
    texts = ["abab", "baba", "abba", "zzzz"]
    model = generator()
    scores = cross_val_score(model, texts, cv=KFold(4))
    assert scores[3] < scores[:3].min() - 1
    seen = generator().fit(texts[:3])
    assert set(seen.symbols_) == set("ab")
    assert seen.score(["zzzz"]) == pytest.approx(scores[3])
    assert seen.score(["zzzz"]) == pytest.approx(seen.score(["qqqq"]))


def test_a_single_text_is_not_cut_into_characters_by_a_cross_validation():
    search = GridSearchCV(generator(), {"cell": ["gru"]}, cv=3, error_score="raise")
    with pytest.raises(ValueError, match="texts of one character each"):
        search.fit(TEXT)


@pytest.mark.slow
def test_ends_are_learned_as_often_as_they_come():
    # Pieces: the last one of the longest texts is all but empty, and nearly all ends.
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("ab"), n)) for n in rng.integers(10, 44, size=60)]
    options = {"max_epochs": 60, "batch_size": 10, "dropout": 0.1, "bptt_steps": 10}
    model = generator(ngram_order=None, hidden_size=4, **options).fit(X)
    ended = []
    for x in X:
        chances = [model.next_symbols(x[:i], k=9) for i in range(len(x) + 1)]
        ended.append(sum(1 - sum(p for _, p in row) for row in chances))
    assert np.mean(ended) == pytest.approx(1, abs=0.15)


def test_the_width_of_frames_is_their_number_of_features():
    model = generator().fit(KINDS["frames"])
    assert model.n_features_in_ == 4
    assert not hasattr(model.fit(TEXT), "n_features_in_")


def test_a_batch_of_any_size_reads_the_text_in_as_many_streams_as_it_has_steps():
    options = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
    large, huge = (
        RNNGenerator(batch_size=size, **options).fit("abba" * 100).loss_curve_
        for size in (400, 2**31 - 1)
    )
    assert large == huge


# Choices by "auto".


@pytest.mark.slow
def test_a_long_text_has_more_units():
    text = "abcdefgh" * 5000
    options = {
        "batch_size": 512,
        "bptt_steps": 1000,
        "max_epochs": 1,
        "embedding_dim": 2,
    }
    options |= {"ngram_order": None, "cell": "rnn", "random_state": 0}
    small = RNNGenerator(**options).fit(text[:2000])
    assert small.hidden_size_ == 128
    assert small.hidden_states(text[:9])[0].shape == (9, 128)
    large = RNNGenerator(**options).fit(text * 8)
    assert large.hidden_size_ == 256
    assert (
        RNNGenerator(**{**options, "hidden_size": 3}).fit(text[:99]).hidden_size_ == 3
    )
    # A fit that continues keeps the network.
    small.set_params(warm_start=True).fit(text * 8)
    assert small.hidden_size_ == 128


@pytest.mark.thorough
def test_auto_stops_when_the_held_out_part_gets_no_better():
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("abcd"), 12)) for _ in range(100)]
    options = {"hidden_size": 48, "learning_rate": 0.02, "dropout": 0, "batch_size": 8}
    model = RNNGenerator(random_state=0, **options).fit(X)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) < 20
    # A fifth of the 20 epochs without progress; less than `tol` is none.
    assert model.best_epoch_ == 1 + int(np.argmax(scores)) < model.n_iter_ - 3
    assert model.best_validation_score_ == max(scores)
    # Without n-grams nothing is held out, and a number of epochs is that number.
    options |= {"hidden_size": 4, "batch_size": 64}
    alone = RNNGenerator(random_state=0, ngram_order=None, **options).fit(X)
    assert alone.validation_scores_ is None
    assert alone.n_iter_ > 20
    counted = RNNGenerator(random_state=0, max_epochs=21, **options).fit(X)
    assert counted.validation_scores_ is None
    assert counted.n_iter_ == counted.best_epoch_ == 21
    # Validation data and early stopping are as they are told.
    given = RNNGenerator(random_state=0, **options).fit(X[:80], X_val=X[80:])
    assert len(given.validation_scores_) == given.n_iter_ == given.best_epoch_
