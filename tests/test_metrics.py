"""Metrics of features and weights against closed forms and brute force."""

import math
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from squareloss.measure.metrics import data_subspace as used_module
from squareloss.measure.metrics import layerwise as layerwise_module
from squareloss.measure.metrics.collapse import class_means, collapse
from squareloss.measure.metrics.data_subspace import used_by_images, used_shares
from squareloss.measure.metrics.layerwise import layerwise
from squareloss.measure.metrics.rank import distance, layer_metrics
from squareloss.model.architecture import Conv, Linear, build, weight_shapes
from squareloss.model.layers import activations, forward
from squareloss.model.network import Network
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.layers import AFTER_LAYER, LAYERS
from squareloss.train.evaluate import distribution, margins, moments, targets


def orthonormal(rng, rows, columns):
    """Random matrix with orthonormal columns, or rows if these are fewer."""
    if rows < columns:
        return orthonormal(rng, columns, rows).T
    return np.linalg.qr(rng.normal(size=(rows, columns)))[0]


def random_features(rng, n, p, classes):
    labels = np.r_[np.arange(classes), rng.integers(classes, size=n - classes)]
    h = rng.normal(size=(n, p)) + rng.normal(size=(classes, p))[labels] + 3
    return h, rng.normal(size=(classes, p)), labels


def collapse_of(h, w, labels, predictions=None):
    h, w, labels = torch.tensor(h), torch.tensor(w), torch.tensor(labels)
    if predictions is None:
        predictions = (h.double() @ w.double().T).argmax(1)
    return collapse(h, w, labels, torch.as_tensor(predictions))


def test_the_margins_distribution_against_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=200)
    found = distribution(torch.from_numpy(values))
    assert found == pytest.approx(
        {
            "mean_margin": values.mean(),
            "margin_sd": values.std(),
            "min_margin": values.min(),
            "max_margin": values.max(),
            "margin_skewness": scipy.stats.skew(values),
            "margin_kurtosis": scipy.stats.kurtosis(values),
        }
    )
    equal = distribution(torch.ones(5, dtype=torch.float64))
    assert math.isnan(equal["margin_skewness"])


@pytest.mark.parametrize("classes", [2, 10])
def test_exact_simplex_has_collapsed(classes):
    rng = np.random.default_rng(classes)
    vertices = np.eye(classes) - 1 / classes
    basis = orthonormal(rng, classes + 4, 37)  # orthonormal rows: the span, and the offset
    span, offset = basis[:classes], 5 * basis[classes]
    labels = np.repeat(np.arange(classes), 6)
    h = (0.3 * vertices @ span + offset)[labels]
    result = collapse_of(h, 7 * vertices @ span, labels)
    # Lemma 5's alignment is of features that have a mean; the others are measures of collapse.
    del result["lemma5_alignment"]
    assert result.pop("least_squares_cosine") == pytest.approx(1)
    assert result.pop("classifier_in_means") == pytest.approx(1)
    assert result == pytest.approx(dict.fromkeys(result, 0.0), abs=1e-10)


def test_means_on_a_line():
    """Sigma_B of three classes has rank 1: what its pseudoinverse leaves out is rounding."""
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    h = rng.normal(size=(60, 5))
    h -= np.stack([h[labels == c].mean(0) for c in range(3)])[labels]
    h += np.outer(labels, [0.1, 0.2, 0.3, 0.4, 0.5]) + 3
    w = rng.normal(size=(3, 5))
    found = collapse_of(h, w, labels, (h @ w.T).argmax(1))
    means = np.stack([h[labels == c].mean(0) for c in range(3)])
    apart = means - means.mean(0)
    sigma_b = apart.T @ apart / 3
    assert np.linalg.matrix_rank(sigma_b, tol=1e-10) == 1
    sigma_w = np.mean([np.cov(h[labels == c].T, bias=True) for c in range(3)], axis=0)
    inverse = np.linalg.pinv(sigma_b, rcond=1e-10, hermitian=True)
    assert found["nc1"] == pytest.approx(np.trace(sigma_w @ inverse), rel=1e-6)
    q = np.linalg.svd(means)[2][:2]  # they span a plane
    share = ((w @ q.T) ** 2).sum() / (w**2).sum()
    assert found["classifier_in_means"] == pytest.approx(share)


