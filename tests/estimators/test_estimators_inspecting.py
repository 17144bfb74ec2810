"""Looking inside a network: states, attention weights, gradients of inputs."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sklearn_rnn import RNNClassifier, RNNRegressor, RNNTagger, SequenceScaler

TORCH = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
LENGTHS = [4, 1, 7, 4, 2, 6]


def make_data(seed=0):
    """Sequences of unequal length, in units far from 0 and 1."""
    rng = np.random.default_rng(seed)
    X = [rng.normal([50, -3], [5, 0.1], size=(n, 2)) for n in LENGTHS]
    return X, np.array([x[:, 0].mean() for x in X])


def fitted(estimator=RNNRegressor, X=None, y=None, **options):
    if X is None:
        X, y = make_data()
        if estimator is RNNClassifier:
            y = np.array(["a", "b", "c", "a", "b", "c"])
        elif estimator is RNNTagger:
            y = [np.where(x[:, 0] > 50, "a", "b") for x in X]
            y[2][0] = "c"
        elif options.get("return_sequences"):
            y = [x[:, 0] for x in X]
    small = {"hidden_size": 4, "max_epochs": 3, "learning_rate": 0.05}
    small |= {"dtype": "float64", "random_state": 0}
    return estimator(**{**small, **options}).fit(X, y)


KINDS = {
    "regressor": (RNNRegressor, {}),
    "classifier": (RNNClassifier, {}),
    "regressor of steps": (RNNRegressor, {"return_sequences": True}),
    "tagger": (RNNTagger, {}),
}
kinds = pytest.mark.parametrize("kind", KINDS)


# hidden_states


def by_torch(model, x):
    """States of one sequence, by torch's own module on standardised steps."""
    steps = np.concatenate(make_data()[0])
    x = (x - steps.mean(axis=0)) / steps.std(axis=0)
    rnn = TORCH[model.module_.core.cell](
        2, 4, model.n_layers, bidirectional=model.bidirectional, dtype=torch.float64
    )
    rnn.load_state_dict(model.module_.core.rnn.state_dict())
    return rnn(torch.tensor(x)[:, None])[0][:, 0].detach().numpy()


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(
    "options", [{}, {"n_layers": 2}, {"n_layers": 2, "bidirectional": True}], ids=str
)
def test_hidden_states_are_those_of_torch_on_standardised_steps(cell, options):
    X, _ = make_data()
    model = fitted(cell=cell, **options)
    for states, x in zip(model.hidden_states(X), X, strict=True):
        np.testing.assert_allclose(states, by_torch(model, x), atol=1e-9)


@kinds
@pytest.mark.parametrize("bidirectional", [False, True])
def test_hidden_states_have_a_row_a_step_and_a_column_a_unit(kind, bidirectional):
    estimator, options = KINDS[kind]
    X, _ = make_data()
    states = fitted(estimator, bidirectional=bidirectional, **options).hidden_states(X)
    assert states.dtype == object
    width = 8 if bidirectional else 4
    assert [s.shape for s in states] == [(n, width) for n in LENGTHS]
    assert {s.dtype for s in states} == {np.dtype("float64")}


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"residual": True}, {}])
def test_the_last_state_is_what_pooling_last_reads(options):
    X, y = make_data()
    model = fitted(n_layers=2, pooling="last", **options)
    last = np.stack([states[-1] for states in model.hidden_states(X)])
    head = {k: v.numpy() for k, v in model.module_.head.state_dict().items()}
    outputs = last @ head["weight"].T + head["bias"]
    expected = y.mean() + y.std() * outputs[:, 0]
    np.testing.assert_allclose(model.predict(X), expected)


def test_every_state_is_what_a_prediction_of_its_step_reads():
    X, _ = make_data()
    model = fitted(RNNTagger)
    head = {k: v.numpy() for k, v in model.module_.head.state_dict().items()}
    probabilities = model.predict_proba(X)
    for states, expected in zip(model.hidden_states(X), probabilities, strict=True):
        logits = states @ head["weight"].T + head["bias"]
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, expected)


