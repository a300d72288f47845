"""Networks, parametrisations and the training step against closed forms and other libraries."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from squareloss.model.architecture import Conv, Linear, build, weight_shapes
from squareloss.model.layers import forward
from squareloss.spec import Recipe, Schedule
from squareloss.train.evaluate import LOSSES, square_loss, targets
from squareloss.train.normalize import Model
from squareloss.train.optimize import initial_weight, learning_rate, rho_penalty, sgd

SMALL = (Conv(3, stride=2), Conv(4), Linear(5), Linear(2))
RECIPE = Recipe(dataset="tiny", network="mlp", epochs=1, momentum=0)


def small_model(normalization="wn", layer_norms="initial", scale=1.0, rho_top=1.0, seed=0):
    """A float64 network on 8 x 8 images with one channel."""
    generator = torch.Generator().manual_seed(seed)
    initial = [
        initial_weight(shape, "default", scale, generator).double()
        for shape in weight_shapes(SMALL, 1, 8)
    ]
    return Model(SMALL, initial, normalization, layer_norms, rho_top)


def batch(n=12, classes=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, dtype=torch.float64, generator=generator)
    labels = torch.arange(n) % classes
    return x, labels, targets(labels, classes).double()


def count(network, channels, downsample="stride"):
    shapes = weight_shapes(build(network, 2, 1.0, downsample), channels, 32)
    return sum(math.prod(shape) for shape in shapes), len(shapes)


@pytest.mark.parametrize("downsample", ["stride", "maxpool"])
def test_cnn6_has_the_papers_parameters(downsample):
    weights, layers = count("cnn6", 3, downsample)
    assert weights == 3_519_328
    # The paper counts the six frozen layer norms and the top scalar too.
    assert weights + layers + 1 == 3_519_335


def test_cnn3_has_about_20k_parameters():
    assert count("cnn3", 3)[0] == 20_448


def test_both_downsamplings_give_the_same_shape_of_features():
    x = torch.randn(2, 3, 32, 32)
    for downsample in ("stride", "maxpool"):
        layers = build("cnn6", 2, 0.25, downsample)
        weights = [torch.randn(shape) for shape in weight_shapes(layers, 3, 32)]
        outputs, features = forward(layers, weights, x)
        assert outputs.shape == (2, 2)
        assert features.shape == (2, 256)


def test_forward_agrees_with_torch_modules():
    layers = (Conv(4, stride=2, pool=2), Linear(5), Linear(3))
    x = torch.randn(6, 1, 12, 12)
    modules = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 3, bias=False),
    )
    weights = [module.weight for module in modules if hasattr(module, "weight")]
    assert [tuple(w.shape) for w in weights] == weight_shapes(layers, 1, 12)
    torch.testing.assert_close(forward(layers, weights, x)[0], modules(x))


def test_an_image_too_small_is_refused():
    with pytest.raises(ValueError, match="too small"):
        weight_shapes(build("cnn6", 2, 1.0, "stride"), 3, 8)


@pytest.mark.parametrize("normalization", ["wn", "lm", "none"])
@pytest.mark.parametrize("rho_top", [2.5, -0.7])
def test_f_w_is_rho_f_v(normalization, rho_top):
    model = small_model(normalization, scale=1.3, rho_top=abs(rho_top))
    with torch.no_grad():
        model.rho_top.fill_(rho_top)
    x, _, _ = batch()
    v = [w / w.norm() for w in model.weights]
    v[-1] = v[-1] * math.copysign(1, rho_top)
    rho = model.network().rho
    assert rho == pytest.approx(abs(rho_top) * math.prod(w.norm().item() for w in model.weights))
    torch.testing.assert_close(model.outputs(x), rho * forward(SMALL, v, x)[0])


def test_under_bn_only_the_last_norm_counts():
    model = small_model("bn")
    x, _, _ = batch()
    before = model.outputs(x)
    with torch.no_grad():
        model.weights[0] *= 3
        model.weights[2] *= 0.2
    # BatchNorm's epsilon, 1e-5 beside the variance, is all that notices the scale.
    torch.testing.assert_close(model.outputs(x), before, rtol=2e-2, atol=2e-2)
    assert model.network().product_norm == pytest.approx(model.weights[-1].norm().item())


def test_bn_is_torchs_batch_norm_and_keeps_its_running_statistics():
    model = small_model("bn")
    x, _, _ = batch(64)
    modules = nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, bias=False),
        nn.BatchNorm2d(3, affine=False),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4, affine=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4, 5, bias=False),
        nn.BatchNorm1d(5, affine=False),
        nn.ReLU(),
        nn.Linear(5, 2, bias=False),
    ).double()
    for k, w in zip((0, 3, 7, 10), model.weights, strict=True):
        modules[k].weight.data.copy_(w)
    for _ in range(3):
        torch.testing.assert_close(model.outputs(x), modules(x))
    for (mean, var), k in zip(model.running, (1, 4, 8), strict=True):
        torch.testing.assert_close(mean, modules[k].running_mean)
        torch.testing.assert_close(var, modules[k].running_var)
    frozen = [mean.clone() for mean, _ in model.running]
    evaluated, _ = forward(SMALL, model.weights, x, model.running)
    torch.testing.assert_close(evaluated, modules.eval()(x))
    assert all(torch.equal(a, b) for a, (b, _) in zip(frozen, model.running, strict=True))


def test_homogeneity_lemma_2():
    model = small_model("none")
    x, _, _ = batch(5)
    f = model.outputs(x)
    for n, c in [(0, 0), (3, 1), (4, 0)]:
        gradients = torch.autograd.grad(f[n, c], model.weights, retain_graph=True)
        for w, gradient in zip(model.weights, gradients, strict=True):
            assert (w * gradient).sum().item() == pytest.approx(f[n, c].item(), rel=1e-10)


@pytest.mark.parametrize("normalization", ["wn", "bn", "none"])
@pytest.mark.parametrize("loss", ["square", "cross_entropy"])
def test_gradients_agree_with_finite_differences(normalization, loss):
    model = small_model(normalization, scale=1.5)
    x, _, e = batch()

    def objective():
        model.parameters_to_weights()
        penalty = rho_penalty(model.rho_top, RECIPE, 0.3)
        return LOSSES[loss](model.outputs(x), e) + penalty

    with torch.no_grad():
        for v in model.masters:
            v *= 1.7  # wn's gradient depends on ||v||
    model.gradients_to_parameters(torch.autograd.grad(objective(), model.differentiated()))
    step = 1e-6
    for parameter in model.parameters():
        values = parameter.data.view(-1)
        for i in range(0, values.numel(), 5):
            there = values[i].item()
            values[i] = there + step
            up = objective().item()
            values[i] = there - step
            down = objective().item()
            values[i] = there
            expected = (up - down) / (2 * step)
            assert parameter.grad.view(-1)[i].item() == pytest.approx(expected, abs=1e-7, rel=1e-5)


def test_penalty_gradient_is_2_lambda_rho():
    rho_top = torch.tensor(3.0, requires_grad=True)
    rho_penalty(rho_top, RECIPE, 0.1).backward()
    assert rho_top.grad.item() == pytest.approx(2 * 0.1 * 3)


def test_decay_of_all_weights_is_the_same_penalty_on_each():
    recipe = RECIPE.model_copy(update={"weight_decay_on": "weights"})
    w = torch.tensor([3.0, -1.0], requires_grad=True)
    optimizer = sgd([w], recipe, 0.5, 0.1)
    w.grad = torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.tensor([3.0, -1.0]) * (1 - 0.5 * 2 * 0.1))
    assert rho_penalty(torch.tensor(3.0), recipe, 0.1).item() == 0


def step(model, optimizer, x, e, lam=1e-2):
    loss = square_loss(model.outputs(x), e) + rho_penalty(model.rho_top, RECIPE, lam)
    model.gradients_to_parameters(torch.autograd.grad(loss, model.differentiated()))
    optimizer.step()
    model.retract()
    model.parameters_to_weights()


@pytest.mark.parametrize("normalization", ["wn", "lm"])
@pytest.mark.parametrize("layer_norms", ["initial", "unit"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_layer_norms_stay_frozen_along_training(normalization, layer_norms, momentum):
    model = small_model(normalization, layer_norms, scale=1.3, rho_top=4.0)
    wanted = [1.0] * 4 if layer_norms == "unit" else [w.norm().item() for w in model.weights]
    recipe = RECIPE.model_copy(update={"momentum": momentum})
    optimizer = sgd(model.parameters(), recipe, 0.1, 1e-2)
    x, _, e = batch()
    start = [w.detach().clone() for w in model.weights]
    for _ in range(30):
        step(model, optimizer, x, e)
        for w, norm in zip(model.weights, wanted, strict=True):
            assert w.norm().item() == pytest.approx(norm, rel=1e-12)
    moved = [(a - b).norm().item() for a, b in zip(start, model.weights, strict=True)]
    assert min(moved) > 1e-3


def test_the_multiplier_is_equation_4():
    model = small_model("lm", "unit", rho_top=20.0)
    x, _, e = batch()
    loss = square_loss(model.outputs(x), e)
    gradients = torch.autograd.grad(loss, model.differentiated())
    with torch.no_grad():
        f_v = model.outputs(x) / model.rho_top
        # Eq. 4 for two outputs: the means over n and C of rho f.e~ - (rho f)^2.
        rho_f = 20.0 * f_v
        nu = (rho_f * e - rho_f.square()).mean().item()
    for w, gradient in zip(model.weights, gradients, strict=False):
        assert (w * gradient).sum().item() == pytest.approx(-2 * nu, rel=1e-9)
    model.gradients_to_parameters(gradients)
    for w in model.masters:
        assert (w * w.grad).sum().item() == pytest.approx(0, abs=1e-12)


def distance_after(lr, steps, rho_top, retract=True):
    """Largest distance between the weights of wn and lm after `steps` of size `lr`."""
    models = [small_model(name, "unit", rho_top=rho_top) for name in ("wn", "lm")]
    if not retract:
        models[1].retract = lambda: None
    x, _, e = batch()
    for model in models:
        optimizer = sgd(model.parameters(), RECIPE, lr, 0)
        for _ in range(steps):
            step(model, optimizer, x, e)
    pairs = zip(*(model.weights for model in models), strict=True)
    return max((a - b).norm().item() for a, b in pairs)


def orders(errors):
    """Convergence orders between successive halvings of the step."""
    return [math.log2(a / b) for a, b in pairwise(errors)]


def test_wn_and_lm_agree_to_second_order_in_one_step():
    # The step of Eq. 5 leaves the sphere by O(lr^2); the retraction then makes the two equal.
    errors = [distance_after(lr, 1, rho_top=30.0, retract=False) for lr in (0.04, 0.02, 0.01)]
    assert orders(errors) == pytest.approx([2, 2], abs=0.1)
    assert distance_after(0.04, 1, rho_top=30.0) < 1e-15


def test_wn_and_lm_agree_to_first_order_at_a_fixed_time():
    # A small rho keeps the course smooth: where ReLUs switch on the way, the orders scatter.
    errors = [distance_after(1.0 / steps, steps, rho_top=1.0) for steps in (40, 80, 160)]
    assert orders(errors) == pytest.approx([1, 1], abs=0.1)


def test_training_steps_agree_with_torchs_own_weight_norm():
    """Momentum SGD on torch.nn.utils' weight norm, g frozen, takes the same course."""
    generator = torch.Generator().manual_seed(3)
    layers = (Linear(6), Linear(2))
    initial = [initial_weight(s, "default", 1.2, generator) for s in ((6, 64), (2, 6))]
    model = Model(layers, initial, "wn")
    modules = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False)
    )
    rho_top = nn.Parameter(torch.tensor(1.0))
    trained = [rho_top]
    for module, weight in zip((modules[1], modules[3]), initial, strict=True):
        module.weight.data.copy_(weight)
        weight_norm(module, dim=None)
        module.parametrizations.weight.original0.requires_grad_(False)
        trained.append(module.parametrizations.weight.original1)
    x, _, e = (t.float() if t.is_floating_point() else t for t in batch())
    recipe = RECIPE.model_copy(update={"momentum": 0.9})
    ours = sgd(model.parameters(), recipe, 0.1, 0.05)
    theirs = torch.optim.SGD(trained, lr=0.1, momentum=0.9)
    for _ in range(20):
        step(model, ours, x, e, lam=0.05)
        theirs.zero_grad()
        ((rho_top * modules(x) - e).pow(2).mean() + 0.05 * rho_top**2).backward()
        theirs.step()
    torch.testing.assert_close(model.outputs(x), rho_top * modules(x), rtol=1e-4, atol=1e-5)


