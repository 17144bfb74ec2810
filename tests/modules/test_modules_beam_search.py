from itertools import product

import numpy as np
import pytest
import torch

from sklearn_rnn.modules import (
    Memory,
    Seq2SeqSpec,
    beam_search,
    build_network,
    select_state,
)

BEGIN, END, PADDING = 0, 1, 2
N_SYMBOLS = 5
MAX_STEPS = [4, 2, 1, 4]
PENALTIES = [-2.0, -0.5, 0.0, 0.6, 1.0, 5.0]


class Histories:
    """Next symbols drawn at random for every history of every sequence."""

    def __init__(self, seed=0, n_sequences=4, scale=1.5, end_bias=0.0, longest=4):
        generator = torch.Generator().manual_seed(seed)
        shape = n_sequences, N_SYMBOLS ** (longest + 1), N_SYMBOLS
        logits = scale * torch.randn(shape, generator=generator, dtype=torch.double)
        logits[:, :, END] += end_bias
        self.table = logits.log_softmax(2)
        self.n_rows = []

    def start(self, rows):
        rows = torch.tensor(rows)
        memory = Memory(rows[None, :, None], rows[None, :, None], rows[:, None])
        return memory, ((torch.zeros(1, len(rows), 1, dtype=torch.long),),)

    def __call__(self, tokens, memory, state):
        self.n_rows.append(len(tokens))
        history = state[0][0] * N_SYMBOLS + tokens[:, None]
        log_probabilities = self.table[memory.summary[:, 0], history[0, :, 0]]
        weights = torch.stack([tokens, memory.summary[:, 0]], dim=1).double()
        return log_probabilities, ((history,),), weights

    def log_probability(self, row, symbols):
        history, total = 0, 0.0
        for last, symbol in zip([BEGIN, *symbols[:-1]], symbols, strict=True):
            history = history * N_SYMBOLS + last
            total += float(self.table[row, history, symbol])
        return total


def search(model, rows=(0, 1, 2, 3), max_steps=MAX_STEPS, **changes):
    options = {
        "begin": BEGIN,
        "end": END,
        "forbidden": [BEGIN, PADDING],
        "beam_width": 3,
        "length_penalty": 1.0,
        "n_best": 1,
        **changes,
    }
    max_steps = torch.tensor([max_steps[row] for row in rows])
    return beam_search(model, *model.start(rows), max_steps=max_steps, **options)


def brute_force(model, row, most, length_penalty):
    """Score everything that can be written, best first."""
    scored = []
    for n in range(most + 1):
        for symbols in product([3, 4], repeat=n):
            written = [*symbols, END] if n < most else [*symbols]
            total = model.log_probability(row, written)
            score = total / ((5 + len(written)) / 6) ** length_penalty
            scored.append((score, total, list(symbols)))
    return sorted(scored, reverse=True)


