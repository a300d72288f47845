"""Bounds against their formulas by hand, and layers against the matrices they apply."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from squareloss.architecture import Conv, Linear, weight_shapes
from squareloss.layers import forward
from squareloss.metrics.lead import lead
from squareloss.metrics.operators import (
    copies,
    overlap,
    sides,
    spectral_complexity,
    spectral_norm,
    widest,
)
from squareloss.tables.aggregate import BOUND_COLUMNS
from squareloss.tables.bounds import BOUNDS as TABLE
from squareloss.theory.bounds import BOUNDS, Measures, evaluate_bounds, rademacher_peeling

NETWORK = Measures(
    rho=10.0,
    max_norm=50.0,
    layers=3,
    n=10000,
    ramp_loss=0.0,
    delta=0.05,
    margin=1.5,
    copies=(1, 2, 4),
    overlap=9.0,
    rank_shares=(1.0, 1.0, 1.0),
    spectral_complexity=200.0,
    parameters=1000,
    width=64,
)


def matrix(layer, weight, channels, side):
    """The matrix a layer applies, column by column."""
    basis = torch.eye(channels * side * side, dtype=weight.dtype).view(-1, channels, side, side)
    return torch.stack([forward_one(layer, weight, x.unsqueeze(0)).flatten() for x in basis], dim=1)


def forward_one(layer, weight, x):
    if isinstance(layer, Conv):
        return torch.nn.functional.conv2d(x, weight, stride=layer.stride)
    return x.flatten(1) @ weight.T


@given(
    stride=st.integers(1, 3),
    side=st.integers(3, 8),
    channels=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_convolution_is_the_matrix_it_applies(stride, side, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    layer = Conv(4, stride=stride)
    weight = torch.randn(4, channels, 3, 3, dtype=torch.float64, generator=generator)
    a = matrix(layer, weight, channels, side)
    largest = torch.linalg.matrix_norm(a, 2).item()
    assert spectral_norm(layer, weight, side) == pytest.approx(largest, rel=1e-6)
    n = copies(layer, side)
    assert a.norm().item() == pytest.approx(math.sqrt(n) * weight.norm().item())
    rows = a.norm(dim=1).sum().item()
    assert n * weight.flatten(1).norm(dim=1).sum().item() == pytest.approx(rows)
    uses = (a != 0).sum(0)  # how often an input is used, over all output channels
    assert overlap((layer,), side) == pytest.approx(max(1, uses.double().mean().item() / 4))


def test_the_spectral_complexity_of_a_network_from_its_matrices():
    layers = (Conv(3, stride=2), Conv(2), Linear(5), Linear(2))
    generator = torch.Generator().manual_seed(1)
    shapes = weight_shapes(layers, 2, 9)
    weights = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]
    shape, product, total = (2, 9), 1.0, 0.0
    for layer, weight, side in zip(layers, weights, sides(layers, 9), strict=True):
        if isinstance(layer, Conv):
            a = matrix(layer, weight, shape[0], side)
            shape = (layer.channels, layer.side(side))
        else:
            a = weight
        s = torch.linalg.matrix_norm(a, 2).item()
        product *= s
        total += (a.norm(dim=1).sum().item() / s) ** (2 / 3)
    assert spectral_complexity(layers, weights, 9) == pytest.approx(product * total**1.5, rel=1e-6)
    assert widest(layers, weights, 9) == 2 * 9 * 9
    zero = [*weights[:-1], torch.zeros_like(weights[-1])]
    assert math.isnan(spectral_complexity(layers, zero, 9))
    assert torch.isfinite(forward(layers, weights, torch.ones(1, 2, 9, 9).double())[0]).all()


def test_patches_that_do_not_overlap_are_used_once():
    assert overlap((Conv(4, stride=3), Conv(4, stride=3), Linear(2)), 32) == 1
    assert overlap((Conv(4), Conv(4, stride=2), Linear(2)), 1000) == pytest.approx(9, rel=1e-2)


def test_the_lead_is_over_the_best_other():
    f = torch.tensor([[1.0, 3.0, 2.0], [5.0, 0.0, 4.5]])
    assert lead(f, torch.tensor([1, 0])).tolist() == [1.0, 0.5]
    assert lead(f, torch.tensor([0, 1])).tolist() == [-2.0, -5.0]


def test_every_bound_by_hand():
    """norm = 500, N = 10^4: 2 * 501 * R + 3 sqrt(log(2 * 501^2 / 0.05) / 20000)."""
    confidence = 3 * math.sqrt(math.log(2 * 501**2 / 0.05) / 20000)
    peeling = (math.sqrt(6 * math.log(2)) + 1) / 100
    assert rademacher_peeling(3, 10000) == pytest.approx(peeling)
    values = {name: bound.formula(NETWORK) for name, bound in BOUNDS.items()}
    assert values["eq16_eq12"] == pytest.approx(1002 * peeling + confidence)
    assert values["theorem7"] == pytest.approx(1002 * peeling + confidence)  # full rank
    assert values["eq19"] == pytest.approx(1002 * 8 / 100 + confidence)
    assert values["eq24"] == pytest.approx(1002 * 4 * 3 / 100 + confidence)
    dense = 500 * math.sqrt(8)  # 1 * 2 * 4 copies
    confidence = 3 * math.sqrt(math.log(2 * (dense + 1) ** 2 / 0.05) / 20000)
    assert values["golowich"] == pytest.approx(2 * (dense + 1) * peeling + confidence)
    assert values["neyshabur"] == pytest.approx(2 * (dense + 1) * 4 / 100 + confidence)
    assert values["eq25_counted"] == pytest.approx(2 * (dense + 1) * 8 / 100 + confidence)
    printed = 500 * 8  # 2^(L(L+1)/4) = 2^3
    confidence = 3 * math.sqrt(math.log(2 * (printed + 1) ** 2 / 0.05) / 20000)
    assert values["eq25_printed"] == pytest.approx(2 * (printed + 1) * 8 / 100 + confidence)
    bartlett = 50 * 200 * math.log(64) / (1.5 * 100) + math.sqrt(math.log(20) / 10000)
    assert values["bartlett"] == pytest.approx(bartlett)
    dimension = 1000 * 3 * math.log(1000) + math.log(20)
    assert values["parameters"] == pytest.approx(math.sqrt(dimension / 10000))


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_a_tree_taken_as_dense_costs_the_factors_of_eq25(layers):
    """In the limit of a large norm the bounds' ratio is that of the norms."""
    copies = tuple(2**k for k in range(layers))
    tree = replace(NETWORK, rho=1e12, layers=layers, copies=copies)
    eq19 = BOUNDS["eq19"].formula(tree)
    counted, printed = BOUNDS["eq25_counted"].formula(tree), BOUNDS["eq25_printed"].formula(tree)
    assert counted / eq19 == pytest.approx(2 ** (layers * (layers - 1) / 4), rel=1e-6)
    assert printed / eq19 == pytest.approx(2 ** (layers * (layers + 1) / 4), rel=1e-6)


