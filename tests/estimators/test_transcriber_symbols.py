"""RNNTranscriber: strings and lists of strings as what is read."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_rnn import (
    InvalidSequenceError,
    RNNSeq2Seq,
    RNNTranscriber,
    SklearnRNNWarning,
    TargetWarning,
)

SOUNDS = {"a": ["AA"], "b": ["B"], "c": ["K"], "x": ["K", "S"]}


def spelled(n=200, letters="abcx", longest=5, seed=0):
    """Return random words, and what their letters sound like."""
    rng = np.random.default_rng(seed)
    X = ["".join(rng.choice(list(letters), k)) for k in rng.integers(2, longest, n)]
    return X, [[sound for letter in word for sound in SOUNDS[letter]] for word in X]


def small(**options):
    options = {"learning_rate": 0.02, "random_state": 0, **options}
    return RNNTranscriber(**{"hidden_size": 24, "max_epochs": 15, **options})


@pytest.fixture(scope="module")
def reader():
    return small(upsampling=3).fit(*spelled())


def test_strings_are_read_by_characters_and_may_be_shorter_than_what_is_written(reader):
    X, y = spelled(50, longest=7, seed=1)
    assert reader.score(X, y) > 0.95
    assert reader.source_symbols_.tolist() == sorted(
        "abcx", key=lambda s: -sum(word.count(s) for word in spelled()[0])
    )
    assert not hasattr(reader, "n_features_in_")


def test_lists_of_strings_are_read_by_their_elements(reader):
    X, y = spelled()
    lists = small(upsampling=3).fit([list(word) for word in X], y)
    np.testing.assert_array_equal(
        np.vstack(lists.posteriors([list("abx")])),
        np.vstack(reader.posteriors(["abx"])),
    )
    with pytest.raises(TypeError, match="strings"):
        reader.predict([["a", "b"]])


def test_each_step_read_has_as_many_frames_as_upsampling_says(reader):
    assert [len(p) for p in reader.posteriors(["ab", "abx"])] == [6, 9]
    X, y = [np.eye(3)[[0, 1, 2, 0, 1]]] * 4, ["abcabca"] * 4
    model = small(subsampling=2, upsampling=3, max_epochs=1).fit(X, y)
    assert [len(p) for p in model.posteriors(X[:1])] == [9]


def test_upsampled_outputs_are_those_of_a_wider_head_in_the_order_of_time(reader):
    network, posteriors = reader.module_, reader.posteriors(["bx"])[0]
    symbols = reader.source_symbols_.tolist()
    ids = reader._task.source.vocabulary.encode("bx")
    assert len(set(ids)) == 2 and len(symbols) == 4
    with torch.inference_mode():
        states, _ = network.run(torch.as_tensor(ids)[None, :, None])
        frames = network.head(states[:, 0]).reshape(2 * 3, -1)
    expected = frames.double().softmax(dim=1)
    np.testing.assert_allclose(posteriors, expected, atol=1e-6)


def test_padding_does_not_change_what_is_written(reader):
    together = reader.posteriors(["a", "abxcab"])[0]
    np.testing.assert_allclose(together, reader.posteriors(["a"])[0], atol=1e-5)


def test_untrained_each_frame_says_how_often_each_symbol_comes():
    X, y = spelled()
    model = small(upsampling=3, max_epochs=1, learning_rate=1e-9).fit(X, y)
    biases = model.module_.head.bias.detach().numpy().reshape(3, -1)
    np.testing.assert_allclose(biases, biases[[0, 0, 0]], rtol=1e-5)
    n_symbols = sum(map(len, y))
    n_frames = 3 * sum(map(len, X))
    blank = np.exp(biases[0, 0]) / np.exp(biases[0]).sum()
    assert blank == pytest.approx(1 - n_symbols / n_frames, abs=0.01)


def test_the_width_of_embeddings_is_chosen():
    X, y = spelled(20)
    model = small(upsampling=3, embedding_dim=7, max_epochs=1).fit(X, y)
    assert model.module_.core.rnn.input_size == 7


def test_too_few_symbols_are_refused_with_the_way_out():
    with pytest.raises(
        InvalidSequenceError,
        match=r"X\[1\] has 1 symbols, too few for the 2 symbols of y\[1\].*"
        "Raise upsampling",
    ):
        small().fit(["ab", "x"], [["A", "B"], ["K", "S"]])
    with pytest.raises(InvalidSequenceError, match="2 frames with upsampling=2"):
        small(upsampling=2).fit(["ab", "x"], [["A", "B"], ["K", "S", "S"]])


def test_unseen_characters_and_empty_strings_are_read_without_fault(reader):
    with pytest.warns(SklearnRNNWarning, match="'[?]' in X"):
        written = reader.predict(["a?b", ""])
    assert written[0][0] == "AA"
    assert len(written) == 2


def test_a_fit_on_strings_does_not_read_frames_and_the_reverse(reader):
    with pytest.raises((TypeError, ValueError), match="X"):
        reader.predict([np.eye(3)])
    X, y = [np.eye(3)[[0, 1, 2, 0]]] * 4, ["abc"] * 4
    model = small(max_epochs=1).fit(X, y)
    assert model.source_symbols_ is None
    with pytest.raises(ValueError):
        model.predict(["abc"])


def test_whole_numbers_are_frames_as_samples_of_sound_are():
    X, y = [[1, 2, 3, 4], [4, 3, 2, 1, 0]] * 3, ["ab", "ba"] * 3
    model = small(max_epochs=1).fit(X, y)
    assert model.source_symbols_ is None
    assert model.n_features_in_ == 1


def test_training_continues_with_the_symbols_of_the_first_fit():
    X, y = spelled(40)
    model = small(upsampling=3, max_epochs=2, warm_start=True).fit(X, y)
    assert model.fit(X, y).n_iter_ == 4
    with pytest.raises(ValueError, match="warm_start"):
        model.set_params(upsampling=4).fit(X, y)


def test_pickles_predict_the_same(reader):
    X, _ = spelled(20, seed=2)
    again = pickle.loads(pickle.dumps(reader))
    assert again.predict(X).tolist() == reader.predict(X).tolist()
    again.set_params(beam_width=4, ngram_order=2)
    assert again.score(*spelled(20, seed=2)) > 0.95


def test_letters_that_fit_did_not_see_are_told_of(reader):
    with pytest.warns(SklearnRNNWarning, match=r"2 of 3 sequences.*'é' in X\[1\]"):
        reader.predict(["ab", "aé", "ö"])
    reader.predict(["ab", ""])


@pytest.mark.parametrize("estimator", [RNNTranscriber(upsampling=9), RNNSeq2Seq()])
def test_strings_of_symbols_between_spaces_are_told_of(estimator):
    X, y = spelled(20)
    estimator.set_params(hidden_size=2, max_epochs=1)
    texts = [" ".join(symbols) for symbols in y]
    with pytest.warns(TargetWarning, match=r"y holds strings such as.*text\.split"):
        estimator.fit(X, texts)
    estimator.fit(X, y)
    estimator.fit(X, ["the cat" if "a" in word else "a goat" for word in X])
    estimator.fit(X, ["question" for _ in X])
