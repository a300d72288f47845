"""What training keeps of its networks, and reading it: snapshots at the epochs of the recipe."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import safetensors
import torch
from safetensors import safe_open
from torch import Tensor

from squareloss.errors import UserError
from squareloss.model.architecture import Layer, weight_shapes
from squareloss.model.network import Network


def key(replicate: int, epoch: int, name: str) -> str:
    """What a tensor of a snapshot is called in the file of its block."""
    return f"{replicate}/{epoch}/{name}"


@dataclass(frozen=True)
class Snapshot:
    """A network at one epoch of one replicate, in float32, and how it came there."""

    network: Network
    update_norm: list[float]  # ||V_k - V_k one epoch before||, NaN at epoch 0
    step_norm: list[float]  # mean over its steps of ||V_k - V_k one step before||, NaN at epoch 0

    @classmethod
    def missing(cls, layers: tuple[Layer, ...], channels: int, side: int) -> "Snapshot":
        """A network whose weights are all NaN: for an epoch that a diverged replicate lacks.

        Every measure of it is NaN by the same code.
        """
        shapes = weight_shapes(layers, channels, side)
        weights = [torch.full(shape, math.nan) for shape in shapes]
        undefined = [math.nan] * len(weights)
        return cls(Network(layers, weights, math.nan), undefined, undefined)

    def refuse_other(self, path: str, channels: int, side: int) -> None:
        """Raise `UserError` unless its weights are those of its layers on such images."""
        shapes = [tuple(weight.shape) for weight in self.network.weights]
        if shapes != [tuple(s) for s in weight_shapes(self.network.layers, channels, side)]:
            raise UserError(f"{path}: networks of another shape than the run's; train again")


def tensors_of(network: Network, update_norm: Tensor, step_norm: Tensor) -> dict[str, Tensor]:
    """What training keeps of a network, by name: copies on the CPU, float32.

    `update_norm` and `step_norm` (L,) as in `Snapshot`.
    """
    kept = {f"weight{k}": w for k, w in enumerate(network.weights, start=1)}
    for k, (mean, var) in enumerate(network.running, start=1):
        kept |= {f"running_mean{k}": mean, f"running_var{k}": var}
    kept["rho_top"] = torch.tensor([network.rho_top], dtype=torch.float64)
    kept |= {"update_norm": update_norm, "step_norm": step_norm}
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
        for name, tensor in kept.items()
    }


def snapshot_of(layers: tuple[Layer, ...], tensors: dict[str, Tensor]) -> Snapshot:
    """The network that `tensors_of` made these of."""

    def numbered(stem: str) -> list[Tensor]:
        keys = [name for name in tensors if re.fullmatch(rf"{stem}\d+", name)]
        return [tensors[name] for name in sorted(keys, key=lambda n: int(n.removeprefix(stem)))]

    running = list(zip(numbered("running_mean"), numbered("running_var"), strict=True))
    return Snapshot(
        Network(layers, numbered("weight"), tensors["rho_top"].item(), running),
        update_norm=tensors["update_norm"].tolist(),
        step_norm=tensors["step_norm"].tolist(),
    )


class Snapshots:
    """The snapshots of a block, read one at a time: all of them would not fit a small machine."""

    def __init__(self, file: safetensors.safe_open, layers: tuple[Layer, ...]) -> None:
        self._file, self._layers = file, layers
        self._names: dict[tuple[int, int], list[str]] = {}
        for tensor in file.keys():  # noqa: SIM118 (a safetensors file is no mapping)
            replicate, epoch, name = tensor.split("/")
            self._names.setdefault((int(replicate), int(epoch)), []).append(name)

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._names

    def get(self, replicate: int, epoch: int) -> Snapshot:
        """The network of `replicate` at `epoch`. Raises `KeyError` if it has no snapshot there."""
        names = self._names[replicate, epoch]
        tensors = {name: self._file.get_tensor(key(replicate, epoch, name)) for name in names}
        return snapshot_of(self._layers, tensors)


@contextmanager
def open_snapshots(path: str, layers: tuple[Layer, ...]) -> Iterator[Snapshots]:
    """Open a snapshots file of networks with these layers.

    Raises `UserError` if it is missing or truncated.
    """
    try:
        file = safe_open(path, framework="pt")
        snapshots = Snapshots(file, layers)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f"{path}: not a readable snapshots file ({error}); train again") from None
    with file:
        yield snapshots
