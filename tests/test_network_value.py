"""A network as a value: its function, norm and directions, by plain NumPy."""

import math

import numpy as np
import plain
import pytest
import torch

from squareloss.model.architecture import BATCH, Conv, Linear
from squareloss.model.network import Network

LAYERS = (Conv(3, stride=2), Linear(4), Linear(3))
SHAPES = ((3, 2, 3, 3), (4, 3 * 5 * 5), (3, 4))


def network(rho_top, standardized):
    """A convolution and two dense layers, and more images of 11 x 11 pixels than pass at once."""
    generator = torch.Generator().manual_seed(4)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = [draw(*shape) for shape in SHAPES]
    running = [(draw(n), draw(n).square() + 0.1) for n in (3, 4)] if standardized else []
    return Network(LAYERS, weights, rho_top, running), draw(BATCH + 6, 2, 11, 11)


def in_numpy(found):
    """The same network, apart from PyTorch."""
    running = [tuple(t.numpy() for t in pair) for pair in found.running]
    return plain.Network(((2, 1),), [w.numpy() for w in found.weights], found.rho_top, running)


@pytest.mark.parametrize("rho_top", [1.7, -1.7])
@pytest.mark.parametrize("standardized", [False, True])
def test_folding_the_sign_changes_no_output(rho_top, standardized):
    found, x = network(rho_top, standardized)
    folded = found.folded()
    expected = in_numpy(found).outputs(x.numpy())
    np.testing.assert_allclose(found.outputs(x).numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(folded.outputs(x).numpy(), expected, rtol=1e-9, atol=1e-9)
    assert folded.rho_top == 1.7
    assert folded.rho == found.rho
    f, h = found.outputs_and_features(x)
    np.testing.assert_allclose(f.numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rho_top * h.numpy() @ found.weights[-1].numpy().T, expected)


@pytest.mark.parametrize("standardized", [False, True])
def test_norms_and_directions(standardized):
    found, _ = network(-1.7, standardized)
    norms = [plain.norm(w.numpy()) for w in found.weights]
    product = norms[-1] if standardized else math.prod(norms)
    assert found.product_norm == pytest.approx(product)
    assert found.rho == pytest.approx(1.7 * product)
    assert found.lambda_eff(0.3) == pytest.approx(0.3 / product**2)
    for sign, v, w, n in zip((1, 1, -1), found.directions(), found.weights, norms, strict=True):
        np.testing.assert_allclose(v.numpy(), sign * w.numpy() / n, rtol=1e-12)


def test_a_network_of_zeros_has_no_effective_decay():
    zeros = Network(LAYERS, [torch.zeros(shape) for shape in SHAPES], 2.0)
    assert zeros.rho == 0
    assert math.isnan(zeros.lambda_eff(0.3))


def test_a_network_keeps_its_place_and_statistics_on_another_device():
    found, _ = network(-1.7, standardized=True)
    there = found.to(torch.device("meta"))
    assert {t.device.type for t in [*there.weights, *sum(there.running, ())]} == {"meta"}
    back, x = found.to(torch.device("cpu")), torch.ones(2, 2, 11, 11, dtype=torch.float64)
    assert torch.equal(back.outputs(x), found.outputs(x))
    assert back.rho_top == -1.7
