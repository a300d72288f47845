"""The margin that the literature on bounds uses; the paper's own margin is in `evaluate`."""

import torch
from torch import Tensor


def lead(f: Tensor, labels: Tensor) -> Tensor:
    """f_y - max_(c != y) f_c of each sample (N,), for outputs f (N, C) and labels (N,) int64.

    For C = 2 this is twice `evaluate.margins`.
    """
    own = labels.unsqueeze(1)
    others = f.scatter(1, own, -torch.inf)
    return f.gather(1, own).squeeze(1) - others.max(1).values
