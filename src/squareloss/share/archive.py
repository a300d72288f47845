"""The finished runs of a study as files to publish: `make archive CONFIG=config/demo.yaml`.

    python -m squareloss.share.archive --config config.yaml config/demo.yaml --target folder

An archive is a folder, to be put wherever files can be read from: `squareloss.share.fetch` takes
its runs into another clone. It holds one file a run and block, `recipe=cnn6/.../block=0.tar.xz`,
with the parts of the run (`squareloss.share.merge`) under the paths that they have in a clone, and
Snakemake's record of each beside it; and `archive.json`, a `Manifest`. The same clone makes the
same bytes.
"""

import os
import re
import tarfile
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from tqdm import tqdm

from squareloss.arguments import parser
from squareloss.errors import UserError, run_stage
from squareloss.files import STAGING, checksum, whole
from squareloss.share import snakemake_records as records
from squareloss.share.check import WEIGHTS, refuse_damaged
from squareloss.share.merge import EXTRACTED, finished_runs, found_here, settings, shown
from squareloss.spec import RunSpec, Strict
from squareloss.study import sweep
from squareloss.study.config import Dataset, Study
from squareloss.study.files import read
from squareloss.tables.paths import STUDY, point_path, run_and_block
from squareloss.tables.paths import part as part_of

MANIFEST = "archive.json"
RECORD = ".record"  # follows a part's name; Snakemake's own names are limited by the file system
PRESET: Final = 1  # of xz: weights and Parquet files hardly shrink at any, records to a tenth


class Packed(Strict):
    """One file of an archive: the finished parts of one block of a run, as a clone names them."""

    file: str
    parts: tuple[str, ...]
    size: int = Field(ge=0)  # bytes
    sha256: str


class Manifest(Strict):
    """What an archive holds. `format` changes when earlier readers would misread it."""

    format: Literal[1] = 1
    study: str
    datasets: dict[str, Dataset] = Field(default_factory=dict)  # by name, without their folders
    runs: dict[str, Packed]  # by run and block, recipe=.../block=0


def jobs(study: Study) -> dict[str, RunSpec]:
    """Every run and block of a study, as its folders are named, and what training it must do."""
    return {
        f"{point_path(point)}/block={block}": sweep.run_spec(study, point, block)
        for point in sweep.runs_table(study)["point"]
        for block in sweep.blocks(study)
    }


def file_of(run: str) -> str:
    """The file of an archive that holds a run and block."""
    return f"{run}.tar.xz"


def pack(clone: Path, parts: list[str], path: Path) -> None:
    """Write parts of a clone and their records to `path`, whole or not at all.

    Nothing of who packed it and when is in it, so that equal parts with equal records, which have
    the times of the jobs, make equal files.
    """
    with whole(path) as temporary, tarfile.open(temporary, "w:xz", preset=PRESET) as tar:
        for part in sorted(parts):
            sources = {part: clone / part, part + RECORD: records.record_path(clone, part)}
            for name, source in sources.items():
                member = tarfile.TarInfo(name)
                member.size = source.stat().st_size
                with source.open("rb") as file:
                    tar.addfile(member, file)


def measured(parts: list[str]) -> bool:
    """Whether all that is measured on a run's weights is among its parts."""
    return {found.file for part in parts if (found := part_of(part))} >= EXTRACTED


def refuse_outside(study: Study) -> None:
    """Raise `UserError` if a study's results are not where the records of a clone may name them."""
    if not re.fullmatch(STUDY, f"{study.results}/{study.study}/"):
        raise UserError(
            f"config: results: {study.results}: runs are archived and fetched in a folder of the "
            "clone only, e.g. results"
        )


