"""Features that hold categories: which are, what is learned, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline

from sklearn_rnn import (
    CalendarFeatures,
    InvalidSequenceError,
    RNNClassifier,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
    SequenceScaler,
    SequenceWindower,
    SklearnRNNWarning,
    StatefulPredictor,
    backtest,
    forecast,
    make_forecast_frame,
)

KINDS = np.array(["none", "half", "gift", "bundle", "coupon", "flyer"])
EFFECTS = np.array([0.0, 4.0, -2.0, 3.0, -3.0, 1.0])
QUICK = {"hidden_size": 16, "batch_size": 16, "random_state": 0}


def sales(n_days=200, seed=0):
    """Return daily sales that follow the promotion of the day and nothing else."""
    rng = np.random.default_rng(seed)
    promotion = rng.integers(0, len(KINDS), n_days)
    days = pd.date_range("2024-01-01", periods=n_days, freq="D")
    noise = 0.1 * rng.normal(size=n_days)
    return pd.DataFrame(
        {"sales": EFFECTS[promotion] + noise, "promotion": KINDS[promotion]}, index=days
    )


def with_type(table, kind):
    if kind == "polars":
        return pl.from_pandas(table.reset_index(names="day"))
    return table.astype({"promotion": kind})


def pipeline(n_steps=3, **parameters):
    return make_pipeline(
        SequenceWindower(n_steps), RNNRegressor(**{**QUICK, **parameters})
    )


@pytest.fixture(scope="module")
def learned():
    table = sales()
    return pipeline().fit(table[["promotion"]], table["sales"])


# What is learned.


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["category", "str", object, "polars"])
def test_a_target_that_hangs_on_a_category_alone_is_learned(kind):
    table = sales()
    X = with_type(table[["promotion"]], kind)
    time = "day" if kind == "polars" else None
    model = make_pipeline(SequenceWindower(3, time=time), RNNRegressor(**QUICK))
    model.fit(X[:150], table["sales"][:150])
    assert model.score(X[150:], table["sales"][150:]) > 0.95


@pytest.mark.thorough
def test_embedded_categories_beat_their_codes_as_numbers():
    table = sales(120)
    codes = table.assign(promotion=table["promotion"].astype("category").cat.codes)
    scores = [
        pipeline().fit(X[:90], table["sales"][:90]).score(X[90:], table["sales"][90:])
        for X in (table[["promotion"]], codes[["promotion"]])
    ]
    assert scores[0] > scores[1] + 0.1


@pytest.mark.thorough
def test_a_classifier_and_a_tagger_learn_from_categories():
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"noise": rng.normal(size=n), "kind": rng.choice(KINDS, n)})
        for n in rng.integers(3, 7, size=300)
    ]
    last = [x["kind"].iloc[-1] in ("half", "coupon") for x in frames]
    classifier = RNNClassifier(**QUICK).fit(frames[:240], last[:240])
    assert classifier.score(frames[240:], last[240:]) > 0.95
    tags = [x["kind"].isin(["half", "coupon"]).to_numpy() for x in frames]
    tagger = RNNTagger(**QUICK).fit(frames[:240], tags[:240])
    assert tagger.score(frames[240:], tags[240:]) > 0.95


@pytest.mark.thorough
@pytest.mark.parametrize("chosen", [[1], (1,), np.array([False, True]), [True] * 2])
def test_codes_in_arrays_and_lists_are_categories_where_they_are_named(chosen):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, size=(150, 4))
    X = np.stack([rng.integers(0, 3, size=codes.shape), codes], axis=2)
    y = EFFECTS[codes[:, -1]]
    model = RNNRegressor(categorical_features=chosen, **QUICK).fit(X[:120], y[:120])
    assert model.score(X[120:], y[120:]) > 0.9
    expected = [True, True] if np.all(chosen) and len(chosen) == 2 else [False, True]
    assert model.is_categorical_.tolist() == expected
    as_list = [x.astype(float) for x in X]
    np.testing.assert_array_equal(model.predict(as_list), model.predict(X))


def test_names_choose_a_column_of_numbers_as_categories():
    table = sales()
    table["promotion"] = table["promotion"].astype("category").cat.codes
    model = pipeline(categorical_features=["promotion"])
    model.fit(table[["promotion"]][:150], table["sales"][:150])
    assert model.score(table[["promotion"]][150:], table["sales"][150:]) > 0.95
    assert model[-1].categories_[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_the_type_a_category_is_stored_in_does_not_change_the_model():
    table = sales(80)
    predictions = []
    for kind in ("str", object, "category"):
        X = with_type(table, kind)
        predictions.append(pipeline(max_epochs=2).fit(X, X["sales"]).predict(X))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])


def test_compiled_kernels_train_as_torch_does():
    table = sales(100)
    predictions = [
        pipeline(max_epochs=3, dtype="float64", kernel=kernel, input_dropout=0.3)
        .fit(table, table["sales"])
        .predict(table)
        for kernel in ("compiled", "torch")
    ]
    np.testing.assert_allclose(*predictions, rtol=1e-8)


def test_codes_are_not_standardised():
    model = pipeline(max_epochs=1).fit(sales(60), sales(60)["sales"])
    center, factor = (getattr(model[-1].module_, n) for n in ("center", "factor"))
    assert (center[1], factor[1]) == (0, 1)
    assert center[0] != 0


# Missing and unknown categories.


def test_a_missing_value_is_a_category_of_its_own():
    table = sales(300)
    table["promotion"] = table["promotion"].where(table["promotion"] != "half", None)
    model = pipeline().fit(table[["promotion"]][:200], table["sales"][:200])
    assert "half" not in model[-1].categories_[0]
    assert model.score(table[["promotion"]][200:], table["sales"][200:]) > 0.95


def test_negative_codes_are_missing_values():
    rng = np.random.default_rng(0)
    X = rng.integers(-1, 3, size=(100, 2, 1))
    model = RNNRegressor(categorical_features=[0], max_epochs=1, **QUICK)
    model.fit(X, X[:, -1, 0])
    assert model.categories_[0].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(
        model.predict(np.full((1, 2, 1), -1)), model.predict(np.full((1, 2, 1), -7))
    )


def test_an_unknown_category_reads_as_a_missing_one(learned):
    table = sales()[["promotion"]][-5:]
    new, missing = table.copy(), table.copy()
    new.iloc[-1, 0], missing.iloc[-1, 0] = "raffle", None
    predictions = learned.predict(new)
    np.testing.assert_array_equal(predictions, learned.predict(missing))
    assert predictions[-1] != learned.predict(table)[-1]


def test_input_dropout_teaches_what_an_unknown_category_stands_for():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 6, 400)
    table = pd.DataFrame({"kind": KINDS[kinds], "value": rng.normal(size=400)})
    y = EFFECTS[kinds] + 2.0 * table["value"]
    model = make_pipeline(
        SequenceWindower(1, history=None), RNNRegressor(input_dropout=0.3, **QUICK)
    ).fit(table, y)
    # Without the kind, the mean over kinds is the best guess.
    guess = model.predict(table.assign(kind="raffle"))
    expected = EFFECTS.mean() + 2.0 * table["value"]
    assert np.abs(guess - expected).mean() < 1.0


@pytest.mark.thorough
def test_folds_may_lack_a_category():
    table = sales(80)
    table.loc[table.index[40:], "promotion"] = "raffle"
    search = GridSearchCV(
        pipeline(max_epochs=1),
        {"rnnregressor__hidden_size": [4, 8]},
        cv=TimeSeriesSplit(3),
        error_score="raise",
    ).fit(table, table["sales"])
    assert len(search.best_estimator_[-1].categories_[1]) == 7


def test_a_category_without_weight_is_not_learned():
    table = sales(60)
    weights = (table["promotion"] != "gift").astype(float)
    windows = SequenceWindower(1).fit_transform(table)
    model = RNNRegressor(max_epochs=1, **QUICK).fit(windows, table["sales"], weights)
    assert "gift" not in model.categories_[1]
    kept = np.flatnonzero(weights)
    other = clone(model).fit(windows[kept], table["sales"].iloc[kept])
    np.testing.assert_allclose(model.predict(windows), other.predict(windows))


def test_categories_of_validation_data_alone_are_unknown():
    table = sales(100)
    table.loc[table.index[-5:], "promotion"] = "raffle"
    model = pipeline(max_epochs=2, early_stopping=True).fit(table, table["sales"])
    assert "raffle" not in model[-1].categories_[1]
    windows = SequenceWindower(3).fit_transform(table)
    model = RNNRegressor(max_epochs=2, **QUICK)
    model.fit(windows[:90], table["sales"][:90], X_val=windows, y_val=table["sales"])
    assert "raffle" not in model.categories_[1]
    assert len(model.validation_scores_) == 2


# Continuing, copying.


def test_partial_fit_keeps_the_categories_of_the_first_call():
    table = sales(100)
    table.loc[table.index[50:], "promotion"] = "raffle"
    windows = SequenceWindower(3).fit_transform(table)
    model = RNNRegressor(**QUICK).partial_fit(windows[:50], table["sales"][:50])
    model.partial_fit(windows[50:], table["sales"][50:])
    assert sorted(model.categories_[1]) == sorted(KINDS)


def test_warm_start_goes_on_with_the_same_categories():
    table = sales(100)
    model = pipeline(max_epochs=2, warm_start=True)
    model.fit(table[:50], table["sales"][:50])
    table.loc[table.index[50:], "promotion"] = "raffle"
    model.fit(table[50:], table["sales"][50:])
    assert sorted(model[-1].categories_[1]) == sorted(KINDS)
    assert model[-1].n_iter_ == 4
    model[-1].set_params(categorical_features=[])
    with pytest.raises(ValueError, match="categorical_features"):
        model.fit(table, table["sales"])


def test_a_new_fit_learns_new_categories():
    table = sales(100)
    model = pipeline(max_epochs=1).fit(table, table["sales"])
    table["promotion"] = "raffle"
    assert model.fit(table, table["sales"])[-1].categories_[1].tolist() == ["raffle"]
    model.fit(table[["sales"]], table["sales"])
    assert model[-1].categories_ == {}
    assert model[-1].is_categorical_ is None


def test_pickles_and_clones_know_categories(learned):
    table = sales()[["promotion"]]
    loaded = pickle.loads(pickle.dumps(learned))
    np.testing.assert_array_equal(loaded.predict(table), learned.predict(table))
    copy = clone(learned).fit(table, sales()["sales"])
    np.testing.assert_array_equal(copy.predict(table), learned.predict(table))


def test_the_order_in_which_categories_come_does_not_matter(learned):
    table = sales()[["promotion"]]
    turned = table.astype("category")
    turned["promotion"] = turned["promotion"].cat.reorder_categories(KINDS[::-1])
    np.testing.assert_array_equal(learned.predict(turned), learned.predict(table))
    windows = SequenceWindower(3).fit_transform(table[-5:])  # of some categories
    np.testing.assert_array_equal(
        learned[-1].predict(windows)[-1:], learned.predict(table)[-1:]
    )


# In tables of time.


@pytest.mark.thorough
def test_categories_known_in_advance_are_forecast_with():
    table = sales()
    X, Y = make_forecast_frame(table, "sales", horizon=2, known="promotion")
    model = pipeline(target_feature="auto").fit(X, Y)
    days = pd.date_range(table.index[-1], periods=3, freq="D")[1:]
    future = pd.DataFrame({"promotion": ["half", "coupon"]}, index=days)
    predictions = forecast(model, table, future=future)["prediction"]
    assert predictions.iloc[0] > 2.0  # of an effect of 4
    assert predictions.iloc[1] < -1.5  # and of -3
    future.iloc[0, 0] = None  # as in training, it may be missing
    assert np.isfinite(forecast(model, table, future=future)["prediction"]).all()


def test_what_is_known_in_advance_shares_the_vectors_of_its_column():
    table = sales(60)
    table.loc[table.index[0], "promotion"] = "raffle"  # is never ahead
    table.loc[table.index[-1], "promotion"] = "sellout"  # only ahead
    table["kind"] = "village"
    X, Y = make_forecast_frame(table, "sales", horizon=2, known="promotion")
    model = pipeline(max_epochs=1).fit(X, Y)[-1]
    assert model.module_.spec.category_features == ((1, 0), (2, 1), (3, 0), (4, 0))
    assert [len(v.weight) for v in model.module_.categories.vectors] == [9, 2]
    assert all({"raffle", "sellout"} < set(model.categories_[j]) for j in (1, 3, 4))


@pytest.mark.thorough
def test_the_linear_part_reads_the_categories_of_the_last_step():
    table = sales(200)
    X, Y = make_forecast_frame(table, "sales", known="promotion")
    windows = SequenceWindower(7).fit_transform(X)
    model = RNNRegressor(linear_skip=True, **QUICK).fit(windows, Y["sales+1"])
    error = model.linear_.predict(windows)[:, 0] - Y["sales+1"]
    assert (error**2).mean() < 0.3 * Y["sales+1"].var()
    assert model.linear_.coef_.shape == (1, 7, 3)


def test_categories_that_a_trial_has_not_seen_are_no_error():
    # Some training data are held out to compare the network with the linear part.
    table = sales(100)
    table.loc[table.index[-4:], "promotion"] = "raffle"
    model = pipeline(max_epochs=2, linear_skip=True).fit(table, table["sales"])
    assert "raffle" in model[-1].categories_[1]


@pytest.mark.thorough
def test_backtests_and_missing_plans_work_with_categories():
    table = sales(300)
    table["promotion"] = table["promotion"].replace("none", None)
    frame = backtest(
        pipeline(target_feature="sales"),
        table,
        "sales",
        horizon=2,
        known="promotion",
        cv=2,
    )
    error = (frame["prediction"] - frame["truth"]).abs().mean()
    assert error < 0.5 * (frame["naive"] - frame["truth"]).abs().mean()


def test_series_in_one_table_may_have_categories_of_their_own():
    parts = [
        sales(120, seed).assign(shop=shop, name=shop)
        for seed, shop in enumerate(["north", "south"])
    ]
    parts[1]["sales"] += 5
    table = pd.concat(parts).reset_index(names="day")
    X, Y = make_forecast_frame(
        table, "sales", known="promotion", time="day", group_by="shop"
    )
    model = make_pipeline(
        SequenceWindower(2, time="day", group_by="shop"), RNNRegressor(**QUICK)
    ).fit(X, Y["sales+1"])
    assert model.score(X, Y["sales+1"]) > 0.95
    assert model[-1].categories_[2].tolist() == ["north", "south"]


def test_gaps_masks_and_calendars_go_with_categories():
    table = sales(60)
    table.loc[table.index[10], :] = None
    table = table.drop(table.index[20:24])
    model = make_pipeline(
        CalendarFeatures(["dayofweek"]),
        SequenceWindower(5, missing="mask"),
        SequenceScaler(),
        RNNRegressor(max_epochs=2, **QUICK),
    )
    model.fit(table, table["sales"].fillna(0.0))
    assert np.isfinite(model.predict(table)).all()
    names = model[1].get_feature_names_out()
    assert "missingindicator_sales" in names
    assert "missingindicator_promotion" not in names


def test_a_table_in_a_named_output_keeps_categories():
    model = pipeline(max_epochs=1).set_output(transform="pandas")
    model.fit(sales(40), sales(40)["sales"])
    assert model[-1].feature_names_in_.tolist() == ["sales", "promotion"]


def test_a_stateful_predictor_reads_categories():
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"kind": rng.choice(KINDS, 6), "x": rng.normal(size=6)})
        for _ in range(40)
    ]
    model = RNNRegressor(max_epochs=2, **QUICK).fit(frames, rng.normal(size=40))
    live = StatefulPredictor(model)
    live.predict(frames[0][:2])
    np.testing.assert_allclose(
        live.predict(frames[0][2:]), model.predict(frames[:1]), atol=1e-4
    )


# Inspection.


def test_inspection_reads_categories(learned):
    table = sales(10)[["promotion"]]
    windows = learned[0].transform(table)
    states = learned[-1].hidden_states(windows)
    assert states[-1].shape == (3, 16)
    gradients = learned[-1].input_gradients(windows)
    assert gradients[-1].shape == (3,)
    assert gradients[-1][-1] > 0


def test_the_size_of_a_vector_follows_the_rule():
    for n_categories, size in ((2, 3), (10, 5), (100, 11)):
        X = np.repeat(np.arange(n_categories), 2)[:, np.newaxis, np.newaxis]
        model = RNNRegressor(categorical_features=[0], max_epochs=1, hidden_size=2)
        model.fit(X, X[:, 0, 0])
        vectors = model.module_.categories.vectors[0]
        assert vectors.weight.shape == (n_categories + 1, size)


# What is refused, or warned of.


def test_names_that_come_once_are_warned_of():
    table = sales(80).assign(note=[f"note {i}" for i in range(80)])
    with pytest.warns(SklearnRNNWarning, match=r"'note' .*80 of them in 80 steps"):
        pipeline(max_epochs=1).fit(table, table["sales"])
    table["note"] = [f"note {i}" for i in range(40)] * 2
    pipeline(max_epochs=1).fit(table, table["sales"])


def test_none_refuses_categories_in_X():
    for wanted in (None, ["sales"], [False, False], [0]):
        table = sales(40)
        if wanted in (["sales"], [0]):
            table["sales"] = 1.0
        with pytest.raises(InvalidSequenceError, match=r"'promotion'.*'from_dtype'"):
            pipeline(categorical_features=wanted).fit(table, table["sales"])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["shop"], "'shop', which is no feature"),
        ([2], "contains 2, and X has 2 features"),
        ([-1], "contains -1"),
        ([0.5], r"contains 0\.5"),
        ([True], "mask of 1 bools"),
        ("promotion+1", "must be"),
    ],
)
def test_wrong_choices_of_features_are_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        pipeline(categorical_features=wanted).fit(sales(20), sales(20)["sales"])


def test_numbers_that_are_no_codes_are_refused():
    with pytest.raises(InvalidSequenceError, match=r"whole numbers .*SequenceScaler"):
        pipeline(categorical_features=[0, 1]).fit(sales(20), sales(20)["sales"])


def test_tokens_and_categories_exclude_one_another():
    X = np.zeros((5, 3, 1), dtype=int)
    with pytest.raises(ValueError, match="embedding_dim"):
        RNNRegressor(categorical_features=[0], embedding_dim=2).fit(X, np.arange(5))


@pytest.mark.parametrize("subtract_last", [False, True])
def test_a_category_is_not_the_targets_own_past(subtract_last):
    model = pipeline(target_feature="promotion", subtract_last=subtract_last)
    with pytest.raises(ValueError, match=r"target_feature.*'promotion'.*categories"):
        model.fit(sales(20), sales(20)["sales"])


def test_other_estimators_say_that_they_read_numbers():
    windows = SequenceWindower(3).fit_transform(sales(20))
    with pytest.raises(InvalidSequenceError, match=r"'promotion' .*RNNSeq2Seq reads"):
        RNNSeq2Seq().fit(windows, [["a"]] * 20)


def test_columns_that_change_between_numbers_and_categories_are_refused(learned):
    table = sales()[["promotion"]]
    numbers = table.assign(promotion=1.0)
    with pytest.raises(InvalidSequenceError, match=r"'promotion' .*in fit .*'bundle'"):
        learned.predict(numbers)
    with pytest.raises(InvalidSequenceError, match="same type"):
        learned[-1].predict(SequenceWindower(3).fit_transform(numbers))
    other = pipeline(max_epochs=1).fit(numbers, sales()["sales"])
    with pytest.raises(InvalidSequenceError, match="in fit it held numbers"):
        other.predict(table)
    with pytest.raises(InvalidSequenceError, match="fitted on numbers"):
        other[-1].predict(SequenceWindower(3).fit_transform(table))


def test_a_scaler_leaves_categories_alone():
    windows = SequenceWindower(3).fit_transform(sales(30))
    scaler = SequenceScaler().fit(windows)
    assert (scaler.mean_[1], scaler.scale_[1]) == (0, 1)
    scaled = scaler.transform(windows)
    np.testing.assert_array_equal(scaled[5][:, 1], windows[5][:, 1])
    assert scaled.categories == windows.categories
    numbers = SequenceWindower(3).fit_transform(sales(30).assign(promotion=1.0))
    with pytest.raises(InvalidSequenceError, match="other features"):
        scaler.transform(numbers)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True, "n_layers": 2, "dropout": 0.2},
        {"pooling": "attention"},
        {"pooling": "mean", "layer_norm": True},
        {"loss": "quantile", "target_feature": "sales"},
        {"bptt_steps": 2},
        {"subtract_last": True, "target_feature": "sales"},
        {"dtype": "mixed"},
        {"cell": "lstm", "kernel": "torch", "n_threads": 2},
        {"missing_targets": "ignore", "early_stopping": True},
    ],
)
def test_categories_go_with_other_options(options):
    table = sales(100)
    model = pipeline(**options, max_epochs=10, linear_skip=False)
    model.fit(table, table["sales"])
    assert np.isfinite(model.predict(table)).all()
    new = table.assign(promotion="raffle")
    assert not np.allclose(model.predict(table), model.predict(new))


def test_every_step_may_have_a_target_and_categories():
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"kind": rng.choice(KINDS, n), "x": rng.normal(size=n)})
        for n in rng.integers(3, 9, size=100)
    ]
    effects = dict(zip(KINDS, EFFECTS, strict=True))
    y = [frame["kind"].map(effects).to_numpy() for frame in frames]
    model = RNNRegressor(return_sequences=True, **QUICK).fit(frames[:80], y[:80])
    assert model.score(frames[80:], y[80:]) > 0.9
