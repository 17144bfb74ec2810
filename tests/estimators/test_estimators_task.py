"""What a fitted estimator keeps in its task, and what users may do with it."""

import copy
import pickle

import numpy as np
import pytest
from skorch.callbacks import Callback, Checkpoint

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceTokenizer,
)
from sklearn_rnn.estimators.tasks import RegressionTask

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 6, 2))
Y = X[:, :, 0].sum(axis=1)
WORDS = ["ab", "bc", "abc"] * 10
DATA = {
    RNNRegressor: (X, Y),
    RNNClassifier: (X, Y > 0),
    RNNTagger: (X, X[:, :, 0] > 0),
    RNNGenerator: ("abcabc" * 30,),
    RNNSeq2Seq: (WORDS, [word[::-1] for word in WORDS]),
    RNNTranscriber: ([rng.normal(size=(9, 2)) for _ in WORDS], WORDS),
}
SMALL = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}


@pytest.mark.thorough
@pytest.mark.parametrize("base", DATA)
def test_a_subclass_may_have_few_parameters(base):
    class Small(base):
        def __init__(self, hidden_size=4):
            super().__init__(**{**SMALL, "hidden_size": hidden_size})

    model = Small().fit(*DATA[base])
    expected = base(**SMALL).fit(*DATA[base])
    assert model.loss_curve_ == expected.loss_curve_
    copied = pickle.loads(pickle.dumps(expected))
    assert copied.n_parameters_ == expected.n_parameters_


def test_a_subclass_may_set_what_it_knows_before_fit():
    class Known(RNNClassifier):
        def fit(self, X, y):
            self.classes_ = np.array(["no", "yes"])
            return super().fit(X, self.classes_[np.asarray(y, dtype=int)])

    model = Known(**SMALL)
    assert not hasattr(model, "classes_")
    model.fit(X, Y > 0)
    assert set(model.predict(X)) <= {"no", "yes"}


def test_what_is_set_after_fit_counts_and_belongs_to_one_copy():
    model = RNNRegressor(**SMALL, target_feature=0).fit(X, Y)
    other = copy.copy(model)
    before = model.predict(X)
    other.network_weight_ = model.network_weight_ + 0.5
    assert not np.array_equal(other.predict(X), before)
    np.testing.assert_array_equal(model.predict(X), before)
    classifier = RNNClassifier(**SMALL).fit(X, Y > 0)
    classifier.classes_ = np.array(["low", "high"])
    assert set(classifier.predict(X)) <= {"low", "high"}
    with pytest.raises(AttributeError, match="set by fit"):
        del classifier.classes_


def test_a_copy_continues_with_a_linear_part_of_its_own():
    model = RNNRegressor(**SMALL, linear_skip=True).partial_fit(X, Y)
    other = copy.copy(model)
    other.partial_fit(X, Y**2)
    again = copy.copy(model).partial_fit(X, Y**2)
    np.testing.assert_array_equal(other.predict_linear(X), again.predict_linear(X))


@pytest.mark.parametrize("name", ["callbacks", "lr_schedule"])
def test_what_cannot_be_pickled_may_be_removed_after_fit(name):
    class Watch(Callback):
        pass

    def schedule(progress):
        return 0.5

    value = {"callbacks": [Watch()], "lr_schedule": schedule}[name]
    model = RNNRegressor(**SMALL, **{name: value}).fit(X, Y)
    model.set_params(**{name: None})
    found = pickle.loads(pickle.dumps(model)).predict(X)
    np.testing.assert_array_equal(found, model.predict(X))


def test_initial_vectors_are_not_kept():
    ids = SequenceTokenizer().fit_transform(["a b c", "b c", "c a a"] * 10)
    vectors = np.zeros((5, 1000))
    model = RNNClassifier(**SMALL, embeddings=vectors).fit(ids, [0, 1, 0] * 10)
    size = len(pickle.dumps(model))
    model.set_params(embeddings=None)
    assert len(pickle.dumps(model)) < size - vectors.nbytes / 2
    model.set_params(embeddings=vectors).partial_fit(ids, [0, 1, 0] * 10)


def test_random_numbers_of_a_fit_are_not_kept():
    model = RNNRegressor(**SMALL, target_feature=0).fit(X, Y)
    kept = pickle.dumps(model._task)
    assert b"RandomState" not in kept
    assert model._task.cross_fit is None and model.linear_ is not None


def test_a_net_can_be_pickled_while_an_encoder_decoder_is_trained(tmp_path):
    model = RNNSeq2Seq(**SMALL, scheduled_sampling=0.5)
    saving = Checkpoint(
        dirname=tmp_path, f_pickle="net.pkl", monitor=None, load_best=False
    )
    model.set_params(callbacks=[saving]).fit(*DATA[RNNSeq2Seq])
    assert (tmp_path / "net.pkl").exists()
    assert model.module_.sampling_probability == 0


def test_missing_targets_may_be_ignored_in_a_score_alone():
    model = RNNRegressor(**SMALL).fit(X, Y)
    y = np.where(np.arange(60) % 3, Y, np.nan)
    with pytest.raises(ValueError, match="contains NaN"):
        model.score(X, y)
    model.set_params(missing_targets="ignore")
    there = np.flatnonzero(~np.isnan(y))
    assert model.score(X, y) == pytest.approx(model.score(X[there], y[there]))


def test_advice_leaves_with_the_linear_part():
    noise = np.random.default_rng(1).normal(size=60)
    model = RNNRegressor(**SMALL, linear_skip=True).fit(X, noise)
    assert model.advice_ is not None
    model.set_params(linear_skip=False, warm_start=True).fit(X, noise)
    assert model.advice_ is None and model.validation_errors_ is None


@pytest.mark.parametrize("base", [RNNSeq2Seq, RNNTranscriber])
def test_an_error_about_y_val_does_not_blame_x(base):
    (A, b), model = DATA[base], base(**SMALL)
    with pytest.raises(ValueError, match="X_val or y_val: "):
        model.fit(A, b, X_val=A[:6], y_val=b[:5])


class Exponentials(RegressionTask):
    """Predict the exponentials of what is learned."""

    def decode(self, sequences, outputs, describe=None, **options):
        return np.exp(super().decode(sequences, outputs, describe, **options))


def test_predictions_are_those_of_the_task_of_a_subclass():
    class Exponential(RNNRegressor):
        _task_type = Exponentials

    model, plain = Exponential(**SMALL).fit(X, Y), RNNRegressor(**SMALL).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), np.exp(plain.predict(X)))
