"""Spell out how English words sound: letters to phonemes, with attention.

An encoder reads the letters of a word, a decoder writes its phonemes and looks back
at the letters by attention. The words are those of the CMU Pronouncing Dictionary,
split by word into 90 % for training, 5 % for validation and 5 % for testing; of a
word with several pronunciations the first is learned, and any of them counts as
right.

    python examples/pronunciation.py

trains on 20,000 words, in about a minute. All 113,000, with more units and epochs, take
about 15 minutes on one core, and leave 30 % of the words with an error:

    python examples/pronunciation.py --words 0 --test-words 0 --units 192 --epochs 12

Other option: ``--picture FILE``.

The picture shows which letters were looked at for each phoneme: the path runs down
the diagonal, and leaves out letters that are silent.
"""

import argparse

import numpy as np

from sklearn_rnn import AttentionDisplay, RNNSeq2Seq
from sklearn_rnn.datasets import load_cmudict
from sklearn_rnn.metrics import symbol_error_rate

SHOWN = ["thorough", "psychology", "knight", "recurrent"]


def nearest(pronunciations, written):
    """Return the one of a word's pronunciations that is nearest to what was written."""
    if len(pronunciations) == 1:
        return pronunciations[0]
    errors = [symbol_error_rate([right], [written]) for right in pronunciations]
    return pronunciations[int(np.argmin(errors))]


def judge(model, words):
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


def draw(model, path):
    """Save a picture of which letters each phoneme was looked up from."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(10, 9), layout="constrained")
    for ax, word in zip(panels.flat, SHOWN, strict=True):
        AttentionDisplay.from_estimator(model, [word], ax=ax)
        ax.set_title(f"{word}: {' '.join(model.predict([word])[0])}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=20_000, help="0 takes all")
    parser.add_argument("--units", type=int, default=128)
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
    model = RNNSeq2Seq(
        hidden_size=options.units,
        batch_size=128,
        max_epochs=options.epochs,
        random_state=0,
    )
    model.fit(train.data, train.target)
    seconds = sum(epoch["dur"] for epoch in model.history_)
    print(
        f"{len(train.data)} words, {options.epochs} epochs: {seconds:.0f} s, "
        f"{model.n_parameters_} weights"
    )
    results = {}
    print(f"On {len(test.data)} words that were not trained on:")
    for name, beam_width in [("greedy", 1), ("beam of 5", 5)]:
        results[name] = judge(model.set_params(beam_width=beam_width), test)
        errors = ", ".join(f"{key} {value:.1%}" for key, value in results[name].items())
        print(f"  {name}: {errors}")
    print("The best three for 'bach':")
    for phonemes, score in model.predict_n_best(["bach"], n=3)[0]:
        print(f"  {' '.join(phonemes)}  ({score:.2f})")
    draw(model, options.picture)
    print(f"Picture of the attention: {options.picture}")
    return {**results, "seconds": seconds}


if __name__ == "__main__":
    main()
