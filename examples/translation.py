# %% [markdown]
"""Translate the menus and messages of JupyterLab from English to French.

The pairs of sentences are those of JupyterLab's French language pack, written by
its translators (BSD licence):

    pip install jupyterlab-language-pack-fr-FR

Text is put into lower case and split into words and signs; a placeholder such as %1 is
one word. Sentences of at most 12 words without markup that have
been translated, each once, are some 2,450 pairs, a tenth of them to test on. From the
others, and from some 380 longer ones and such with markup, the network learns: these
have as many words again. It is little text for so many words, of which more than a
third come once: these are learned as one unknown word, and where the network writes
it, the English word with the largest weight is put in its place (``copy_unknown``).

Compared are the English itself, the translation of the training sentence that is
most alike (what a translation memory would propose), and the network, greedy and
with a beam of 5, by BLEU, by chrF, and by the fraction of sentences that are word for
word the translator's. Also prints the best few translations of two sentences, and
saves a picture of the attention to English words for each French word.

    python examples/translation.py

It takes about two minutes. Options: ``--epochs 20``, ``--picture FILE``.

The settings were chosen on a part of the training sentences.
"""

# %%
import argparse
import json
import re
import sys
from importlib import resources

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from sklearn_rnn import AttentionDisplay, RNNSeq2Seq
from sklearn_rnn.metrics import bleu, chrf, sequence_accuracy

PACKAGE = "jupyterlab_language_pack_fr_FR"
LONGEST = 12  # words
LONGEST_LEARNED = 40
# A place to be filled in, a word (with the l' or d' before it parted off), a sign.
WORDS = re.compile(r"%\d+|\w+'?|[^\w\s]")
MARKUP = re.compile(r"[<>{}`/_\n]")


# %% [markdown]
# ## The sentence pairs
#
# Texts of an installed language pack and their translations, as lists of words.


# %%
def part_words(text):
    """Return the words and signs of a text, in lower case."""
    return WORDS.findall(text.lower().replace("’", "'"))


def load_catalogs():
    """Return the texts of JupyterLab and its extensions, and their translations."""
    try:
        package = resources.files(PACKAGE)
    except ModuleNotFoundError as error:
        raise ImportError(
            "the pairs of sentences are those of JupyterLab's French language pack: "
            "pip install jupyterlab-language-pack-fr-FR"
        ) from error
    folder = package.joinpath("locale", "fr_FR", "LC_MESSAGES")
    texts = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".json"):
            continue
        catalog = json.loads(file.read_text(encoding="utf-8"))
        catalog.pop("")  # about the catalog
        for key, (french, *_) in catalog.items():  # the rest are plurals
            english = key.split("\x04")[-1]  # after the context that it is used in
            texts.setdefault(english, french)
    return texts


def load_translated(longest, with_markup):
    """Return translated texts and their translations as words, by their letters."""
    pairs = {}
    for english, french in load_catalogs().items():
        source, target = part_words(english), part_words(french)
        letters = tuple(re.findall(r"\w+", english.lower()))
        is_translated = target and source != target
        has_markup = MARKUP.search(english + french) and not with_markup
        if not letters or not is_translated or has_markup or len(source) > longest:
            continue
        # What differs in its signs alone counts once: else tests were known before.
        pairs.setdefault(letters, (source, target))
    return pairs


def load_pairs():
    """Return sentences and their translations, as lists of words."""
    return map(list, zip(*load_translated(LONGEST, False).values(), strict=True))


def load_longer_pairs():
    """Return texts that are longer or have markup, to learn from, and translations."""
    short = load_translated(LONGEST, False)
    texts = load_translated(LONGEST_LEARNED, True)
    pairs = [pair for letters, pair in texts.items() if letters not in short]
    return map(list, zip(*pairs, strict=True))


# %% [markdown]
# ## The models
#
# A network with attention, and the translation of the most similar training sentence.


# %%
def make_model(n_epochs):
    """Make a network for few sentences and many words."""
    return RNNSeq2Seq(
        hidden_size=256,
        dropout=0.5,
        embedding_dim=128,
        tie_embeddings=True,
        min_count=2,
        copy_unknown=True,
        label_smoothing=0.1,
        length_penalty=1.0,
        batch_size=32,
        max_epochs=n_epochs,
        random_state=0,
    )


def recall_nearest(X_train, y_train, X_test):
    """Return the translations of the training sentences that are most alike."""
    weigh = TfidfVectorizer(analyzer=list)
    known = weigh.fit_transform(X_train)
    nearest = (weigh.transform(X_test) @ known.T).toarray().argmax(axis=1)
    return [y_train[i] for i in nearest]


# %% [markdown]
# ## Scores and pictures


# %%
def rate(truth, written):
    """Return the figures of some translations."""
    return {
        "BLEU": 100 * bleu(truth, written),
        "chrF": 100 * chrf(truth, written),
        "all right (%)": 100 * sequence_accuracy(truth, written),
    }


def show(model, X, y):
    """Print the best few translations of sentences, and how likely each is."""
    for source, true, found in zip(X, y, model.predict_n_best(X, 3), strict=True):
        print(f"    {' '.join(source)}  (translator: {' '.join(true)})")
        for words, score in found:
            print(f"        {score:6.2f}  {' '.join(words)}")


def draw(model, sentences, path):
    """Save a picture of the attention to words for each word of translations."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(sentences), figsize=(13, 5), layout="constrained"
    )
    for ax, sentence in zip(axes, sentences, strict=True):
        AttentionDisplay.from_estimator(model, [sentence], ax=ax, vmax=1)
        ax.set(xlabel="English, as read", ylabel="French, as written")
    figure.suptitle("Attention to each English word for each French word")
    figure.savefig(path, dpi=110)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--picture", default="translation.png")
    options = parser.parse_args(arguments)

    X, y = load_pairs()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.1, random_state=0
    )
    X_longer, y_longer = load_longer_pairs()
    X_train, y_train = X_train + X_longer, y_train + y_longer
    model = make_model(options.epochs).fit(X_train, y_train)
    print(
        f"{len(X_train)} sentences to learn from, {len(X_test)} to test on; "
        f"{len(model.source_symbols_)} English and {len(model.target_symbols_)} "
        "French words come at least twice."
    )
    width, beam = model.beam_width, model.predict(X_test)
    greedy = model.set_params(beam_width=1).predict(X_test)
    model.set_params(beam_width=width)
    results = {
        "the English": rate(y_test, X_test),
        "nearest known sentence": rate(
            y_test, recall_nearest(X_train, y_train, X_test)
        ),
        "RNNSeq2Seq, greedy": rate(y_test, greedy),
        f"RNNSeq2Seq, beam of {width}": rate(y_test, beam),
    }
    results = pd.DataFrame(results).T
    print(results.round(1).to_string())
    print("The best translations of two sentences, and their log-probabilities:")
    by_length = np.argsort([len(sentence) for sentence in X_test], kind="stable")
    middle = by_length[len(by_length) // 2 :][:2]
    show(model, [X_test[i] for i in middle], [y_test[i] for i in middle])
    # Right ones first, then long ones.
    order = sorted(by_length, key=lambda i: (beam[i] != y_test[i], -len(y_test[i])))
    draw(model, [X_test[i] for i in order[:2]], options.picture)
    print(f"Picture of the attention: {options.picture}")
    return {"figures": results, "X": X_test, "y": y_test, "beam": beam.tolist()}


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
