"""Which parts of runs a config asks for, and which lie there that it does not ask for.

What an earlier config made stays: runs that were taken out of a sweep, blocks of another size. A
folder of a table that is read whole would count them among the others.
"""

from collections.abc import Iterator
from pathlib import Path

from squareloss.study import sweep
from squareloss.study.config import Study
from squareloss.tables.paths import RUN_FILES, part, point_path


def folder(study: Study) -> str:
    """Where the results of a study lie, from the folder of the clone."""
    return f"{study.results}/{study.study}"


def runs(study: Study) -> list[str]:
    """Every run and block that the config asks for: recipe=.../block=0."""
    return [
        f"{point_path(point)}/block={block}"
        for point in sweep.runs_table(study)["point"]
        for block in sweep.blocks(study)
    ]


def parts(study: Study, table: str) -> list[str]:
    """Every part of a table that all runs have, as the config asks for it."""
    return [f"{folder(study)}/metrics/{table}/{run}.parquet" for run in runs(study)]


def unasked(study: Study, clone: Path) -> dict[str, list[str]]:
    """The parts in a clone of runs and blocks that the config does not ask for, by run."""
    asked, found = set(runs(study)), dict[str, list[str]]()
    for name in _files(clone / folder(study)):
        one = part(f"study/{name}")
        if one and one.study == "study" and one.run not in asked:
            found.setdefault(one.run, []).append(f"{folder(study)}/{name}")
    return {run: sorted(found[run]) for run in sorted(found)}


def _files(study: Path) -> Iterator[str]:
    """Files below `runs/` and `metrics/` that may be parts, from the study's folder.

    That may lie outside of the clone: `results` takes any path.
    """
    for place in ("runs", "metrics"):
        for path in (study / place).rglob("*"):
            if path.name in RUN_FILES or path.suffix == ".parquet":
                yield path.relative_to(study).as_posix()


def notice(study: Study, clone: Path) -> str:
    """A line on parts that are not asked for; "" if there are none."""
    found = unasked(study, clone)
    if not found:
        return ""
    return (
        f"{folder(study)}: {sum(map(len, found.values()))} files of {len(found)} runs and blocks "
        f"are not asked for by this config, e.g. {next(iter(found))}; `make prune CONFIG=...` "
        "lists them and asks whether to remove them"
    )
