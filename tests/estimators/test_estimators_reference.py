"""Fitted weights and predictions are those of a stored reference.

A refactoring changes none of them. ``reference.json`` beside this file holds, for a
grid of estimators, options and data, short summaries of float64 results. Bits depend
on instruction set and libraries, so they are compared to within 1e-6. Where numbers
are meant to change, write the file again and read the diff: it has a line per case.

    PYTHONPATH=tests python tests/estimators/test_estimators_reference.py --write

Bit for bit, with float32 and torch's kernels as well, results are compared with a file
of the same machine, which the code before the change wrote (it is none of the
repository):

    PYTHONPATH=tests python tests/estimators/test_estimators_reference.py \
        --write-exact /tmp/before.json
    SKLEARN_RNN_EXACT_REFERENCE=/tmp/before.json pytest \
        tests/estimators/test_estimators_reference.py
"""

import argparse
import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from old_versions import needs_torch_2_13
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceArray,
    SequenceWindower,
    StatefulPredictor,
    TargetWarning,
    forecast,
    make_forecast_frame,
    make_windows,
)

REFERENCE = Path(__file__).with_name("reference.json")
EXACT = os.environ.get("SKLEARN_RNN_EXACT_REFERENCE")
SMALL = {"hidden_size": 5, "max_epochs": 2, "random_state": 0, "n_threads": 1}
RTOL = 1e-6


# Data


def rng():
    return np.random.RandomState(0)


def numbers(n_sequences=40):
    """Return sequences with a target that depends on all steps."""
    X = rng().normal(size=(n_sequences, 6, 3))
    return X, X[:, :, 0].sum(axis=1) + X[:, -1, 1] ** 2


def ragged():
    X, y = numbers()
    return [x[: 2 + i % 5] for i, x in enumerate(X)], y


def walks():
    """Return overlapping windows of a random walk, and the next value of each."""
    series = rng().normal(size=(90, 2)).cumsum(axis=0)
    return make_windows(series, series[:, 0], n_steps=6, horizon=1)


def per_step(X_y):
    """Return the inputs with a target per step."""
    X, _ = X_y
    return X, [x[:, 0].cumsum() for x in X]


def labelled(X_y):
    X, y = X_y
    return X, np.digitize(y, [-1, 1]).astype(str)


def tagged(X_y):
    X, _ = X_y
    return X, [np.where(x[:, 0].cumsum() > 0, "up", "down") for x in X]


def tokens():
    X = [rng().randint(12, size=3 + i % 4) + i % 3 for i in range(40)]
    return X, np.array([np.isin(x, [2, 5, 7]).sum() for x in X], dtype=float)


def coded():
    """Return sequences whose last feature is a category."""
    X, y = numbers()
    X[:, :, 2] = rng().randint(4, size=X.shape[:2])
    return X, y + X[:, -1, 2]


def with_gaps():
    X, y = numbers()
    y[::7] = np.nan
    return X, y


def several():
    X, y = numbers()
    return X, np.column_stack([y, y[::-1] * 3 + 1])


def words(seed=0):
    random = np.random.RandomState(seed)
    return ["".join(random.choice(list("abcd"), 2 + i % 4)) for i in range(40)]


def reversed_words():
    X = words()
    return X, [x[::-1] for x in X]


def described():
    """Return vectors and the words that they stand for."""
    y = words()
    return np.array([[w.count("a"), w.count("b"), len(w)] for w in y], float), y


def spoken():
    y = words()
    frames = {letter: 3 * np.eye(4)[i] for i, letter in enumerate("abcd")}
    X = [np.repeat([frames[s] for s in w], 4, axis=0) for w in y]
    return [x + rng().normal(0, 0.3, x.shape) for x in X], y


def text():
    return "the cat sat on the mat and the dog sat on the log. " * 8


def frames():
    return (rng().uniform(size=(1, 60, 4)) < 0.3).astype(float)


# What is done with a model


def results_of(model, X):
    """Return the weights, the course of training, and all predictions."""
    found = {}
    if hasattr(model, "module_"):
        found["loss"] = model.loss_curve_
        found["weights"] = np.concatenate(
            [p.detach().numpy().ravel() for p in model.module_.state_dict().values()]
        )
    for method in (
        "predict",
        "predict_proba",
        "predict_quantiles",
        "hidden_states",
        "input_gradients",
        "attention_weights",
        "posteriors",
        "attention",
    ):
        if not hasattr(model, method):
            continue
        try:
            found[method] = getattr(model, method)(X)
        except (AttributeError, ValueError, TypeError):
            continue  # this model has no pooling that attends, tokens no gradients
    return found


