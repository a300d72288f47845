"""Networks and what the tables say of them, in plain NumPy and float64, for tests to compare with.

Formulas are written down anew from the paper and from the columns' meanings, the obvious way and
not the quick one. Nothing of the package's numerics is used.
"""

from dataclasses import dataclass
from itertools import combinations
from math import log, prod, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WITHOUT_RAMP_LOSS = ("bartlett", "parameters")
EPSILON = 1e-5  # what PyTorch's batch norm adds to a variance


@dataclass(frozen=True)
class Network:
    """A network at one moment: f_W(x) = rho_top * net(weights; x)."""

    # (stride, pool) of each convolution; the layers after these are dense.
    convolutions: tuple[tuple[int, int], ...]
    weights: list[np.ndarray]  # (out, in, k, k) or (out, in)
    rho_top: float
    running: list[tuple[np.ndarray, np.ndarray]]  # of hidden layers under batch norm

    @property
    def counted_norm(self):
        """The product of the norms that rho counts: under batch norm only the last layer's."""
        counted = self.weights[-1:] if self.running else self.weights
        return prod(norm(w) for w in counted)

    @property
    def rho(self):
        return abs(self.rho_top) * self.counted_norm

    def activations(self, x):
        """What each layer hands on, for images x (N, channels, side, side); without rho_top."""
        found = []
        for k, w in enumerate(self.weights):
            stride, pool = self.convolutions[k] if w.ndim == 4 else (1, 1)
            x = convolved(x, w, stride) if w.ndim == 4 else x.reshape(len(x), -1) @ w.T
            if k < len(self.weights) - 1:
                if self.running:
                    mean, variance = (
                        s.reshape(1, -1, *[1] * (x.ndim - 2)) for s in self.running[k]
                    )
                    x = (x - mean) / np.sqrt(variance + EPSILON)
                x = pooled(np.maximum(x, 0), pool)
            found.append(x)
        return found

    def outputs(self, x):
        """f_W (N, C)."""
        return self.rho_top * self.activations(x)[-1]


def norm(a):
    return np.sqrt((np.asarray(a, dtype=float) ** 2).sum())


def direction(w):
    return w / norm(w)


def convolved(x, w, stride):
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncpqij,ocij->nopq", windows, w)


