import copy
import dataclasses
import pickle
from itertools import product

import pytest
import torch

from sklearn_rnn.kernels import CELLS
from sklearn_rnn.modules import (
    LastPooling,
    Seq2SeqNetwork,
    Seq2SeqSpec,
    build_network,
    select_state,
)

BEGIN = 1
LENGTHS = torch.tensor([3, 1, 5])
READS = ["symbols", "sequences", "vectors"]
ATTENTIONS = ["additive", "location", "multiplicative", None]
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def make_spec(cell="gru", source="symbols", **changes):
    spec = Seq2SeqSpec(
        cell,
        n_features=1 if source == "symbols" else 2,
        hidden_size=4,
        n_outputs=6,
        embedding_dim=3,
        source=source,
        n_source_tokens=7 if source == "symbols" else None,
    )
    return dataclasses.replace(spec, **changes)


def make_network(cell="gru", source="symbols", seed=0, dtype=torch.double, **changes):
    spec = make_spec(cell, source, **changes)
    generator = torch.Generator().manual_seed(seed)
    network = build_network(spec, dtype, generator)
    # Of order 1, biases too: nothing should hide behind small weights.
    for parameter in network.parameters():
        parameter.data.normal_(std=0.7, generator=generator)
    return network


def make_batch(source="symbols", seed=1):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, 6, (3, 4), generator=generator)
    y[:, 0] = BEGIN
    if source == "symbols":
        return torch.randint(0, 7, (3, 5, 1), generator=generator), LENGTHS, y
    shape = (3, 1 if source == "vectors" else 5, 2)
    x = torch.randn(shape, generator=generator, dtype=torch.double)
    return x, None if source == "vectors" else LENGTHS, y


def step_by_step(network, x, lengths, y):
    memory = network.encode(x, lengths)
    state = network.initial_state(memory)
    outputs = []
    for tokens in y.T:
        log_probabilities, state, weights = network.step(tokens, memory, state)
        outputs.append((log_probabilities, weights))
    return [torch.stack(parts, dim=1) for parts in zip(*outputs, strict=True)]


SHAPES = [
    *product(CELLS, ["symbols"], ATTENTIONS, [1, 2], [False, True]),
    *product(CELLS, ["sequences", "vectors"], ATTENTIONS, [2], [True]),
]


@pytest.mark.parametrize("cell, source, attention, n_layers, bidirectional", SHAPES)
def test_all_steps_at_once_are_the_steps_one_by_one(
    cell, source, attention, n_layers, bidirectional
):
    network = make_network(
        cell,
        source,
        attention=attention,
        n_layers=n_layers,
        bidirectional=bidirectional,
        residual=True,
        layer_norm=n_layers == 2,
    )
    x, lengths, y = make_batch(source)
    log_probabilities, weights = step_by_step(network, x, lengths, y)
    logits = network(x, lengths, y)
    torch.testing.assert_close(logits.log_softmax(2), log_probabilities, **CLOSE)
    torch.testing.assert_close(network.align(x, lengths, y), weights, **CLOSE)
    assert logits.shape == (3, 4, 6) and weights.shape == (3, 4, x.shape[1])


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("source", ["symbols", "sequences"])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_of_the_source_changes_nothing(cell, source, bidirectional, attention):
    network = make_network(
        cell, source, bidirectional=bidirectional, attention=attention, n_layers=2
    )
    x, lengths, y = make_batch(source)
    padded = x.clone()
    padded[torch.arange(5) >= lengths[:, None]] = 3
    logits = network(x, lengths, y)
    torch.testing.assert_close(network(padded, lengths, y), logits, **CLOSE)
    for i, n in enumerate(lengths):
        alone = network(x[i : i + 1, :n], None, y[i : i + 1])
        torch.testing.assert_close(logits[i : i + 1], alone, **CLOSE)


def test_padding_of_the_target_does_not_change_earlier_logits():
    network = make_network(n_layers=2)
    x, lengths, y = make_batch()
    other = y.clone()
    other[:, 2:] = 0
    before, after = network(x, lengths, y), network(x, lengths, other)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])
    short = torch.tensor([2, 2, 2])
    assert torch.equal(network(x, lengths, other, short), after)


