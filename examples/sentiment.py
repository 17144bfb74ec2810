# %% [markdown]
"""Classify sentences of film reviews as positive or negative.

10,605 sentences of film reviews, rated by people; the task is the sign of the rating,
scored in five folds. The baseline is TF-IDF of words and pairs of words with logistic
regression, at the settings that were best for it.

    python examples/sentiment.py

scores the first of the five folds, in about half a minute; ``--folds 5`` all of them.
Options: ``--search`` for a grid search over the tokenizer and the network,
``--picture FILE``.

The three networks are alike; beside each a logistic regression on counts of words and
pairs predicts as well (``bag_of_words``), weighed by sentences that neither has seen.
In the second a sentence has its absolute rating as weight. In the third the first
element of each word's vector also starts from how much more often the word occurs in
positive sentences of the training fold (log-odds, as in naive Bayes),
through ``embeddings``, a mapping from words to vectors. Vectors that were learned on
large texts elsewhere go in the same way.

The picture shows how much each word of some test sentences counts, for a network with
attention pooling.
"""

# %%
import argparse
import sys
from collections import Counter

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from sklearn_rnn import AttentionDisplay, RNNClassifier, SequenceTokenizer
from sklearn_rnn.datasets import load_movie_sentences

WIDTH = 32  # of a word's vector
SHOWN = 8  # sentences in the picture


# %% [markdown]
# ## The models
#
# TF-IDF with logistic regression, and a network that reads the words in order.


# %%
def make_baseline():
    """Make the linear model that was best on these sentences."""
    words = TfidfVectorizer(
        token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True
    )
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000))


def make_network(**options):
    """Make a pipeline from texts to labels."""
    network = RNNClassifier(
        hidden_size=32,
        bidirectional=True,
        random_state=0,
        **{"embedding_dim": WIDTH, **options},
    )
    return make_pipeline(SequenceTokenizer(), network)


# %% [markdown]
# ## Word vectors
#
# Each word starts with how often it occurs in positive and in negative sentences of
# the training fold.


# %%
def vectors_from_odds(sentences, labels, weights):
    """Return a small random vector for each word that starts with its log-odds."""
    tokenizer = SequenceTokenizer()
    ids = tokenizer.fit_transform(sentences)
    counts = {"negative": Counter(), "positive": Counter()}
    for row, label, weight in zip(ids, labels, weights, strict=True):
        for word in set(tokenizer.tokens_[row[:, 0]]):
            counts[label][word] += weight
    rng = np.random.default_rng(0)
    vectors = {}
    for word in tokenizer.vocabulary_:
        vectors[word] = rng.normal(0, 0.1, WIDTH)
        odds = (counts["positive"][word] + 1) / (counts["negative"][word] + 1)
        vectors[word][0] = np.log(odds)
    return vectors


# %% [markdown]
# ## The test
#
# Every fold learns its own words.


# %%
def score_fold(sentences, labels, sure, train, test, **options):
    """Return the accuracy of every model on one fold."""
    X, y = sentences[train], labels[train]
    weighted = {"rnnclassifier__sample_weight": sure[train]}
    vectors = vectors_from_odds(X, y, sure[train])
    models = {
        "TF-IDF, logistic regression": (make_baseline(), {}),
        "RNNClassifier": (make_network(**options), {}),
        "  weighted by the rating": (make_network(**options), weighted),
        "  and words start from log-odds": (
            make_network(embeddings=vectors, **options),
            weighted,
        ),
    }
    return {
        name: model.fit(X, y, **weights).score(sentences[test], labels[test])
        for name, (model, weights) in models.items()
    }


def search(sentences, labels):
    """Search over tokenizer and network at once; every fold learns its own words."""
    grid = {
        "sequencetokenizer__min_count": [1, 2],
        "rnnclassifier__embedding_dim": [WIDTH, 2 * WIDTH],
    }
    found = GridSearchCV(make_network(), grid, cv=3, n_jobs=2).fit(sentences, labels)
    print(f"Grid search: {found.best_score_:.3f} with {found.best_params_}")


# %% [markdown]
# ## A picture of attention


# %%
def draw(sentences, labels, path, **options):
    """Save a picture of which words count."""
    import matplotlib.pyplot as plt

    model = make_network(pooling="attention", **options).fit(
        sentences[:-500], labels[:-500]
    )
    short = [text for text in sentences[-500:] if len(text.split()) <= 12][:SHOWN]
    figure, ax = plt.subplots(figsize=(13, 4), layout="constrained")
    AttentionDisplay.from_estimator(model, short, names=model.predict(short), ax=ax)
    ax.set_title("Attention to words, and the predicted class of each sentence")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folds", type=int, default=1, help="how many of the five")
    parser.add_argument("--sentences", type=int, default=0, help="0 takes all")
    parser.add_argument("--epochs", type=int, help="instead of 600 updates")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--picture", default="sentiment.png")
    options = parser.parse_args(arguments)

    data = load_movie_sentences()
    rows = slice(options.sentences or None)
    sentences, labels = data.data[rows], data.target[rows]
    training = {"max_epochs": options.epochs or "auto"}
    sure = np.abs(data.rating[rows])
    folds = StratifiedKFold(5).split(sentences, labels)
    scores = [
        score_fold(sentences, labels, sure, train, test, **training)
        for (train, test), _ in zip(folds, range(options.folds), strict=False)
    ]
    means = {
        name: float(np.mean([fold[name] for fold in scores])) for name in scores[0]
    }
    print(f"Accuracy, mean of {len(scores)} of 5 folds of {len(sentences)} sentences:")
    for name, mean in means.items():
        each = " ".join(f"{fold[name]:.3f}" for fold in scores)
        print(f"  {name:<34} {mean:.3f}  ({each})")
    if options.search:
        search(sentences, labels)
    draw(sentences, labels, options.picture, **training)
    print(f"Picture of the attention: {options.picture}")
    return means


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