def test_a_gradient_in_another_memory_order_takes_the_same_step():
    ends = []
    for form in (torch.channels_last, torch.contiguous_format):
        model = small_model("none")
        optimizer = sgd(model.parameters(), RECIPE, 0.1, 0)
        generator = torch.Generator().manual_seed(0)
        gradients = [
            torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in model.differentiated()
        ]
        gradients[:2] = [g.to(memory_format=form) for g in gradients[:2]]
        model.gradients_to_parameters(gradients)
        optimizer.step()
        ends.append(model.masters)
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b)


def test_default_initialisation_is_pytorchs():
    shape = (64, 32, 3, 3)
    ours = initial_weight(shape, "default", 1.0, torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = nn.Conv2d(32, 64, 3, bias=False).weight
    bound = (1 + 1e-6) / math.sqrt(32 * 9)  # rounded to float32, a draw may lie above it
    assert ours.abs().max().item() <= bound
    assert theirs.abs().max().item() <= bound
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.02)


@pytest.mark.parametrize("law", ["default", "const_norm"])
def test_the_scale_multiplies_the_law(law):
    one, three = (
        initial_weight((5, 7), law, scale, torch.Generator().manual_seed(0)) for scale in (1, 3)
    )
    torch.testing.assert_close(three, 3 * one)
    if law == "const_norm":
        assert three.norm().item() == pytest.approx(3)


