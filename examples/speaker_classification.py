# %% [markdown]
"""Classify nine speakers by how they say two vowels.

The utterances have different lengths, 7 to 29 frames, and go into the
classifier as they are: a list of arrays. Trains a network with the default
parameters and one that also reads backwards on the published training split,
prints the accuracy of both on the test split, and saves a picture of which
speakers the first one mistook for which.

    python examples/speaker_classification.py

With ``--search`` it also chooses pooling, direction and units by a grid search on the
training split alone, and reports the test accuracy of the winner with five seeds (some
minutes).

Other options: ``--models default bidirectional``, ``--picture FILE``.
"""

# %%
import argparse
import sys
from time import perf_counter

import pandas as pd
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklearn_rnn import RNNClassifier
from sklearn_rnn.datasets import load_japanese_vowels

MODELS = {  # what departs from the default parameters
    "default": {},
    "bidirectional": {"bidirectional": True},
}

GRID = {
    "bidirectional": [False, True],
    "pooling": ["last", "mean", "max"],
    "hidden_size": [64, 128],
}


# %% [markdown]
# ## The data
#
# Utterances of nine speakers, a list of arrays of unequal length.


# %%
def describe(X, y):
    """Print what the training utterances look like."""
    lengths = [len(utterance) for utterance in X]
    print(
        f"{len(X)} utterances of {len(set(y))} speakers: {min(lengths)} to "
        f"{max(lengths)} frames of {X[0].shape[1]} coefficients"
    )


# %% [markdown]
# ## The search
#
# Only with the option `--search`: settings chosen on the training split alone.


# %%
def search(X_train, y_train, X_test, y_test):
    """Choose settings by the training split; return the winner's test accuracies."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = GridSearchCV(RNNClassifier(random_state=0), GRID, cv=folds, n_jobs=2)
    found.fit(X_train, y_train)
    print(f"Best on the training split: {found.best_params_}, {found.best_score_:.3f}")
    scores = []
    for seed in range(5):
        winner = RNNClassifier(**found.best_params_, random_state=seed)
        scores.append(winner.fit(X_train, y_train).score(X_test, y_test))
    print("Its test accuracy, five seeds:", *(f"{score:.3f}" for score in scores))
    return scores


# %% [markdown]
# ## A picture of confusions


# %%
def draw(y_true, y_pred, path):
    """Save a picture of which speaker was taken for which."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 5.2), layout="constrained")
    display = ConfusionMatrixDisplay.from_predictions(
        y_true, y_pred, ax=axes, cmap="Blues", colorbar=False
    )
    for text in display.text_.ravel():
        if text.get_text() == "0":  # only what happened
            text.set_visible(False)
    axes.set(
        title=f"{accuracy_score(y_true, y_pred):.1%} of the test utterances recognised",
        xlabel="predicted speaker",
        ylabel="true speaker",
    )
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--picture", default="speaker_classification.png")
    options = parser.parse_args(arguments)

    X_train, y_train = load_japanese_vowels(subset="train", return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    describe(X_train, y_train)

    results, predictions = {}, {}
    for name in options.models:
        model = RNNClassifier(**MODELS[name], random_state=0)
        begin = perf_counter()
        model.fit(X_train, y_train)
        seconds = perf_counter() - begin
        predictions[name] = model.predict(X_test)
        results[name] = {
            "test accuracy": accuracy_score(y_test, predictions[name]),
            "parameters": model.n_parameters_,
            "epochs": model.n_iter_,
            "seconds to fit": seconds,
        }
    print(pd.DataFrame(results).T.round(3).astype({"parameters": int, "epochs": int}))
    draw(y_test, predictions[options.models[0]], options.picture)
    print(f"Picture of the confusions: {options.picture}")
    if options.search:
        results["search"] = search(X_train, y_train, X_test, y_test)
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
