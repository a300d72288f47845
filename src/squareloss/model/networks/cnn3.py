"""Figure 7's small network: two layers of non-overlapping 3x3 patches and a dense layer."""

from squareloss.model.architecture import Conv, Layer, Linear, scaled


def layers(classes: int, width: float, downsample: str) -> tuple[Layer, ...]:
    """Layers of cnn3, 20,448 weights for three channels and two classes. `downsample` has no say:
    patches that do not overlap are strides already.
    """
    return (
        Conv(scaled(32, width), stride=3),
        Conv(scaled(64, width), stride=3),
        Linear(classes),
    )
