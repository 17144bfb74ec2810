"""What a generator reads, and how it refuses what it cannot read."""

import numpy as np
import pandas as pd
import pytest

from sklearn_rnn import InvalidSequenceError, RNNGenerator, SequenceArray

TEXT = "the cat sat on the mat, the rat sat on the hat. " * 4
TEXTS = ["the cat", "sat", "on the mat"] * 4
WORDS = [["the", "cat", "sat"], ["on", "the", "mat", "it", "sat"]] * 4
SMALL = {
    "hidden_size": 4,
    "embedding_dim": 3,
    "max_epochs": 2,
    "bptt_steps": 20,
    "batch_size": 8,
    "random_state": 0,
}


def generator(**options):
    return RNNGenerator(**{**SMALL, **options})


def frames(n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, size=(5, 7, n_features))


@pytest.fixture(scope="module")
def models():
    return {
        "text": generator().fit(TEXT),
        "texts": generator().fit(TEXTS),
        "words": generator().fit(WORDS),
        "frames": generator().fit(frames()),
    }


def assert_reads_the_same(first, second):
    """Two forms of the same data make the same model, and have the same score."""
    ours, theirs = generator().fit(first), generator().fit(second)
    assert ours.loss_curve_ == theirs.loss_curve_
    np.testing.assert_array_equal(
        ours.sample(n_steps=20, random_state=0),
        theirs.sample(n_steps=20, random_state=0),
    )
    np.testing.assert_array_equal(
        ours.score_samples(second), theirs.score_samples(first)
    )


# Forms of the same data.


def ragged_array(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.mark.thorough
@pytest.mark.parametrize(
    "form",
    [
        tuple,
        np.array,
        pd.Series,
        lambda X: pd.Series(X, index=range(50, 50 + len(X))),
        lambda X: pd.Series(X, dtype="string"),
        lambda X: pd.Series(X).astype("category"),
        lambda X: [np.str_(text) for text in X],
        ragged_array,
    ],
)
def test_texts_are_read_from_every_kind_of_list(form):
    assert_reads_the_same(TEXTS, form(TEXTS))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "form",
    [
        tuple,
        pd.Series,
        ragged_array,
        lambda X: [tuple(row) for row in X],
        lambda X: [np.array(row) for row in X],
        lambda X: [pd.Series(row, index=range(9, 9 + len(row))) for row in X],
    ],
)
def test_sequences_of_symbols_are_read_from_every_kind_of_list(form):
    assert_reads_the_same(WORDS, form(WORDS))


def test_a_two_dimensional_array_is_a_sequence_of_symbols_a_row():
    notes = np.array([[60, 62, 64], [62, 64, 60], [64, 64, 62]])
    assert_reads_the_same(notes, notes.tolist())
    assert set(generator().fit(notes).sample(n_steps=50)) <= {60, 62, 64}
    names = np.array([["do", "re"], ["re", "mi"]])
    assert_reads_the_same(names, names.tolist())


@pytest.mark.thorough
@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        lambda X: X.astype(bool),
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.int8),
        lambda X: [x.astype(bool) for x in X],
        lambda X: [pd.DataFrame(x, columns=list("abc")) for x in X],
        lambda X: pd.Series(list(X)),
        lambda X: ragged_array(list(X)),
        lambda X: SequenceArray(X.reshape(35, 3), np.arange(5) * 7, np.full(5, 7)),
    ],
)
def test_frames_are_read_from_every_kind_of_array(form):
    assert_reads_the_same(frames(), form(frames()))


def test_frames_of_unequal_length_are_a_list_of_arrays():
    rows = [frames()[0], frames()[1][:2], frames()[2][:5]]
    model = generator().fit(rows)
    assert model.score_samples(rows).shape == (3,)
    assert_reads_the_same(rows, ragged_array(rows))


def test_steps_of_nan_at_the_end_are_padding():
    rows = [frames()[0].astype(float), frames()[1][:4].astype(float)]
    padded = np.full((2, 7, 3), np.nan)
    padded[0], padded[1, :4] = rows
    assert_reads_the_same(rows, padded)


