"""Section 5: neural collapse."""

from collections.abc import Callable

import pandas as pd

from squareloss.claims.claim import FITTED, Measure, claim
from squareloss.claims.select import LEARNT, at_end, fits, fitted_at_end, ratio_to_start, where

TENFOLD = 0.1
TENTH = "a tenth of the scale"


def collapse_ratio(table: pd.DataFrame) -> pd.Series:
    """Of one run: NC1 at the end over NC1 at the start, of replicates that fit their labels."""
    return fits(table, ratio_to_start(table, "nc1"))


def of_figure9(measure: Measure) -> Measure:
    """`measure` of the run of Figure 9."""

    def found(figure9: pd.DataFrame) -> pd.Series:
        return measure(figure9)

    return found


def of_ten_classes(measure: Measure) -> Measure:
    """`measure` of the run with ten classes."""

    def found(figure_multiclass: pd.DataFrame) -> pd.Series:
        return measure(figure_multiclass)

    return found


def of_random_labels(measure: Measure) -> Measure:
    """`measure` of the run whose labels are all random."""

    def found(figure_randomlabels: pd.DataFrame) -> pd.Series:
        return measure(where(figure_randomlabels, label_noise=1))

    return found


def collapse(suffix: str, about: str, of_run: Callable[[Measure], Measure], binary: bool) -> None:
    """The claims NC1 to NC4 of one run. What is an identity for two classes is none for them."""
    place = f"Section 5, {about}"
    claim(
        f"nc1-{suffix}",
        place,
        "NC1: Tr(Sigma_W Sigma_B^+) falls, at least tenfold",
        below=TENFOLD,
        because="an order of magnitude",
        quantity="NC1 at the end over NC1 at initialisation",
        premise=FITTED,
        limit=True,
    )(of_run(collapse_ratio))
    anyway = " (with lambda > 0 so at any critical point of two classes)" if binary else ""
    measures = [
        ("nc2-norms-weights", f"NC2: ||w_c|| equal{anyway}", "nc2_equinorm_weights", "sd / mean"),
        (
            "nc2-angles-weights",
            f"NC2: cos(w_c, w_c') -> -1/(C-1){anyway}",
            "nc2_angle_weights",
            "distance",
        ),
    ]
    if not binary:
        measures += [
            ("nc2-norms-means", "NC2: ||mu_c - mu_G|| equal", "nc2_equinorm_means", "sd / mean"),
            (
                "nc2-angles-means",
                "NC2, Theorem 6: cos(mu_c - mu_G, mu_c' - mu_G) -> -1/(C-1)",
                "nc2_angle_means",
                "distance",
            ),
        ]
    measures += [
        ("nc3", "NC3, Theorem 5/6: W / ||W|| -> M^T / ||M||", "nc3", "distance"),
        ("nc4", "NC4: predictions are the nearest class mean", "nc4", "share that differs"),
    ]
    for name, statement, column, what in measures:

        def final(table: pd.DataFrame, column: str = column) -> pd.Series:
            return fitted_at_end(table, column)

        claim(
            f"{name}-{suffix}",
            place,
            statement,
            below=0.01 if column == "nc4" else TENFOLD,
            because="one sample in a hundred" if column == "nc4" else TENTH,
            quantity=f"{what} at the end",
            premise=FITTED,
            limit=True,
        )(of_run(final))


collapse("binary", "Figure 9", of_figure9, binary=True)
collapse("multiclass", "Lemma 7 and Theorem 6", of_ten_classes, binary=False)
collapse("random-labels", "remarks: random labels", of_random_labels, binary=True)


@claim(
    "nc-without-generalisation",
    "Section 7, remarks",
    "neural collapse does not imply generalisation",
    above=0.8,
    because="1 is guessing; a finite test set leaves some spread",
    premise="zero training error, and an NC1 that fell tenfold",
)
def chance(figure_randomlabels: pd.DataFrame) -> pd.Series:
    """Random labels: test error over that of guessing."""
    table = where(figure_randomlabels, label_noise=1)
    error = at_end(table, "test_error")
    guessing = 1 - 1 / table["classes"].iloc[0]
    return (error / guessing).where(collapse_ratio(table) < TENFOLD)


@claim(
    "collapse-after-fit",
    "Section 5, Figure 9",
    "when the training error first reaches 0, NC1 has not fallen tenfold yet",
    above=TENFOLD,
    because="an order of magnitude is what counts as collapse",
    premise=FITTED,
)
def collapse_when_fitted(figure9: pd.DataFrame) -> pd.Series:
    """NC1 over that at the start, at the first snapshot without training error."""
    snapshots = figure9[figure9["nc1"].notna()].sort_values("epoch")
    fitted = snapshots[snapshots["train_error"] == 0].groupby("replicate")["nc1"].first()
    return fits(figure9, fitted / snapshots.groupby("replicate")["nc1"].first())


@claim(
    "random-labels-fail",
    "Figure 4, caption",
    "with 100% random labels the network fails to converge",
    above=LEARNT,
    because="what counts as not learnt elsewhere on this page",
)
def error_of_random_labels(figure_randomlabels: pd.DataFrame) -> pd.Series:
    """Training error at the end, all labels random."""
    return at_end(where(figure_randomlabels, label_noise=1), "train_error")


@claim(
    "margins-narrow",
    "Section 5.1, Figure 8",
    "the margins' sd shrinks relative to their mean",
    below=1,
    because="a ratio",
    premise=FITTED,
)
def spread_ratio(figure8: pd.DataFrame) -> pd.Series:
    """sd / mean of the margins at the end over that at the first epoch without training error."""
    table = figure8.sort_values("epoch")
    fitted = table[table["train_error"] == 0].groupby("replicate")["margin_spread"]
    return fits(table, fitted.last() / fitted.first())
