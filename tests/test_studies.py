"""The shipped configs ask for runs that their figures take: a refusal would come after training."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from accepted import refusal

from squareloss.source import catalog
from squareloss.study import files as configfiles
from squareloss.study import sweep
from squareloss.study.load import load
from squareloss.tables.aggregate import TRAINED

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def table_of(study, experiment):
    """One row a run of the experiment: what a run is, and rho and mu, which one figure joins."""
    rows = []
    for point in sweep.points_of(study, experiment):
        recipe = study.recipes[point.recipe_name]
        settings = {name: getattr(recipe, name) for name in TRAINED}
        rows.append(point.model_dump() | settings | {"replicate": 0, "epoch": 0, "rho": 1, "mu": 1})
    return pd.DataFrame(rows)


def cases():
    """Each shipped study, and each of its figures that is drawn from runs."""
    paper = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for overlay in ({}, *(yaml.safe_load(p.read_text()) for p in CONFIGS)):
        raw = configfiles.merged(paper, overlay)
        for dataset in raw["datasets"].values():
            if dataset["source"] == "parquet":  # files that a clone does not have
                dataset |= {"source": "cifar10", "root": "data/cifar10"}
        study = load(raw)
        for name in study.figures:
            if catalog.figures()[name].varies is not None:
                yield pytest.param(study, name, id=f"{study.study}-{name}")


@pytest.mark.parametrize(("study", "name"), list(cases()))
def test_a_figure_takes_the_runs_that_a_config_asks_for(study, name, monkeypatch):
    assert refusal(monkeypatch, name, table_of(study, name)) == ""
