"""Options of validation, inputs and precision have the effect they promise."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from option_models import make_data, make_regressor, predictions, watcher

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, SequenceArray
from sklearn_rnn.estimators._network import check_device, usable_device

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
    as_numbers = RNNClassifier(convolutions=None, **options).fit(X, y)
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


@pytest.mark.parametrize("batch_size", [4, 64, "auto"])
def test_auto_is_double_up_to_32_sequences_whatever_the_batch(batch_size):
    X, y = make_data()
    model = make_regressor(batch_size=batch_size)
    assert dtypes(model.fit(X[:32], y[:32])) == {torch.float64}
    assert dtypes(model.fit(X[:33], y[:33])) == {torch.float32}


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


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert check_device("auto") == "cuda"


def test_devices_are_names_or_torchs_own():
    assert check_device("cpu") == "cpu"
    assert check_device(torch.device("cpu")) == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "meta"])
def test_a_device_that_is_not_here_is_an_error_that_says_what_to_do(device):
    with pytest.raises(ValueError, match=r"cannot be used here.*device='cpu'"):
        check_device(device)
    assert usable_device(device) == "cpu"


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


def test_kernel_says_what_computes():
    X, y = make_data()
    by = {k: make_regressor(kernel=k).fit(X, y) for k in ("auto", "compiled", "torch")}
    assert [model.kernel_ for model in by.values()] == ["compiled", "compiled", "torch"]
    assert np.array_equal(by["auto"].predict(X), by["compiled"].predict(X))
    assert not np.array_equal(by["torch"].predict(X), by["compiled"].predict(X))
    np.testing.assert_allclose(
        by["torch"].predict(X), by["compiled"].predict(X), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor, RNNTagger])
def test_every_option_is_told_of_here_or_nearby(estimator):
    """A new option needs a test of its effect."""
    elsewhere = {"loss", "target_feature", "class_weight", "warm_start", "callbacks"}
    elsewhere |= {"missing_label", "missing_targets", "quantiles", "subtract_last"}
    elsewhere |= {"token_dropout", "embeddings", "train_embeddings"}
    elsewhere |= {"categorical_features"}
    elsewhere |= {"linear_skip", "scale_windows"}
    elsewhere |= {"bounds", "target_weight", "season"}
    elsewhere |= {"convolutions", "bag_of_words"}
    elsewhere |= {"checkpoint", "checkpoint_seconds", "transition_weight"}
    files = Path(__file__).parent.glob("test_*_options.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    options = set(estimator().get_params()) - elsewhere
    assert {o for o in options if not re.search(rf"\b{o}\b\W*[=:]", text)} == set()
