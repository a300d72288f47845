"""A clone with finished runs that nobody trained: parts and records of the right form."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence
from workflow_copy import ROOT

from squareloss.share import snakemake_records as records
from squareloss.share.archive import jobs
from squareloss.source.code import code
from squareloss.spec import canonical_json
from squareloss.study.files import read
from squareloss.tables.history import HISTORY
from squareloss.tables.metrics import METRICS
from squareloss.theory.bounds import BOUNDS
from squareloss.train.record import checksums

TINY = read([str(ROOT / "config.yaml"), str(ROOT / "tests" / "tiny.yaml")])
STUDY = "results/tiny"
RUNS = sorted(jobs(TINY))


# What a table has a row of at each epoch of a replicate, besides that epoch.
SEVERAL = {
    "margins": [{"sample": sample} for sample in range(40)],
    "layers": [{"layer": layer} for layer in (1, 2)],
    "bounds": [{"bound": name} for name in BOUNDS],
}


def values(table, replicate, epoch):
    """The rows of an epoch, with a value in every column."""
    plain = {"string": "", "bool": True}
    row = {c.name: plain.get(c.type, 1 + replicate + epoch / 8) for c in table.columns}
    row |= {c.name: 1 for c in table.columns if c.type.startswith("int")}
    row |= {"replicate": replicate, "epoch": epoch}
    return [row | own for own in SEVERAL.get(table.name, [{}])]


def write_table(clone, run, table, spec):
    epochs = spec.recipe.snapshot_epochs()
    rows = [row for r in spec.replicates for epoch in epochs for row in values(table, r, epoch)]
    path = clone / STUDY / "metrics" / table.name / f"{run}.parquet"
    table.write(path, spec.point, rows)
    return path


def write_run(clone, run, spec, study=TINY):
    """All parts of a run and block but Figure 2's, with a record each."""
    folder = clone / STUDY / "runs" / run
    folder.mkdir(parents=True)
    weights = np.random.default_rng(len(run)).normal(size=(3, 4)).astype(np.float32)
    snapshots = {
        f"{replicate}/{epoch}/weight1": weights + replicate
        for replicate in spec.replicates
        for epoch in spec.recipe.snapshot_epochs()
    }
    safetensors.numpy.save_file(snapshots, folder / "snapshots.safetensors")
    history = write_table(clone, run, HISTORY, spec)
    record = {"spec": spec.model_dump(), "diverged_at": dict.fromkeys(spec.replicates)}
    record |= checksums(snapshots=folder / "snapshots.safetensors", history=history)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    trained = [f"{STUDY}/runs/{run}/{name}" for name in ("run.json", "snapshots.safetensors")]
    trained.append(f"{STUDY}/metrics/history/{run}.parquet")
    measured = [str(write_table(clone, run, t, spec).relative_to(clone)) for t in METRICS]
    modules = spec.recipe.modules()
    for name in trained:
        write_record(clone, name, "train", code("train", *modules), spec=canonical_json(spec))
    for name in measured:
        write_record(clone, name, "extract", code("extract", *modules), delta=study.delta)
    return sorted([*trained, *measured])


def write_record(clone, output, rule, label, **parameters):
    """Snakemake's own record of an output, as it writes it."""
    words = " ".join(f"--{name} '{value}'" for name, value in parameters.items())
    record = MetadataRecord(
        rule=rule,
        code=f"python -m squareloss.{rule}",
        shellcmd=f"python -m squareloss.{rule} {words}",
        params=sorted(repr(value) for value in (label, *parameters.values())),
        record_format_version=records.FORMAT,
        incomplete=False,
        starttime=1.0,
        endtime=2.0,
    )
    FilePersistence(path=Path(clone) / ".snakemake")._write_record(output, record)


def small_clone(folder, runs=RUNS):
    """A clone with these runs of the tiny study."""
    (folder / ".snakemake").mkdir(parents=True)
    specs = jobs(TINY)
    return {run: write_run(folder, run, specs[run]) for run in runs}


def contents(folder):
    """Every file below a folder with its bytes, but the lock by which commands take turns."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name != "squareloss.lock"
    }
