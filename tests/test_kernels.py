"""The products of all replicates at once are PyTorch's convolutions, and compile for a card.

Without a GPU they run in Triton's interpreter (`conftest`), whose products are NumPy's: that checks
indices, masks and formulas, in float64 and float32. The interpreter has no tf32 and no bfloat16,
and shows nothing of what a compiler makes of the kernels; one test compiles them for a card.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, on Linux")

from squareloss.model.architecture import Conv, Linear, build, weight_shapes
from squareloss.train import kernels
from squareloss.train.kernels import Products, Shape, Tile, shapes

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
SMALL = Tile(rows=32, columns=16, depth=16)  # so that edges of tiles are met everywhere
FLOAT64 = Products.of("float64")

PRODUCTS = {
    "cnn6's first": Shape(inputs=3, side=6, outputs=17, kernel=3),
    "cnn6's second": Shape(inputs=6, side=8, outputs=5, kernel=3, stride=2),
    "cnn6's second, a pixel met by nothing": Shape(inputs=4, side=6, outputs=5, kernel=3, stride=2),
    "cnn3's": Shape(inputs=2, side=9, outputs=7, kernel=3, stride=3),
    "a stride beyond the kernel": Shape(inputs=3, side=8, outputs=4, kernel=2, stride=3),
    "an even kernel": Shape(inputs=1, side=7, outputs=3, kernel=4, stride=2),
    "a dense layer": Shape(inputs=37, side=1, outputs=19),
    "the last layer": Shape(inputs=33, side=1, outputs=2),
}


def drawn(*sizes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(sizes))
    return torch.randn(*sizes, generator=generator, dtype=dtype).to(DEVICE)


def one_layer(shape, replicates, batch, tile, products=FLOAT64):
    """What the three kernels give for random tensors, and what PyTorch does."""
    dtype = products.factors
    x = drawn(replicates, batch, shape.side, shape.side, shape.inputs, dtype=dtype).relu()
    w = drawn(replicates, shape.weights, dtype=dtype)
    y = drawn(replicates, batch, shape.out, shape.out, shape.outputs, dtype=dtype)
    dz = drawn(*y.shape, dtype=dtype) + 1
    dx, z = torch.full_like(x, torch.nan), torch.full_like(y, torch.nan)
    parts = torch.full((replicates, shape.parts(batch) * shape.weights), torch.nan, device=DEVICE)
    parts = parts.to(products.sums)
    kernels.forward(x, w, y, shape, products, tile, relu=True)
    kernels.forward(x, w, z, shape, products, tile, relu=False)
    kernels.input_gradient(dz, w, x, dx, shape, products, tile)
    kernels.weight_gradient(x, dz, parts, shape, products, tile)
    found = [y, z, dx, parts.view(replicates, -1, shape.weights).sum(1)]

    weight = w.view(replicates, shape.outputs, shape.kernel, shape.kernel, -1)
    weight = weight.permute(0, 1, 4, 2, 3).detach().requires_grad_()
    image = x.permute(0, 1, 4, 2, 3).detach().requires_grad_()
    pairs = zip(image, weight, strict=True)
    expected = torch.stack([F.conv2d(i, k, stride=shape.stride) for i, k in pairs])
    by_image, by_weight = torch.autograd.grad(expected, (image, weight), dz.permute(0, 1, 4, 2, 3))
    z = expected.detach().permute(0, 1, 3, 4, 2)
    by_image = by_image.permute(0, 1, 3, 4, 2) * (x > 0)
    return found, [z.relu(), z, by_image, by_weight.permute(0, 1, 3, 4, 2).flatten(1)]


@pytest.mark.parametrize("replicates", [1, 3])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_their_gradients_are_pytorchs(name, replicates):
    found, expected = one_layer(PRODUCTS[name], replicates, 3, SMALL)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_products_in_float32_differ_by_rounding_alone():
    shape = PRODUCTS["cnn6's second"]
    found, expected = one_layer(shape, 2, 3, SMALL, Products.of("float32"))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", [16, 64])
def test_a_long_sum_of_a_gradient_is_cut_into_parts(monkeypatch, part):
    monkeypatch.setattr(kernels, "PART", part)
    shape = PRODUCTS["cnn3's"]
    assert shape.parts(9) == {16: 6, 64: 2}[part]  # of 81 terms
    found, expected = one_layer(shape, 2, 9, SMALL)
    torch.testing.assert_close(found[-1], expected[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.xfail(
    not ON_GPU, strict=True, reason="the interpreter multiplies bfloat16's bits as if integers"
)
def test_products_in_bfloat16():
    found, expected = one_layer(PRODUCTS["a dense layer"], 1, 3, SMALL, Products.of("bfloat16"))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.float(), b.float(), rtol=0.02, atol=0.05)


@pytest.mark.skipif(not ON_GPU, reason="the interpreter takes tf32 as float32")
@pytest.mark.parametrize(("precision", "error"), [("tf32", 2e-3), ("tf32x3", 1e-5)])
def test_products_on_tensor_cores(precision, error):
    found, expected = one_layer(PRODUCTS["cnn6's first"], 2, 3, SMALL, Products.of(precision))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=error, atol=10 * error)


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")
def test_what_is_not_a_number_stays_so():
    """A run that diverged must be seen to have."""
    shape, products = Shape(inputs=2, side=1, outputs=3), Products.of("tf32")
    x = torch.tensor([[torch.nan, 1.0], [torch.inf, 1.0]], device=DEVICE).view(1, 2, 1, 1, 2)
    y = torch.empty(1, 2, 1, 1, 3, device=DEVICE)
    w = torch.ones(1, 6, device=DEVICE)
    kernels.forward(x, w, y, shape, products, SMALL, relu=True)
    assert y[0, 0].isnan().all()
    assert (y[0, 1] == torch.inf).all()


def test_tf32_has_the_nearest_number_of_ten_bits():
    x = drawn(1000, dtype=torch.float32) * torch.logspace(-20, 20, 1000, device=DEVICE)
    x[:2] = torch.tensor([1 + 2**-11, -1 - 3 * 2**-11])  # halves, which go away from zero
    found = Products.of("tf32").factor(x).double().cpu().numpy()
    numbers = x.double().cpu().numpy()
    unit = 2.0 ** (np.floor(np.log2(np.abs(numbers))) - 10)
    nearest = np.sign(numbers) * np.floor(np.abs(numbers) / unit + 0.5) * unit
    np.testing.assert_array_equal(found, nearest)


def test_kernels_round_to_tf32_as_the_weights_are_rounded():
    products = Products.of("tf32")
    x = (1 + torch.arange(64, device=DEVICE) * 2.0**-13).view(1, 64, 1, 1, 1)  # halves, too
    y = torch.empty_like(x)
    one = torch.ones(1, 1, device=DEVICE)
    kernels.forward(x, one, y, Shape(1, 1, 1), Products.of("float32"), SMALL, relu=True)
    assert y.equal(x)
    exact = replace(products, dot="ieee")  # of what is rounded, the store alone
    kernels.forward(x, one, y, Shape(1, 1, 1), exact, SMALL, relu=True)
    assert y.equal(products.factor(x))


def test_activations_in_tf32_are_rounded_where_they_are_stored():
    shape, products = PRODUCTS["a dense layer"], Products.of("tf32")
    (y, z, dx, _), _ = one_layer(shape, 1, 3, SMALL, products)
    for stored in (y, dx):
        torch.testing.assert_close(products.factor(stored), stored, rtol=0, atol=0)
    torch.testing.assert_close(products.factor(z.relu()), y, rtol=0, atol=0)
    assert not products.factor(z).equal(z)  # outputs of the last layer are not factors


def test_layers_are_convolutions():
    found = shapes((Conv(8, 3, stride=2), Conv(4, 2), Linear(5), Linear(2)), 3, 9)
    assert found == [
        Shape(3, 9, 8, 3, 2),
        Shape(8, 4, 4, 2),
        Shape(36, 1, 5, folded=3),
        Shape(5, 1, 2, folded=1),
    ]
    layers = build("cnn6", 2, 1.0, "stride")
    sizes = [int(np.prod(shape)) for shape in weight_shapes(layers, 3, 32)]
    assert [shape.weights for shape in shapes(layers, 3, 32)] == sizes


COMPILE = """
import sys, torch, triton
from triton.backends.compiler import GPUTarget
from squareloss.train import kernels, stacked
from squareloss.model.architecture import Conv, Linear, weight_shapes
from squareloss.train.normalize import Model
from squareloss.spec import Recipe

