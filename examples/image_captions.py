# %% [markdown]
"""Write captions of handwritten digits: from one vector to a sequence of words.

An image of scikit-learn's ``load_digits`` (8 by 8 pixels) goes in as a vector, and
what comes out is a caption such as "a thin seven leaning right" or "an eight". The
captions to learn from are made from the label, which gives the digit's name, and
from what can be measured of the image: how much ink it has (thin, bold), how far the
ink spreads to the sides (narrow, wide), and how much it leans. A word is used for
the quarter of the images that it fits best, so that captions have 2 to 6 words.

The network gets the pixels and learns to write from whole captions alone: which
words there are, what they mean, their order, and when it is "an". For comparison
there is a classifier for each part of a caption, which is told what the parts are,
and the right grammar. How often a word is right is asked of each part on its own;
no word, as for an image neither thin nor bold, counts as an answer as well.

    python examples/image_captions.py

It takes about half a minute. Options: ``--epochs 60``, ``--picture FILE``.

The settings were chosen on a part of the training images. About as many
captions are right in every word as by the classifiers, and nearly all are well formed.
Wrong ones have as a rule one word too many or too few, for an image close to the border
between two quarters; thin is hardly ever called bold, or left right.
"""

# %%
import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_rnn import RNNSeq2Seq
from sklearn_rnn.metrics import sequence_accuracy

NAMES = "zero one two three four five six seven eight nine".split()
# Of each part the words for little and for much; between them there is none.
PARTS = {
    "thickness": ["thin", "bold"],
    "width": ["narrow", "wide"],
    "digit": NAMES,
    "slant": ["leaning left", "leaning right"],
}
SIDE = 8  # pixels


# %% [markdown]
# ## The captions
#
# Thickness, width and slant are measured from the pixels. Captions are made from what
# is far from the average.


# %%
def measure(X):
    """Return how thick, wide and slanted the digits are, a column each."""
    images = X.reshape(-1, SIDE, SIDE)
    down, right = np.mgrid[:SIDE, :SIDE]

    def mean(values):
        return (images * values).sum(axis=(1, 2)) / images.sum(axis=(1, 2))

    right = right - mean(right)[:, None, None]
    down = down - mean(down)[:, None, None]
    return pd.DataFrame(
        {
            "thickness": X.sum(axis=1),
            "width": mean(right**2),
            # A straight line through the ink: how far right it goes a pixel up.
            "slant": -mean(right * down) / mean(down**2),
        }
    )


def describe(X, y, limits):
    """Return the true words of each image, a column a part, "" for no word."""
    words = pd.DataFrame("", index=range(len(X)), columns=list(PARTS))
    words["digit"] = np.array(NAMES)[y]
    for part, values in measure(X).items():
        low, high = limits[part]
        words.loc[values < low, part], words.loc[values > high, part] = PARTS[part]
    return words


def write(words):
    """Make captions, lists of words, from a table of words."""
    captions = []
    for row in words.itertuples(index=False):
        caption = " ".join(row).split()
        article = "an" if caption[0] == "eight" else "a"
        captions.append([article, *caption])
    return captions


def read(captions):
    """Return the words of each part in the captions, a column a part."""
    texts = [" ".join(caption) for caption in captions]
    return pd.DataFrame(
        {
            part: [next((w for w in words if w in text), "") for text in texts]
            for part, words in PARTS.items()
        }
    )


# %% [markdown]
# ## The models
#
# A network that writes a caption from one vector, and classifiers that tell each word
# by itself.


# %%
def make_model(n_epochs):
    """Make a network that reads a vector and writes words."""
    return RNNSeq2Seq(
        hidden_size=256,
        attention_type=None,  # of a single vector there is nothing to choose
        dropout=0.3,
        optimizer="adamw",
        weight_decay=0.3,
        max_epochs=n_epochs,
        random_state=0,
    )