@pytest.mark.parametrize("cell", CELLS)
def test_logits_are_the_written_equations(cell):
    network = make_network(cell, source="sequences", bidirectional=True)
    x, lengths, y = make_batch("sequences")
    memory = network.encoder(x.transpose(0, 1), lengths)
    summary = LastPooling(4)(memory, lengths)
    parts = torch.tanh(network.bridge(summary)).split(4, dim=1)
    first = tuple(part[None].contiguous() for part in parts)
    embedded = network.target_embedding(y).transpose(0, 1)
    states, _ = network.decoder.run(embedded, state=(first,))
    contexts, weights = network.attention(
        states, memory, network.attention.keys(memory), lengths
    )
    hidden = torch.tanh(network.combine(torch.cat([states, contexts], dim=2)))
    expected = network.head(hidden).transpose(0, 1)
    torch.testing.assert_close(network(x, lengths, y), expected, **CLOSE)
    torch.testing.assert_close(network.align(x, lengths, y), weights, **CLOSE)


@pytest.mark.parametrize("cell", CELLS)
def test_every_layer_of_the_decoder_has_a_first_state_of_its_own(cell):
    network = make_network(cell, n_layers=3)
    state = network.initial_state(network.encode(*make_batch()[:2]))
    parts = [part for layer in state for part in layer]
    assert len(state) == 3 and len(parts) == (6 if cell == "lstm" else 3)
    assert all(part.shape == (1, 3, 4) and part.is_contiguous() for part in parts)
    assert len({float(part.detach()[0, 0, 0]) for part in parts}) == len(parts)


def test_without_attention_the_summary_is_all_that_is_seen():
    network = make_network(attention=None)
    x, lengths, y = make_batch()
    memory = network.encode(x, lengths)
    assert torch.equal(network.align(x, lengths, y), torch.zeros(3, 4, 5))
    assert torch.equal(memory.keys[0], torch.tanh(network.context(memory.summary)))
    # The context matters, beyond the state that the decoder starts from.
    state = network.initial_state(memory)
    other = memory._replace(keys=-memory.keys)
    first, second = (network.step(y[:, 0], m, state)[0] for m in (memory, other))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("source", READS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("tied", [False, True])
def test_gradients_reach_every_parameter(source, attention, tied):
    network = make_network(
        "lstm",
        source,
        attention=attention,
        tie_embeddings=tied,
        n_layers=2,
        layer_norm=True,
    )
    network(*make_batch(source)).square().sum().backward()
    # From a memory of one step, attention takes all whatever its scores.
    pointless = "attention" if source == "vectors" else None
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if name.split(".")[0] != pointless:
            assert parameter.grad.abs().max() > 0.0, name


@pytest.mark.thorough
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_gradients_are_right(attention):
    network = make_network("lstm", "sequences", attention=attention, bidirectional=True)
    x, lengths, y = make_batch("sequences")
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: network(x, lengths, y), x)


def test_tied_outputs_use_the_target_embedding():
    x, lengths, y = make_batch()
    for hidden_size in (4, 3):
        network = make_network(tie_embeddings=True, hidden_size=hidden_size)
        pointer = network.target_embedding.weight.data_ptr()
        assert network.head.weight.data_ptr() == pointer
        before = network(x, lengths, y)
        # Symbol 5 is no input here: only the output layer can have read its row.
        network.target_embedding.weight.data[5] += 1.0
        after = network(x, lengths, torch.where(y == 5, 4, y))
        same = network(x, lengths, torch.where(y == 5, 4, y))
        assert torch.equal(after, same)
        assert (before[:, 0, 5] != after[:, 0, 5]).all()
        assert torch.equal(before[:, 0, :5], after[:, 0, :5])
    untied = make_network(tie_embeddings=False, embedding_dim=4)
    n_tied = sum(
        p.numel()
        for p in make_network(tie_embeddings=True, embedding_dim=4).parameters()
    )
    assert sum(p.numel() for p in untied.parameters()) == n_tied + 6 * 4


def test_initial_logits_are_small_tied_or_not():
    for tied in (False, True):
        spec = make_spec(hidden_size=64, embedding_dim=64, tie_embeddings=tied)
        network = build_network(spec, torch.double, torch.Generator().manual_seed(0))
        assert 0.0 < network(*make_batch()).std() < 1.0


