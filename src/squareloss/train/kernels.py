# mypy: allow-untyped-defs, allow-untyped-decorators
"""Convolutions and dense layers of all replicates at once, as GPU kernels of their own (Triton).

`squareloss.train.stacked` makes a training step of them. Importing either needs Triton, which comes
with PyTorch for CUDA. TRITON_INTERPRET=1 in the environment runs the kernels on a CPU, slowly; it
must be there before the import.

Every tensor has the replicates as its first axis, R, and is contiguous:

    images, activations and their gradients   (R, B, side, side, channels)
    weights of a layer                        (R, out, k, k, in)

A dense layer is a convolution of 1 x 1 images, so three kernels serve every layer. Each is a
product of matrices, and gathers one factor from the images as it goes. Factors have the precision
of the products: float64, float32 or bfloat16; for tf32 they are float32 rounded to 10 bits. Sums,
outputs of the last layer and gradients of weights have float32, or float64.

**Order of sums.** A tile adds `depth` terms at a time, in the order of (ki, kj, channel), or of
(sample, i, j) in a gradient of weights. That last sum is cut into parts of PART terms each, which
the optimiser adds in order. R decides how many programs run, and nothing in one: a replicate's
numbers are the same bits alone and in company. They do depend on the tiles and on Triton's version.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from squareloss.model.architecture import Conv, Layer

PART = 2048  # terms in one part of a sum over samples and positions


@dataclass(frozen=True)
class Shape:
    """A layer as a convolution without padding of square images."""

    inputs: int  # channels
    side: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    folded: int = 0  # of a dense layer: side of the image that its channels are, (i, j, channel)

    @property
    def out(self) -> int:
        """Side of the output image."""
        return (self.side - self.kernel) // self.stride + 1

    @property
    def depth(self) -> int:
        """Numbers in a patch, which is terms in an output's sum."""
        return self.kernel * self.kernel * self.inputs

    @property
    def weights(self) -> int:
        """Numbers in a replicate's weight."""
        return self.outputs * self.depth

    def parts(self, batch: int) -> int:
        """Into how many parts the sum over samples and positions is cut."""
        return triton.cdiv(batch * self.out**2, PART)

    def constants(self) -> dict[str, int]:
        """What the kernels are compiled for."""
        return {
            "INPUTS": self.inputs,
            "SIDE": self.side,
            "OUTPUTS": self.outputs,
            "OUT": self.out,
            "KERNEL": self.kernel,
            "STRIDE": self.stride,
        }


@dataclass(frozen=True)
class Tile:
    """What one program of a product computes, and how. Rows, columns and depth: powers of 2."""

    rows: int = 64
    columns: int = 64
    depth: int = 32  # terms that are added at once, 16 at least
    warps: int = 4
    stages: int = 3

    def constants(self, rows: int, columns: int, depth: int) -> dict[str, int]:
        """For a product of this size, without rows, columns or terms beyond it but for 16."""
        return {
            "ROWS": min(self.rows, _power(rows)),
            "COLUMNS": min(self.columns, _power(columns)),
            "DEPTH": min(self.depth, _power(depth)),
            "num_warps": self.warps,
            "num_stages": self.stages,
        }


def _power(n: int) -> int:
    return max(16, triton.next_power_of_2(n))


def shapes(layers: Sequence[Layer], channels: int, side: int) -> list[Shape]:
    """The layers as convolutions. Raises `ValueError` for max-pooling, which has no kernel here."""
    found: list[Shape] = []
    for layer in layers:
        if isinstance(layer, Conv):
            if layer.pool > 1:
                raise ValueError("max-pooling has no kernel")
            found.append(Shape(channels, side, layer.channels, layer.kernel, layer.stride))
        else:
            found.append(Shape(channels * side * side, 1, layer.units, folded=side))
        channels, side = found[-1].outputs, found[-1].out
    return found


def launch(kernel, grid: tuple[int, ...], *arguments: object, **constants: object) -> None:
    """Start a kernel on the current stream. The one place, so that all can be compiled first."""
    kernel[grid](*arguments, **constants)


@dataclass(frozen=True)
class Products:
    """The precision of the products, as the kernels want it."""

    factors: torch.dtype  # of weights, activations and their gradients
    sums: torch.dtype
    dot: str = "ieee"  # of float32: or "tf32", or "tf32x3", three products in tf32 for one
    tf32: bool = False  # round factors

    @classmethod
    def of(cls, precision: str) -> "Products":
        """By the name that a recipe gives it; "tf32x3", too."""
        if precision == "float64":
            return cls(torch.float64, torch.float64)
        if precision == "bfloat16":
            return cls(torch.bfloat16, torch.float32)
        dot = "ieee" if precision == "float32" else precision
        return cls(torch.float32, torch.float32, dot, precision == "tf32")

    def constants(self) -> dict[str, object]:
        """What the kernels of products are compiled for."""
        return {"ACC": SUMS[self.sums], "DOT": self.dot}

    def factor(self, x: Tensor) -> Tensor:
        """`x` in the precision of a factor, as the kernels round it."""
        x = x.to(self.factors)
        if self.tf32:
            x = ((x.view(torch.int32) + 0x1000) & -0x2000).view(torch.float32)
        return x


