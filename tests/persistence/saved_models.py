"""Files of `save_model` by this version, kept for later ones.

    python tests/persistence/saved_models.py tests/persistence/saved_0_7.zip

writes small models of every estimator and what they predict. Do so once per minor
version, at its release, and keep the archives of earlier ones as they are. Predictions
are those of the models' functions in ``zoo.py``, whose data should not change.
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

from zoo import flat, make

from sklearn_rnn.persistence import save_model

NAMES = [
    *("regressor", "attention", "quantiles", "distributions", "stream"),
    *("classifier", "text", "bag of words", "tagger", "tagger of words"),
    *("generator with n-grams", "generator of frames"),
    *("sequence to sequence", "transcriber"),
    *("hourly forecast", "shops", "gaps", "lags"),
    *("calibrator", "anomaly detector", "live"),
]
MOST_VALUES = 60  # of the predictions of a model


def predictions(model, predict):
    """Return the first values that a model predicts, as strings."""
    return flat(predict(model))[:MOST_VALUES].tolist()


def write(path):
    """Write the archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            fitted = make(name)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "model"
                save_model(fitted.model, file)  # before predict: some have a state
                archive.write(file, f"{name}.safetensors")
            expected = json.dumps(predictions(*fitted))
            archive.writestr(f"{name}.json", expected)


if __name__ == "__main__":
    write(sys.argv[1])
