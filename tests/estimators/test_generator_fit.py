"""How a generator is trained, what its scores mean, and what its options do."""

from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from generator_models import KINDS, PLAIN, TEXT, TEXTS, WORDS, generator, weights_of

from sklearn_rnn.estimators.tasks._generation import WeightedSequences
from sklearn_rnn.sequences import BEGIN, END
from sklearn_rnn.training import _inference as inference
from sklearn_rnn.training._datasets import LazyBatch


def make_dataset(model, sequences, weights=None):
    """Return what a generator is trained on, by its present parameters."""
    task = model._task.continued(SimpleNamespace(**model.get_params()))
    return task.make_dataset(WeightedSequences(sequences, weights), "cpu")


def untrained(X, **options):
    """A generator with its first weights."""
    return generator(**{"learning_rate": 1e-30, "max_epochs": 1, **options}).fit(X)


def ids_of(model, row, bounded):
    symbols = model.symbols_.tolist()
    ids = [4 + symbols.index(symbol) for symbol in row]
    return [BEGIN, *ids, END] if bounded else [BEGIN, *ids]


# Scores.


@pytest.mark.parametrize("X", [TEXTS, WORDS])
def test_a_score_is_the_log_probability_symbol_by_symbol(X):
    model = generator(dtype="float64").fit(X)
    for row, found in zip(X[:5], model.score_samples(X[:5]), strict=True):
        total = 0.0
        for i in range(len(row)):
            total += np.log(dict(model.next_symbols(row[:i], k=99))[row[i]])
        # What is left to 1 after the whole sequence is its end, nearly all of it.
        states, _ = model.module_.run(
            torch.tensor([ids_of(model, row, False)])[..., None]
        )
        total += model.module_.read(states)[0, -1].log_softmax(0)[END].item()
        assert found == pytest.approx(total, rel=1e-9)


def test_the_score_of_a_single_text_is_what_its_prompts_say():
    model = generator(dtype="float64").fit(TEXT)
    text = "the rat"
    chances = [dict(model.next_symbols(text[:i], k=99))[s] for i, s in enumerate(text)]
    assert model.score_steps([text])[0] == pytest.approx(np.log(chances), rel=1e-9)
    assert model.score_samples(text) == pytest.approx([np.log(chances).sum()], rel=1e-9)


def test_the_beginning_of_a_single_text_is_not_learned_by_heart():
    model = generator().fit("q" + TEXT * 3)
    begin = model.module_.embedding.weight[BEGIN]
    assert (begin == 0).all()
    assert dict(model.next_symbols(k=99))["q"] < 0.1


def test_steps_are_scored_sequence_by_sequence_with_their_ends():
    model = generator().fit(["ab", "abc", "b"])
    steps = model.score_steps(["abc", "b"])
    assert [len(row) for row in steps] == [4, 2]
    totals = [row.sum() for row in steps]
    assert model.score_samples(["abc", "b"]) == pytest.approx(totals)
    assert model.score(["abc", "b"]) == pytest.approx(np.concatenate(steps).mean())


def test_the_score_of_frames_is_that_of_their_features_together():
    X = KINDS["frames"]
    model = generator(dtype="float64").fit(X)
    total = 0.0
    for i in range(9):
        chances = dict(model.next_symbols(X[0][:i], k=4))
        total += sum(np.log(c if X[0][i, j] else 1 - c) for j, c in chances.items())
    assert model.score_samples(X[:1]) == pytest.approx([total], rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_same_figure_in_four_units(kind):
    X = KINDS[kind]
    model = generator().fit(X)
    n_steps = {"text": len(TEXT), "frames": 6 * 9}.get(kind)
    if n_steps is None:  # ends count
        n_steps = sum(len(row) + 1 for row in X)
    score = model.score(X)
    assert type(score) is float
    assert model.score_samples(X).shape == (1 if kind == "text" else len(X),)
    assert model.score_samples(X).sum() / n_steps == pytest.approx(score)
    assert model.perplexity(X) == pytest.approx(np.exp(-score))
    assert model.bits_per_symbol(X) == pytest.approx(-score / np.log(2))
    assert type(model.perplexity(X)) is type(model.bits_per_symbol(X)) is float


@pytest.mark.thorough
def test_scores_depend_neither_on_pieces_nor_on_company(monkeypatch):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), size=n)) for n in rng.integers(1, 90, 40)]
    model = generator(dtype="float64").fit(texts)
    expected = [model.score_samples([text])[0] for text in texts]
    for piece, side_by_side in [(512, 64), (7, 64), (512, 3), (1, 1000)]:
        monkeypatch.setattr(inference, "CHUNK_SIZE", piece)
        monkeypatch.setattr(inference, "SIDE_BY_SIDE", side_by_side)
        np.testing.assert_allclose(model.score_samples(texts), expected, rtol=1e-10)
        assert model.set_params(batch_size=1).score_samples(texts[:1]) == pytest.approx(
            expected[:1]
        )