def test_low_rank_lowers_the_complexity_by_its_root():
    full = BOUNDS["theorem7"].formula(replace(NETWORK, rho=1e12))
    low = BOUNDS["theorem7"].formula(replace(NETWORK, rho=1e12, rank_shares=(0.25, 1.0, 0.25)))
    assert low / full == pytest.approx(1 / 4, rel=1e-6)


def test_a_margin_that_is_not_positive_has_no_spectral_bound():
    assert math.isnan(BOUNDS["bartlett"].formula(replace(NETWORK, margin=0.0)))


def test_rows_of_the_bounds_table():
    rows = evaluate_bounds(replace(NETWORK, layers=6), train_error=0.0, covered=True)
    assert [row["bound"] for row in rows] == list(BOUNDS)
    inputs = {"max_norm", "ramp_loss", "delta"}
    assert {c.name for c in BOUND_COLUMNS} == BOUNDS.keys() | inputs
    for row in rows:
        assert row.keys() == {column.name for column in TABLE.columns}
        assert row["rho"] == 10
        assert row["applies"] is True
    # Worked with 40 digits apart from this code, at rho = 10 * 50.
    assert rows[0]["value"] == pytest.approx(38.97685747083767)
    assert rows[1]["value"] == pytest.approx(39.0033947503607)


def test_the_ramp_loss_is_a_part_of_theorem_3_and_of_nothing_else():
    gap = replace(NETWORK, ramp_loss=0.125)
    for name, bound in BOUNDS.items():
        added = bound.value(gap) - bound.value(NETWORK)
        assert added == pytest.approx(0 if name in ("bartlett", "parameters") else 0.125)


def test_bounds_do_not_apply_without_fitting():
    rows = evaluate_bounds(NETWORK, train_error=1e-4, covered=True)
    assert not any(row["applies"] for row in rows)
    assert not any(row["applies"] for row in evaluate_bounds(NETWORK, 0.0, covered=False))