SUMS = {torch.float32: tl.float32, torch.float64: tl.float64}


@triton.jit
def rounded(value, TF32: tl.constexpr):
    """To tf32's 10 bits, a half away from zero: tensor cores would cut the bits off instead."""
    if TF32:
        bits = value.to(tl.int32, bitcast=True)
        value = ((bits + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return value


@triton.jit
def _forward(
    x, w, y, batch, W_STRIDE: tl.constexpr,
    INPUTS: tl.constexpr, SIDE: tl.constexpr, OUTPUTS: tl.constexpr, OUT: tl.constexpr,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr, TF32: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """y = relu(x * w): rows are (sample, i, j) of the output, columns its channels."""
    TERMS: tl.constexpr = KERNEL * KERNEL * INPUTS
    replicate = tl.program_id(2).to(tl.int64)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row_in, column_in = row < batch * OUT * OUT, column < OUTPUTS
    i, j = row // OUT % OUT, row % OUT
    corner = ((row // (OUT * OUT) * SIDE + i * STRIDE) * SIDE + j * STRIDE) * INPUTS
    x += replicate * batch * (SIDE * SIDE * INPUTS)
    w += replicate * W_STRIDE
    total = tl.zeros((ROWS, COLUMNS), ACC)
    for start in range(0, TERMS, DEPTH):
        k = start + tl.arange(0, DEPTH)
        tap, k_in = k // INPUTS, k < TERMS
        reach = (tap // KERNEL * SIDE + tap % KERNEL) * INPUTS + k % INPUTS
        a = tl.load(x + corner[:, None] + reach, row_in[:, None] & k_in, 0)
        b = tl.load(w + column * TERMS + k[:, None], k_in[:, None] & column_in, 0)
        total = tl.dot(a, b, total, input_precision=DOT, out_dtype=ACC)
    if RELU:
        total = rounded(tl.where(total < 0, 0.0, total), TF32)  # NaN stays
    y += replicate * batch * (OUT * OUT * OUTPUTS)
    value = total.to(y.dtype.element_ty)
    tl.store(y + row[:, None] * OUTPUTS + column, value, row_in[:, None] & column_in)


@triton.jit
def _input_gradient(
    dz, w, x, dx, batch, W_STRIDE: tl.constexpr,
    INPUTS: tl.constexpr, SIDE: tl.constexpr, OUTPUTS: tl.constexpr, OUT: tl.constexpr,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr, TF32: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """dx = (dz * w, transposed) where x > 0, so that dx is the dz of the layer before.

    A pixel (i, j) meets every STRIDE-th row and column of the kernel only, those of its phase
    (i % STRIDE, j % STRIDE). A program takes pixels of one phase, and no product with zero.
    """
    PER: tl.constexpr = (SIDE + STRIDE - 1) // STRIDE  # pixels of a phase along a side, or one less
    replicate = tl.program_id(2).to(tl.int64)
    tiles = (INPUTS + COLUMNS - 1) // COLUMNS
    phase = tl.program_id(1) // tiles
    phase_i, phase_j = phase // STRIDE, phase % STRIDE
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) % tiles * COLUMNS + tl.arange(0, COLUMNS)
    sample, u, v = row // (PER * PER), row // PER % PER, row % PER
    i, j = u * STRIDE + phase_i, v * STRIDE + phase_j
    row_in, column_in = (sample < batch) & (i < SIDE) & (j < SIDE), column < INPUTS
    dz += replicate * batch * (OUT * OUT * OUTPUTS)
    w += replicate * W_STRIDE
    down = (KERNEL - phase_i + STRIDE - 1) // STRIDE  # rows of the kernel that are of this phase
    across = (KERNEL - phase_j + STRIDE - 1) // STRIDE
    terms = down * across * OUTPUTS
    total = tl.zeros((ROWS, COLUMNS), ACC)
    for start in range(0, terms, DEPTH):
        k = start + tl.arange(0, DEPTH)
        tap, k_in = k // OUTPUTS, k < terms
        above, left = tap // across, tap % across
        p, q = u[:, None] - above, v[:, None] - left  # the output's row and column
        meets = (p >= 0) & (p < OUT) & (q >= 0) & (q < OUT) & k_in
        at = ((sample[:, None] * OUT + p) * OUT + q) * OUTPUTS + k % OUTPUTS
        a = tl.load(dz + at, row_in[:, None] & meets, 0)
        ki, kj = above * STRIDE + phase_i, left * STRIDE + phase_j
        at = ((k % OUTPUTS * KERNEL + ki) * KERNEL + kj) * INPUTS
        b = tl.load(w + at[:, None] + column, k_in[:, None] & column_in, 0)
        total = tl.dot(a, b, total, input_precision=DOT, out_dtype=ACC)
    at = ((sample * SIDE + i) * SIDE + j)[:, None] * INPUTS + column
    at += replicate * batch * (SIDE * SIDE * INPUTS)
    inside = row_in[:, None] & column_in
    total = rounded(tl.where(tl.load(x + at, inside, 0) > 0, total, 0.0), TF32)
    tl.store(dx + at, total.to(dx.dtype.element_ty), inside)


@triton.jit
def _weight_gradient(
    x, dz, parts, batch, PARTS_STRIDE: tl.constexpr, PART: tl.constexpr,
    INPUTS: tl.constexpr, SIDE: tl.constexpr, OUTPUTS: tl.constexpr, OUT: tl.constexpr,
    KERNEL: tl.constexpr, STRIDE: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """One part of dw: rows are output channels, columns (ki, kj, channel), terms (sample, i, j)."""
    TERMS: tl.constexpr = KERNEL * KERNEL * INPUTS
    tiles = (TERMS + COLUMNS - 1) // COLUMNS
    replicate, part = tl.program_id(2).to(tl.int64), tl.program_id(1)
    row = tl.program_id(0) // tiles * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(0) % tiles * COLUMNS + tl.arange(0, COLUMNS)
    row_in, column_in = row < OUTPUTS, column < TERMS
    tap = column // INPUTS
    reach = (tap // KERNEL * SIDE + tap % KERNEL) * INPUTS + column % INPUTS
    x += replicate * batch * (SIDE * SIDE * INPUTS)
    dz += replicate * batch * (OUT * OUT * OUTPUTS)
    total = tl.zeros((ROWS, COLUMNS), ACC)
    for start in range(part * PART, tl.minimum((part + 1) * PART, batch * OUT * OUT), DEPTH):
        k = start + tl.arange(0, DEPTH)
        k_in = k < batch * OUT * OUT
        i, j = k // OUT % OUT, k % OUT
        corner = ((k // (OUT * OUT) * SIDE + i * STRIDE) * SIDE + j * STRIDE) * INPUTS
        a = tl.load(dz + k * OUTPUTS + row[:, None], row_in[:, None] & k_in, 0)
        b = tl.load(x + corner[:, None] + reach, k_in[:, None] & column_in, 0)
        total = tl.dot(a, b, total, input_precision=DOT, out_dtype=ACC)
    parts += replicate * PARTS_STRIDE + part * (OUTPUTS * TERMS)
    tl.store(parts + row[:, None] * TERMS + column, total, row_in[:, None] & column_in)


def forward(
    x: Tensor, w: Tensor, y: Tensor, shape: Shape, products: Products, tile: Tile, relu: bool
) -> None:
    """Write relu(x * w), or x * w, into `y` (R, B, out, out, outputs).

    `x`: (R, B, side, side, inputs) contiguous. `w`: (R, weights), whose rows may lie
    apart. `y` may have the precision of factors or of sums.
    """
    replicates, batch = x.shape[:2]
    tiled = tile.constants(rows := batch * shape.out**2, shape.outputs, shape.depth)
    grid = (
        triton.cdiv(rows, tiled["ROWS"]),
        triton.cdiv(shape.outputs, tiled["COLUMNS"]),
        replicates,
    )
    constants = shape.constants() | products.constants() | tiled
    launch(
        _forward,
        grid,
        x,
        w,
        y,
        batch,
        W_STRIDE=w.stride(0),
        RELU=relu,
        TF32=products.tf32,
        **constants,
    )


def input_gradient(
    dz: Tensor, w: Tensor, x: Tensor, dx: Tensor, shape: Shape, products: Products, tile: Tile
) -> None:
    """Write the gradient by `x`, where that is above 0, into `dx`, from that by z = x * w."""
    replicates, batch = x.shape[:2]
    rows = batch * triton.cdiv(shape.side, shape.stride) ** 2
    tiled = tile.constants(rows, shape.inputs, shape.outputs)
    columns = triton.cdiv(shape.inputs, tiled["COLUMNS"])
    grid = (triton.cdiv(rows, tiled["ROWS"]), shape.stride**2 * columns, replicates)
    constants = shape.constants() | products.constants() | tiled
    launch(
        _input_gradient,
        grid,
        dz,
        w,
        x,
        dx,
        batch,
        W_STRIDE=w.stride(0),
        TF32=products.tf32,
        **constants,
    )


def weight_gradient(
    x: Tensor, dz: Tensor, parts: Tensor, shape: Shape, products: Products, tile: Tile
) -> None:
    """Write the parts of the gradient by w, which are to be added, into `parts`.

    `parts`: (R, shape.parts(B) * shape.weights), precision of sums, rows may lie apart.
    """
    replicates, batch = x.shape[:2]
    tiled = tile.constants(shape.outputs, shape.depth, PART)
    tiles = triton.cdiv(shape.outputs, tiled["ROWS"]) * triton.cdiv(shape.depth, tiled["COLUMNS"])
    constants = shape.constants() | products.constants() | tiled
    launch(
        _weight_gradient, (tiles, shape.parts(batch), replicates), x, dz, parts, batch,
        PARTS_STRIDE=parts.stride(0), PART=PART, **constants,
    )  # fmt: skip
