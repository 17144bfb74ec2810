"""Digests of fits with a seed: what the tests of determinism compare.

    python tests/integration/fits_by_seed.py 2

prints as JSON the digest of a fit of every estimator with two threads, and

    python tests/integration/fits_by_seed.py windows

that of a default fit on as many windows as NumPy multiplies by several threads.
"""

import hashlib
import json
import sys
import warnings

import numpy as np
from sklearn.utils import check_random_state

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SklearnRNNWarning,
    make_windows,
)

SMALL = {"hidden_size": 8, "max_epochs": 2, "dropout": 0.2, "batch_size": 16}
X = np.random.RandomState(0).normal(size=(64, 12, 3))
Y = X[:, :, 0].sum(axis=1)
WORDS = ["".join(check_random_state(i).choice(list("abc"), 6)) for i in range(64)]
ESTIMATORS = {
    "regressor": (RNNRegressor, (X, Y), "predict"),
    "classifier": (RNNClassifier, (X, Y > 0), "predict_proba"),
    "tagger": (RNNTagger, (X, X[:, :, 0] > 0), "predict_proba"),
    "generator": (RNNGenerator, (WORDS,), "score_steps"),
    "encoder-decoder": (RNNSeq2Seq, (WORDS, WORDS), "attention"),
    "transcriber": (RNNTranscriber, (X, WORDS), "posteriors"),
}


def fit(name, n_threads=1, random_state=0):
    """Return the weights of a fit, and predictions, as arrays."""
    kind, data, method = ESTIMATORS[name]
    model = kind(**SMALL, n_threads=n_threads, random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnRNNWarning)
        model.fit(*data)
    given = data if method == "attention" else data[:1]
    weights = [w.detach().cpu().numpy() for w in model.module_.state_dict().values()]
    return [*weights, *getattr(model, method)(*given)]


def digest_of_fit(name, n_threads=1, random_state=0):
    """Return a digest of the bytes of weights and predictions."""
    digest = hashlib.sha256()
    for array in fit(name, n_threads, random_state):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def digest_of_windows():
    """Return a digest of what a default regressor on 2,900 windows predicts."""
    table = np.random.RandomState(0).normal(size=(2948, 4)).cumsum(axis=0)
    windows = make_windows(table[:-1], n_steps=48)
    model = RNNRegressor(max_epochs=1, random_state=0).fit(windows, table[48:, 0])
    predictions = model.predict(windows)
    coef = np.ascontiguousarray(model.linear_.coef_)
    return hashlib.sha256(coef.tobytes() + predictions.tobytes()).hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "windows":
        print(digest_of_windows())
        sys.exit()
    n_threads = int(sys.argv[1])
    print(json.dumps({name: digest_of_fit(name, n_threads) for name in ESTIMATORS}))
