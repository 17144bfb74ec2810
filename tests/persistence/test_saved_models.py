"""Files that `save_model` wrote in each version load, and predict as they did."""

import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from saved_models import NAMES, predictions
from sklearn.exceptions import InconsistentVersionWarning
from zoo import make

import sklearn_rnn
from sklearn_rnn.persistence import load_model

ARCHIVES = sorted(Path(__file__).parent.glob("saved_*.zip"))
CASES = [
    (path, member.removesuffix(".json"))
    for path in ARCHIVES
    for member in zipfile.ZipFile(path).namelist()
    if member.endswith(".json")
]
ids = [f"{path.stem}-{name}" for path, name in CASES]


@pytest.mark.thorough
@pytest.mark.parametrize(("path", "name"), CASES, ids=ids)
def test_a_saved_model_predicts_what_it_did(path, name, tmp_path):
    with zipfile.ZipFile(path) as archive:
        (tmp_path / "model").write_bytes(archive.read(f"{name}.safetensors"))
        expected = json.loads(archive.read(f"{name}.json"))
    with warnings.catch_warnings():
        # Of scikit-learn as of this package.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        warnings.simplefilter("ignore", sklearn_rnn.InconsistentVersionWarning)
        model = load_model(tmp_path / "model")
    found = predictions(model, make(name).predict)
    assert len(found) == len(expected) > 0
    # Numbers are stored as strings where times stand beside them.
    for value, stored in zip(found, expected, strict=True):
        try:
            numbers = float(value), float(stored)
        except ValueError:
            assert value == stored
        else:
            np.testing.assert_allclose(*numbers, rtol=1e-4, atol=1e-5)


def test_every_kind_of_estimator_is_in_the_newest_archive():
    with zipfile.ZipFile(ARCHIVES[-1]) as archive:
        saved = b"".join(archive.read(f"{name}.safetensors") for name in NAMES)
    for name in dir(sklearn_rnn):
        if name.startswith("RNN") or name in ("StatefulPredictor", "WordFeatures"):
            assert f"sklearn_rnn.{name}".encode() in saved, name
