"""One estimator in several threads: training is exclusive, predictions are shared."""

import copy
import pickle
import threading

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    StatefulPredictor,
)

X = np.random.default_rng(0).normal(size=(24, 6, 2))
Y = X[:, :, 0].sum(axis=1)
TEXTS = ["abc", "bcab", "ca", "abba"] * 6
WAIT = 10  # seconds until a test fails that would hang
SMALL = {
    "hidden_size": 8,
    "max_epochs": 3,
    "dropout": 0.5,
    "learning_rate": 0.1,
    "random_state": 0,
}
MODELS = {
    "classifier": (RNNClassifier(pooling="attention"), (X, Y > 0), X),
    "network alone": (RNNClassifier(convolutions=None), (X, Y > 0), X),
    "regressor": (RNNRegressor(loss="quantile"), (X, Y), X),
    "steps": (RNNRegressor(return_sequences=True, loss="quantile"), (X, X[:, :, 0]), X),
    "tagger": (RNNTagger(), (X, X[:, :, 0] > 0), X),
    "generator": (RNNGenerator(), (TEXTS,), TEXTS),
    "encoder-decoder": (RNNSeq2Seq(), (TEXTS, TEXTS), TEXTS),
    "transcriber": (RNNTranscriber(), (X, ["ab"] * 24), X),
}
OF_X = (
    *("predict", "predict_proba", "predict_log_proba", "predict_quantiles"),
    *("predict_n_best", "posteriors", "attention", "attention_weights"),
    *("hidden_states", "input_gradients"),
    *("score_samples", "score_steps", "perplexity", "bits_per_symbol"),
)
OF_PROMPT = {
    "sample": lambda m: m.sample("a", 5, random_state=0),
    "stream": lambda m: "".join(m.stream("a", 5, random_state=0)),
    "next_symbols": lambda m: m.next_symbols("a"),
}


def calls():
    """Yield every public method of every estimator that reads its network."""
    for name, (model, data, given) in MODELS.items():
        for method in OF_X:
            if not hasattr(model, method):
                continue
            if (
                method == "attention_weights"
                and getattr(model, "pooling", "") != "attention"
            ):
                continue
            yield name, method, lambda m, f=method, g=given: getattr(m, f)(g)
        yield name, "score", lambda m, d=data: m.score(*d)
        if name == "generator":
            yield from ((name, key, call) for key, call in OF_PROMPT.items())
        if hasattr(model, "partial_fit") and name != "classifier":
            yield name, "live", lambda m, g=given: StatefulPredictor(m).predict(g)


CALLS = list(calls())


