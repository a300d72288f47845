"""The step of `squareloss.train.stacked` as a candidate; needs Triton.

Its tiles are chosen once on a device, by time, and recorded: other tiles add in another order.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial

import torch
import triton
from torch import Tensor
from triton.runtime.errors import OutOfResources

from squareloss.data.split import Split
from squareloss.machine.candidates import Candidate, Choices, State, seconds, wait
from squareloss.spec import RunSpec
from squareloss.train import kernels
from squareloss.train.device import RecordedStep, Settings, own_stream
from squareloss.train.engine import tf32
from squareloss.train.job import prepare
from squareloss.train.kernels import Tile
from squareloss.train.stacked import Stacked

TILES = [
    Tile(64, 64, 32, warps=4, stages=3),
    Tile(128, 64, 32, warps=4, stages=4),
    Tile(128, 128, 32, warps=8, stages=3),
    Tile(32, 64, 64, warps=4, stages=3),
]
Calls = dict[tuple[str, int], Callable[[], object]]


class Batched(Stacked):
    """Dense layers as one batched product of PyTorch's for all replicates.

    Nobody says that such a product adds in the same order for one replicate and for ten.
    """

    def forward(self, k: int, x: Tensor) -> Tensor:
        """See `Stacked`."""
        shape, last = self.shapes[k], k + 1 == len(self.shapes)
        if not shape.folded:
            return super().forward(k, x)
        y = torch.bmm(x.flatten(2), self._matrix(k).mT)
        y = y.to(self.products.sums) if last else self.products.factor(torch.relu_(y))
        return y.view(*x.shape[:2], 1, 1, shape.outputs)

    def input_gradient(self, k: int, x: Tensor, dz: Tensor) -> Tensor:
        """See `Stacked`."""
        if not self.shapes[k].folded:
            return super().input_gradient(k, x, dz)
        dx = torch.bmm(dz.flatten(2), self._matrix(k)).view_as(x)
        return self.products.factor(torch.where(x > 0, dx, 0))

    def weight_gradient(self, k: int, x: Tensor, dz: Tensor) -> None:
        """See `Stacked`."""
        shape = self.shapes[k]
        if not shape.folded or shape.parts(self.batch) > 1:
            super().weight_gradient(k, x, dz)
            return
        found = torch.bmm(dz.flatten(2).mT, x.flatten(2))
        self.gradient_parts(k).view_as(found).copy_(found)

    def _matrix(self, k: int) -> Tensor:
        """A dense layer's weights (R, outputs, inputs)."""
        return self.weight(k).unflatten(1, (self.shapes[k].outputs, -1))


def stacked(
    spec: RunSpec, split: Split, precision: str, choices: Choices, kind: type[Stacked] = Stacked
) -> Candidate:
    """All replicates in kernels of their own. `precision` may be "tf32x3" for one in float32."""
    replicates = list(prepare(spec, split).replicates.values())
    data, point = replicates[0].data, spec.point
    _, side, _, channels = data.train_x.shape
    together = kind(
        [replicate.model for replicate in replicates],
        spec.recipe,
        point.weight_decay,
        point.learning_rate,
        (channels, side),
        point.batch_size,
        precision,
    )
    key = f"tiles {precision}"
    if key not in choices:
        found = fastest(together).items()
        choices[key] = {f"{product} {k}": list(astuple(tile)) for (product, k), tile in found}
    for name, numbers in choices[key].items():
        product, _, k = name.rpartition(" ")
        together.tiles[product, int(k)] = Tile(*numbers)

    images = together.products.factor(data.train_x)
    targets = torch.stack([replicate.targets for replicate in replicates])
    row = torch.arange(len(replicates), device=images.device)[:, None]

    def plainly(batch: Tensor) -> None:
        together.step(images[batch], targets[row, batch])

    take: Callable[[Tensor], None] = plainly
    settings = Settings.of(images.device)
    if settings.recorded:
        changed = [
            together.masters, together.momentum, together.weights, together.radii, together.scales,
            together.rho, together.rho_momentum,
        ]  # fmt: skip
        take = RecordedStep(plainly, lambda: changed, lambda: None, own_stream(settings))

    def step(batch: Tensor) -> None:
        with tf32(precision == "tf32"):  # for a batched product
            take(batch)

    def state() -> State:
        wait()
        rows = zip(together.masters, together.rho, strict=True)
        return [[*together.unstacked(masters), rho] for masters, rho in rows]

    return Candidate(step, state, partial(_parts, together, precision))


def calls(together: Stacked) -> Calls:
    """Every product of a step by name and layer, on numbers that the step could have."""
    found: Calls = {}
    for k, shape in enumerate(together.shapes):
        size = (len(together.rho), together.batch)
        x = together.masters.new_ones(*size, shape.side, shape.side, shape.inputs)
        dz = together.masters.new_ones(*size, shape.out, shape.out, shape.outputs)
        x, dz = together.products.factor(x), together.products.factor(dz)
        found["forward", k] = partial(together.forward, k, x)
        found["weight gradient", k] = partial(together.weight_gradient, k, x, dz)
        if k:
            found["input gradient", k] = partial(together.input_gradient, k, x, dz)
    return found


def fastest(together: Stacked) -> dict[tuple[str, int], Tile]:
    """The tile of TILES that each product is fastest with."""
    products, found = calls(together), {}
    tiles = TILES if together.rho.is_cuda else TILES[:2]  # in the interpreter all are slow
    # All are compiled first, since that takes longer than to measure them and can be shared out.
    with compiling():
        for tile in tiles:
            for key, call in products.items():
                together.tiles[key] = tile
                call()
    for key, call in products.items():
        taken = {}
        for tile in tiles:
            together.tiles[key] = tile
            try:
                taken[tile] = seconds(call)
            except OutOfResources:  # this card has less memory for a program
                continue
        found[key] = min(taken, key=lambda tile: taken[tile])
    return found


@contextmanager
def compiling() -> Iterator[None]:
    """Let kernels be compiled in threads, and not start, within the block."""
    plain = kernels.launch

    def compile_only(kernel, grid, *arguments, **constants):  # type: ignore[no-untyped-def]
        kernel.warmup(*arguments, grid=grid, **constants)

    kernels.launch = compile_only
    try:
        with ThreadPoolExecutor() as threads, triton.AsyncCompileMode(threads):
            yield
    finally:
        kernels.launch = plain


def _parts(together: Stacked, precision: str) -> dict[str, float]:
    """Seconds of each product and of the optimiser. Leaves weights that mean nothing."""
    with tf32(precision == "tf32"):
        found = {f"{product} {k}": seconds(call) for (product, k), call in calls(together).items()}
    return found | {"optimiser": seconds(together.update)}
