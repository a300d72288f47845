"""Section 4: rho, margins and generalisation bounds."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import Claim, Tables
from squareloss.claims.select import ends, last, trend, where
from squareloss.regression import Regression, regress


def margin_regression(tables: Tables, weight_decay: float) -> dict[int, Regression]:
    """Test accuracy over 1/rho across the starts, by replicate, as in Figure 5."""
    end = last(where(tables["figure5"], weight_decay=weight_decay))
    end = end[end["train_error"] == 0]
    return {
        int(str(replicate)): regress(1 / rows["rho"], 1 - rows["test_error"])
        for replicate, rows in end.groupby("replicate")
    }


def slope(tables: Tables) -> pd.Series:
    """Slope of the regression with weight decay."""
    _, decay = ends(tables["figure5"], "weight_decay")
    lines = margin_regression(tables, decay)
    return pd.Series({replicate: line.slope for replicate, line in lines.items()}, dtype=float)


def r_squared_difference(tables: Tables) -> pd.Series:
    """R^2 with weight decay less R^2 without."""
    zero, decay = ends(tables["figure5"], "weight_decay")
    with_decay, without = (margin_regression(tables, wd) for wd in (decay, zero))
    return pd.Series(
        {r: with_decay[r].r_squared - without[r].r_squared for r in with_decay if r in without},
        dtype=float,
    )


def networks(tables: Tables, column: str) -> pd.Series:
    """`column` of every network of Figures 6 and 7, NaN for those with training error."""
    end = pd.concat([last(tables["figure6"]), last(tables["figure7"])], ignore_index=True)
    return end[column].where(end["train_error"] == 0)


def slack(tables: Tables, bound: str) -> pd.Series:
    """Bound less test error of every network of Figures 6 and 7 without training error.

    NaN where the bound is 1 or more: no test error could lie above it, so it is no evidence.
    """
    value = networks(tables, bound)
    return value.where(value < 1) - networks(tables, "test_error")


def smallest(tables: Tables, bound: str) -> pd.Series:
    """The smallest value of a bound, of all networks without training error."""
    return pd.Series([networks(tables, bound).min()])


def least_ratio(tables: Tables, bound: str, others: list[str]) -> pd.Series:
    """The smallest of other bounds over `bound`, of every network without training error."""
    least = pd.concat([networks(tables, name) for name in others], axis=1).min(axis=1)
    return least / networks(tables, bound)


def tree_ratio(tables: Tables) -> pd.Series:
    """Complexity of binary trees, with all that a finer grid could add, over Theorem 4's bound.

    With the factor 2/m of Definition 1, which is the stricter reading: Eq. (20) has 1/m.
    """
    tree = tables["tree"]
    return 2 * (tree["complexity"] + tree["coarse"]) / tree["bound"]


def gap_trend(tables: Tables, experiment: str) -> pd.Series:
    """Rank correlation over N of the generalisation gap with rho / sqrt(N), largest start."""
    table = where(tables[experiment], init_scale=tables[experiment]["init_scale"].max())
    table = table.assign(
        complexity=table["rho"] / np.sqrt(table["n_train"]),
        gap=table["test_error"] - table["train_error"],
    )
    return trend(table, "complexity", "gap")


FITTED = "zero training error"
NOT_VACUOUS = "zero training error and a bound below 1 (none can violate a larger one)"
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
        premise=FITTED,
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
        premise=FITTED,
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
        premise=FITTED,
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
        premise=FITTED,
    ),
    *(
        Claim(
            f"{bound.replace('_', '-')}-holds",
            place,
            f"test error <= bound of {place}",
            "bound minus test error of each network",
            ">",
            0,
            because,
            ("figure6", "figure7"),
            lambda tables, bound=bound: slack(tables, bound),  # type: ignore[misc]
            "every",
            premise=NOT_VACUOUS,
        )
        for bound, place, because in (
            ("eq16_printed", "Eq. 16", "a bound, but its logarithm does not follow from Eq. 12"),
            ("eq16_eq12", "Eq. 16 with the logarithm of Eq. 12", "a theorem"),
            ("eq19", "Eq. 19 (Theorem 4)", "a theorem for patches that do not overlap"),
            ("eq24", "Eq. 24 (Conjecture 1)", "a conjecture"),
            ("eq25_printed", "Eq. 25 as printed", "a theorem for dense networks"),
            ("eq25_counted", "Eq. 25 with the copies counted", "a theorem for dense networks"),
            ("theorem7", "Theorem 7", "stated without proof"),
            ("golowich", "Golowich et al. 2018", "a theorem"),
            ("neyshabur", "Neyshabur et al. 2015", "a theorem"),
            ("bartlett", "Bartlett et al. 2017", "a theorem, but for its constant, here 1"),
            ("parameters", "the parameter count", "a theorem, but for its constant, here 1"),
        )
    ),
    Claim(
        "eq16-nonvacuous",
        "Section 7",
        "the bounds can be loose but not vacuous",
        "smallest bound of Eq. 16 as printed, of all networks",
        "<",
        1,
        "an error above 1 is impossible: a bound of 1 says nothing",
        ("figure6", "figure7"),
        lambda tables: smallest(tables, "eq16_printed"),
        "every",
        premise=FITTED,
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
        premise=FITTED,
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
        premise=FITTED,
    ),
    *(
        Claim(
            f"kernels-once-{name}",
            "Section 4.3, Eq. 25",
            f"taking each kernel once gives a smaller bound than the dense network, {about}",
            f"bound of Eq. 25, {about}, over that of Eq. 19",
            ">",
            1,
            "a ratio; arithmetic, since no layer has fewer copies than one: its size is the result",
            ("figure6", "figure7"),
            lambda tables, name=name: least_ratio(tables, "eq19", [f"eq25_{name}"]),  # type: ignore[misc]
            "every",
            premise=FITTED,
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
        premise=FITTED,
    ),
    Claim(
        "theorem4",
        "Theorem 4, Eq. 19",
        "R(trees of product norm rho) <= 2^L rho sqrt(sum ||x||^2) / m",
        "complexity (factor 2/m) by exhaustive search over the bound, trees of L = 1, 2, 3",
        "<",
        1,
        "a theorem; what a finer grid could add is counted in",
        ("tree",),
        tree_ratio,
        "every",
    ),
]
