"""Outputs that appear whole or not at all, and locks that one job at a time holds."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from squareloss.errors import UserError

STAGING = ".staging"
NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; rename it to `path` if the block succeeds.

    If the block raises, the temporary file is removed and an earlier `path` stays as it was. What a
    killed process leaves behind lies outside the folders that are read as one table, and goes when
    the next file is written there. Raises `UserError` naming `path` if the disk is full or the
    folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = _staging(path)
        # A folder of its own, since safetensors has temporary files beside the one it is to write.
        folder = staging / f"{_owner()}.{os.getpid()}.{_digest(path)}"
        _make(folder)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        _sweep(staging)
        yield folder / path.name
        # Libraries give their temporary files to their owner alone. The folder has what the user's
        # umask, or the access list of its parent, leaves to others.
        os.chmod(folder / path.name, folder.stat().st_mode & 0o666)
        os.replace(folder / path.name, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other jobs may have their files there
            staging.rmdir()


def discard_partial(path: str | Path) -> None:
    """Remove what a process that was killed while writing `path` left; none may be writing it."""
    staging = _staging(Path(path))
    with contextlib.suppress(OSError):  # other jobs may have their files there, or remove it
        for folder in staging.glob(f"*.{_digest(Path(path))}"):
            shutil.rmtree(folder, ignore_errors=True)
        staging.rmdir()


def _staging(path: Path) -> Path:
    """The folder in which `path` is written before it is renamed, on the same file system.

    A table is a folder of parts, metrics/<table>/recipe=.../block=0.parquet, and whoever reads it
    reads all files in it. So this folder lies beside the table's: above all folders with "=" in
    their names, and one more. Where that is another file system or may not be written, it is the
    folder of `path` itself.
    """
    folder = path.absolute().parent
    home = folder
    while "=" in home.name:
        home = home.parent
    home = home.parent
    if not (os.access(home, os.W_OK) and folder.exists()):
        return folder / STAGING
    same_device = os.stat(home).st_dev == os.stat(folder).st_dev
    return (home if same_device else folder) / STAGING


def _make(folder: Path) -> None:
    """Make a folder in the staging folder, which other jobs make and remove meanwhile."""
    for attempt in range(1000):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return
        except (FileNotFoundError, FileExistsError):
            if attempt == 999:
                raise


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]


def _owner() -> str:
    """This machine: the number of a process says nothing on another."""
    return socket.gethostname()


def _sweep(staging: Path) -> None:
    """Remove what processes of this machine left that have died since."""
    for folder in staging.glob(f"{_owner()}.*.*"):
        # Another machine's name may begin with this one's and a dot.
        owner, process, _ = folder.name.rsplit(".", 2)
        if (
            owner == _owner()
            and process.isdigit()
            and not Path("/proc", process).exists()
            and Path("/proc/self").exists()
        ):
            shutil.rmtree(folder, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> UserError:
    reason = error.strerror or error
    return UserError(f"{path} could not be written: {reason}; mend that and run again")


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(file: IO[str] | int, wait: bool, name: object = "") -> None:
    """Lock an open file until it is closed or the process ends.

    Raises `BlockingIOError` if another process holds the lock, unless told to `wait`. A lock is a
    safeguard: on a file system that has none, one line on stderr says so and nothing is locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(
            f"warning: {name or getattr(file, 'name', file)} cannot be locked ({error.strerror}): "
            "nothing keeps two jobs from the same work here",
            file=sys.stderr,
        )
