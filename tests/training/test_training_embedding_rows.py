"""Embeddings of which an update changes the rows that a batch reads, and no others."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_rnn import (
    RNNClassifier,
    RNNGenerator,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTagger,
)
from sklearn_rnn.modules import NetworkSpec, TiedHead, TokenEmbedding, build_network
from sklearn_rnn.training import OPTIMIZERS, FlatWeights

COMPILED = [False, True]
N_TOKENS, DIM = 9, 3  # and one row for unknown tokens
EVERY = torch.arange(N_TOKENS + 1)
BATCHES = [
    torch.tensor(tokens) for tokens in ([[0, 1, 1], [4, 0, 0]], [[1, 2, 4]], [[99, 7]])
]


class Network(torch.nn.Module):
    """An embedding between other weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bias = torch.nn.Parameter(torch.randn(5, dtype=torch.double))
        self.embedding = TokenEmbedding(N_TOKENS, DIM).double()
        self.head = torch.nn.Linear(DIM, 2, dtype=torch.double)

    def loss(self, tokens):
        """Return a loss that differs from row to row."""
        out = self.head(torch.tanh(self.embedding(tokens)))
        return (out.sin() * torch.arange(1.0, 3.0)).sum() + (self.bias**2).sum()


def optimizer_of(name, params, **options):
    kind, own = OPTIMIZERS[name]
    return kind(params, lr=0.1, **{**own, **options})


class RowWise:
    """A network whose embedding is trained row by row."""

    def __init__(self, name="adam", compiled=False, **options):
        self.network = Network()
        self.weights = FlatWeights(
            [list(self.network.parameters())], self.network, compiled
        )
        self.optimizer = optimizer_of(name, self.weights.leaves[0], **options)

    def update(self, tokens, max_norm=None, max_value=None):
        self.weights.clear_gradients()
        with self.weights.recording_rows():
            self.network.loss(tokens).backward()
        clipped = self.weights.clip(max_norm, max_value)
        self.weights.update(self.optimizer)
        return clipped

    @property
    def table(self):
        return self.network.embedding.weight.detach().clone()

    @property
    def state(self):
        found = self.optimizer.state[self.weights.embeddings[0].leaf]
        return {k: v.clone() for k, v in found.items() if torch.is_tensor(v)}


class Dense:
    """The same network, trained by torch; the embedding without momentum."""

    def __init__(self, name="adam", **options):
        self.network = Network()
        table = self.network.embedding.weight
        rest = [p for p in self.network.parameters() if p is not table]
        kind, own = OPTIMIZERS[name]
        own, rate = {**own, **options}, 0.1
        self.optimizers = [kind(rest, lr=rate, **own)]
        if name in ("adam", "adamw"):
            own["betas"] = 0.0, 0.999
        elif name == "sgd":
            rate /= 1 - own["momentum"]
            own["momentum"], own["nesterov"] = 0.0, False
        self.optimizers.append(kind([table], lr=rate, **own))

    def update(self, tokens, max_norm=None, max_value=None):
        self.network.zero_grad()
        self.network.loss(tokens).backward()
        weights = list(self.network.parameters())
        if max_value is not None:
            torch.nn.utils.clip_grad_value_(weights, max_value)
        if max_norm is not None:  # torch's own function adds 1e-6 to the norm
            norm = torch.cat([p.grad.ravel() for p in weights]).norm()
            for weight in weights:
                weight.grad *= min(1.0, max_norm / norm)
        for optimizer in self.optimizers:
            optimizer.step()