def fitted(model, X, y, **others):
    return results_of(model.fit(X, y, **others), X)


def partial(model, X, y):
    for half in (slice(0, None, 2), slice(1, None, 2)):
        model.partial_fit(X[half], y[half])
    return results_of(model, X)


def twice(model, X, y):
    return results_of(model.set_params(warm_start=True).fit(X, y).fit(X, y), X)


def weighted(model, X, y):
    return fitted(model, X, y, sample_weight=np.arange(len(y)) % 4 + 0.5)


def validated(model, X, y):
    return fitted(model, X[10:], y[10:], X_val=X[:10], y_val=y[:10])


def stepwise(model, X, y):
    """Predict step by step, with the state carried over."""
    model.fit(X, y)
    stateful = StatefulPredictor(model)
    return {
        f"step {k}": np.asarray(stateful.predict(X[:, k : k + 1])) for k in range(3)
    }


def n_best(model, X, y):
    best = model.fit(X, y).predict_n_best(X[:4], 3)
    found = {"texts": [text for row in best for text, _ in row]}
    return found | {"scores": [score for row in best for _, score in row]}


def written(model, X, y=None):
    model.fit(X)
    found = results_of(model, X)
    prompt = X[:4] if isinstance(X, str) else X[0]
    found["sample"] = model.sample(prompt, 30, random_state=0)
    found["score_steps"] = model.score_steps(X)
    return found


def tables(model, X=None, y=None):
    """Forecast a table by a pipeline."""
    days = pd.date_range("2024-01-01", periods=90, freq="D")
    sales = 10 + np.sin(np.arange(90) * 2 * np.pi / 7) + rng().normal(0, 0.1, 90)
    table = pd.DataFrame({"sales": sales, "price": np.arange(90.0) % 5}, index=days)
    X, Y = make_forecast_frame(table, target="sales", horizon=3)
    pipe = make_pipeline(SequenceWindower(9), model).fit(X, Y)
    ahead = forecast(pipe, table)
    return {
        "predict": pipe.predict(X),
        "forecast": ahead.select_dtypes("number").to_numpy(),
    }


def case(model, data=None, run=fitted):
    return model, data, run


def regressor(data=numbers, run=fitted, **options):
    options = {"linear_skip": False, **SMALL, **options}
    return case(RNNRegressor(**options), data, run)


def classifier(data=lambda: labelled(numbers()), run=fitted, **options):
    options = {"convolutions": None, "bag_of_words": False, **SMALL, **options}
    return case(RNNClassifier(**options), data, run)


def tagger(data=lambda: tagged(ragged()), run=fitted, **options):
    return case(RNNTagger(**{**SMALL, **options}), data, run)


def seq2seq(data=reversed_words, run=fitted, **options):
    return case(RNNSeq2Seq(**{"embedding_dim": 3, **SMALL, **options}), data, run)


def transcriber(data=spoken, run=fitted, **options):
    return case(RNNTranscriber(**{**SMALL, **options}), data, run)


def generator(data=lambda: (text(),), run=written, **options):
    options = {"embedding_dim": 3, "bptt_steps": 20, **SMALL, **options}
    return case(RNNGenerator(**options), data, run)


