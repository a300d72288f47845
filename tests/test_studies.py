"""The shipped configs ask for runs that their figures take: a refusal would come after training."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from squareloss import catalog, config, sweep
from squareloss.figures import style
from squareloss.tables.aggregate import TRAINED

ROOT = Path(__file__).parents[1]


class TakenError(Exception):
    """Raised where a figure has accepted its table, before it is drawn."""


def table_of(study, experiment):
    """One row a run of the experiment: what a run is, without anything measured."""
    rows = []
    for point in sweep.points_of(study, experiment):
        recipe = study.recipes[point.recipe_name]
        settings = {name: getattr(recipe, name) for name in TRAINED}
        rows.append(point.model_dump() | settings | {"replicate": 0, "epoch": recipe.epochs})
    return pd.DataFrame(rows)


def checked():
    """Config and figure, of each figure that is drawn from a table of runs and refuses some."""
    for overlay in (None, *sorted((ROOT / "config").glob("*.yaml"))):
        merged = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
        if overlay:
            update_config(merged, yaml.safe_load(overlay.read_text(encoding="utf-8")))
        for dataset in merged["datasets"].values():
            if dataset.get("source") == "parquet":  # files that a clone does not have
                dataset |= {"source": "cifar10", "root": "data/cifar10"}
        study = config.load(merged)
        for name in study.figures:
            source = ROOT / f"src/squareloss/figures/{name}.py"
            about = catalog.figures()[name]
            if about.reads == ("table",) and "check_sweep" in source.read_text(encoding="utf-8"):
                yield pytest.param(study, name, id=f"{study.study}-{name}")


@pytest.mark.parametrize(("study", "name"), list(checked()))
def test_a_figure_takes_the_runs_that_a_config_asks_for(study, name, monkeypatch):
    check = style.check_sweep

    def taken(table, *varied):
        check(table, *varied)
        raise TakenError

    monkeypatch.setattr(style, "check_sweep", taken)
    module = importlib.import_module(f"squareloss.figures.{name}")
    with pytest.raises(TakenError):
        module.draw(table_of(study, name))
