"""The table of what the paper prints: each cell looked up and divided by hand."""

import numpy as np
import pandas as pd
import pytest
from made_runs import runs
from read_figures import finals
from test_countings import DENSE, with_convolutions

from squareloss.errors import UserError
from squareloss.figures.document_numbers import answer
from squareloss.figures.printed_numbers import beside, parameters, printed, signed
from squareloss.tables.readable import number


@pytest.fixture
def table():
    decayed, free = runs(init=[0.9, 1.0, 1.3]), runs(init=[0.9, 1.0])
    return with_convolutions(pd.concat([decayed, free.assign(weight_decay=0.0)]))


@pytest.fixture
def figure7():
    """Figure 7's network from two starts with two numbers of images; the bound is 5 times smaller
    if the convolutions alone are counted."""
    table = runs(init=[0.1, 0.9], n=[1000, 5000]).astype({"n_train": "int64"})
    return table.assign(eq16_printed_convolutions=table["eq16_printed"] / 5)


def cells(text):
    rows = [line.strip("| ").split(" | ") for line in text.strip().splitlines()]
    return {(row[0], row[1]): row[2:] for row in rows[2:]}


def test_each_number_is_the_median_of_the_start_that_figure_8_names(table, figure7):
    found = cells(printed(table, figure7, "cnn6"))
    last = finals(table, weight_decay=0.001, init_scale=0.9).median(numeric_only=True)
    dense = DENSE[0.9]
    for (name, place), (column, factor, paper) in {
        ("rho", "Section 3.5"): ("rho", 1 / dense, 500),
        ("largest margin", "Section 3.5"): ("max_margin", dense, 0.002),
        ("typical margin; by the code f_1 - f_2", "Section 5.1"): (
            "mean_margin",
            2 * dense,
            0.005,
        ),
        ("sd of the margins; by the code of f_1 - f_2", "Figure 10"): (
            "margin_sd",
            2 * dense,
            1e-4,
        ),
        ("Eq. 16", "Figure 6, start 0.1 (ours: 0.9)"): ("eq16_printed", 1 / dense, 10),
    }.items():
        text, code = found[name, place][1:]
        assert text.strip("*").startswith(f"{number(last[column])}, off by ")
        ours = last[column] * factor
        assert code.strip("*").startswith(f"{number(ours)}, off by ")
        assert code.startswith("**") == bool(abs(np.log10(ours / paper)) <= 0.5)
    free = finals(table, weight_decay=0.0, init_scale=0.9)["margin_sd"].median()
    assert found["sd without decay", "Figure 10"][1] == number(free)


def test_lines_are_through_the_starts_that_there_are(table, figure7):
    found = cells(printed(table, figure7, "cnn6"))
    place = "Figure 5, lambda = 0.001, 4 starts (ours: 3)"
    rows = finals(table, weight_decay=0.001).assign(x=lambda t: 1 / t["rho"])
    x, y = rows.groupby("init_scale")[["x", "test_error"]].mean().to_numpy().T
    assert found["slope", place][1].strip("*").startswith(number(np.polyfit(x, 1 - y, 1)[0]))
    assert float(found["R^2", place][1]) == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=6e-3)
    two = "Figure 5, lambda = 0, 5 starts (ours: 2)"
    assert found["p", two] == ["0.92", "n/a", "n/a"]


def test_three_layers_are_of_the_most_images_and_say_their_training_error(table, figure7):
    rows = finals(figure7, init_scale=0.9, n_train=5000)
    bound = rows["eq16_printed"].median()
    for error in (0, 0.125):
        figure7.loc[rows.index, "train_error"] = error
        place = f"Figure 7, start 0.1 (ours: 0.9, training error {error:g})"
        row = cells(printed(table, figure7, "cnn6"))["Eq. 16, three layers", place]
        assert row == ["almost not vacuous: 1", beside(1, bound), beside(1, bound / 5)]


@pytest.mark.parametrize(
    ("printed", "ours", "text"),
    [
        (500, 435.2, "**435, off by 1.1**"),
        (500, 5386.0, "5,386, off by 11"),
        (10, 3.0, "3, off by 3.3"),
        (10, float("nan"), "n/a"),
        (10, -2.0, "-2"),
    ],
)
def test_a_number_says_by_how_much_it_is_off(printed, ours, text):
    assert beside(printed, ours) == text


def test_a_slope_of_the_other_sign_is_not_beside_the_papers():
    assert signed(-18.968, -6.7) == "**-6.7, off by 2.8**"
    assert signed(-18.968, 6.7) == "6.7"
    assert signed(-18.968, float("nan")) == "n/a"


def test_parameters_are_the_weights_the_norms_and_rho():
    six = 864 + 18_432 + 73_728 + 147_456 + 3_276_800 + 2_048
    assert parameters("cnn6") == six + 6 + 1 == 3_519_335
    assert parameters("cnn3") == 864 + 18_432 + 1_152 + 3 + 1


def test_a_recipe_that_is_not_there_is_one_line(tmp_path, table, figure7):
    (tmp_path / "one" / "aggregate").mkdir(parents=True)
    table.to_parquet(tmp_path / "one" / "aggregate" / "figure_numbers.parquet")
    figure7.to_parquet(tmp_path / "one" / "aggregate" / "figure7.parquet")
    assert "in the order of 500" in answer("printed one cnn6", tmp_path)
    with pytest.raises(UserError, match="no recipe authors"):
        answer("printed one authors", tmp_path)
