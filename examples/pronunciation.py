# %% [markdown]
"""Convert the spelling of English words to phonemes, by two models.

Sounds come in the order of the letters. So a transcriber (CTC) can learn them: it reads
all letters in both directions and writes up to two phonemes for each, which a search
with an n-gram model of phonemes then weighs. The second model, with attention, writes
one phoneme after the other and looks back at the letters; it would also learn where the
order differs. The words are those of the CMU Pronouncing Dictionary, split by word into
90 % for training, 5 % for validation and 5 % for testing; of a word with several
pronunciations the first is learned, and any of them counts as right.

    python examples/pronunciation.py

trains both on 20,000 words, in about two minutes. On all 113,000 words, with more
units, layers and epochs, each takes more than ten minutes of one core and makes fewer
errors:

    python examples/pronunciation.py --words 0 --test-words 0 --model transcriber \\
        --units 128 --layers 2 --epochs 10
    python examples/pronunciation.py --words 0 --test-words 0 --model attention \\
        --units 192 --layers 1 --epochs 12

Other option: ``--picture FILE``.

The picture shows the attention weight of each letter for each phoneme: the path runs
down the diagonal, and leaves out letters that are silent.
"""

# %%
import argparse
import sys
from itertools import pairwise

import numpy as np

from sklearn_rnn import AttentionDisplay, RNNSeq2Seq, RNNTranscriber
from sklearn_rnn.datasets import load_cmudict
from sklearn_rnn.metrics import symbol_error_rate

SHOWN = ["thorough", "psychology", "knight", "recurrent"]


# %% [markdown]
# ## Scores
#
# Some words have several pronunciations; the nearest one counts.


# %%
def nearest(pronunciations, written):
    """Return the one of a word's pronunciations that is nearest to what was written."""
    if len(pronunciations) == 1:
        return pronunciations[0]
    errors = [symbol_error_rate([right], [written]) for right in pronunciations]
    return pronunciations[int(np.argmin(errors))]


def error_rates(model, words):
    """Return phoneme and word error rates, against the nearest pronunciation."""
    written = model.predict(words.data)
    right = [
        nearest(variants, row)
        for variants, row in zip(words.pronunciations, written, strict=True)
    ]
    wrong = [row != truth for row, truth in zip(written, right, strict=True)]
    return {
        "phoneme error": symbol_error_rate(right, written),
        "word error": float(np.mean(wrong)),
    }


# What each model predicts with, in turn.
SEARCHES = {
    "transcriber": {
        "greedy": {"beam_width": 1},
        "beam of 8, six-grams": {
            "beam_width": 8,
            "ngram_order": 6,
            "ngram_weight": 0.3,
            "insertion_bonus": 0.5,
        },
    },
    "attention": {"greedy": {"beam_width": 1}, "beam of 5": {"beam_width": 5}},
}
PHONEMES_PER_LETTER = 2


# %% [markdown]
# ## The models
#
# A transcriber, and an encoder-decoder with attention.


# %%
def make_model(name, options):
    """Return an untrained model."""
    shared = {
        "hidden_size": options.units,
        "n_layers": options.layers,
        "batch_size": 128,
        "max_epochs": options.epochs,
        "random_state": 0,
    }
    if name == "attention":
        return RNNSeq2Seq(**shared)
    return RNNTranscriber(upsampling=PHONEMES_PER_LETTER, **shared)


def fits(letters, phonemes):
    """Return whether CTC can write so many phonemes: equal neighbours need one more."""
    n_equal = sum(a == b for a, b in pairwise(phonemes))
    return len(phonemes) + n_equal <= PHONEMES_PER_LETTER * len(letters)


def train_and_score(name, train, test, options):
    """Return the trained model, and its error rates by search."""
    pairs = list(zip(train.data, train.target, strict=True))
    if name == "transcriber":  # abbreviations such as "aaa", spoken "triple a"
        pairs = [pair for pair in pairs if fits(*pair)]
    letters, phonemes = zip(*pairs, strict=True)
    model = make_model(name, options).fit(letters, phonemes)
    seconds = sum(epoch["dur"] for epoch in model.history_)
    print(
        f"{name}: {len(pairs)} words, {options.epochs} epochs: {seconds:.0f} s, "
        f"{model.n_parameters_} weights. Errors of {len(test.data)} unseen words:"
    )
    results = {}
    for search, parameters in SEARCHES[name].items():
        results[search] = error_rates(model.set_params(**parameters), test)
        errors = ", ".join(f"{k} {v:.1%}" for k, v in results[search].items())
        print(f"  {search}: {errors}")
    print("  the best three for 'bach':")
    for found, score in model.predict_n_best(["bach"], n=3)[0]:
        print(f"    {' '.join(found)}  ({score:.2f})")
    return model, {**results, "seconds": seconds}


# %% [markdown]
# ## A picture of attention
#
# The weight of each letter for each phoneme.


# %%
def draw(model, path):
    """Save a picture of the attention weights of letters for phonemes."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
    for ax, word in zip(panels.flat, SHOWN, strict=True):
        AttentionDisplay.from_estimator(model, [word], ax=ax)
        ax.set_title(f"{word}: {' '.join(model.predict([word])[0])}")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=20_000, help="0 takes all")
    parser.add_argument("--model", choices=["both", *SEARCHES], default="both")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--test-words", type=int, default=2000, help="0 takes all")
    parser.add_argument("--picture", default="pronunciation.png")
    options = parser.parse_args(arguments)

    train, test = load_cmudict(subset="train"), load_cmudict(subset="test")
    if options.words:
        train.data = train.data[: options.words]
        train.target = train.target[: options.words]
    if options.test_words:
        test.data = test.data[: options.test_words]
        test.pronunciations = test.pronunciations[: options.test_words]
    results = {}
    for name in SEARCHES if options.model == "both" else [options.model]:
        model, results[name] = train_and_score(name, train, test, options)
        if name == "attention":
            draw(model, options.picture)
            print(f"Picture of the attention: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
