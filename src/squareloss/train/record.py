"""The record of a trained run, run.json: what was asked for, how it went, and of which files.

A job that reads what training left asks it whether they belong together. Results of a network that
is another's, or has a flipped bit, would differ without a word.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from squareloss.errors import UserError
from squareloss.files import checksum
from squareloss.spec import RunSpec
from squareloss.tables import paths


class Record(BaseModel):
    """What readers need of run.json. Runs of earlier versions have no checksums."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    spec: RunSpec
    diverged_at: dict[int, int | None]  # by replicate: the epoch
    sha256: dict[str, str] = Field(default_factory=dict)  # by what the file is: snapshots, history


@dataclass(frozen=True)
class Trained:
    """A finished run, from the path of its run.json."""

    path: str
    record: Record

    @property
    def spec(self) -> RunSpec:
        """What training was asked for."""
        return self.record.spec

    def refuse_altered(self, **files: str | Path) -> None:
        """Raise `UserError` if a file, by what it is, is not the one that training wrote."""
        for name, path in files.items():
            try:
                written = self.record.sha256.get(name)
                altered = written is not None and checksum(path) != written
            except OSError as error:
                raise UserError(f"{path} could not be read: {error.strerror}") from None
            if altered:
                raise UserError(
                    f"{path} is not the file that {self.path} was written with: it was altered, or "
                    "is another run's; train again"
                )

    def refuse_other_snapshots(self, path: str | Path) -> None:
        """Raise `UserError` unless a snapshots file is the one that this run left.

        It has every replicate at every epoch that is kept, but those at which one had diverged.
        """
        self.refuse_altered(snapshots=path)
        kept = {
            (str(replicate), str(epoch))
            for replicate, at in self.record.diverged_at.items()
            for epoch in self.spec.recipe.snapshot_epochs()
            if at is None or epoch < at
        }
        try:
            with safe_open(path, framework="np") as file:
                found = {tuple(name.split("/")[:2]) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: not a readable snapshots file ({error}); train again"
            ) from None
        if found != kept:
            raise UserError(
                f"{path}: not the snapshots that {self.path} is of: it lacks some, or has others; "
                "train again"
            )


def checksums(**files: str | Path) -> dict[str, dict[str, str]]:
    """What run.json says of the files that training wrote before it."""
    return {"sha256": {name: checksum(path) for name, path in files.items()}}


def read(path: str | Path) -> Trained:
    """Read a run.json.

    Raises `UserError` if the file is damaged or of another run, or block, than its path says.
    """
    try:
        found = Record.model_validate_json(Path(path).read_bytes())
    except ValidationError as error:
        raise UserError(f"{path}: not the record of a run ({_first(error)}); train again") from None
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror}") from None
    spec, part = found.spec, paths.below(path)
    size = len(spec.replicates)
    if part is not None:
        block = tuple(range(part.block * size, (part.block + 1) * size))
        if (spec.point, spec.replicates) != (part.point, block):
            raise UserError(f"{path}: the record of another run or block; train again")
    if set(found.diverged_at) != set(spec.replicates):
        raise UserError(f"{path}: `diverged_at` is not of the run's replicates; train again")
    return Trained(str(path), found)


def _first(error: ValidationError) -> str:
    problem: Any = error.errors()[0]
    where = ".".join(str(piece) for piece in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]
