"""Every option, by what it does to the fitted model."""

import inspect
import re

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.sequences import SequenceArray
from sklearn_rnn.training import OPTIMIZERS, n_epochs_for


def make_data(n_sequences=40, n_features=2, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_sequences, 6, n_features))
    return X, X[:, -2:, 0].sum(axis=1)


def make_regressor(**options):
    small = {
        "hidden_size": 4,
        "max_epochs": 3,
        "input_dropout": 0.0,
        "batch_size": 16,
        "random_state": 0,
    }
    return RNNRegressor(**{**small, **options})


def predictions(**options):
    X, y = make_data()
    return make_regressor(**options).fit(X, y).predict(X)


def watcher(hook, look):
    """A callback that keeps what `look(net, **kwargs)` sees at a hook."""
    seen = []

    def keep(self, net, *args, **kwargs):
        seen.append(look(net, **kwargs))

    return type("Watcher", (Callback,), {hook: keep})(), seen


def weights_of(model):
    return torch.cat([p.detach().ravel() for p in model.module_.parameters()])


# The network.


@pytest.mark.parametrize("cell, n_gates", [("rnn", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_network_has_as_many_parameters_as_asked(
    cell, n_gates, n_layers, bidirectional
):
    X, y = make_data()
    options = {"cell": cell, "n_layers": n_layers, "bidirectional": bidirectional}
    model = make_regressor(**options, max_epochs=1).fit(X, y)
    directions = 1 + bidirectional
    core = sum(
        directions * n_gates * 4 * ((2 if layer == 0 else 4 * directions) + 4 + 2)
        for layer in range(n_layers)
    )
    assert model.n_parameters_ == core + 4 * directions + 1


def test_hidden_size_is_the_width_of_the_states():
    X, y = make_data()
    model = make_regressor(hidden_size=7).fit(X, y)
    assert model.module_.run(torch.tensor(X))[0].shape == (6, 40, 7)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_bidirectional_lets_early_states_know_late_steps(bidirectional):
    X, y = make_data()
    model = make_regressor(bidirectional=bidirectional).fit(X, y)
    changed = X.copy()
    changed[:, -1] += 1
    first, after = (model.module_.run(torch.tensor(x))[0][0] for x in (X, changed))
    assert torch.equal(first, after) != bidirectional


def test_residual_adds_the_input_of_upper_layers():
    X, y = make_data()
    model = make_regressor(n_layers=2, residual=True, max_epochs=1).fit(X, y)
    plain = make_regressor(n_layers=2, max_epochs=1).fit(X, y)
    plain.module_.load_state_dict(model.module_.state_dict())
    x = torch.tensor(X)
    lower = make_regressor(max_epochs=1).fit(X, y)
    below = {k: v for k, v in model.module_.core.rnn.state_dict().items() if "l0" in k}
    lower.module_.core.rnn.load_state_dict(below)
    torch.testing.assert_close(
        model.module_.run(x)[0],
        plain.module_.run(x)[0] + lower.module_.run(x)[0],
    )


@pytest.mark.parametrize("option", ["dropout", "input_dropout"])
def test_dropout_disturbs_training_and_not_prediction(option):
    X, y = make_data()
    plain = make_regressor(max_epochs=1, learning_rate=1e-15).fit(X, y)
    model = make_regressor(max_epochs=1, learning_rate=1e-15, **{option: 0.5})
    model.fit(X, y)
    assert model.loss_curve_ != plain.loss_curve_
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-6)
    again = make_regressor(max_epochs=1, learning_rate=1e-15, **{option: 0.5})
    assert again.fit(X, y).loss_curve_ == model.loss_curve_


def test_input_dropout_never_hides_a_single_feature():
    X, y = make_data(n_features=1)
    with_it, without = (
        make_regressor(input_dropout=p).fit(X, y).predict(X) for p in (0.5, 0.0)
    )
    np.testing.assert_array_equal(with_it, without)


def test_input_dropout_spreads_trust_over_features_that_say_the_same():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(200, 5, 1))
    X = signal + 0.01 * rng.normal(size=(200, 5, 4))
    y = signal[:, -1, 0]
    one_missing = X.copy()
    one_missing[:, :, 0] = 0.0
    errors = {}
    for p in (0.0, 0.4):
        model = make_regressor(input_dropout=p, max_epochs=40, learning_rate=0.02)
        model.fit(X, y)
        errors[p] = np.mean((model.predict(one_missing) - y) ** 2)
    assert errors[0.4] < 0.7 * errors[0.0]


@pytest.mark.parametrize(
    "pooling, target", [("mean", np.mean), ("max", np.max), ("attention", np.max)]
)
def test_a_pooling_finds_what_the_last_state_has_forgotten(pooling, target):
    X = np.random.default_rng(0).normal(size=(100, 30))
    y = target(X, axis=1)
    options = {"cell": "rnn", "hidden_size": 8, "max_epochs": 15, "learning_rate": 0.02}
    last, pooled = (
        make_regressor(pooling=p, **options).fit(X, y).loss_curve_[-1]
        for p in ("last", pooling)
    )
    assert pooled < 0.75 * last


def test_attention_pooling_learns_weights_of_its_own():
    X, y = make_data()
    model = make_regressor(pooling="attention", dtype="float64").fit(X, y)
    weights = np.stack(model.attention_weights(X))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert weights.std(axis=1).min() > 0


# The optimizer.


def test_optimizers_lead_to_different_models():
    kinds = [*OPTIMIZERS, torch.optim.Adagrad]
    models = {predictions(optimizer=k, weight_decay=0.1).tobytes() for k in kinds}
    assert len(models) == 5


def test_adamw_without_decay_is_adam():
    np.testing.assert_allclose(
        predictions(optimizer="adamw"), predictions(optimizer="adam"), rtol=1e-9
    )


def test_a_small_learning_rate_moves_little():
    X, y = make_data()
    start, small, large = (
        weights_of(make_regressor(learning_rate=lr).fit(X, y))
        for lr in (1e-15, 1e-4, 1e-2)
    )
    assert 10 * (small - start).norm() < (large - start).norm()


def learning_rates(**options):
    X, y = make_data()
    callback, seen = watcher(
        "on_batch_end", lambda net, **kwargs: net.optimizer_.param_groups[0]["lr"]
    )
    options = {"max_epochs": 20, "learning_rate": 0.01, **options}
    make_regressor(callbacks=callback, **options).fit(X, y)
    return np.array(seen)


def test_cosine_climbs_to_the_learning_rate_and_falls_to_nothing():
    rates = learning_rates(lr_schedule="cosine")
    assert len(rates) == 60
    top = rates.argmax()
    assert rates[top] == pytest.approx(0.01)
    assert 0 < top <= 4
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 1e-4


def test_no_schedule_is_a_constant_rate():
    assert set(learning_rates(lr_schedule=None)) == {0.01}


def test_weight_decay_shrinks_the_weights():
    X, y = make_data()
    norms = [
        weights_of(make_regressor(weight_decay=decay).fit(X, y)).norm()
        for decay in (0.0, 1.0, 10.0)
    ]
    assert norms[0] > norms[1] > norms[2]


def test_weight_decay_spares_the_biases():
    """With nothing to learn, weights decay and the forget gate's bias stays at 1."""
    X = np.zeros((40, 6, 2))
    options = {"cell": "lstm", "optimizer": "adamw", "learning_rate": 0.1}
    model = make_regressor(weight_decay=3.0, max_epochs=5, **options)
    model.fit(X, np.full(40, 3.0))
    rnn = model.module_.core.rnn
    assert rnn.weight_hh_l0.abs().max() < 0.2
    assert rnn.bias_ih_l0[4:8].min() > 0.5


@pytest.mark.parametrize("clip", [{"clip_norm": 1e-4}, {"clip_value": 1e-5}])
def test_clipping_bounds_how_far_the_weights_go(clip):
    X, y = make_data()
    options = {"optimizer": "sgd", "lr_schedule": None, "learning_rate": 0.1}
    start = weights_of(make_regressor(**{**options, "learning_rate": 1e-15}).fit(X, y))
    free = make_regressor(**options, clip_norm=None).fit(X, y)
    clipped = make_regressor(**{**options, "clip_norm": None, **clip}).fit(X, y)
    # 9 updates of 0.1 times a gradient of norm 1e-4, tenfold by momentum.
    assert (weights_of(clipped) - start).norm() < 9e-4
    assert (weights_of(free) - start).norm() > 1e-2


# Batches and epochs.


def test_batch_size_bounds_the_batches():
    X, y = make_data()
    callback, sizes = watcher(
        "on_batch_begin", lambda net, batch, **kwargs: len(batch[0]["x"])
    )
    make_regressor(batch_size=15, max_epochs=1, callbacks=callback).fit(X, y)
    assert sorted(sizes) == [13, 13, 14]


@pytest.mark.parametrize("shuffle", [False, True])
def test_shuffle_draws_a_new_order_for_every_epoch(shuffle):
    X = np.arange(40.0)[:, None].repeat(3, axis=1)
    callback, firsts = watcher(
        "on_batch_begin", lambda net, batch, **kwargs: batch[0]["x"][:, 0, 0].tolist()
    )
    model = make_regressor(shuffle=shuffle, max_epochs=2, callbacks=callback)
    model.fit(X, np.arange(40.0))
    first, second = (sum(firsts[i : i + 3], []) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(40))
    assert (first == second) != shuffle
    assert (first == list(range(40))) != shuffle


def test_max_epochs_is_the_number_of_passes():
    X, y = make_data()
    model = make_regressor(max_epochs=4).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 4


@pytest.mark.parametrize("batch_size", [4, 40])
def test_auto_epochs_come_from_the_size_of_the_data(batch_size):
    X, y = make_data()
    callback, planned = watcher("on_train_begin", lambda net, **kwargs: net.max_epochs)
    options = {"hidden_size": 1, "batch_size": batch_size, "callbacks": callback}
    model = make_regressor(max_epochs="auto", **options).fit(X, y)
    assert planned == [model.n_iter_] == [n_epochs_for(40, batch_size)]


# Validation.


def hard_to_generalise(n_sequences=60):
    """Noise: any fall of the training loss is memorising."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_sequences, 4, 3)), rng.normal(size=n_sequences)


STOPPING = {"hidden_size": 16, "max_epochs": 60, "learning_rate": 0.05}


def test_early_stopping_stops_and_keeps_the_best_epoch():
    X, y = hard_to_generalise()
    model = make_regressor(**STOPPING, early_stopping=True, n_iter_no_change=4)
    model.fit(X, y)
    losses = [row["valid_loss"] for row in model.history_]
    best = int(np.argmin(losses))
    assert model.n_iter_ == best + 5 < 60
    assert model.best_validation_score_ == model.validation_scores_[best]


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_n_iter_no_change_is_what_is_put_up_with(n_iter_no_change):
    X, y = make_data()
    # No improvement is large enough: only the first epoch counts as one.
    model = make_regressor(
        max_epochs=20, early_stopping=True, n_iter_no_change=n_iter_no_change, tol=1e9
    )
    assert model.fit(X, y).n_iter_ == 1 + n_iter_no_change


def test_tol_is_the_improvement_that_counts():
    X, y = make_data()
    options = {"max_epochs": 20, "early_stopping": True, "n_iter_no_change": 2}
    patient, strict = (
        make_regressor(**options, tol=tol).fit(X, y).n_iter_ for tol in (0.0, 0.1)
    )
    assert strict < patient


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_validation_fraction_is_set_aside(fraction):
    X, y = make_data()
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_train, dataset_valid, **kwargs: (
            len(dataset_train),
            len(dataset_valid),
        ),
    )
    model = make_regressor(early_stopping=True, validation_fraction=fraction)
    model.set_params(callbacks=callback, max_epochs=1).fit(X, y)
    assert seen == [(40 - fraction * 40, fraction * 40)]


def test_windows_are_set_aside_as_the_last_block():
    series = np.arange(50.0)[:, None]
    windows = SequenceArray(series, np.arange(40), np.full(40, 5))
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_train, dataset_valid, **kwargs: (
            dataset_train.sequences.ends.max(),
            dataset_valid.sequences.starts.min(),
        ),
    )
    model = make_regressor(early_stopping=True, max_epochs=1, callbacks=callback)
    model.fit(windows, np.arange(40.0))
    ((last_training_row, first_validation_row),) = seen
    assert last_training_row <= first_validation_row == 36


def test_held_out_labels_are_stratified():
    X, _ = make_data(60)
    callback, seen = watcher(
        "on_epoch_begin",
        lambda net, dataset_valid, **kwargs: dataset_valid.targets.tolist(),
    )
    model = RNNClassifier(
        hidden_size=2, max_epochs=1, early_stopping=True, callbacks=callback
    )
    model.fit(X, np.repeat([0, 1], [50, 10]))
    assert sorted(seen[0]) == [0] * 5 + [1]


def test_validation_data_of_the_users_are_scored_every_epoch():
    X, y = make_data(60)
    model = make_regressor().fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert len(model.validation_scores_) == 3
    score = model.score(X[40:], y[40:])
    assert model.validation_scores_[-1] == pytest.approx(score)
    assert model.best_validation_score_ == model.validation_scores_[-1]
    # They are looked at, not learned from.
    alone = make_regressor().fit(X[:40], y[:40])
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))


def test_early_stopping_on_the_users_data_keeps_the_best_weights():
    X, y = hard_to_generalise()
    model = make_regressor(**STOPPING, early_stopping=True, n_iter_no_change=4)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.n_iter_ < 60
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[40:], y[40:]) == pytest.approx(model.best_validation_score_)


def test_the_validation_score_of_a_classifier_is_accuracy():
    X, y = make_data(60)
    y = y > 0
    model = RNNClassifier(hidden_size=4, max_epochs=3, random_state=0)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.validation_scores_[-1] == model.score(X[40:], y[40:])


def test_without_validation_there_are_no_scores():
    X, y = make_data()
    model = make_regressor().fit(X, y)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None


# Inputs.


def test_standardize_makes_the_units_of_the_inputs_irrelevant():
    X, y = make_data()
    scaled = X * [1e3, 1e-3] + [7, 0]
    for standardize in (True, False):
        model = make_regressor(standardize=standardize)
        one, other = (model.fit(x, y).predict(x) for x in (X, scaled))
        assert np.allclose(one, other, rtol=1e-6) == standardize


def test_standardize_false_takes_the_steps_as_they_are():
    X, y = make_data()
    module = make_regressor(standardize=False).fit(X, y).module_
    assert torch.equal(module.center, torch.zeros(2).double())
    assert torch.equal(module.factor, torch.ones(2).double())


def test_standardize_counts_the_steps_of_the_training_data():
    X, y = make_data()
    module = make_regressor().fit(X, y).module_
    np.testing.assert_allclose(module.center, X.mean((0, 1)))
    np.testing.assert_allclose(1 / module.factor, X.std((0, 1)))


def tokens(n_sequences=80, seed=0):
    """Ten tokens in no order: those that are even count for, the odd ones against."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(10, size=rng.integers(3, 7)) for _ in range(n_sequences)]
    return X, np.array([(-1.0) ** x for x in X], dtype=object)


def test_tokens_are_learned_through_their_embedding():
    X, signs = tokens()
    y = np.array([s.sum() > 0 for s in signs])
    options = {"hidden_size": 8, "max_epochs": 40, "learning_rate": 0.03}
    options |= {"random_state": 0, "pooling": "mean", "input_dropout": 0.0}
    as_tokens = RNNClassifier(embedding_dim=4, **options).fit(X, y)
    as_numbers = RNNClassifier(**options).fit(X, y)
    assert as_tokens.score(X, y) > 0.9
    assert as_numbers.score(X, y) < 0.8


def test_tokens_beyond_those_of_fit_are_unknown():
    X, _ = tokens()
    y = np.arange(80) % 2
    model = RNNClassifier(embedding_dim=4, hidden_size=4, max_epochs=1).fit(X, y)
    model.predict([[3], [9]])
    unknown = model.predict_proba([[10, 1], [11, 1], [10**6, 1]])
    np.testing.assert_array_equal(unknown[0], unknown[1])
    np.testing.assert_array_equal(unknown[0], unknown[2])


def test_embedding_dim_is_the_width_of_a_token():
    X, _ = tokens()
    model = RNNClassifier(embedding_dim=5, hidden_size=4, max_epochs=1)
    model.fit(X, np.arange(80) % 2)
    assert model.module_.embedding.weight.shape == (11, 5)
    assert model.module_.core.rnn.input_size == 5


# Precision, threads, output.


def dtypes(model):
    return {p.dtype for p in model.module_.parameters()}


def test_dtype_is_the_networks_precision():
    X, y = make_data()
    single = make_regressor(dtype="float32").fit(X, y)
    double = make_regressor(dtype="float64").fit(X, y)
    assert dtypes(single) == {torch.float32}
    assert dtypes(double) == {torch.float64}
    assert single.predict(X).dtype == double.predict(X).dtype == np.float64
    assert not np.array_equal(single.predict(X), double.predict(X))


def test_auto_is_double_while_one_batch_holds_all_data():
    X, y = make_data()
    assert dtypes(make_regressor(batch_size=40).fit(X, y)) == {torch.float64}
    assert dtypes(make_regressor(batch_size=39).fit(X, y)) == {torch.float32}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_n_threads_holds_in_fit_and_predict(n_threads):
    X, y = make_data()
    before = torch.get_num_threads()
    callback, seen = watcher(
        "on_epoch_end", lambda net, **kwargs: torch.get_num_threads()
    )
    model = make_regressor(n_threads=n_threads, max_epochs=1, callbacks=callback)
    model.fit(X, y)
    model.module_.head.register_forward_hook(
        lambda *args: seen.append(torch.get_num_threads())
    )
    model.predict(X)
    assert seen == [n_threads, n_threads]
    assert torch.get_num_threads() == before


def test_verbose_0_is_silent(capfd):
    predictions(verbose=0)
    assert capfd.readouterr() == ("", "")


def test_verbose_1_shows_a_bar_of_epochs(capfd):
    predictions(verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert "RNNRegressor: 100%" in err
    assert "3/3" in err
    assert "loss=" in err


def test_verbose_2_prints_a_line_an_epoch(capsys):
    X, y = make_data()
    make_regressor(verbose=2).fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(
        r"RNNRegressor epoch 1/3: loss \S+, val_loss \S+, val_score \S+, "
        r"gradient \S+, clipped \S+",
        lines[0],
    )


def test_device_auto_finds_a_device_and_cpu_is_one():
    X, y = make_data()
    model = make_regressor(device="cpu").fit(X, y)
    assert next(model.module_.parameters()).device.type == "cpu"
    auto = make_regressor(device="auto").fit(X, y)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    assert next(auto.module_.parameters()).device.type == found


# Seeds.


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "input_dropout": 0.3}])
def test_a_seed_fixes_the_model_and_another_changes_it(options):
    X, y = make_data()
    first, again, other = (
        make_regressor(random_state=seed, **options).fit(X, y) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert first.loss_curve_ == again.loss_curve_
    assert not np.allclose(first.predict(X), other.predict(X))


def test_a_random_state_instance_is_drawn_from():
    X, y = make_data()

    def fitted_from(rng):
        return make_regressor(random_state=rng).fit(X, y).predict(X)

    rng = np.random.RandomState(0)
    first, second = fitted_from(rng), fitted_from(rng)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, fitted_from(np.random.RandomState(0)))


# Completeness.


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_every_option_is_told_of_here_or_nearby(estimator):
    """A new option needs a test of its effect."""
    elsewhere = {"loss", "target_feature", "class_weight", "warm_start", "callbacks"}
    text = inspect.getsource(inspect.getmodule(test_dtype_is_the_networks_precision))
    options = set(estimator().get_params()) - elsewhere
    assert {o for o in options if not re.search(rf"\b{o}\b\W*[=:]", text)} == set()