def rates(schedule, epochs, steps, per_epoch=True):
    return [
        learning_rate(schedule, 0.03, epoch, epochs, epoch * steps + step, steps)
        for epoch in range(epochs)
        for step in ([0] if per_epoch else range(steps))
    ]


def torchs_rates(make, count):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.03)
    scheduler = make(optimizer)
    values = []
    for _ in range(count):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_the_papers_schedule_ends_at_0_0299():
    values = rates(Schedule(name="cosine_per_epoch_of_total_steps"), 1000, 79)
    assert 0.0299 <= values[-1] < 0.03
    theirs = torchs_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=79_000), 1000
    )
    assert values == pytest.approx(theirs, rel=1e-9)


def test_cosine_per_step_anneals_to_zero():
    values = rates(Schedule(name="cosine_per_step"), 20, 7, per_epoch=False)
    theirs = torchs_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=140), 140)
    assert values == pytest.approx(theirs, rel=1e-9)


def test_stepped_schedule_is_multistep():
    schedule = Schedule(name="step", milestones=(1 / 3, 2 / 3), factor=0.1)
    theirs = torchs_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [250, 500]), 750)
    assert rates(schedule, 750, 79) == pytest.approx(theirs, rel=1e-9)


@given(st.integers(1, 99), st.integers(1, 1000))
def test_a_milestone_comes_at_its_epoch(hundredths, epochs):
    """Against whole numbers: a milestone of 0.28 in 25 epochs is epoch 7, and not 8."""
    schedule = Schedule(name="step", milestones=(hundredths / 100,), factor=0.1)
    values = rates(schedule, epochs, 1)
    exact = Fraction(hundredths, 100) * epochs
    if exact.denominator != 2:  # a half may be rounded either way
        before = round(exact)
        assert values == pytest.approx([0.03] * before + [0.003] * (epochs - before))
