# %% [markdown]
"""Suggest the next word, as the keyboard of a phone does.

A network learns the words of Moby Dick in their order. Words that come rarely are
learned as one unknown word, which is never suggested. How often the next word of the
last 10 % of the book is among the three suggestions is compared with what a table of
pairs of words (bigrams) suggests.

    python examples/next_word.py

takes about two minutes. Options: ``--epochs``, ``--max-symbols``, ``--picture FILE``.
"""

# %%
import argparse
import re
import sys
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from sklearn_rnn import RNNGenerator
from sklearn_rnn.datasets import load_moby_dick

PROMPTS = ["he looked at the", "the white", "i do not know what", "from the top of"]
N_SUGGESTED = 3
N_SCORED = 2000


# %% [markdown]
# ## Words


# %%
def words_of(text):
    """Return the words and marks of a text, in lower case."""
    return re.findall(r"[a-z]+(?:['’][a-z]+)*|[.,;:!?]", text.lower())


# %% [markdown]
# ## The baseline
#
# The words that most often followed the last one.


# %%
class Bigrams:
    """Suggests the words that most often followed the last one."""

    def fit(self, words):
        """Count which word follows which."""
        followers = defaultdict(Counter)
        for word, after in pairwise(words):
            followers[word][after] += 1
        self.suggestions_ = {
            word: [after for after, _ in counts.most_common(N_SUGGESTED)]
            for word, counts in followers.items()
        }
        self.default_ = [word for word, _ in Counter(words).most_common(N_SUGGESTED)]
        return self

    def suggest(self, word):
        """Return the likeliest words after `word`."""
        return self.suggestions_.get(word, self.default_)


# %% [markdown]
# ## The test
#
# How often the next word is among the suggestions, on text that neither model was
# fitted on.


# %%
def hit_rates(model, bigrams, words):
    """Return how often the next word was suggested, and how often it came first."""
    hits = {"network": [], "bigrams": []}
    context = 40  # words before
    places = np.linspace(context, len(words) - 1, N_SCORED).astype(int)
    for place in places:
        before, right = words[place - context : place], words[place]
        suggested = [word for word, _ in model.next_symbols(before, N_SUGGESTED)]
        hits["network"].append([right in suggested, right == suggested[0]])
        suggested = bigrams.suggest(before[-1])
        hits["bigrams"].append([right in suggested, right == suggested[0]])
    return {
        name: dict(zip(["among three", "first"], np.mean(rows, axis=0), strict=True))
        for name, rows in hits.items()
    }


# %% [markdown]
# ## A picture of suggestions


# %%
def draw(model, path):
    """Save a picture of the suggestions after some beginnings."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(9, 5), layout="constrained")
    for ax, prompt in zip(panels.flat, PROMPTS, strict=True):
        suggested = model.next_symbols(prompt.split(), 6)[::-1]
        bars = ax.barh(*zip(*suggested, strict=True), color="steelblue")
        ax.bar_label(bars, fmt="{:.0%}", padding=3)
        ax.set_title(f"{prompt} …", loc="left")
        ax.margins(x=0.15)
        ax.xaxis.set_visible(False)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle("The next word")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=0, help="0 takes all")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--max-symbols", type=int, default=4000)
    parser.add_argument("--picture", default="next_word.png")
    options = parser.parse_args(arguments)

    words = words_of(load_moby_dick(subset="train"))
    test = words_of(load_moby_dick(subset="test"))
    if options.words:
        words = words[: options.words]
    model = RNNGenerator(
        hidden_size=128,
        embedding_dim=128,
        tie_embeddings=True,
        dropout=0.3,
        input_dropout=0.2,
        max_symbols=options.max_symbols,
        bptt_steps=35,
        batch_size=32,
        max_epochs=options.epochs,
        random_state=0,
    )
    model.fit([words])
    seconds = sum(epoch["dur"] for epoch in model.history_)
    print(f"{len(words)} words, {model.n_symbols_} different ones: {seconds:.0f} s")
    rates = hit_rates(model, Bigrams().fit(words), test)
    print(f"The next word is suggested, of {N_SCORED} in the last 10 % of the book:")
    for name, row in rates.items():
        print(f"  {name}: " + ", ".join(f"{k} {v:.1%}" for k, v in row.items()))
    for prompt in PROMPTS:
        suggested = [word for word, _ in model.next_symbols(prompt.split(), 3)]
        print(f"  {prompt} … {' / '.join(suggested)}")
    print(
        "It continues by itself: ahab "
        + " ".join(model.sample(["ahab"], 40, temperature=0.8, random_state=0))
    )
    draw(model, options.picture)
    print(f"Picture of the suggestions: {options.picture}")
    return rates


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
