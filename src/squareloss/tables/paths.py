"""How the point of a run is named in paths: `recipe=cnn6/wd=0.001/.../lr=0.03`, Hive style.

`part` reads such names back. It is the one judge of names that come from elsewhere, another clone,
a record of Snakemake or the list of an archive: what it does not know is written nowhere.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from squareloss.spec import Point, coordinates

# Key in a path -> field of `Point`, in the order of the folders.
POINT_KEYS = {"recipe": "recipe_name", **{axis.key: name for name, _, axis, _ in coordinates()}}
# What a run and block leaves: files of its folder below `runs/`, and tables below `metrics/`.
RUN_FILES = ("run.json", "snapshots.safetensors")
RUN_TABLES = ("history", "margins", "collapse", "layers", "bounds", "landscape")

# Folders that lead to a study: not hidden, and without "=", which begins the path of a run.
STUDY = r"(?:[^\x00-\x1f\x7f/\\.=][^\x00-\x1f\x7f/\\=]*/)+?"
PART = re.compile(
    rf"(?P<study>{STUDY})"
    rf"(?:runs/(?P<of>[^/]+=.+)/(?P<file>{'|'.join(map(re.escape, RUN_FILES))})"
    rf"|metrics/(?P<table>{'|'.join(RUN_TABLES)})/(?P<measured>[^/]+=.+)\.parquet)"
)


@dataclass(frozen=True)
class Part:
    """A file that training or a measurement makes of one block of a run, by its name."""

    study: str  # the study's folder: results/demo
    run: str  # recipe=cnn6/wd=0.001/.../block=0
    file: str  # run.json, snapshots.safetensors, or the name of a table
    point: Point
    block: int


def path_value(value: str | float) -> str:
    """A value as it stands in a path: the shortest text that reads back as the same number."""
    if isinstance(value, str):
        return value
    text = repr(value)
    return text.removesuffix(".0")


def point_path(point: Point) -> str:
    """The folders of a point, as the workflow names them."""
    fields = point.model_dump()
    return "/".join(f"{key}={path_value(fields[field])}" for key, field in POINT_KEYS.items())


def run_and_block(name: str) -> tuple[Point, int] | None:
    """The point and block of `recipe=.../block=0`; None unless the workflow would write just that.

    So equal runs have equal names, and a name has no other folders in it.
    """
    pieces = [piece.partition("=") for piece in name.split("/")]
    if [key for key, _, _ in pieces] != [*POINT_KEYS, "block"]:
        return None
    *values, block = (value for _, _, value in pieces)
    try:
        point = Point(**dict(zip(POINT_KEYS.values(), values, strict=True)))  # type: ignore[arg-type]
        number = int(block) if re.fullmatch(r"[0-9]{1,9}", block) else -1
    except (ValidationError, ValueError):
        return None
    return (point, number) if name == f"{point_path(point)}/block={number}" else None


def part(name: str) -> Part | None:
    """The part that a path names, from the folder of a clone; None if it is anything else.

    The path is relative and in its one spelling, without "." and "..", and has no hidden folders.
    """
    found = PART.fullmatch(name)
    run = found and (found["of"] or found["measured"])
    known = run_and_block(run) if run else None
    if found is None or known is None:
        return None
    return Part(found["study"].rstrip("/"), str(run), found["file"] or found["table"], *known)


def below(path: str | Path) -> Part | None:
    """The part that the end of any path names, relative or not, wherever its study lies."""
    path = Path(path).absolute().as_posix()
    start = max(path.rfind("/runs/"), path.rfind("/metrics/"))
    return part(f"study{path[start:]}") if start >= 0 else None


def plain(name: str) -> bool:
    """Whether a path is relative, in its one spelling and stays below where it starts."""
    pieces = name.split("/")
    return not {"", ".", ".."} & {*pieces} and name.isprintable() and "\\" not in name