def test_unknown_source_symbols_share_one_embedding():
    network = make_network()
    x, lengths, y = make_batch()
    known, first, second = (
        network(torch.where(x == x[0, 0], token, x), lengths, y)
        for token in (6, 7, 1000)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first, known)
    assert network.embedding.num_embeddings == 8


@pytest.mark.parametrize("source", ["sequences", "vectors"])
def test_numbers_enter_centred_and_scaled(source):
    network = make_network(source=source)
    x, lengths, y = make_batch(source)
    scaled = (x - torch.tensor([1.0, -2.0])) * torch.tensor([0.5, 4.0])
    expected = network(scaled, lengths, y)
    network.set_input_scaling([1.0, -2.0], [0.5, 4.0])
    torch.testing.assert_close(network(x, lengths, y), expected, **CLOSE)
    twin = make_network(source=source, seed=1)
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin(x, lengths, y), network(x, lengths, y))


@pytest.mark.parametrize("option", ["dropout", "input_dropout", "weight_drop"])
@pytest.mark.parametrize("source", READS)
def test_dropout_acts_in_training_only(option, source):
    network = make_network(source=source, **{option: 0.5})
    batch = make_batch(source)

    def outputs(seed):
        network.seed_dropout(torch.Generator().manual_seed(seed))
        return network(*batch)

    network.train()
    assert torch.equal(outputs(0), outputs(0))
    assert not torch.allclose(outputs(0), outputs(1))
    network.eval()
    assert torch.equal(outputs(0), make_network(source=source)(*batch))


def record_decoder_inputs(network):
    seen = []
    network.target_embedding.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].T.clone())
    )
    return seen


def test_own_symbols_replace_given_ones_in_training_only():
    network, batch = make_network(), make_batch()
    network.seed_dropout(torch.Generator().manual_seed(0))
    given = network(*batch)
    network.sampling_probability = 1.0
    assert not torch.allclose(network(*batch), given)
    network.eval()
    assert torch.equal(network(*batch), given)
    network.train()
    network.sampling_probability = 0.0
    assert torch.equal(network(*batch), given)


def test_a_probability_of_one_samples_from_own_predictions_everywhere():
    network, (x, lengths, y) = make_network(), make_batch()
    # Certain of one symbol: all draws are this one.
    network.head.bias.data[5] = 1e4
    network.sampling_probability = 1.0
    seen = record_decoder_inputs(network)
    network(x, lengths, torch.where(y == 5, 4, y))
    assert len(seen) == 2
    assert (seen[1][:, 0] == BEGIN).all()
    assert (seen[1][:, 1:] == 5).all()


def test_the_begin_symbol_alone_is_never_replaced():
    network, (x, lengths, y) = make_network(), make_batch()
    given = network(x, lengths, y[:, :1])
    network.sampling_probability = 1.0
    assert torch.equal(network(x, lengths, y[:, :1]), given)


def test_own_symbols_are_a_fraction_of_all_and_come_from_their_step():
    network = make_network()
    network.head.bias.data[5] = 1e4
    network.sampling_probability = 0.3
    network.seed_dropout(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 7, (200, 5, 1), generator=generator)
    y = torch.randint(2, 5, (200, 20), generator=generator)
    seen = record_decoder_inputs(network)
    network(x, None, y)
    own = seen[1] == 5
    assert not own[:, 0].any()
    assert abs(float(own[:, 1:].double().mean()) - 0.3) < 0.03
    assert torch.equal(seen[1][~own], y[~own])


def test_own_symbols_follow_the_predicted_probabilities():
    network = make_network()
    network.sampling_probability = 1.0
    network.seed_dropout(torch.Generator().manual_seed(0))
    x, y = torch.ones(1, 5, 1).long(), torch.tensor([[BEGIN, 2]])
    expected = network.eval()(x, None, y)[0, 0].softmax(0)
    network.train()
    seen = record_decoder_inputs(network)
    network(x.expand(4000, -1, -1), None, y.expand(4000, -1))
    shares = torch.bincount(seen[1][:, 1], minlength=6) / 4000
    torch.testing.assert_close(shares.double(), expected, rtol=0, atol=0.03)


