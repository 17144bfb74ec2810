"""Streams of partial_fit that are made again after their process has ended."""

import pickle
import re
import warnings

import numpy as np
import pytest
from interrupted_fits import assert_same, make, make_data
from sklearn.base import clone

from sklearn_rnn import InvalidModelError, SklearnRNNWarning
from sklearn_rnn.kernels import compiled_kernels_available

DATA = make_data()
KERNELS = ["torch", *["compiled"] * compiled_kernels_available()]
NAMES = ["regressor", "classifier", "tagger"]
# Resuming a stream warns, which tests of the continuation do not look at.
pytestmark = pytest.mark.filterwarnings("ignore:.*calls of partial_fit ahead")
CLASSES = {"classifier": ["down", "up"], "tagger": ["n", "p"]}


def train(model, name, calls):
    """Make calls of partial_fit, of ten sequences each."""
    about = {"classes": CLASSES[name]} if name in CLASSES else {}
    for i in calls:
        part = slice(10 * i, 10 * i + 10)
        model.partial_fit(*(values[part] for values in DATA[name]), **about)
    return model


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_made_again_continues_bit_for_bit(name, kernel, tmp_path):
    expected = train(make(name, kernel=kernel), name, range(6))
    train(make(name, tmp_path, kernel=kernel), name, range(3))
    again = make(name, tmp_path, kernel=kernel)
    assert train(again, name, [0]).n_iter_ == 3
    assert train(again, name, [1, 2]).n_iter_ == 3
    assert_same(train(again, name, [3, 4, 5]), expected)


def test_a_file_ahead_of_the_calls_is_a_warning_until_it_is_deleted(tmp_path):
    model = train(make("tagger", tmp_path), "tagger", [0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the file is as far as the call
        train(clone(model), "tagger", [0])
    train(model, "tagger", [1, 2])
    (file,) = tmp_path.iterdir()
    message = f"{re.escape(str(file))} is 2 calls of partial_fit ahead.*after call 3"
    with pytest.warns(SklearnRNNWarning, match=message) as found:
        train(clone(model), "tagger", [0])
    assert len(found) == 1 and found[0].filename == __file__
    file.unlink()
    assert_same(
        train(clone(model), "tagger", [0]), train(make("tagger"), "tagger", [0])
    )


def test_the_linear_part_of_a_stream_continues(tmp_path):
    options = {"linear_skip": True, "loss": "gaussian"}
    expected = train(make("regressor", **options), "regressor", range(6))
    train(make("regressor", tmp_path, **options), "regressor", range(4))
    again = train(make("regressor", tmp_path, **options), "regressor", range(6))
    assert_same(again, expected)
    X = DATA["regressor"][0]
    assert (again.predict(X) == expected.predict(X)).all()


def test_a_loss_of_the_user_is_that_of_the_new_process(tmp_path):
    def loss(outputs, targets):
        return (outputs - targets).abs()

    train(make("regressor", tmp_path, loss=loss), "regressor", range(3))
    again = train(make("regressor", tmp_path, loss=loss), "regressor", range(4))
    assert again.n_iter_ == 4
    expected = train(make("regressor", loss=loss), "regressor", range(4))
    assert_same(again, expected)


def test_a_random_state_continues_with_the_stream(tmp_path):
    states = [np.random.RandomState(3) for _ in range(3)]
    expected = make("tagger", random_state=states[0])
    train(expected, "tagger", range(5))
    train(make("tagger", tmp_path, random_state=states[1]), "tagger", range(3))
    again = make("tagger", tmp_path, random_state=states[2])
    assert_same(train(again, "tagger", range(5)), expected)
    assert states[0].randint(2**31) == states[2].randint(2**31)


def test_a_stream_after_fit_continues(tmp_path):
    expected = train(make("tagger").fit(*DATA["tagger"]), "tagger", range(4))
    train(make("tagger", tmp_path).fit(*DATA["tagger"]), "tagger", range(2))
    again = make("tagger", tmp_path).fit(*DATA["tagger"])
    assert train(again, "tagger", [0]).n_iter_ == 7
    assert_same(train(again, "tagger", [1, 2, 3]), expected)


def test_parameters_set_between_calls_belong_to_the_stream(tmp_path):
    def stream(folder, n_calls):
        model = train(make("tagger", folder), "tagger", [0, 1])
        model.set_params(learning_rate=0.001)
        return train(model, "tagger", range(2, n_calls))

    stream(tmp_path, 4)
    assert_same(stream(tmp_path, 6), stream(None, 6))
    other = train(make("tagger", tmp_path), "tagger", [0, 1])
    with pytest.raises(ValueError, match="call 3 of partial_fit has other data, or pa"):
        train(other, "tagger", [2])


def test_calls_in_another_order_are_refused_and_may_be_mended(tmp_path):
    train(make("tagger", tmp_path), "tagger", range(4))
    again = train(make("tagger", tmp_path), "tagger", [0])
    with pytest.raises(ValueError, match="than call 2 of 4 in the checkpoint"):
        train(again, "tagger", [2])
    train(again, "tagger", [1, 2, 3, 4])
    assert again.n_iter_ == 5


def test_streams_that_begin_otherwise_have_other_files(tmp_path):
    train(make("tagger", tmp_path), "tagger", [0])
    train(make("tagger", tmp_path), "tagger", [1])
    train(make("tagger", tmp_path, learning_rate=0.1), "tagger", [0])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_stream_is_written_no_more_often_than_asked_for(tmp_path):
    train(make("tagger", tmp_path, checkpoint_seconds=1e6), "tagger", range(3))
    assert list(tmp_path.iterdir()) == []


def test_fit_ends_a_stream(tmp_path):
    model = train(make("tagger", tmp_path), "tagger", range(3))
    model.fit(*DATA["tagger"])
    train(model, "tagger", [5])
    assert model.n_iter_ == 6
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pickled_model_continues_its_stream(tmp_path):
    model = train(make("tagger", tmp_path), "tagger", range(2))
    model = pickle.loads(pickle.dumps(model))
    train(model, "tagger", range(2, 4))
    again = train(make("tagger", tmp_path), "tagger", [0])
    assert again.n_iter_ == 4


def test_a_damaged_stream_is_refused(tmp_path):
    train(make("tagger", tmp_path), "tagger", [0])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidModelError, match="is damaged.*delete it to train"):
        train(make("tagger", tmp_path), "tagger", [0])


def test_a_stream_that_cannot_be_written_is_trained_all_the_same(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.warns(SklearnRNNWarning, match="cannot write the checkpoint") as found:
        model = train(make("tagger", place), "tagger", range(4))
    assert len(found) == 1
    assert_same(model, train(make("tagger"), "tagger", range(4)))
