"""MLflow logs and loads pipelines in its default format, skops."""

import os
import subprocess
import sys

import pytest

# In a process of its own: MLflow changes logging and warnings, and starts threads.
SCRIPT = """
import sys
import mlflow
import numpy as np
from zoo import flat, make
from sklearn_rnn.persistence import TRUSTED_TYPES

mlflow.set_tracking_uri(f"file://{sys.argv[1]}/runs")
for name in ("hourly forecast", "text", "sound"):
    fitted = make(name)
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            fitted.model, name="model", skops_trusted_types=TRUSTED_TYPES
        )
    assert logged.flavors["sklearn"]["serialization_format"] == "skops"
    loaded = mlflow.sklearn.load_model(logged.model_uri)
    expected = flat(fitted.predict(fitted.model))
    np.testing.assert_array_equal(flat(fitted.predict(loaded)), expected)
print("equal")
"""


@pytest.mark.slow
def test_mlflow_logs_and_loads_pipelines(tmp_path):
    environment = os.environ | {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(
        command,
        check=True,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout.endswith("equal\n")
