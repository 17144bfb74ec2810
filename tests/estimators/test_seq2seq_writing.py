"""RNNSeq2Seq: greedy and beam, lengths, attention, copies, and careless input."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_rnn import InvalidSequenceError, RNNSeq2Seq, SequenceTokenizer
from sklearn_rnn.metrics import sequence_accuracy


def reversed_strings(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = ["".join(rng.choice(list("abc"), k)) for k in rng.integers(1, 5, n)]
    return X, [x[::-1] for x in X]


def small(**options):
    options = {"hidden_size": 16, "embedding_dim": 8, "random_state": 0, **options}
    return RNNSeq2Seq(**options)


@pytest.fixture(scope="module")
def undecided():
    """A model of answers that chance decides, so that hypotheses differ."""
    y = ["p"] * 44 + ["qr"] * 29 + ["qs"] * 27
    model = small(max_epochs=120, learning_rate=0.01, dropout=0.0, batch_size=50)
    return model.fit(["a"] * 100, y)


@pytest.fixture(scope="module")
def reverser():
    return small(hidden_size=32, max_epochs=60).fit(*reversed_strings())


@pytest.mark.thorough
def test_a_beam_finds_the_likeliest_where_greed_does_not(undecided):
    # q comes first in 56 of 100 answers, but none of them as often as p.
    by_default = undecided.predict(["a"])[0]
    greedy = undecided.set_params(beam_width=1).predict(["a"])[0]
    beam = undecided.set_params(beam_width=3).predict(["a"])[0]
    undecided.set_params(beam_width=5)
    assert greedy.startswith("q")
    assert beam == by_default == "p"


def test_the_best_few_have_the_shares_of_the_training_data(undecided):
    best = undecided.set_params(length_penalty=0.0).predict_n_best(["a"], n=3)[0]
    assert best[0][0] == "p"
    assert {text for text, _ in best} == {"p", "qr", "qs"}
    shares = np.exp([score for _, score in best])
    assert shares == pytest.approx([0.44, 0.29, 0.27], abs=0.03)
    assert (np.diff(shares) <= 0).all()


def test_a_length_penalty_favours_the_longer(undecided):
    undecided.set_params(beam_width=3, length_penalty=4.0)
    assert undecided.predict(["a"])[0].startswith("q")
    undecided.set_params(beam_width=5, length_penalty=0.0)


@pytest.mark.slow
def test_no_more_is_written_than_max_length(reverser):
    reverser.set_params(max_length=2)
    assert {len(text) for text in reverser.predict(["abca", "ab", "a"])} == {1, 2}
    reverser.set_params(max_length=None)


@pytest.mark.thorough
def test_what_is_written_does_not_depend_on_company(reverser):
    X, _ = reversed_strings(70, seed=3)
    alone = [reverser.predict([x])[0] for x in X]
    assert reverser.predict(X).tolist() == alone


def test_attention_looks_back_at_what_it_writes(reverser):
    weights = reverser.attention(["abcb"])[0]
    assert weights.shape == (4, 4)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights.argmax(axis=1).tolist() == [3, 2, 1, 0]


def test_attention_of_given_answers_is_that_of_own_ones_where_they_agree(reverser):
    X, y = ["abc", "b", "ca"], ["cba", "b", "ac"]
    assert reverser.predict(X).tolist() == y
    for own, given in zip(reverser.attention(X), reverser.attention(X, y), strict=True):
        assert own == pytest.approx(given, abs=1e-5)


def test_without_attention_there_is_none_to_show():
    model = small(attention_type=None, max_epochs=1).fit(*reversed_strings(20))
    with pytest.raises(ValueError, match="attention_type=None"):
        model.attention(["ab"])


def copied_names(n=300):
    rng = np.random.default_rng(0)
    # Every second name comes once, and so is unknown. The known ones, which are
    # written as they are, teach attention to look at the name.
    known = "anna", "otto", "ida"
    names = [known[i % 3] if i % 2 else f"name{i}" for i in range(n)]
    X = [
        ["hello", name, "bye"] if rng.random() < 0.5 else ["hello", name]
        for name in names
    ]
    y = [["salut", *x[1:2], *["adieu"] * (len(x) == 3)] for x in X]
    return X, y


@pytest.mark.slow
def test_unknown_symbols_are_copied_from_where_attention_looks():
    X, y = copied_names()
    options = {"max_epochs": 40, "min_count": 2, "learning_rate": 0.01}
    copying = small(copy_unknown=True, **options).fit(X, y)
    assert copying.predict([["hello", "zoe", "bye"]])[0] == ["salut", "zoe", "adieu"]
    plain = small(**options).fit(X, y)
    assert "zoe" not in plain.predict([["hello", "zoe", "bye"]])[0]


def test_copying_between_other_kinds_of_symbols_is_refused():
    X, y = reversed_strings(20)
    with pytest.raises(ValueError, match="copy_unknown"):
        small(copy_unknown=True).fit(X, [list(text) for text in y])
    with pytest.raises(ValueError, match="copy_unknown"):
        small(copy_unknown=True, attention_type=None).fit(X, y)
    with pytest.raises(ValueError, match="copy_unknown"):
        small(copy_unknown=True).fit(np.zeros((20, 2)), y)


def test_copies_that_make_answers_alike_are_one_answer():
    X, y = copied_names()
    model = small(copy_unknown=True, min_count=2, max_epochs=3).fit(X, y)
    for best in model.predict_n_best(X[:10], n=5):
        written = [tuple(text) for text, _ in best]
        assert len(set(written)) == len(written)


def test_copying_without_unknown_symbols_is_refused():
    X, y = reversed_strings(20)
    with pytest.raises(ValueError, match="min_count=2"):
        small(copy_unknown=True).fit(X, y)


def test_copies_are_checked_when_they_are_made(reverser):
    X, y = reversed_strings(20)
    blind = small(attention_type=None, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="copy_unknown"):
        blind.set_params(copy_unknown=True, min_count=2).predict(X)


def test_of_an_empty_sequence_nothing_is_copied():
    model = small(copy_unknown=True, min_count=2, max_epochs=1)
    model.fit(
        ["a", "b", "c"] * 5 + list("defghijk"), ["x"] * 5 + list("defghijklmnopqrstu")
    )
    assert isinstance(model.predict([""])[0], str)


def test_ids_of_a_tokenizer_are_its_tokens():
    X = ["good film", "bad film"] * 20
    y = [["bon"], ["mauvais"]] * 20
    network = small(max_epochs=60, learning_rate=0.01)
    model = make_pipeline(SequenceTokenizer(), network).fit(X, y)
    assert model.predict(["bad film"])[0] == ["mauvais"]
    assert set(model[-1].source_symbols_) == {"good", "bad", "film"}


def test_unknown_and_empty_sequences_are_read(reverser):
    written = reverser.predict(["", "xyz", "👩‍👩‍👧", "שלום", "a\x00b"])
    assert len(written) == 5
    assert set("".join(written)) <= set("abc")


def test_empty_answers_are_learned():
    X, y = ["a", "b"] * 30, ["", "x"] * 30
    model = small(max_epochs=40).fit(X, y)
    assert model.predict(["a", "b"]).tolist() == ["", "x"]


@pytest.mark.thorough
def test_emoji_and_right_to_left_text_come_back_whole():
    X = ["family", "peace", "zero"] * 20
    y = ["👩‍👩‍👧", "שלום", "a\x00b"] * 20
    model = small(max_epochs=60, learning_rate=0.01).fit(X, y)
    assert model.predict(X[:3]).tolist() == y[:3]


def test_series_and_arrays_of_strings_are_read(reverser):
    X, _ = reversed_strings(10, seed=5)
    expected = reverser.predict(X).tolist()
    assert reverser.predict(pd.Series(X)).tolist() == expected
    assert reverser.predict(np.array(X)).tolist() == expected
    assert reverser.predict(np.array(X, dtype=object)).tolist() == expected


X, Y = reversed_strings(10)


@pytest.mark.parametrize(
    ("read", "written", "error", "words"),
    [
        (X, None, ValueError, "requires y to be passed"),
        (X, Y[:-1], InvalidSequenceError, "X has 10 sequences, y has 9"),
        ("abc", Y, TypeError, "X is a single string"),
        (X, "abc", TypeError, "y is a single string"),
        (b"abc", Y, TypeError, "is bytes"),
        ([], [], InvalidSequenceError, "X is empty"),
        ([*X[:-1], None], Y, InvalidSequenceError, r"X\[9\] is None"),
        (X, [*Y[:-1], float("nan")], InvalidSequenceError, r"y\[9\] is nan"),
        (X, [*Y[:-1], ["a"]], InvalidSequenceError, r"y\[9\]"),
        (X, range(10), InvalidSequenceError, r"y\[0\]"),
        (pd.DataFrame({"text": X}), Y, TypeError, r"X\['text'\]"),
        (X, pd.DataFrame({"text": Y}), TypeError, r"y\['text'\]"),
        ({"a": 1}, Y, TypeError, "dict"),
        ([[["a"]]] * 10, Y, TypeError, "hashed"),
        (np.full((10, 2), np.nan), Y, ValueError, "NaN"),
        (np.zeros((10, 2)), Y[:9], InvalidSequenceError, "y has 9"),
        (X, [""] * 10, ValueError, "y has no symbol"),
    ],
    ids=str,
)
def test_bad_pairs_are_refused_with_the_place(read, written, error, words):
    with pytest.raises(error, match=words):
        small(max_epochs=1).fit(read, written)


def test_other_kinds_than_in_fit_are_refused(reverser):
    with pytest.raises(TypeError, match="fitted on strings"):
        reverser.predict([["a", "b"]])
    vectors = small(max_epochs=1).fit(np.zeros((10, 2)), Y)
    with pytest.raises(ValueError, match="3 features"):
        vectors.predict(np.zeros((2, 3)))
    for n in (0, 1.5, True, "2"):
        with pytest.raises(ValueError, match="whole number"):
            reverser.predict_n_best(["ab"], n)


def test_long_lines_are_read_and_answered_in_reason():
    model = small(max_epochs=1).fit([*X, "abc" * 300], [*Y, "c"])
    written = model.predict(["ab" * 2000])[0]
    assert len(written) <= 10 * max(map(len, Y)) + 10


def test_pairs_too_long_for_attention_are_refused():
    with pytest.raises(InvalidSequenceError, match=r"X\[10\] has 20000 steps"):
        small().fit([*X, "a" * 20_000], [*Y, "b" * 20_000])


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 0},
        {"max_length": 2.5},
        {"length_penalty": np.nan},
        {"beam_width": 0},
    ],
    ids=str,
)
def test_options_of_writing_are_checked_when_they_are_used(reverser, options):
    before = {name: reverser.get_params()[name] for name in options}
    try:
        with pytest.raises(ValueError, match=next(iter(options))):
            reverser.set_params(**options).predict(["ab"])
    finally:
        reverser.set_params(**before)


def test_answers_may_be_ids_of_a_tokenizer():
    y = SequenceTokenizer("char").fit_transform(Y)
    model = small(max_epochs=2).fit(X, y)
    assert model.score(X, y) < 1
    assert set(model.target_symbols_) == set("abc")


def test_one_float_makes_numbers():
    X = [[0, 0.5, 1], [1, 0]] * 5
    assert small(max_epochs=1).fit(X, Y).module_.spec.source == "sequences"


def test_numbers_of_features_are_those_of_the_last_fit():
    model = small(max_epochs=1).fit(np.zeros((10, 2)), Y)
    assert model.n_features_in_ == 2
    assert not hasattr(model.fit(X, Y), "n_features_in_")


def reversed_digits(n, shortest, longest, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, n)
    X = ["".join(map(str, rng.integers(10, size=k))) for k in lengths]
    return X, [x[::-1] for x in X]


@pytest.mark.slow
def test_location_attention_reverses_strings_far_longer_than_it_has_seen():
    X, y = reversed_digits(100, 13, 14, seed=2)
    share = {}
    for kind in ("location", "additive"):
        model = small(hidden_size=32, embedding_dim=16, attention_type=kind)
        model.set_params(max_epochs=12, learning_rate=0.01, random_state=1)
        model.fit(*reversed_digits(2000, 1, 8))
        share[kind] = sequence_accuracy(y, model.predict(X))
    assert share["location"] > 0.8
    assert share["additive"] < 0.4
