# %% [markdown]
"""Classify kick, snare, hi-hat, tom and cymbal, on drum kits not trained on.

128 recorded hits of four kits. Each kit in turn is left out, the models learn from the
other three and are tested on the one left out, as hits of one kit resemble each other.
The network reads mel-frequency cepstral coefficients frame by frame; the baselines,
logistic regression and nearest neighbours, see their mean and standard deviation over
each hit, or those of the log-mel spectrum.

    python examples/drum_sounds.py

prints the accuracy for each kit, and saves a picture of four hits and of the
confusions. The baselines have the settings that were best on these same tests. With
``--choose`` the settings of all models are chosen for each kit that is left out, by
cross-validation over the other kits (a few minutes).

Other options: ``--networks 5`` (that are averaged), ``--seed 0``, ``--picture FILE``.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_rnn import (
    LogMelSpectrogram,
    RNNClassifier,
    SequenceScaler,
    SpectrogramDisplay,
)
from sklearn_rnn.datasets import load_drum_hits

# %% [markdown]
# ## The network
#
# From waveform to spectrogram to instrument, in one pipeline.


# %%
def make_network(seed, pooling="attention"):
    return RNNClassifier(
        bidirectional=True,
        pooling=pooling,
        convolutions=None,  # of other kits they know less than the network
        class_weight="balanced",
        max_epochs=40,
        random_state=seed,
    )


def make_networks(n, seed):
    """Return a pipeline whose last step averages some networks."""
    networks = [(f"seed {seed + i}", make_network(seed + i)) for i in range(n)]
    return Pipeline(
        [
            ("spectra", LogMelSpectrogram(n_mfcc=20)),
            ("scale", SequenceScaler()),
            ("classify", VotingClassifier(networks, voting="soft")),
        ]
    )


# %% [markdown]
# ## Baselines
#
# Classifiers that see the mean spectrum of a hit but not the order of its frames.


# %%
def mean_and_deviation(sequences):
    """Describe each sequence of frames by mean and deviation of its features."""
    return np.array([np.r_[x.mean(axis=0), x.std(axis=0)] for x in sequences])


def make_baseline(classifier, n_mfcc=None):
    """Return a pipeline that sees a hit's spectrum, but not its course."""
    return Pipeline(
        [
            ("spectra", LogMelSpectrogram(n_mfcc=n_mfcc)),
            ("summarize", FunctionTransformer(mean_and_deviation)),
            ("scale", StandardScaler()),
            ("classify", classifier),
        ]
    )


def logistic(**options):
    return LogisticRegression(class_weight="balanced", max_iter=3000, **options)


# %% [markdown]
# ## The test
#
# Each kit in turn is left out, and its hits are classified by models trained on the
# others.


# %%
def make_models(n_networks, seed):
    """Return the networks, and the baselines with their best settings in hindsight."""
    return {
        f"{n_networks} networks": make_networks(n_networks, seed),
        "one network": make_networks(1, seed),
        "logistic, log-mel": make_baseline(logistic(C=0.03)),
        "logistic, MFCC": make_baseline(logistic(C=0.3), n_mfcc=20),
        "neighbours, log-mel": make_baseline(KNeighborsClassifier(3)),
        "neighbours, MFCC": make_baseline(KNeighborsClassifier(5), n_mfcc=20),
    }


def make_searches(n_networks, seed):
    """Return models, and what is chosen between."""
    network = make_networks(1, seed).set_params(classify=make_network(seed))
    n_mfcc = {"spectra__n_mfcc": [None, 20]}
    strengths = {"classify__C": [0.03, 0.3, 3]}
    neighbours = {"classify__n_neighbors": [1, 3, 5]}
    poolings = {"classify__pooling": ["mean", "attention"]}
    baseline = make_baseline(logistic())
    nearest = make_baseline(KNeighborsClassifier())
    return {
        "one network": (network, {**n_mfcc, **poolings}),
        "logistic, log-mel": (baseline, strengths),
        "logistic, either": (baseline, {**n_mfcc, **strengths}),
        "neighbours, either": (nearest, {**n_mfcc, **neighbours}),
    }


def predict_chosen(pipeline, grid, drums):
    """Predict each kit by a model whose settings the other kits have chosen."""
    found = np.empty_like(drums.target)
    kits = LeaveOneGroupOut()
    for train, test in kits.split(drums.data, drums.target, drums.kit):
        search = GridSearchCV(pipeline, grid, cv=kits)
        hits = [drums.data[i] for i in train]
        search.fit(hits, drums.target[train], groups=drums.kit[train])
        found[test] = search.predict([drums.data[i] for i in test])
    return found


def predict_all(drums, options):
    """Return the predictions of every model for every kit that is left out."""
    if options.choose:
        searches = make_searches(options.networks, options.seed)
        return {name: predict_chosen(*parts, drums) for name, parts in searches.items()}
    return {
        name: cross_val_predict(
            model, drums.data, drums.target, groups=drums.kit, cv=LeaveOneGroupOut()
        )
        for name, model in make_models(options.networks, options.seed).items()
    }


# %% [markdown]
# ## A picture of hits and confusions


# %%
def draw(drums, predicted, path):
    """Save a picture of four hits, and of the confusions of instruments."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.4, 1])
    shown = [int(np.flatnonzero(drums.target == t)[9]) for t in drums.target_names[1:]]
    mel = LogMelSpectrogram().fit(drums.data)
    SpectrogramDisplay.from_estimator(
        mel,
        [drums.data[i] for i in shown],
        titles=[f"{drums.target[i]} ({drums.kit[i]})" for i in shown],
        ax=left.subplots(2, 2),
    )
    display = ConfusionMatrixDisplay.from_predictions(
        drums.target, predicted, ax=right.subplots(), cmap="Blues", colorbar=False
    )
    display.ax_.set(xlabel="predicted", ylabel="true")
    display.ax_.set_title(f"{np.mean(drums.target == predicted):.0%} of all hits right")
    figure.savefig(path, dpi=120)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="drum_sounds.png")
    options = parser.parse_args(arguments)

    drums = load_drum_hits()
    predicted = predict_all(drums, options)
    right = pd.DataFrame({name: drums.target == p for name, p in predicted.items()})
    table = right.groupby(drums.kit).mean().T
    table.columns = [f"{kit} ({np.sum(drums.kit == kit)})" for kit in table]
    table["all hits"] = right.mean()
    print("Accuracy on the hits of each kit, trained on the other kits:")
    print(table.round(3).to_string())
    draw(drums, next(iter(predicted.values())), options.picture)
    print(f"Picture of hits and confusions: {options.picture}")
    return table


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
