"""Fits in processes of their own, which are killed, for the tests of checkpoints."""

import json
import logging
import multiprocessing
import time
from collections import Counter
from pathlib import Path

import numpy as np
from interrupted_fits import make, make_data, state_of

from sklearn_rnn._fingerprint import fingerprint

OPTIONS = {
    "regressor": {"hidden_size": "auto", "cell": "auto", "target_feature": 0},
    "classifier": {"early_stopping": True, "convolutions": None},
    "tagger": {"n_layers": 2},
    "generator": {"bptt_steps": 5},
    "seq2seq": {"scheduled_sampling": 0.3, "early_stopping": False},
    "transcriber": {"shortest_first": True},
}
# Each call of a stream has so many sequences.
CALL_SIZE = 3


def fit_in_process(name, kernel, folder, result):
    """Fit an estimator, or a stream, and write what it became; called in a process.

    The file `result` with ".begun" tells that everything is imported.
    """
    is_stream, name = name == "stream", name.replace("stream", "regressor")
    X, *y = make_data()[name]
    if name == "regressor":
        X = X[:, :, :1]
    options = {**OPTIONS[name], "max_epochs": 40, "kernel": kernel}
    if is_stream:
        options = {"linear_skip": True, "kernel": kernel}
    model, lines = make(name, folder, **options), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("sklearn_rnn").addHandler(handler)
    logging.getLogger("sklearn_rnn").setLevel("INFO")
    Path(f"{result}.begun").touch()
    started = time.perf_counter()
    if is_stream:
        model.partial_fit(X[:20], y[0][:20])
        for begin in range(20, len(X), CALL_SIZE):
            part = slice(begin, begin + CALL_SIZE)
            model.partial_fit(X[part], y[0][part])
    else:
        model.fit(X, *y)
    found = {
        "seconds": time.perf_counter() - started,
        "state": fingerprint(state_of(model)),
        "n_continued": sum("continues after" in line for line in lines),
    }
    Path(f"{result}.part").write_text(json.dumps(found))
    Path(f"{result}.part").rename(result)


def start(*args):
    """Start `fit_in_process`; return the process, when it has begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sklearn_rnn", "killed_fits"])
    process = context.Process(target=fit_in_process, args=args)
    begun = Path(f"{args[-1]}.begun")
    begun.unlink(missing_ok=True)
    process.start()
    while process.is_alive() and not begun.exists():
        time.sleep(0.002)
    return process


def finish(name, kernel, folder, result):
    """Let a fit run to its end; return what it became."""
    process = start(name, kernel, folder, result)
    process.join()
    if process.exitcode:
        raise AssertionError(f"{name}, {kernel}: exit code {process.exitcode}")
    return json.loads(Path(result).read_text())


def kill_and_finish(name, kernel, folder, n_kills, seed):
    """Kill a fit at random moments until it ended, and again for `n_kills` kills.

    Returns
    -------
    expected : dict
        What an uninterrupted fit became.
    found : list of dict
        What each fit became that was killed and started again.
    figures : Counter
        Kills; kills while a file was written; training runs that continued, in
        processes that ended; files left behind.
    """
    rng = np.random.default_rng(seed)
    expected = finish(name, kernel, None, folder / "expected")
    found, figures = (
        [finish(name, kernel, folder / "whole", folder / "first")],
        Counter(),
    )
    seconds = found[0]["seconds"]
    while figures["kills"] < n_kills:
        checkpoints, result = folder / str(len(found)), folder / f"result{len(found)}"
        while figures["kills"] < n_kills and not result.exists():
            process = start(name, kernel, checkpoints, result)
            while process.is_alive() and not any(checkpoints.glob("RNN*")):
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.6 * seconds))
            process.kill()
            process.join()
            was_in_fit = process.exitcode == -9 and any(checkpoints.glob("RNN*"))
            figures["kills"] += was_in_fit and not result.exists()
            figures["in writes"] += any(checkpoints.glob(".*"))
            for path in checkpoints.glob(".*"):  # to count those of the next kill
                path.unlink()
        if not result.exists():
            finish(name, kernel, checkpoints, result)
        found.append(json.loads(result.read_text()))
        figures["continued"] += found[-1]["n_continued"]
        figures["files left"] += len(list(checkpoints.iterdir())) - (name == "stream")
    return expected, found, figures