def test_states_of_arrays_of_equal_length_are_one_array_a_sequence():
    rng = np.random.default_rng(0)
    for shape in ((5, 3, 2), (1, 3, 2), (5, 1, 2)):
        X = rng.normal(size=shape)
        model = fitted(X=rng.normal(size=(5, 3, 2)), y=rng.normal(size=5))
        for values, inner in (
            (model.hidden_states(X), (4,)),
            (model.input_gradients(X), ()),
        ):
            assert values.shape == shape[:1]
            assert [v.shape for v in values] == shape[0] * [(shape[1], *inner)]


def test_states_do_not_depend_on_the_company():
    X, _ = make_data()
    model = fitted()
    together = model.hidden_states(X)
    for i in range(len(X)):
        np.testing.assert_array_equal(model.hidden_states(X[i : i + 1])[0], together[i])


def test_states_of_long_sequences_are_whole():
    X = [np.random.default_rng(0).normal(50, 5, size=(n, 2)) for n in (2500, 3, 1100)]
    model = fitted()
    for states, x in zip(model.hidden_states(X), X, strict=True):
        np.testing.assert_allclose(states, by_torch(model, x), atol=1e-9)


def test_more_sequences_than_a_block_keep_their_order():
    rng = np.random.default_rng(0)
    X = [rng.normal(50, 5, size=(n, 2)) for n in rng.integers(1, 9, size=150)]
    model = fitted(pooling="attention")
    for look in (model.hidden_states, model.attention_weights, model.input_gradients):
        together = look(X)
        assert len(together) == 150
        for i in (0, 63, 64, 149):
            np.testing.assert_allclose(look(X[i : i + 1])[0], together[i], rtol=1e-9)


# attention_weights


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_attention_weights_sum_to_1_over_a_sequences_own_steps(
    estimator, bidirectional
):
    X, _ = make_data()
    options = {"pooling": "attention", "bidirectional": bidirectional}
    weights = fitted(estimator, **options).attention_weights(X)
    assert [w.shape for w in weights] == [(n,) for n in LENGTHS]
    np.testing.assert_allclose([w.sum() for w in weights], 1)
    assert min(w.min() for w in weights) > 0
    assert weights[2].std() > 0


def test_attention_weights_make_the_prediction():
    X, y = make_data()
    model = fitted(pooling="attention")
    head = {k: v.numpy() for k, v in model.module_.head.state_dict().items()}
    pooled = [
        weights @ states
        for weights, states in zip(
            model.attention_weights(X), model.hidden_states(X), strict=True
        )
    ]
    outputs = np.stack(pooled) @ head["weight"].T + head["bias"]
    expected = y.mean() + y.std() * outputs[:, 0]
    np.testing.assert_allclose(model.predict(X), expected)


def test_attention_weights_survive_scores_that_overflow():
    X, _ = make_data()
    model = fitted(pooling="attention")
    with torch.no_grad():
        model.module_.pooling.score.weight.mul_(1e6)
    weights = model.attention_weights(X)
    np.testing.assert_allclose([w.sum() for w in weights], 1)
    assert all(w.max() > 0.99 for w in weights)


@pytest.mark.slow
def test_attention_finds_the_step_that_matters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8, 1))
    X = np.concatenate([X, np.zeros_like(X)], axis=2)
    places = rng.integers(8, size=200)
    X[np.arange(200), places, 1] = 1
    y = X[np.arange(200), places, 0]
    options = {"hidden_size": 8, "max_epochs": 25, "learning_rate": 0.02}
    model = RNNRegressor(
        pooling="attention", input_dropout=0.0, random_state=0, **options
    )
    weights = np.stack(model.fit(X, y).attention_weights(X))
    assert (weights.argmax(axis=1) == places).mean() > 0.9


@pytest.mark.parametrize(
    "estimator, options",
    [
        (RNNRegressor, {"pooling": "last"}),
        (RNNRegressor, {"return_sequences": True}),
        (RNNClassifier, {"pooling": "max"}),
        (RNNTagger, {}),
    ],
)
def test_attention_weights_need_attention(estimator, options):
    X, _ = make_data()
    model = fitted(estimator, **options)
    with pytest.raises(ValueError, match=f"{estimator.__name__} has no attention"):
        model.attention_weights(X)


