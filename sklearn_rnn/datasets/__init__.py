"""Small real data sets that ship with the package and need no download."""

from sklearn_rnn.datasets._load import load_japanese_vowels, load_nyc_weather

__all__ = ["load_japanese_vowels", "load_nyc_weather"]
