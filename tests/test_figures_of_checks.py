"""The figures of precision, size, gradient flow and of the rule by which claims are judged."""

import math

import numpy as np
import pandas as pd
import pytest
from made_runs import EPOCHS, run
from read_figures import assert_labelled, finals, line, pairs, title, words

from squareloss.figures import (
    figure_gradientflow,
    figure_precision,
    figure_size,
    figure_verdicts,
    style,
)
from squareloss.small.problems import flow_rows


def test_the_flow_of_small_problems_is_drawn():
    table = pd.DataFrame(flow_rows(2022, 0))
    figure = figure_gradientflow.draw(table)
    left, middle, right = figure.axes
    course = table[table["method"] == "flow"]
    np.testing.assert_allclose(line(left), course["rho"])
    assert sorted(line(middle)) == sorted(table["distance"].dropna())
    points = [len(line(right, i)) for i in range(2)]  # by layer norm
    assert sum(points) == (table["method"] == "momentum").sum()


def test_the_rule_of_the_claims_is_drawn(monkeypatch):
    monkeypatch.setattr(figure_verdicts, "STUDIES", 60)
    figure = figure_verdicts.draw()
    assert_labelled(figure)
    left, right = figure.axes
    level, tests = 0.05, 192
    shares = {line.get_label(): line.get_ydata() for line in left.lines}
    # The sign test does not know whether a law is skewed; the t test does.
    assert max(shares["sign test, lognormal"]) <= 3 * level
    assert min(shares["t test, lognormal"]) > 0.5
    # All of 12 must agree, 15 of 16.
    power = {line.get_label(): line.get_ydata() for line in right.lines}
    share = right.lines[0].get_xdata()
    assert 2**-12 * tests < level < 2**-11 * tests
    np.testing.assert_allclose(power["12 replicates"], share**12)
    np.testing.assert_allclose(power["16 replicates"], 16 * share**15 - 15 * share**16)
    assert not power["10 replicates"].any()


def test_precision_is_compared_replicate_by_replicate():
    table = pd.concat(
        [
            run(i, replicates=7, decay=decay, recipe=recipe)
            for i, (decay, recipe) in enumerate(
                (decay, recipe) for decay in (1e-3, 0) for recipe in ("float64", "bfloat16")
            )
        ],
        ignore_index=True,
    )
    stuck = table["replicate"].eq(3) & table["recipe_name"].eq("bfloat16")
    lost = table.assign(train_error=table["train_error"].where(~stuck, 0.5))
    figure = figure_precision.draw(lost)
    assert_labelled(figure)
    rho = figure.axes[0]
    grey = [a for a in rho.lines if a.get_markeredgecolor() == style.GREY]
    values = [value for a in grey for value in a.get_ydata()]
    np.testing.assert_allclose(sorted(values), sorted(finals(table[stuck])["rho"]))
    good = finals(lost[lost["train_error"].eq(0) & ~stuck], weight_decay=1e-3)
    bars = np.concatenate([bar.get_segments() for bar in rho.collections])[:, 0, 1]
    assert good.groupby("recipe_name")["rho"].median()["bfloat16"] in bars
    made = figure_precision.tabulate(table)
    numbers, text = made.numbers, made.text
    found = numbers[numbers["weight_decay"].eq(0) & numbers["recipe_name"].eq("bfloat16")].iloc[0]
    last = table[table["epoch"].eq(EPOCHS) & table["weight_decay"].eq(0)]
    exact, rounded = (
        last[last["recipe_name"] == name].sort_values("replicate")["rho"].to_numpy()
        for name in ("float64", "bfloat16")
    )
    ratio = rounded / exact
    assert found["rho"] == np.median(rounded)
    assert found["rho_ratio"] == pytest.approx(np.median(ratio))
    # Of seven replicates all lie on one side of the median with probability 1/64: the range.
    assert [found["rho_ratio_low"], found["rho_ratio_high"]] == pytest.approx(
        [ratio.min(), ratio.max()]
    )
    assert "(ratio" in text.set_index("precision").loc["bfloat16", r"$\rho$"].iloc[0]
    assert "(ratio" not in text.set_index("precision").loc["float64", r"$\rho$"].iloc[0]
    # Of three replicates no interval holds the median with 95%.
    few = figure_precision.tabulate(table[table["replicate"] < 3]).text.astype(str)
    assert few.apply(lambda column: column.str.contains(r"\(ratio [^,]*\)")).any(axis=None)
    assert not few.apply(lambda column: column.str.contains("nan")).any(axis=None)