@pytest.mark.thorough
@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize("end_bias", [-2.0, 0.0, 2.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(length_penalty, end_bias):
    for seed, n_best in product(range(3), (1, 2, 5)):
        model = Histories(seed, end_bias=end_bias)
        options = {"length_penalty": length_penalty, "n_best": n_best}
        found = search(model, beam_width=40, **options)
        for row, hypotheses in enumerate(found):
            expected = brute_force(model, row, MAX_STEPS[row], length_penalty)[:n_best]
            assert len(hypotheses) == len(expected)
            for hypothesis, best in zip(hypotheses, expected, strict=True):
                score, total, symbols = best
                assert hypothesis.symbols.tolist() == symbols
                assert hypothesis.score == pytest.approx(score, rel=1e-12)
                assert hypothesis.log_probability == pytest.approx(total, rel=1e-12)


def greedy(step, memory, state, i, most):
    symbols, total = [], 0.0
    row = torch.tensor([i])
    memory, state = memory.select(row), select_state(state, row)
    token = torch.tensor([BEGIN])
    for _ in range(most):
        log_probabilities, state, _ = step(token, memory, state)
        log_probabilities[:, [BEGIN, PADDING]] = -torch.inf
        token = log_probabilities.argmax(1)
        total += float(log_probabilities[0, token])
        if token == END:
            break
        symbols.append(int(token))
    return symbols, total


@pytest.mark.parametrize("length_penalty", PENALTIES)
def test_a_beam_of_one_is_greedy(length_penalty):
    for seed in range(10):
        model = Histories(seed)
        found = search(model, beam_width=1, length_penalty=length_penalty)
        assert len(model.n_rows) <= 4
        for row, (hypothesis,) in enumerate(found):
            symbols, total = greedy(model, *model.start(range(4)), row, MAX_STEPS[row])
            assert hypothesis.symbols.tolist() == symbols
            assert hypothesis.log_probability == pytest.approx(total, rel=1e-12)


def test_a_beam_of_one_stops_at_the_end_symbol():
    model = Histories(end_bias=50.0)
    found = search(model, beam_width=1, length_penalty=5.0)
    assert model.n_rows == [4]
    assert all(len(hypothesis.symbols) == 0 for (hypothesis,) in found)


def test_a_beam_of_one_tells_apart_what_a_long_history_would_drown():
    # In float32, -1e6 - 1.0 and -1e6 - 1.001 are the same number.
    table = torch.full((N_SYMBOLS, N_SYMBOLS), -torch.inf)
    table[BEGIN, 3] = -1e6
    table[3, END], table[3, 4] = -1.001, -1.0
    table[4, END] = 0.0

    def step(tokens, memory, state):
        return table[tokens], state, torch.ones(len(tokens), 1)

    memory, state = Histories().start([0])
    ((hypothesis,),) = beam_search(
        step, memory, state, begin=BEGIN, end=END, forbidden=[], beam_width=1,
        max_steps=torch.tensor([4]), length_penalty=0.0, n_best=1,
    )  # fmt: skip
    assert hypothesis.symbols.tolist() == [3, 4]


def late_winner():
    """Ending at once is likely, but a longer sequence has the better score."""
    model = Histories(n_sequences=1)
    probabilities = torch.full_like(model.table, 1e-9)
    probabilities[0, 0, END], probabilities[0, 0, 3] = 0.4, 0.35
    for history, symbol in ((3, 3), (18, 3), (93, END)):
        probabilities[0, history, symbol] = 1.0
    model.table = probabilities.log()
    return model


def test_the_first_to_finish_does_not_win_where_a_longer_one_is_better():
    found = search(late_winner(), rows=[0], length_penalty=1.0)
    assert found[0][0].symbols.tolist() == [3, 3, 3]
    found = search(late_winner(), rows=[0], length_penalty=0.0)
    assert found[0][0].symbols.tolist() == []


def test_a_beam_stops_when_nothing_in_it_can_win():
    model = late_winner()
    search(model, rows=[0], length_penalty=0.0)
    # Ending at once has 0.4; what is left has 0.35, and never more.
    assert len(model.n_rows) == 1
    model = late_winner()
    search(model, rows=[0], length_penalty=-1.0)
    assert len(model.n_rows) == 1
    model = late_winner()
    search(model, rows=[0], length_penalty=1.0)
    assert len(model.n_rows) == 4


def test_what_ends_leaves_its_place_in_the_beam_to_others():
    model = Histories(n_sequences=1)
    probabilities = torch.full_like(model.table, 1e-9)
    probabilities[0, 0, [END, 3, 4]] = torch.tensor([0.4, 0.35, 0.25]).double()
    for history, symbol in ((4, 4), (24, 4), (124, END)):
        probabilities[0, history, symbol] = 1.0
    model.table = probabilities.log()
    ((best,),) = search(model, rows=[0], beam_width=2, length_penalty=5.0)
    assert best.symbols.tolist() == [4, 4, 4]


def test_a_bound_reaches_as_far_as_penalties_do():
    """The winner is just ahead of what ended: at its length, not a step before."""
    model = Histories(n_sequences=1)
    for length_penalty, ending, written in (
        # Halfway between what 4 steps and 3 can make of the same probability.
        (1.0, -(1 / 6 * 6 / 9 + 1 / 6 * 6 / 8) / 2, [3, 3, 3]),
        # And between what 2 steps and 3 can: shorter is better.
        (-1.0, -(1 / 6 * 7 / 6 + 1 / 6 * 8 / 6) / 2, [3]),
    ):
        model.table[:] = -torch.inf
        model.table[0, 0, [END, 3]] = torch.tensor([ending, -1 / 6]).double()
        history = 0
        for last, symbol in zip([BEGIN, *written], [*written, END], strict=True):
            history = history * N_SYMBOLS + last
            model.table[0, history, symbol] = 0.0 if history else -1 / 6
        ((best,),) = search(model, rows=[0], length_penalty=length_penalty)
        assert best.symbols.tolist() == written


def test_memories_stay_with_their_sequences():
    """One leaves as the other's beam doubles: the number of rows stays the same."""
    model = Histories()
    together = search(model, [2, 0], beam_width=2)
    assert model.n_rows[:2] == [2, 2]
    assert together[1][0].score == search(model, [0], beam_width=2)[0][0].score


def test_sequences_that_are_done_leave_the_batch():
    model = Histories()
    model.table[1:, :, END] = 0.0
    model.table[0, :, END] = -50.0
    search(model, beam_width=2)
    assert model.n_rows == [4, 2, 2, 2]


@pytest.mark.thorough
@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize("beam_width", [1, 2, 3])
def test_a_batch_is_its_sequences_one_by_one(beam_width, length_penalty):
    options = {"beam_width": beam_width, "n_best": beam_width}
    for seed in range(5):
        model = Histories(seed)
        together = search(model, length_penalty=length_penalty, **options)
        shuffled = search(model, [3, 1, 0, 2], length_penalty=length_penalty, **options)
        for place, row in enumerate([3, 1, 0, 2]):
            (alone,) = search(model, [row], length_penalty=length_penalty, **options)
            for other in (together[row], shuffled[place]):
                assert len(alone) == len(other)
                for one, two in zip(alone, other, strict=True):
                    np.testing.assert_equal(one._asdict(), two._asdict())


@pytest.mark.parametrize("length_penalty", PENALTIES)
def test_the_best_are_sorted_distinct_and_within_what_is_allowed(length_penalty):
    for seed in range(5):
        model = Histories(seed, end_bias=-1.0)
        found = search(model, beam_width=4, n_best=4, length_penalty=length_penalty)
        for row, hypotheses in enumerate(found):
            scores = [hypothesis.score for hypothesis in hypotheses]
            assert scores == sorted(scores, reverse=True)
            written = {tuple(hypothesis.symbols) for hypothesis in hypotheses}
            assert len(written) == len(hypotheses)
            assert len(hypotheses) == (3 if MAX_STEPS[row] == 1 else 4)
            assert all(len(symbols) <= MAX_STEPS[row] for symbols in written)
            assert {s for symbols in written for s in symbols} <= {3, 4}


def test_a_hypothesis_that_has_not_ended_counts_as_it_is():
    model = Histories(end_bias=-50.0)
    for row, (hypothesis,) in enumerate(search(model)):
        n = MAX_STEPS[row]
        assert len(hypothesis.symbols) == n
        total = model.log_probability(row, hypothesis.symbols.tolist())
        assert hypothesis.log_probability == pytest.approx(total, rel=1e-12)
        assert hypothesis.score == pytest.approx(total / ((5 + n) / 6), rel=1e-12)


def test_forbidden_symbols_are_never_written_however_likely():
    model = Histories()
    model.table[:, :, PADDING] = 0.0
    for hypotheses in search(model, n_best=3):
        for hypothesis in hypotheses:
            assert PADDING not in hypothesis.symbols
    assert PADDING in search(model, forbidden=[BEGIN])[0][0].symbols
    # The table is the model's own: searching has not written in it.
    assert (model.table[:, :, PADDING] == 0.0).all()


@pytest.mark.parametrize("beam_width", [1, 2, 4, 30])
def test_of_equal_hypotheses_the_smaller_symbol_is_ahead(beam_width):
    model = Histories()
    model.table[:] = -1.0
    model.table[:, :, END] = -2.0
    n_best = min(beam_width, 4)
    for row, hypotheses in enumerate(
        search(model, beam_width=beam_width, n_best=n_best, length_penalty=5.0)
    ):
        n = MAX_STEPS[row]
        expected = [list(symbols) for symbols in product([3, 4], repeat=n)][:n_best]
        written = [hypothesis.symbols.tolist() for hypothesis in hypotheses]
        assert written[: len(expected)] == expected


def test_equals_are_told_apart_in_a_large_vocabulary_too():
    def step(tokens, memory, state):
        return torch.full((len(tokens), 400), -6.0), state, torch.ones(len(tokens), 1)

    memory, state = Histories().start([0])
    (found,) = beam_search(
        step, memory, state, begin=BEGIN, end=END, forbidden=[BEGIN, END, PADDING],
        beam_width=4, max_steps=torch.tensor([2]), length_penalty=0.0, n_best=4,
    )  # fmt: skip
    written = [hypothesis.symbols.tolist() for hypothesis in found]
    assert written == [[3, 3], [3, 4], [3, 5], [3, 6]]


def test_attention_is_that_of_each_hypothesis_symbol_by_symbol():
    model = Histories(end_bias=-1.0)
    found = search(model, beam_width=4, n_best=4)
    for row, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            # The weights of this model are (the last symbol, the sequence).
            read = [BEGIN, *hypothesis.symbols][: len(hypothesis.symbols)]
            expected = [[symbol, row] for symbol in read]
            np.testing.assert_array_equal(
                hypothesis.attention, np.reshape(expected, (-1, 2))
            )


def make_network(cell, attention, scale=1.0):
    spec = Seq2SeqSpec(
        cell,
        n_features=1,
        hidden_size=6,
        n_outputs=N_SYMBOLS,
        embedding_dim=3,
        n_source_tokens=8,
        n_layers=2,
        bidirectional=True,
        attention=attention,
    )
    generator = torch.Generator().manual_seed(3)
    network = build_network(spec, torch.double, generator).eval()
    for parameter in network.parameters():
        parameter.data.normal_(std=scale, generator=generator)
    return network


def search_network(network, x, lengths, max_steps, beam_width, **options):
    memory = network.encode(x, lengths)
    return beam_search(
        network.step,
        memory,
        network.initial_state(memory),
        begin=BEGIN,
        end=END,
        forbidden=[BEGIN, PADDING],
        beam_width=beam_width,
        max_steps=max_steps,
        **options,
    )


def make_sources():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 8, (3, 6, 1), generator=generator), torch.tensor([4, 6, 1])


@pytest.mark.thorough
@pytest.mark.parametrize("attention", ["additive", "location", "multiplicative", None])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_wide_beam_over_a_network_finds_the_best_of_all(cell, attention):
    network = make_network(cell, attention)
    x, lengths = make_sources()
    most = [3, 4, 2]
    found = search_network(
        network, x, lengths, torch.tensor(most), 40, length_penalty=1.0, n_best=3
    )
    for i, hypotheses in enumerate(found):
        scored = []
        for n in range(most[i] + 1):
            for symbols in product([3, 4], repeat=n):
                written = [*symbols, END] if n < most[i] else [*symbols]
                y = torch.tensor([[BEGIN, *written[:-1]]])
                one = x[i : i + 1, : lengths[i]], None, y
                logs = network(*one).log_softmax(2)[0]
                total = float(logs[torch.arange(len(written)), written].sum().detach())
                weights = network.align(*one)[0, :n].detach()
                score = total / ((5 + len(written)) / 6)
                scored.append((score, list(symbols), weights))
        scored.sort(key=lambda item: item[0], reverse=True)
        for hypothesis, best in zip(hypotheses, scored, strict=False):
            score, symbols, weights = best
            assert hypothesis.symbols.tolist() == symbols
            assert hypothesis.score == pytest.approx(score, rel=1e-10)
            np.testing.assert_allclose(hypothesis.attention, weights, atol=1e-12)


@pytest.mark.parametrize("beam_width", [1, 3])
def test_searching_a_network_in_a_batch_is_searching_one_by_one(beam_width):
    network = make_network("gru", "multiplicative")
    x, lengths = make_sources()
    options = {"beam_width": beam_width, "length_penalty": 0.6, "n_best": beam_width}
    max_steps = torch.tensor([20, 3, 9])
    found = search_network(network, x, lengths, max_steps, **options)
    for i, hypotheses in enumerate(found):
        n = slice(i, i + 1)
        (alone,) = search_network(
            network, x[n, : lengths[i]], None, max_steps[n], **options
        )
        for one, other in zip(alone, hypotheses, strict=True):
            assert np.array_equal(one.symbols, other.symbols)
            assert one.score == pytest.approx(other.score, rel=1e-12)
            np.testing.assert_allclose(one.attention, other.attention, atol=1e-12)


def test_a_wider_beam_finds_no_worse_on_average():
    scores = {}
    for beam_width in (1, 2, 8):
        model = [Histories(seed) for seed in range(30)]
        found = [search(m, beam_width=beam_width)[0][0].score for m in model]
        scores[beam_width] = np.mean(found)
    assert scores[1] < scores[2] < scores[8]
