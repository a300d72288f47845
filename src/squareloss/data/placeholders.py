"""What may lie in the place of data: pointers, web pages, stubs. Their beginning tells them."""

import os
from pathlib import Path

LENGTH = 512  # bytes that are looked at
BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer; `git lfs pull` in its repository fetches it",
    b"/annex/objects/": "a git-annex pointer; `git annex get` in its repository fetches it",
    b"<!doctype html": "a web page, perhaps of a login; download it again, logged in",
    b"<html": "a web page, perhaps of a login; download it again, logged in",
    b"<?xml": "a server's message in XML; read it, and download again",
    b"{": "JSON, perhaps a server's message; read it, and download again",
}


def placeholder(beginning: bytes) -> str:
    """What data that begin so are instead, and what to do; empty if they may be data."""
    if not beginning:
        return "empty, perhaps a stub of a cloud's folder; fetch it again"
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((words for start, words in BEGINNINGS.items() if text.startswith(start)), "")


def in_place_of(path: Path) -> str:
    """The same for a file, which may also be a link to what git-annex has not fetched."""
    if path.is_symlink() and not path.exists() and ".git/annex/" in os.readlink(path):
        return "a git-annex link; `git annex get` in its repository fetches it"
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return placeholder(file.read(LENGTH))
    except OSError:
        return ""
