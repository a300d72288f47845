"""Memory that a process keeps for its next step."""

import ctypes
import os

# malloc.h of the C library of GNU.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Keep what is freed, where the C library is that of GNU.

    A step of training frees all that it has allocated, some hundred MB in large blocks. Left to
    itself the library gives these back to the kernel, which clears each page when it is asked for
    again in the next step. What is computed stays the same to the last bit.
    """
    try:
        gnu = (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, OSError, ValueError):  # another C library, another system
        return
    if gnu:
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)  # large blocks from the heap as well
        library.mallopt(M_TRIM_THRESHOLD, -1)  # and the heap never shrinks