class Card:  # one that is not there
    get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)

def launch(kernel, grid, *arguments, **constants):
    made = kernel.warmup(*arguments, grid=grid, **constants)
    ptx = made.asm["ptx"]
    tensor_cores = "wgmma" in ptx or "mma.sync" in ptx
    assert len(made.asm["cubin"]) > 0
    print(kernel.__name__, precision, made.metadata.shared, tensor_cores, "fma.rn.f32" in ptx)

triton.runtime.driver.set_active(Card())
kernels.launch = launch
layers = (Conv(32, 3, stride=2), Linear(2))
weights = [torch.randn(shape) for shape in weight_shapes(layers, 16, 9)]
recipe = Recipe(dataset="none", network="none", epochs=3)
for precision in sys.argv[1:]:
    models = [Model(layers, weights, "wn")]
    together = stacked.Stacked(models, recipe, 0.1, 0.1, (16, 9), 32, precision)
    dtype = together.products.factors
    x, dz = torch.zeros(1, 32, 9, 9, 16, dtype=dtype), torch.zeros(1, 32, 4, 4, 32, dtype=dtype)
    together.step(x, torch.zeros(1, 32, 2))
    together.input_gradient(0, x, dz)  # as of an inner layer: the first needs none
"""


def test_the_kernels_compile_for_a_card_that_is_not_there(tmp_path):
    """For an H100 or H200: the assembler takes them, they fit, and products use tensor cores."""
    precisions = ("float32", "tf32", "tf32x3", "bfloat16")
    products = {"_forward", "_input_gradient", "_weight_gradient"}
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, *precisions],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    seen = set()
    for line in done.stdout.splitlines():
        name, precision, shared, tensor_cores, fma = line.split()
        seen.add((name, precision))
        assert int(shared) <= 227 * 1024  # bytes that a program may have on these cards
        if name in products:
            assert tensor_cores == str(precision != "float32")
            assert fma == str(precision == "float32") or precision == "tf32x3"
    names = products | {"_head", "_collect", "_move", "_normalise"}
    assert seen == {(name, precision) for name in names for precision in precisions}
