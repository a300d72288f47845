"""What all claims share: picking runs, counting replicates, and how a verdict is shown."""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from recomputed.study import over, trained

from squareloss.claims import page, report, select
from squareloss.claims.claim import Claim, UnsuitableError
from squareloss.claims.verdict import counts, evaluate, judge


def claim(values, side=">", threshold=0.0, test="replicates", name="c", **rest):
    """A claim whose measured values are these; it reads the table t."""
    values = pd.Series(values, dtype=float)
    return Claim(name, "p", "s", "q", side, threshold, "b", lambda t: values, test, **rest)


def row_of(values, **options):
    """What is written of such a claim, before corrections."""
    return evaluate(claim(values, **options), {"t": pd.DataFrame()})


def ending(errors, **columns):
    """A run of two epochs whose replicates end at these training errors."""
    rows = trained(np.random.default_rng(0)).query("replicate < @n", local_dict={"n": len(errors)})
    rows = rows[rows["epoch"].isin([0, 40])].reset_index(drop=True)
    rows.loc[rows["epoch"] == 40, "train_error"] = errors
    for name, values in columns.items():
        rows.loc[rows["epoch"] == 40, name] = values
    return rows


def test_a_training_error_of_5_percent_is_not_learnt():
    values = select.learnt(ending([0.049, 0.05, math.nan]), pd.Series([1.0, 2.0, 3.0]))
    assert values.dropna().to_dict() == {0: 1.0}


def test_a_replicate_without_a_number_is_left_out_and_not_forgotten():
    rows = ending([0, 0])
    rows.loc[rows["replicate"] == 1, "nc1"] = math.nan
    ratio = select.ratio_to_start(rows, "nc1")
    assert list(ratio.index) == [0, 1]
    assert ratio.isna().tolist() == [False, True]
    fits = select.fits(rows, pd.Series({0: 7.0}))
    assert fits.isna().tolist() == [False, True]


def test_one_run_is_one_and_ends_are_two():
    rows = pd.concat([ending([0]).assign(n_train=n) for n in (100, 200)])
    with pytest.raises(UnsuitableError, match="one run with batch_size = 32"):
        select.at_end(rows, "rho", batch_size=32)
    with pytest.raises(UnsuitableError, match="a single run"):
        select.at_end(rows, "rho")
    assert len(select.at_end(rows, "rho", n_train=100)) == 1
    assert select.ends(rows, "n_train") == (100, 200)
    with pytest.raises(UnsuitableError, match="runs that differ in batch_size"):
        select.ends(rows, "batch_size")


