"""Take finished runs from an archive in the place of training: `make fetch-results FROM=...`.

    python -m squareloss.share.fetch --config config.yaml config/demo.yaml --source https://...

The source is a folder that `squareloss.share.archive` made, or the address where its files lie: any
web server, or a bucket that is open to read. A run is taken if what made it is what the study here
asks for: the same settings, data and code. The others are named with the difference, and Snakemake
trains them as if there were no archive. What is here never changes.
"""

import json
import lzma
import shutil
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from squareloss.arguments import parser
from squareloss.errors import UserError, printable, run_stage
from squareloss.files import checksum
from squareloss.share import merge
from squareloss.share import snakemake_records as records
from squareloss.share.archive import (
    MANIFEST,
    RECORD,
    Manifest,
    Packed,
    file_of,
    jobs,
    refuse_outside,
)
from squareloss.share.check import refuse_damaged
from squareloss.share.limited import Limited, open_source
from squareloss.share.limited import reason as reason_of
from squareloss.spec import RunSpec, canonical_json
from squareloss.study.config import Study
from squareloss.study.files import read
from squareloss.study.sweep import data_specs
from squareloss.tables.paths import part

STAGING = "fetch-"  # how the folders begin, below .snakemake, that files are unpacked in
SHOWN = 6  # differences in a message

LARGEST_LIST = 1 << 26  # bytes of archive.json: some hundred thousand runs
SHRINKS = 30  # times that a file of an archive may grow when it is unpacked, and
SPARE = 1 << 26  # bytes more. (Weights hardly shrink, and records, which are small, to a tenth.)

Opener = Callable[[str], IO[bytes]]
# What reading a file raises that is no archive, or a malicious one.
NO_ARCHIVE = (tarfile.TarError, lzma.LZMAError, EOFError, RecursionError, ValueError)


def opener(source: str) -> Opener:
    """A function that opens a file of an archive by its name, or raises `UserError`."""
    return partial(open_source, source)


def manifest(open_file: Opener, source: str, study: Study) -> Manifest:
    """What an archive says that it holds. Raises `UserError` unless it is one of `study`."""
    with open_file(MANIFEST) as file:
        text = Limited(file, MANIFEST, LARGEST_LIST).readall()
    try:
        found = Manifest.model_validate_json(text)
    except ValueError:
        raise UserError(
            f"FROM={source}: {MANIFEST} is not what this version of squareloss writes"
        ) from None
    if found.study != study.study:
        raise UserError(
            f"FROM={source} holds the study {printable(found.study, 60)}, and the config is that "
            f"of {study.study}: name the study's own, e.g. CONFIG=config/demo.yaml"
        )
    return found


def refuse_foreign(run: str, packed: Packed, study: Study) -> None:
    """Raise `UserError` unless a file of an archive is that of `run`, and its parts are the run's.

    So nothing else of the study is ever written, no page and no figure.
    """
    folder = f"{study.results}/{study.study}"
    if packed.file != file_of(run):
        raise UserError(f"{MANIFEST} has {run} in {packed.file!r}; it must be {file_of(run)}")
    for name in packed.parts:
        found = part(name)
        if found is None or (found.study, found.run) != (folder, run):
            raise UserError(
                f"{packed.file} lists parts that do not belong below {folder}/ and to its run: "
                f"{name!r}"
            )


def unpack(open_file: Opener, packed: Packed, clone: Path) -> None:
    """Put the parts of one file of an archive, and their records, into the empty folder `clone`.

    Nothing else that the file may hold is unpacked. Raises `UserError` if it is not what the
    manifest says, to the byte, or lacks a part or its record.
    """
    try:
        _unpack(open_file, packed, clone)
    except OSError as error:  # reading has errors of its own
        raise UserError(
            f"{packed.file} could not be put into {clone.parent}: {error.strerror}"
        ) from None