def test_attention_weights_are_of_the_network_that_was_fitted():
    X, _ = make_data()
    model = fitted(pooling="attention").set_params(pooling="last")
    np.testing.assert_allclose([w.sum() for w in model.attention_weights(X)], 1)
    model = fitted(pooling="last").set_params(pooling="attention")
    with pytest.raises(ValueError, match="no attention.*pooling='attention'"):
        model.attention_weights(X)


# input_gradients


def gradients_by_differences(function, x, scale, step=1e-5):
    """Central differences of a scalar function, by steps in standard deviations."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step * scale[place[1]]
            ends.append(function(moved))
        gradient[place] = (ends[0] - ends[1]) / (2 * step)
    return np.linalg.norm(gradient, axis=1)


def check_input_gradients(model, X, output):
    scale = np.concatenate(make_data()[0]).std(axis=0)
    norms = model.input_gradients(X)
    for x, norm in zip(X, norms, strict=True):
        expected = gradients_by_differences(output, x, scale)
        assert expected.max() > 1e-3
        np.testing.assert_allclose(norm, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_input_gradients_of_a_regressor_are_its_predictions_slopes(cell, pooling):
    X, y = make_data()
    model = fitted(cell=cell, pooling=pooling, dropout=0.3, input_dropout=0.3)
    check_input_gradients(model, X, lambda x: model.predict([x])[0] / y.std())


def test_input_gradients_of_several_outputs_are_those_of_their_sum():
    X, y = make_data()
    Y = np.column_stack([y, [x[-1, 1] for x in X]])
    model = fitted(X=X, y=Y)
    check_input_gradients(model, X, lambda x: (model.predict([x])[0] / Y.std(0)).sum())


@pytest.mark.parametrize(
    "options",
    [{"pooling": "last"}, {"pooling": "max", "bidirectional": True}, {"n_layers": 2}],
    ids=str,
)
def test_input_gradients_of_a_classifier_are_those_of_its_logits(options):
    X, _ = make_data()
    model = fitted(RNNClassifier, **options)

    def margin(x):
        with torch.no_grad():
            logits = model.module_(torch.tensor(x)[None])[0]
            return (logits.max() - logits.mean()).item()

    check_input_gradients(model, X, margin)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_input_gradients_at_every_step_are_those_of_the_last_steps_output(
    bidirectional,
):
    X, _ = make_data()
    options = {"return_sequences": True, "bidirectional": bidirectional}
    model = fitted(**options)
    scale = np.concatenate([x[:, 0] for x in X]).std()
    check_input_gradients(model, X, lambda x: model.predict([x])[0][-1] / scale)


def test_input_gradients_of_a_tagger_are_those_of_the_last_steps_logits():
    X, _ = make_data()
    model = fitted(RNNTagger, layer_norm=True, n_layers=2)

    def margin(x):
        with torch.no_grad():
            logits = model.module_(torch.tensor(x)[None])[0, -1]
            return (logits.max() - logits.mean()).item()

    check_input_gradients(model, X, margin)


def test_input_gradients_of_tokens_are_those_of_their_vectors():
    X = [[0, 1, 2], [3], [2, 2]]
    model = fitted(RNNClassifier, X=X, y=[0, 1, 0], embedding_dim=3)
    norms = model.input_gradients(X)
    assert [n.shape for n in norms] == [(3,), (1,), (2,)]
    vectors = model.module_.embedding.weight.detach()
    for tokens, norm in zip(X, norms, strict=True):
        inputs = vectors[tokens][:, None].requires_grad_()
        states = model.module_.core(inputs)
        logits = model.module_.head(model.module_.pooling(states))[0]
        output = logits.max() - logits.mean()
        (gradient,) = torch.autograd.grad(output, inputs)
        np.testing.assert_allclose(norm, gradient[:, 0].norm(dim=1), rtol=1e-9)


@kinds
def test_input_gradients_are_a_number_a_step(kind):
    estimator, options = KINDS[kind]
    X, _ = make_data()
    norms = fitted(estimator, **options).input_gradients(X)
    assert norms.dtype == object
    assert [n.shape for n in norms] == [(n,) for n in LENGTHS]
    assert {n.dtype for n in norms} == {np.dtype("float64")}
    assert min(n.max() for n in norms) > 0


def test_input_gradients_show_how_a_plain_cell_forgets():
    X = np.random.default_rng(0).normal(size=(20, 60, 2))
    model = fitted(cell="rnn", X=X, y=X[:, -1, 0], max_epochs=10)
    norms = np.stack(model.input_gradients(X)).mean(axis=0)
    assert norms[0] < 1e-3 * norms[-1]


@kinds
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_input_gradients_come_though_gradients_are_off(kind, mode):
    estimator, options = KINDS[kind]
    X, _ = make_data()
    model = fitted(estimator, **options)
    expected = model.input_gradients(X)
    with mode():
        norms = model.input_gradients(X)
    for norm, other in zip(norms, expected, strict=True):
        np.testing.assert_array_equal(norm, other)


# All three.

LOOKS = ["hidden_states", "attention_weights", "input_gradients"]
looks = pytest.mark.parametrize("look", LOOKS)


@looks
def test_looking_leaves_the_model_as_it_was(look):
    X, y = make_data()
    model = fitted(pooling="attention", dropout=0.5, input_dropout=0.5, weight_drop=0.5)
    before = copy.deepcopy(model.module_.state_dict())
    predictions, random_state = model.predict(X), torch.get_rng_state()
    gradients = [p.grad for p in model.module_.parameters()]
    attributes = set(vars(model))
    first = getattr(model, look)(X)
    second = getattr(model, look)(X)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(vars(model)) == attributes
    assert not model.module_.training
    assert torch.equal(torch.get_rng_state(), random_state)
    for name, weight in model.module_.state_dict().items():
        assert torch.equal(weight, before[name])
    after = [p.grad for p in model.module_.parameters()]
    assert all(a is b for a, b in zip(gradients, after, strict=True))
    np.testing.assert_array_equal(model.predict(X), predictions)
    # And it goes on training as if nobody had looked.
    untouched = fitted(
        pooling="attention", dropout=0.5, input_dropout=0.5, weight_drop=0.5
    )
    model.partial_fit(X, y)
    untouched.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), untouched.predict(X))


@looks
def test_looking_does_not_change_what_is_looked_at(look):
    X, _ = make_data()
    copies = [x.copy() for x in X]
    getattr(fitted(pooling="attention"), look)(X)
    for x, before in zip(X, copies, strict=True):
        np.testing.assert_array_equal(x, before)


@looks
def test_padding_does_not_change_what_is_seen(look):
    X, _ = make_data()
    model = fitted(pooling="attention")
    plain = getattr(model, look)(X)
    padded = np.full((len(X), 9, 2), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[1 : len(x) + 1] = x
    for seen, expected in zip(getattr(model, look)(padded), plain, strict=True):
        np.testing.assert_allclose(seen, expected, rtol=1e-9)


@looks
@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier, RNNTagger])
def test_unfitted_models_show_nothing(look, estimator):
    X, _ = make_data()
    with pytest.raises(NotFittedError, match=f"{estimator.__name__} instance is not"):
        getattr(estimator(), look)(X)


@looks
def test_wrong_features_are_refused(look):
    X, _ = make_data()
    model = fitted(pooling="attention")
    with pytest.raises(ValueError, match="X has 1 features.*RNNRegressor.*2 features"):
        getattr(model, look)([x[:, :1] for x in X])


@looks
def test_models_fitted_on_a_table_are_looked_into_alike(look):
    X = np.random.default_rng(0).normal(size=(8, 5))
    model = fitted(X=X, y=X[:, 0], pooling="attention")
    one, other = (getattr(model, look)(x) for x in (X, X[:, :, None]))
    for seen, expected in zip(one, other, strict=True):
        np.testing.assert_array_equal(seen, expected)


@looks
def test_the_network_behind_a_pipeline_can_be_looked_into(look):
    X, y = make_data()
    options = {"hidden_size": 4, "max_epochs": 1, "pooling": "attention"}
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(**options)).fit(X, y)
    seen = getattr(pipeline[-1], look)(pipeline[:-1].transform(X))
    assert [len(s) for s in seen] == LENGTHS


def test_a_model_in_single_precision_shows_numbers_in_double():
    X, _ = make_data()
    model = fitted(pooling="attention", dtype="float32")
    for look in LOOKS:
        assert {s.dtype for s in getattr(model, look)(X)} == {np.dtype("float64")}