def test_equal_values_have_no_trend():
    rows = pd.concat([ending([0]).assign(**point) for point in over(n_train=(1, 2, 3))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # SciPy warns of a constant
        assert np.isnan(select.trend(rows.assign(rho=1.0), "n_train", "rho")).all()


def test_what_the_tests_count():
    """A value on the threshold is on neither side; within it, the weaker of two sides counts."""
    assert counts(claim([]), np.array([0, 0, 0, 1, -1, -2])) == (1, 2)
    assert counts(claim([], side="<"), np.array([0, 0, 0, 1, -1, -2])) == (2, 1)
    values = np.array([0.02, 0.02, 0.01, 0, 0, 0, -0.02])
    assert counts(claim([], side="within", threshold=0.01), values) == (4, 2)
    assert counts(claim([], side="within", threshold=0.01), -values) == (4, 2)
    assert row_of([0, 0, 1])["holding"] == 1
    assert row_of([0.01, -0.01, -0.02, 0], side="within", threshold=0.01)["holding"] == 1


def test_as_many_left_out_as_measured_may_decide():
    assert row_of([1.0] * 8 + [math.nan] * 8)["p_for"] == pytest.approx(1 / 256)
    assert math.isnan(row_of([1.0] * 8 + [math.nan] * 9)["p_for"])


def test_no_effect_is_around_the_threshold():
    row = row_of([4.9, 5.1] * 4, threshold=5, negligible=0.2, negligible_because="b")
    assert row["p_negligible"] == pytest.approx(1 / 256)


def test_how_many_tests_a_claim_takes():
    small = {"negligible": 1.0, "negligible_because": "b"}
    assert [claim([], **small).tests, claim([]).tests] == [3, 2]
    within = {"side": "within", "threshold": 1.0}
    assert [claim([], **within, **small).tests, claim([], **within).tests] == [4, 3]
    assert [claim([], test=test).tests for test in ("every", "check")] == [0, 0]


def test_the_share_of_false_verdicts_decides_nothing():
    """Six claims with p = 697 / 2^16: 0.02 by Benjamini and Hochberg's method, 0.13 by Holm's."""
    claims = [claim([1.0] * 13 + [-1.0] * 3, name=f"c{i}") for i in range(6)]
    table = judge(claims, {"t": pd.DataFrame()}, tests=12)
    assert (table["bh_for"] < 0.05).all()
    assert set(table["verdict"]) == {"not decided"}


@pytest.mark.parametrize(("half", "why"), [(1.18, "not converged"), (1.08, "")])
def test_a_limit_that_covered_a_tenth_of_the_way_may_arrive(half, why):
    """From `half` to 1 in the second half of training, where 0 is claimed."""

    rows = ending([0] * 16).assign(stable_rank=1.0)
    middle = rows[rows["epoch"] == 0].assign(epoch=20, rho=half)
    table = pd.concat([rows.assign(rho=1.0), middle])
    limit = Claim(
        *("c", "p", "s", "q", "<", 0.0, "b"), lambda t: select.at_end(t, "rho"), limit=True
    )
    row = judge([limit], {"t": table}).loc[0]
    assert (row["half"], row["median"], row["why"]) == (half, 1, why)
    assert row["verdict"] == ("not decided" if why else "contradicted")


@pytest.fixture(scope="module")
def shown():
    """A table with each verdict, the statements and the checks mixed."""
    small = {"negligible": 0.5, "negligible_because": "b"}
    wide = np.linspace(2, 3.5, 16)
    claims = [
        claim([1.0] * 3, name="few"),
        claim([-1.0, 1.0] * 8, name="open"),
        claim([0.5, 2.0, -1.0], test="check", name="broken"),
        claim([0.5, 2.0], test="check", name="sound"),
        claim(wide, threshold=1, name="yes"),
        claim(-wide, name="no"),
        claim([0.1, -0.1] * 8, name="none", **small),
        claim([3.0, 5.0, 9.0], side="<", threshold=10, test="every", name="all"),
    ]
    return judge(claims, {"t": pd.DataFrame()})


def test_statements_and_checks_are_apart_and_the_undecided_last(shown):
    found = report.kinds(shown)
    assert list(found["statements"]["claim"]) == ["yes", "no", "none", "all", "few", "open"]
    assert list(found["checks of the implementation"]["claim"]) == ["broken", "sound"]
    assert report.counts(shown) == (
        "6 statements: 2 supported, 1 contradicted, 1 no such effect, 2 not decided. "
        "2 checks of the implementation: 1 passed, 1 failed."
    )


def test_a_readable_row_has_the_numbers_in_their_places(shown):
    rows = report.readable(shown).set_index("claim")
    measured = rows["median [95%], or worst"]
    # Between the 4th smallest and the 4th largest of 16 from 2 to 3.5 in steps of 0.1.
    assert measured["yes"] == "2.75 [2.3, 3.2]"
    assert (measured["broken"], measured["all"], measured["few"]) == (
        "-1 (worst)",
        "9 (worst)",
        "1",
    )
    assert rows.loc["yes", "claimed"] == "> 1"
    assert rows.loc["yes", "n"] == "16 replicates"
    assert rows.loc["all", "n"] == "3 cases"
    # 2^-16 in a family of 192; the two claims that are as clear take 191 and 190.
    assert rows.loc["yes", "p for (Holm)"] == "1.5e-05 (0.0029)"
    assert rows.loc["yes", "p against (Holm)"] == "1 (1)"
    assert rows.loc["no", "p against (Holm)"] == "1.5e-05 (0.0029)"
    assert rows.loc["no", "p for (Holm)"] == "1 (1)"
    assert rows.loc["none", "p no effect (Holm)"] == "1.5e-05 (0.0029)"
    assert rows.loc["yes", "p no effect (Holm)"] == ""
    marks = rows["verdict"].to_dict()
    assert marks == {
        **{"few": "? not decided", "open": "? not decided", "broken": "✘ failed"},
        **{"sound": "✔ passed", "yes": "✔ supported", "no": "✘ contradicted"},
        **{"none": "≈ no such effect", "all": "✔ supported"},
    }


def test_the_terminal_says_what_was_found_and_names_the_undecided(shown):
    lines = report.plain(shown).splitlines()
    found = [line.split()[1:] for line in lines if line.startswith(tuple("  " + m for m in "✔✘≈"))]
    assert [" ".join(words).partition(" (")[0] for words in found] == [
        "supported yes 2.75 [2.3, 3.2]",
        "contradicted no -2.75 [-3.2, -2.3]",
        "no such effect none 0 [-0.1, 0.1]",
        "supported all 9",
        "failed broken -1",
        "passed sound 0.5",
    ]
    text = "\n".join(lines)
    assert "  ? not decided, too few replicates: 1\n      few\n" in text
    assert "  ? not decided, inconclusive: 1\n      open\n" in text
    assert "too small to decide 1 of the statements" in text


ROW = {
    **{"values": "[1.0, null, 2.0, 3.0, 4.0]", "median": 2.5, "low": 1.5, "high": 3.5},
    **{"side": ">", "threshold": 2.0, "control_median": math.nan},
}


def at(value, low=1.0, high=4.0):
    """Where a value is drawn: between 8 pixels and 220 - 8."""
    return pytest.approx(8 + (value - low) / (high - low) * 204, abs=0.06)


def drawn(row):
    """Numbers in a claim's plot: dots, lines at thresholds, the shade, the interval, the median."""
    svg = page.plot(row)

    def numbers(pattern):
        return [tuple(map(float, match)) for match in re.findall(pattern, svg)]

    number = r"(-?[\d.]+)"
    return {
        "dots": [x for x, _ in numbers(rf'<circle cx="{number}" cy="{number}"')],
        "limits": [x for x, _ in numbers(rf'<line x1="{number}" x2="{number}" y2=')],
        "shade": numbers(rf'<rect x="{number}" width="{number}"'),
        "interval": numbers(rf'<line x1="{number}" x2="{number}" y1="26"'),
        "median": [float(x) for x in re.findall(rf'd="M{number} 21v10"', svg)],
    }


def test_a_plot_has_its_marks_where_the_numbers_are():
    found = drawn(ROW)
    assert found["dots"] == [at(value) for value in (1, 2, 3, 4)]
    assert found["limits"] == [at(2)]
    [(left, width)] = found["shade"]
    assert (left, left + width) == (at(2), pytest.approx(220, abs=0.1))
    assert found["interval"] == [(at(1.5), at(3.5))]
    assert found["median"] == [at(2.5)]
    [(left, width)] = drawn(ROW | {"side": "<"})["shade"]
    assert (left, left + width) == (0, at(2))
    assert "4 values from 1 to 4" in page.plot(ROW)
    assert drawn(ROW | {"low": math.nan, "high": math.nan})["interval"] == []


def test_a_plot_of_a_claim_around_0_has_both_limits():
    found = drawn(ROW | {"side": "within"})
    assert found["limits"] == [at(-2, low=-2), at(2, low=-2)]
    [(left, width)] = found["shade"]
    assert (left, left + width) == (at(-2, low=-2), at(2, low=-2))


def test_a_line_of_the_page_sorts_by_the_distance_and_links_its_figures(shown):
    row = shown.set_index("claim", drop=False).loc["yes"].to_dict()
    line = page.line(
        row | {"tables": "figure3, settled"}, "m", {"for": "0.1", "against": ""}, ["figure3"]
    )
    assert 'data-measured="1.75"' in line  # 2.75 is claimed above 1
    assert '<a href="../figures/figure3.png">figure3</a>' in line
    assert "settled.png" not in line
    assert "<dd>for 0.1</dd>" in line


def test_sections_are_those_of_the_paper():
    assert page.section("Section 3.5, Figure 3") == "Section 3"
    assert page.section("Sections 3.1 and 6.2") == "Sections 3"
    assert page.section("Galanti et al. 2022, for Section 6.1") == "Galanti et al. 2022"
    assert page.section("Eq. 7") == "Eq. 7"
