"""What docs/performance.md says of precision, against the table that it names."""

import re
from decimal import Decimal

import pandas as pd
import pytest
import yaml
from workflow_copy import ROOT

CPU, GPU = ["float32", "bfloat16"], ["float32", "tf32", "bfloat16"]  # beside float64
NAMES = {
    "rho": "rho",
    "mean margin": "mean_margin",
    "sd of the margins": "margin_sd",
    "training loss": "train_loss",
    "change of V_k in the last epoch": "update_norm",
    "NC1": "nc1",
}
NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e-\d+)?"


def shown(number):
    """A number of the page, which the table's rounds to."""
    value = Decimal(number.replace(",", ""))
    half = 0.51 * 10.0 ** int(value.as_tuple().exponent)
    return pytest.approx(float(value), rel=4e-3 if "," in number else 0, abs=half)


def table_of(study):
    """The committed table of a study of precisions."""
    folder = ROOT / "results" / "reference" / study / "tables"
    return pd.read_csv(folder / "figure_precision.csv")


@pytest.mark.parametrize(
    ("study", "heading", "recipes"),
    [
        ("precision", "## Precision", CPU),
        ("precision-gpu", "### tf32 and bfloat16 on a GPU", GPU),
    ],
)
def test_the_page_shows_the_table(study, heading, recipes):
    numbers = table_of(study).set_index(["weight_decay", "recipe_name"])
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    _, _, section = page.partition(f"{heading}\n")
    _, _, table = section.partition(f"{'|---' * (3 + len(recipes))}|\n")
    lines = [line.split("|")[1:-1] for line in table.partition("\n\n")[0].splitlines()]
    assert len(lines) == 11
    decay = None
    for first, measure, *cells in lines:
        decay = float(first) if first.strip() else decay
        name = NAMES[measure.strip()]
        for recipe, cell in zip(["float64", *recipes], cells, strict=True):
            row = numbers.loc[(decay, recipe)]
            columns = [name]
            if recipe != "float64":
                columns += [f"{name}_ratio", f"{name}_ratio_low", f"{name}_ratio_high"]
                apart = not row[columns[2]] <= 1 <= row[columns[3]]
                assert cell.strip().startswith("**") == apart, cell
            assert row[columns].tolist() == [shown(n) for n in re.findall(NUMBER, cell)], cell


def test_the_gpu_trains_the_same_and_tf32():
    cpu, gpu = (
        yaml.safe_load((ROOT / "config" / f"{study}.yaml").read_text("utf-8"))
        for study in ("precision", "precision-gpu")
    )
    [sweep] = cpu["experiments"]["figure_precision"]["sweeps"]
    sweep["recipe"].insert(2, "tf32")
    recipes = cpu["recipes"] | {"tf32": {"like": "cnn3", "precision": "tf32"}}
    assert gpu == cpu | {"study": "precision-gpu", "device": "cuda", "recipes": recipes}


@pytest.mark.parametrize("study", ["precision", "precision-gpu"])
def test_float32_is_not_told_from_float64(study):
    numbers = table_of(study).set_index("recipe_name").loc["float32"]
    lows = [name for name in numbers.columns if name.endswith("_ratio_low")]
    assert len(lows) * len(numbers) == 18
    for low in lows:
        assert (numbers[low] <= 1).all(), low
        assert (numbers[low.replace("_low", "_high")] >= 1).all(), low


def test_tf32_is_told_from_float64_by_its_floor_alone():
    numbers = table_of("precision-gpu").set_index(["recipe_name", "weight_decay"]).loc["tf32"]
    lows = [name for name in numbers.columns if name.endswith("_ratio_low")]
    apart = {
        (decay, low.removesuffix("_ratio_low"))
        for decay, row in numbers.iterrows()
        for low in lows
        if not row[low] <= 1 <= row[low.replace("_low", "_high")]
    }
    assert len(lows) == 9
    assert apart == {(0, "margin_sd"), (0, "train_loss"), (0, "update_norm")}
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    spread, loss = numbers.loc[0, ["margin_sd_ratio", "train_loss_ratio"]].round()
    assert f"spread {spread:.0f} times as wide as those of float64" in page
    assert f"its loss is {loss:.0f} times as large" in page