def test_two_of_three_means_coincide():
    """No distance to divide the variance by: CDNV is not defined."""
    h = np.array([[1.0, 0], [3, 0], [1, 0], [3, 0], [0, 1], [0, 3]])
    w = np.eye(3, 2)
    found = collapse_of(h, w, [0, 0, 1, 1, 2, 2], (h @ w.T).argmax(1))
    assert math.isnan(found["cdnv"])
    assert found["nc1_trace"] > 0


def test_collapse_has_the_columns_of_its_table():
    h, w, labels = random_features(np.random.default_rng(0), 20, 5, 3)
    assert list(collapse_of(h, w, labels)) == [column.name for column in COLLAPSE.columns]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6), p=st.integers(6, 20))
def test_collapse_against_brute_force(seed, classes, p):
    h, w, labels = random_features(np.random.default_rng(seed), 60, p, classes)
    result = collapse_of(h, w, labels)

    means = [h[labels == c].mean(0) for c in range(classes)]
    mu_g = sum(means) / classes
    sigma_w, sigma_b = np.zeros((p, p)), np.zeros((p, p))
    for c in range(classes):
        inside = h[labels == c] - means[c]
        sigma_w += inside.T @ inside / len(inside) / classes
        sigma_b += np.outer(means[c] - mu_g, means[c] - mu_g) / classes
    inverse = np.linalg.pinv(sigma_b, rcond=1e-10, hermitian=True)
    assert result["nc1"] == pytest.approx(np.trace(sigma_w @ inverse), rel=1e-6)
    assert result["nc1_trace"] == pytest.approx(np.trace(sigma_w) / np.trace(sigma_b))

    for name, vectors in {"means": [m - mu_g for m in means], "weights": list(w)}.items():
        norms = [math.sqrt(sum(x * x for x in v)) for v in vectors]
        mean = sum(norms) / classes
        sd = math.sqrt(sum((norm - mean) ** 2 for norm in norms) / classes)
        assert result[f"nc2_equinorm_{name}"] == pytest.approx(sd / mean, abs=1e-12)
        gaps = [
            abs(vectors[i] @ vectors[j] / norms[i] / norms[j] + 1 / (classes - 1))
            for i in range(classes)
            for j in range(i)
        ]
        assert result[f"nc2_angle_{name}"] == pytest.approx(sum(gaps) / len(gaps), abs=1e-12)

    assert result["nc1_per_class"] == pytest.approx(result["nc1"] / classes)
    pairs = list(combinations(range(classes), 2))
    variances = [((h[labels == c] - means[c]) ** 2).sum(1).mean() for c in range(classes)]
    apart = [((means[a] - means[b]) ** 2).sum() for a, b in pairs]
    shares = [(variances[a] + variances[b]) / 2 / d for (a, b), d in zip(pairs, apart, strict=True)]
    assert result["cdnv"] == pytest.approx(np.mean(shares))
    units = [(m - mu_g) / np.linalg.norm(m - mu_g) for m in means]
    energies = np.array([np.log(1 / np.linalg.norm(units[a] - units[b])) for a, b in pairs])
    expected = energies.std() / abs(energies.mean())
    assert result["nc2_uniformity_means"] == pytest.approx(expected, abs=1e-9)

    m = np.array([mean - mu_g for mean in means]).T
    gap = w.T / np.sqrt((w**2).sum()) - m / np.sqrt((m**2).sum())
    assert result["nc3"] == pytest.approx(np.sqrt((gap**2).sum()))
    assert result["nc3_squared"] == pytest.approx((gap**2).sum())

    best = np.linalg.lstsq(h, np.eye(classes)[labels] - 1 / classes, rcond=1e-2)[0]  # (p, C)
    cosine = (best.T * w).sum() / np.sqrt((best**2).sum() * (w**2).sum())
    assert result["least_squares_cosine"] == pytest.approx(cosine)
    gap = best / np.sqrt((best**2).sum()) - m / np.sqrt((m**2).sum())
    assert result["nc3_least_squares"] == pytest.approx(np.sqrt((gap**2).sum()))
    best = np.linalg.lstsq(np.array(means), np.eye(classes) - 1 / classes, rcond=1e-2)[0]
    gap = best / np.sqrt((best**2).sum()) - m / np.sqrt((m**2).sum())
    assert result["nc3_collapsed"] == pytest.approx(np.sqrt((gap**2).sum()))
    outside = w.T - np.array(means).T @ np.linalg.lstsq(np.array(means).T, w.T, rcond=None)[0]
    share = 1 - (outside**2).sum() / (w**2).sum()
    assert result["classifier_in_means"] == pytest.approx(share)


