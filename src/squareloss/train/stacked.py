# mypy: allow-untyped-defs, allow-untyped-decorators
"""The training step of all replicates at once, in GPU kernels of its own.

Nothing trains with it yet: `squareloss.machine.benchmark_step` measures it beside the step of
`squareloss.train.engine`, which `tests/test_stacked.py` holds it to. `squareloss.train.kernels` has
the products, this the loss, the optimiser and the norms, of all layers and replicates in four
kernels.

What a replicate is made of stands in a row: of `masters`, `momentum` and `weights` (R, P), layer
after layer, each (out, k, k, in); of `radii`, `scales` and `norms` (R, layers); of `rho` (R,). The
names are those of `squareloss.train.normalize`. Masters, momentum and all sums have float32, or
float64.

**Order of sums.** A layer's norm or scalar product is a sum over its chunks of CHUNK weights, and
that of a chunk; each is a tree that Triton fixes when it compiles. R has no say in
it, nor what else runs.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
import triton
import triton.language as tl
from torch import Tensor

from squareloss.spec import Recipe
from squareloss.train import kernels
from squareloss.train.kernels import SUMS, Products, Shape, Tile, rounded, shapes
from squareloss.train.normalize import Model

CHUNK = 4096  # weights that one program takes
# Columns of the table of chunks: where one stands in a row of weights, where its layer ends; its
# layer, that one's first chunk and the first of the next; where its gradient's first part stands in
# a row of parts, how many parts there are and how far they lie apart.
START, END, LAYER, FIRST, NEXT, PART_AT, PARTS, APART = (tl.constexpr(i) for i in range(8))
COLUMNS = tl.constexpr(8)


@triton.jit
def _head(
    f, y, rho, rho_momentum, rate, dz, numbers, PENALTY: tl.constexpr, DECAY: tl.constexpr,
    MOMENTUM: tl.constexpr, TF32: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dz of the last layer, for mean (rho f - y)^2 + PENALTY rho^2, and the step of rho.

    `f`, `y`, `dz`: (R, numbers) with numbers = B C.
    """
    replicate = tl.program_id(0).to(tl.int64)
    top = tl.load(rho + replicate)
    total = tl.zeros((BLOCK,), ACC)
    for start in range(0, numbers, BLOCK):
        n = start + tl.arange(0, BLOCK)
        value = tl.load(f + replicate * numbers + n, n < numbers, 0)
        slope = 2 * (top * value - tl.load(y + replicate * numbers + n, n < numbers, 0)) / numbers
        total += slope * value
        found = rounded(top * slope, TF32).to(dz.dtype.element_ty)
        tl.store(dz + replicate * numbers + n, found, n < numbers)
    gradient = tl.sum(total) + (2 * PENALTY + DECAY) * top
    moved = MOMENTUM * tl.load(rho_momentum + replicate) + gradient
    tl.store(rho_momentum + replicate, moved)
    tl.store(rho + replicate, top - tl.load(rate) * moved)


