import pytest
import torch

from sklearn_rnn.modules import POOLINGS, valid_steps

LENGTHS = torch.tensor([3, 1, 4])


def make_states(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 6, generator=generator, dtype=torch.double)


def make_pooling(name, bidirectional=False):
    sizes = {"last": [3 if bidirectional else 6], "attention": [6]}
    pooling = POOLINGS[name](*sizes.get(name, [])).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in pooling.parameters():
        parameter.data.normal_(generator=generator)
    return pooling


def test_valid_steps_ends_at_each_length():
    marks = valid_steps(4, LENGTHS)[:, :, 0].T.tolist()
    assert marks == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_a_batch_is_pooling_each_sequence_alone(name, bidirectional):
    pooling, states = make_pooling(name, bidirectional), make_states()
    pooled = pooling(states, LENGTHS)
    for i, length in enumerate(LENGTHS):
        alone = pooling(states[:length, i : i + 1])
        torch.testing.assert_close(pooled[i : i + 1], alone, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("filling", [1e300, -1e300])
@pytest.mark.parametrize("name", POOLINGS)
def test_padding_does_not_change_what_is_pooled(name, filling, bidirectional):
    pooling, states = make_pooling(name, bidirectional), make_states()
    padded = torch.where(valid_steps(4, LENGTHS), states, filling)
    assert torch.equal(pooling(padded, LENGTHS), pooling(states, LENGTHS))


def test_last_is_each_directions_final_state():
    states = make_states()
    one_way = make_pooling("last")(states, LENGTHS)
    assert torch.equal(one_way, states[[2, 0, 3], [0, 1, 2]])
    both_ways = make_pooling("last", bidirectional=True)(states, LENGTHS)
    assert torch.equal(both_ways[:, :3], states[[2, 0, 3], [0, 1, 2], :3])
    assert torch.equal(both_ways[:, 3:], states[0, :, 3:])


def test_mean_is_over_the_sequences_own_steps():
    states = make_states()
    expected = torch.stack([states[:n, i].mean(0) for i, n in enumerate(LENGTHS)])
    torch.testing.assert_close(make_pooling("mean")(states, LENGTHS), expected)


def test_max_is_over_the_sequences_own_steps_even_if_all_are_negative():
    states = -make_states().abs()
    expected = torch.stack([states[:n, i].amax(0) for i, n in enumerate(LENGTHS)])
    assert torch.equal(make_pooling("max")(states, LENGTHS), expected)


def test_attention_is_the_softmax_of_its_scores():
    pooling, states = make_pooling("attention"), make_states()
    W, b = pooling.hidden.weight, pooling.hidden.bias
    v = pooling.score.weight[0]
    for i, length in enumerate(LENGTHS):
        h = states[:length, i]
        weights = torch.softmax(torch.tanh(h @ W.T + b) @ v, dim=0)
        pooled = pooling(states, LENGTHS)[i]
        torch.testing.assert_close(pooled, weights @ h)


@pytest.mark.parametrize("name", POOLINGS)
def test_poolings_are_four_different_things(name):
    states = make_states()
    pooled = {name: make_pooling(name)(states, LENGTHS) for name in POOLINGS}
    others = [pooled[other] for other in POOLINGS if other != name]
    assert all(not torch.allclose(pooled[name], other) for other in others)


def in_chunks(pooling, states, lengths, cuts):
    """Pool the joined summaries of chunks."""
    summary, begin = None, 0
    for end in [*cuts, len(states)]:
        chunk, inside = states[begin:end], (lengths - begin).clamp(0, end - begin)
        later = pooling.summarize(chunk, inside)
        summary = later if summary is None else pooling.join(summary, later)
        begin = end
    return pooling.finish(summary)


@pytest.mark.parametrize("cuts", [[1], [3], [1, 2], [2, 3]])
@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_chunks_is_pooling_the_whole(name, cuts):
    states, pooling = make_states(), make_pooling(name)
    pooled = in_chunks(pooling, states, LENGTHS, cuts)
    torch.testing.assert_close(pooled, pooling(states, LENGTHS), rtol=1e-13, atol=0)


def test_attention_over_chunks_bears_scores_that_would_overflow():
    states, pooling = 1e3 * make_states(), make_pooling("attention")
    with torch.no_grad():
        pooling.score.weight.mul_(1e4)
    pooled = in_chunks(pooling, states, LENGTHS, [1, 2])
    assert torch.isfinite(pooled).all()
    torch.testing.assert_close(pooled, pooling(states, LENGTHS))


def test_only_the_last_state_forgets_what_came_before():
    states = make_states()
    for name in POOLINGS:
        pooling = make_pooling(name)
        seen = pooling.summarize(states, torch.tensor([1, 2, 4]))
        assert pooling.forgets_before(seen) == (name == "last")
        ended = pooling.summarize(states, torch.tensor([1, 0, 4]))
        assert not pooling.forgets_before(ended)
