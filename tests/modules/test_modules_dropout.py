import pytest
import torch

from sklearn_rnn.kernels import CounterGenerator
from sklearn_rnn.modules import (
    HeldDropout,
    InputDropout,
    LockedDropout,
    NetworkSpec,
    Seq2SeqSpec,
    TokenDropout,
    WeightDrop,
    build_network,
)

KINDS = [InputDropout, LockedDropout, WeightDrop]
GENERATORS = {
    "torch": lambda seed: torch.Generator().manual_seed(seed),
    "counter": CounterGenerator,
}


@pytest.fixture(params=GENERATORS)
def seeded(request):
    """Give a dropout a generator."""

    def seed(dropout, seed=0):
        dropout.generator = GENERATORS[request.param](seed)
        return dropout

    return seed


def assert_fraction_is_zero(kept, p):
    fraction = (kept == 0).double().mean().item()
    assert abs(fraction - p) < 5 * (p * (1 - p) / kept.numel()) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_off_in_evaluation(kind):
    x = torch.ones(5, 4, 3)
    assert kind(0.5).eval()(x) is x
    assert kind(0.0)(x) is x


@pytest.mark.parametrize("kind", KINDS)
def test_masks_come_from_the_generator_alone(kind, seeded):
    x = torch.ones(5, 40, 3)
    before = torch.get_rng_state()
    first, again, other = (seeded(kind(0.5), seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_draws_a_new_mask_unless_it_continues(kind, seeded):
    dropout, x = seeded(kind(0.5)), torch.ones(5, 40, 3)
    first = dropout(x)
    assert torch.equal(dropout(x, new_mask=False), first)
    assert not torch.equal(dropout(x), first)


def test_a_held_mask_serves_more_steps_of_the_same_sequences(seeded):
    dropout = seeded(LockedDropout(0.5))
    first, later = dropout(torch.ones(5, 40, 3)), torch.ones(2, 40, 3)
    assert torch.equal(dropout(later, new_mask=False), first[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_through_what_is_kept(kind, seeded):
    x = torch.ones(4, 20, 30, requires_grad=True)
    kept = seeded(kind(0.5))(x)
    kept.sum().backward()
    assert torch.equal(x.grad, kept.detach())


@pytest.mark.parametrize("kind", [InputDropout, LockedDropout])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_what_is_hidden_is_hidden_at_every_step_of_a_sequence(kind, p, seeded):
    kept = seeded(kind(p))(torch.ones(6, 500, 4))
    assert (kept == kept[0]).all()
    assert_fraction_is_zero(kept[0], p)
    # Sequences and features are hidden independently of one another.
    assert len(kept[0].unique(dim=0)) == 16


def test_hidden_units_are_made_up_for_and_hidden_inputs_are_not(seeded):
    x = torch.ones(6, 50, 4)
    for kind, value in [(LockedDropout, 1 / 0.8), (InputDropout, 1.0)]:
        kept = seeded(kind(0.2))(x)
        torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([value]))


def test_a_single_input_is_never_hidden(seeded):
    x = torch.ones(6, 50, 1)
    assert torch.equal(seeded(InputDropout(0.9))(x), x)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_weight_drop_drops_weights_one_by_one(p, seeded):
    kept = seeded(WeightDrop(p))(torch.ones(100, 200))
    assert_fraction_is_zero(kept, p)
    torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([1 / (1 - p)]))


def masked_positions(dropout, shape=(2, 20, 9)):
    return (dropout(torch.ones(shape))[-1] == 0).numpy()


@pytest.mark.parametrize("kind", [InputDropout, LockedDropout])
def test_masks_of_a_counter_are_those_of_its_definition(kind):
    dropout = kind(0.3)
    dropout.generator, dropout.site = CounterGenerator(7), 3
    expected = CounterGenerator(7)
    for _ in range(2):
        mask = expected.draw_mask((20, 9), site=3, p=0.3)
        assert (masked_positions(dropout) == mask).all()
        expected.update += 1
        dropout.generator.update += 1


def test_weight_drop_and_token_dropout_draw_by_the_same_rule():
    drop, hide = WeightDrop(0.3), TokenDropout(0.3)
    drop.generator = hide.generator = CounterGenerator(7)
    drop.site, hide.site = 1, 2
    expected = CounterGenerator(7)
    dropped = (drop(torch.ones(6, 4)) == 0).numpy()
    assert (dropped == expected.draw_mask((6, 4), 1, 0.3)).all()
    hidden = (hide(torch.arange(40), unknown=40) == 40).numpy()
    assert (hidden == expected.draw_mask((41,), 2, 0.3)[:40]).all()


def test_sites_are_counted_in_the_order_of_the_modules():
    spec = NetworkSpec(
        *("lstm", 1, 4, 2),
        n_layers=2,
        bidirectional=True,
        n_tokens=5,
        embedding_dim=3,
        dropout=0.5,
    )
    for network in (
        build_network(spec, torch.float32),
        build_network(Seq2SeqSpec("gru", 1, 4, 5, 3, n_source_tokens=5), torch.float32),
    ):
        generator = CounterGenerator(0)
        network.seed_dropout(generator)
        assert network.dropout_generator is generator
        dropouts = [m for m in network.modules() if isinstance(m, HeldDropout)]
        assert all(dropout.generator is generator for dropout in dropouts)
        assert [dropout.site for dropout in dropouts] == list(range(len(dropouts)))
        network.advance_dropout()
        assert generator.update == 1


def test_a_second_pass_within_an_update_draws_other_masks():
    """As the decoder's, where it reads symbols of its own first."""
    dropout = LockedDropout(0.5)
    dropout.generator = CounterGenerator(0)
    first, second = masked_positions(dropout), masked_positions(dropout)
    assert (first != second).any()
    dropout.generator.update += 1
    third = masked_positions(dropout)
    assert (third != first).any()
    assert (third != second).any()
