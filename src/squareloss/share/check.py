"""Whether the parts of a run are whole and belong together, before they go to another clone."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from squareloss.errors import UserError
from squareloss.share import snakemake_records as records
from squareloss.tables.history import HISTORY
from squareloss.tables.landscape import LANDSCAPE
from squareloss.tables.metrics import METRICS
from squareloss.tables.parts import read
from squareloss.tables.paths import Part, part
from squareloss.train import record

WEIGHTS = "snapshots.safetensors"
TABLES = {table.name: table for table in (HISTORY, *METRICS, LANDSCAPE)}
# What makes a part, and the parameters without which nothing could be compared.
RULES = {"run.json": "train", WEIGHTS: "train", "history": "train", "landscape": "landscape"}
NEEDED = {"train": {"spec"}, "extract": {"delta"}, "landscape": set[str]()}


class _Point(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    recipe_name: str


class Asked(BaseModel):
    """The spec in a record of training, of any version: what comparing it needs."""

    model_config = ConfigDict(extra="allow", strict=True)

    point: _Point
    recipe: dict[str, Any]
    replicates: list[int]

    @classmethod
    def read(cls, text: str) -> dict[str, Any] | None:
        """The spec as a dictionary; None if the text is none."""
        try:
            return cls.model_validate_json(text).model_dump()
        except ValidationError:
            return None


def refuse_damaged(clone: Path, names: list[str]) -> None:
    """Raise `UserError` for what is wrong with the parts of one run and block of a clone.

    Each is a regular file in the folder of the study itself, has the record of the rule that makes
    it, and holds what its path says; what training wrote is what its run.json was written with.
    """
    files = {}
    for name in names:
        found = part(name)
        if found is None:
            raise UserError(f"{name}: not the name of a part of a run")
        files[found.file] = clone / name
        _refuse_link(clone, name, found)
        _refuse_unrecorded(clone, name, found)
    if "run.json" not in files:
        raise UserError(f"{clone}: {names[0]} comes without its run.json")
    trained = record.read(files["run.json"])
    if WEIGHTS in files:
        trained.refuse_other_snapshots(files[WEIGHTS])
    if "history" in files:
        trained.refuse_altered(history=files["history"])
    spec = trained.spec
    for file, path in files.items():
        if file not in TABLES:
            continue
        table = read([path], TABLES[file])
        history = file == "history"
        epochs = spec.recipe.evaluation_epochs() if history else spec.recipe.snapshot_epochs()
        there = set(table[["replicate", "epoch"]].itertuples(index=False, name=None))
        samples = spec.point.n_train * len(there) if file == "margins" else len(table)
        if file != "landscape" and (
            there != {(r, epoch) for r in spec.replicates for epoch in epochs}
            or len(table) != samples
        ):
            raise UserError(f"{path} has other replicates, epochs or samples than its run.json")


def _refuse_link(clone: Path, name: str, found: Part) -> None:
    """The folder of the study may be a link, to a larger disk. Nothing below may lead elsewhere."""
    path, study = clone / name, (clone / found.study).resolve()
    if path.resolve() != study / name.removeprefix(f"{found.study}/") or not path.is_file():
        raise UserError(f"{path} is a link or no regular file")


def _refuse_unrecorded(clone: Path, name: str, found: Part) -> None:
    rule = RULES.get(found.file, "extract")
    stored = records.read(clone, name)
    if stored is None or stored.rule.rpartition("_")[2] != rule:
        raise UserError(f"{clone / name} has no readable record of the rule {rule}")
    spec = stored.parameters.get("spec")
    if "spec" in NEEDED[rule] and not Asked.read(str(spec)):
        raise UserError(f"{clone / name} has a record without the spec of its run")
    labelled = any(key.startswith("code of ") for key in stored.parameters)
    if not labelled or not NEEDED[rule] <= stored.parameters.keys():
        raise UserError(f"{clone / name} has a record that does not say what it was made with")