def test_sizes_are_drawn_and_tabulated_by_width_and_images():
    table = pd.concat(
        [
            run(i, replicates=1, decay=decay, width=width, n=n)
            for i, (width, n, decay) in enumerate(
                (width, n, decay)
                for width in (0.25, 1.0)
                for n in (1000, 10000)
                for decay in (0, 1e-3)
            )
        ],
        ignore_index=True,
    )
    figure = figure_size.draw(table)
    assert_labelled(figure)
    assert len(figure.axes) == 16
    assert [ax.get_title("left").split("\n")[1] for ax in figure.axes[:2]] == [
        "N = 10,000, batches of 128",
        "N = 1,000, batches of 128",
    ]
    assert "Median" not in words(figure)  # of one replicate
    names = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert names == [figure_size.name(width, decay) for width in (1, 0.25) for decay in (1e-3, 0)]
    # What the paper prints stands at the convolutions' rho, which this table lacks.
    assert not [line for ax in figure.axes for line in ax.lines if line.get_linestyle() == ":"]

    made = figure_size.tabulate(table)
    assert len(made.numbers) == len(made.text) - 1 == 8
    paper = made.text.iloc[0].tolist()
    assert paper == ["the paper", *[""] * 11]  # whose numbers stand at the convolutions' rho
    last = table[table["epoch"].eq(EPOCHS)]
    for row in made.numbers.to_dict("records"):
        same = last[(last[figure_size.BY] == [row[name] for name in figure_size.BY]).all(axis=1)]
        assert row["rho_median"] == same["rho"].item()
        assert row["nc3_least"] == row["nc3_largest"] == same["nc3"].item()
        assert row["replicates"] == 1
    assert made.text.iloc[-1][["width", "N", r"$\lambda$"]].tolist() == ["1", "10,000", "0.001"]
    assert " to " not in "".join(made.text.iloc[1:].to_numpy().ravel())

    several = pd.concat([run(0, n=1000), run(1, n=2000)], ignore_index=True)
    rho = several[several["epoch"].eq(EPOCHS) & several["n_train"].eq(1000)]["rho"]
    cell = figure_size.tabulate(several).text.set_index("N").loc["1,000", r"Product norm $\rho$"]
    assert cell == f"{rho.median():.3g} ({rho.min():.3g} to {rho.max():.3g})"


def test_precisions_stand_at_their_names():
    parts = [
        run(i, decay=decay, recipe=recipe)
        for i, (decay, recipe) in enumerate(
            (d, r) for d in (1e-3, 0) for r in ("float64", "bfloat16", "tf32")
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    figure = figure_precision.draw(table)
    measures = dict(zip(figure_precision.MEASURES, figure.axes, strict=True))
    assert title(measures["rho"]) == r"$\rho$"
    assert title(measures["test_error"]).startswith("test error")
    for measure, ax in measures.items():
        assert title(ax) == figure_precision.MEASURES[measure]
        names = [tick.get_text() for tick in ax.get_xticklabels()]
        assert names == ["bfloat16", "float64", "tf32"]
        for artist, bars, decay in zip(ax.lines[::2], ax.collections, (1e-3, 0), strict=True):
            rows = finals(table, weight_decay=decay)
            middle = [np.median(rows[rows["recipe_name"] == name][measure]) for name in names]
            found = [segment[0, 1] for segment in bars.get_segments()]
            if rows[measure].min() > 0:
                np.testing.assert_allclose(found, middle)
            if ax.get_yscale() == "log":
                rows = rows[rows[measure] > 0]
            x = [names.index(name) for name in rows["recipe_name"]]
            found = pairs(np.round(artist.get_xdata()), artist.get_ydata())
            assert found == pairs(x, rows[measure])
            assert (artist.get_markerfacecolor() == "none") == (decay == 0)


def test_the_flow_is_drawn_with_its_times_steps_and_predictions():
    nan = math.nan
    rows = [
        {"method": "flow", "replicate": r, "time": t, "rho": r + t} for r in (0, 1) for t in (0, 1)
    ]
    rows += [
        {"method": "descent", "replicate": r, "step": s, "distance": (r + 2) * s}
        for r in (0, 1)
        for s in (0.1, 0.2)
    ]
    rows += [
        {"method": "momentum", "replicate": r, "norms": g, "rho_dot_eq6": p, "rho_dot_measured": m}
        for r, g, p, m in ((0, 1.0, 1.0, 1.5), (0, 1.5, 2.0, 2.25), (1, 1.0, 4.0, 3.0))
    ]
    left, middle, right = figure_gradientflow.draw(pd.DataFrame(rows).fillna(nan)).axes
    for r in (0, 1):
        np.testing.assert_allclose(left.lines[r].get_data(), [[0, 1], [r, r + 1]])
        steps = np.array([0.1, 0.2])
        np.testing.assert_allclose(middle.lines[r].get_data(), [steps, (r + 2) * steps])
    np.testing.assert_allclose(middle.lines[2].get_data(), [[0.1, 0.2], [0.25, 0.5]])
    of = {artist.get_label(): artist.get_data() for artist in right.lines}
    np.testing.assert_allclose(of["layer norms 1"], [[1, 4], [1.5, 3]])
    np.testing.assert_allclose(of["layer norms 1.5"], [[2], [2.25]])
    np.testing.assert_allclose(of["equal"], [[1, 4], [1, 4]])
