"""Small real data sets that ship with the package and need no download."""

from sklearn_rnn.datasets._load import (
    load_co2_weekly,
    load_japanese_vowels,
    load_nyc_weather,
)

__all__ = ["load_co2_weekly", "load_japanese_vowels", "load_nyc_weather"]