def assert_same_weights(one, other):
    for ours, theirs in zip(
        one.network.parameters(), other.network.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bounds", [{}, {"max_norm": 0.5}, {"max_value": 0.3}])
def test_where_every_row_is_read_updates_are_dense_ones(
    name, weight_decay, bounds, compiled
):
    ours = RowWise(name, compiled, weight_decay=weight_decay)
    dense = Dense(name, weight_decay=weight_decay)
    for k in range(5):
        tokens = torch.cat([EVERY, EVERY[: k + 1]])[None]
        ours.update(tokens, **bounds)
        dense.update(tokens, **bounds)
    assert_same_weights(ours, dense)


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_are_not_read_stay_with_their_state(name, compiled):
    ours = RowWise(name, compiled, weight_decay=0.1)
    ours.update(EVERY[None])
    for tokens in BATCHES:
        table, state = ours.table, ours.state
        ours.update(tokens)
        read = torch.isin(EVERY, tokens.clamp(max=N_TOKENS))
        changed = (ours.table != table).all(dim=1)
        assert torch.equal(changed, read)
        assert state.keys() == ours.state.keys()
        for key, before in state.items():
            if before.shape == table.shape:
                assert torch.equal((ours.state[key] != before).all(dim=1), read)
            else:
                assert ours.state[key] == before + 1  # updates, not occurrences


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_may_be_read_for_the_first_time_later(name, compiled):
    """Then they have the state that a gradient of zero would have left."""
    ours, dense = (
        make(name, weight_decay=0.0)
        for make in (partial(RowWise, compiled=compiled), Dense)
    )
    start = ours.table
    for tokens in BATCHES[:2]:
        ours.update(tokens)
        dense.update(tokens)
    late = [2, 3, 5, 6, 7, 8, 9]
    moved = ours.table - start
    assert not moved[[3, 5, 6, 7, 8, 9]].any()
    expected = dense.network.embedding.weight - start
    torch.testing.assert_close(moved[late], expected[late], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_single_occurrence_moves_a_row_as_far_as_momentum_does_in_time(
    name, compiled
):
    """A gradient that comes once, and the updates without one that follow."""
    ours, (optimizer_class, options) = RowWise(name, compiled), OPTIMIZERS[name]
    table = torch.nn.Parameter(ours.table)
    dense = optimizer_class([table], lr=0.1, **options)
    ours.update(EVERY[None])
    ours.weights.clear_gradients()
    with ours.weights.recording_rows():
        ours.network.loss(BATCHES[1]).backward()
    before, gradient = ours.table, ours.network.embedding.weight.grad.clone()
    ours.weights.update(ours.optimizer)
    moved = (ours.table - before)[[1, 2, 4]]
    # Far enough into training, Adam's mean square stays nearly the same.
    table.grad = torch.zeros_like(table)
    dense.step()
    for state in dense.state.values():
        for key in state.keys() & {"exp_avg_sq"}:
            state[key].copy_(gradient**2 * 1e-3 + 1e-30)
    start = table.detach().clone()
    table.grad.copy_(gradient)
    for _ in range(200):
        dense.step()
        table.grad.zero_()
    expected = (table.detach() - start)[[1, 2, 4]]
    assert (torch.sign(moved) == torch.sign(expected)).all()
    if name == "sgd":
        torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("compiled", COMPILED)
def test_the_norm_is_that_of_the_whole_gradient(compiled):
    ours, dense = RowWise("sgd", compiled), Dense("sgd")
    for tokens in BATCHES:
        ours.weights.clear_gradients()
        with ours.weights.recording_rows():
            ours.network.loss(tokens).backward()
        dense.network.zero_grad()
        dense.network.loss(tokens).backward()
        norm, clipped = ours.weights.clip(max_norm=0.1)
        weights = list(dense.network.parameters())
        expected = torch.nn.utils.clip_grad_norm_(weights, 0.1)
        assert norm == pytest.approx(expected.item(), rel=1e-10)
        assert clipped
        for p, q in zip(ours.network.parameters(), weights, strict=True):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=1e-12)
        assert ours.weights.clip(max_norm=1.0)[1] is False


@pytest.mark.parametrize("compiled", COMPILED)
def test_gradients_of_several_passes_add_up(compiled):
    """As those of the chunks of a sequence; then all of their rows are changed."""
    ours, dense = RowWise("adam", compiled), Dense("adam")
    ours.weights.clear_gradients()
    dense.network.zero_grad()
    for tokens in BATCHES:
        with ours.weights.recording_rows():
            ours.network.loss(tokens).backward()
        dense.network.loss(tokens).backward()
    torch.testing.assert_close(
        ours.network.embedding.weight.grad, dense.network.embedding.weight.grad
    )
    assert ours.weights.embeddings[0].rows.tolist() == [0, 1, 2, 4, 7, 9]
    ours.weights.clear_gradients()
    assert not ours.network.embedding.weight.grad.any()


def test_rows_can_be_named_by_what_computes_the_gradient_elsewhere():
    ours, other = RowWise(), RowWise()
    [embedding] = other.weights.embeddings
    assert embedding.leaf.shape == (N_TOKENS + 1, DIM)
    ours.update(BATCHES[0])
    other.weights.clear_gradients()
    other.network.loss(BATCHES[0]).backward()
    embedding.add(BATCHES[0])
    other.weights.clip()
    other.weights.update(other.optimizer)
    assert_same_weights(ours, other)


@pytest.mark.parametrize("compiled", COMPILED)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_may_read_no_row(name, compiled):
    ours = RowWise(name, compiled)
    for _ in range(3):
        before = ours.table
        ours.update(torch.empty(1, 0, dtype=torch.long))
        assert torch.equal(ours.table, before)
    ours.update(BATCHES[0])
    assert not torch.equal(ours.table, before)


def row_wise(*modules):
    network = torch.nn.ModuleList([*modules, torch.nn.Linear(1, 1)])
    weights = FlatWeights([list(network.parameters())], network)
    return [rows.embedding for rows in weights.embeddings]


def test_embeddings_that_others_share_are_dense():
    embedding = TokenEmbedding(4, 2)
    assert row_wise(embedding) == [embedding]
    assert row_wise(embedding, TiedHead(embedding, 2)) == []
    other = torch.nn.Linear(2, 5, bias=False)
    other.weight = embedding.weight
    assert row_wise(embedding, other) == []
    embedding.weight.requires_grad_(False)
    assert row_wise(embedding) == []


def test_outside_of_training_gradients_are_torchs():
    embedding = TokenEmbedding(4, 2)
    FlatWeights([[embedding.weight]], embedding)
    embedding.weight.grad = None
    embedding(torch.tensor([1])).sum().backward()
    assert embedding.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]


