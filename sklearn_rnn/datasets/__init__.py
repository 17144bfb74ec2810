"""Small real data sets that ship with the package and need no download."""

from sklearn_rnn.datasets._load import (
    load_co2_weekly,
    load_japanese_vowels,
    load_nyc_weather,
)
from sklearn_rnn.datasets._sound import load_drum_hits, load_spoken_words
from sklearn_rnn.datasets._text import (
    load_cmudict,
    load_moby_dick,
    load_movie_sentences,
)

__all__ = [
    "load_cmudict",
    "load_co2_weekly",
    "load_drum_hits",
    "load_japanese_vowels",
    "load_moby_dick",
    "load_movie_sentences",
    "load_nyc_weather",
    "load_spoken_words",
]
