import copy
import pickle

import pytest
import torch

from sklearn_rnn.modules import Attention, _attention

KINDS = ["additive", "location", "multiplicative"]
LENGTHS = torch.tensor([3, 1, 4])


def make_attention(kind, seed=0):
    attention = Attention(kind, query_size=5, memory_size=6).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in attention.parameters():
        parameter.data.normal_(generator=generator)
    return attention


def make_inputs(seed=1):
    generator = torch.Generator().manual_seed(seed)
    shapes = (2, 3, 5), (4, 3, 6)
    return [torch.randn(s, generator=generator, dtype=torch.double) for s in shapes]


def look(attention, queries, memory, lengths=None):
    return attention(queries, memory, attention.keys(memory), lengths)


def score_by_hand(attention, query, steps, last, t):
    W = attention.of_memory.weight
    if attention.kind == "multiplicative":
        return query @ W @ steps[t]
    hidden = attention.of_query.weight @ query + W @ steps[t] + attention.of_memory.bias
    if attention.kind == "location":
        positions = t + torch.arange(_attention.WINDOW) - _attention.WINDOW // 2
        inside = (positions >= 0) & (positions < len(steps))
        filters = attention.filters.weight[:, inside] @ last[positions[inside]]
        hidden = hidden + attention.of_last.weight @ filters
    return attention.score.weight[0] @ torch.tanh(hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_is_the_papers_formula_pair_by_pair(kind):
    attention, (queries, memory) = make_attention(kind), make_inputs()
    contexts, weights = look(attention, queries, memory, LENGTHS)
    for n, length in enumerate(LENGTHS):
        shares = torch.zeros(length, dtype=torch.double)
        for t, query in enumerate(queries[:, n]):
            own = memory[:length, n]
            scores = [
                score_by_hand(attention, query, own, shares, i) for i in range(length)
            ]
            shares = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
            context = sum(w * m for w, m in zip(shares, own, strict=True))
            close = {"rtol": 1e-12, "atol": 1e-14}
            torch.testing.assert_close(weights[n, t, :length], shares, **close)
            torch.testing.assert_close(contexts[t, n], context, **close)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_and_are_exactly_zero_at_padding(kind):
    weights = look(make_attention(kind), *make_inputs(), LENGTHS)[1]
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 2, dtype=torch.double))
    padding = torch.arange(4) >= LENGTHS[:, None]
    assert (weights.transpose(1, 2)[padding] == 0.0).all()
    assert (weights.transpose(1, 2)[~padding] > 0.0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_the_memory_changes_nothing(kind):
    attention, (queries, memory) = make_attention(kind), make_inputs()
    padded = memory.clone()
    padded[torch.arange(4)[:, None] >= LENGTHS] = 1e6
    close = {"rtol": 1e-12, "atol": 1e-14}
    for plain, other in zip(
        look(attention, queries, memory, LENGTHS),
        look(attention, queries, padded, LENGTHS),
        strict=True,
    ):
        torch.testing.assert_close(plain, other, **close)


@pytest.mark.parametrize("kind", KINDS)
def test_no_lengths_means_that_all_steps_count(kind):
    attention, inputs = make_attention(kind), make_inputs()
    full = look(attention, *inputs, torch.tensor([4, 4, 4]))
    for plain, other in zip(look(attention, *inputs), full, strict=True):
        assert torch.equal(plain, other)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_attention(kind):
    attention = make_attention(kind)
    inputs = [x.requires_grad_() for x in make_inputs()]
    assert torch.autograd.gradcheck(
        lambda *inputs: look(attention, *inputs, LENGTHS), inputs
    )


def test_location_attention_continues_from_the_last_weights():
    attention = Attention("location", query_size=5, memory_size=6).double()
    for parameter in attention.parameters():
        parameter.data.zero_()
    # One filter sees the place before; all steps are alike otherwise.
    attention.filters.weight.data[0, _attention.WINDOW // 2 - 1] = 1.0
    attention.of_last.weight.data[0, 0] = attention.score.weight.data[0, 0] = 30.0
    queries, memory = torch.zeros(4, 2, 5).double(), torch.zeros(6, 2, 6).double()
    last = torch.eye(6).double()[[0, 2]]
    lengths = torch.tensor([6, 4])
    weights = attention(queries, memory, attention.keys(memory), lengths, last)[1]
    assert weights[0].argmax(1).tolist() == [1, 2, 3, 4]
    assert weights[1, 0].argmax() == 3
    # Behind the last step of its own there is nothing to look at.
    torch.testing.assert_close(weights[1, 1, :4], torch.full((4,), 0.25).double())


@pytest.mark.parametrize("kind", KINDS)
def test_queries_in_two_calls_are_those_of_one(kind):
    attention, (queries, memory) = make_attention(kind), make_inputs()
    keys = attention.keys(memory)
    _, whole = attention(queries, memory, keys, LENGTHS)
    _, first = attention(queries[:1], memory, keys, LENGTHS)
    _, second = attention(queries[1:], memory, keys, LENGTHS, first[:, 0])
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


@pytest.mark.parametrize("kind", ["additive", "location"])
def test_chunks_give_the_same_gradients_as_the_whole(kind, monkeypatch):
    attention, inputs = make_attention(kind), make_inputs()

    def results():
        leaves = [x.clone().requires_grad_() for x in inputs]
        attention.zero_grad()
        contexts, weights = look(attention, *leaves, LENGTHS)
        (contexts.square().sum() + weights.square().sum()).backward()
        tensors = [*leaves, *attention.parameters()]
        return [contexts.detach(), weights.detach(), *(x.grad for x in tensors)]

    whole = results()
    monkeypatch.setattr(_attention, "MAX_STORED", 1)
    torch.testing.assert_close(results(), whole, rtol=1e-12, atol=1e-14)
    with torch.inference_mode():
        contexts = look(attention, *inputs, LENGTHS)[0]
    torch.testing.assert_close(contexts, whole[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_attention_have_weights_of_their_own(kind):
    attention, inputs = make_attention(kind), make_inputs()
    expected = look(attention, *inputs)[0]
    copies = copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))
    attention.of_memory.weight.data.zero_()
    for twin in copies:
        assert torch.equal(look(twin, *inputs)[0], expected)