# Estimators. They are fitted to texts of all words, then to texts of five.

RNG = np.random.default_rng(0)
ALL_TOKENS = np.arange(24 * 6).reshape(24, 6, 1) % 40
TOKENS = RNG.choice([0, 3, 4, 20, 39], size=(24, 6, 1))
Y = RNG.normal(size=24)
UNREAD = [*range(1, 3), *range(5, 20), *range(21, 39)]
SMALL = {
    "hidden_size": 4,
    "max_epochs": 2,
    "batch_size": 8,
    "random_state": 0,
    "learning_rate": 0.05,
    "weight_decay": 0.1,
    "embedding_dim": 3,
}
MODELS = {
    "classifier": (RNNClassifier(), Y > 0),
    "regressor": (RNNRegressor(), Y),
    "steps": (RNNRegressor(return_sequences=True), TOKENS[:, :, 0] * 0.1),
    "chunks": (RNNTagger(bptt_steps=2), TOKENS[:, :, 0] > 3),
    "pooled chunks": (RNNClassifier(bptt_steps=2, pooling="mean"), Y > 0),
    "token dropout": (RNNClassifier(token_dropout=0.3), Y > 0),
}
KERNELS = ("compiled", "torch")


def table_of(model):
    return model.module_.embedding.weight.detach().clone()


@pytest.mark.thorough
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", MODELS)
def test_estimators_leave_words_alone_that_no_text_has(name, kernel):
    model, y = MODELS[name]
    model = copy.deepcopy(model).set_params(**SMALL, kernel=kernel)
    if model.token_dropout == "auto":  # by which few of the tokens would be read
        model.set_params(token_dropout=0)
    before = table_of(model.fit(ALL_TOKENS, y))
    after = table_of(model.partial_fit(TOKENS, y))
    assert torch.equal(after[UNREAD], before[UNREAD])
    read = [0, 3, 4, 20, 39]
    assert (after[read] != before[read]).all()


