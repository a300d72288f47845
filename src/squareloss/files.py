"""Outputs that appear whole or not at all: written to a temporary name, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from squareloss.errors import UserError


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path near `path`; rename it to `path` if the block succeeds.

    If the block raises, the temporary file is removed and an earlier `path` stays as it was. Raises
    `UserError` naming `path` if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    # A folder of its own: safetensors has temporary files beside the one that it is to write.
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder / path.name
        os.replace(folder / path.name, path)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} could not be written: {reason}; mend that and run again") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard_partial(path: str | Path) -> None:
    """Remove what a process that was killed while writing `path` left; none may be writing it."""
    path = Path(path)
    for folder in path.parent.glob(f".{path.name}.*"):
        shutil.rmtree(folder, ignore_errors=True)