def run_twice_side_by_side(call):
    """Return what two threads get from a call."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(call()), daemon=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(found) == 2, "a thread waits, or ended in an error"
    return found


def make(name, **options):
    model, data, _ = MODELS[name]
    return copy.deepcopy(model).set_params(**SMALL, **options), data


def equal(one, other):
    """Return whether two results are the same, whatever they are made of."""
    if isinstance(one, np.ndarray) and one.dtype == object:
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return one == other


class InAnotherThread(Callback):
    """Call something in another thread while the estimator is trained."""

    def __init__(self, call):
        self.call, self.thread = call, None

    def __copy__(self):
        return self

    def __reduce__(self):
        return Callback, ()

    def on_epoch_begin(self, net, **kwargs):
        if self.thread is not None:
            return
        self.found = []
        self.thread = threading.Thread(
            target=lambda: self.found.append(self.call()), daemon=True
        )
        self.thread.start()
        # Were it not kept out, it would be finished by then.
        self.thread.join(0.05)


def started_while_training(model, data, call, train="fit"):
    """Return what a call came to that began while the estimator was trained."""
    callback = InAnotherThread(lambda: call(model))
    model.set_params(callbacks=[callback])
    if train == "partial_fit":
        model.net_.callbacks_.append(("thread", callback))
    getattr(model, train)(*data)
    callback.thread.join(WAIT)
    model.set_params(callbacks=None)
    return callback.found[0]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "call"),
    [(name, call) for name, _, call in CALLS],
    ids=[f"{name}.{method}" for name, method, _ in CALLS],
)
def test_what_begins_while_an_estimator_is_fitted_sees_it_finished(name, call):
    model, data = make(name)
    found = started_while_training(model, data, call)
    assert equal(found, call(model))


@pytest.mark.parametrize("name", ["classifier", "regressor", "steps", "tagger"])
def test_what_begins_during_a_partial_fit_sees_it_finished(name):
    model, data = make(name)
    model.partial_fit(*data)
    found = started_while_training(
        model, data, lambda m: m.predict(X), train="partial_fit"
    )
    assert equal(found, model.predict(X))


@pytest.mark.thorough
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_made_while_an_estimator_is_fitted_is_of_the_finished_one(name):
    model, data = make(name)
    copied = started_while_training(model, data, copy.deepcopy)
    for one, other in zip(
        copied.module_.parameters(), model.module_.parameters(), strict=True
    ):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy())


@pytest.mark.thorough
@pytest.mark.parametrize("name", MODELS)
def test_two_fits_of_one_estimator_are_one_after_the_other(name):
    model, data = make(name)
    expected = copy.deepcopy(model).fit(*data)

    def fit_again(fitted):
        return fitted.set_params(callbacks=None).fit(*data).n_iter_

    assert started_while_training(model, data, fit_again) == expected.n_iter_
    assert model.loss_curve_ == expected.loss_curve_


class Predict(Callback):
    """Predict with the estimator that is trained, in the same thread."""

    def __init__(self, call):
        self.call, self.found, self.were_training = call, [], []

    def __copy__(self):
        return self

    def on_epoch_end(self, net, **kwargs):
        before = [module.training for module in net.module_.modules()]
        self.found.append([self.call(), self.call()])
        after = [module.training for module in net.module_.modules()]
        self.were_training.append(before == after)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "call"),
    [(name, call) for name, method, call in CALLS if method != "score"],
    ids=[f"{name}.{method}" for name, method, _ in CALLS if method != "score"],
)
def test_a_callback_may_predict_and_dropout_hides_nothing(name, call):
    model, data = make(name)
    seen = Predict(lambda: call(model))
    model.set_params(callbacks=[seen]).fit(*data)
    assert all(seen.were_training)
    for one, other in seen.found:
        assert equal(one, other)
    assert equal(seen.found[-1][0], call(model))


def test_predicting_leaves_a_network_in_training_mode_as_it_was():
    model, data = make("encoder-decoder")
    expected = model.fit(*data).predict_n_best(TEXTS, 2)
    model.module_.train()
    assert model.predict_n_best(TEXTS, 2) == expected
    assert all(module.training for module in model.module_.modules())


class Slow:
    """Values that are handed over only when they are waited for by another thread."""

    def __init__(self, meeting):
        self.meeting = meeting

    def __array__(self, dtype=None, copy=None):
        self.meeting.wait(WAIT)
        return X.astype(dtype or X.dtype)


def test_predictions_run_side_by_side():
    model, data = make("regressor")
    model.fit(*data)
    # Each waits inside of predict until the other one is there, too.
    meeting = threading.Barrier(2)
    found = run_twice_side_by_side(lambda: model.predict(Slow(meeting)))
    assert equal(found[0], found[1])


def test_different_estimators_are_trained_side_by_side():
    meeting = threading.Barrier(2)

    class Meet(Callback):
        def on_epoch_begin(self, net, **kwargs):
            meeting.wait(WAIT)

    def fit():
        model, data = make("regressor", callbacks=[Meet()])
        return model.fit(*data).n_iter_

    assert run_twice_side_by_side(fit) == [3, 3]


def test_a_stream_that_is_not_read_to_its_end_keeps_nobody_out():
    model, data = make("generator")
    stream = model.fit(*data).stream("a", random_state=0)
    first = next(stream)
    thread = threading.Thread(target=model.fit, args=data, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert isinstance(first, str)


def test_a_stream_goes_on_as_it_began_whatever_is_fitted_meanwhile():
    model, data = make("generator")
    expected = model.fit(*data).sample("a", 6, random_state=0)
    stream = model.stream("a", 6, random_state=0)
    begin = next(stream)
    model.set_params(hidden_size=5).fit([["x", "y", "z", "w", "v"]] * 4)
    assert begin + "".join(stream) == expected


def test_locks_are_no_part_of_an_estimator():
    model, data = make("regressor")
    model.fit(*data)
    before = set(vars(model))
    model.predict(X)
    assert set(vars(model)) == before
    copied = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert equal(copied.predict(X), model.predict(X))


def test_parameters_are_there_while_a_fit_that_failed_is_undone():
    model, data = make("regressor")
    model.fit(*data)
    names = []

    class Watch(dict):
        def __delitem__(self, name):
            names.append(name)
            super().__delitem__(name)

    model.__dict__ = Watch(model.__dict__)
    with pytest.raises(ValueError, match="features"):
        model.set_params(warm_start=True).fit(X[:, :, :1], Y)
    assert not set(names) & set(model.get_params())
    assert equal(model.predict(X), model.predict(X))


def test_one_live_predictor_takes_one_call_at_a_time():
    model, data = make("steps")
    live = StatefulPredictor(model.fit(*data))
    expected = model.predict(np.concatenate([X, X], axis=1))
    found = run_twice_side_by_side(lambda: live.predict(X))
    assert live.n_steps_.tolist() == [12] * 24
    first = [np.allclose(part, expected[:, :6]) for part in found]
    assert sorted(first) == [False, True]
    assert np.allclose(found[first.index(False)], expected[:, 6:])


class Equal(RNNRegressor):
    """An estimator without a hash, equal to every other one."""

    def __eq__(self, other):
        return True


def test_estimators_that_define_equality_have_locks_of_their_own():
    other = Equal(hidden_size=4, max_epochs=1).fit(X, Y)
    found = []

    class PredictElsewhere(Callback):
        def on_epoch_end(self, net, **kwargs):
            thread = threading.Thread(
                target=lambda: found.append(other.predict(X)), daemon=True
            )
            thread.start()
            thread.join(WAIT)

    Equal(hidden_size=4, max_epochs=1, callbacks=[PredictElsewhere()]).fit(X, Y)
    assert len(found) == 1


def test_a_callback_may_reset_a_live_predictor_that_another_thread_uses():
    model = RNNRegressor(hidden_size=4, max_epochs=1).fit(X, Y)
    live = StatefulPredictor(model)
    threads = []

    class Reset(Callback):
        def on_epoch_begin(self, net, **kwargs):
            started = threading.Event()

            def predict():
                started.set()
                live.predict(X)

            threads.append(threading.Thread(target=predict, daemon=True))
            threads[0].start()
            started.wait(WAIT)
            live.reset()

    model.set_params(callbacks=[Reset()])
    fit = threading.Thread(target=lambda: model.fit(X, Y), daemon=True)
    fit.start()
    fit.join(WAIT)
    for thread in (fit, *threads):
        thread.join(WAIT)
        assert not thread.is_alive()
    assert live.n_steps_.tolist() == [6] * 24