def test_an_impossible_text_has_a_large_perplexity_and_no_warning():
    model = generator(dtype="float64").fit("ab" * 30)
    model.module_.head.bias.data[4] = -1e4
    assert model.perplexity("a" * 50) == np.inf
    assert np.isfinite(model.score("a" * 50))


# What training computes.


class PlainNetwork(torch.nn.Module):
    """The same network in plain torch."""

    def __init__(self, model):
        super().__init__()
        network = model.module_
        self.embedding = torch.nn.Embedding(*network.embedding.weight.shape)
        self.rnn = torch.nn.GRU(4, 8, batch_first=True)
        self.head = torch.nn.Linear(8, network.head.out_features)
        self.double()
        for own, given in [
            (self.embedding, network.embedding),
            (self.rnn, network.core.rnn),
            (self.head, network.head),
        ]:
            own.load_state_dict(given.state_dict())

    def forward(self, x, state):
        states, state = self.rnn(self.embedding(x), state)
        return self.head(states), state


def train_by_hand(network, streams, weights, bptt_steps, n_epochs, learning_rate):
    """Train piece by piece on all streams side by side; carry the state on."""
    table = network.embedding.weight
    rest = [p for p in network.parameters() if p is not table]
    optimizer = torch.optim.Adam(rest, lr=learning_rate)
    # Vectors have all of a gradient's effect at once.
    of_rows = torch.optim.Adam([table], lr=learning_rate, betas=(0.0, 0.999))
    lengths = [len(stream) - 1 for stream in streams]
    # Every target counts alike: a last piece of few steps makes a small update.
    n_pieces = np.average(lengths, weights=weights) / (bptt_steps or max(lengths))
    n_usual = sum(lengths) / max(1, n_pieces)
    n_steps = max(len(stream) for stream in streams) - 1
    x, y = torch.zeros(2, len(streams), n_steps, dtype=torch.long)
    y[:] = -100
    for row, stream in enumerate(streams):
        x[row] = stream[-2]  # what stands at padding counts as read
        x[row, : len(stream) - 1] = torch.tensor(stream[:-1])
        y[row, : len(stream) - 1] = torch.tensor(stream[1:])
    for _ in range(n_epochs):
        state = None
        for begin in range(0, n_steps, bptt_steps or n_steps):
            part = slice(begin, begin + (bptt_steps or n_steps))
            outputs, state = network(x[:, part], state)
            state = state.detach()
            losses = torch.nn.functional.cross_entropy(
                outputs.transpose(1, 2), y[:, part], reduction="none"
            )
            loss = (losses * weights[:, None]).sum() / n_usual
            network.zero_grad()
            loss.backward()
            optimizer.step()
            with only_rows(table, x[:, part], of_rows):
                of_rows.step()
    return network


@contextmanager
def only_rows(weight, read, optimizer):
    """Put back, after a step, what it changed in rows that were not read."""
    unread = ~torch.isin(torch.arange(len(weight)), read.flatten())
    state = optimizer.state[weight]
    names = "exp_avg", "exp_avg_sq"
    before = weight.detach().clone(), {n: state[n].clone() for n in names if n in state}
    yield
    with torch.no_grad():
        weight[unread] = before[0][unread]
        for name in names:
            old = before[1].get(name, torch.zeros_like(weight))
            state[name][unread] = old[unread]