def test_own_symbols_come_from_the_networks_generator():
    network, batch = make_network(), make_batch()
    network.sampling_probability = 0.5

    def outputs(seed):
        network.seed_dropout(torch.Generator().manual_seed(seed))
        return network(*batch)

    before = torch.random.get_rng_state()
    assert torch.equal(outputs(0), outputs(0))
    assert not torch.allclose(outputs(0), outputs(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_gradient_goes_through_the_draws():
    network, batch = make_network(), make_batch()
    network.head.bias.data[5] = 1e4
    network.sampling_probability = 1.0
    network(*batch).sum().backward()
    own = copy.deepcopy([p.grad for p in network.parameters()])
    network.zero_grad()
    network.sampling_probability = 0.0
    y = batch[2].clone()
    y[:, 1:] = 5
    network(*batch[:2], y).sum().backward()
    given = [p.grad for p in network.parameters()]
    torch.testing.assert_close(own, given, **CLOSE)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_selected_rows_continue_those_sequences(cell, attention):
    network = make_network(cell, attention=attention, n_layers=2)
    x, lengths, y = make_batch()
    rows = torch.tensor([2, 0, 0])
    memory = network.encode(x, lengths)
    _, state, _ = network.step(y[:, 0], memory, network.initial_state(memory))
    whole = network.step(y[:, 1], memory, state)
    part = network.step(y[rows, 1], memory.select(rows), select_state(state, rows))
    torch.testing.assert_close(part[0], whole[0][rows], **CLOSE)
    torch.testing.assert_close(part[1], select_state(whole[1], rows), **CLOSE)
    torch.testing.assert_close(part[2], whole[2][rows], **CLOSE)


def test_location_attention_continues_from_the_last_weights():
    network = make_network(attention="location", n_layers=2)
    x, lengths, y = make_batch()
    memory = network.encode(x, lengths)
    _, state, weights = network.step(y[:, 0], memory, network.initial_state(memory))
    assert torch.equal(state[-1][0][0], weights)
    moved = (*state[:-1], (weights.roll(1, dims=1)[None],))
    stayed, other = (network.step(y[:, 1], memory, s)[2] for s in (state, moved))
    assert not torch.allclose(stayed, other)


def test_a_memory_without_lengths_can_be_selected_from():
    memory = make_network().encode(make_batch()[0])
    assert memory.select(torch.tensor([1])).lengths is None


@pytest.mark.thorough
@pytest.mark.parametrize("source", READS)
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("tied", [False, True])
def test_building_is_reproducible_and_leaves_the_global_state(source, attention, tied):
    spec = make_spec(
        "lstm", source, attention=attention, tie_embeddings=tied, layer_norm=True
    )

    def build(seed):
        network = build_network(
            spec, torch.float64, torch.Generator().manual_seed(seed)
        )
        return network.state_dict()

    before = torch.random.get_rng_state()
    first, again, other = build(0), build(0), build(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["bridge.weight"], other["bridge.weight"])
    assert all(value.isfinite().all() for value in first.values())
    assert {value.dtype for value in first.values()} == {torch.float64}
    assert first.keys() == Seq2SeqNetwork(spec).state_dict().keys()


def test_a_network_for_loading_needs_no_generator():
    network = make_network(source="sequences", dtype=torch.float32, tie_embeddings=True)
    twin = build_network(network.spec, torch.float32)
    assert torch.equal(twin.factor, torch.ones(2, dtype=torch.double))
    twin.load_state_dict(network.state_dict())
    batch = make_batch("sequences")
    assert torch.equal(twin(*batch), network(*batch))
    assert twin(*batch).dtype == torch.float32


@pytest.mark.parametrize("tied", [False, True])
def test_copies_have_weights_of_their_own(tied):
    network, batch = make_network(tie_embeddings=tied), make_batch()
    expected = network(*batch)
    copies = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    network.target_embedding.weight.data.zero_()
    for twin in copies:
        assert torch.equal(twin(*batch), expected)


@pytest.mark.thorough
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_network_learns_to_write_backwards(attention):
    generator = torch.Generator().manual_seed(0)
    spec = make_spec(hidden_size=16, attention=attention, bidirectional=True)
    network = build_network(spec, torch.float32, generator)
    x = torch.randint(2, 6, (8, 4), generator=generator)
    target = x.flip(1)
    y = torch.cat([torch.full((8, 1), BEGIN), target[:, :-1]], dim=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        logits = network(x[:, :, None], None, y)
        torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), target.ravel()
        ).backward()
        optimizer.step()
    assert torch.equal(network(x[:, :, None], None, y).argmax(2), target)
