"""What docs/performance.md says of precision, against the table that it names."""

import re
from decimal import Decimal

import pandas as pd
import pytest
from workflow_copy import ROOT

TABLE = ROOT / "results" / "reference" / "precision" / "tables" / "figure_precision.csv"
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


def test_the_page_shows_the_table():
    numbers = pd.read_csv(TABLE).set_index(["weight_decay", "recipe_name"])
    _, _, section = (ROOT / "docs" / "performance.md").read_text("utf-8").partition("## Precision")
    _, _, table = section.partition("|---|---|---|---|---|\n")
    lines = [line.split("|")[1:-1] for line in table.partition("\n\n")[0].splitlines()]
    assert len(lines) == 11
    decay = None
    for first, measure, *cells in lines:
        decay = float(first) if first.strip() else decay
        name = NAMES[measure.strip()]
        for recipe, cell in zip(("float64", "float32", "bfloat16"), cells, strict=True):
            row = numbers.loc[(decay, recipe)]
            columns = [name]
            if recipe != "float64":
                columns += [f"{name}_ratio", f"{name}_ratio_low", f"{name}_ratio_high"]
                apart = not row[columns[2]] <= 1 <= row[columns[3]]
                assert cell.strip().startswith("**") == apart, cell
            assert row[columns].tolist() == [shown(n) for n in re.findall(NUMBER, cell)], cell


def test_float32_is_not_told_from_float64():
    numbers = pd.read_csv(TABLE).set_index("recipe_name").loc["float32"]
    lows = [name for name in numbers.columns if name.endswith("_ratio_low")]
    assert len(lows) * len(numbers) == 18
    for low in lows:
        assert (numbers[low] <= 1).all(), low
        assert (numbers[low.replace("_low", "_high")] >= 1).all(), low
