import pytest
import torch

from sklearn_rnn.modules import Dropout, LockedDropout


def seeded(dropout, seed=0):
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_drops_its_share_and_scales_up_the_rest(p):
    kept = seeded(Dropout(p))(torch.ones(100, 200))
    n = kept.numel()
    share = (kept == 0).double().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / n) ** 0.5
    torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([1 / (1 - p)]))


@pytest.mark.parametrize("kind", [Dropout, LockedDropout])
def test_dropout_is_off_in_evaluation(kind):
    x = torch.ones(5, 4, 3)
    assert kind(0.5).eval()(x) is x
    assert kind(0.0)(x) is x


@pytest.mark.parametrize("kind", [Dropout, LockedDropout])
def test_masks_come_from_the_generator_alone(kind):
    x = torch.ones(5, 40, 3)
    before = torch.get_rng_state()
    first, again, other = (seeded(kind(0.5), seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", [Dropout, LockedDropout])
def test_every_call_draws_a_new_mask(kind):
    dropout, x = seeded(kind(0.5)), torch.ones(5, 40, 3)
    assert not torch.equal(dropout(x), dropout(x))


def test_gradients_flow_through_what_is_kept():
    x = torch.ones(1000, requires_grad=True)
    kept = seeded(Dropout(0.5))(x)
    kept.sum().backward()
    assert torch.equal(x.grad, kept.detach())


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_locked_dropout_hides_a_feature_at_every_step_of_a_sequence(p):
    kept = seeded(LockedDropout(p))(torch.ones(6, 500, 4))
    assert (kept == kept[0]).all()
    share = (kept[0] == 0).double().mean().item()
    assert abs(share - p) < 5 * (p * (1 - p) / 2000) ** 0.5
    torch.testing.assert_close(kept[kept != 0].unique(), torch.tensor([1 / (1 - p)]))
    # Sequences and features are hidden independently of one another.
    assert len(kept[0].unique(dim=0)) == 16


def test_locked_dropout_never_hides_a_single_feature():
    x = torch.ones(6, 50, 1)
    assert torch.equal(seeded(LockedDropout(0.9))(x), x)
