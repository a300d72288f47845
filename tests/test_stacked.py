"""The step of all replicates at once is the plain step, whatever the network and parametrisation.

See `test_kernels` for what running it without a GPU shows and does not show.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, on Linux")

from squareloss.data.split import Split
from squareloss.train import stacked
from squareloss.train.device import Settings
from squareloss.train.engine import Replicate, tf32
from squareloss.train.kernels import Tile
from squareloss.train.stacked import Stacked, chunk_table
from squareloss.train.training_data import load_data

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
# In the interpreter few programs are quick; a card has no room for such a tile in float64.
TILE = Tile(32, 32, 16) if ON_GPU else Tile(128, 128, 128)


def test_every_weight_is_in_one_chunk_and_knows_its_layer(monkeypatch):
    monkeypatch.setattr(stacked, "CHUNK", 4)
    at, parts, parts_at = [0, 9, 10, 18], [2, 1, 3], [0, 18, 19, 43]
    seen = np.zeros(18, int)
    in_parts = np.zeros(43, int)
    table = chunk_table(at, parts_at, parts)
    for start, end, layer, first, following, part, count, apart in table:
        weights = np.arange(start, min(start + 4, end))
        seen[weights] += 1
        assert (at[layer], at[layer + 1]) == (end - apart, end)
        assert {row[2] for row in table[first:following]} == {layer}
        assert sum(row[2] == layer for row in table) == following - first
        for n in range(count):
            in_parts[part + n * apart + weights - start] += 1
    assert (seen == 1).all()
    assert (in_parts == 1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalization": "bn"}, "bn"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
        ({"network": "cnn6", "downsample": "maxpool"}, "max-pooling"),
    ],
)
def test_what_has_no_kernel_is_refused(make_spec, changes, message):
    with pytest.raises(ValueError, match=message):
        both(make_spec(replicates=(0,), **changes), 17)


def images(side, channels, count):
    """A split of random images, that two replicates label in their own way."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    return Split(
        train_images=rng.integers(0, 256, (count, channels, side, side)).astype(np.uint8),
        train_indices=np.arange(count),
        train_labels=labels,
        noisy_labels=np.stack([labels, 1 - labels, labels]),
        test_images=np.zeros((2, channels, side, side), np.uint8),
        test_indices=np.arange(2),
        test_labels=labels[:2],
        mean=np.full(channels, 0.5, np.float32),
        std=np.full(channels, 0.25, np.float32),
    )


def both(spec, side, channels=1, tile=TILE):
    """The replicates of the plain step, and the same ones stacked."""
    data = load_data(spec, images(side, channels, spec.point.n_train), DEVICE)
    settings = replace(Settings.of(DEVICE), streams=False, recorded=False)
    plain = [Replicate(spec, data, r, settings) for r in spec.replicates]
    products, layers = ("forward", "input gradient", "weight gradient"), range(12)
    together = Stacked(
        [replicate.model for replicate in plain],
        spec.recipe,
        spec.point.weight_decay,
        spec.point.learning_rate,
        (channels, side),
        spec.point.batch_size,
        tiles={(product, k): tile for product in products for k in layers},
    )
    return plain, together


def batches(plain, steps):
    """For each step, the samples of every replicate (R, B), none of them the same."""
    size = plain[0].spec.point.batch_size
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        yield torch.stack(
            [torch.randperm(len(r.labels), generator=generator)[:size].to(DEVICE) for r in plain]
        )


def take(plain, together, batch):
    """One step of the stacked replicates."""
    x = together.products.factor(plain[0].data.train_x)[batch]
    together.step(x, torch.stack([r.targets[b] for r, b in zip(plain, batch, strict=True)]))


