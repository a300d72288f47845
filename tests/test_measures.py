"""What the bounds take of a network by hand, and their values for more images and divergence."""

import math
from dataclasses import replace

import pytest
import torch
from test_bounds import NETWORK

from squareloss.measure.metrics.bound_inputs import measures
from squareloss.measure.metrics.multiclass_margin import lead
from squareloss.measure.metrics.rank import TOLERANCES, rank, singular_values
from squareloss.model.architecture import Linear
from squareloss.model.network import Network
from squareloss.theory.bounds import (
    BOUNDS,
    bound_eq16_printed,
    confidence_term,
    evaluate_bounds,
)

RHO_TOP = 3.0


@pytest.fixture
def network():
    """Two layers, rho_top = 3, and three images of which the second is misclassified.

    f = 3 W_2 relu(W_1 x): (6, 0), (0, 12) and (24, 0), of labels 0, 0 and 0.
    """
    first = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    second = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]]).view(3, 2, 1, 1)
    return Network((Linear(2), Linear(2)), [first, second], RHO_TOP), x


def measured(network, ranks=(2.0, 1.0)):
    two_layers, x = network
    f_v = two_layers.outputs(x) / two_layers.rho
    labels = torch.zeros(3, dtype=torch.int64)
    own = (f_v[:, 0] - f_v[:, 1]) / 2
    least = lead(f_v, labels).min().item()
    return measures(two_layers, x, own, least, list(ranks), 0.05)


def test_the_measures_of_two_layers_by_hand(network):
    found = measured(network)
    rho = 3 * math.sqrt(5) * math.sqrt(5)
    assert found.rho == pytest.approx(rho)
    # y f_W = 3, -6 and 12: a loss of 0, one that is cut off at 1, and 0.
    assert found.ramp_loss == pytest.approx(1 / 3)
    assert found.margin == pytest.approx(-12)
    assert found.max_norm == pytest.approx(4)
    assert found.rank_shares == (1.0, 0.5)
    assert (found.n, found.layers, found.parameters, found.width) == (3, 2, 8, 2)
    assert (found.copies, found.degrees, found.overlap, found.pools) == ((1, 1), (1, 1), 1, False)
    # R_A: the spectral norms 2 and 3 * 2, and of each layer the sum of its rows' norms over it.
    rows = (1 + 2) / 2, (2 + 1) / 2
    expected = 2 * 6 * sum(r ** (2 / 3) for r in rows) ** 1.5
    assert found.spectral_complexity == pytest.approx(expected, rel=1e-6)


def test_a_loss_between_0_and_1_is_no_more_than_its_share(network):
    two_layers, x = network
    found = measured((two_layers, x / 12))
    # y f_W = 0.25, -0.5 and 1.
    assert found.ramp_loss == pytest.approx((0.75 + 1 + 0) / 3)


def test_the_rank_counts_singular_values_over_the_norm():
    """0.015 is above 1e-2 of the largest and, as the norm is 2, below 1e-2 of the norm."""
    s = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.015], dtype=torch.float64)
    assert [rank(s, float(tolerance)) for tolerance in TOLERANCES] == [5, 4, 4]
    assert rank(singular_values(torch.diag(s)), 1e-2) == 4


def test_a_lead_of_three_classes_is_over_the_best_other():
    f = torch.tensor([[2.0, 1.0, 1.5], [-3.0, -1.0, -2.0]])
    assert lead(f, torch.tensor([0, 2])).tolist() == [0.5, -1.0]
    assert f[0].tolist() == [2.0, 1.0, 1.5]  # left as it was


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_the_images_for_a_bound_of_1_bring_it_to_1(bound):
    """At that N the bound is evaluated again, its ramp loss being as it was."""
    here = replace(NETWORK, ramp_loss=0.2, spectral_complexity=2e4)
    n = bound.images_for_one(bound.value(here), here.ramp_loss, here.n)
    assert n > here.n
    assert bound.value(replace(here, n=n)) == pytest.approx(1)


def test_a_diverged_network_has_no_bound_and_keeps_its_inputs():
    here = replace(NETWORK, ramp_loss=0.2)
    rows = evaluate_bounds(here, math.nan, covered=True)
    assert all(math.isnan(row["value"]) and not row["applies"] for row in rows)
    for row in evaluate_bounds(here, 0.25, covered=True):
        assert not row["applies"]
        bound = BOUNDS[row["bound"]]
        assert row["value"] == pytest.approx(bound.formula(here) + 0.2 * bound.ramp)
        inputs = [row[name] for name in ("rho", "max_norm", "ramp_loss", "layers", "delta")]
        assert inputs == [10.0, 50.0, 0.2, 3, 0.05]
        assert row["train_error"] == 0.25


def test_the_confidence_term_at_the_edge_of_its_root():
    assert confidence_term(math.e, 2) == pytest.approx(1.5)
    assert confidence_term(1.0, 2) == 0
    assert math.isnan(confidence_term(0.999, 2))
    assert math.isnan(bound_eq16_printed(-1.0, 6, 1000, 0.05))