@pytest.mark.thorough
@pytest.mark.parametrize("bptt_steps", [1, 7, 20, None])
def test_one_text_is_learned_in_streams_and_pieces_with_the_state_carried(bptt_steps):
    options = {
        **PLAIN,
        "bptt_steps": bptt_steps,
        "batch_size": 4,
        "learning_rate": 0.01,
    }
    text = TEXT[:203]
    start = untrained(text, **PLAIN)
    whole = ids_of(start, text, False)[1:]  # without begin
    n_streams = 1 if bptt_steps is None else 4
    cuts = [i * 202 // n_streams for i in range(n_streams + 1)]
    streams = [whole[begin : end + 1] for begin, end in pairwise(cuts)]
    by_hand = train_by_hand(
        PlainNetwork(start), streams, torch.ones(n_streams), bptt_steps, 2, 0.01
    )
    # The order of the streams is drawn, and does not matter.
    model = generator(**options, max_epochs=2).fit(text)
    assert not torch.equal(weights_of(model), weights_of(start))
    expected = torch.cat([p.detach().ravel() for p in by_hand.parameters()])
    torch.testing.assert_close(weights_of(model), expected, atol=1e-10, rtol=0)


@pytest.mark.thorough
@pytest.mark.parametrize("bptt_steps", [2, None])
@pytest.mark.parametrize("weights", [None, [2.0, 1.0, 0.5, 3.0]])
def test_several_texts_are_learned_with_their_ends_and_weights(bptt_steps, weights):
    texts = ["abcab", "bcaab", "cab", "c"]
    options = {**PLAIN, "bptt_steps": bptt_steps, "learning_rate": 0.01}
    # Streams are whole texts: none is twice as long as its share.
    options["batch_size"] = 4
    start = generator(**options, max_epochs=1).set_params(learning_rate=1e-30)
    start.fit(texts, sample_weight=weights)
    streams = [ids_of(start, text, True) for text in texts]
    of_streams = np.ones(4)
    if weights is not None:
        of_streams = weights / np.average(weights, weights=[6, 6, 4, 2])
    by_hand = train_by_hand(
        PlainNetwork(start), streams, torch.tensor(of_streams), bptt_steps, 2, 0.01
    )
    model = generator(**options, max_epochs=2).fit(texts, sample_weight=weights)
    expected = torch.cat([p.detach().ravel() for p in by_hand.parameters()])
    torch.testing.assert_close(weights_of(model), expected, atol=1e-10, rtol=0)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("several", [False, True])
def test_streams_cover_every_step_exactly_once(seed, several):
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 20) if several else 1
    lengths = rng.integers(1, 10 ** rng.integers(1, 4), size=n)
    texts = ["".join(rng.choice(list("abcd"), size=k)) for k in lengths]
    model = generator(max_epochs=1).fit(TEXTS if several else TEXT)
    bptt_steps = [None, *rng.integers(1, 60, size=3)][seed % 4]
    model.set_params(bptt_steps=bptt_steps, batch_size=int(rng.integers(1, 40)))
    sequences = model._task.corpus.encode_all(texts)
    streams = make_dataset(model, sequences).sequences
    covered = np.concatenate(
        [np.arange(b + 1, e) for b, e in zip(streams.starts, streams.ends, strict=True)]
    )
    expected = np.concatenate(
        [
            np.arange(b + 1, e)
            for b, e in zip(sequences.starts, sequences.ends, strict=True)
        ]
    )
    np.testing.assert_array_equal(np.sort(covered), np.sort(expected))
    assert (streams.lengths >= 2).all()
    if bptt_steps is None:
        assert len(streams) == len(texts)
    elif not several:
        n_parts = min(model.batch_size, lengths[0] // bptt_steps)
        assert len(streams) == max(1, n_parts)


def test_weights_of_a_long_text_are_those_of_all_its_streams():
    model = generator(bptt_steps=5).fit(TEXTS)
    sequences = model._task.corpus.encode_all(["ab", "abc" * 60])
    data = make_dataset(model, sequences, np.array([3.0, 1.0]))
    assert len(data) > 2
    short, *parts = data.weights.tolist()
    assert short == pytest.approx(3 * parts[0])
    assert len(set(parts)) == 1
    assert np.average(data.weights, weights=data.lengths) == pytest.approx(1)


@pytest.mark.thorough
def test_a_long_text_is_gathered_chunk_by_chunk(monkeypatch):
    gathered, read = [], LazyBatch.__getitem__

    def watch(self, key):
        steps = read(self, key)
        gathered.append(steps.shape[:2])
        return steps

    monkeypatch.setattr(LazyBatch, "__getitem__", watch)
    text = TEXT * 30
    generator(max_epochs=1, bptt_steps=11, early_stopping=True).fit(text)
    in_training = [shape for shape in gathered if shape[1] <= 11]
    assert len(in_training) > 2 * len(text) * 0.9 / (8 * 11)
    assert max(n_steps for _, n_steps in gathered) <= inference.CHUNK_SIZE
    assert max(n for n, _ in in_training) <= 8


@pytest.mark.thorough
def test_one_huge_text_among_many_short_ones_takes_no_more_memory(monkeypatch):
    gathered, read = [], LazyBatch.__getitem__

    def watch(self, key):
        steps = read(self, key)
        gathered.append(steps.numel())
        return steps

    monkeypatch.setattr(LazyBatch, "__getitem__", watch)
    texts = [*TEXTS * 5, "abc" * 7000]
    options = {"bptt_steps": 50, "hidden_size": 2, "ngram_order": None}
    model = generator(max_epochs=1, **options).fit(texts)
    assert max(gathered) <= 8 * 50
    gathered.clear()
    model.score(texts)
    # Inputs and targets: once the short ones have ended they are not read on.
    assert sum(gathered) < 2 * (21_000 + 101 * 512 + 512)


@pytest.mark.thorough
@pytest.mark.parametrize("text", ["a", "ab", "abc" * 5])
def test_a_text_shorter_than_one_piece_is_learned(text):
    model = generator(max_epochs=40, learning_rate=0.02).fit(text)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    assert set(model.sample(n_steps=20, random_state=0)) <= set(text)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_a_text_that_runs_in_circles_is_learned(cell):
    text = "abcdefgh" * 60
    model = generator(
        cell=cell, hidden_size=16, max_epochs=40, learning_rate=0.02, batch_size=4
    ).fit(text)
    assert model.bits_per_symbol(text) < 0.05
    assert model.sample("abc", 16, temperature=0) == "defghabcdefghabc"


@pytest.mark.thorough
def test_words_and_frames_are_learned_too():
    options = {"hidden_size": 16, "max_epochs": 80, "learning_rate": 0.02}
    words = [["one", "two", "three", "four"], ["four", "three", "two", "one"]] * 8
    model = generator(**options).fit(words)
    # A coin decides which, and nothing else is left open.
    assert model.bits_per_symbol(words) < 1 / 5 + 0.1
    assert model.sample(["four", "three"], temperature=0) == ["two", "one"]
    turning = np.stack([np.roll(np.eye(4, dtype=int), k, axis=0) for k in range(4)] * 3)
    turning = np.concatenate([turning, turning], axis=1)
    model = generator(**options).fit(turning)
    written = model.sample(turning[0][:3], 5, temperature=0)
    np.testing.assert_array_equal(written, turning[0][3:])


@pytest.mark.slow
def test_the_state_is_carried_from_piece_to_piece():
    """Pieces of 3 cannot tell by themselves where in a run of 5 they are."""
    text = "aaaaab" * 100
    options = {"hidden_size": 16, "learning_rate": 0.02, "max_epochs": 30}
    carried = generator(**options, bptt_steps=3).fit(text)
    assert carried.loss_curve_[-1] < 0.05
    assert carried.bits_per_symbol(text) < 0.05
    pieces = [text[i : i + 4] for i in range(0, len(text) - 3, 3)]
    alone = generator(**options).fit(pieces)
    assert alone.bits_per_symbol(text) > 0.2


# The start.


def entropy(values):
    _, counts = np.unique(values, return_counts=True)
    shares = counts / counts.sum()
    return -(shares * np.log(shares)).sum()


def test_an_untrained_network_knows_how_often_each_symbol_comes():
    text = "aaaaaaabbbbccd" * 60
    model = untrained(text)
    assert -model.score(text) == pytest.approx(entropy(list(text)), abs=0.02)
    chances = dict(model.next_symbols("abba", k=4))
    assert [chances[s] for s in "abcd"] == pytest.approx(
        [7 / 14, 4 / 14, 2 / 14, 1 / 14], abs=0.05
    )


def test_an_untrained_network_knows_how_often_sequences_end():
    symbols = [symbol for word in WORDS for symbol in [*word, "the end"]]
    model = untrained(WORDS)
    assert -model.score(WORDS) == pytest.approx(entropy(symbols), abs=0.05)


def test_an_untrained_network_knows_how_often_each_feature_is_1():
    rng = np.random.default_rng(0)
    X = (rng.random(size=(30, 40, 3)) < [0.02, 0.5, 0.9]).astype(int)
    model = untrained(X)
    expected = sum(entropy(X[:, :, i]) for i in range(3))
    assert -model.score(X) == pytest.approx(expected, abs=0.03)
    # A feature that never is 1 may be, once in a while.
    never = untrained(np.concatenate([X, np.zeros((30, 40, 1))], axis=2))
    assert 0 < dict(never.next_symbols(k=4))[3] < 0.01


@pytest.mark.parametrize("kind", ["texts", "frames"])
def test_the_start_counts_sequences_by_their_weights(kind):
    X = {"texts": ["aaab"] * 2, "frames": np.zeros((2, 4, 1))}[kind]
    X[1] = {"texts": "abbb", "frames": np.ones((4, 1))}[kind]
    X = list(X)
    model = generator(learning_rate=1e-30, max_epochs=1)
    model.fit(X * 50, sample_weight=[3, 1] * 50)
    chances = dict(model.next_symbols(k=2))
    if kind == "frames":
        assert chances[0] == pytest.approx(1 / 4, abs=0.02)
    else:
        assert chances["a"] / chances["b"] == pytest.approx(10 / 6, abs=0.1)


# Symbols.


def test_rare_symbols_are_one_unknown_symbol():
    text = "abab" * 20 + "xyz" + "abab" * 20
    every, frequent = generator().fit(text), generator(min_count=2).fit(text)
    assert set(every.symbols_) == set("abxyz")
    assert set(frequent.symbols_) == set("ab")
    assert frequent.n_symbols_ == 2
    assert frequent.score("xxx") == pytest.approx(frequent.score("zzz"))
    assert every.score("xxx") != every.score("zzz")
    # What was seen as unknown is likelier than what never was.
    assert frequent.score("aba?") > every.score("aba?")


def test_at_most_so_many_symbols_are_learned():
    model = generator(max_symbols=2).fit("aaaabbbccd" * 10)
    assert model.symbols_.tolist() == ["a", "b"]
    both = generator(max_symbols=3, min_count=25).fit("aaaabbbccd" * 10)
    assert both.symbols_.tolist() == ["a", "b"]
    many = generator(max_symbols=99).fit("aaaabbbccd" * 10)
    assert many.symbols_.tolist() == ["a", "b", "c", "d"]


def test_a_min_count_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="no symbol comes 99 times.*min_count.*Lower"):
        generator(min_count=99).fit("abc")