def compare(plain, together, tolerance, steps=2):
    """Both end at the same place: within `tolerance` of how far they came."""
    start = [[v.clone() for v in (*r.model.masters, r.model.rho_top.detach())] for r in plain]
    for batch in batches(plain, steps):
        for replicate, samples in zip(plain, batch, strict=True):
            with tf32(replicate.spec.recipe.precision == "tf32"):
                replicate.step(samples)
        take(plain, together, batch)
    for r, replicate in enumerate(plain):
        model = replicate.model
        ends = [*model.masters, model.rho_top.detach()]
        found = [*together.unstacked(together.masters[r]), together.rho[r]]
        for begun, end, other in zip(start[r], ends, found, strict=True):
            assert (end - begun).norm() > 1e-4 * end.norm()  # every layer learns
            assert (other - end).norm() <= tolerance * (end - begun).norm()
        weights = together.unstacked(together.weights[r])
        for weight, other in zip(model.weights, weights, strict=True):
            assert (weight - other).norm() <= tolerance * weight.norm()
        momenta = [replicate.optimizer.state[p]["momentum_buffer"] for p in model.parameters()]
        if replicate.spec.recipe.momentum == 0:
            momenta = [p.grad for p in model.parameters()]  # PyTorch leaves its buffer alone
        found = [*together.unstacked(together.momentum[r]), together.rho_momentum[r]]
        for momentum, other in zip(momenta, found, strict=True):
            assert (momentum - other).norm() <= tolerance * momentum.norm()
        if model.normalization == "wn":
            torch.testing.assert_close(together.radii[r], model.radii, rtol=tolerance, atol=0)
            torch.testing.assert_close(together.scales[r], model.scales, rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    ("normalization", "on"), [("wn", "rho"), ("wn", "weights"), ("lm", "rho"), ("none", "weights")]
)
def test_cnn3_takes_the_plain_step(make_spec, normalization, on):
    spec = make_spec(
        precision="float64", normalization=normalization, replicates=(0, 1, 2), width=0.5,
        weight_decay_on=on, weight_decay=0.05, batch_size=7,
        layer_norms="initial" if normalization == "none" else "unit",
    )  # fmt: skip
    compare(*both(spec, 11, channels=3), 1e-10)


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-9), ("float32", 2e-3)])
def test_cnn6_takes_the_plain_step(make_spec, precision, tolerance):
    spec = make_spec(
        network="cnn6", width=0.125, precision=precision, replicates=(0, 1), batch_size=5
    )
    compare(*both(spec, 17, channels=3), tolerance)


def test_one_replicate_of_a_dense_network_takes_it_too(make_spec):
    """The first layer takes an image of three channels, whose order in memory differs."""
    spec = make_spec(network="mlp", width=0.1, precision="float64", replicates=(0,), init_scale=2)
    compare(*both(spec, 3, channels=3), 1e-9, steps=1)


def test_without_momentum_and_with_other_targets(make_spec):
    spec = make_spec(momentum=0.0, targets="one_hot", precision="float64", replicates=(0, 1))
    compare(*both(spec, 9), 1e-10, steps=1)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"] if ON_GPU else ["float32"])
def test_a_replicate_is_bit_identical_alone_in_company_and_again(make_spec, precision):
    spec = make_spec(precision=precision, replicates=(0, 1, 2))

    def after(replicates, company):
        plain = [both(spec, 9)[0][r] for r in replicates]
        place = (spec.point.weight_decay, spec.point.learning_rate, (1, 9), spec.point.batch_size)
        together = Stacked([r.model for r in plain], spec.recipe, *place)
        for batch in company:
            take(plain, together, batch[replicates])
        return together.masters, together.momentum, together.weights, together.rho

    company = list(batches(both(spec, 9)[0], 2))
    together, again = after([0, 1, 2], company), after([0, 1, 2], company)
    for a, b in zip(together, again, strict=True):
        assert a.equal(b)
    assert not together[0][0].equal(together[0][1])
    for r in (0, 2):
        for alone, b in zip(after([r], company), together, strict=True):
            assert alone[0].equal(b[r])
