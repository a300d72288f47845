"""CIFAR-10, the official files: 50,000 train and 10,000 test images, 32 x 32, RGB, 10 classes.

Origin: https://www.cs.toronto.edu/~kriz/cifar.html, downloaded by torchvision (170 MB) if absent.
Cite A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, as its page asks;
the page states no licence. The files must match the published MD5 sums, also when already there.
"""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from squareloss.data.images import Images
from squareloss.data.placeholders import in_place_of
from squareloss.errors import UserError
from squareloss.files import lock

DEFAULT_ROOT = "data/cifar10"
FILES = "cifar-10-batches-py"  # the folder torchvision unpacks to


def class_counts(root: str) -> tuple[dict[int, int], dict[int, int] | None]:
    """Images per label, train and test: constants, since the files are checked against sums."""
    return dict.fromkeys(range(10), 5000), dict.fromkeys(range(10), 1000)


def files(root: str) -> list[str]:
    """None: what is in them is known from their checksums, and they may not be there yet."""
    return []


def load(root: str) -> Images:
    """All images, from `root`/cifar-10-batches-py, downloaded there if that folder is absent.

    An empty `root` means data/cifar10.
    Raises `UserError` if the download fails or a file does not match its checksum.
    """
    folder = Path(root or DEFAULT_ROOT)
    try:
        return _read(folder)
    except RuntimeError:
        pass  # absent, damaged, or being unpacked by another job right now
    try:
        # Jobs that start together must not download over each other.
        with _lock(folder):
            if not (folder / FILES).exists():
                _download(folder)
            return _read(folder)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if (folder / FILES).exists():
            for path in sorted((folder / FILES).iterdir()):
                if instead := in_place_of(path):
                    raise UserError(f"{path}: is {instead}") from None
            raise UserError(
                f"{folder / FILES}: incomplete or altered: its files do not match the checksums of "
                "CIFAR-10; delete the folder and run again, or set datasets.<name>.root to a good "
                "copy"
            ) from None
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{folder}: CIFAR-10 is not there and could not be downloaded ({reason}); download it "
            "on a machine with internet, or set datasets.<name>.root to the folder that holds "
            f"{FILES}"
        ) from None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        lock(file, wait=True)
        yield


def _download(folder: Path) -> None:
    from torchvision.datasets import CIFAR10

    print(f"cifar10: downloading to {folder}", flush=True)
    CIFAR10(folder, download=True)


def _read(folder: Path) -> Images:
    """Both sets; raises `RuntimeError` (torchvision's) if a checksum differs.

    torchvision compares the checksum of every file before it unpickles the first: a pickle that
    somebody else put there could run any command.
    """
    from torchvision.datasets import CIFAR10

    train, test = CIFAR10(folder, train=True), CIFAR10(folder, train=False)
    return Images(
        _channels_first(train.data),
        np.asarray(train.targets, dtype=np.int64),
        _channels_first(test.data),
        np.asarray(test.targets, dtype=np.int64),
    )


def _channels_first(images: np.ndarray) -> np.ndarray:
    """(N, 32, 32, 3) -> (N, 3, 32, 32)."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
