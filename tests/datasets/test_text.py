import hashlib
import lzma
import re
import tomllib
from importlib.resources import files
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import MultinomialNB

import sklearn_rnn
from sklearn_rnn import SequenceTokenizer
from sklearn_rnn.datasets import (
    load_cmudict,
    load_moby_dick,
    load_movie_sentences,
)

DATA = files("sklearn_rnn.datasets").joinpath("data")
PARTS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def words():
    return load_cmudict()


@pytest.fixture(scope="module")
def stressed():
    return load_cmudict(stress=True)


@pytest.fixture(scope="module")
def sentences():
    return load_movie_sentences()


@pytest.mark.parametrize(
    "name", ["movie_sentences.tsv", "moby_dick.txt", "cmudict.tsv"]
)
def test_texts_are_what_the_table_of_files_says(name):
    table = DATA.joinpath("README.md").read_text(encoding="utf-8")
    (stated,) = re.findall(rf"`{name}\.xz` \| `(\w+)`", table)
    text = lzma.decompress(DATA.joinpath(f"{name}.xz").read_bytes())
    assert hashlib.sha256(text).hexdigest() == stated


@pytest.mark.parametrize(
    ("name", "licence", "holder"),
    [
        ("cmudict", "BSD-2-Clause", "Carnegie Mellon University"),
        ("movie_sentences", "MIT", "C.J. Hutto"),
    ],
)
def test_licences_lie_beside_their_data(name, licence, holder):
    assert holder in DATA.joinpath(f"{name}.LICENSE").read_text(encoding="utf-8")
    table = DATA.joinpath("README.md").read_text(encoding="utf-8")
    assert f"{licence}, in `{name}.LICENSE`" in table
    root = Path(sklearn_rnn.__file__).parents[1]
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(pyproject)["project"]
    assert licence in project["license"].split(" AND ")
    licences = [file for glob in project["license-files"] for file in root.glob(glob)]
    assert root / f"sklearn_rnn/datasets/data/{name}.LICENSE" in licences


def test_sentences_are_as_published(sentences):
    assert len(sentences.data) == len(set(sentences.data)) + 2 == 10_605
    assert {type(sentence) for sentence in sentences.data} == {str}
    assert sentences.data[0].startswith("This is a remake by the numbers, linking")
    assert sentences.rating[0] == -1.86666666667
    assert sentences.rating.dtype == np.float64
    assert (sentences.rating.min(), sentences.rating.max()) == (-3.875, 3.94117647059)
    i = sentences.data.tolist().index("Effective but too tepid biopic")
    assert sentences.rating[i] == -0.6
    assert "Hutto" in sentences.DESCR


def test_quotation_marks_and_accents_of_sentences_are_kept(sentences):
    together = "\n".join(sentences.data)
    assert "''Fatal Attraction''" in together
    assert "Næss' delicate" in together
    assert '"' in together
    assert together.count("\n") == 10_604
    assert "\r" not in together


def test_sentences_rated_above_zero_are_positive(sentences):
    positive = sentences.target == "positive"
    assert positive.sum() == 5242
    assert (sentences.target[~positive] == "negative").all()
    np.testing.assert_array_equal(positive, sentences.rating > 0)
    assert (sentences.rating == 0).sum() == 37
    assert sentences.target_names == sorted(set(sentences.target))


def test_sentences_are_shuffled(sentences):
    positive = sentences.target == "positive"
    for fold in np.array_split(positive, 5):
        assert 0.48 < fold.mean() < 0.52
    # Neighbours agree as often as two drawn at random would.
    assert abs((positive[1:] == positive[:-1]).mean() - 0.5) < 0.02


def test_folds_of_sentences_need_no_shuffling(sentences):
    counts = np.array([len(sentence) for sentence in sentences.data])[:, np.newaxis]
    folds = StratifiedKFold(shuffle=True, random_state=0)
    scores = [
        cross_val_score(MultinomialNB(), counts, sentences.target, cv=cv).mean()
        for cv in (5, folds)
    ]
    assert abs(scores[0] - scores[1]) < 0.01


def test_an_array_of_sentences_goes_into_the_tokenizer(sentences):
    fold = sentences.data[sentences.rating > 3.5]
    assert len(SequenceTokenizer().fit_transform(fold)) == len(fold) > 10


