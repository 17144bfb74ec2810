"""Categories among the features: which inputs they become."""

import pytest
import torch

from sklearn_rnn.modules import (
    CategoryEmbedding,
    NetworkSpec,
    build_network,
    embedding_size,
)


def make_network(**options):
    spec = NetworkSpec(
        "gru",
        n_features=3,
        hidden_size=4,
        n_outputs=1,
        n_categories=(2, 20),
        category_features=((0, 0), (2, 1)),
        **options,
    )
    return build_network(spec, torch.float64, torch.Generator().manual_seed(0))


def test_vectors_stand_in_the_place_of_codes():
    embedding = make_network().categories
    x = torch.tensor([[[2.0, -1.5, 20.0]]], dtype=torch.float64)
    inputs = embedding(x)[0, 0]
    first, second = (vectors.weight for vectors in embedding.vectors)
    assert torch.equal(inputs, torch.cat([first[2], x[0, 0, 1:2], second[20]]))
    assert embedding.output_size == len(inputs) == 3 + 1 + 6


def test_an_untrained_unknown_category_says_nothing():
    embedding = make_network().categories
    assert all((vectors.weight[0] == 0).all() for vectors in embedding.vectors)
    assert all((vectors.weight[1:] != 0).all() for vectors in embedding.vectors)


def test_codes_that_are_not_there_are_refused():
    with pytest.raises(IndexError):
        make_network()(torch.full((1, 1, 3), 3.0))


def test_a_hidden_category_reads_as_unknown():
    network = make_network(input_dropout=0.5).train()
    network.seed_dropout(torch.Generator().manual_seed(0))
    x = torch.tensor([[1.0, 5.0, 1.0]], dtype=torch.float64).expand(200, 1, 3)
    seen = network.steps(x)[0]
    unknown = [(seen[:, part] == 0).all(dim=1) for part in (slice(3), slice(4, None))]
    for is_unknown in unknown:
        assert 0.4 < is_unknown.double().mean() < 0.6
        assert len(seen[~is_unknown].unique(dim=0)) <= 4
    assert 0.1 < (unknown[0] & unknown[1]).double().mean() < 0.4


def test_the_size_of_vectors_grows_slowly_and_is_bounded():
    sizes = [embedding_size(n) for n in range(5000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[1], sizes[-1]) == (1, 2, 50)


def test_features_without_a_number_among_them():
    embedding = CategoryEmbedding(2, [3, 3], [(0, 0), (1, 1)])
    assert embedding(torch.zeros(2, 2)).shape == (2, embedding.output_size)


def test_features_may_share_vectors():
    embedding = CategoryEmbedding(3, [3], [(0, 0), (2, 0)])
    inputs = embedding(torch.tensor([2.0, 0.0, 2.0]))
    assert torch.equal(inputs[:3], inputs[4:])
    assert len(list(embedding.parameters())) == 1
