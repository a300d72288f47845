"""The last layer: neural collapse, NC1 to NC4 (Eq. 26-27 and Section 5), and Lemma 5.

`h` is always (N, p), the input of the last layer, `labels` (N,) int64, the classes trained on, and
`means` (C, p) float64. In NC1 to NC3 every class weighs the same, however many samples it has, as
in the paper's balanced sets: label noise can leave classes of unequal size.
"""

from math import isfinite, nan

import torch
from torch import Tensor

from squareloss.measure.metrics.data_subspace import in_use


def class_means(h: Tensor, labels: Tensor, classes: int) -> Tensor:
    """mu_c, the mean of each class's samples: (C, p), or (C,) for one number a sample (Eq. 26).

    NaN for a class without a sample, which label noise can empty. Raises `ValueError` for a label
    that is no class.
    """
    if (largest := int(labels.max())) >= classes:
        raise ValueError(f"label {largest} of {classes} classes")
    return torch.stack([h[labels == c].mean(0) for c in range(classes)])


def centred(means: Tensor) -> Tensor:
    """mu_c - mu_G, with mu_G the mean of the class means (Eq. 26)."""
    return means - means.mean(0)


def within_trace(residuals: Tensor, labels: Tensor, classes: int) -> float:
    """Tr(Sigma_W) of the residuals h - mu_c (N, p) (Eq. 27)."""
    return class_means(residuals.square().sum(1), labels, classes).mean().item()


def between_trace(means: Tensor) -> float:
    """Tr(Sigma_B) (Eq. 27)."""
    return centred(means).square().sum(1).mean().item()


def whitening(means: Tensor) -> Tensor:
    """A (p, r) with A A^T = pinv(Sigma_B), Eq. 27, r its rank; NaN (p, 1) if a mean is not finite.

    Sigma_B has rank C - 1 at most, so a thin SVD of the C centred means M stands for the p x p one:
    Sigma_B = M^T M / C with M = U S V^T gives A = sqrt(C) V / S.
    """
    classes, p = means.shape
    if not means.isfinite().all():  # the SVD would raise
        return means.new_full((p, 1), nan)
    _, s, vt = torch.linalg.svd(centred(means), full_matrices=False)
    # The rows sum to zero, so the smallest of the C singular values is nothing but rounding.
    s, vt = s[: classes - 1], vt[: classes - 1]
    kept = s > s.max() * max(means.shape) * torch.finfo(s.dtype).eps
    return classes**0.5 * vt[kept].T / s[kept]


def cdnv(means: Tensor, variances: Tensor) -> float:
    """Class-distance normalised variance, 0 when collapsed (Galanti, Gyorgy and Hutter 2022).

    The mean over pairs of classes of (v_c + v_c') / (2 ||mu_c - mu_c'||^2), `variances` (C,) the
    means v_c of ||h - mu_c||^2 over each class. NaN if two means coincide.
    """
    first, second = torch.triu_indices(len(means), len(means), offset=1)
    apart = (means[first] - means[second]).square().sum(1)
    value = ((variances[first] + variances[second]) / (2 * apart)).mean().item()
    return value if isfinite(value) else nan


def uniformity(vectors: Tensor) -> float:
    """Generalised NC2: how unevenly the C rows lie on the sphere, 0 for a simplex.

    The coefficient of variation over pairs of log(1 / ||u_c - u_c'||), u_c the rows of norm 1 (Wu
    and Papyan 2024, after Liu et al. 2023). Always 0 for two classes, which have one pair.
    """
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    first, second = torch.triu_indices(len(unit), len(unit), offset=1)
    energies = -(unit[first] - unit[second]).norm(dim=1).log()
    return (energies.std(correction=0) / energies.mean().abs()).item()


def equinorm(vectors: Tensor) -> float:
    """Standard deviation of the norms of the rows over their mean, 0 if they are equal (NC2).

    The deviation is that of these C numbers, not the estimate for a population (divisor C). Two
    centred vectors have equal norms always: no evidence of collapse then.
    """
    norms = vectors.norm(dim=1)
    return (norms.std(correction=0) / norms.mean()).item()


def angle(vectors: Tensor) -> float:
    """Mean |cos + 1/(C-1)| over pairs of the C rows, 0 for a simplex (NC2).

    Two centred vectors have cosine -1 always: no evidence of collapse then.
    """
    count = len(vectors)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    first, second = torch.triu_indices(count, count, offset=1)
    cosines = (unit[first] * unit[second]).sum(1)
    return (cosines + 1 / (count - 1)).abs().mean().item()


def duality_gap(w_last: Tensor, means: Tensor) -> float:
    """||W^T / ||W||_F - M / ||M||_F||_F with M the centred class means (NC3); between 0 and 2."""
    m = centred(means)
    return (w_last / w_last.norm() - m / m.norm()).norm().item()


