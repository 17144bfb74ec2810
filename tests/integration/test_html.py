"""Estimators in notebooks, and the API reference, are complete."""

import re

import numpy as np
import pandas as pd
import pdoc
import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

import sklearn_rnn
from sklearn_rnn import (
    CalendarFeatures,
    ForecastAnomalyDetector,
    LogMelSpectrogram,
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    RNNTranscriber,
    SequenceFlattener,
    SequenceScaler,
    SequenceTokenizer,
    SequenceWindower,
    WordFeatures,
)

X = np.random.default_rng(0).normal(size=(40, 6, 2))
y = X[:, -1, 0]
DESCRIBES = parse_version(sklearn.__version__) >= parse_version("1.8")
needs_descriptions = pytest.mark.skipif(
    not DESCRIBES, reason="scikit-learn before 1.8 describes no parameters"
)


def html_of(estimator):
    return estimator._repr_mimebundle_()["text/html"]


def captions_of(html):
    return re.findall(r'<div class="caption">(.*?)</div>', html)


def descriptions_of(html):
    """Return parameters and attributes with a description, by name."""
    found = r'--doc-link-(\w+);">\s*\1\s*<span class="param-doc-description"'
    return re.findall(found, html)


def test_a_diagram_shows_weights_epochs_and_the_best_score():
    model = RNNRegressor(max_epochs=3, early_stopping=True, random_state=0).fit(X, y)
    (caption,) = captions_of(html_of(model))
    assert caption == (
        f"{model.n_parameters_:,} weights, 3 epochs, validation score "
        f"{model.best_validation_score_:.4g} in epoch {model.best_epoch_}"
    )


def test_without_validation_a_diagram_shows_the_loss():
    model = RNNRegressor(max_epochs=1, random_state=0).fit(X, y)
    (caption,) = captions_of(html_of(model))
    loss = f"{model.loss_curve_[-1]:.4g}"
    assert caption == f"{model.n_parameters_:,} weights, 1 epoch, training loss {loss}"
    in_pipeline = make_pipeline(SequenceScaler(), model)
    assert caption in captions_of(html_of(in_pipeline))


def test_a_diagram_before_training_has_no_figures():
    assert captions_of(html_of(RNNRegressor())) == []


@needs_descriptions
@pytest.mark.parametrize(
    "estimator",
    [
        CalendarFeatures(["hour"]),
        ForecastAnomalyDetector(),
        LogMelSpectrogram(8000),
        RNNClassifier(),
        RNNGenerator(),
        RNNRegressor(),
        RNNSeq2Seq(),
        RNNTagger(),
        RNNTranscriber(),
        SequenceFlattener(),
        SequenceScaler(),
        SequenceTokenizer(),
        SequenceWindower(),
        WordFeatures(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_every_parameter_is_described_without_a_link(estimator):
    html = html_of(estimator)
    assert set(descriptions_of(html)) == set(estimator.get_params(deep=False))
    assert "href=" not in html


@needs_descriptions
def test_steps_of_a_pipeline_are_described():
    table = pd.DataFrame(X[:, 0], columns=["a", "b"])
    model = make_pipeline(SequenceWindower(3), RNNRegressor(max_epochs=1))
    html = html_of(model.fit(table, y))
    assert {"n_steps", "hidden_size", "n_parameters_"} <= set(descriptions_of(html))


@needs_descriptions
def test_links_go_where_the_reference_is(monkeypatch):
    monkeypatch.setenv("SKLEARN_RNN_DOCS", "/home/me/reference/")
    html = html_of(SequenceScaler())
    links = re.findall('href="(.*?)"', html)
    page = "/home/me/reference/sklearn_rnn.html#SequenceScaler"
    assert links[0] == page
    assert len(links) == 1 + len(SequenceScaler().get_params())
    assert all(link.startswith(f"{page}:~:text=") for link in links[1:])


def test_classes_of_users_have_no_link(monkeypatch):
    class Mine(RNNRegressor):
        pass

    monkeypatch.setenv("SKLEARN_RNN_DOCS", "/home/me/reference")
    assert RNNRegressor()._get_doc_link()
    assert Mine()._get_doc_link() == ""


@pytest.mark.thorough
def test_the_reference_is_built_without_a_warning(tmp_path):
    pdoc.render.configure(docformat="numpy", show_source=False)
    pdoc.pdoc("sklearn_rnn", output_directory=tmp_path)  # warnings are errors
    folders = {"datasets", "metrics", "persistence"}
    page = (tmp_path / "sklearn_rnn.html").read_text(encoding="utf-8")
    for name in set(sklearn_rnn.__all__) - folders:
        assert f'id="{name}"' in page
    for folder in folders:
        page = (tmp_path / "sklearn_rnn" / f"{folder}.html").read_text(encoding="utf-8")
        for name in getattr(sklearn_rnn, folder).__all__:
            assert f'id="{name}"' in page