def pooled(x, size):
    if size == 1:
        return x
    side = x.shape[-1] // size * size
    return (
        x[..., :side, :side]
        .reshape(*x.shape[:2], side // size, size, side // size, size)
        .max(axis=(3, 5))
    )


def standardized(split):
    """Training and test images, each channel less its mean over its standard deviation."""
    train, test = split.train_images / 255, split.test_images / 255
    mean, sd = (f(train, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    return (train - mean) / sd, (test - mean) / sd


def of_norm_one(x):
    return np.array([direction(image) for image in x.astype(float)])


def one_hot(labels, classes):
    return np.array([[float(c == label) for c in range(classes)] for label in labels])


def centred_targets(labels, classes):
    return np.array(
        [[1.0 if c == label else -1 / (classes - 1) for c in range(classes)] for label in labels]
    )


def margin(f, labels):
    """(f_y - mean of the others) (C - 1) / C of each sample, written with its sums."""
    classes = f.shape[1]
    own = f[np.arange(len(f)), labels]
    others = f.sum(1) - own
    return (own - others / (classes - 1)) * (classes - 1) / classes


def lead(f, labels):
    return np.array([row[y] - max(np.delete(row, y)) for row, y in zip(f, labels, strict=True)])


def error(f, labels):
    return np.mean(f.argmax(1) != labels)


def loss(f, labels, kind, targets):
    """The data term: the square loss with centred or one-hot targets, or the cross-entropy."""
    if kind == "cross_entropy":
        shifted = f - f.max(1, keepdims=True)
        own = shifted[np.arange(len(f)), labels]
        return np.mean(np.log(np.exp(shifted).sum(1)) - own)
    e = (one_hot if targets == "one_hot" else centred_targets)(labels, f.shape[1])
    return np.mean((f - e) ** 2)


def history(network, train, test, kind, targets, weight_decay):
    """Columns of `history` but for the rate; `train` and `test`: images and labels."""
    f, f_test = network.outputs(train[0]), network.outputs(test[0])
    f_v = f / network.rho
    found = margin(f_v, train[1])
    z = (found - found.mean()) / found.std()
    return {
        "classes": f.shape[1],
        "train_loss": loss(f, train[1], kind, targets),
        "train_error": error(f, train[1]),
        "test_loss": loss(f_test, test[1], kind, targets),
        "test_error": error(f_test, test[1]),
        "rho": network.rho,
        "rho_top": network.rho_top,
        "lambda_eff": weight_decay / network.counted_norm**2,
        "mu": np.mean(f_v * centred_targets(train[1], f.shape[1])),
        "M": np.mean(f_v**2),
        "mean_margin": found.mean(),
        "margin_sd": found.std(),
        "min_margin": found.min(),
        "max_margin": found.max(),
        "margin_skewness": np.mean(z**3),
        "margin_kurtosis": np.mean(z**4) - 3,
    }


# --- Collapse ---


def class_means(h, labels, classes):
    return np.array([h[labels == c].mean(0) for c in range(classes)])


def angle_gap(vectors):
    """Mean |cos + 1 / (C - 1)| over pairs of rows."""
    units = [direction(v) for v in vectors]
    cosines = [a @ b for a, b in combinations(units, 2)]
    return np.mean(np.abs(np.array(cosines) + 1 / (len(vectors) - 1)))


def after_layer(h, labels, classes, centres):
    """Collapse of features (N, p) around their class means; `centres` (C, p) to be nearest to."""
    means = class_means(h, labels, classes)
    apart = means - means.mean(0)
    variances = np.array([((h[labels == c] - means[c]) ** 2).sum(1).mean() for c in range(classes)])
    sigma_w = np.mean([np.cov(h[labels == c].T, bias=True) for c in range(classes)], axis=0)
    sigma_b = apart.T @ apart / classes
    inverse = np.linalg.pinv(sigma_b, rcond=1e-9, hermitian=True)
    distances = np.array([[norm(one - centre) for centre in centres] for one in h])
    return {
        "nc1": np.sum(sigma_w * inverse),
        "nc1_trace": variances.mean() / np.trace(sigma_b),
        "cdnv": np.mean(
            [
                (variances[a] + variances[b]) / 2 / norm(means[a] - means[b]) ** 2
                for a, b in combinations(range(classes), 2)
            ]
        ),
        "nc2_angle_means": angle_gap(apart),
        "nearest_mean_error": np.mean(distances.argmin(1) != labels),
    }


def duality_gap(w, means):
    return norm(direction(w) - direction(means - means.mean(0)))


def fitted(h, labels, classes):
    """Least-squares classifier (C, p) of centred one-hot labels, of the directions that h uses."""
    return np.linalg.lstsq(h, one_hot(labels, classes) - 1 / classes, rcond=1e-2)[0].T


def collapse(network, x, labels):
    """Columns of `collapse`, with the last layer of f_W as the classifier."""
    h = network.activations(x)[-2].reshape(len(x), -1)
    w, classes = network.rho_top * network.weights[-1], len(network.weights[-1])
    means = class_means(h, labels, classes)
    apart = means - means.mean(0)
    around = after_layer(h, labels, classes, means)
    nearest = np.array([[norm(one - mean) for mean in means] for one in h]).argmin(1)
    best = fitted(h, labels, classes)
    norms_of_means, norms_of_rows = ([norm(v) for v in vectors] for vectors in (apart, w))
    units = [direction(v) for v in apart]
    energies = [log(1 / norm(a - b)) for a, b in combinations(units, 2)]
    q = np.linalg.qr(means.T)[0]
    rows = w - w[::-1] if classes == 2 else w
    return {
        **{name: around[name] for name in ("nc1", "nc1_trace", "nc2_angle_means", "cdnv")},
        "nc1_per_class": around["nc1"] / classes,
        "nc2_equinorm_means": np.std(norms_of_means) / np.mean(norms_of_means),
        "nc2_equinorm_weights": np.std(norms_of_rows) / np.mean(norms_of_rows),
        "nc2_angle_weights": angle_gap(w),
        "nc2_uniformity_means": np.std(energies) / abs(np.mean(energies)),
        "nc3": duality_gap(w, means),
        "nc3_squared": duality_gap(w, means) ** 2,
        "nc3_least_squares": duality_gap(best, means),
        "nc3_collapsed": duality_gap(fitted(means, np.arange(classes), classes), means),
        "least_squares_cosine": np.sum(direction(best) * direction(w)),
        "classifier_in_means": norm(w @ q) ** 2 / norm(w) ** 2,
        "nc4": np.mean(nearest != network.outputs(x).argmax(1)),
        "lemma5_change": turned_change(h, w),
        "lemma5_alignment": alignment(h, rows[labels]),
    }


def alignment(h, rows):
    """The least cosine of a sample's features with its row; NaN if features are 0."""
    with np.errstate(invalid="ignore"):
        return np.min([direction(a) @ direction(b) for a, b in zip(h, rows, strict=True)])


def turned_change(h, w):
    """Lemma 5 with the turned classifier written out: V' = V / 2 + sqrt(3) / 2 U, rho' = 2 rho."""
    least = np.linalg.svd(h, full_matrices=True)[2][-1]
    along = w @ least
    first, second = np.argsort(-np.abs(along))[:2]
    across = np.zeros(len(w))
    across[first], across[second] = -along[second], along[first]
    v, u = direction(w), np.outer(direction(across), least)
    np.testing.assert_allclose(np.sum(v * u), 0, atol=1e-9)
    turned = 2 * norm(w) * (v / 2 + sqrt(3) / 2 * u)
    return np.abs(h @ turned.T - h @ w.T).max()


# --- Layers ---


def layers(network, start, train, test):
    """Columns of `layers`, a row a layer, but for the ways of the weights in training."""
    classes = len(network.weights[-1])
    on_train, on_test = (
        [a.reshape(len(x), -1) for a in network.activations(x)] for x, _ in (train, test)
    )
    inputs = [train[0].reshape(len(train[0]), -1), *on_train]
    rows = []
    for k, (w, w_0) in enumerate(zip(network.weights, start.weights, strict=True)):
        s = np.linalg.svd(w.reshape(len(w), -1), compute_uv=False)
        p = s / s.sum()
        centres = class_means(on_train[k], train[1], classes)
        of_test = after_layer(on_test[k], test[1], classes, centres)
        rows.append(
            {
                "layer": k + 1,
                "frobenius_norm": norm(w),
                "spectral_norm": s[0],
                "stable_rank": norm(w) ** 2 / s[0] ** 2,
                "effective_rank": np.exp(-np.sum(p * np.log(p))),
                "rank_1e-3": np.sum(s > 0.001 * norm(w)),
                "rank_1e-2": np.sum(s > 0.01 * norm(w)),
                "rank_4e-2": np.sum(s > 0.04 * norm(w)),
                "distance": norm(direction(w) - direction(w_0)),
                **after_layer(on_train[k], train[1], classes, centres),
                **{f"test_{name}": value for name, value in of_test.items()},
                "used_share": used_share(w, inputs[k]) if w.ndim == 2 else np.nan,
            }
        )
    return rows


def used_share(w, h):
    """Share of ||w||^2 in the directions in which the rows of h have over 1e-4 of the most."""
    _, s, directions = np.linalg.svd(h, full_matrices=False)
    used = directions[s**2 > 1e-4 * s[0] ** 2]
    return norm(w @ used.T) ** 2 / norm(w) ** 2


# --- Bounds ---


def matrix(w, stride, side):
    """The matrix of a layer, for a convolution on images of `side` pixels a side; a column an x."""
    if w.ndim == 2:
        return w
    basis = np.eye(w.shape[1] * side**2).reshape(-1, w.shape[1], side, side)
    return convolved(basis, w, stride).reshape(len(basis), -1).T


def bounds(network, x, labels, delta):
    """Columns of `bounds`, by name of the bound."""
    f, n, depth = network.outputs(x), len(x), len(network.weights)
    squares = (x**2).sum((1, 2, 3))
    ramp = np.mean([min(1, max(0, 1 - y_f)) for y_f in margin(f, labels)])
    side, positions, looks_at = x.shape[-1], 1, []
    copies, overlaps, units, spectral, rows = [], [1.0], [prod(x.shape[1:])], [], []
    for k, w in enumerate([*network.weights[:-1], network.rho_top * network.weights[-1]]):
        stride, pool = network.convolutions[k] if w.ndim == 4 else (1, 1)
        a = matrix(w, stride, side)
        copies.append(len(a) // len(w))
        spectral.append(np.linalg.svd(a, compute_uv=False)[0])
        rows.append(sum(norm(row) for row in a))
        units.append(len(a))
        if w.ndim == 4:
            overlaps.append(copies[-1] * w.shape[2] ** 2 / side**2)
            looks_at.append(w.shape[2] ** 2)
            side = int(sqrt(copies[-1])) // pool
            positions = side**2
        else:
            looks_at.append(positions)
            positions = 1
    held = (x**2).sum(1).mean(0).max() if network.weights[0].ndim == 4 else squares.mean()
    R = network.rho * sqrt(squares.max())
    dense = R * sqrt(prod(copies))
    peeling = (sqrt(2 * log(2) * depth) + 1) / sqrt(n)

    def theorem3(norm_, complexity):
        root = sqrt(log(2 * (norm_ + 1) ** 2 / delta) / 2 / n)
        return 2 * (norm_ + 1) * complexity + 3 * root

    shares = [
        np.sum(np.linalg.svd(w.reshape(len(w), -1), compute_uv=False) > 0.01 * norm(w))
        / min(w.reshape(len(w), -1).shape)
        for w in network.weights
    ]
    logs = (depth - 1) * log(2) + sum(log(d) for d in looks_at)
    sparse = sqrt(prod(looks_at) * held / squares.max() / n) * (1 + sqrt(2 * logs))
    least = lead(f, labels).min()
    complexity = prod(spectral) * sum(
        (b / s) ** (2 / 3) for b, s in zip(rows, spectral, strict=True)
    ) ** (3 / 2)
    parameters = sum(w.size for w in network.weights)
    printed = 2 * (log(R) + 1) ** 2 / delta
    values = {
        "eq16_printed": 2 * (R + 1) * peeling + 3 * sqrt(log(printed) / 2 / n)
        if printed >= 1
        else np.nan,
        "eq16_eq12": theorem3(R, peeling),
        "eq19": theorem3(R, 2**depth / sqrt(n)),
        "eq24": theorem3(R, 2 ** (depth - 1) * sqrt(max(overlaps)) / sqrt(n)),
        "eq25_printed": theorem3(R * 2 ** (depth * (depth + 1) / 4), 2**depth / sqrt(n)),
        "eq25_counted": theorem3(dense, 2**depth / sqrt(n)),
        "theorem7": theorem3(R, peeling * sqrt(prod(shares))),
        "sparse": np.nan
        if any(pool > 1 for _, pool in network.convolutions)
        else theorem3(R, sparse),
        "golowich": theorem3(dense, peeling),
        "neyshabur": theorem3(dense, 2 ** (depth - 1) / sqrt(n)),
        "bartlett": sqrt(squares.max()) * complexity * log(max(units)) / least / sqrt(n)
        + sqrt(log(1 / delta) / n)
        if least > 0
        else np.nan,
        "parameters": sqrt((parameters * depth * log(parameters) + log(1 / delta)) / n),
    }
    covered = len(network.weights[-1]) == 2 and not network.running
    return {
        name: {
            "value": value + (0 if name in WITHOUT_RAMP_LOSS else ramp),
            "applies": covered and error(f, labels) == 0,
            "rho": network.rho,
            "max_norm": sqrt(squares.max()),
            "ramp_loss": ramp,
            "layers": depth,
            "delta": delta,
            "train_error": error(f, labels),
        }
        for name, value in values.items()
    }
