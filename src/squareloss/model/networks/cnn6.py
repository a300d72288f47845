"""The paper's network: four 3x3 convolutions, then 3200 -> 1024 -> C (Section 3.2)."""

from squareloss.model.architecture import Conv, Layer, Linear, scaled


def layers(classes: int, width: float, downsample: str) -> tuple[Layer, ...]:
    """Layers of cnn6; both ways of halving give 5x5 images before the dense layers.

    The paper gives 3200 = 128 * 5 * 5 inputs of the first dense layer and not how it gets there:
    `stride` uses strides 1, 2, 1, 2 and `maxpool` pools after the second and fourth convolution.
    """
    stride, pool = (2, 1) if downsample == "stride" else (1, 2)
    return (
        Conv(scaled(32, width)),
        Conv(scaled(64, width), stride=stride, pool=pool),
        Conv(scaled(128, width)),
        Conv(scaled(128, width), stride=stride, pool=pool),
        Linear(scaled(1024, width)),
        Linear(classes),
    )
