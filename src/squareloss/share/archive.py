"""The finished runs of a study as files to publish: `make archive CONFIG=config/demo.yaml`.

    python -m squareloss.share.archive --config config.yaml config/demo.yaml --target folder

An archive is a folder, to be put wherever files can be read from: `squareloss.share.fetch` takes
its runs into another clone. It holds one file a run and block, `recipe=cnn6/.../block=0.tar.xz`,
with the parts of the run (`squareloss.share.merge`) under the paths that they have in a clone, and
Snakemake's record of each beside it; and `archive.json`, a `Manifest`. The same clone makes the
same bytes.
"""

import argparse
import tarfile
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from tqdm import tqdm

from squareloss.errors import UserError, run_stage
from squareloss.files import checksum, whole
from squareloss.share import snakemake_records as records
from squareloss.share.merge import EXTRACTED, TABLE, WEIGHTS, finished_runs
from squareloss.spec import RunSpec, Strict
from squareloss.study import sweep
from squareloss.study.config import Dataset, Study
from squareloss.study.files import read
from squareloss.study.paths import point_path

MANIFEST = "archive.json"
RECORD = ".record"  # follows a part's name; Snakemake's own names are limited by the file system
PRESET: Final = 1  # of xz: weights and Parquet files hardly shrink at any, records to a tenth


class Packed(Strict):
    """One file of an archive: the finished parts of one block of a run, as a clone names them."""

    file: str
    parts: tuple[str, ...]
    size: int  # bytes
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
    tables = {found["file"] for part in parts if (found := TABLE.fullmatch(part))}
    return tables >= EXTRACTED


def archive(study: Study, clone: Path, folder: Path, weights: bool = True) -> Manifest:
    """Put every finished run of `study` in `clone` into `folder`; returns what is there now.

    Without `weights` the networks stay behind, of runs whose metrics have been extracted: every
    figure can be drawn from the rest, and other metrics cannot. Files of an earlier archive in
    `folder` that this one lacks are removed. Raises `UserError` if no run is finished, or if
    `folder` holds another study's archive.
    """
    _refuse_another(folder, study)
    finished = finished_runs(clone).get(f"{study.results}/{study.study}", {})
    wanted = {
        run: finished[run]
        for run in jobs(study)
        if run in finished and (weights or measured(finished[run]))
    }
    if not wanted:
        raise UserError(f"{study.results}/{study.study}: no run is finished that could be archived")
    packed = {}
    for run, parts in tqdm(wanted.items(), desc="archive", unit="run", disable=None):
        kept = [part for part in parts if weights or Path(part).name != WEIGHTS]
        path = folder / f"{run}.tar.xz"
        pack(clone, kept, path)
        packed[run] = Packed(
            file=f"{run}.tar.xz",
            parts=tuple(sorted(kept)),
            size=path.stat().st_size,
            sha256=checksum(path),
        )
    datasets = {name: one.model_copy(update={"root": ""}) for name, one in study.datasets.items()}
    manifest = Manifest(study=study.study, datasets=datasets, runs=packed)
    with whole(folder / MANIFEST) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    there = {folder / one.file for one in packed.values()}
    for path in set(folder.rglob("*.tar.xz")) - there:
        path.unlink()
    return manifest


def _refuse_another(folder: Path, study: Study) -> None:
    """Files of `folder` are replaced and removed: it must be empty or an archive of this study."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        there = Manifest.model_validate_json((folder / MANIFEST).read_bytes()).study
    except (OSError, ValueError):
        raise UserError(f"{folder} is not empty and no archive; name a new folder") from None
    if there != study.study:
        raise UserError(f"{folder} holds the study {there}; name another folder")


def main() -> None:
    """Command line of `make archive`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", nargs="+", required=True, help="config.yaml and its overlays")
    parser.add_argument("--target", type=Path, help="folder; results/archive/<study> if left out")
    parser.add_argument("--without-weights", action="store_true", help="leave the networks out")
    arguments = parser.parse_args()
    study = read(arguments.config)
    folder = arguments.target or Path(study.results) / "archive" / study.study
    manifest = archive(study, Path(), folder, weights=not arguments.without_weights)
    size = sum(one.size for one in manifest.runs.values())
    print(f"{folder}: {len(manifest.runs)} of {len(jobs(study))} runs, {size / 1e6:,.1f} MB")


if __name__ == "__main__":
    run_stage(main)
