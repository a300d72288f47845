"""Section 4: rho, margins and generalisation bounds."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import Claim, Tables
from squareloss.claims.select import at_end, ends, last, trend, where
from squareloss.regression import Regression, regress


def margin_regression(tables: Tables, weight_decay: float) -> dict[int, Regression]:
    """Test accuracy over 1/rho across the starts, by replicate, as in Figure 5."""
    end = last(where(tables["figure5"], weight_decay=weight_decay))
    return {
        int(str(replicate)): regress(1 / rows["rho"], 1 - rows["test_error"])
        for replicate, rows in end.groupby("replicate")
    }


def slope(tables: Tables) -> pd.Series:
    """Slope of the regression with weight decay."""
    _, decay = ends(tables["figure5"], "weight_decay")
    lines = margin_regression(tables, decay)
    return pd.Series({replicate: line.slope for replicate, line in lines.items()})


def r_squared_difference(tables: Tables) -> pd.Series:
    """R^2 with weight decay less R^2 without."""
    zero, decay = ends(tables["figure5"], "weight_decay")
    with_decay, without = (margin_regression(tables, wd) for wd in (decay, zero))
    return pd.Series({r: with_decay[r].r_squared - without[r].r_squared for r in with_decay})


def networks(tables: Tables, column: str) -> pd.Series:
    """`column` of every network of Figures 6 and 7, NaN for those with training error."""
    end = pd.concat([last(tables["figure6"]), last(tables["figure7"])], ignore_index=True)
    return end[column].where(end["train_error"] == 0)


def slack(tables: Tables, bound: str) -> pd.Series:
    """Bound less test error of every network of Figures 6 and 7 without training error."""
    return networks(tables, bound) - networks(tables, "test_error")


def least_ratio(tables: Tables, bound: str, others: list[str]) -> pd.Series:
    """The smallest of other bounds over `bound`, of every network without training error."""
    smallest = pd.concat([networks(tables, name) for name in others], axis=1).min(axis=1)
    return smallest / networks(tables, bound)


def tree_ratio(tables: Tables) -> pd.Series:
    """Complexity of binary trees, with all that a finer grid could add, over Theorem 4's bound."""
    tree = tables["tree"]
    return (tree["complexity"] + tree["coarse"]) / tree["bound"]


def gap_trend(tables: Tables, experiment: str) -> pd.Series:
    """Rank correlation over N of the generalisation gap with rho / sqrt(N), largest start."""
    table = where(tables[experiment], init_scale=tables[experiment]["init_scale"].max())
    table = table.assign(
        complexity=table["rho"] / np.sqrt(table["n_train"]),
        gap=table["test_error"] - table["train_error"],
    )
    return trend(table, "complexity", "gap")


def decay_against_start(tables: Tables) -> pd.Series:
    """lambda = 0: test error of the largest start less that of the smallest."""
    table = where(tables["figure5"], weight_decay=0)
    low, high = (at_end(table, "test_error", init_scale=s) for s in ends(table, "init_scale"))
    return high - low


