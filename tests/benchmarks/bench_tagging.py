"""Parts of speech: `WordFeatures` with `RNNTagger`, beside a linear model on affixes.

    python tests/benchmarks/bench_tagging.py --data FOLDER
    python tests/benchmarks/bench_tagging.py --data FOLDER --half held-out --seeds 3

FOLDER holds ``tagging/talbanken_fit.tsv.gz`` and ``talbanken_score.tsv.gz`` (Universal
Dependencies Swedish-Talbanken): word and tag per line, an empty line between sentences.
The development half trains on four fifths of the first file and scores the rest; the
held-out half trains on the first and scores the second. Unknown words are those that
the training sentences do not hold, in upper or lower case. sklearn-crfsuite takes part
if it is installed.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
from machine import print_machine, use_one_core
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sklearn_rnn import RNNTagger, SequenceTokenizer, WordFeatures

CONTEXT = 2


def read(path):
    """Return the words and the tags of each sentence."""
    text = gzip.open(path, "rt", encoding="utf-8").read()
    sentences = [
        [line.split("\t")[:2] for line in block.splitlines()]
        for block in text.strip().split("\n\n")
    ]
    words = [[word for word, _ in sentence] for sentence in sentences]
    return words, [[tag for _, tag in sentence] for sentence in sentences]


def describe(word):
    """Return the features that a linear tagger is usually given."""
    low = word.lower()
    found = {"word": low, "title": word.istitle(), "upper": word.isupper()}
    found |= {"digit": any(c.isdigit() for c in word), "hyphen": "-" in word}
    found |= {f"suffix{n}": low[-n:] for n in (1, 2, 3, 4)}
    return found | {f"prefix{n}": low[:n] for n in (2, 3)}


def windows(sentence):
    """Return the features of each word, with those of its neighbours."""
    own = [describe(word) for word in sentence]
    rows = []
    for i, features in enumerate(own):
        row = {f"0:{name}": value for name, value in features.items()}
        for k in range(-CONTEXT, CONTEXT + 1):
            if k and 0 <= i + k < len(own):
                near = own[i + k]
                names = near if abs(k) == 1 else ["word"]
                row |= {f"{k}:{name}": near[name] for name in names}
            elif k:
                row[f"{k}:outside"] = True
        rows.append(row)
    return rows


def with_small_indices(table):
    """Return a sparse table with the indices that LIBLINEAR takes."""
    table.indices, table.indptr = (
        a.astype(np.int32) for a in (table.indices, table.indptr)
    )
    return table


class LinearTagger:
    """A linear support vector machine on affixes and a window of words.

    Of C=0.1 and 0.3, of logistic regressions with C=3, 10 and 30, and of affixes of one
    or two neighbours, this was best on the development half.
    """

    def fit(self, X, y):
        """Fit to words and tags."""
        rows = [row for sentence in X for row in windows(sentence)]
        self.vectorizer = DictVectorizer()
        table = with_small_indices(self.vectorizer.fit_transform(rows))
        self.model = LinearSVC(C=0.3).fit(table, np.concatenate(y))
        return self

    def predict(self, X):
        """Return the tags of all words in a row."""
        rows = [row for sentence in X for row in windows(sentence)]
        return [self.model.predict(with_small_indices(self.vectorizer.transform(rows)))]


def crfsuite():
    """Return sklearn-crfsuite's tagger on the same features, or None."""
    try:
        import sklearn_crfsuite
    except ImportError:
        return None

    class Tagger(sklearn_crfsuite.CRF):
        def fit(self, X, y):
            return super().fit([windows(sentence) for sentence in X], y)

        def predict(self, X):
            return super().predict([windows(sentence) for sentence in X])

    return Tagger(c1=0.1, c2=0.1, max_iterations=100, all_possible_transitions=True)


def ours(seed, **options):
    return make_pipeline(WordFeatures(), RNNTagger(random_state=seed, **options))


def by_ids(seed):
    tagger = RNNTagger(embedding_dim=50, bidirectional=True, random_state=seed)
    return make_pipeline(SequenceTokenizer(), tagger)


MODELS = {
    "WordFeatures + RNNTagger(bidirectional=True)": lambda seed: ours(
        seed, bidirectional=True
    ),
    "the same, transition_weight=0.3": lambda seed: ours(
        seed, bidirectional=True, transition_weight=0.3
    ),
    "WordFeatures + RNNTagger, hidden_size=128, dropout=0.3": lambda seed: ours(
        seed, bidirectional=True, hidden_size=128, dropout=0.3
    ),
    "WordFeatures + RNNTagger()": ours,
    "SequenceTokenizer + RNNTagger(bidirectional=True)": by_ids,
    "linear model on affixes and window": lambda seed: LinearTagger(),
    "sklearn-crfsuite on the same": lambda seed: crfsuite(),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", choices=["development", "held-out"])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    use_one_core()
    print_machine()
    X, y = read(options.data / "tagging" / "talbanken_fit.tsv.gz")
    if options.half == "held-out":
        X_test, y_test = read(options.data / "tagging" / "talbanken_score.tsv.gz")
    else:
        order = np.random.default_rng(0).permutation(len(X))
        n_test = len(X) // 5
        X_test, y_test = ([part[i] for i in order[:n_test]] for part in (X, y))
        X, y = ([part[i] for i in order[n_test:]] for part in (X, y))
    known = {word.lower() for sentence in X for word in sentence}
    true = np.concatenate(y_test)
    is_new = np.array([w.lower() not in known for s in X_test for w in s])
    print(
        f"{len(X)} sentences to train on, {len(X_test)} to score, {is_new.mean():.1%} "
        f"of the words unknown; mean of {options.seeds} seeds"
    )
    print(f"{'':52}{'all':>8}{'known':>8}{'unknown':>8}{'fit s':>8}")
    for name, make in MODELS.items():
        rows = []
        for seed in range(options.seeds):
            model = make(seed)
            if model is None:
                break
            begin = time.perf_counter()
            model.fit(X, y)
            seconds = time.perf_counter() - begin
            right = np.concatenate(list(model.predict(X_test))) == true
            rows.append([right.mean(), right[~is_new].mean(), right[is_new].mean()])
            rows[-1].append(seconds)
        if rows:
            *scores, seconds = np.mean(rows, axis=0)
            figures = "".join(f"{score:8.4f}" for score in scores)
            print(f"{name:52}{figures}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
