import pytest
import torch

from sklearn_rnn.modules import InputDropout, LockedDropout, WeightDrop

KINDS = [InputDropout, LockedDropout, WeightDrop]


def seeded(dropout, seed=0):
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout


def assert_share_is_zero(kept, p):
    share = (kept == 0).double().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / kept.numel()) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_off_in_evaluation(kind):
    x = torch.ones(5, 4, 3)
    assert kind(0.5).eval()(x) is x
    assert kind(0.0)(x) is x


@pytest.mark.parametrize("kind", KINDS)
def test_masks_come_from_the_generator_alone(kind):
    x = torch.ones(5, 40, 3)
    before = torch.get_rng_state()
    first, again, other = (seeded(kind(0.5), seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_draws_a_new_mask_unless_it_goes_on(kind):
    dropout, x = seeded(kind(0.5)), torch.ones(5, 40, 3)
    first = dropout(x)
    assert torch.equal(dropout(x, new_mask=False), first)
    assert not torch.equal(dropout(x), first)


def test_a_held_mask_serves_more_steps_of_the_same_sequences():
    dropout = seeded(LockedDropout(0.5))
    first, later = dropout(torch.ones(5, 40, 3)), torch.ones(2, 40, 3)
    assert torch.equal(dropout(later, new_mask=False), first[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_through_what_is_kept(kind):
    x = torch.ones(4, 20, 30, requires_grad=True)
    kept = seeded(kind(0.5))(x)
    kept.sum().backward()
    assert torch.equal(x.grad, kept.detach())


@pytest.mark.parametrize("kind", [InputDropout, LockedDropout])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_what_is_hidden_is_hidden_at_every_step_of_a_sequence(kind, p):
    kept = seeded(kind(p))(torch.ones(6, 500, 4))
    assert (kept == kept[0]).all()
    assert_share_is_zero(kept[0], p)
    # Sequences and features are hidden independently of one another.
    assert len(kept[0].unique(dim=0)) == 16


def test_hidden_units_are_made_up_for_and_hidden_inputs_are_not():
    x = torch.ones(6, 50, 4)
    for kind, value in [(LockedDropout, 1 / 0.8), (InputDropout, 1.0)]:
        kept = seeded(kind(0.2))(x)
        torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([value]))


def test_a_single_input_is_never_hidden():
    x = torch.ones(6, 50, 1)
    assert torch.equal(seeded(InputDropout(0.9))(x), x)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_weight_drop_drops_weights_one_by_one(p):
    kept = seeded(WeightDrop(p))(torch.ones(100, 200))
    assert_share_is_zero(kept, p)
    torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([1 / (1 - p)]))