@triton.jit
def _collect(
    masters, parts, sums, table, P: tl.constexpr, Q: tl.constexpr,
    CHUNKS: tl.constexpr, ACC: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Add the parts of a chunk's gradient g into the first, and leave the chunk's <v, g>."""
    chunk, replicate = tl.program_id(0), tl.program_id(1).to(tl.int64)
    row = table + chunk * COLUMNS
    start, end = tl.load(row + START), tl.load(row + END)
    at, count, apart = tl.load(row + PART_AT), tl.load(row + PARTS), tl.load(row + APART)
    n = tl.arange(0, CHUNK)
    inside = start + n < end
    parts += replicate * Q + at
    gradient = tl.zeros((CHUNK,), ACC)
    for part in range(0, count):
        gradient += tl.load(parts + part * apart + n, inside, 0)
    tl.store(parts + n, gradient, inside)
    v = tl.load(masters + replicate * P + start + n, inside, 0)
    tl.store(sums + replicate * CHUNKS + chunk, tl.sum(v * gradient))


@triton.jit
def _move(
    masters, momentum, parts, sums, squares, radii, scales, rate, table,
    P: tl.constexpr, Q: tl.constexpr, CHUNKS: tl.constexpr, LAYERS: tl.constexpr,
    NORMALIZATION: tl.constexpr, MOMENTUM: tl.constexpr, DECAY: tl.constexpr,
    ACC: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The step of SGD for a chunk, along the sphere under wn and lm, and the chunk's ||v||^2."""
    chunk, replicate = tl.program_id(0), tl.program_id(1).to(tl.int64)
    row = table + chunk * COLUMNS
    start, end, layer = tl.load(row + START), tl.load(row + END), tl.load(row + LAYER)
    n = tl.arange(0, CHUNK)
    inside = start + n < end
    v = tl.load(masters + replicate * P + start + n, inside, 0)
    gradient = tl.load(parts + replicate * Q + tl.load(row + PART_AT) + n, inside, 0)
    if NORMALIZATION != "none":
        along = tl.zeros((BLOCK,), ACC)
        for first in range(tl.load(row + FIRST), tl.load(row + NEXT), BLOCK):
            c = first + tl.arange(0, BLOCK)
            along += tl.load(sums + replicate * CHUNKS + c, c < tl.load(row + NEXT), 0)
        radius = tl.load(radii + replicate * LAYERS + layer)
        gradient -= v * (tl.sum(along) / (radius * radius))
    if NORMALIZATION == "wn":
        gradient *= tl.load(scales + replicate * LAYERS + layer)
    momentum += replicate * P + start
    moved = MOMENTUM * tl.load(momentum + n, inside, 0) + (gradient + DECAY * v)
    v -= tl.load(rate) * moved
    tl.store(momentum + n, moved, inside)
    tl.store(masters + replicate * P + start + n, v, inside)
    tl.store(squares + replicate * CHUNKS + chunk, tl.sum(v * v))  # 0 beyond the layer's end


@triton.jit
def _normalise(
    masters, weights, squares, radii, scales, norms, table,
    P: tl.constexpr, CHUNKS: tl.constexpr, LAYERS: tl.constexpr, NORMALIZATION: tl.constexpr,
    TF32: tl.constexpr, ACC: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A chunk's weights from its masters: scaled under wn; under lm masters and all, put back."""
    chunk, replicate = tl.program_id(0), tl.program_id(1).to(tl.int64)
    row = table + chunk * COLUMNS
    start, end, layer = tl.load(row + START), tl.load(row + END), tl.load(row + LAYER)
    first_chunk, next_layer = tl.load(row + FIRST), tl.load(row + NEXT)
    n = tl.arange(0, CHUNK)
    inside = start + n < end
    v = tl.load(masters + replicate * P + start + n, inside, 0)
    if NORMALIZATION != "none":
        total = tl.zeros((BLOCK,), ACC)
        for first in range(first_chunk, next_layer, BLOCK):
            c = first + tl.arange(0, BLOCK)
            total += tl.load(squares + replicate * CHUNKS + c, c < next_layer, 0)
        radius = tl.sqrt(tl.sum(total))
        scale = tl.load(norms + replicate * LAYERS + layer) / radius
        v *= scale
        if NORMALIZATION == "lm":
            tl.store(masters + replicate * P + start + n, v, inside)
        elif chunk == first_chunk:
            tl.store(radii + replicate * LAYERS + layer, radius)
            tl.store(scales + replicate * LAYERS + layer, scale)
    value = rounded(v, TF32).to(weights.dtype.element_ty)
    tl.store(weights + replicate * P + start + n, value, inside)


class Stacked:
    """The replicates of a run, and their step.

    `models` are copied. `image`: channels and side. A batch has `batch` samples. `precision`: that
    of the recipe unless given; "tf32x3", too. `tiles`: by product and number of the layer. Raises
    `ValueError` for what has no kernels: batch norm, max-pooling, cross-entropy.
    """

    def __init__(
        self,
        models: Sequence[Model],
        recipe: Recipe,
        weight_decay: float,
        rate: float,
        image: tuple[int, int],
        batch: int,
        precision: str = "",
        tiles: Mapping[tuple[str, int], Tile] | None = None,
    ) -> None:
        if recipe.normalization == "bn" or recipe.loss != "square":
            raise ValueError(f"{recipe.normalization} with {recipe.loss} loss has no kernels")
        self.shapes, self.batch = shapes(models[0].layers, *image), batch
        self.tiles = dict(tiles or {})
        self.products = Products.of(precision or recipe.precision)
        self.masters = self._rows([model.masters for model in models])
        self.weights = self.products.factor(self._rows([model.full_weights() for model in models]))
        self.momentum = torch.zeros_like(self.masters)
        self.norms = torch.stack([model.norms for model in models])
        self.radii = torch.stack([model.radii for model in models])
        self.scales = torch.stack([model.scales for model in models])
        self.rho = torch.stack([model.rho_top.detach() for model in models])
        self.rho_momentum = torch.zeros_like(self.rho)
        self.rate = self.rho.new_tensor(rate)
        on_rho = recipe.weight_decay_on == "rho"
        self.constants = {
            "MOMENTUM": recipe.momentum,
            "DECAY": 0.0 if on_rho else 2 * weight_decay,
        }
        self.penalty = weight_decay if on_rho else 0.0
        self.normalization = recipe.normalization

        sizes = [shape.weights for shape in self.shapes]
        parts = [shape.parts(batch) for shape in self.shapes]
        self.at = [0, *accumulate(sizes)]
        self.parts_at = [0, *accumulate(n * size for n, size in zip(parts, sizes, strict=True))]
        table = chunk_table(self.at, self.parts_at, parts)
        self.table = torch.tensor(table, device=self.rho.device)
        self.parts = self.masters.new_empty(len(models), self.parts_at[-1])
        self.sums = self.masters.new_empty(len(models), len(table))
        self.squares = torch.empty_like(self.sums)

    def _rows(self, weights: Sequence[Sequence[Tensor]]) -> Tensor:
        """Every replicate's weights in one row, (R, P)."""
        rows = []
        for of_model in weights:
            pairs = zip(of_model, self.shapes, strict=True)
            rows.append(torch.cat([_folded(w, s).permute(0, 2, 3, 1).flatten() for w, s in pairs]))
        return torch.stack(rows)

    def unstacked(self, row: Tensor) -> list[Tensor]:
        """A row of `masters`, `momentum` or `weights` as the layers' weights that models have."""
        found = []
        for k, shape in enumerate(self.shapes):
            side = max(shape.kernel, shape.folded)
            w = row[self.at[k] : self.at[k + 1]].view(shape.outputs, side, side, -1)
            w = w.permute(0, 3, 1, 2)
            found.append(w.flatten(1) if shape.folded else w)
        return found

    def weight(self, k: int) -> Tensor:
        """W of layer `k` in the precision of factors, (R, weights), whose rows lie apart."""
        return self.weights[:, self.at[k] : self.at[k + 1]]

    def gradient_parts(self, k: int) -> Tensor:
        """Where the parts of the gradient by layer `k` go, (R, parts * weights)."""
        return self.parts[:, self.parts_at[k] : self.parts_at[k + 1]]

    def forward(self, k: int, x: Tensor) -> Tensor:
        """Layer `k` of `x` (R, B, side, side, inputs)."""
        shape, last = self.shapes[k], k + 1 == len(self.shapes)
        dtype = self.products.sums if last else self.products.factors
        y = x.new_empty(*x.shape[:2], shape.out, shape.out, shape.outputs, dtype=dtype)
        tile = self.tiles.get(("forward", k), Tile())
        kernels.forward(x, self.weight(k), y, shape, self.products, tile, relu=not last)
        return y

    def input_gradient(self, k: int, x: Tensor, dz: Tensor) -> Tensor:
        """dz of layer `k - 1`, whose output is `x`."""
        dx, tile = torch.empty_like(x), self.tiles.get(("input gradient", k), Tile())
        kernels.input_gradient(dz, self.weight(k), x, dx, self.shapes[k], self.products, tile)
        return dx

    def weight_gradient(self, k: int, x: Tensor, dz: Tensor) -> None:
        """Leave the parts of the gradient by layer `k`."""
        tile = self.tiles.get(("weight gradient", k), Tile())
        kernels.weight_gradient(x, dz, self.gradient_parts(k), self.shapes[k], self.products, tile)

    def step(self, x: Tensor, y: Tensor) -> None:
        """One step of SGD on images (R, B, side, side, channels) and targets (R, B, C)."""
        inputs = []
        for k, shape in enumerate(self.shapes):
            inputs.append(x.view(*x.shape[:2], shape.side, shape.side, shape.inputs))
            x = self.forward(k, inputs[k])
        dz = self.head(x, y)
        for k in reversed(range(len(self.shapes))):
            self.weight_gradient(k, inputs[k], dz)
            if k:
                dz = self.input_gradient(k, inputs[k], dz)
        self.update()

    def head(self, f: Tensor, y: Tensor) -> Tensor:
        """The gradient by `f` of the loss and the penalty, in factors; takes the step of rho."""
        dz, numbers = torch.empty_like(f, dtype=self.products.factors), f[0].numel()
        kernels.launch(
            _head, (len(f),), f, y, self.rho, self.rho_momentum, self.rate, dz, numbers,
            PENALTY=self.penalty, TF32=self.products.tf32, BLOCK=1024, **self.constants,
            ACC=SUMS[self.products.sums],
        )  # fmt: skip
        return dz

    def update(self) -> None:
        """The optimiser's step from the gradients' parts, and the weights for the next step."""
        replicates, (chunks, _) = len(self.rho), self.table.shape
        grid = (chunks, replicates)
        rows = {"P": self.at[-1], "CHUNKS": chunks, "ACC": SUMS[self.products.sums], "CHUNK": CHUNK}
        layers = {"LAYERS": len(self.shapes), "NORMALIZATION": self.normalization, "BLOCK": 1024}
        parts = {"Q": self.parts_at[-1]}
        kernels.launch(
            _collect, grid, self.masters, self.parts, self.sums, self.table, **rows, **parts
        )
        kernels.launch(
            _move, grid, self.masters, self.momentum, self.parts, self.sums, self.squares,
            self.radii, self.scales, self.rate, self.table,
            **rows, **parts, **layers, **self.constants,
        )  # fmt: skip
        kernels.launch(
            _normalise, grid, self.masters, self.weights, self.squares, self.radii, self.scales,
            self.norms, self.table, TF32=self.products.tf32, **rows, **layers,
        )  # fmt: skip


def chunk_table(
    at: Sequence[int], parts_at: Sequence[int], parts: Sequence[int]
) -> list[list[int]]:
    """A row for each chunk of CHUNK weights of a layer, see START above.

    `at` and `parts_at`: where layers begin in a row of weights and of parts, and where the last
    ends. `parts`: how many of each layer.
    """
    table: list[list[int]] = []
    for layer, (begin, end) in enumerate(pairwise(at)):
        first = len(table)
        following = first + -(-(end - begin) // CHUNK)
        for start in range(begin, end, CHUNK):
            part = parts_at[layer] + start - begin
            table.append([start, end, layer, first, following, part, parts[layer], end - begin])
    return table


def _folded(weight: Tensor, shape: Shape) -> Tensor:
    """A layer's weight as (out, channels, k, k): that of a dense layer by the image it takes."""
    side = max(shape.kernel, shape.folded)
    return weight.reshape(shape.outputs, -1, side, side)
