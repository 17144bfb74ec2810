"""Steps and features that look exchanged, and those that do not."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_rnn import (
    InvalidSequenceError,
    LogMelSpectrogram,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTranscriber,
    SequenceLayoutWarning,
    SequenceScaler,
    SequenceWindower,
    SklearnRNNWarning,
    make_windows,
)
from sklearn_rnn.sequences import check_sequences

RNG = np.random.default_rng(0)
QUICK = {"hidden_size": 2, "max_epochs": 1}
# (channels, time) of the UEA archive, and of usual recordings.
EXCHANGED = [
    (1, 24), (2, 36), (2, 45), (3, 206), (4, 65), (4, 640), (6, 30), (6, 100),
    (6, 1197), (9, 128), (11, 217), (12, 29), (13, 93),
]  # fmt: skip
IN_ORDER = [
    (1, 4), (7, 20), (28, 28), (5, 300), (10, 64), (50, 768), (20, 12), (100, 6),
    (16, 128),
]  # fmt: skip


@pytest.mark.parametrize("shape", EXCHANGED)
def test_the_order_of_aeon_and_sktime_warns_in_fit(shape):
    X = RNG.normal(size=(8, *shape))
    with pytest.warns(
        SequenceLayoutWarning, match=r"X\.transpose\(0, 2, 1\)"
    ) as caught:
        SequenceScaler().fit(X)
    assert f"(8, {shape[0]}, {shape[1]})" in str(caught[0].message)
    assert caught[0].filename == __file__
    with pytest.warns(SequenceLayoutWarning, match=r"\[x\.T for x in X\]"):
        SequenceScaler().fit(list(X))
    with pytest.warns(SequenceLayoutWarning, match="transpose"):
        SequenceScaler().fit(torch.tensor(X))
    SequenceScaler().fit(X.transpose(0, 2, 1))


@pytest.mark.parametrize("shape", [(24, 51), (61, 405)])
def test_many_channels_warn_where_neighbours_are_alike_along_features_only(shape):
    X = RNG.normal(size=(8, *shape))
    SequenceScaler().fit(X)
    with pytest.warns(SequenceLayoutWarning):
        SequenceScaler().fit(X.cumsum(axis=2))
    SequenceScaler().fit(X.cumsum(axis=1))


@pytest.mark.parametrize("shape", IN_ORDER)
def test_word_vectors_images_and_spectrograms_do_not_warn(shape):
    X = RNG.normal(size=(8, *shape))
    SequenceScaler().fit(X)
    SequenceScaler().fit(list(X))


def test_steps_that_change_slowly_do_not_warn():
    SequenceScaler().fit(RNG.normal(size=(8, 12, 40)).cumsum(axis=1))


@pytest.mark.parametrize("n_features", [50, 100, 256])
def test_usual_sizes_of_word_vectors_do_not_warn(n_features):
    SequenceScaler().fit(RNG.normal(size=(8, 10, n_features)))


@pytest.mark.parametrize("shape", [(4, 50), (5, 100), (8, 128)])
def test_vectors_that_come_again_are_words_and_do_not_warn(shape):
    vectors = RNG.normal(size=(30, shape[1]))
    SequenceScaler().fit(vectors[RNG.integers(30, size=(40, shape[0]))])


def test_zeros_behind_the_last_step_do_not_warn():
    X = RNG.normal(size=(8, 12, 150))
    X[:, 9:] = 0
    SequenceScaler().fit(X)


@pytest.mark.parametrize("silent", [np.s_[0], np.s_[:, 3]])
def test_a_silent_recording_or_channel_warns_all_the_same(silent):
    X = RNG.normal(size=(40, 6, 100))
    X[silent] = 0
    with pytest.warns(SequenceLayoutWarning):
        SequenceScaler().fit(X)


def test_one_hot_vectors_do_not_warn():
    SequenceScaler().fit(np.eye(60)[RNG.integers(60, size=(8, 7))])


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (RNNRegressor(**QUICK), np.arange(8.0)),
        (RNNClassifier(**QUICK), np.arange(8) % 2),
        (RNNSeq2Seq(**QUICK), ["ab"] * 8),
        (RNNTranscriber(**QUICK), ["ab"] * 8),
        (SequenceWindower(2), None),
    ],
)
def test_every_estimator_warns_once_in_fit_and_never_in_predict(estimator, y):
    X = RNG.normal(size=(8, 6, 100))
    with pytest.warns(SequenceLayoutWarning) as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    predict = getattr(estimator, "predict", getattr(estimator, "transform", None))
    predict(X)


def test_containers_tables_and_named_features_do_not_warn():
    series = RNG.normal(size=(80, 40))
    quick_fit = RNNRegressor(**QUICK).fit
    quick_fit(SequenceWindower(3, history=None).fit_transform(series), series[:, 0])
    quick_fit(*make_windows(series, series[:, 0], n_steps=3))
    quick_fit(check_sequences(RNG.normal(size=(8, 3, 200))), np.arange(8.0))
    quick_fit(RNG.normal(size=(8, 200)), np.arange(8.0))
    frames = [pd.DataFrame(x).add_prefix("f") for x in RNG.normal(size=(8, 3, 200))]
    quick_fit(frames, np.arange(8.0))
    clips = list(RNG.normal(size=(8, 900)))
    quick_fit(LogMelSpectrogram(16_000).fit_transform(clips), np.arange(8.0))


def test_the_warning_is_silenced_by_its_class():
    assert issubclass(SequenceLayoutWarning, SklearnRNNWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SequenceLayoutWarning)
        SequenceScaler().fit(RNG.normal(size=(8, 6, 100)))


def test_unequal_sequences_in_that_order_are_told_so():
    X = [RNG.normal(size=(6, n)) for n in (100, 120)]
    with pytest.raises(
        InvalidSequenceError, match=r"X\[0\] has 100.*\[x\.T for x in X\]"
    ):
        RNNRegressor().fit(X, [0.0, 1.0])
    with pytest.raises(InvalidSequenceError) as caught:
        RNNRegressor().fit([np.zeros((6, 2)), np.zeros((5, 3))], [0.0, 1.0])
    assert "x.T" not in str(caught.value)


NAMED = pd.DataFrame(RNG.normal(size=(30, 3)), columns=["temp", "humid", "pressure"])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            NAMED,
            r"30 rows and 3 columns, 'temp' to 'pressure'.*30 sequences of 3 steps",
        ),
        (NAMED[["temp"]], "one column.*30 sequences of 1 step of one feature"),
        (NAMED[["temp"]].to_numpy(), "one column.*30 sequences of 1 step"),
    ],
)
def test_rows_that_look_like_steps_warn_in_fit_alone(X, message):
    model = RNNRegressor(**QUICK)
    with pytest.warns(SequenceLayoutWarning, match=message) as caught:
        model.fit(X, np.arange(30.0))
    assert len(caught) == 1
    assert "make_pipeline(SequenceWindower(n_steps=24), ...)" in str(caught[0].message)
    assert caught[0].filename == __file__
    model.predict(X)


@pytest.mark.parametrize(
    "X",
    [
        NAMED.to_numpy(),
        NAMED.set_axis(["t-2", "t-1", "t"], axis=1),
        NAMED.set_axis(range(3), axis=1),
        NAMED.set_axis(pd.date_range("2024", periods=3), axis=1),
        NAMED.set_axis([f"shop {name}" for name in range(30)], axis=0),
        NAMED[["temp"]][:1].to_numpy(),
    ],
)
def test_rows_whose_columns_are_steps_do_not_warn(X):
    RNNRegressor(**QUICK).fit(X, np.arange(float(len(X))))


def test_a_table_behind_a_windower_does_not_warn():
    SequenceWindower(4).fit(NAMED)
    SequenceWindower(4).fit(NAMED[["temp"]].to_numpy())
