"""Section 4: rho, margins and generalisation bounds."""

import numpy as np
import pandas as pd

from squareloss.claims.claim import FITTED, claim
from squareloss.claims.regression import Regression, regress
from squareloss.claims.select import ends, several, trend, where
from squareloss.tables.runs import last_epoch

RELATION = "smaller shares, down to true labels: without an effect the correlation is 0"


@claim(
    "noise-rho",
    "Section 4.2, last paragraph, on Figure 4; Section 7, on bounds, third remark",
    "more random labels need a larger rho",
    says="Figure 4 shows clearly that a larger share of random labels increases the rho that is"
    " needed to maintain interpolation.",
    control=RELATION,
    above=0,
    because="no relation is 0",
    premise=FITTED,
    shown=True,
)
def rho_over_noise(figure4: pd.DataFrame) -> pd.Series:
    """Rank correlation of rho with the share of random labels."""
    return trend(figure4, "label_noise", "rho")


@claim(
    "noise-test-error",
    "Section 4.2, last paragraph, on Figure 4; Section 7, on bounds, third remark",
    "more random labels raise the test error",
    says="With a larger share of random labels the test error increases, as expected (Section 7"
    " prints that it decreases: errata.md).",
    control=RELATION,
    above=0,
    because="no relation is 0",
    premise=FITTED,
    shown=True,
)
def error_over_noise(figure4: pd.DataFrame) -> pd.Series:
    """Rank correlation of test error with the share of random labels."""
    return trend(figure4, "label_noise", "test_error")


def margin_regression(figure5: pd.DataFrame, weight_decay: float) -> dict[int, Regression]:
    """Test accuracy over 1/rho across the starts that fit, by replicate, as in Figure 5."""
    runs = where(figure5, weight_decay=weight_decay)
    several(runs, "init_scale")
    end = last_epoch(runs)
    end = end.assign(inverse=(1 / end["rho"]).where(end["train_error"] == 0))
    return {
        int(str(replicate)): regress(rows["inverse"], 1 - rows["test_error"])
        for replicate, rows in end.groupby("replicate")
    }


@claim(
    "margin-accuracy-slope",
    "Figure 5, caption; Section 4.2, last paragraph; Section 7, on bounds",
    "lambda > 0: accuracy falls with 1/rho over the starts (slope -18.968 in the paper)",
    says="With weight decay mean test accuracy falls as 1/rho rises over four initialisations: R^2"
    " 0.94, p 0.031, slope -18.968. The significance of the effect is unclear. Section 7 has small"
    " differences in margin anti-correlated with the test error, which is the opposite sign, and a"
    " misprint for accuracy (errata.md).",
    control="the other starts: if 1/rho did not matter the slope would be 0",
    below=0,
    because="no relation is 0",
    premise=FITTED,
    shown=True,
    negligible=1.9,
    negligible_because="a tenth of the paper's slope",
)
def slope(figure5: pd.DataFrame) -> pd.Series:
    """Slope of test accuracy over 1/rho across the starts."""
    _, decay = ends(figure5, "weight_decay")
    lines = margin_regression(figure5, decay)
    return pd.Series({replicate: line.slope for replicate, line in lines.items()}, dtype=float)


@claim(
    "margin-accuracy-r2",
    "Figure 5, caption",
    "1/rho explains accuracy better with lambda > 0 (R^2 0.94) than without (0.004)",
    says="R^2 of the regression is 0.94 with weight decay and 0.004 without.",
    control="lambda = 0, which is subtracted",
    test="number",
    because="the paper's are of the means of ten runs a start, these of single replicates, whose"
    " scatter lowers R^2: the two do not compare",
    premise=FITTED,
)
def r_squared_difference(figure5: pd.DataFrame) -> pd.Series:
    """R^2 with lambda > 0 minus R^2 with lambda = 0, each across the starts of a replicate."""
    zero, decay = ends(figure5, "weight_decay")
    with_decay, without = (margin_regression(figure5, wd) for wd in (decay, zero))
    return pd.Series(
        {r: with_decay[r].r_squared - without[r].r_squared for r in with_decay}, dtype=float
    )


def chance_to_explain(figure5: pd.DataFrame) -> pd.Series:
    """What two columns of noise would explain of as many test errors, by expectation."""
    end = last_epoch(figure5)
    fitted = (end["train_error"] == 0).groupby(end["replicate"]).sum()
    return (2 / (fitted - 1)).where(fitted >= 5)


@claim(
    "margin-and-rank-explain",
    "Section 7, on bounds, last remark",
    "share of the test error's variance that rho and rank explain together",
    says="It is conjectured that margin and rank together may be sufficient to explain"
    " generalisation.",
    control="what two columns of random numbers would explain",
    controlled=chance_to_explain,
    test="number",
    because="a conjecture of what may be. Six networks a replicate are too few to tell two"
    " regressors from noise, and the bounds would have the test error grow with both",
    premise=FITTED,
)
def explained(figure5: pd.DataFrame) -> pd.Series:
    """R^2 of test error regressed on log rho and mean stable rank, over all runs of a replicate."""
    end = last_epoch(figure5)
    several(end, "init_scale")
    shares = {}
    for replicate, rows in end.groupby("replicate"):
        rows = rows[rows["train_error"] == 0]
        x = np.column_stack([np.ones(len(rows)), np.log(rows["rho"]), rows["stable_rank"]])
        y = rows["test_error"].to_numpy()
        total = ((y - y.mean()) ** 2).sum() if len(y) else 0.0
        if len(rows) < 5 or not total:  # fewer leave next to nothing unexplained
            shares[replicate] = np.nan
            continue
        left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        shares[replicate] = 1 - (left**2).sum() / total
    return pd.Series(shares, dtype=float)


@claim(
    "smaller-rho-smaller-bound",
    "Section 4.2, Eq. 17 and 18; Section 7, on bounds, first remark",
    "of two solutions of one network, that with the smaller rho has the better bound",
    says="Of two solutions of the same network with zero empirical loss, that with the smaller rho"
    " has the better upper bound on the expected error.",
    above=1 - 1e-9,
    given=True,
    because="the bound grows with rho; rounding aside",
    test="check",
    premise=FITTED,
)
def bound_over_rho(figure5: pd.DataFrame) -> pd.Series:
    """Rank correlation with rho of Eq. 16, without the ramp loss, over all runs of a replicate."""
    bound = figure5["eq16_eq12"] - figure5["ramp_loss"]  # equal empirical loss, as the paper has it
    return trend(figure5.assign(bound=bound), "rho", "bound", over="init_scale")


@claim(
    "error-over-rho",
    "Section 4.2, after Eq. 18, and Figure 5",
    "how the test error goes with rho",
    says="The bound does not guarantee that a solution with smaller rho will always have a smaller"
    " expected error; the relation seems to break down for small differences in margin.",
    test="number",
    because="of these two sentences either sign is consistent with an upper bound, as the paper"
    " says",
    premise=FITTED,
)
def error_over_rho(figure5: pd.DataFrame) -> pd.Series:
    """Rank correlation of test error with rho over all runs of a replicate, any start or lambda."""
    return trend(figure5, "rho", "test_error", over="init_scale")
