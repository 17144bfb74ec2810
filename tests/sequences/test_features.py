import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sklearn_rnn import (
    InvalidSequenceError,
    RNNRegressor,
    SequenceArray,
    SequenceWindower,
)
from sklearn_rnn.sequences import check_features, check_input


class Model(BaseEstimator):
    pass


def see(model, X, reset=False):
    check_features(model, check_input(X), reset=reset)
    return model


def fitted(X):
    return see(Model(), X, reset=True)


UNIVARIATE_LIST = [np.zeros(4), np.zeros(7)]
FIVE_FEATURES = np.zeros((2, 3, 5))


def named(names):
    return SequenceArray(np.zeros((4, len(names))), [0], [4], feature_names=names)


@pytest.mark.parametrize(
    ("X", "n_features"),
    [
        (np.zeros((3, 6)), 6),
        (pd.DataFrame(np.zeros((3, 6))), 6),
        (FIVE_FEATURES, 5),
        ([np.zeros((2, 5)), np.zeros((3, 5))], 5),
        (UNIVARIATE_LIST, 1),
        ([[1, 2, 3], [4, 5, 6]], 1),
        ([[1, 2, 3], [4, 5]], 1),
    ],
)
def test_columns_count_in_tables_and_features_a_step_elsewhere(X, n_features):
    assert fitted(X).n_features_in_ == n_features


def test_names_are_those_of_columns_or_of_the_container():
    table = pd.DataFrame(np.zeros((3, 2)), columns=["t0", "t1"])
    assert fitted(table).feature_names_in_.tolist() == ["t0", "t1"]
    assert fitted(named(["a", "b"])).feature_names_in_.tolist() == ["a", "b"]
    assert not hasattr(
        see(fitted(named(["a"])), UNIVARIATE_LIST, True), "feature_names_in_"
    )


def test_univariate_sequences_go_in_either_form_after_a_fit_on_a_table():
    see(fitted(np.zeros((3, 9))), UNIVARIATE_LIST)
    see(fitted(np.zeros((3, 9))), np.zeros((2, 4, 1)))


def test_lengths_may_differ_where_features_are_counted_a_step():
    see(fitted(FIVE_FEATURES), np.zeros((1, 11, 5)))


@pytest.mark.parametrize(
    ("fit_on", "given", "message"),
    [
        (np.zeros((3, 6)), np.zeros((3, 4)), "X has 4 features.* expecting 6"),
        (np.zeros((3, 6)), FIVE_FEATURES, "X has 5 features.* expecting 1 "),
        (FIVE_FEATURES, np.zeros((3, 4)), "X has 1 features.* expecting 5"),
        (FIVE_FEATURES, np.zeros((2, 3, 4)), "X has 4 features.* expecting 5"),
        (UNIVARIATE_LIST, FIVE_FEATURES, "X has 5 features.* expecting 1 "),
    ],
)
def test_other_numbers_of_features_are_refused(fit_on, given, message):
    with pytest.raises(ValueError, match=message):
        see(fitted(fit_on), given)


def test_the_message_says_how_the_two_were_counted():
    with pytest.raises(InvalidSequenceError, match="fitted on a 2-D array"):
        see(fitted(np.zeros((3, 6))), FIVE_FEATURES)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="feature names should match"):
        see(fitted(named(["a", "b"])), named(["b", "a"]))


def test_leaving_names_out_warns():
    with pytest.warns(UserWarning, match="valid feature names"):
        see(fitted(named(["a", "b"])), np.zeros((2, 3, 2)))


@pytest.mark.parametrize(
    "transformer", [SequenceWindower(2), RNNRegressor(max_epochs=1)]
)
def test_two_columns_of_one_name_are_an_error(transformer):
    table = pd.DataFrame(np.arange(8.0).reshape(4, 2), columns=["a", "a"])
    with pytest.raises(InvalidSequenceError, match="two columns 'a': rename or drop"):
        transformer.fit(table, np.arange(4.0))


@pytest.mark.parametrize(
    "name", ["batch_size", "max_epochs", "hidden_size", "weight_decay", "learning_rate"]
)
def test_counts_beyond_what_can_be_counted_are_an_error(name):
    model = RNNRegressor(**{name: 10**400})
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        model.fit(np.zeros((3, 2)), np.arange(3.0))