CASES = {
    "regressor": regressor(),
    **{f"cell={c}": regressor(cell=c) for c in ("rnn", "rnn_relu", "lstm")},
    "layers": regressor(n_layers=3, bidirectional=True, residual=True, layer_norm=True),
    "lstm, bidirectional, ragged": regressor(ragged, cell="lstm", bidirectional=True),
    **{f"pooling={p}": regressor(ragged, pooling=p) for p in ("mean", "max")},
    "pooling=attention": regressor(ragged, pooling="attention"),
    "dropout": regressor(n_layers=2, dropout=0.3, weight_drop=0.3),
    "no input_dropout": regressor(input_dropout=0.0),
    **{f"loss={name}": regressor(loss=name) for name in ("absolute_error", "huber")},
    "quantiles": regressor(loss="quantile", quantiles=[0.1, 0.5, 0.8]),
    "several outputs": regressor(several),
    "missing targets": regressor(with_gaps, missing_targets="ignore"),
    "every step": regressor(lambda: per_step(ragged()), return_sequences=True),
    "bptt": regressor(bptt_steps=2),
    "bptt, every step": regressor(
        lambda: per_step(ragged()), return_sequences=True, bptt_steps=2
    ),
    "target_feature": regressor(walks, target_feature=0),
    "target_feature=None": regressor(walks, target_feature=None),
    "subtract_last": regressor(walks, target_feature=0, subtract_last=True),
    "scale_windows": regressor(walks, target_feature=0, scale_windows=True),
    "linear_skip": regressor(walks, target_feature=0, linear_skip=True),
    "linear_skip, quantiles": regressor(
        walks, target_feature=0, linear_skip=True, loss="quantile"
    ),
    "regressor, defaults": regressor(
        walks, linear_skip="auto", hidden_size=8, max_epochs=3
    ),
    "regressor, epochs": regressor(
        walks, linear_skip="auto", hidden_size=4, max_epochs="auto"
    ),
    "embedding": regressor(tokens, embedding_dim=3, token_dropout=0.2),
    "categories": regressor(coded, categorical_features=[2]),
    "early_stopping": regressor(early_stopping=True, n_iter_no_change=1, max_epochs=6),
    "early_stopping of windows": regressor(walks, early_stopping=True, max_epochs=6),
    "validation data": regressor(run=validated, early_stopping=True),
    "partial_fit": regressor(run=partial),
    "warm_start": regressor(run=twice),
    "sample_weight": regressor(run=weighted),
    "not standardized": regressor(standardize=False),
    "sgd": regressor(optimizer="sgd", clip_norm=0.1, clip_value=0.05),
    "adamw": regressor(optimizer="adamw", weight_decay=0.1, lr_schedule="plateau"),
    "small batches, in order": regressor(ragged, batch_size=7, shuffle=False),
    "stateful": regressor(run=stepwise, pooling="mean"),
    "forecast": regressor(None, run=tables, linear_skip="auto"),
    "classifier": classifier(),
    "classifier, defaults": classifier(convolutions="auto", hidden_size=8),
    "convolutions": classifier(convolutions=84),
    "class_weight": classifier(class_weight="balanced", pooling="attention"),
    "two classes": classifier(lambda: (numbers()[0], numbers()[1] > 0), cell="lstm"),
    "classifier, partial_fit": classifier(run=partial),
    "classifier, weights": classifier(run=weighted, convolutions=84),
    "classifier, early_stopping": classifier(early_stopping=True, pooling="last"),
    "classifier, embedding": classifier(lambda: labelled(tokens()), embedding_dim=3),
    "bag of words": classifier(
        lambda: labelled(tokens()), embedding_dim=3, bag_of_words=True
    ),
    "bag of words, weights": classifier(
        lambda: labelled(tokens()), run=weighted, embedding_dim=3, bag_of_words=True
    ),
    "bag of words, validation": classifier(
        lambda: labelled(tokens()), run=validated, embedding_dim=3, bag_of_words=True
    ),
    "tagger": tagger(),
    "tagger, class_weight": tagger(class_weight="balanced", bidirectional=True),
    "tagger, stateful": tagger(lambda: tagged(numbers()), run=stepwise),
    "tagger, early_stopping": tagger(early_stopping=True, cell="lstm"),
    "generator": generator(),
    "generator, tied": generator(tie_embeddings=True, cell="lstm", dropout=0.2),
    "generator, several texts": generator(lambda: (words(),), early_stopping=True),
    "generator, frames": generator(lambda: (frames(),)),
    "generator, n-grams": generator(ngram_order=3),
    "generator, n-grams by themselves": generator(lambda: (text() * 3,)),
    "seq2seq": seq2seq(),
    "seq2seq, additive": seq2seq(attention_type="additive", cell="lstm"),
    "seq2seq, location": seq2seq(attention_type="location", bidirectional=False),
    "seq2seq, no attention": seq2seq(attention_type=None, n_layers=2),
    "seq2seq, beam": seq2seq(run=n_best, beam_width=4, length_penalty=0.5),
    "seq2seq, copying": seq2seq(copy_unknown=True, min_count=3),
    "seq2seq, sampled": seq2seq(scheduled_sampling=0.5, label_smoothing=0.1),
    "seq2seq, vectors": seq2seq(described),
    "seq2seq, early_stopping": seq2seq(early_stopping=True, tie_embeddings=True),
    "transcriber": transcriber(),
    "transcriber, subsampling": transcriber(subsampling=2, max_epochs=4),
    "transcriber, beam": transcriber(run=n_best, beam_width=4, max_epochs=12),
    "transcriber, n-grams": transcriber(
        run=n_best, beam_width=4, ngram_order=2, max_epochs=12
    ),
    "transcriber, word list": transcriber(
        beam_width=4, word_list=words(), max_epochs=12, learning_rate=0.02
    ),
}
# What is compared bit for bit beside float64 and the kernels that "auto" takes.
VARIANTS = {
    "": {"dtype": "float64"},
    "float32": {"dtype": "float32"},
    "torch": {"dtype": "float32", "kernel": "torch"},
}