@pytest.mark.parametrize("n_features", [1, 2, 88])
def test_frames_may_have_any_width(n_features):
    X = frames(n_features)
    model = generator(bptt_steps=3).fit(X, X_val=X)
    assert np.isfinite(model.score(X))
    assert model.sample(X[0], 4).shape == (4, n_features)
    assert next(model.stream()).shape == (n_features,)


def test_frames_of_one_feature_are_learned():
    X = np.tile([[[0], [1]]], (4, 10, 1))
    model = generator(max_epochs=60, learning_rate=0.03).fit(X)
    assert model.bits_per_symbol(X) < 0.1
    assert model.sample(X[0], 4, temperature=0).ravel().tolist() == [0, 1, 0, 1]


def test_scaled_sequences_are_read_as_they_are_after_scaling():
    X = SequenceArray(frames().reshape(35, 3) * 2, np.arange(5) * 7, np.full(5, 7))
    halved = X.scale(np.zeros(3), np.full(3, 0.5))
    assert_reads_the_same(frames(), halved)
    with pytest.raises(InvalidSequenceError, match="holds 2"):
        generator().fit(X)


# Strange texts.


@pytest.mark.thorough
@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 and 👍🏽, flags 🇩🇪🇫🇷 ",
        "שלום עולם مرحبا ",
        "a\0b\0\0c",
        "\ud800 and \udfff",
        "e\u0301 and \u00e9",
        "\n\t\r \u200b\ufeff",
        "   ",
        "\N{REPLACEMENT CHARACTER}a",
    ],
    ids=["emoji", "rtl", "null", "surrogates", "accents", "space", "blank", "replaced"],
)
def test_every_character_is_a_symbol_whatever_it_is(text):
    text = text * 5
    for X in (text, [text[:7], text]):
        model = generator().fit(X)
        assert set(model.symbols_) == set(text)
        assert np.isfinite(model.score(X))
        assert set(model.sample(text[:3], 50, random_state=0)) <= set(text)


@pytest.mark.thorough
def test_a_text_of_one_symbol_or_one_character_is_a_text():
    model = generator(max_epochs=30).fit("a" * 50)
    assert model.n_symbols_ == 1
    assert model.sample(n_steps=10) == "a" * 10
    assert model.bits_per_symbol("a" * 50) < 0.1
    assert generator().fit("a").sample("a", 5) == "a" * 5
    assert generator().fit([["la"]]).sample(n_steps=3) == ["la"] * 3


@pytest.mark.thorough
def test_a_huge_text_among_short_ones_is_read_in_sane_time():
    """More than a minute, were all read on to the end of the longest."""
    huge = "the cat sat on the mat. " * 4200
    model = generator(max_epochs=1, bptt_steps=100, batch_size=64)
    model.fit([*TEXTS * 5, huge])
    assert model.score_samples([*TEXTS, huge]).shape == (13,)
    assert generator(max_epochs=1, batch_size=64).fit(huge).n_iter_ == 1


@pytest.mark.parametrize("symbol", [None, True, 1.5, (1, (2,)), frozenset("ab"), b"x"])
def test_anything_that_can_be_hashed_is_a_symbol(symbol):
    X = [["a", symbol, symbol], [symbol, "a"]] * 3
    model = generator().fit(X)
    assert symbol in model.symbols_.tolist()
    written = model.sample(["a", symbol], n_steps=100, n=5, random_state=0)
    assert {s for row in written for s in row} == {"a", symbol}


def test_symbols_of_several_characters_are_one_symbol_each():
    model = generator().fit([["ab", "a", "b"], ["b", "ab"]] * 3)
    assert set(model.symbols_) == {"ab", "a", "b"}


# Symbols that fit has not seen.


@pytest.mark.parametrize("kind, unseen", [("text", "zzz"), ("words", [["dog"] * 3])])
def test_unseen_symbols_have_a_score_and_a_bad_one(models, kind, unseen):
    model = models[kind]
    seen = {"text": "the", "words": [["the"] * 3]}[kind]
    assert np.isfinite(model.score(unseen))
    assert model.score(unseen) < model.score(seen) - 1


