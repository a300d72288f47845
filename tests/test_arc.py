"""The arc between two trained networks: whose ends it has, and the way between them."""

import json
import math

import pandas as pd
import pytest
import safetensors.torch
import torch
from small_clone import RUNS, TINY, write_table

from squareloss import landscape
from squareloss.data.split import write_split
from squareloss.errors import UserError
from squareloss.measure.arc import slerp
from squareloss.share.archive import jobs
from squareloss.tables.landscape import LANDSCAPE
from squareloss.tables.parts import read
from squareloss.train import snapshots
from squareloss.train.job import prepare

REPLICATES = (4, 2, 3)


@pytest.mark.parametrize("theta", [1e-3, 0.4, 1.0, 3.0])
def test_the_way_is_even_on_the_great_circle(theta):
    """Unit vectors in the plane: the point at share t is at angle t theta."""
    a, b = (
        torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
        for angle in (-1, theta - 1)
    )
    for t in (0.0, 0.3, 0.5, 1.0):
        found = slerp(a, b, t)
        assert math.atan2(found[1], found[0]) == pytest.approx(t * theta - 1, abs=1e-12)
        assert found.norm().item() == pytest.approx(1, abs=1e-12)


@pytest.fixture
def drawn(tmp_path, split, make_spec, monkeypatch):
    """A function that makes the landscape of networks of which some are missing."""
    spec = make_spec(replicates=REPLICATES)
    replicates = prepare(spec, split).replicates
    files = {name: tmp_path / name for name in ("run", "snapshots", "data", "output")}

    def made(missing=()):
        kept = {  # earlier networks are others: rho_top is twice what it is in the end
            snapshots.key(r, epoch, name): tensor * (2 if epoch < 3 and name == "rho_top" else 1)
            for r, replicate in replicates.items()
            for epoch in spec.recipe.snapshot_epochs()
            if epoch < 3 or r not in missing
            for name, tensor in snapshots.tensors_of(
                replicate.model.network(), torch.zeros(3), torch.zeros(3)
            ).items()
        }
        safetensors.torch.save_file(kept, files["snapshots"])
        diverged_at = {str(r): 3 if r in missing else None for r in replicates}
        record = {"spec": spec.model_dump(mode="json"), "diverged_at": diverged_at}
        files["run"].write_text(json.dumps(record), encoding="utf-8")
        write_split(files["data"], split)
        options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
        monkeypatch.setattr("sys.argv", ["landscape", *options])
        landscape.main()
        return pd.read_parquet(files["output"])

    made.rho = {r: replicate.model.network().rho for r, replicate in replicates.items()}
    return made


def test_the_arc_goes_from_the_first_replicate_of_the_block_to_the_second(drawn):
    table = drawn(missing={3})
    assert len(table) == 41
    assert set(table["replicate"]) == {4}
    assert set(table["other"]) == {2}
    assert set(table["epoch"]) == {3}
    ends = table["rho_trained"]
    assert ends.iloc[0] == pytest.approx(drawn.rho[4], rel=1e-6)
    assert ends.iloc[-1] == pytest.approx(drawn.rho[2], rel=1e-6)


@pytest.mark.parametrize("missing", [{4}, {2}, {4, 2}])
def test_without_an_end_there_is_no_arc(drawn, missing, capsys):
    [row] = drawn(missing).to_dict("records")
    assert "a replicate diverged: there is no arc" in capsys.readouterr().err
    assert (row["replicate"], row["other"], row["epoch"]) == (4, 2, 3)
    assert all(math.isnan(row[name]) for name in ("angle", "mu", "M", "rho_trained", "lambda_eff"))


def test_an_arc_of_another_run_is_refused(tmp_path):
    first, second = RUNS
    path = write_table(tmp_path, first, LANDSCAPE, jobs(TINY)[first])
    assert len(read([path], LANDSCAPE))
    write_table(tmp_path, first, LANDSCAPE, jobs(TINY)[second])
    with pytest.raises(UserError, match="of another run than its path says: init_scale"):
        read([path], LANDSCAPE)