def rows_of(chosen, symbols, embedding):
    """Return the rows of symbols, which follow those of markers."""
    n_markers = embedding.n_tokens - len(symbols)
    return [n_markers + list(symbols).index(symbol) for symbol in chosen]


@pytest.mark.parametrize("tied", [True, False])
def test_generators_leave_symbols_alone_unless_they_score_them(tied):
    texts = ["abab", "bbab", "abba", "aabb"] * 5
    model = RNNGenerator(**SMALL, tie_embeddings=tied, warm_start=True)
    before = table_of(model.fit(["abcd", *texts]))
    after = table_of(model.fit(texts))
    unread = rows_of("cd", model.symbols_, model.module_.embedding)
    assert torch.equal(after[unread], before[unread]) is not tied


def test_encoder_decoders_leave_symbols_alone_that_they_do_not_read():
    pairs = ["abab", "bbab", "abba", "aabb"] * 5
    model = RNNSeq2Seq(**SMALL, tie_embeddings=False, warm_start=True)
    model.fit(["abcd", *pairs], ["abcd", *pairs])
    network = model.module_
    sides = [
        (network.embedding, model.source_symbols_),
        (network.target_embedding, model.target_symbols_),
    ]
    before = [embedding.weight.detach().clone() for embedding, _ in sides]
    model.fit(pairs, pairs)
    for (embedding, symbols), old in zip(sides, before, strict=True):
        changed = (embedding.weight != old).all(dim=1)
        assert changed[rows_of("ab", symbols, embedding)].all()
        assert not changed[rows_of("cd", symbols, embedding)].any()


def test_other_optimizers_change_all_rows():
    """Of a class that is not known nothing is assumed."""

    class Own(torch.optim.SGD):
        pass

    model = RNNClassifier(**{**SMALL, "optimizer": Own}).fit(ALL_TOKENS, Y > 0)
    before = table_of(model)
    assert (table_of(model.partial_fit(TOKENS, Y > 0)) != before)[:-1].all()


