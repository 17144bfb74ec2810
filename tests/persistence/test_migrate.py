"""Files of older versions in the present format predict what they did."""

import gzip
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import safetensors
import skops.io
from saved_models import predictions
from zoo import make

from sklearn_rnn import InconsistentVersionWarning, InvalidModelError, RNNRegressor
from sklearn_rnn.persistence import load_model, migrate_model

# The pickles hold dates as pandas 3 does.
pytest.importorskip("pandas", minversion="3.0")

HERE = Path(__file__).parent
with gzip.open(HERE.parent / "estimators" / "models_0_6.pkl.gz") as file:
    OF_0_6 = pickle.load(file)
with gzip.open(HERE / "models_before_0_6.pkl.gz") as file:
    BEFORE_0_6 = pickle.load(file)
ARCHIVE = HERE / "saved_0_7.zip"
METHODS = {
    **dict.fromkeys(["classifier", "tagger", "text", "mapping"], "predict_proba"),
    **dict.fromkeys(["generator", "frames"], "score_steps"),
    "quantiles": "predict_quantiles",
    "transcriber": "posteriors",
}


def migrated(contents, folder, **options):
    """Return the model of a file with these contents, after it was migrated."""
    (folder / "old").write_bytes(contents)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        migrate_model(folder / "old", folder / "new", **options)
        assert (folder / "old").read_bytes() == contents
        return load_model(folder / "new")


@pytest.mark.thorough
@pytest.mark.parametrize("name", OF_0_6)
def test_pickles_of_0_6_predict_what_they_did(name, tmp_path):
    saved = OF_0_6[name]
    model, data, expected = (
        migrated(saved["model"], tmp_path, allow_pickle=True),
        *list(saved.values())[1:],
    )
    if name in ("seq2seq", "vectors"):
        best = model.predict_n_best(data, 2)
        found = [score for row in best for _, score in row]
    else:
        found = getattr(model, METHODS.get(name, "predict"))(data)
    if name in ("generator", "frames"):
        found = found[0]
    if name == "transcriber":
        found = [frames[:4] for frames in found]
    found = np.asarray(found, dtype=float)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", ["0.4.0", "0.5.0"])
def test_pickles_of_0_4_and_0_5_predict_what_they_did(version, tmp_path):
    saved = BEFORE_0_6[version]
    model = migrated(saved["regressor"], tmp_path, allow_pickle=True)
    found = model.predict(np.array(BEFORE_0_6["X"]))
    np.testing.assert_allclose(found, saved["predictions"], rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["regressor", "classifier", "quantiles"])
def test_files_of_0_7_predict_what_they_did(name, tmp_path):
    with zipfile.ZipFile(ARCHIVE) as archive:
        contents = archive.read(f"{name}.safetensors")
        expected = json.loads(archive.read(f"{name}.json"))
    found = predictions(migrated(contents, tmp_path), make(name).predict)
    np.testing.assert_allclose(
        np.array(found, dtype=float), np.array(expected, dtype=float), rtol=1e-4
    )


def small():
    X = np.arange(24.0).reshape(4, 6, 1)
    model = RNNRegressor(hidden_size=2, max_epochs=1, random_state=0)
    return model.fit(X, X[:, 0, 0]), X


def test_files_of_skops_and_joblib_are_read(tmp_path):
    model, X = small()
    skops.io.dump(model, tmp_path / "skops")
    joblib.dump(model, tmp_path / "joblib", compress=3)
    for name in ("skops", "joblib"):
        migrate_model(tmp_path / name, tmp_path / "new", allow_pickle=name == "joblib")
        found = load_model(tmp_path / "new").predict(X)
        np.testing.assert_array_equal(found, model.predict(X))


def refused(old, new, match, error=InvalidModelError, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        with pytest.raises(error, match=match):
            migrate_model(old, new, **options)


class Fires:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_runs_no_code_unless_it_is_allowed(tmp_path):
    old, new, fired = tmp_path / "old", tmp_path / "new", tmp_path / "fired"
    old.write_bytes(pickle.dumps(Fires(fired)))
    refused(old, new, "set allow_pickle=True: loading one runs the code")
    assert not fired.exists()
    assert not new.exists()


@pytest.mark.parametrize(
    ("contents", "match"),
    [
        (BEFORE_0_6["0.3.0"]["regressor"], r"before 0\.4\. Fit it again"),
        (OF_0_6["regressor"]["model"][:500], "load it with the version that wrote it"),
        (pickle.dumps({1, 2}), "which save_model cannot save"),
    ],
)
def test_what_cannot_be_migrated_is_refused(contents, match, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(contents)
    new.write_bytes(b"as it was")
    refused(old, new, match, allow_pickle=True)
    assert new.read_bytes() == b"as it was"


def test_a_file_that_cannot_be_read_again_replaces_none(tmp_path, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(pickle.dumps(small()[0]))
    new.write_bytes(b"as it was")

    def fail(*args, **kwargs):
        raise safetensors.SafetensorError("cannot be read")

    monkeypatch.setattr(safetensors, "safe_open", fail)
    refused(old, new, "cannot be read", allow_pickle=True)
    assert new.read_bytes() == b"as it was"
    assert {path.name for path in tmp_path.iterdir()} == {"old", "new"}


def test_a_missing_folder_is_named(tmp_path):
    old, new = tmp_path / "old", tmp_path / "none" / "new"
    old.write_bytes(pickle.dumps(small()[0]))
    refused(old, new, "none'$", FileNotFoundError, allow_pickle=True)


def test_the_old_file_is_not_replaced(tmp_path):
    old = tmp_path / "old"
    old.write_bytes(pickle.dumps(small()[0]))
    refused(old, old, "needs two files", ValueError, allow_pickle=True)
    refused(tmp_path / "none", old, "none", FileNotFoundError)
