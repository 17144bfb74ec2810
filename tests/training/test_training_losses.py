import pytest
import torch

from sklearn_rnn.training import (
    OPTIMIZERS,
    WeightedLoss,
    WeightSnapshot,
    clip_gradients,
    find_optimizer,
)

REGRESSION = ["squared_error", "absolute_error", "huber"]


def outputs_and_targets(loss, n_outputs=3):
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(6, n_outputs, generator=generator, dtype=torch.double)
    if loss == "log_loss":
        return outputs, torch.tensor([0, 1, 2, 0, 1, 2])
    return outputs, torch.zeros(6, n_outputs, dtype=torch.double)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", ["log_loss", *REGRESSION])
def test_a_weight_is_a_repetition(loss, n_outputs):
    if loss == "log_loss":
        n_outputs = 3
    outputs, targets = outputs_and_targets(loss, n_outputs)
    counts = torch.tensor([3, 0, 1, 2, 0, 4])
    weights = counts / counts.double().mean()
    repeated = (
        outputs.repeat_interleave(counts, 0),
        targets.repeat_interleave(counts, 0),
    )
    criterion = WeightedLoss(loss)
    torch.testing.assert_close(
        criterion(outputs, (targets, weights)),
        criterion(repeated[0], (repeated[1], None)),
    )


@pytest.mark.parametrize("loss", ["log_loss", *REGRESSION])
def test_weights_of_one_are_no_weights(loss):
    outputs, targets = outputs_and_targets(loss)
    criterion = WeightedLoss(loss)
    torch.testing.assert_close(
        criterion(outputs, (targets, torch.ones(6).double())),
        criterion(outputs, (targets, None)),
    )


def test_losses_are_their_formulas():
    errors = torch.tensor([[0.5], [-3.0]])
    nothing = (torch.zeros(2, 1), None)
    expected = {
        "squared_error": (0.25 + 9) / 2,
        "absolute_error": (0.5 + 3) / 2,
        # Half the square up to one standard deviation, a line beyond.
        "huber": (0.125 + 2.5) / 2,
    }
    for loss, value in expected.items():
        assert WeightedLoss(loss)(errors, nothing).item() == pytest.approx(value)
    logits = torch.tensor([[0.0, 0.0], [3.0, 0.0]]).log1p()
    codes = torch.tensor([0, 0])
    log_loss = WeightedLoss("log_loss")(logits, (codes, None)).item()
    assert log_loss == pytest.approx(-torch.tensor([0.5, 0.8]).log().mean().item())