def test_a_single_text_may_be_scored_in_a_list_and_several_as_one(models):
    assert models["text"].score(["the cat"]) == models["text"].score("the cat")
    assert models["texts"].score("the cat") == models["texts"].score(["the cat"])
    assert models["text"].score_samples(["a", "cat"]).shape == (2,)


# Refusals.

UNREADABLE = [
    ("", InvalidSequenceError, "is empty"),
    ([], InvalidSequenceError, "X is empty"),
    (np.array([]), InvalidSequenceError, "X is empty"),
    (["ab", ""], InvalidSequenceError, r"X\[1\] is empty.*Leave it out"),
    ([["a"], []], InvalidSequenceError, r"X\[1\] is empty"),
    (None, TypeError, "X is of type NoneType"),
    (5, TypeError, "X is of type int"),
    (2.5, TypeError, "X is of type float"),
    ({"a": "b"}, TypeError, "X is of type dict"),
    ({"ab", "cd"}, TypeError, "X is of type set"),
    (iter(["ab", "cd"]), TypeError, "X is of type"),
    ((c for c in "abc"), TypeError, "X is of type generator"),
    (pd.DataFrame({"text": ["ab", "cd"]}), TypeError, r"X is a table.*X\['text'\]"),
    ([60, 62, 64], InvalidSequenceError, r"X\[0\] is of type int"),
    (np.array([60, 62, 64]), InvalidSequenceError, r"X\[0\] is of type int"),
    ([b"ab", b"cd"], InvalidSequenceError, r"X\[0\] is of type bytes"),
    (["ab", ["a"]], InvalidSequenceError, r"X\[1\] is of type list.*takes strings"),
    ([["a"], "ab"], InvalidSequenceError, r"X\[1\] is a string.*lists of symbols"),
    (["ab", None], InvalidSequenceError, r"X\[1\] is None, a missing value"),
    (["ab", np.nan], InvalidSequenceError, r"X\[1\] is nan, a missing value"),
    (["ab", 5], InvalidSequenceError, r"X\[1\] is of type int"),
    ([["a", np.nan]], InvalidSequenceError, r"X\[0\] holds NaN"),
    (np.array([[1.0, np.nan]]), InvalidSequenceError, r"X\[0\] holds NaN"),
    ([[["a"], ["b"]]], TypeError, r"X\[0\] .* cannot be hashed.*Make tuples"),
    ([["a", {}]], TypeError, r"X\[0\] .* cannot be hashed"),
    (np.array("text"), InvalidSequenceError, "0 dimensions"),
    (np.zeros((2, 2, 2, 2)), InvalidSequenceError, "4 dimensions"),
    (list("hello"), InvalidSequenceError, "5 texts of one character each.*single str"),
    (np.eye(4), InvalidSequenceError, r"zeros and ones.*X\[np.newaxis\].*X.tolist"),
    (np.eye(4, dtype=bool), InvalidSequenceError, "2-D array of zeros and ones"),
    (np.eye(4, dtype=int), InvalidSequenceError, "its 4 rows are the frames"),
]


@pytest.mark.parametrize("X, error, said", UNREADABLE)
def test_what_cannot_be_read_is_refused_with_the_place_and_the_way_out(X, error, said):
    with pytest.raises(error, match=said):
        generator().fit(X)


