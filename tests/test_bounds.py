"""Bounds against their formulas by hand, and layers against the matrices they apply."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from squareloss.measure.metrics.multiclass_margin import lead
from squareloss.measure.metrics.operators import (
    copies,
    degrees,
    input_share,
    overlap,
    sides,
    spectral_complexity,
    spectral_norm,
    widest,
)
from squareloss.model.architecture import Conv, Linear, weight_shapes
from squareloss.tables.aggregate import BOUND_COLUMNS
from squareloss.tables.bounds import BOUNDS as TABLE
from squareloss.theory.bounds import (
    BOUNDS,
    Measures,
    evaluate_bounds,
    rademacher_peeling,
    rademacher_sparse,
)

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
    degrees=(4, 4, 3),
    input_share=0.25,
    pools=False,
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


def test_of_a_dense_network_the_images_numbers_count_as_units():
    layers = (Linear(100), Linear(2))
    weights = [torch.ones(shape) for shape in weight_shapes(layers, 3, 32)]
    assert widest(layers, weights, 32) == 3 * 32 * 32


def test_the_spectral_norm_of_a_layer_with_one_input_is_its_norm():
    weight = torch.tensor([[3.0], [4.0]])
    assert spectral_norm(Linear(2), weight, 1) == pytest.approx(5)


def test_patches_that_do_not_overlap_are_used_once():
    assert overlap((Conv(4, stride=3), Conv(4, stride=3), Linear(2)), 32) == 1
    assert overlap((Conv(4), Conv(4, stride=2), Linear(2)), 1000) == pytest.approx(9, rel=1e-2)


@given(kernels=st.lists(st.integers(1, 3), min_size=1, max_size=2), side=st.integers(5, 8))
def test_degrees_are_the_positions_that_a_unit_looks_at(kernels, side):
    layers = (*(Conv(2, kernel=kernel) for kernel in kernels), Linear(3), Linear(2))
    generator = torch.Generator().manual_seed(0)
    found, place = [], side
    for layer, shape in zip(layers, weight_shapes(layers, 2, side), strict=True):
        weight = torch.randn(shape, dtype=torch.float64, generator=generator)
        if isinstance(layer, Conv):
            looks = matrix(layer, weight, 2, place).view(-1, 2, place**2)
            place = layer.side(place)
        else:
            looks = weight.view(shape[0], -1, place**2)
            place = 1
        found.append(int((looks != 0).any(1).sum(1).max()))
    assert degrees(layers, side) == tuple(found)
    assert degrees((Linear(3), Linear(2)), side) == (1, 1)  # the image is one input


def test_the_input_share_is_that_of_the_largest_pixel():
    x = torch.zeros(2, 2, 4, 4)
    x[0, :, 1, 2] = torch.tensor([3.0, 4.0])  # 25 of the first image's 26
    x[0, 0, 0, 0] = 1.0
    x[1, 0, 1, 2] = 1.0  # and 1 of the second's
    assert input_share((Conv(3), Linear(2)), x) == pytest.approx(13 / 26)
    assert input_share((Linear(2),), x) == pytest.approx(27 / 2 / 26)


@given(seed=st.integers(0, 1000), n=st.integers(1, 6), patches=st.integers(1, 3))
@settings(max_examples=30)
def test_no_network_correlates_with_random_signs_by_more_than_the_sparse_complexity(
    seed, n, patches
):
    """Two layers, one kernel of two pixels: sup and mean over all signs, from all angles.

    sup over ||w|| = ||k|| = 1 of sum_i s_i sum_j w_j relu(k x_ij) is that over k of the norm over
    j of sum_i s_i relu(k x_ij).
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, patches, 2, dtype=torch.float64, generator=generator)
    angles = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
    kernels = torch.stack([angles.cos(), angles.sin()])
    hidden = (x @ kernels).relu()  # (n, patches, angles)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)), dtype=torch.float64)
    sup = torch.einsum("sn,npa->spa", signs, hidden).norm(dim=1).max(dim=1).values
    share = x.square().sum(0).max() / n  # one pixel a position; images of norm 1 at most, here 1
    assert sup.mean() / n <= rademacher_sparse((2, patches), share.item(), n)


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
    # R = sqrt(48 / 4 / 10^4) (1 + sqrt(2 (2 log 2 + log 48)))
    sparse = math.sqrt(12) / 100 * (1 + math.sqrt(2 * math.log(4 * 48)))
    confidence = 3 * math.sqrt(math.log(2 * 501**2 / 0.05) / 20000)
    assert values["sparse"] == pytest.approx(1002 * sparse + confidence)
    assert math.isnan(BOUNDS["sparse"].formula(replace(NETWORK, pools=True)))
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
