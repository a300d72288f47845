"""A prepared split on the device that trains."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from squareloss.data.split import Split, inputs
from squareloss.spec import RunSpec


@dataclass(frozen=True)
class TrainingData:
    """A prepared split as tensors on the device, in the precision of the measurements."""

    train_x: Tensor  # (N, side, side, channels): channels last is what CPUs convolve fastest
    labels: dict[int, Tensor]  # by replicate: (N,) int64 to train on, label noise included
    test_x: Tensor
    test_labels: Tensor
    classes: int


def load_data(spec: RunSpec, split: Split, device: torch.device) -> TrainingData:
    """Put the split on the device."""
    dtype = torch.float64 if spec.recipe.precision == "float64" else torch.float32

    def images(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).permute(0, 2, 3, 1).contiguous().to(device, dtype)

    split.refuse_other(spec.point.n_train, len(spec.replicates))
    train_x, test_x = inputs(split, spec.recipe.images)
    return TrainingData(
        train_x=images(train_x),
        labels={
            r: torch.from_numpy(split.noisy_labels[i]).to(device)
            for i, r in enumerate(spec.replicates)
        },
        test_x=images(test_x),
        test_labels=torch.from_numpy(split.test_labels).to(device),
        classes=split.classes,
    )
