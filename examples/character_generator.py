# %% [markdown]
"""Learn Moby Dick character by character, and write more of it.

A recurrent network reads the first 90 % of the book, at 32 positions side by side, and
learns which character comes next. It is evaluated on the last 10 %, in bits per
character: what the text could be compressed to. Then it generates text at several
temperatures.

    python examples/character_generator.py

takes some minutes on one core, with ``--epochs 5`` a third of that. Options:
``--bptt-steps 50`` (100, 200), ``--hidden-size``, ``--picture FILE``.

The picture shows how surprising each character of a passage from the end of the book
was (the negative logarithm of its probability), once the network had read all before
it: the first letters of words are less predictable than the last.
"""

# %%
import argparse
import sys
import textwrap

import numpy as np

from sklearn_rnn import RNNGenerator
from sklearn_rnn.datasets import load_moby_dick

PROMPT = "The whale "
N_SHOWN = 480  # characters in the picture


# %% [markdown]
# ## Samples
#
# A low temperature keeps to what is likely, 1.0 samples the predicted probabilities.


# %%
def write(model):
    """Print samples at several temperatures."""
    for temperature in (0.0, 0.7, 1.0):
        text = model.sample(PROMPT, 400, temperature=temperature, random_state=0)
        print(f"\nTemperature {temperature}:")
        print(textwrap.fill((PROMPT + text).replace("\n", " "), 78))


# %% [markdown]
# ## Surprising characters
#
# The probability of each character of a passage that the network was not trained on.


# %%
def draw(model, test, path):
    """Save a picture of the surprise of each character of a passage."""
    import matplotlib.pyplot as plt

    middle = len(test) // 2
    known = test[:middle]
    bits = -model.score_steps([known])[0][-N_SHOWN:] / np.log(2)
    lines = np.array(list(known[-N_SHOWN:].replace("\n", " "))).reshape(-1, 60)
    figure, ax = plt.subplots(figsize=(11, 3.2), layout="constrained")
    image = ax.imshow(bits.reshape(lines.shape), cmap="Reds", vmin=0, vmax=8)
    for (row, column), character in np.ndenumerate(lines):
        ax.text(column, row, character, ha="center", va="center", parse_math=False)
    ax.set_axis_off()
    ax.set_aspect("auto")
    figure.colorbar(image, label="surprise (bits)")
    figure.suptitle("How surprising each character is")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--characters", type=int, default=0, help="0 takes all")
    parser.add_argument("--test", type=int, default=0, help="characters, 0 takes all")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--bptt-steps", type=int, default=50)
    parser.add_argument("--picture", default="character_generator.png")
    options = parser.parse_args(arguments)

    book, test = load_moby_dick(subset="train"), load_moby_dick(subset="test")
    if options.characters:
        book = book[: options.characters]
    if options.test:
        test = test[: options.test]
    model = RNNGenerator(
        hidden_size=options.hidden_size,
        dropout=0.2,
        bptt_steps=options.bptt_steps,
        max_epochs=options.epochs,
        random_state=0,
    )
    model.fit(book)
    seconds = sum(epoch["dur"] for epoch in model.history_)
    bits = model.bits_per_symbol(test)
    print(
        f"{len(book)} characters, {model.n_symbols_} different ones, "
        f"{options.epochs} epochs: {seconds:.0f} s\n"
        f"Last 10 % of the book: {bits:.3f} bits per character "
        f"(a choice of {model.perplexity(test):.1f})"
    )
    write(model)
    draw(model, test, options.picture)
    print(f"\nPicture of a passage: {options.picture}")
    return {"bits": bits, "seconds": seconds}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
