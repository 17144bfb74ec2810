"""Tokens as vectors: hidden, unknown, and shared with the output."""

import numpy as np
import torch

from sklearn_rnn.modules import (
    NetworkSpec,
    TiedHead,
    TokenEmbedding,
    build_network,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_embedding(token_dropout=0.0, n_tokens=50):
    embedding = TokenEmbedding(n_tokens, 4, token_dropout)
    embedding.token_dropout.generator = seeded()
    return embedding


def tied_network(embedding_dim, hidden_size=6):
    spec = NetworkSpec(
        "gru",
        n_features=1,
        hidden_size=hidden_size,
        n_outputs=9,
        pooling=None,
        n_tokens=9,
        embedding_dim=embedding_dim,
        tie_embeddings=True,
    )
    return build_network(spec, torch.float64, seeded())


def test_ids_beyond_the_vocabulary_read_as_unknown():
    embedding = make_embedding()
    seen = embedding(torch.tensor([50, 51, 10**9]))
    assert (seen == embedding.weight[-1]).all()


def test_a_hidden_token_is_unknown_at_every_place_of_the_batch():
    embedding = make_embedding(token_dropout=0.5)
    tokens = torch.arange(50).repeat(3, 1)
    hidden = (embedding(tokens) == embedding.weight[-1]).all(dim=-1)
    assert (hidden == hidden[0]).all()
    assert 10 < hidden[0].sum() < 40


def test_tokens_are_hidden_the_more_often_the_rarer_they_are():
    embedding = make_embedding(token_dropout=1.0, n_tokens=4)
    embedding.token_dropout.set_counts([0, 1, 9, 10**9, 5])
    tokens = torch.arange(4)
    hidden = [embedding(tokens) == embedding.weight[-1] for _ in range(2000)]
    fractions = torch.stack(hidden).all(dim=-1).double().mean(dim=0)
    np.testing.assert_allclose(fractions[1:3], [0.5, 0.1], atol=0.04)
    assert fractions[0] == 0  # nothing is known of those that training does not show
    assert fractions[3] == 0


def test_hidden_tokens_are_sampled_again_and_held_for_more_steps_of_the_same_batch():
    embedding = make_embedding(token_dropout=0.5)
    tokens = torch.arange(50)
    first = embedding(tokens)
    assert (embedding(tokens, new_mask=False) == first).all()
    assert (embedding(tokens) != first).any()


def test_nothing_is_hidden_when_predicting():
    embedding = make_embedding(token_dropout=0.9).eval()
    tokens = torch.arange(50)
    assert (embedding(tokens) == embedding.weight[:-1]).all()


def test_what_unknown_means_is_learned_from_hidden_tokens():
    for p in (0.0, 0.5):
        embedding = make_embedding(token_dropout=p)
        embedding(torch.arange(50)).sum().backward()
        assert (embedding.weight.grad[-1] != 0).any() == (p > 0)


def test_a_tied_head_scores_by_the_embeddings_themselves():
    network = tied_network(embedding_dim=6)
    states = torch.randn(5, 6, dtype=torch.float64, generator=seeded())
    expected = states @ network.embedding.weight[:-1].T + network.head.bias
    assert torch.equal(network.head(states), expected)
    assert isinstance(network.head, TiedHead)


def test_a_tied_head_adds_a_projection_where_widths_differ_and_no_second_matrix():
    narrow, alike = tied_network(embedding_dim=4), tied_network(embedding_dim=6)
    assert [k for k in alike.state_dict() if "head" in k] == ["head.bias"]
    names = {k for k in narrow.state_dict() if "head" in k}
    assert names == {"head.bias", "head.projection.weight"}


def test_both_uses_of_tied_embeddings_have_gradients():
    network = tied_network(embedding_dim=4)
    x = torch.tensor([[[1], [2]]])
    network(x).logsumexp(dim=-1).sum().backward()
    gradient = network.embedding.weight.grad
    assert (gradient[3] != 0).all()  # was not read, but could have come
    assert (gradient[-1] == 0).all()  # unknown is never written
