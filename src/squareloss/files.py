"""Outputs that appear whole or not at all: written to a temporary name, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from squareloss.errors import UserError


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    If the block raises, the temporary file is removed and an earlier `path` stays as it was. Raises
    `UserError` naming `path` if the disk is full or the folder cannot be written.
    """
    path = Path(path)
    # The suffix stays last, since matplotlib and pandas choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} could not be written: {reason}; mend that and run again") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def discard_partial(path: str | Path) -> None:
    """Remove what a process that was killed while writing `path` left; none may be writing it."""
    path = Path(path)
    for temporary in path.parent.glob(f".{path.stem}.*{path.suffix}"):
        temporary.unlink(missing_ok=True)