def least_squares(h: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The classifier (C, p) of least norm that fits one-hot labels, centred over the C outputs.

    By least squares on the features `h` (N, p), along the directions that they use. Where features
    have collapsed to a simplex around a mean that is orthogonal to it, it is proportional to the
    centred class means, and NC3 holds; scatter within the classes turns it away from them, and so
    do other means. NaN if `h` is not finite.
    """
    if not h.isfinite().all():
        return h.new_full((classes, h.shape[1]), nan)
    targets = torch.eye(classes, dtype=h.dtype, device=h.device)[labels] - 1 / classes
    squares, directions = in_use(h.T @ h)
    return targets.T @ h @ (directions / squares @ directions.T)


def in_span(w_last: Tensor, vectors: Tensor) -> float:
    """Share of ||W||_F^2 that lies in the span of `vectors` (k, p); between 0 and 1."""
    if not vectors.isfinite().all():
        return nan
    _, s, vt = torch.linalg.svd(vectors, full_matrices=False)
    directions = vt[s > 1e-10 * s.max()]
    return ((w_last @ directions.T).norm() / w_last.norm()).square().item()


def nearest_mean_disagreement(h: Tensor, means: Tensor, predictions: Tensor) -> float:
    """Share of samples whose predicted class (N,) is not that of the nearest mean (NC4)."""
    # Expanding the square would be faster, but loses all digits where features have collapsed.
    distances = torch.cdist(h, means, compute_mode="donot_use_mm_for_euclid_dist")
    if not distances.isfinite().all():
        return nan
    return (distances.argmin(1) != predictions).double().mean().item()


def rotation_change(h: Tensor, w_last: Tensor, cosine: float = 0.5) -> float:
    """Lemma 5: by how much an output f_W changes if V_L turns by 60 degrees and rho grows by 1/cos.

    The largest change over samples and outputs, for features `h` (N, p) and the last layer `w_last`
    (C, p) of f_W, both float64. V_L turns towards the direction that the features use least, along
    the outputs that V_L does not already have there, so <V_L, V_L'> = cos exactly. The lemma says
    0, which holds where a direction is orthogonal to all features. NaN if a number is not finite.
    """
    if not (h.isfinite().all() and w_last.isfinite().all()):
        return nan
    least = torch.linalg.eigh(h.T @ h).eigenvectors[:, 0]
    along = w_last @ least  # (C,)
    # A unit vector over the outputs, orthogonal to `along`.
    across = torch.zeros_like(along)
    i, j = along.abs().argsort(descending=True)[:2]
    across[i], across[j] = -along[j], along[i]
    if not across.any():
        across[0] = 1.0
    turn = across / across.norm() * w_last.norm() * (1 / cosine**2 - 1) ** 0.5
    return ((h @ least).abs().max() * turn.abs().max()).item()


def alignment(h: Tensor, w_last: Tensor, labels: Tensor) -> float:
    """Premise of Lemma 5: the least cosine between a sample's features and the row of its class.

    For features `h` (N, p), the last layer `w_last` (C, p) and `labels` (N,) int64. The lemma
    supposes 1: of two classes, it takes the difference of the rows, with the sign of the label. NaN
    if a number is not finite or features are 0.
    """
    if len(w_last) == 2:
        w_last = w_last - w_last.flip(0)
    cosines = (h * w_last[labels]).sum(1) / (h.norm(dim=1) * w_last.norm(dim=1)[labels])
    return cosines.min().item()


def collapse(h: Tensor, w_last: Tensor, labels: Tensor, predictions: Tensor) -> dict[str, float]:
    """Columns of the table `collapse`, from one network's features; computed in float64.

    `w_last`: (C, p), with f_W = w_last h, taken uncentred as in the paper; `predictions`: (N,)
    int64, the class with the largest output. Features that are NaN or infinite give NaN. So does
    `nc1` if the class means coincide, where pinv(Sigma_B) = 0 would pass for collapse, and so does
    a class without a sample in all that takes its mean.
    """
    h, w_last = h.double(), w_last.double()
    classes = len(w_last)
    means = class_means(h, labels, classes)
    residuals = h - means[labels]
    within, between = within_trace(residuals, labels, classes), between_trace(means)
    nc1 = within_trace(residuals @ whitening(means), labels, classes) if between else nan
    nc3 = duality_gap(w_last, means)
    best = least_squares(h, labels, classes)
    of_means = least_squares(means, torch.arange(classes, device=means.device), classes)
    return {
        "nc1": nc1,
        "nc1_per_class": nc1 / classes,
        "nc1_trace": within / between if between else nan,
        "nc2_equinorm_means": equinorm(centred(means)),
        "nc2_equinorm_weights": equinorm(w_last),
        "nc2_angle_means": angle(centred(means)),
        "nc2_angle_weights": angle(w_last),
        "nc2_uniformity_means": uniformity(centred(means)),
        "cdnv": cdnv(means, class_means(residuals.square().sum(1), labels, classes)),
        "nc3": nc3,
        "nc3_squared": nc3**2,
        "nc3_least_squares": duality_gap(best, means),
        "nc3_collapsed": duality_gap(of_means, means),
        "least_squares_cosine": ((w_last * best).sum() / w_last.norm() / best.norm()).item(),
        "classifier_in_means": in_span(w_last, means),
        "nc4": nearest_mean_disagreement(h, means, predictions),
        "lemma5_change": rotation_change(h, w_last),
        "lemma5_alignment": alignment(h, w_last, labels),
    }
