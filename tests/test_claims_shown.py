"""How verdicts are shown: in Markdown, on a terminal, as plots and lines of the page."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from made_claims import claim

from squareloss.claims import page, report
from squareloss.claims.verdict import judge


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
        claim([4.0, 6.0], test="number", name="only reported"),
    ]
    return judge(claims, {"t": pd.DataFrame()})


def test_each_kind_is_apart_and_the_undecided_last(shown):
    found = report.kinds(shown)
    assert list(found["statements"]["claim"]) == ["yes", "no", "none", "all", "few", "open"]
    assert list(found["checks of the implementation"]["claim"]) == ["broken", "sound"]
    assert sum(map(len, found.values())) == len(shown)
    assert report.counts(shown) == (
        "6 statements: 2 supported, 1 contradicted, 1 no such effect, 2 not decided. "
        "2 checks of the implementation: 1 passed, 1 failed. "
        "1 numbers that are reported and not judged: 1 reported."
    )


def test_a_readable_row_has_the_numbers_in_their_places(shown):
    rows = report.readable(shown)
    rows = rows.set_index(rows["claim"].str.partition(" (")[0])
    measured = rows["median [95%], or worst"]
    # Between the 4th smallest and the 4th largest of 16 from 2 to 3.5 in steps of 0.1.
    assert measured["yes"] == "2.75 [2.3, 3.2]"
    assert (measured["broken"], measured["all"], measured["few"]) == (
        "-1 (worst)",
        "9 (worst)",
        "1",
    )
    assert rows.loc["yes", "claimed"] == "> 1, robust"
    assert rows.loc["yes", "n"] == "16 replicates"
    assert rows.loc["all", "n"] == "3 cases"
    assert rows.loc["yes", "claim"] == f"yes ({shown['place'].iloc[0]})"
    assert rows.loc["yes", "why"] == "p = 0.0029 after Holm's correction"
    assert rows.loc["few", "why"].startswith("too few replicates; ")
    assert len(rows.columns) == 8  # more are too wide to be read
    marks = rows["verdict"].to_dict()
    assert marks == {
        **{"few": "? not decided", "open": "? not decided", "broken": "✘ failed"},
        **{"sound": "✔ passed", "yes": "✔ supported", "no": "✘ contradicted"},
        **{"none": "≈ no such effect", "all": "✔ supported", "only reported": "· reported"},
    }


def test_each_p_value_is_of_its_side(shown):
    rows = {row["claim"]: row for row in shown.to_dict("records")}
    # 2^-16 in a family of 192; the two claims that are as clear take 191 and 190.
    assert report.p_value(rows["yes"], "for") == "1.5e-05 (0.0029)"
    assert report.p_value(rows["yes"], "against") == "1 (1)"
    assert report.p_value(rows["no"], "against") == "1.5e-05 (0.0029)"
    assert report.p_value(rows["no"], "for") == "1 (1)"
    assert report.p_value(rows["none"], "negligible") == "1.5e-05 (0.0029)"
    assert report.p_value(rows["yes"], "negligible") == ""


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
    start = lines.index("  ? not decided, too few replicates: 1")
    assert lines[start + 1 : start + 5] == [
        "      few",
        "  ? not decided, inconclusive: 1",
        "      open",
        "",
    ]
    assert sum("? not decided" in line for line in lines) == 2
    assert "too small to decide 1 of the statements" in "\n".join(lines)


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
        "control": [float(x) for x in re.findall(rf'd="M{number} 22l', svg)],
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


def test_a_plot_has_the_control_beside_the_values_or_at_the_edge():
    assert drawn(ROW)["control"] == []
    assert drawn(ROW | {"control_median": 2.5})["control"] == [at(2.5)]
    found = drawn(ROW | {"control_median": 5.0})
    assert found["control"] == [at(5, high=5)]
    assert found["dots"][-1] == at(4, high=5)
    far = drawn(ROW | {"control_median": -900.0})  # as far from the values as they range
    assert far["control"] == [at(-2, low=-2)]
    assert far["dots"][0] == at(1, low=-2)


def test_a_plot_of_a_number_has_no_threshold():
    found = drawn(ROW | {"side": "", "threshold": math.nan})
    assert found["limits"] == []
    assert found["shade"] == [(0, 0)]
    assert len(found["dots"]) == 4


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