def test_nc1_of_two_classes_by_hand():
    # mu_c = (+-2, 0), so Sigma_B = diag(4, 0) and only the spread along the first axis counts.
    h = [[1.0, 5.0], [3.0, -5.0], [-1.0, 7.0], [-3.0, -7.0]]
    result = collapse_of(h, np.eye(2), [0, 0, 1, 1])
    assert result["nc1"] == pytest.approx(1 / 4)
    assert result["nc1_trace"] == pytest.approx((1 + (25 + 49) / 2) / 4)


def test_classes_weigh_the_same_when_they_are_not_balanced():
    h = np.array([[1.0, 5.0], [3.0, -5.0], [-1.0, 7.0], [-3.0, -7.0]])
    several = np.r_[h, h[:2], h[:2]]
    expected = collapse_of(h, np.eye(2), [0, 0, 1, 1])
    result = collapse_of(several, np.eye(2), [0, 0, 1, 1, 0, 0, 0, 0])
    assert result["nc1_trace"] == pytest.approx(expected["nc1_trace"])
    assert result["nc1"] == pytest.approx(expected["nc1"])


def test_least_squares_turns_away_from_the_scatter_within_classes():
    """Two classes at (+-1, 0) that scatter along (1, 1): the classifier is across it, not dual."""
    h = np.array([[1.0, 0.0], [3.0, 2.0], [-1.0, -2.0], [-1.0, 0.0], [1.0, 2.0], [-3.0, -2.0]])
    across = np.array([[1.0, -1.0], [-1.0, 1.0]])
    result = collapse_of(h, across, [0, 0, 0, 1, 1, 1])
    assert result["least_squares_cosine"] == pytest.approx(1)
    assert result["nc3"] == pytest.approx(math.sqrt(2 - math.sqrt(2)))  # 45 degrees off the means
    assert result["nc3_least_squares"] == pytest.approx(result["nc3"])


def test_nc4_is_the_share_that_another_mean_is_nearer_to():
    # Means 1 and 9 (labels as trained on); nearest: 0, 0, 1, 1, and 4.9 is nearer to 1.
    h = [[-2.9], [1.0], [4.9], [11.0], [7.0]]
    result = collapse_of(h, [[1.0], [2.0]], [0, 0, 0, 1, 1], predictions=[0, 1, 0, 1, 0])
    assert result["nc4"] == pytest.approx(2 / 5)


def test_float32_features_are_measured_in_float64():
    rng = np.random.default_rng(1)
    h, w, labels = random_features(rng, 50, 8, 2)
    h, w = h.astype(np.float32), w.astype(np.float32)
    predictions = np.zeros(50, dtype=int)
    single = collapse_of(h, w, labels, predictions)
    double = collapse_of(h.astype(float), w.astype(float), labels, predictions)
    assert single == double


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_features_give_nan(bad):
    h, w, labels = random_features(np.random.default_rng(0), 20, 5, 3)
    h[3, 2] = bad
    result = collapse_of(h, np.full_like(w, math.nan), labels)
    assert all(math.isnan(value) for value in result.values())


def test_means_that_coincide_do_not_pass_for_collapse():
    result = collapse_of(np.ones((4, 3)), np.eye(2, 3), [0, 0, 1, 1])
    assert math.isnan(result["nc1"])
    assert math.isnan(result["nc1_trace"])


def test_a_class_without_samples_has_no_mean():
    means = class_means(torch.ones(3, 4), torch.tensor([0, 0, 0]), 2)
    assert means[0].tolist() == [1] * 4
    assert means[1].isnan().all()


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ValueError, match="label 2 of 2 classes"):
        class_means(torch.ones(3, 4), torch.tensor([0, 1, 2]), 2)


@pytest.fixture
def conv_net():
    """A small cnn3 with three classes, and training and test images with their labels."""
    layers = build("cnn3", 3, 0.1, "stride")
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in weight_shapes(layers, 1, 32)]
    images = [torch.randn(n, 1, 32, 32, generator=generator) for n in (60, 31)]
    labels = [torch.arange(len(x)) % 3 for x in images]
    return Network(layers, weights, 1.0), list(zip(images, labels, strict=True))


