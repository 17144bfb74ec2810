# %% [markdown]
"""The classic beginner's script: a small RNN on random sequences.

Most courses begin with these lines: make random sequences, stack a plain RNN
layer, dropout and a dense layer, compile, fit for ten epochs with the last
fifth for validation. This is the same script for scikit-learn; a comment says
what each line is in the Keras style. The target can be learned: it is the mean
of the sequence.

    python examples/beginners_script.py

It takes seconds, and prints the losses of every epoch and the R2 on the
validation sequences. The losses jump now and then: the classic step size is a
large one. Option: ``--picture FILE`` saves the loss curves.
"""

# %%
import argparse
import sys

import numpy as np
from sklearn.metrics import r2_score

from sklearn_rnn import LossCurveDisplay, RNNRegressor

# %% [markdown]
# ## The data
#
# Sequences of random numbers. What is to be predicted of each is its mean.


# %%
def make_data(n_sequences=1000, n_timesteps=10, n_features=1):
    """Return random sequences and their means."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_sequences, n_timesteps, n_features))
    return X, X.mean(axis=(1, 2))


# %% [markdown]
# ## The model
#
# One recurrent layer, dropout, a linear output.


# %%
def build_model():
    """Describe the network and its training; nothing is computed yet."""
    return RNNRegressor(
        # The recurrent layer: SimpleRNN with 32 units, whose activation is tanh.
        # The shape of the input need not be said, it is read from X.
        cell="rnn",
        hidden_size=32,
        # The Dropout layer between the recurrent layer and the output. The Dense
        # output layer comes by itself, with as many units as y has columns.
        dropout=0.1,
        # The network alone: by default a linear forecast stands beside it.
        linear_skip=False,
        # compile: the optimizer Adam, its constant step size, and the clipping of
        # every derivative to [-1, 1]. Clipping the norm, our default, is off.
        optimizer="adam",
        learning_rate=0.01,
        lr_schedule=None,
        clip_value=1.0,
        clip_norm=None,
        # compile: the loss is the mean squared error.
        loss="squared_error",
        # What goes to the method fit in Keras: scikit-learn takes it here, so that
        # a grid search can change it. verbose=2 prints a line an epoch in both.
        batch_size=32,
        max_epochs=10,
        verbose=2,
        random_state=0,
    )


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picture", help="file for a picture of the loss curves")
    options = parser.parse_args(arguments)

    X, y = make_data()
    # validation_split=0.2: the last 20 % of the sequences, set aside by hand.
    split = int(0.8 * len(X))
    model = build_model()
    # fit with validation_data. It returns the model; Keras's history is an
    # attribute: history_, with one dict an epoch.
    model.fit(X[:split], y[:split], X_val=X[split:], y_val=y[split:])
    # predict gives one number a sequence, of the shape of y.
    r2 = r2_score(y[split:], model.predict(X[split:]))
    print(f"{model.n_parameters_} parameters; validation R2 {r2:.3f}")

    if options.picture:
        display = LossCurveDisplay.from_estimator(model)
        display.figure_.savefig(options.picture, dpi=120, bbox_inches="tight")
        print(f"Picture of the loss curves: {options.picture}")
    return {"history": model.history_, "r2": r2}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