def test_sentences_come_as_X_and_y(sentences):
    X, y = load_movie_sentences(return_X_y=True)
    np.testing.assert_array_equal(X, sentences.data)
    np.testing.assert_array_equal(y, sentences.target)


def test_moby_dick_is_whole():
    text = load_moby_dick()
    assert len(text) == 1_190_317
    assert text.startswith("CHAPTER 1. Loomings.\n\nCall me Ishmael. Some years ago—")
    assert text.endswith("rolled on as it rolled five thousand years ago.\n")
    assert len(re.findall(r"^CHAPTER \d+\.", text, re.MULTILINE)) == 135
    assert {c for c in text if ord(c) > 127} == set("“”‘’—")
    stored = lzma.decompress(DATA.joinpath("moby_dick.txt.xz").read_bytes())
    assert text.encode() == stored


def test_parts_of_moby_dick_make_the_whole():
    train, test = load_moby_dick(subset="train"), load_moby_dick(subset="test")
    assert train + test == load_moby_dick()
    assert len(train) == 1_071_285
    assert len(test) == 119_032


@pytest.mark.slow
def test_words_come_once_with_a_pronunciation_each(words):
    assert len(words.data) == len(set(words.data)) == 126_052
    assert words.data[:3] == ["hangars", "chukchi", "aspirate"]
    assert words.target[0] == ["HH", "AE", "NG", "ER", "Z"]
    assert all(re.fullmatch(r"[a-z'.-]+", word) for word in words.data)
    assert {"nan", "null", "na", "true"} <= set(words.data)
    assert "Carnegie Mellon" in words.DESCR


def test_the_first_pronunciation_is_the_target(words):
    assert words.target == [ways[0] for ways in words.pronunciations]
    assert {len(ways) for ways in words.pronunciations} == {1, 2, 3, 4}
    either = words.pronunciations[words.data.index("either")]
    assert either == [["IY", "DH", "ER"], ["AY", "DH", "ER"]]
    # A comment follows this one in the dictionary.
    aalborg = words.target[words.data.index("aalborg")]
    assert aalborg == ["AO", "L", "B", "AO", "R", "G"]


@pytest.mark.thorough
def test_stress_is_kept_on_demand_alone(words, stressed):
    assert stressed.data == words.data
    assert stressed.target[:1] == [["HH", "AE1", "NG", "ER0", "Z"]]
    assert len({name for way in stressed.target for name in way}) == 69
    assert len({name for way in words.target for name in way}) == 39
    assert sum(map(len, stressed.pronunciations)) == 135_164
    assert sum(len(ways) > 1 for ways in stressed.pronunciations) == 8_445


def test_pronunciations_that_differ_in_stress_alone_become_one(words, stressed):
    assert sum(map(len, words.pronunciations)) < sum(map(len, stressed.pronunciations))
    both = zip(words.pronunciations, stressed.pronunciations, strict=True)
    for plain, ways in islice(both, 10_000):
        bare = dict.fromkeys(re.sub(r"\d", "", " ".join(way)) for way in ways)
        assert [" ".join(way) for way in plain] == list(bare)


@pytest.mark.slow
def test_parts_of_the_dictionary_make_the_whole(words):
    parts = [load_cmudict(subset=subset) for subset in PARTS]
    assert [len(part.data) for part in parts] == [113_446, 6_303, 6_303]
    for name in ("data", "target", "pronunciations"):
        assert sum((part[name] for part in parts), []) == words[name]
    # As each word comes once in the whole, none is in two parts.
    assert parts[2].data[:3] == ["mightiest", "frisked", "mallick"]


def test_words_are_shuffled(words):
    first = [sum(word < "m" for word in part) for part in np.array_split(words.data, 5)]
    assert max(first) - min(first) < 500


@pytest.mark.parametrize(
    ("load", "there_are"),
    [
        (load_moby_dick, "train, test, or"),
        (load_cmudict, "train, validation, test, or"),
    ],
)
def test_an_unknown_subset_is_refused_with_those_there_are(load, there_are):
    with pytest.raises(ValueError, match=f"{there_are} None.*got 'all'"):
        load(subset="all")
