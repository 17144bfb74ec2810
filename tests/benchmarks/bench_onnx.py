"""Files of to_onnx beside predict: size, time, and how far predictions differ.

    python tests/benchmarks/bench_onnx.py
    python tests/benchmarks/bench_onnx.py --grid

All run on one core and one thread, and take CPU time: one sequence, and 1,000 in one
batch, of 48 steps and 4 features, in float32 and without gaps. Models are the defaults,
after one epoch. "step" is the model of one step (stateful=True) beside
StatefulPredictor, where there is one. "difference" is the largest one, in standard
deviations of the predictions, or of probabilities.

With ``--grid`` it prints the largest differences of networks of every cell, direction
and pooling, of one layer and of two, for 300 sequences of 1 to 60 steps in one batch.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from machine import (
    add_instruction_set_option,
    print_machine,
    use_instruction_set,
    use_one_core,
)

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, StatefulPredictor
from sklearn_rnn.persistence import to_onnx

N_STEPS, N_FEATURES, MANY = 48, 4, 1000
OPTIONS = {"max_epochs": 1, "random_state": 0, "n_threads": 1}


def models(X):
    """Return fitted models by name."""
    mean = X[:, :, 0].mean(axis=1)
    network = {"linear_skip": False, "cell": "gru"}
    return {
        "regressor": RNNRegressor(**OPTIONS).fit(X, mean),
        "its network": RNNRegressor(**OPTIONS, **network).fit(X, mean),
        "forecast": RNNRegressor(**OPTIONS, target_feature=0).fit(
            X[:, :-3], X[:, -3:, 0]
        ),
        "classifier": RNNClassifier(**OPTIONS).fit(X, mean > 0),
        "its network ": RNNClassifier(**OPTIONS, convolutions=None).fit(X, mean > 0),
        "tagger": RNNTagger(**OPTIONS).fit(X, X[:, :, 0] > 0),
    }


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def milliseconds(run, n_rounds):
    """Return the median time of a call; the first one does not count."""
    times = []
    for turn in range(n_rounds + 1):
        begin = time.process_time()
        run()
        if turn:
            times.append((time.process_time() - begin) * 1e3)
    return statistics.median(times)


def compare(model, X, folder, n_rounds):
    """Return size in kB, times of the file and of predict, and the difference."""
    path = folder / "model.onnx"
    to_onnx(model, path)
    session = open_session(path)
    output = [o.name for o in session.get_outputs()][-1]
    predict = getattr(model, "predict_proba", model.predict)

    def run(X):
        inputs = {"X": X, "lengths": np.full(len(X), X.shape[1])}
        return session.run([output], inputs)[0]

    times = []
    for part, rounds in ((X[:1], n_rounds), (X, max(3, n_rounds // 50))):
        times.append(milliseconds(lambda part=part: run(part), rounds))
        times.append(milliseconds(lambda part=part: predict(part), rounds))
    expected = predict(X)
    scale = 1.0 if predict != model.predict else np.std(expected)
    difference = np.abs(run(X) - expected).max() / scale
    return path.stat().st_size / 1e3, times, difference


def compare_steps(model, X, folder, n_rounds):
    """Return the times of one step by the file and by `StatefulPredictor`."""
    path = folder / "step.onnx"
    try:
        live = StatefulPredictor(model)
    except ValueError:  # it needs later steps
        return None
    to_onnx(model, path, stateful=True)
    session = open_session(path)
    size = session.get_inputs()[1].shape[1]
    inputs = {"X": X[:1, 0], "state": np.zeros((1, size), np.float32)}
    return [
        milliseconds(lambda: session.run(None, inputs), n_rounds),
        milliseconds(lambda: live.predict(X[0, 0]), n_rounds),
    ]


def largest_difference(cell, bidirectional, pooling, folder):
    """Return the largest difference of networks of one and two layers."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 61, 300)
    X = rng.normal(size=(300, 60, N_FEATURES)).astype(np.float32)
    sequences = [x[:n] for x, n in zip(X, lengths, strict=True)]
    kind = {"return_sequences": True} if pooling == "none" else {"pooling": pooling}
    y = [x.mean(axis=1) if pooling == "none" else x.mean() for x in sequences]
    largest = 0.0
    for n_layers in (1, 2):
        model = RNNRegressor(
            cell,
            n_layers=n_layers,
            bidirectional=bidirectional,
            linear_skip=False,
            **kind,
            **OPTIONS,
        ).fit(sequences, y)
        to_onnx(model, folder / "model.onnx")
        session = open_session(folder / "model.onnx")
        (found,) = session.run(None, {"X": X, "lengths": lengths})
        expected = model.predict(sequences)
        if pooling == "none":
            found = np.concatenate([f[:n] for f, n in zip(found, lengths, strict=True)])
            expected = np.concatenate(list(expected))
        difference = np.abs(found - expected).max() / np.std(expected)
        largest = max(largest, difference)
    return largest


def print_grid(folder):
    poolings = ["last", "mean", "max", "attention", "none"]
    print("Largest differences, in standard deviations of the predictions, by pooling")
    print(f"{'cell':10}{'direction':14}" + "".join(f"{p:>11}" for p in poolings))
    for cell in ("rnn", "rnn_relu", "lstm", "gru"):
        for bidirectional in (False, True):
            row = [
                largest_difference(cell, bidirectional, pooling, folder)
                for pooling in poolings
            ]
            direction = "both" if bidirectional else "forward"
            print(f"{cell:10}{direction:14}", end="")
            print("".join(f"{value:11.1e}" for value in row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help="of one sequence")
    parser.add_argument("--grid", action="store_true", help="of all networks")
    add_instruction_set_option(parser)
    options = parser.parse_args()
    use_one_core()
    use_instruction_set(options.instruction_set)
    print_machine()
    if options.grid:
        with tempfile.TemporaryDirectory() as folder:
            print_grid(Path(folder))
        return
    print(f"onnxruntime {onnxruntime.__version__}; milliseconds of file / predict")
    print(f"{'model':14}{'kB':>7}{'one sequence':>18}{f'{MANY:,}':>20}", end="")
    print(f"{'step':>18}  difference")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(MANY, N_STEPS, N_FEATURES)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(X).items():
            own = X[:, :-3] if name == "forecast" else X
            about = own, Path(folder), options.rounds
            size, times, difference = compare(model, *about)
            steps = compare_steps(model, *about)
            print(f"{name:14}{size:7.0f}", end="")
            print(f"{times[0]:10.3f} /{times[1]:6.2f}", end="")
            print(f"{times[2]:11.1f} /{times[3]:7.1f}", end="")
            shown = "-" if steps is None else f"{steps[0]:.3f} /{steps[1]:6.2f}"
            print(f"{shown:>18}  {difference:.1e}", flush=True)


if __name__ == "__main__":
    main()
