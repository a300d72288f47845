"""Collapse after every layer, on training and test images.

The measures are those of `metrics.collapse`, which has the last hidden layer alone, and the error
of the nearest class mean. Features are what a layer hands to the next one, flattened. Images are
passed through in batches, and twice: once for the means, once for what varies around them. The
features of an early layer of all images at once would fill the memory.
"""

from collections.abc import Callable, Iterator
from math import nan

import torch
from torch import Tensor

from squareloss.measure.metrics.collapse import angle, between_trace, cdnv, centred, whitening
from squareloss.model.architecture import BATCH
from squareloss.model.network import Network

Batches = Callable[[], Iterator[tuple[list[Tensor], Tensor]]]


def features_of(network: Network, x: Tensor, labels: Tensor) -> Batches:
    """A function that passes the images `x` through the network, one batch after the other.

    Each batch gives the features after every layer, (B, p) float64, and its labels (B,) int64.
    """

    def batches() -> Iterator[tuple[list[Tensor], Tensor]]:
        for part, its_labels in zip(x.split(BATCH), labels.split(BATCH), strict=True):
            found = network.activations(part)
            yield [h.flatten(1).double() for h in found], its_labels

    return batches


def means_of(batches: Batches, classes: int) -> list[Tensor]:
    """Class means (C, p) of every layer's features; NaN for a class without a sample."""
    sums: list[Tensor] = []
    counts = torch.zeros((), dtype=torch.float64)  # a number may join tensors of any device
    for found, labels in batches():
        counts = counts + torch.bincount(labels, minlength=classes)
        sums = sums or [h.new_zeros(classes, h.shape[1]) for h in found]
        for total, h in zip(sums, found, strict=True):
            total.index_add_(0, labels, h)
    return [total / counts[:, None] for total in sums]


def variability(
    batches: Batches, means: list[Tensor], centres: list[Tensor]
) -> list[dict[str, float]]:
    """Collapse of every layer's features around their own class `means`, a dict a layer.

    `centres` (C, p) of each layer are those that a sample's nearest one is looked for in.
    """
    classes = len(means[0])
    axes = [whitening(mean) for mean in means]
    # By layer and class: the sums of ||h - mu_c||^2, and of the same along the axes of Sigma_B.
    spread, whitened = means[0].new_zeros(2, len(means), classes)
    missed = means[0].new_zeros(len(means))
    counts = means[0].new_zeros(classes)
    for found, labels in batches():
        counts += torch.bincount(labels, minlength=classes)
        for k, h in enumerate(found):
            residuals = h - means[k][labels]
            spread[k].index_add_(0, labels, residuals.square().sum(1))
            whitened[k].index_add_(0, labels, (residuals @ axes[k]).square().sum(1))
            distances = torch.cdist(h, centres[k], compute_mode="donot_use_mm_for_euclid_dist")
            missed[k] += (distances.argmin(1) != labels).sum()
    rows = []
    for k, mean in enumerate(means):
        variances, between = spread[k] / counts, between_trace(mean)
        defined = variances.isfinite().all() and between > 0
        row = {
            "nc1": (whitened[k] / counts).mean().item(),
            "nc1_trace": variances.mean().item() / between if defined else nan,
            "cdnv": cdnv(mean, variances),
            "nc2_angle_means": angle(centred(mean)),
            "nearest_mean_error": (missed[k] / counts.sum()).item()
            if centres[k].isfinite().all()
            else nan,
        }
        rows.append(row if defined else dict.fromkeys(row, nan))
    return rows


def layerwise(
    network: Network, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> list[dict[str, float]]:
    """Columns of the table `layers` on the features after each layer, the outputs' last.

    `train` and `test`: images (N, channels, side, side) and labels (N,) int64. The columns of the
    test images begin with `test_`. These vary around their own class means, and the nearest class
    mean is looked for among those of the training images. A class without a sample gives NaN.
    """
    classes = len(network.weights[-1])
    batches = features_of(network, *train)
    centres = means_of(batches, classes)
    of_train = variability(batches, centres, centres)
    batches = features_of(network, *test)
    of_test = variability(batches, means_of(batches, classes), centres)
    return [
        on_train | {f"test_{name}": value for name, value in on_test.items()}
        for on_train, on_test in zip(of_train, of_test, strict=True)
    ]
