"""Every form of X, and bad data refused before any training."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklearn_rnn import RNNClassifier, RNNRegressor, SequenceArray
from sklearn_rnn.training import SequenceNet

OPTIONS = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
N_SEQUENCES = 20


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*args, **kwargs):
        pytest.fail("training began")

    monkeypatch.setattr(SequenceNet, "train", refuse)


def make_regressor(**options):
    return RNNRegressor(**{**OPTIONS, **options})


def make_classifier(**options):
    return RNNClassifier(**{**OPTIONS, **options})


def block(n_features=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N_SEQUENCES, 6, n_features))


def targets():
    return block()[:, -1, 0]


def ragged(n_features=2):
    lengths = np.random.default_rng(1).integers(1, 7, size=N_SEQUENCES)
    return [x[:n] for x, n in zip(block(n_features), lengths, strict=True)]


# The forms of X.


def as_objects(sequences):
    array = np.empty(len(sequences), dtype=object)
    array[:] = sequences
    return array


def padded(sequences, before=0, after=0):
    longest = max(map(len, sequences))
    shape = (len(sequences), before + longest + after, sequences[0].shape[1])
    array = np.full(shape, np.nan)
    for row, x in zip(array, sequences, strict=True):
        row[before : before + len(x)] = x
    return array


def aligned_at_the_end(sequences):
    return padded([x[::-1] for x in sequences])[:, ::-1]


def in_one_table(sequences):
    """Sequences that lie in one table in another order, with rows between."""
    order = np.random.default_rng(2).permutation(len(sequences))
    rows, starts = [], np.empty(len(sequences), dtype=int)
    for i in order:
        rows.append(np.full((2, sequences[0].shape[1]), np.nan))
        starts[i] = sum(map(len, rows))
        rows.append(sequences[i])
    return SequenceArray(np.concatenate(rows), starts, [len(x) for x in sequences])


FORMS = {
    "list": list,
    "tuple": tuple,
    "object array": as_objects,
    "nested lists": lambda sequences: [x.tolist() for x in sequences],
    "frames": lambda sequences: [pd.DataFrame(x) for x in sequences],
    "padded behind": padded,
    "padded at both ends": lambda sequences: padded(sequences, before=3, after=50),
    "padded in front": aligned_at_the_end,
    "in one table": in_one_table,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_sequences_is_predicted_the_same(form):
    X, y = ragged(), targets()
    model = make_regressor(dtype="float32").fit(X, y)
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(FORMS[form](X)), expected)


@pytest.mark.thorough
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_sequences_trains_the_same_model(form):
    X, y = ragged(), targets()
    expected = make_classifier().fit(X, y > 0).predict_proba(X)
    model = make_classifier().fit(FORMS[form](X), y > 0)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


UNIVARIATE_FORMS = {
    **FORMS,
    "flat arrays": lambda sequences: [x[:, 0] for x in sequences],
    "2-D, NaN at the end": lambda sequences: padded(sequences)[:, :, 0],
    "frame, NaN at the end": lambda sequences: pd.DataFrame(padded(sequences)[:, :, 0]),
}


@pytest.mark.thorough
@pytest.mark.parametrize("form", UNIVARIATE_FORMS)
def test_univariate_sequences_may_also_be_rows_of_a_table(form):
    X, y = ragged(n_features=1), targets()
    expected = make_regressor().fit(X, y).predict(X)
    model = make_regressor().fit(UNIVARIATE_FORMS[form](X), y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "pooling": "mean"}])
def test_a_prediction_depends_on_no_company_and_no_padding(cell, options):
    X, y = ragged(), targets()
    model = make_regressor(cell=cell, dtype="float32", **options).fit(X, y)
    together = model.predict(X)
    alone = np.concatenate([model.predict([x]) for x in X])
    np.testing.assert_array_equal(alone, together)
    shuffled = np.random.default_rng(0).permutation(N_SEQUENCES)
    mixed = model.predict([X[i] for i in shuffled])
    np.testing.assert_array_equal(mixed, alone[shuffled])
    in_company = model.predict([*X, np.ones((300, 2))])[:-1]
    np.testing.assert_array_equal(in_company, alone)
    np.testing.assert_array_equal(model.predict(padded(X, after=100)), alone)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "dtype",
    [np.int8, np.uint16, np.int64, np.float16, np.float32, ">f8", np.longdouble],
)
@pytest.mark.parametrize("wrap", [np.asarray, list])
def test_numbers_of_any_type_are_numbers(dtype, wrap):
    X, y = np.abs(block() * 5).round(), targets()
    expected = make_regressor().fit(X, y).predict(X)
    X = wrap(X.astype(dtype))
    predictions = make_regressor().fit(X, y).predict(X)
    assert X[0].dtype == dtype
    np.testing.assert_allclose(predictions, expected, rtol=1e-6)


def test_booleans_are_zeros_and_ones():
    X, y = block() > 0, targets()
    expected = make_regressor().fit(X.astype(float), y).predict(X.astype(float))
    np.testing.assert_allclose(make_regressor().fit(X, y).predict(X), expected)


def test_arrays_need_be_neither_writable_nor_contiguous():
    X, y = block(), targets()
    expected = make_regressor().fit(X, y).predict(X)
    backwards = np.asfortranarray(X)[:, ::-1]
    backwards.flags.writeable = False
    with np.errstate(all="raise"):
        model = make_regressor().fit(backwards[:, ::-1], y)
    np.testing.assert_array_equal(model.predict(backwards[:, ::-1]), expected)


def test_lengths_may_differ_between_fit_and_predict():
    model = make_regressor().fit(block(), targets())
    assert model.predict(block()[:, :2]).shape == (N_SEQUENCES,)
    assert model.predict([np.zeros((50, 2))]).shape == (1,)


def test_sequences_of_one_step_are_a_plain_network():
    X, y = block()[:, -1:], targets()
    model = make_regressor(max_epochs=60, learning_rate=0.03).fit(X, y)
    assert model.score(X, y) > 0.8


def test_feature_counts_and_names_are_remembered():
    X, y = ragged(), targets()
    frames = [pd.DataFrame(x, columns=["temp", "wind"]) for x in X]
    model = make_regressor().fit(frames, y)
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["temp", "wind"]
    swapped = [frame[["wind", "temp"]] for frame in frames]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(swapped)
    assert not hasattr(make_regressor().fit(X, y), "feature_names_in_")


# Bad sequences.


def with_value(value, X=None):
    X = block() if X is None else X
    X[3, 2, 1] = value
    return X


@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "infinity")])
@pytest.mark.parametrize("form", [np.asarray, list, in_one_table])
@pytest.mark.usefixtures("no_training")
def test_a_hole_is_refused_by_its_place(value, name, form):
    message = rf"contains {name}: sequence 3, step 2, feature 1"
    with pytest.raises(ValueError, match=message):
        make_regressor().fit(form(with_value(value)), targets())
    with pytest.raises(ValueError, match=message):
        make_classifier().fit(form(with_value(-value)), targets() > 0)


def test_a_hole_is_refused_by_predict_and_in_validation_data(monkeypatch):
    model = make_regressor().fit(block(), targets())
    monkeypatch.setattr(SequenceNet, "train", lambda *args: pytest.fail("training"))
    with pytest.raises(ValueError, match="sequence 3, step 2, feature 1"):
        model.predict(with_value(np.nan))
    with pytest.raises(ValueError, match="sequence 3, step 2, feature 1"):
        model.fit(block(), targets(), X_val=with_value(np.nan), y_val=targets())


def frame_with_time():
    index = pd.date_range("2024", periods=N_SEQUENCES, freq="h")
    return pd.DataFrame(block()[:, :, 0], index=index)


BAD_SEQUENCES = {
    "empty sequence": ([*ragged()[:-1], np.empty((0, 2))], "X.19. is an empty seq"),
    "all NaN": (
        np.where(np.arange(20)[:, None, None] == 4, np.nan, block()),
        r"X\[4\]",
    ),
    "no sequences": ([], "at least one sequence"),
    "no sequences, 3-D": (np.empty((0, 6, 2)), "at least one sequence"),
    "no steps": (np.empty((20, 0, 2)), "at least one step"),
    "mixed features": ([*ragged()[:-1], np.ones((3, 5))], r"X\[19\] has 5 features"),
    "strings": (np.full((20, 6), "a", dtype=object), "could not convert|numbers"),
    "strings in a list": ([["a", "b"]] * 20, r"X\[0\]"),
    "complex": (block() + 1j, "[Cc]omplex"),
    "complex in a list": (list(block() + 1j), "[Cc]omplex"),
    "sparse": (sparse.csr_matrix(block()[:, :, 0]), "dense data is required"),
    "4-D": (np.zeros((20, 2, 2, 2)), "4 dimensions"),
    "1-D": (np.zeros(20), "2D array"),
    "a time table": (frame_with_time(), "SequenceWindower"),
    "None": (None, "None"),
}


@pytest.mark.parametrize("case", BAD_SEQUENCES)
@pytest.mark.usefixtures("no_training")
def test_bad_sequences_are_refused_before_training(case):
    X, message = BAD_SEQUENCES[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make_regressor().fit(X, targets())
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier().partial_fit(X, targets() > 0)


@pytest.mark.parametrize("case", BAD_SEQUENCES)
def test_bad_sequences_are_refused_by_predict(case):
    X, message = BAD_SEQUENCES[case]
    model = make_regressor().fit(block(), targets())
    with pytest.raises((ValueError, TypeError), match=message):
        model.predict(X)


@pytest.mark.parametrize("wrap", [pd.DataFrame, list, np.asarray])
@pytest.mark.usefixtures("no_training")
def test_dates_are_no_numbers(wrap):
    dates = pd.date_range("2024", periods=40).to_numpy().reshape(20, 2)
    with pytest.raises((ValueError, TypeError), match="datetime|number"):
        make_regressor().fit(wrap(dates), targets())


def test_another_number_of_features_is_refused_by_predict():
    model = make_regressor().fit(block(), targets())
    for X in (block(3), list(block(3)), block()[:, :, 0]):
        with pytest.raises(ValueError, match=r"features.*RNNRegressor.*2"):
            model.predict(X)


def test_columns_of_a_table_are_counted():
    model = make_regressor().fit(block()[:, :, 0], targets())
    with pytest.raises(ValueError, match="X has 5 features.*expecting 6"):
        model.predict(block()[:, :5, 0])


# Bad tokens.


@pytest.mark.parametrize(
    "X, message",
    [
        (block(1), "tokens"),
        (np.full((20, 3, 1), -1), "whole numbers from 0"),
        (np.full((20, 3, 2), 1), "2 features"),
        ([[1, 2, 0.5]] * 20, r"X\[0\] holds 0.5 at step 2"),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_what_is_no_token_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        make_regressor(embedding_dim=3).fit(X, targets())


def test_what_is_no_token_is_refused_by_predict():
    model = make_regressor(embedding_dim=3).fit([[1, 2, 0]] * 20, targets())
    with pytest.raises(ValueError, match=r"X\[1\] holds -1"):
        model.predict([np.array([1, 2]), np.array([0, -1])])


# Bad targets and weights.

BAD_TARGETS = {
    "another length": (targets()[:-1], "20 sequences, y has 19"),
    "NaN": (np.where(np.arange(20) == 3, np.nan, targets()), "y contains NaN"),
    "infinity": (np.where(np.arange(20) == 3, np.inf, targets()), "infinity"),
    "none": (None, "requires y"),
    "strings": (np.full(20, "a", dtype=object), "holds strings"),
    "3-D": (np.zeros((20, 2, 2)), "[Ff]ound array with dim 3|dim"),
    "complex": (targets() + 1j, "[Cc]omplex"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
@pytest.mark.usefixtures("no_training")
def test_bad_targets_are_refused_before_training(case):
    y, message = BAD_TARGETS[case]
    with pytest.raises(ValueError, match=message):
        make_regressor().fit(block(), y)


BAD_LABELS = {
    "another length": (np.resize([0, 1], 19), "20 sequences, y has 19"),
    "NaN": (np.resize([0, 1, np.nan], 20), "NaN"),
    "none": (None, "requires y"),
    "a single class": (np.ones(20), r"only one class"),
    "numbers": (targets(), "Unknown label type"),
    "several labels": (np.resize([[0, 1], [1, 1]], (20, 2)), "1d array"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
@pytest.mark.usefixtures("no_training")
def test_bad_labels_are_refused_before_training(case):
    y, message = BAD_LABELS[case]
    with pytest.raises(ValueError, match=message):
        make_classifier().fit(block(), y)


BAD_WEIGHTS = {
    "negative": (np.where(np.arange(20) == 3, -1.0, 1.0), "[Nn]egative"),
    "all zero": (np.zeros(20), "at least one non-zero"),
    "another length": (np.ones(19), "sample_weight.shape"),
    "NaN": (np.where(np.arange(20) == 3, np.nan, 1.0), "NaN"),
    "2-D": (np.ones((20, 2)), "1D array"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
@pytest.mark.usefixtures("no_training")
def test_bad_weights_are_refused_before_training(case):
    weights, message = BAD_WEIGHTS[case]
    with pytest.raises(ValueError, match=message):
        make_regressor().fit(block(), targets(), sample_weight=weights)


@pytest.mark.usefixtures("no_training")
def test_a_class_that_weighs_nothing_leaves_a_single_one():
    y = np.resize([0, 1], 20)
    with pytest.raises(ValueError, match="only one class"):
        make_classifier().fit(block(), y, sample_weight=y)


# Bad validation data.


@pytest.mark.usefixtures("no_training")
def test_validation_data_come_in_pairs():
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        make_regressor().fit(block(), targets(), X_val=block())
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        make_regressor().fit(block(), targets(), y_val=targets())


@pytest.mark.usefixtures("no_training")
def test_validation_data_are_checked_against_the_training_data():
    X, y = block(), targets()
    with pytest.raises(ValueError, match="3 features"):
        make_regressor().fit(X, y, X_val=block(3), y_val=y)
    with pytest.raises(ValueError, match="20 sequences, y has 5"):
        make_regressor().fit(X, y, X_val=X, y_val=y[:5])
    with pytest.raises(ValueError, match="2 outputs"):
        make_regressor().fit(X, y, X_val=X, y_val=np.column_stack([y, y]))
    with pytest.raises(ValueError, match=r"labels.*\[2\]"):
        make_classifier().fit(X, y > 0, X_val=X, y_val=np.full(20, 2))


@pytest.mark.usefixtures("no_training")
def test_too_few_sequences_to_hold_some_out_are_an_error():
    with pytest.raises(ValueError, match="X_val and y_val"):
        make_regressor(early_stopping=True).fit(block()[:1], targets()[:1])


# Bad parameters.


@pytest.mark.parametrize(
    "target_feature, message",
    [
        ("temp", "'temp' is not a feature of X: X has no feature names"),
        (2, "target_feature=2 is out of range"),
        (-3, "target_feature=-3 is out of range"),
        ([0, 1], "names 2 features for 1 outputs"),
        ([], "names 0 features"),
        ([0.5], "target_feature"),
        (True, "target_feature"),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_a_target_feature_that_is_not_there_is_refused(target_feature, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_regressor(target_feature=target_feature).fit(block(), targets())


@pytest.mark.usefixtures("no_training")
def test_an_unknown_feature_name_is_refused_with_those_there_are():
    frames = [pd.DataFrame(x, columns=["wind", "rain"]) for x in block()]
    with pytest.raises(ValueError, match=r"'temp' is not.*\['wind', 'rain'\]"):
        make_regressor(target_feature="temp").fit(frames, targets())


@pytest.mark.usefixtures("no_training")
def test_tokens_are_no_target_feature():
    with pytest.raises(ValueError, match="target_feature needs numbers"):
        make_regressor(target_feature=0, embedding_dim=2).fit([[1, 2]] * 20, targets())


@pytest.mark.parametrize(
    "option",
    [
        {"cell": "elman"},
        {"cell": None},
        {"hidden_size": 0},
        {"hidden_size": -1},
        {"hidden_size": 2.5},
        {"n_layers": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"input_dropout": 1.0},
        {"pooling": "first"},
        {"embedding_dim": 0},
        {"loss": "log_loss"},
        {"optimizer": "lbfgs"},
        {"optimizer": dict},
        {"learning_rate": 0.0},
        {"learning_rate": "adaptive"},
        {"lr_schedule": "step"},
        {"weight_decay": -1.0},
        {"clip_norm": 0.0},
        {"clip_value": -1.0},
        {"batch_size": 0},
        {"max_epochs": 0},
        {"max_epochs": "many"},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0},
        {"n_iter_no_change": 0},
        {"tol": -1.0},
        {"standardize": "yes"},
        {"callbacks": "print"},
        {"callbacks": [3]},
        {"dtype": "float16"},
        {"device": "gpu"},
        {"n_threads": 0},
        {"verbose": -1},
        {"random_state": "seed"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("no_training")
def test_bad_parameters_are_refused_by_name(option):
    ((name, _),) = option.items()
    with pytest.raises((ValueError, TypeError), match=name):
        make_regressor(**option).fit(block(), targets())


@pytest.mark.usefixtures("no_training")
def test_parameters_of_a_classifier_are_refused_by_name():
    for option in ({"class_weight": "equal"}, {"cell": "elman"}):
        with pytest.raises(ValueError, match=next(iter(option))):
            make_classifier(**option).fit(block(), targets() > 0)


SECOND_FITS = {
    "a hole": lambda X, y: (with_value(np.nan), y),
    "another length": lambda X, y: (X, y[:-1]),
    "other features": lambda X, y: (with_value(np.nan, block(3)), y),
    "bad parameter": lambda X, y: (X, y),
}


@pytest.mark.parametrize("case", SECOND_FITS)
def test_a_second_fit_that_is_refused_leaves_the_first_regressor(case):
    X, y = block(), targets()
    model = make_regressor(target_feature=0).fit(X, y)
    before = model.predict(X)
    if case == "bad parameter":
        model.set_params(device="gpu")
    with pytest.raises(ValueError):
        model.fit(*SECOND_FITS[case](X, 100 * y + 50))
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("case", SECOND_FITS)
def test_a_second_fit_that_is_refused_leaves_the_first_classifier(case):
    X, y = block(), targets()
    model = make_classifier().fit(X, np.where(y > 0, "up", "down"))
    before = model.predict(X).tolist()
    if case == "bad parameter":
        model.set_params(device="gpu")
    with pytest.raises(ValueError):
        model.fit(*SECOND_FITS[case](X, np.where(y > 0, "left", "right")))
    assert model.predict(X).tolist() == before