def compute(name, variant=""):
    """Return the results of a case."""
    model, data, run = CASES[name]
    model = clone(model).set_params(**VARIANTS[variant])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TargetWarning)
        return run(model, *(data() if data else ()))


# Summaries and digests


def flat(value):
    """Return all numbers of a result in one array, or its texts in a list."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, SequenceArray):
        value = list(value)
    if not isinstance(value, np.ndarray) or value.dtype == object:
        parts = [flat(part) for part in np.atleast_1d(value)] if _nests(value) else []
        if not parts:
            return np.atleast_1d(np.asarray(value))
        if isinstance(parts[0], list):
            return [text for part in parts for text in part]
        return np.concatenate(parts)
    value = value.ravel()
    return value.astype(str).tolist() if value.dtype.kind in "US" else value


def _nests(value):
    return isinstance(value, list | tuple) or np.ndim(value) > 0


def summary(value):
    """Return few numbers that tell a result from others, or a digest of texts."""
    values = flat(value)
    if isinstance(values, list):
        return digest(values)
    values = np.asarray(values, dtype=float).ravel()
    # A projection also sees when values change places; a few stand for themselves.
    projected = values @ np.cos(np.arange(values.size))
    found = [values.size, values.sum(), np.linalg.norm(values), projected]
    return [float(f"{v:.10g}") for v in [*found, *values[:3]]]


def digest(value):
    values = flat(value)
    if isinstance(values, list):
        raw = "\n".join(values).encode()
    else:
        raw = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(raw).hexdigest()[:16]


def assert_close(found, expected, where):
    assert type(found) is type(expected), where
    if isinstance(found, str):
        assert found == expected, where
        return
    size, _, norm, *_ = expected
    # Sums cancel, so that they are compared on the scale of what is summed.
    scale = np.array([0.0, size, 0.0, size] + [1.0] * (len(expected) - 4))
    atol = RTOL * norm / np.sqrt(max(1.0, size)) * scale
    differences = np.abs(np.subtract(found, expected))
    assert (differences <= RTOL * np.abs(expected) + atol).all(), (where, found)


@pytest.mark.parametrize(
    "name",
    # Other versions of torch draw other numbers.
    [pytest.param(n, marks=needs_torch_2_13) if "sampled" in n else n for n in CASES],
)
def test_results_are_those_of_the_reference(name):
    expected = json.loads(REFERENCE.read_text(encoding="utf-8"))[name]
    results = compute(name)
    assert list(results) == list(expected)
    for key, value in results.items():
        assert_close(summary(value), expected[key], key)


if EXACT:  # a file of another version is there

    @pytest.mark.thorough
    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("name", CASES)
    def test_results_are_bitwise_those_of_the_file(name, variant):
        expected = json.loads(Path(EXACT).read_text(encoding="utf-8"))[name][variant]
        results = compute(name, variant)
        assert {key: digest(value) for key, value in results.items()} == expected


def write(path, results):
    lines = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in results.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {REFERENCE.name}")
    parser.add_argument("--write-exact", type=Path, metavar="PATH")
    options = parser.parse_args()
    if options.write:
        write(
            REFERENCE,
            {
                name: {key: summary(value) for key, value in compute(name).items()}
                for name in CASES
            },
        )
    if options.write_exact:
        write(
            options.write_exact,
            {
                name: {
                    variant: {k: digest(v) for k, v in compute(name, variant).items()}
                    for variant in VARIANTS
                }
                for name in CASES
            },
        )


if __name__ == "__main__":
    main()
