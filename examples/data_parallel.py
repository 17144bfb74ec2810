# %% [markdown]
"""Train one model by several processes, each on a part of every batch.

Speakers are told apart by their utterances, which have unequal lengths. Every process
reads the same data and makes the same calls; inside of `data_parallel` the batches are
divided, and the gradients are added up over the processes. The model is the same as
that of one process, to rounding.

    python examples/data_parallel.py                              # one process
    torchrun --standalone --nproc-per-node 2 examples/data_parallel.py
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d \\
        --rdzv-endpoint HOST:29500 examples/data_parallel.py      # on both machines

Small networks such as this one are trained faster by one process. Options: ``--units``,
``--epochs``, and ``--save FILE``, which the first process writes.
"""

# %%
import argparse
import contextlib
import sys
import time

from torch import distributed

from sklearn_rnn import RNNClassifier, data_parallel
from sklearn_rnn.datasets import load_japanese_vowels
from sklearn_rnn.persistence import save_model

# %% [markdown]
# ## The model
#
# The estimator is the usual one. In float64, losses of one process and of several agree
# to about fifteen digits.


# %%
def train(n_units, n_epochs):
    """Return a classifier, its accuracy on test data, and the seconds that fit took."""
    X, y = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    model = RNNClassifier(
        hidden_size=n_units, max_epochs=n_epochs, dtype="float64", random_state=0
    )
    begin = time.perf_counter()
    model.fit(X, y)
    return model, model.score(X_test, y_test), time.perf_counter() - begin


# %% [markdown]
# ## The run
#
# `torchrun` starts every process with this script and tells each its rank; the process
# group connects them. Without it, as in a notebook, one process trains. There, options
# go in as a list: `main(["--help"])` names them.


# %%
def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--save", metavar="FILE")
    options = parser.parse_args(args)

    rank, context = 0, contextlib.nullcontext()
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
        rank, context = distributed.get_rank(), data_parallel()
    with context:
        model, accuracy, seconds = train(options.units, options.epochs)
    if rank == 0:  # every process has the same model
        loss = model.loss_curve_[-1]
        print(f"loss {loss:.9f}, accuracy {accuracy:.4f}, {seconds:.1f} s")
        if options.save:
            save_model(model, options.save)
    if distributed.is_initialized():
        distributed.destroy_process_group()
    return {"loss": model.loss_curve_[-1], "accuracy": accuracy}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
