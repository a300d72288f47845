"""What the bounds and the ranks take of a network, by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from squareloss.measure.extraction import Block
from squareloss.measure.metrics.bound_inputs import measures
from squareloss.measure.metrics.data_subspace import used_by_images
from squareloss.measure.metrics.rank import layer_metrics
from squareloss.model.architecture import Conv, Linear
from squareloss.model.network import Network
from squareloss.train.snapshots import Snapshot


@pytest.mark.parametrize("rho_top", [3.0, -3.0])
def test_measures_of_two_layers_and_a_misclassified_sample(rho_top):
    """f_W(x) = 3 diag(1, 2) diag(2, 1) x = 6 x for x >= 0, or -6 x."""
    first, last = torch.diag(torch.tensor([2.0, 1.0])), torch.diag(torch.tensor([1.0, 2.0]))
    network = Network((Linear(2), Linear(2)), [first, last], rho_top)
    x = torch.tensor([[1.0, 0.5], [0.25, 0.5], [0.0, 0.1]]).reshape(3, 2, 1, 1)
    # f_y - f_other of 6 x, labels 0, 0, 1: 3, -1.5, 0.6. The margin is half, rho = 3 * 5.
    torch.testing.assert_close(
        network.outputs(x) / network.rho, math.copysign(6 / 15, rho_top) * x.flatten(1)
    )
    leads = torch.tensor([3.0, -1.5, 0.6]) / 15
    found = measures(
        network,
        x,
        margin=leads / 2,
        least_lead=leads.min().item(),
        ranks=[1, 2],
        delta=0.04,
    )
    assert found.rho == pytest.approx(15)
    assert found.max_norm == pytest.approx(math.sqrt(1.25))
    # y f_W = 1.5, -0.75, 0.3: below 1 by nothing, by more than 1, by 0.7.
    assert found.ramp_loss == pytest.approx((0 + 1 + 0.7) / 3)
    assert found.margin == pytest.approx(-1.5)
    assert (found.layers, found.n, found.delta) == (2, 3, 0.04)
    assert (found.copies, found.degrees, found.overlap) == ((1, 1), (1, 1), 1)
    assert found.rank_shares == (0.5, 1)
    assert (found.parameters, found.width, found.pools) == (8, 2, False)
    assert found.input_share == pytest.approx((1.25 + 0.3125 + 0.01) / 3 / 1.25)
    # Spectral norms 2 and 6, rows of norms 2 + 1 and 3 + 6: 12 (2 * 1.5^(2/3))^(3/2).
    assert found.spectral_complexity == pytest.approx(18 * 2**1.5)


def test_measures_of_a_convolution_that_overlaps_and_pools():
    layers = (Conv(2, kernel=2, pool=2), Linear(2))
    weights = [torch.ones(2, 1, 2, 2), torch.ones(2, 2)]
    x = torch.ones(1, 1, 3, 3)
    found = measures(Network(layers, weights, 1.0), x, x.flatten(), 1.0, [2, 1], 0.04)
    assert (found.copies, found.degrees, found.pools) == ((4, 1), (4, 1), True)
    assert found.overlap == pytest.approx(4 * 4 / 9)
    assert found.rank_shares == (1, 0.5)  # of min(2, 4) and of min(2, 2)
    assert found.input_share == pytest.approx(1 / 9)
    assert (found.parameters, found.width) == (12, 9)
    unpooled = (Conv(2, kernel=2), Linear(2))
    weights = [torch.ones(2, 1, 2, 2), torch.ones(2, 8)]
    found = measures(Network(unpooled, weights, 1.0), x, x.flatten(), 1.0, [2, 1], 0.04)
    assert (found.degrees, found.pools) == ((4, 4), False)


@pytest.mark.parametrize(
    ("smallest", "ranks"),
    # Of V, whose norm is 1: the smallest singular value is just over 0.0075, 0.025 and 0.00075,
    # while it is 0.015, 0.05 and 0.0015 of the largest.
    [(0.015, (5, 4, 4)), (0.05, (5, 5, 4)), (0.0015, (4, 4, 4))],
)
def test_ranks_are_those_of_directions_of_norm_1(smallest, ranks):
    s = [1.0, 1.0, 1.0, 1.0, smallest]
    found = layer_metrics(7 * torch.diag(torch.tensor(s)))
    assert tuple(found[f"rank_{t}"] for t in ("1e-3", "1e-2", "4e-2")) == ranks


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("normalization", ["wn", "bn"])
@pytest.mark.parametrize("wrong", [0, 1])
def test_bounds_apply_to_two_classes_without_batch_norm_and_error(
    make_spec, classes, normalization, wrong
):
    """A network of identities, which gives each image's three numbers back."""
    spec = make_spec(network="mlp", width=0.03, normalization=normalization)
    weights = [*[torch.eye(3)] * 10, torch.eye(classes, 3)]
    running = [(torch.zeros(3), torch.ones(3))] * 10 if normalization == "bn" else []
    network = Network(spec.recipe.layers(classes), weights, 1.0, running)
    snapshot = Snapshot(network, [0.0] * 11, [0.0] * 11)
    true = torch.arange(4 * classes) % classes
    labels = torch.cat([1 - true[:wrong], true[wrong:]])  # of the first image
    # Two images of a class are not the same, so that its features vary.
    x = torch.eye(3)[true].reshape(-1, 3, 1, 1) * torch.linspace(1, 2, len(true)).view(-1, 1, 1, 1)
    split = SimpleNamespace(
        classes=classes,
        train_labels=true.numpy(),
        noisy_labels=labels.numpy()[None],
        test_labels=true.flip(0).numpy(),
    )
    used = used_by_images(network.layers, x)
    block = Block(spec, split, 0.05, x, x.flip(0), used)
    rows = block.rows(snapshot, snapshot, replicate=0)["bounds"]
    assert all(row["train_error"] == pytest.approx(wrong / len(true)) for row in rows)
    applies = classes == 2 and normalization == "wn" and not wrong
    assert {row["applies"] for row in rows} == {applies}
