"""The recipe of a server, with a real server and real clients."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from sklearn_rnn import RNNClassifier, RNNRegressor
from sklearn_rnn.persistence import load_model, save_model

SCRIPT = Path(__file__).parents[2] / "examples" / "serve.py"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8, 2))
Y = X.sum(axis=(1, 2))
SMALL = {"hidden_size": 4, "max_epochs": 1, "random_state": 0}

pytestmark = pytest.mark.thorough


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a model in a process; return the model, and a client of the server."""
    path, port = tmp_path_factory.mktemp("model") / "model", free_port()
    save_model(RNNRegressor(subtract_last=False, **SMALL).fit(X, Y), path)
    command = [sys.executable, str(SCRIPT), str(path), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(client, process)
            yield load_model(path), client
    finally:
        process.terminate()
        process.wait(30)


def wait_for(client, process):
    while True:
        try:
            return client.get("/health").raise_for_status()
        except httpx.ConnectError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.2)


def predictions(response):
    return response.raise_for_status().json()["predictions"]


def test_predictions_are_those_of_the_model(served):
    model, client = served
    rows = [x[: 3 + i % 5] for i, x in enumerate(X)]
    body = {"sequences": [row.tolist() for row in rows]}
    found = predictions(client.post("/predict", json=body))
    np.testing.assert_array_equal(found, model.predict(rows))


def test_the_server_says_what_it_serves(served):
    found = served[1].get("/health").json()
    assert found["model"] == "RNNRegressor"


@pytest.mark.parametrize(
    ("sequences", "words"),
    [
        ([[[1.0, 2.0, 3.0]]], "features"),
        ([[[1.0], [1.0, 2.0]]], "same number of features"),
        ([[]], "step"),
        ([], "sequence"),
        ([[["a", 1.0]]], "valid number"),
        ([[["NaN", 1.0]]], "NaN"),
        ([1.0], "valid list"),
    ],
    ids=range(7),
)
def test_what_the_model_cannot_read_is_answered_with_the_reason(
    sequences, words, served
):
    response = served[1].post("/predict", json={"sequences": sequences})
    assert response.status_code == 422
    assert words in str(response.json()["detail"])


def test_a_stream_remembers_its_steps(served):
    model, client = served
    for n_steps in range(1, 9):
        body = {"steps": X[0, n_steps - 1 : n_steps].tolist()}
        found = predictions(client.post("/streams/one", json=body))
        assert found == pytest.approx(model.predict(X[:1, :n_steps])[0], abs=1e-5)
    assert client.delete("/streams/one").json() == {"deleted": True}
    assert client.delete("/streams/one").json() == {"deleted": False}
    found = predictions(client.post("/streams/one", json={"steps": X[1, :2].tolist()}))
    assert found == pytest.approx(model.predict(X[1:2, :2])[0], abs=1e-5)


def test_a_refused_step_leaves_the_stream(served):
    model, client = served
    client.post("/streams/two", json={"steps": X[0, :3].tolist()})
    refused = client.post("/streams/two", json={"steps": [[1.0]]})
    assert refused.status_code == 422
    assert "features" in refused.json()["detail"]
    found = predictions(client.post("/streams/two", json={"steps": X[0, 3:].tolist()}))
    assert found == pytest.approx(model.predict(X[:1])[0], abs=1e-5)


def test_many_clients_at_a_time_get_their_own_predictions(served):
    model, client = served
    expected = model.predict(X)

    def ask(i):
        body = {"sequences": [X[i].tolist()]}
        alone = predictions(client.post("/predict", json=body))[0]
        stream = f"/streams/client-{i}"
        client.post(stream, json={"steps": X[i, :5].tolist()})
        newest = predictions(client.post(stream, json={"steps": X[i, 5:].tolist()}))
        return alone, newest

    with ThreadPoolExecutor(16) as pool:
        found = np.array(list(pool.map(ask, range(len(X)))))
    np.testing.assert_array_equal(found[:, 0], expected)
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)


def load_script():
    spec = importlib.util.spec_from_file_location("serve", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_least_recently_used_stream_is_forgotten(monkeypatch):
    script = load_script()
    monkeypatch.setattr(script, "MOST_STREAMS", 2)
    model = RNNRegressor(subtract_last=False, **SMALL).fit(X, Y)
    streams = script.Streams(model)
    kept = streams["a"]
    _ = streams["b"], streams["a"], streams["c"]
    assert list(streams.by_name) == ["a", "c"]
    assert streams["a"] is kept


def test_labels_are_served_too():
    script = load_script()
    model = RNNClassifier(**SMALL).fit(X, np.where(Y > 0, "up", "down"))
    found = script.answer(model.predict, list(X))["predictions"]
    assert found == model.predict(X).tolist()


def test_the_script_trains_a_model_to_try_it_with(tmp_path):
    load_script().main([str(tmp_path / "model"), "--train"])
    assert load_model(tmp_path / "model").n_features_in_ == 2