def gradients(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in [(4, 3), (4,), ()]]


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e6])
def test_clip_norm_is_that_of_torch(max_norm):
    ours = gradients()
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in ours]
    for parameter, gradient in zip(parameters, gradients(), strict=True):
        parameter.grad = gradient
    expected = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    norm, clipped = clip_gradients(ours, max_norm=max_norm)
    assert norm == pytest.approx(expected.item())
    assert clipped == (norm > max_norm)
    for gradient, parameter in zip(ours, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.parametrize("bounds", [{}, {"max_norm": 1e6}, {"max_value": 1e6}])
def test_a_small_gradient_stays_as_it_is(bounds):
    ours = gradients()
    norm, clipped = clip_gradients(ours, **bounds)
    assert norm > 0
    assert not clipped
    assert all(torch.equal(a, b) for a, b in zip(ours, gradients(), strict=True))


def test_clipping_by_value_bounds_each_derivative():
    ours = gradients()
    before, _ = clip_gradients(gradients())
    norm, clipped = clip_gradients(ours, max_value=0.3)
    assert (norm, clipped) == (before, True)  # the norm is that before clipping
    for gradient, given in zip(ours, gradients(), strict=True):
        assert torch.equal(gradient, given.clamp(-0.3, 0.3))


def test_values_are_clipped_before_the_norm():
    ours, by_value = gradients(), gradients()
    clip_gradients(by_value, max_value=0.3)
    clip_gradients(by_value, max_norm=0.5)
    clip_gradients(ours, max_norm=0.5, max_value=0.3)
    for gradient, expected in zip(ours, by_value, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_a_snapshot_restores_what_was_saved():
    layer = torch.nn.Linear(2, 2)
    snapshot = WeightSnapshot(layer)
    first = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.fill_(5.0)
    snapshot.save()
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    snapshot.restore()
    assert (layer.weight == 5.0).all()
    assert not torch.equal(layer.weight, first)


def built(optimizer, weight_decay=0.0, lr=0.1):
    """The optimizer that skorch would build, around one matrix and one bias."""
    kind, options = find_optimizer(optimizer, weight_decay)
    options = {name.removeprefix("optimizer__"): v for name, v in options.items()}
    groups = options.pop("param_groups", [])
    weight, bias = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    undecayed = groups[0][1] if groups else {}
    parameters = [{"params": [weight]}, {"params": [bias], **undecayed}]
    return kind(parameters, lr=lr, **options), weight, bias


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weight_decay_shrinks_weights_and_spares_biases(optimizer):
    for weight_decay in (0.0, 0.5):
        stepper, weight, bias = built(optimizer, weight_decay)
        weight.grad, bias.grad = torch.zeros(2), torch.zeros(2)
        stepper.step()
        assert (bias == 1).all()
        assert (weight < 1).all() == (weight_decay > 0)


def test_optimizers_are_told_apart_by_their_steps():
    after = {}
    for optimizer in OPTIMIZERS:
        stepper, weight, bias = built(optimizer, weight_decay=0.1)
        for _ in range(3):
            weight.grad, bias.grad = torch.tensor([0.3, -2.0]), torch.zeros(2)
            stepper.step()
        after[optimizer] = weight.tolist()
    assert len({tuple(w) for w in after.values()}) == len(OPTIMIZERS)


def test_sgd_has_nesterov_momentum():
    stepper, *_ = built("sgd")
    assert stepper.defaults["momentum"] == 0.9
    assert stepper.defaults["nesterov"]


def test_a_class_of_torchs_is_an_optimizer_and_another_is_not():
    assert find_optimizer(torch.optim.Adagrad, 0.0)[0] is torch.optim.Adagrad
    with pytest.raises(TypeError, match=r"not a torch\.optim\.Optimizer class"):
        find_optimizer(dict, 0.0)


# Losses of every step.

LOGITS = torch.tensor([[[0.0, 2.0, -1.0], [0.5, 0.0, 0.0]], [[3.0, 3.0, 3.0], [0] * 3]])
CODES = torch.tensor([[1, 0], [2, -1]])
FRAMES = torch.tensor([[[1, 0, 1], [0, 0, 0]], [[1, 1, 1], [-1, -1, -1]]])


def test_the_loss_of_a_step_is_minus_the_log_probability_of_what_came():
    losses = WeightedLoss("log_loss", may_miss=True).of_steps(LOGITS, CODES)
    chances = LOGITS.softmax(dim=2)
    expected = [
        [-chances[0, 0, 1].log(), -chances[0, 1, 0].log()],
        [-chances[1, 0, 2].log(), 0],
    ]
    torch.testing.assert_close(losses, torch.tensor(expected))


def test_the_loss_of_a_frame_is_summed_over_its_features():
    losses = WeightedLoss("bernoulli", may_miss=True).of_steps(LOGITS, FRAMES)
    ones = torch.distributions.Bernoulli(logits=LOGITS)
    expected = -ones.log_prob(FRAMES.clamp(min=0).float()).sum(dim=2)
    expected[1, 1] = 0
    torch.testing.assert_close(losses, expected)


def test_frames_of_one_feature_have_a_loss_each():
    logits, frames = LOGITS[:, :, :1], FRAMES[:, :, :1]
    loss = WeightedLoss("bernoulli", may_miss=True)
    losses = loss.of_steps(logits, frames)
    assert losses.shape == (2, 2)
    assert loss(logits, (frames, None)).item() == pytest.approx(losses.sum().item() / 3)


@pytest.mark.parametrize("loss, targets", [("log_loss", CODES), ("bernoulli", FRAMES)])
def test_the_mean_is_over_the_steps_that_have_a_target(loss, targets):
    criterion = WeightedLoss(loss, may_miss=True)
    losses = criterion.of_steps(LOGITS, targets)
    mean = criterion(LOGITS, (targets, None))
    torch.testing.assert_close(mean, losses.sum() / 3)
    weighted = criterion(LOGITS, (targets, torch.tensor([2.0, 0.5])))
    expected = (2 * losses[0].sum() + 0.5 * losses[1].sum()) / 3
    torch.testing.assert_close(weighted, expected)


def test_the_loss_of_frames_has_gradients_where_chances_round_to_0_and_1():
    logits = torch.tensor([[[200.0, -200.0]]], requires_grad=True)
    loss = WeightedLoss("bernoulli")(logits[0], (torch.tensor([[0, 1]]), None))
    loss.backward()
    assert loss.item() == pytest.approx(400)
    assert logits.grad[0].tolist() == [[1.0, -1.0]]


def test_label_smoothing_spreads_a_share_of_each_code_over_all_classes():
    outputs, codes = outputs_and_targets("log_loss")
    logs = outputs.log_softmax(dim=1)
    of_code = -logs[torch.arange(6), codes]
    for smoothing in (0.1, 0.5):
        smoothed = WeightedLoss("log_loss", label_smoothing=smoothing)
        expected = (1 - smoothing) * of_code - smoothing * logs.mean(dim=1)
        torch.testing.assert_close(smoothed(outputs, (codes, None)), expected.mean())
        weights = torch.tensor([3.0, 0, 1, 0, 2, 0], dtype=torch.double)
        torch.testing.assert_close(
            smoothed(outputs, (codes, weights)), (expected * weights).mean()
        )


def test_label_smoothing_is_for_training_and_not_for_likelihoods():
    plain, smoothed = (
        WeightedLoss("log_loss", may_miss=True, label_smoothing=p) for p in (0.0, 0.2)
    )
    assert plain(LOGITS, (CODES, None)) != smoothed(LOGITS, (CODES, None))
    of_steps = plain.of_steps(LOGITS, CODES), smoothed.of_steps(LOGITS, CODES)
    assert torch.equal(*of_steps)
