"""Texts and generators to sample from."""

import numpy as np
from generator_models import WORDS, generator

from sklearn_rnn import Sampling

SHARES = np.array([0.05, 0.4, 0.1, 0.25, 0.2])


TEXT = "the cat sat on the mat, the rat sat on the hat. " * 6


TEXTS = ["abcab", "bcabca", "cab", "abcabcab", "bca"] * 4


def frames(seed=0):
    return np.random.default_rng(seed).integers(0, 2, size=(6, 9, 4))


def fit_models():
    """Return a fitted generator of each kind."""
    return {
        "text": generator().fit(TEXT),
        "texts": generator().fit(TEXTS),
        "words": generator().fit(WORDS),
        "frames": generator().fit(frames()),
    }


KINDS = ["text", "texts", "words", "frames"]


PROMPTS = {"text": "the c", "texts": "ab", "words": ["the"], "frames": frames()[0]}


def logits_of(shares):
    with np.errstate(divide="ignore"):
        return np.log(np.atleast_2d(shares))


def assert_drawn_from(expected, shares=SHARES, never=(), **options):
    found = Sampling(**options).probabilities(logits_of(shares), never)
    np.testing.assert_allclose(found, [expected], rtol=1e-12, atol=1e-15)


# What is written.


def assert_same(first, second):
    assert type(first) is type(second)
    np.testing.assert_array_equal(first, second)
