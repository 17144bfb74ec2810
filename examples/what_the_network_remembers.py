# %% [markdown]
"""Show how one network remembers a letter and another one attends to it.

Texts of random letters hold one star. The letter after the star, a, b or c, is
the answer, and all letters occur elsewhere too. A network that answers from its
last state has to carry that letter through the noise to the end: units change at
the star, differ from answer to answer, and stay. A network with attention need not
remember, it may look back. Prints the accuracy of both, and saves a picture: on top
the hidden states of the first while it reads two texts that differ in the one
letter, below the attention weights of the second.

    python examples/what_the_network_remembers.py

It takes seconds. Options: ``--texts 1000`` to train on, ``--picture FILE``.
"""

# %%
import argparse
import sys

import numpy as np

from sklearn_rnn import AttentionDisplay, HiddenStateDisplay, RNNClassifier

LETTERS = "abcdefgh"
ANSWERS = "abc"
TOKENS = "*" + LETTERS


# %% [markdown]
# ## The texts
#
# Random letters with one star. The answer is the letter after the star.


# %%
def make_texts(n_texts, rng):
    """Return texts of 14 to 22 letters with one star, and the letters after it."""
    texts, answers = [], rng.choice(list(ANSWERS), size=n_texts)
    for answer in answers:
        letters = rng.choice(list(LETTERS), size=rng.integers(14, 23))
        place = rng.integers(1, len(letters) - 6)  # noise before and after it
        letters[place : place + 2] = "*", answer
        texts.append("".join(letters))
    return texts, answers


def encode(texts):
    """Return the texts as token numbers."""
    return [[TOKENS.index(letter) for letter in text] for text in texts]


# %% [markdown]
# ## The networks
#
# One has to remember the letter, the other one may look back.


# %%
def train(pooling, texts, answers):
    """Fit a network of a few units, so that all of them can be seen."""
    model = RNNClassifier(
        hidden_size=8,
        pooling=pooling,
        embedding_dim=4,
        input_dropout=0.0,
        learning_rate=0.02,
        max_epochs=30,
        random_state=0,
    )
    return model.fit(encode(texts), answers)


# %% [markdown]
# ## A picture of both


# %%
def draw(remembering, attending, texts, answers, path):
    """Save a picture of the states of one network and the attention of the other."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        3, figsize=(9, 10), height_ratios=[1, 1, 1.1], layout="constrained"
    )
    # The text with the most noise after its letter, once with a and once with b.
    before, after = max((text.split("*") for text in texts), key=lambda p: len(p[1]))
    order = "activity"
    for ax, answer in zip(axes, "ab", strict=False):
        text = f"{before}*{answer}{after[1:]}"
        display = HiddenStateDisplay.from_estimator(
            remembering,
            encode([text]),
            symbols=text,
            order=order,
            ax=ax,
            vmin=-1,
            vmax=1,
        )
        order = display.units_  # the same in both pictures
        ax.axvline(len(before) + 0.5, color="black", linestyle="--")
        ax.set(
            title=f'pooling="last": the letter after the star is {answer}', xlabel=None
        )
    AttentionDisplay.from_estimator(
        attending, encode(texts), symbols=texts, names=answers, ax=axes[2]
    )
    axes[2].set(title='pooling="attention": several texts', ylabel="answer")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--picture", default="what_the_network_remembers.png")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(0)
    texts, answers = make_texts(options.texts, rng)
    new_texts, new_answers = make_texts(300, rng)
    models, results = {}, {}
    for pooling in ["last", "attention"]:
        models[pooling] = train(pooling, texts, answers)
        results[pooling] = models[pooling].score(encode(new_texts), new_answers)
        print(f'pooling="{pooling}": {results[pooling]:.1%} of new texts are right')
    shown = np.argsort(new_answers[:9], kind="stable")  # grouped by their answer
    shown_texts = [new_texts[i] for i in shown]
    draw(*models.values(), shown_texts, new_answers[shown], options.picture)
    print(f"Picture of states and attention: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