@pytest.mark.thorough
@pytest.mark.parametrize("embedding_dim", [8, 3])
def test_tied_embeddings_are_used_on_both_sides(embedding_dim):
    tied = generator(tie_embeddings=True, embedding_dim=embedding_dim).fit(TEXT)
    apart = generator(embedding_dim=embedding_dim).fit(TEXT)
    n_ids = 4 + tied.n_symbols_
    projection = 0 if embedding_dim == 8 else 8 * embedding_dim
    saved = apart.n_parameters_ - tied.n_parameters_
    assert saved == 8 * n_ids - projection
    head, embedding = tied.module_.head, tied.module_.embedding
    assert head.weight.data_ptr() == embedding.weight.data_ptr()
    learned = generator(
        tie_embeddings=True,
        embedding_dim=embedding_dim,
        max_epochs=60,
        learning_rate=0.03,
    ).fit("abcd" * 50)
    assert learned.bits_per_symbol("abcd" * 50) < 0.3


def test_embedding_dim_is_the_width_of_the_vectors():
    model = generator(embedding_dim=5).fit(TEXT)
    assert model.module_.embedding.embedding_dim == 5
    frames = generator(embedding_dim=5, tie_embeddings=True).fit(KINDS["frames"])
    assert not hasattr(frames.module_, "embedding")


@pytest.mark.thorough
@pytest.mark.parametrize("option", ["dropout", "input_dropout", "weight_drop"])
@pytest.mark.parametrize("kind", ["text", "frames"])
def test_dropout_disturbs_training_and_not_what_comes_after(option, kind):
    X = KINDS[kind]
    plain, model = untrained(X), untrained(X, **{option: 0.5})
    assert model.loss_curve_ != plain.loss_curve_
    assert model.score(X) == pytest.approx(plain.score(X), rel=1e-6)
    assert untrained(X, **{option: 0.5}).loss_curve_ == model.loss_curve_
