"""Reading the weights that training kept: networks as they were at the snapshot epochs."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import safetensors
import torch
from safetensors import safe_open
from torch import Tensor

from squareloss.errors import UserError
from squareloss.model.architecture import BATCH, Layer
from squareloss.model.layers import forward
from squareloss.train.normalize import product_norm


def key(replicate: int, epoch: int, name: str) -> str:
    """What a tensor of a snapshot is called in the file of its block."""
    return f"{replicate}/{epoch}/{name}"


@dataclass(frozen=True)
class Snapshot:
    """A network at one epoch of one replicate; all tensors are float32."""

    weights: list[Tensor]
    rho_top: float
    update_norm: list[float]  # ||V_k - V_k one epoch before||, NaN at epoch 0
    step_norm: list[float]  # mean over its steps of ||V_k - V_k one step before||, NaN at epoch 0
    running: list[tuple[Tensor, Tensor]]  # mean and variance of each hidden layer under bn

    def to(self, device: torch.device) -> "Snapshot":
        """The same network, with its tensors on `device`."""
        weights = [weight.to(device) for weight in self.weights]
        running = [(mean.to(device), var.to(device)) for mean, var in self.running]
        return replace(self, weights=weights, running=running)

    @property
    def scale(self) -> float:
        """prod_k ||W_k||, by which lambda_eff = lambda / scale^2."""
        return product_norm(self.weights, "bn" if self.running else "none")

    @property
    def rho(self) -> float:
        """Product norm, >= 0; the sign of rho_top belongs to V_L."""
        return abs(self.rho_top) * self.scale

    @property
    def classifier(self) -> Tensor:
        """Last layer's weights (C, p) with the sign of rho_top, so that f_W = |rho_top| W_L h."""
        return self.weights[-1] * math.copysign(1, self.rho_top)

    def outputs(self, layers: tuple[Layer, ...], x: Tensor) -> tuple[Tensor, Tensor]:
        """f_V (N, C) and the inputs of the last layer under W_k (N, p), for x (N, ch, s, s)."""
        with torch.no_grad():
            parts = [forward(layers, self.weights, part, self.running) for part in x.split(BATCH)]
        f = torch.cat([f for f, _ in parts]) * self.rho_top
        return f / self.rho, torch.cat([h for _, h in parts])


def snapshot_of(tensors: dict[str, Tensor]) -> Snapshot:
    """The network whose tensors training kept under these names."""

    def numbered(stem: str) -> list[Tensor]:
        keys = [name for name in tensors if re.fullmatch(rf"{stem}\d+", name)]
        return [tensors[name] for name in sorted(keys, key=lambda n: int(n.removeprefix(stem)))]

    return Snapshot(
        weights=numbered("weight"),
        rho_top=tensors["rho_top"].item(),
        update_norm=tensors["update_norm"].tolist(),
        step_norm=tensors["step_norm"].tolist(),
        running=list(zip(numbered("running_mean"), numbered("running_var"), strict=True)),
    )


class Snapshots:
    """The snapshots of a block, read one at a time: all of them would not fit a small machine."""

    def __init__(self, file: safetensors.safe_open) -> None:
        self._file = file
        self._names: dict[tuple[int, int], list[str]] = {}
        for tensor in file.keys():  # noqa: SIM118 (a safetensors file is no mapping)
            replicate, epoch, name = tensor.split("/")
            self._names.setdefault((int(replicate), int(epoch)), []).append(name)

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._names

    def get(self, replicate: int, epoch: int) -> Snapshot:
        """The network of `replicate` at `epoch`. Raises `KeyError` if it has no snapshot there."""
        names = self._names[replicate, epoch]
        return snapshot_of(
            {name: self._file.get_tensor(key(replicate, epoch, name)) for name in names}
        )


@contextmanager
def open_snapshots(path: str) -> Iterator[Snapshots]:
    """Open a snapshots file. Raises `UserError` if it is missing or truncated."""
    try:
        file = safe_open(path, framework="pt")
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"{path}: not a readable snapshots file ({error}); train again") from None
    with file:
        yield Snapshots(file)
