"""Clipping, and skip connections: what trains with them and not without.

    python tests/benchmarks/bench_gradients.py

The network is to repeat, at every step, what stood some steps before. Clipping:
plain gradient descent with momentum at a high learning rate, 3 steps back. Skip
connections and layer normalisation: default settings for 20 epochs, 5 steps back,
stacks of one and of four layers. Scores are R² on unseen sequences, the mean
(and worst) over the seeds.
"""

import argparse

import numpy as np

from sklearn_rnn import DivergenceError, RNNRegressor

CLIPPING = {
    "clip_norm=None": {"clip_norm": None},
    "clip_norm=1.0": {"clip_norm": 1.0},
    "clip_value=0.1": {"clip_norm": None, "clip_value": 0.1},
}
STACKS = {
    "plain": {},
    "residual": {"residual": True},
    "layer_norm": {"layer_norm": True},
    "both": {"residual": True, "layer_norm": True},
}


def make_echo(n_sequences, n_timesteps, delay, seed):
    noise = np.random.default_rng(seed).normal(size=(n_sequences, n_timesteps))
    echo = np.full_like(noise, np.nan)  # nothing to repeat at the first steps
    echo[:, delay:] = noise[:, :-delay]
    return noise[:, :, np.newaxis], echo


def score_of(train, test, **options):
    """Return R² on `test`, the largest gradient's norm, and the share clipped."""
    model = RNNRegressor(return_sequences=True, dtype="float32", **options)
    try:
        model.fit(*train)
    except DivergenceError:
        return np.nan, np.nan, np.nan
    norm = max(row["largest_gradient_norm"] for row in model.history_)
    share = np.mean([row["clipped_share"] for row in model.history_])
    return model.score(*test), norm, share


def clipping(seeds):
    train, test = make_echo(200, 60, 3, 0), make_echo(100, 60, 3, 1)
    print(f"{'cell':>6}{'clipping':>18}{'R²':>10}{'largest norm':>14}{'clipped':>9}")
    for cell in ("rnn", "gru"):
        for name, bounds in CLIPPING.items():
            rows = [
                score_of(
                    train,
                    test,
                    cell=cell,
                    optimizer="sgd",
                    learning_rate=0.1 if cell == "rnn" else 0.3,
                    batch_size=32,
                    max_epochs=30,
                    random_state=seed,
                    **bounds,
                )
                for seed in range(seeds)
            ]
            diverged = int(np.isnan(rows).any(axis=1).sum())
            print(f"{cell:>6}{name:>18}", end="")
            if diverged:
                print(f"  diverged in {diverged} of {seeds} fits", flush=True)
                continue
            score, norm, share = np.mean(rows, axis=0)
            print(f"{score:10.3f}{norm:14.1f}{share:9.2f}", flush=True)


def stacks(seeds, layers):
    train, test = make_echo(400, 40, 5, 0), make_echo(100, 40, 5, 1)
    print(f"{'cell':>6}{'layers':>8}" + "".join(f"{name:>18}" for name in STACKS))
    for cell in ("rnn", "lstm", "gru"):
        for n_layers in layers:
            print(f"{cell:>6}{n_layers:8}", end="")
            for options in list(STACKS.values())[: 4 if n_layers > 1 else 1]:
                scores = [
                    score_of(
                        train,
                        test,
                        cell=cell,
                        n_layers=n_layers,
                        hidden_size=32,
                        max_epochs=20,
                        random_state=seed,
                        **options,
                    )[0]
                    for seed in range(seeds)
                ]
                shown = f"{np.mean(scores):.3f} ({np.min(scores):.3f})"
                print(f"{shown:>18}", end="", flush=True)
            print()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", type=int, nargs="*", default=[1, 4])
    options = parser.parse_args()
    clipping(options.seeds)
    print()
    stacks(options.seeds, options.layers)


if __name__ == "__main__":
    main()