BAD_FRAMES = [
    ([np.eye(3), 2 * np.eye(3)], "sequence 1 of X holds 2.0 at step 0, feature 0"),
    (frames() * 0.5, "holds 0.5 at step"),
    (-frames(), "holds -1 at step"),
    ([np.eye(3), [[0, 1, 1], [0, 0.25, 0]]], "1 of X holds 0.25 at step 1, feature 1"),
    ([np.eye(3), np.eye(4)], r"X\[1\] has 4 features per step, but X\[0\] has 3"),
    ([np.eye(3), [1, 0, 1]], r"X\[1\] has 1 features"),
    ([np.eye(3), np.zeros((0, 3))], r"X\[1\] is an empty sequence"),
    ([np.array([[0, np.nan, 1]])], "contains NaN: sequence 0, step 0, feature 1"),
    ([np.array([[0, np.inf, 1]])], "contains infinity"),
    ([np.full((2, 3), np.nan)], r"X\[0\] is NaN at every step"),
    ([np.zeros((3, 0))], r"shape \(3, 0\)"),
    (np.zeros((0, 3, 2)), "at least one sequence"),
    ([np.array([["a", "b"]])], "cannot be read as a sequence of numbers"),
    ([np.eye(3), "abc"], r"X\[1\] cannot be read"),
]


@pytest.mark.parametrize("X, said", BAD_FRAMES)
def test_frames_that_are_none_are_refused_with_the_place(X, said):
    with pytest.raises(InvalidSequenceError, match=said):
        generator().fit(X)


@pytest.mark.parametrize(
    "kind, X, error, said",
    [
        ("text", WORDS, TypeError, "X holds lists of symbols, .* fitted on strings"),
        ("words", TEXTS, TypeError, "X holds strings, .* fitted on lists of symbols"),
        ("words", "the cat", TypeError, "X holds strings"),
        ("text", frames(), TypeError, "X holds frames, .* fitted on symbols"),
        ("words", frames(), TypeError, "X holds frames, .* fitted on symbols"),
        ("frames", TEXT, TypeError, r"X holds no frames.*2-D arrays \(n_steps, 3\)"),
        ("frames", frames()[0], TypeError, "X holds no frames"),
        ("frames", None, TypeError, "X holds no frames"),
        ("frames", frames(4), ValueError, "4 features, .* fitted with 3"),
        ("frames", frames() * 3, ValueError, "of X holds 3 at step"),
        ("text", "", ValueError, "is empty"),
        ("texts", ["a", None], ValueError, r"X\[1\] is None"),
        ("texts", None, TypeError, "X is of type NoneType"),
    ],
)
def test_data_unlike_those_of_fit_are_refused(models, kind, X, error, said):
    model = models[kind]
    for method in (model.score, model.score_samples, model.perplexity):
        with pytest.raises(error, match=said):
            method(X)


@pytest.mark.parametrize(
    "kind, X_val, said",
    [
        ("text", "", r"X_val\[0\] is empty"),
        ("text", [["a"]], "X_val holds lists of symbols"),
        ("texts", ["a", None], r"X_val\[1\] is None"),
        ("words", frames(), "X_val holds frames"),
        ("frames", frames() * 2, "of X_val holds 2 at step"),
        ("frames", frames(2), "X_val has frames of 2 features"),
        ("frames", [np.eye(3), np.eye(2)], "X_val cannot be read: .*2 features"),
        ("frames", "abc", "X_val holds no frames"),
    ],
)
def test_validation_data_that_cannot_be_read_are_called_by_their_name(
    kind, X_val, said
):
    X = {"text": TEXT, "texts": TEXTS, "words": WORDS, "frames": frames()}[kind]
    model = generator()
    with pytest.raises((TypeError, ValueError), match=said):
        model.fit(X, X_val=X_val)
    assert not hasattr(model, "module_")


@pytest.mark.parametrize(
    "name, value",
    [
        ("max_symbols", 2.0),
        ("max_symbols", 0),
        ("min_count", 0),
        ("min_count", 1.5),
        ("min_count", None),
        ("embedding_dim", 0),
        ("embedding_dim", None),
        ("tie_embeddings", "yes"),
        ("tie_embeddings", None),
        ("dtype", "auto"),
        ("dtype", "float16"),
        ("bptt_steps", 0),
        ("bptt_steps", 1.0),
        ("batch_size", 0),
        ("hidden_size", 0),
        ("cell", "transformer"),
        ("max_epochs", "many"),
        ("validation_fraction", 1.0),
        ("learning_rate", 0),
    ],
)
def test_parameters_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of RNNGenerator"):
        generator(**{name: value}).fit(TEXT)