def test_collapse_by_layer_against_that_of_the_last_hidden_layer(conv_net, monkeypatch):
    network, (train, test) = conv_net
    whole = layerwise(network, train, test)
    assert len(whole) == len(network.layers) == 3
    f, h = forward(network.layers, network.weights, train[0])
    expected = collapse(h, network.weights[-1], train[1], f.argmax(1))
    for name in ("nc1", "nc1_trace", "cdnv", "nc2_angle_means"):
        assert whole[1][name] == pytest.approx(expected[name])
    monkeypatch.setattr(layerwise_module, "BATCH", 7)
    for one, other in zip(layerwise(network, train, test), whole, strict=True):
        assert one == pytest.approx(other)


def test_collapse_by_layer_on_test_images_by_brute_force(conv_net):
    network, (train, test) = conv_net
    rows = layerwise(network, train, test)
    by_layer = [
        [a.flatten(1).double().numpy() for a in network.activations(x)] for x, _ in (train, test)
    ]
    for k, row in enumerate(rows):
        h, labels = by_layer[1][k], test[1].numpy()
        means = np.stack([h[labels == c].mean(0) for c in range(3)])
        within = np.mean([((h[labels == c] - means[c]) ** 2).sum(1).mean() for c in range(3)])
        between = ((means - means.mean(0)) ** 2).sum(1).mean()
        assert row["test_nc1_trace"] == pytest.approx(within / between)
        centres = np.stack([by_layer[0][k][train[1].numpy() == c].mean(0) for c in range(3)])
        nearest = [np.argmin([np.linalg.norm(one - c) for c in centres]) for one in h]
        assert row["test_nearest_mean_error"] == pytest.approx(np.mean(nearest != labels))
    # What the outputs' nearest mean says is said of the outputs, which come last.
    assert by_layer[0][-1].shape == (60, 3)


def test_no_test_image_is_nearest_to_a_class_without_a_training_image(conv_net):
    network, ((images, labels), test) = conv_net
    train = (images, labels.clamp(max=1))
    for row in layerwise(network, train, test):
        assert math.isnan(row["nearest_mean_error"])
        assert math.isnan(row["test_nearest_mean_error"])
        assert row["test_nc1_trace"] > 0


def test_collapse_by_layer_of_diverged_networks_is_nan(conv_net):
    network, (train, test) = conv_net
    gone = [torch.full_like(w, math.nan) for w in network.weights]
    network = Network(network.layers, gone, 1.0)
    for row in layerwise(network, train, test):
        assert all(math.isnan(value) for value in row.values())


@pytest.mark.parametrize("first", [Conv(4, stride=3), Linear(16)])
def test_what_inputs_use_of_dense_layers_by_brute_force(first, monkeypatch):
    """Three images, often: no layer has inputs along more than three directions."""
    layers = (first, Linear(8), Linear(3))
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in weight_shapes(layers, 1, 9)]
    x = torch.randn(3, 1, 9, 9, generator=generator).repeat(20, 1, 1, 1)
    network = Network(layers, weights, 1.0)
    shares = used_shares(network, x, used_by_images(layers, x))
    inputs = [x, *activations(layers, weights, x)]
    for layer, h, weight, share in zip(layers, inputs, weights, shares, strict=False):
        if isinstance(layer, Conv):
            assert math.isnan(share)
            continue
        _, s, directions = np.linalg.svd(h[:3].flatten(1).double().numpy())
        kept = directions[: len(s)][s > 1e-2 * s.max()]
        w = weight.double().numpy()
        assert share == pytest.approx(((w @ kept.T) ** 2).sum() / (w**2).sum())
        assert 0 < share < 1
    monkeypatch.setattr(used_module, "BATCH", 7)
    in_parts = used_by_images(layers, x)
    assert used_shares(network, x, in_parts) == pytest.approx(shares, nan_ok=True)
    gone = Network(layers, [torch.full_like(weight, math.nan) for weight in weights], 1.0)
    assert all(math.isnan(share) for share in used_shares(gone, x, in_parts))


def with_singular_values(rng, s, rows, columns):
    u, v = orthonormal(rng, rows, len(s)), orthonormal(rng, columns, len(s))
    return torch.tensor(u @ np.diag(s) @ v.T)


