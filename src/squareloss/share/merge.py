"""Take the finished runs of another clone: `make merge FROM=../other`.

    python -m squareloss.share.merge --source ../other

What is taken are *parts*: what training and the extraction of metrics made of one block of a run,
each with Snakemake's record of what it was made with. Without its record, Snakemake would take a
result for good whatever changes later. Prepared data, aggregates, figures and claims are not taken:
they are made again from the parts, in minutes.

What is here never changes. Of each run comes what is missing here, all of it or nothing. A study
whose config, code or data differ between the clones is refused, since its parts would not belong
together (and Snakemake would train them again).
"""

import errno
import filecmp
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from squareloss.arguments import parser
from squareloss.errors import UserError, printable, run_stage
from squareloss.files import checksum, discard_partial, lock, whole
from squareloss.share import snakemake_records as records
from squareloss.share.check import WEIGHTS, Asked, refuse_damaged
from squareloss.source.code import digest_here
from squareloss.spec import DataSpec
from squareloss.tables.metrics import METRICS
from squareloss.tables.paths import part as part_of
from squareloss.tables.paths import plain

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # of the target, whoever raises it
TRAINING = {"run.json", "history"}  # without these a run is not finished
EXTRACTED = {table.name for table in METRICS}  # with these it needs no weights any more
SHOWN = 6  # differences in a message


@dataclass(frozen=True)
class Clones:
    """Where parts are taken from, and where they go."""

    source: Path
    target: Path

    def here(self, part: str) -> bool:
        """Whether the target has a part, and the record that goes with it."""
        return (self.target / part).exists() and records.read(self.target, part) is not None

    def same(self, part: str) -> bool:
        """Whether a part that the target has is the source's, byte for byte."""
        return filecmp.cmp(self.source / part, self.target / part, shallow=False)


Runs = dict[str, dict[str, list[str]]]  # study -> run and block -> its parts
Settings = dict[str, set[str]]  # what a study was made with -> the values that occur


def finished_runs(clone: Path) -> Runs:
    """Every trained run and block of a clone, with its finished parts.

    Weights are large and may have been removed. A run without weights is trained if all its metrics
    are there.
    """
    runs: Runs = defaultdict(lambda: defaultdict(list))
    files = defaultdict(set)
    for output in records.outputs(clone):
        part = part_of(output)
        if part and _finished(clone, output):
            runs[part.study][part.run].append(output)
            files[part.study, part.run].add(part.file)

    def trained(study: str, run: str) -> bool:
        there = files[study, run]
        return there >= TRAINING and (WEIGHTS in there or there >= EXTRACTED)

    return {
        study: {run: parts for run, parts in by_run.items() if trained(study, run)}
        for study, by_run in runs.items()
    }