ALL = "a theorem: it must hold for every network that meets its premise, zero training error"
LITERATURE = ["golowich", "neyshabur", "bartlett", "parameters"]
CLAIMS = [
    Claim(
        "noise-rho",
        "Section 4.2, Figure 4",
        "more random labels need a larger rho",
        "rank correlation of rho with the share of random labels",
        ">",
        0,
        "no relation is 0",
        ("figure4",),
        lambda tables: trend(tables["figure4"], "label_noise", "rho"),
    ),
    Claim(
        "noise-test-error",
        "Section 4.2, Figure 4",
        "more random labels raise the test error",
        "rank correlation of test error with the share of random labels",
        ">",
        0,
        "no relation is 0",
        ("figure4",),
        lambda tables: trend(tables["figure4"], "label_noise", "test_error"),
    ),
    Claim(
        "margin-accuracy-slope",
        "Section 4.2, Figure 5 left",
        "lambda > 0: accuracy falls with 1/rho over the starts (slope -18.968 in the paper)",
        "slope of test accuracy over 1/rho across the starts",
        "<",
        0,
        "no relation is 0",
        ("figure5",),
        slope,
    ),
    Claim(
        "margin-accuracy-r2",
        "Section 4.2, Figure 5",
        "1/rho explains accuracy better with lambda > 0 (R^2 0.94) than without (0.004)",
        "R^2 with lambda > 0 minus R^2 with lambda = 0, each across the starts of a replicate",
        ">",
        0,
        "a difference",
        ("figure5",),
        r_squared_difference,
    ),
    Claim(
        "eq16-printed",
        "Eq. 16",
        "test error <= bound, as printed",
        "bound minus test error of each network without training error",
        ">",
        0,
        ALL,
        ("figure6", "figure7"),
        lambda tables: slack(tables, "eq16_printed"),
        "every",
    ),
    Claim(
        "eq16-eq12",
        "Eq. 12, 16",
        "test error <= bound, with the logarithm of Eq. 12",
        "bound minus test error of each network without training error",
        ">",
        0,
        ALL,
        ("figure6", "figure7"),
        lambda tables: slack(tables, "eq16_eq12"),
        "every",
    ),
    Claim(
        "eq16-nonvacuous",
        "Section 7",
        "the bounds are loose but not vacuous",
        "bound of Eq. 16 as printed, of each network without training error",
        "<",
        1,
        "an error above 1 is impossible: a bound of 1 says nothing",
        ("figure6", "figure7"),
        lambda tables: networks(tables, "eq16_printed"),
        "every",
    ),
    Claim(
        "gap-over-n-cnn6",
        "Section 4.1, Figure 6",
        "the generalisation gap follows rho / sqrt(N)",
        "rank correlation over N of the gap with rho / sqrt(N), cnn6",
        ">",
        0,
        "no relation is 0",
        ("figure6",),
        lambda tables: gap_trend(tables, "figure6"),
    ),
    Claim(
        "gap-over-n-cnn3",
        "Section 4.1, Figure 7",
        "the generalisation gap follows rho / sqrt(N)",
        "rank correlation over N of the gap with rho / sqrt(N), cnn3",
        ">",
        0,
        "no relation is 0",
        ("figure7",),
        lambda tables: gap_trend(tables, "figure7"),
    ),
    Claim(
        "small-start-helps",
        "Section 7, remarks",
        "lambda = 0: a small start generalises better than a large one",
        "test error of the largest start minus that of the smallest",
        ">",
        0,
        "a difference",
        ("figure5",),
        decay_against_start,
    ),
    *(
        Claim(
            f"{bound}-holds",
            place,
            f"test error <= bound of {place}",
            "bound minus test error of each network without training error",
            ">",
            0,
            ALL,
            ("figure6", "figure7"),
            lambda tables, bound=bound: slack(tables, bound),  # type: ignore[misc]
            "every",
        )
        for bound, place in (
            ("eq19", "Theorem 4, Eq. 19"),
            ("eq24", "Conjecture 1, Eq. 24"),
            ("eq25_counted", "Section 4.3, Eq. 25"),
            ("theorem7", "Theorem 7"),
        )
    ),
    *(
        Claim(
            f"kernels-once-{name}",
            "Section 4.3, Eq. 25",
            f"taking each kernel once gives a smaller bound than the dense network, {about}",
            f"bound of Eq. 25, {about}, over that of Eq. 19",
            ">",
            1,
            "a ratio",
            ("figure6", "figure7"),
            lambda tables, name=name: least_ratio(tables, "eq19", [f"eq25_{name}"]),  # type: ignore[misc]
            "every",
        )
        for name, about in (("printed", "factor as printed"), ("counted", "copies counted"))
    ),
    Claim(
        "closer-than-classical",
        "Section 1",
        "the bounds are much closer to the test error than earlier ones",
        "smallest of the four bounds of the literature over that of Eq. 16 with Eq. 12's logarithm",
        ">",
        1,
        "a ratio",
        ("figure6", "figure7"),
        lambda tables: least_ratio(tables, "eq16_eq12", LITERATURE),
        "every",
    ),
    Claim(
        "theorem4",
        "Theorem 4, Eq. 19",
        "R(trees of product norm rho) <= 2^L rho sqrt(sum ||x||^2) / m",
        "complexity by exhaustive search, L = 1, 2, 3, over the bound",
        "<",
        1,
        "a theorem; what a finer grid could add is counted in",
        ("tree",),
        tree_ratio,
        "every",
    ),
]