def _unpack(open_file: Opener, packed: Packed, clone: Path) -> None:
    local = clone / "packed"
    free = shutil.disk_usage(clone).free
    if packed.size > free:
        raise UserError(f"{packed.file} has {packed.size} bytes, and {free} are free here")
    with open_file(packed.file) as remote, local.open("wb") as file:
        shutil.copyfileobj(Limited(remote, packed.file, packed.size), file)
    if local.stat().st_size != packed.size or checksum(local) != packed.sha256:
        raise UserError(f"{packed.file} is damaged: not what {MANIFEST} lists; fetch again")
    lacking: dict[str, Path] = {}
    for name in packed.parts:
        lacking |= {name: clone / name, name + RECORD: records.record_path(clone, name)}
    try:
        with (
            lzma.open(local) as plain,
            tarfile.open(
                fileobj=Limited(plain, packed.file, SHRINKS * packed.size + SPARE), mode="r|"
            ) as tar,
        ):
            for member in tar:
                # Neither a link nor a sparse file, which a few bytes make as large as they like.
                regular = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.sparse
                if not regular or member.name not in lacking:
                    continue
                target = lacking.pop(member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as data, target.open("wb") as file:  # type: ignore[union-attr]
                    shutil.copyfileobj(data, file)
    except NO_ARCHIVE as error:
        raise UserError(
            f"{packed.file} is damaged: no archive ({reason_of(error)}); ask who published it"
        ) from None
    if lacking:
        raise UserError(f"{packed.file} lacks {min(lacking)}")
    local.unlink()


def differences(
    clones: merge.Clones, parts: tuple[str, ...], spec: RunSpec, study: Study
) -> set[str]:
    """In what unpacked parts differ from what the study here asks for: settings, code, data.

    Data are compared where they have been prepared here.
    """
    asked = merge.settings_of_spec(json.loads(canonical_json(spec))) | {"delta": study.delta}
    there = merge.settings(clones.source, list(parts))
    here = {key: {str(value)} for key, value in asked.items()}
    here |= merge.found_here(clones.target, there)
    return {
        f"{key} is {merge.shown(values)} there and {merge.shown(here[key])} here"
        for key, values in there.items()
        if key in here and values != here[key]
    }


def data_differences(name: str, held: Manifest, study: Study) -> set[str]:
    """In what the archive's data set of this name differs from that of the study here.

    Its title is no difference, nor is where its files lie.
    """
    if name not in held.datasets:  # of an archive that does not say
        return set()
    there, here = held.datasets[name].model_dump(), study.datasets[name].model_dump()
    return {
        f"datasets.{name}.{key} is {value} there and {here[key]} here"
        for key, value in there.items()
        if key not in ("title", "root") and value != here[key]
    }


def fetch(source: str, target: Path, study: Study) -> dict[str, set[str]]:
    """Take the runs of `study` that `target` lacks; return why others were not taken, by run.

    A run is taken whole or not at all. Raises `UserError` for an archive that cannot be read or is
    damaged. What was taken before stays, and the next call goes on from there.
    """
    refuse_outside(study)
    merge.refuse_locked(target)
    with merge.only_one(target):
        for left in (target / ".snakemake").glob(f"{STAGING}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        return _fetch(source, target, study)


def _fetch(source: str, target: Path, study: Study) -> dict[str, set[str]]:
    open_file = opener(source)
    held = manifest(open_file, source, study)
    _refuse_without_data(held, target, study)
    differing: dict[str, set[str]] = {}
    taken = here = 0
    for run, spec in jobs(study).items():
        packed = held.runs.get(run)
        if packed is None:
            continue
        refuse_foreign(run, packed, study)
        if all(merge.Clones(target, target).here(part) for part in packed.parts):
            if differences(merge.Clones(target, target), packed.parts, spec, study):
                differing[run] = {"it is here, made otherwise (`snakemake -n` says why)"}
            else:
                here += 1
            continue
        with tempfile.TemporaryDirectory(dir=target / ".snakemake", prefix=STAGING) as folder:
            clones = merge.Clones(Path(folder), target)
            unpack(open_file, packed, clones.source)
            reasons = differences(clones, packed.parts, spec, study)
            reasons |= data_differences(spec.recipe.dataset, held, study)
            lacking, own = merge.missing(clones, {run: list(packed.parts)})
            if own:
                reasons = {"it was trained here too"}
            if reasons:
                differing[run] = reasons
                continue
            refuse_damaged(clones.source, list(packed.parts))
            size = merge.take(clones, lacking[run])
            taken += 1
            print(f"{study.study}: took {run}: {size / 1e6:.1f} MB", flush=True)
    lacks = len(jobs(study)) - taken - here - len(differing)
    print(
        f"{study.study}: {taken} runs taken, {here} were here already, {len(differing)} are made "
        f"otherwise, {lacks} are not in the archive"
    )
    return differing


def _refuse_without_data(held: Manifest, target: Path, study: Study) -> None:
    """Runs without weights count as made before their data if these are prepared afterwards.

    Snakemake compares checksums only where all outputs of a run are there, and times otherwise. It
    would train what was taken again, as soon as another run has the data prepared.
    """
    packed = [held.runs[run] for run in jobs(study) if run in held.runs]
    weights = all(any(merge.WEIGHTS in part for part in one.parts) for one in packed)
    data = target / study.results / study.study / "data"
    prepared = all((data / path).exists() for path in data_specs(study))
    if len(packed) < len(jobs(study)) and not weights and not prepared:
        raise UserError(
            "the archive has no weights and lacks runs of this study: prepare the data first, "
            "`snakemake data --cores 1 --configfile ...`, then fetch; what is taken would else be "
            "trained again"
        )


def summary(differing: dict[str, set[str]]) -> list[str]:
    """One line a reason: how many runs were not taken for it."""
    runs_of: dict[str, list[str]] = defaultdict(list)
    for run, reasons in differing.items():
        for reason in reasons:
            runs_of[reason].append(run)
    lines = [
        f"not taken: {len(runs)} runs, as {reason}, e.g. {runs[0]}"
        for reason, runs in sorted(runs_of.items(), key=lambda item: -len(item[1]))
    ]
    more = [f"and {len(lines) - SHOWN} more reasons"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more


def main() -> None:
    """Command line of `make fetch-results`."""
    options = parser(__doc__)
    options.add_argument("--config", nargs="+", required=True, help="config.yaml and its overlays")
    options.add_argument("--source", required=True, help="folder or address of the archive")
    arguments = options.parse_args()
    differing = fetch(arguments.source, Path(), read(arguments.config))
    for line in summary(differing):
        print(printable(line))


if __name__ == "__main__":
    run_stage(main)
