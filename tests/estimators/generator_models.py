"""Texts and generators for tests."""

import numpy as np
import torch

from sklearn_rnn import RNNGenerator

TEXT = "the cat sat on the mat, the rat sat on the hat. " * 5


TEXTS = ["abcab", "bcabca", "cab", "abcabcab", "bcad"] * 4


WORDS = [["the", "cat", "sat"], ["a", "dog", "sat", "down"]] * 6


SMALL = {
    "hidden_size": 8,
    "embedding_dim": 4,
    "max_epochs": 3,
    "bptt_steps": 20,
    "batch_size": 8,
    "random_state": 0,
}


PLAIN = {"lr_schedule": None, "clip_norm": None, "dropout": 0.0, "dtype": "float64"}


KINDS = {
    "text": TEXT,
    "texts": TEXTS,
    "words": WORDS,
    "frames": np.random.default_rng(0).integers(0, 2, size=(6, 9, 4)),
}


def generator(**options):
    return RNNGenerator(**{**SMALL, **options})


def weights_of(model):
    return torch.cat([p.detach().ravel() for p in model.module_.parameters()])