def refuse_other_data(clone: Path, run: str, parts: list[str], study: Study) -> None:
    """Raise `UserError` if a run was trained on other data than the config now names so.

    The archive says what the config says, and nobody could tell afterwards.
    """
    made = settings(clone, parts)
    asked = {
        f"datasets.{name}.{key}": {str(value)}
        for name, one in study.datasets.items()
        for key, value in one.model_dump().items()
    }
    asked |= found_here(clone, [key for key in made if "/data/" in key])
    for key, values in sorted(made.items()):
        if key in asked and values != asked[key]:
            raise UserError(
                f"{run}: {key} was {shown(values)} and is {shown(asked[key])} now; run the study "
                "again before it is archived"
            )


def archive(study: Study, clone: Path, folder: Path, weights: bool = True) -> Manifest:
    """Put every finished run of `study` in `clone` into `folder`; returns what is there now.

    Without `weights` the networks stay behind, of runs whose metrics have been extracted: every
    figure can be drawn from the rest, and other metrics cannot. Files of an earlier archive in
    `folder` that this one lacks are removed, and no others. Raises `UserError` if no run is
    finished, if one is damaged or of other data, or if `folder` holds another study's archive.
    """
    refuse_outside(study)
    earlier = _earlier(folder, study)
    finished = finished_runs(clone).get(f"{study.results}/{study.study}", {})
    wanted = {
        run: finished[run]
        for run in jobs(study)
        if run in finished and (weights or measured(finished[run]))
    }
    if not wanted:
        raise UserError(f"{study.results}/{study.study}: no run is finished that could be archived")
    datasets = {name: one.model_copy(update={"root": ""}) for name, one in study.datasets.items()}
    if earlier is None:  # an empty list first, by which the next start knows what was cut short
        _write(folder, Manifest(study=study.study, datasets=datasets, runs={}))
    packed = {}
    for run, parts in tqdm(wanted.items(), desc="archive", unit="run", disable=None):
        kept = [part for part in parts if weights or Path(part).name != WEIGHTS]
        refuse_damaged(clone, kept)
        refuse_other_data(clone, run, kept, study)
        path = folder / file_of(run)
        pack(clone, kept, path)
        packed[run] = Packed(
            file=file_of(run),
            parts=tuple(sorted(kept)),
            size=path.stat().st_size,
            sha256=checksum(path),
        )
    manifest = Manifest(study=study.study, datasets=datasets, runs=packed)
    _write(folder, manifest)
    for run in set(earlier.runs if earlier else {}) - set(packed):
        if run_and_block(run):  # else the list is not ours, and would name any file
            (folder / file_of(run)).unlink(missing_ok=True)
    return manifest


def _write(folder: Path, manifest: Manifest) -> None:
    with whole(folder / MANIFEST) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _earlier(folder: Path, study: Study) -> Manifest | None:
    """The list of the archive in `folder`, whose files are replaced; None if it is empty.

    Raises `UserError` if `folder` holds anything else.
    """
    if not folder.exists() or not any(path.name != STAGING for path in folder.iterdir()):
        return None
    try:
        found = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        raise UserError(f"{folder} is not empty and no archive; name a new folder") from None
    if found.study != study.study:
        raise UserError(f"{folder} holds the study {found.study}; name another folder")
    return found


def main() -> None:
    """Command line of `make archive`."""
    options = parser(__doc__)
    options.add_argument("--config", nargs="+", required=True, help="config.yaml and its overlays")
    options.add_argument("--target", help="folder; results/archive/<study> if left out")
    options.add_argument(
        "--weights", type=str.lower, choices=("yes", "no"), default="yes", help="pack the networks"
    )
    arguments = options.parse_args()
    study = read(arguments.config)
    target = arguments.target or f"{study.results}/archive/{study.study}"
    folder = Path(os.path.expanduser(target))
    manifest = archive(study, Path(), folder, weights=arguments.weights == "yes")
    size = sum(one.size for one in manifest.runs.values())
    print(f"{folder}: {len(manifest.runs)} of {len(jobs(study))} runs, {size / 1e6:,.1f} MB")


if __name__ == "__main__":
    run_stage(main)