def missing(clones: Clones, runs: dict[str, list[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """The parts that the target lacks, by run; and the runs trained here that lack parts.

    Nothing is taken of a run that was trained here: its parts would be of two trainings.
    """
    lacking, own = {}, []
    for run, parts in runs.items():
        lacked = [part for part in parts if not clones.here(part)]
        there = [part for part in parts if (clones.target / part).exists()]
        if lacked and all(clones.same(part) for part in there):
            lacking[run] = lacked
        elif lacked:
            own.append(run)
    return lacking, own


def settings(clone: Path, parts: list[str]) -> Settings:
    """What parts were made with, by the names that the config and Snakemake have for it."""
    found: Settings = defaultdict(set)
    for part in parts:
        record = records.read(clone, part)
        if record is not None:
            found[f"command of rule {record.rule}"].add(record.command)
            for name, value in record.parameters.items():
                for key, setting in _settings_of(name, value).items():
                    found[key].add(str(setting))
            for path, checksum in record.checksums.items():
                if "/data/" in path and plain(path):
                    if path not in found:
                        for key, setting in settings_of_data(clone, path).items():
                            found[key].add(str(setting))
                    found[path].add(checksum)
    return found


def settings_of_data(clone: Path, path: str) -> dict[str, Any]:
    """How a split of `clone` was drawn, by the config's names; nothing where no record says so."""
    record = records.read(clone, path)
    try:
        spec = DataSpec.model_validate_json(str(record.parameters["spec"] if record else ""))
        [name] = re.findall(r"/dataset=([^/]+)/", path)
    except (KeyError, ValueError):
        return {}
    keys = ("source", "classes", "n_test", "noise_kind")
    return {f"datasets.{name}.{key}": getattr(spec, key) for key in keys}


def differences(clones: Clones, study: str, parts: list[str]) -> list[str]:
    """In what the settings of parts in the source differ from those of the study in the target."""
    theirs = settings(clones.source, parts)
    outputs = records.outputs(clones.target)
    ours = settings(clones.target, [output for output in outputs if _study(output) == study])
    ours |= found_here(clones.target, theirs)
    return [
        f"{key} is {shown(values - ours[key])} there and {shown(ours[key])} here"
        for key, values in sorted(theirs.items())
        if key in ours and values - ours[key]
    ]


def take(clones: Clones, parts: list[str]) -> int:
    """Copy the parts of one run and their records, all or nothing; returns the bytes copied.

    Everything is copied to temporary names first. Then all get their names, the records before the
    parts: a part without its record would be taken for good. (What a kill between two renames
    leaves is completed by the next merge, because it is the source's.) Raises `UserError` if
    Snakemake has begun to make one of the parts again in the source.
    """
    absent = [part for part in parts if not (clones.target / part).exists()]
    unrecorded = [part for part in parts if records.read(clones.target, part) is None]
    copies = [(clones.source / part, clones.target / part) for part in absent]
    copies += [
        (records.record_path(clones.source, part), records.record_path(clones.target, part))
        for part in unrecorded
    ]
    # The stack is left from its end: the records, which come last, get their names first.
    with ExitStack() as stack:
        for source, target in copies:
            discard_partial(target)
            _copy(source, stack.enter_context(whole(target)))
        for part in parts:
            if not _finished(clones.source, part):
                raise UserError(f"{clones.source / part} is made again there; merge after that")
    # Killed here while it was training, a run has marks that it is incomplete. It is complete now.
    for part in parts:
        records.marker_path(clones.target, part).unlink(missing_ok=True)
    return sum((clones.target / part).stat().st_size for part in absent)


def merge(clones: Clones) -> list[str]:
    """Take what the target lacks, study by study, and print it; returns why studies were refused.

    A run with damaged parts is left out, and is among the reasons. Raises `UserError` if one of the
    two is not a clone in which parts can be taken or put.
    """
    check(clones)
    with only_one(clones.target):
        return _merge(clones)


def _merge(clones: Clones) -> list[str]:
    refused = []
    finished = finished_runs(clones.source)
    if not any(finished.values()):
        raise UserError(f"FROM={clones.source}: no run is finished in a folder of that clone")
    for study, runs in finished.items():
        lacking, own = missing(clones, runs)
        wanted = [part for parts in lacking.values() for part in parts]
        differing = differences(clones, study, wanted)
        if differing:
            more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            refused.append(f"{study}: {'; '.join(differing[:SHOWN])}{more}")
            continue
        taken = 0
        for run, parts in lacking.items():
            try:
                refuse_damaged(clones.source, runs[run])
            except UserError as error:
                refused.append(str(error))
                continue
            size = take(clones, parts)
            taken += 1
            print(f"{study}: took {run}: {len(parts)} files, {size / 1e6:.1f} MB", flush=True)
        for run in own:
            print(f"{study}: {run} was trained here too: what is here stays as it is")
        here = len(runs) - len(lacking) - len(own)
        left = len(runs) - taken - here
        print(f"{study}: {taken} runs taken, {here} were here already, {left} left there")
    return refused


@contextmanager
def only_one(target: Path) -> Iterator[None]:
    """Let one command at a time take parts into a clone; the lock dies with its process.

    Raises `UserError` if another is at it.
    """
    path = target / ".snakemake" / "squareloss.lock"  # NFS locks files between hosts, not folders
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        try:
            lock(file, wait=False)
        except BlockingIOError:
            raise UserError(
                f"{target}: another job takes runs into this clone; wait for it"
            ) from None
        yield


def check(clones: Clones) -> None:
    """Raise `UserError` if parts cannot be taken from one of the two, or put into the other."""
    source, target = clones.source, clones.target
    if not (source / ".snakemake" / "metadata").is_dir():
        raise UserError(f"FROM={source}: not a clone in which Snakemake has run")
    if target.resolve() == source.resolve():
        raise UserError(f"FROM={source}: is this clone; name another one")
    refuse_locked(target)


def refuse_locked(target: Path) -> None:
    """Raise `UserError` while Snakemake runs in a clone."""
    if records.locked(target):
        raise UserError(
            f"{target}: Snakemake runs here; wait for its end (if it was killed, run it with "
            "--unlock first)"
        )


def _finished(clone: Path, output: str) -> bool:
    return (
        (clone / output).is_file()
        and not records.marker_path(clone, output).exists()
        and records.read(clone, output) is not None
    )


def _study(output: str) -> str | None:
    part = part_of(output)
    return part.study if part else None


def _settings_of(name: str, value: Any) -> dict[str, Any]:
    """The settings in one parameter of a rule: those that its runs have in common.

    The point of the run and the path of its checkpoint are its own.
    """
    if isinstance(value, str) and value.startswith("code of "):
        modules, _, digest = value.rpartition(": ")
        return {modules: digest}
    if name == "spec":
        asked = Asked.read(str(value))
        return settings_of_spec(asked) if asked else {"spec": "not readable"}
    return {} if name == "checkpoint" else {name: value}


def settings_of_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """What a training job must do, without what is its own among the runs of its study."""
    own = {"point", "recipe", "replicates"}
    recipe = spec["point"]["recipe_name"]
    return (
        {key: value for key, value in spec.items() if key not in own}
        | {f"recipes.{recipe}.{key}": value for key, value in spec["recipe"].items()}
        | {"block_size": len(spec["replicates"])}
    )


def found_here(target: Path, keys: Iterable[str]) -> Settings:
    """What the target has for those keys that name code, or data that are prepared there.

    It is what Snakemake would compare with.
    """
    labels = [key for key in keys if key.startswith("code of ")]
    found = {label: {digest_here(label) or "absent"} for label in labels}
    return found | {key: {_checksum(target / key)} for key in keys if (target / key).is_file()}


@cache
def _checksum(path: Path) -> str:
    """The checksum of a file, as Snakemake records it."""
    return f"sha256:{checksum(path)}"


def shown(values: set[str]) -> str:
    """Values of a setting in a message; long ones are not spelt out."""
    texts = (printable(text) if len(text) < 80 else "other text" for text in sorted(values))
    return " or ".join(texts)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copy2(source, target)
    except OSError as error:
        if error.filename != str(source) or error.errno in FULL:
            raise  # the target's: `whole` says what is wrong with it
        raise UserError(f"{source} could not be read: {error.strerror}") from None


def main() -> None:
    """Command line of `make merge`."""
    options = parser(__doc__)
    options.add_argument("--source", required=True, help="the other clone")
    options.add_argument("--target", default=".", type=Path, help="this clone")
    arguments = options.parse_args()
    refused = merge(Clones(Path(os.path.expanduser(arguments.source)), arguments.target))
    if refused:
        raise UserError(
            f"not taken from {arguments.source}, where settings differ or files are damaged: "
            + " | ".join(refused)
        )


if __name__ == "__main__":
    run_stage(main)
