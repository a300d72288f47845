"""Dense network with 10 hidden layers of 100 units, as in the authors' work on low rank."""

from squareloss.model.architecture import Layer, Linear, scaled


def layers(classes: int, width: float, downsample: str) -> tuple[Layer, ...]:
    """Layers of the dense network. `downsample` has no say: there is no image to halve."""
    return (*(Linear(scaled(100, width)) for _ in range(10)), Linear(classes))
