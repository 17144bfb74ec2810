# %% [markdown]
"""Show how far back in time gradients reach, before and after training.

A recurrent network learns from a step only as far as the gradient gets there.
Measures the gradient of the output by the input of every step for a plain RNN,
an LSTM and a GRU: untrained, with one layer and with four, whose layers add
their inputs or not (residual), and with one layer trained to give the mean of
the sequence. Prints a table of some distances, and saves a picture of all.

Untrained, gradients shrink with the distance, in a GRU the most: its gates
start half open, and halve the state at every step. Four layers reach a little
further back, but shrink the gradient of the last steps too, in an LSTM a
hundredfold, on its way down through them; residual connections bring it back.
After training the gradient is about the same at all steps, as in a mean.

    python examples/gradient_flow.py

It takes seconds. Options: ``--steps 80`` of a sequence, ``--picture FILE``.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd

from sklearn_rnn import GradientFlowDisplay, RNNRegressor

CELLS = ["rnn", "lstm", "gru"]
N_TEST = 200
# The estimators compute nothing before fit: the smallest step changes nothing.
UNTRAINED = {"max_epochs": 1, "learning_rate": 1e-9}
NETWORKS = {
    "1 layer, untrained": UNTRAINED,
    "4 layers, untrained": {"n_layers": 4, **UNTRAINED},
    "4 layers, residual, untrained": {"n_layers": 4, "residual": True, **UNTRAINED},
    "1 layer, trained": {"max_epochs": 15},
}


# %% [markdown]
# ## The data
#
# Long sequences of random numbers, and their means: every step counts the same.


# %%
def make_data(n_steps, n_sequences=1000):
    """Return random sequences and their means."""
    X = np.random.default_rng(0).normal(size=(n_sequences, n_steps))
    return X, X.mean(axis=1)


# %% [markdown]
# ## The gradients
#
# How much the output depends on each step, for each network and cell.


# %%
def measure(X, y, axes):
    """Fit every network and draw its gradients; return them as a table."""
    gradients = {}
    for ax, (name, options) in zip(axes, NETWORKS.items(), strict=True):
        for cell in CELLS:
            model = RNNRegressor(
                cell,
                hidden_size=16,
                input_dropout=0.0,
                linear_skip=False,  # it is about the network alone
                random_state=0,
                **options,
            )
            model.fit(X[N_TEST:], y[N_TEST:])
            display = GradientFlowDisplay.from_estimator(
                model, X[:N_TEST], name=cell, ax=ax
            )
            gradients[name, cell] = display.gradients
        ax.set_title(name)
    return pd.DataFrame(gradients).T.rename_axis(columns="steps before the last")


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--picture", default="gradient_flow.png")
    options = parser.parse_args(arguments)

    import matplotlib.pyplot as plt

    X, y = make_data(options.steps)
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 7), sharex=True, sharey=True, layout="constrained"
    )
    gradients = measure(X, y, axes.ravel())
    print("Mean size of the gradient by the input of a step:")
    print(gradients.loc[:, :: options.steps // 4].map("{:.1e}".format).to_string())

    # The targets are standardised, and a mean of n has the deviation 1 / sqrt(n).
    axes[1, 1].axhline(
        options.steps**-0.5, color="black", linestyle=":", label="of the mean"
    )
    axes[1, 1].legend()
    for ax in axes.flat:
        ax.label_outer()
        ax.grid(alpha=0.3)
    figure.savefig(options.picture, dpi=120)
    print(f"Picture of all steps: {options.picture}")
    return gradients


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