def test_layer_metrics_of_known_singular_values():
    s = np.array([4.0, 2.0, 1.0, 0.1, 0.02, 0.002])
    result = layer_metrics(with_singular_values(np.random.default_rng(2), s, 9, 30))
    norm = np.sqrt(21.010404)
    p = s / 7.122
    assert result == pytest.approx(
        {
            "frobenius_norm": norm,
            "spectral_norm": 4.0,
            "stable_rank": 21.010404 / 16,
            "effective_rank": np.exp(-(p * np.log(p)).sum()),
            # s / norm = 0.87, 0.44, 0.22, 0.022, 0.0044, 0.00044
            "rank_1e-3": 5,
            "rank_1e-2": 4,
            "rank_4e-2": 3,
        }
    )
    others = {"layer", "update_norm", "step_norm", "distance", "used_share"}
    others |= {f"{prefix}{name}" for prefix in ("", "test_") for name, *_ in AFTER_LAYER}
    assert others | result.keys() == {column.name for column in LAYERS.columns}


@given(n=st.integers(1, 12), scale=st.floats(1e-6, 1e6))
@settings(max_examples=25, deadline=None)
def test_equal_singular_values_have_full_rank(n, scale):
    result = layer_metrics(scale * with_singular_values(np.random.default_rng(n), [1.0] * n, n, 20))
    assert result["stable_rank"] == pytest.approx(n)
    assert result["effective_rank"] == pytest.approx(n)
    assert result["rank_4e-2"] == n


def test_rank_one():
    result = layer_metrics(torch.outer(torch.arange(1.0, 6), torch.arange(2.0, 9)))
    assert result["stable_rank"] == pytest.approx(1)
    assert result["effective_rank"] == pytest.approx(1, abs=1e-5)
    assert result["rank_1e-3"] == 1


def test_kernels_are_matrices_of_one_row_a_filter():
    kernel = torch.tensor(np.random.default_rng(3).normal(size=(6, 2, 3, 3)), dtype=torch.float32)
    rows = np.array([kernel[k].numpy().ravel() for k in range(6)], dtype=float)
    s = np.linalg.svd(rows, compute_uv=False)
    result = layer_metrics(kernel)
    assert result["spectral_norm"] == pytest.approx(s[0])
    assert result["effective_rank"] == pytest.approx(np.exp(-(s / s.sum() @ np.log(s / s.sum()))))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_weights_give_nan_and_no_rank(bad):
    weight = torch.ones(3, 2, 3, 3)
    weight[0, 0, 0, 0] = bad
    for name, value in layer_metrics(weight).items():
        assert value == 0 if name.startswith("rank_") else math.isnan(value), name


def test_zero_weights_have_no_rank():
    result = layer_metrics(torch.zeros(3, 4))
    assert result["frobenius_norm"] == 0
    assert result["rank_1e-3"] == 0
    assert math.isnan(result["stable_rank"])


def test_margins_of_a_linear_network_by_hand():
    v = torch.tensor([[0.6, 0.0], [0.0, 0.8]])  # norm 1
    x = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]]).reshape(3, 1, 1, 2)
    f_v, h = forward((Linear(2),), (v,), x)
    assert torch.equal(h, x.flatten(1))
    labels = torch.tensor([0, 1, 1])
    # f = (0.6, 0), (1.2, 0.8), (0, 2.4), and the margin is (f_y - f_other) / 2.
    assert margins(f_v, labels).tolist() == pytest.approx([0.3, -0.2, 1.2])
    mu, square = moments(f_v, labels)
    assert mu == pytest.approx((0.3 - 0.2 + 1.2) / 3)
    assert square == pytest.approx((0.36 + 1.44 + 0.64 + 5.76) / 6)


@pytest.mark.parametrize("classes", [2, 10])
def test_interpolation_has_margin_one_over_rho(classes):
    labels = torch.arange(classes).repeat(3)
    rho = 512.0
    f_v = targets(labels, classes) / rho
    assert margins(f_v, labels).tolist() == pytest.approx([1 / rho] * len(labels))
    mu, square = moments(f_v, labels)
    assert mu == pytest.approx(1 / rho / (classes - 1))
    assert square == pytest.approx(1 / rho**2 / (classes - 1))


def test_the_distance_is_that_of_the_directions():
    start = torch.zeros(3, 4)
    start[0, 0] = 2
    turned = torch.zeros(3, 4)
    turned[1, 2] = 0.5
    assert distance(7 * start, start) == 0
    assert distance(turned, start) == pytest.approx(2**0.5)  # at right angles
    assert distance(-start, start) == 2
    assert math.isnan(distance(torch.full((3, 4), math.nan), start))
