"""Reading what comes from elsewhere: so many bytes, in so much time, and from plain files."""

import io
import os
import re
import stat
import time
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from squareloss.errors import UserError, printable

TIMEOUT = 60  # seconds without a byte
PATIENCE = 600  # seconds that any transfer may take
SLOWEST = 20_000  # bytes a second beyond that


class Limited(io.RawIOBase):
    """A stream that is read up to a number of bytes, and in a time that goes with it."""

    def __init__(self, stream: IO[bytes], name: str, most: int) -> None:
        super().__init__()
        self._stream, self._name, self._left = stream, name, most
        self._end = time.monotonic() + PATIENCE + most / SLOWEST

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read some bytes.

        Raises `UserError` if the transfer breaks off, is too slow, or has more bytes than it may.
        """
        size = min(len(buffer), self._left + 1)
        try:
            # `read` of a response waits until it has all, however slowly that comes.
            response = isinstance(self._stream, HTTPResponse)
            data = self._stream.read1(size) if response else self._stream.read(size)  # type: ignore[attr-defined]
        except (OSError, HTTPException) as error:
            raise self._broken(reason(error)) from None
        if not data and getattr(self._stream, "length", None):
            raise self._broken(f"{self._stream.length} bytes are missing")  # type: ignore[attr-defined]
        self._left -= len(data)
        if self._left < 0:
            raise UserError(f"{self._name} is larger than it should be; it is not read on")
        if time.monotonic() > self._end:
            raise self._broken(f"slower than {SLOWEST} bytes a second")
        buffer[: len(data)] = data
        return len(data)

    def _broken(self, why: str) -> UserError:
        return UserError(f"{self._name}: the transfer broke off ({why}); fetch again")


def reason(error: BaseException) -> str:
    """Why something could not be read, without what a server could make a terminal do."""
    if isinstance(error, HTTPError):
        return printable(f"{error.code} {error.reason}", 100)
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return reason(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error) or type(error).__name__, 100)


def open_source(source: str, name: str) -> IO[bytes]:
    """Open a regular file of a folder, or what lies at an address.

    Raises `UserError` if it cannot be read, or is a device or a pipe, which may never end.
    """
    address = re.match(r"(\w[\w+.-]*)://", source)
    try:
        if address and address[1].lower() in ("http", "https"):
            return urlopen(f"{source.rstrip('/')}/{name}", timeout=TIMEOUT)
        if not address:
            path = Path(os.path.expanduser(source), name)
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file
            file.close()
    except (OSError, HTTPException, ValueError) as error:  # also of an address that is none
        raise UserError(f"FROM={source}: {name} could not be read: {reason(error)}") from None
    if address:
        raise UserError(f"FROM={source}: give a folder, or an address with http:// or https://")
    raise UserError(f"FROM={source}: {name} could not be read: no regular file")