class OnGradient(Callback):
    def __init__(self, act):
        self.act = act

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Give the embedding's gradient away."""
        self.act(dict(named_parameters)["embedding.weight"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_callbacks_see_a_gradient_of_all_rows(kernel):
    seen = []
    record = OnGradient(lambda weight: seen.append(weight.grad.clone()))
    RNNClassifier(**SMALL, kernel=kernel, callbacks=[record]).fit(TOKENS, Y > 0)
    assert len(seen) == 6
    for gradient in seen:
        assert gradient.shape == (41, 3)
        assert not gradient[UNREAD].any()
        assert gradient[[0, 3, 4]].any()


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_that_callbacks_put_elsewhere_are_not_kept(kernel):
    def spoil(weight):
        weight.grad[UNREAD] += 7.0

    model = RNNClassifier(**SMALL, kernel=kernel, clip_norm=None)
    plain, spoiled = (
        copy.deepcopy(model).set_params(callbacks=callbacks).fit(TOKENS, Y > 0)
        for callbacks in ([OnGradient(lambda weight: None)], [OnGradient(spoil)])
    )
    torch.testing.assert_close(table_of(plain), table_of(spoiled), rtol=0, atol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_callbacks_may_replace_the_gradient_of_an_embedding(kernel):
    def stop(weight):
        weight.grad = None

    idle = RNNClassifier(**{**SMALL, "learning_rate": 1e-30}, kernel=kernel)
    start = table_of(idle.fit(TOKENS, Y > 0))
    options = {**SMALL, "weight_decay": 0.0}
    model = RNNClassifier(**options, kernel=kernel, callbacks=[OnGradient(stop)])
    torch.testing.assert_close(table_of(model.fit(TOKENS, Y > 0)), start)


@pytest.mark.parametrize("kernel", KERNELS)
def test_hooks_of_an_embedding_get_a_gradient_of_all_rows(kernel):
    model = RNNClassifier(**{**SMALL, "weight_decay": 0.0}, kernel=kernel)
    model.fit(TOKENS, Y > 0)
    seen = []

    def stop(gradient):
        seen.append(gradient.shape)
        return torch.zeros_like(gradient)

    model.module_.embedding.weight.register_hook(stop)
    model.net_.initialize_optimizer()  # without momentum
    before = table_of(model)
    after = table_of(model.partial_fit(TOKENS, Y > 0))
    assert torch.equal(before, after)
    assert set(seen) == {(41, 3)}


@pytest.mark.thorough
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_copies_train_on_with_the_state_of_every_row(optimizer, duplicate, kernel):
    model = RNNClassifier(**SMALL, optimizer=optimizer, kernel=kernel)
    model.fit(ALL_TOKENS, Y > 0)
    twin = duplicate(model)
    for one in (model, twin):
        one.partial_fit(TOKENS[:4], Y[:4] > 0)
    assert torch.equal(table_of(model), table_of(twin))


def test_states_of_one_tensor_per_group_start_again():
    """As pickles have them that were written before rows had a tensor of their own."""
    model = RNNClassifier(**{**SMALL, "weight_decay": 0.0}).fit(TOKENS, Y > 0)
    state = model.__getstate__()
    optimizer = state["_saved_net"]["optimizer"]
    [group] = optimizer["param_groups"]
    assert group["params"] == [0, 1]
    group["params"] = [0]
    states = dict(optimizer["state"]["state"])
    sizes = [s["exp_avg"].size for s in states.values()]
    merged = {
        key: np.zeros(sum(sizes), np.float32) for key in ("exp_avg", "exp_avg_sq")
    }
    optimizer["state"]["state"] = [[0, {"step": states[0]["step"], **merged}]]
    loaded = RNNClassifier.__new__(RNNClassifier)
    loaded.__setstate__(state)
    assert not loaded.net_.optimizer_.state
    assert torch.equal(table_of(loaded), table_of(model))
    loaded.partial_fit(TOKENS, Y > 0)
    assert np.isfinite(loaded.loss_curve_).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_embeddings_may_be_frozen_and_thawed_between_calls(kernel):
    model = RNNClassifier(**SMALL, kernel=kernel).fit(ALL_TOKENS, Y > 0)
    model.module_.embedding.requires_grad_(False)
    before = table_of(model)
    assert torch.equal(table_of(model.partial_fit(TOKENS, Y > 0)), before)
    model.module_.embedding.requires_grad_(True)
    after = table_of(model.partial_fit(TOKENS, Y > 0))
    assert torch.equal(after[UNREAD], before[UNREAD])
    assert not torch.equal(after, before)


@pytest.mark.parametrize("kernel", KERNELS)
def test_embeddings_in_other_memory_are_trained_on(kernel):
    model = RNNClassifier(**SMALL, kernel=kernel).fit(ALL_TOKENS, Y > 0)
    weight = model.module_.embedding.weight
    weight.data = weight.data.clone()
    before = table_of(model)
    after = table_of(model.partial_fit(TOKENS, Y > 0))
    assert torch.equal(after[UNREAD], before[UNREAD])
    assert not torch.equal(after, before)


def test_gradients_left_by_others_are_cleared_before_training():
    model = RNNClassifier(**SMALL, clip_norm=None).fit(ALL_TOKENS, Y > 0)
    twin = copy.deepcopy(model)
    model.module_.embedding.weight.grad.fill_(7.0)
    tables = [table_of(m.partial_fit(TOKENS, Y > 0)) for m in (model, twin)]
    assert torch.equal(*tables)
    assert not model.module_.embedding.weight.grad[UNREAD].any()


def test_networks_with_embeddings_have_a_leaf_of_their_own_for_them():
    spec = NetworkSpec("gru", 1, 4, 2, n_tokens=30, embedding_dim=8)
    network = build_network(spec, torch.float32, torch.Generator().manual_seed(0))
    weights = FlatWeights([list(network.parameters())], network)
    [[dense, table]] = weights.leaves
    assert dense.dim() == 1
    assert table.shape == (31, 8)
    assert table.data_ptr() == network.embedding.weight.data_ptr()
    assert weights.owns_storage(network.parameters())