def make_baselines():
    """Make the classifiers that tell the word of one part."""
    return {
        "LogisticRegression": LogisticRegression(max_iter=2000),
        "MLPClassifier": MLPClassifier((128,), max_iter=400, random_state=0),
    }


def caption_by_classifiers(baseline, X_train, words, X_test):
    """Tell each part on its own, and write captions with the right grammar."""
    model = make_pipeline(StandardScaler(), baseline)
    found = {
        part: model.fit(X_train, words[part]).predict(X_test) for part in words.columns
    }
    return write(pd.DataFrame(found))


# %% [markdown]
# ## Scores
#
# How many captions, and how many words, are right.


# %%
def compute_shares(truth, captions):
    """Return the fractions of right captions and of right words of each part."""
    right = (read(truth) == read(captions)).mean()
    return {"whole caption": sequence_accuracy(truth, captions), **right}


# %% [markdown]
# ## A picture of captions


# %%
def part_words(caption, other):
    """Return the words in up to two lines, each with whether `other` has it too."""
    parts = [(word, word in other) for word in caption]
    return (
        [parts[: caption.index("leaning")], parts[caption.index("leaning") :]]
        if ("leaning" in caption)
        else [parts]
    )


def write_under(ax, lines, top, right, wrong):
    """Write lines of words below an image, in the colours `right` and `wrong`."""
    from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea, VPacker

    rows = [
        HPacker(
            children=[
                TextArea(word, textprops={"color": right if same else wrong})
                for word, same in line
            ],
            pad=0,
            sep=4,
        )
        for line in lines
    ]
    box = VPacker(children=rows, align="center", pad=0, sep=2)
    place = {"xycoords": "axes fraction", "box_alignment": (0.5, 1)}
    ax.add_artist(AnnotationBbox(box, (0.5, top), frameon=False, pad=0, **place))


def draw(X, truth, captions, path):
    """Save a picture of test images with their captions, and the true ones below."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 6, figsize=(12, 11.5))
    figure.subplots_adjust(0.02, 0.09, 0.98, 0.93, wspace=0.1, hspace=0.62)
    for ax, image, true, caption in zip(axes.flat, X, truth, captions, strict=False):
        ax.imshow(image.reshape(SIDE, SIDE), cmap="Greys")
        ax.set(xticks=[], yticks=[])
        lines = part_words(caption, true)
        write_under(ax, lines, -0.04, "black", "tab:red")
        if caption != true:
            top = -0.1 - 0.12 * len(lines)
            write_under(ax, part_words(true, caption), top, "gray", "tab:green")
    figure.suptitle(
        "Red: wrong words. Below: the true caption; green: words not written"
    )
    figure.savefig(path, dpi=110)


# %% [markdown]
# ## The run
#
# In a notebook, options go in as a list: `main(["--help"])` names them.


# %%
def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--picture", default="image_captions.png")
    options = parser.parse_args(arguments)

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=0
    )
    limits = measure(X_train).quantile([0.25, 0.75])
    words = describe(X_train, y_train, limits)
    learned, truth = write(words), write(describe(X_test, y_test, limits))
    print(f"{len(X_train)} images to learn from. Captions of some:")
    for caption in learned[:4]:
        print(f"    {' '.join(caption)}")

    model = make_model(options.epochs).fit(X_train, learned)
    captions = model.predict(X_test).tolist()
    results = {"RNNSeq2Seq": compute_shares(truth, captions)}
    for name, baseline in make_baselines().items():
        found = caption_by_classifiers(baseline, X_train, words, X_test)
        results[f"{name} a part"] = compute_shares(truth, found)
    results = pd.DataFrame(results).T
    print(f"Right for {len(X_test)} new images (%):")
    print((100 * results).round(1).to_string())
    draw(X_test, truth, captions, options.picture)
    print(f"Picture of new images with their captions: {options.picture}")
    return results


# %%
if __name__ == "__main__":
    # A notebook has no command line.
    main([] if "kernel_launcher" in sys.argv[0] else None)
