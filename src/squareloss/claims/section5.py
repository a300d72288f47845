"""Section 5: neural collapse."""

import pandas as pd

from squareloss.claims.claim import Claim, Tables
from squareloss.claims.select import at_end, fits, fitted_at_end, ratio_to_start, where


def collapse_ratio(tables: Tables, experiment: str, **run: object) -> pd.Series:
    """NC1 at the end over NC1 at initialisation, of replicates that fit their labels."""
    table = where(tables[experiment], **run)
    return fits(table, ratio_to_start(table, "nc1"))


def final(tables: Tables, experiment: str, column: str, **run: object) -> pd.Series:
    """A measure of collapse at the end, of replicates that fit their labels."""
    return fitted_at_end(tables[experiment], column, **run)


def spread_ratio(tables: Tables) -> pd.Series:
    """sd / mean of the margins at the end over that when the last sample was first fitted."""
    table = tables["figure8"].sort_values("epoch")
    table = table.assign(spread=table["margin_sd"] / table["mean_margin"].abs())
    fitted = table[table["train_error"] == 0].groupby("replicate")["spread"]
    return fits(table, fitted.last() / fitted.first())


def chance(tables: Tables) -> pd.Series:
    """Random labels: test error over that of guessing, of replicates whose NC1 fell tenfold."""
    table = where(tables["randomlabels"], label_noise=1)
    collapsed = collapse_ratio(tables, "randomlabels", label_noise=1) < TENFOLD
    guessing = 1 - 1 / table["classes"].iloc[0]
    return (at_end(table, "test_error") / guessing).where(collapsed)


TENFOLD = 0.1
TENTH = "an order of magnitude"
FITTED = "zero training error"


def collapse_claims(
    experiment: str, suffix: str, where_: str, binary: bool, **run: object
) -> list[Claim]:
    """NC1 to NC4 of one run. What is an identity for two classes is no claim for them."""
    place = f"Section 5, {where_}"
    claims = [
        Claim(
            f"nc1-{suffix}",
            place,
            "NC1: Tr(Sigma_W Sigma_B^+) -> 0",
            "NC1 at the end over NC1 at initialisation",
            "<",
            TENFOLD,
            TENTH,
            (experiment,),
            lambda tables: collapse_ratio(tables, experiment, **run),
            premise=FITTED,
            limit=True,
        ),
    ]
    measures = [
        ("nc2-norms-weights", "NC2: ||w_c|| equal", "nc2_equinorm_weights", "sd / mean"),
        ("nc2-angles-weights", "NC2: cos(w_c, w_c') -> -1/(C-1)", "nc2_angle_weights", "distance"),
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
        claims.append(
            Claim(
                f"{name}-{suffix}",
                place,
                statement,
                f"{what} at the end",
                "<",
                TENFOLD if column != "nc4" else 0.01,
                "a tenth of the scale" if column != "nc4" else "one sample in a hundred",
                (experiment,),
                lambda tables, column=column: final(tables, experiment, column, **run),  # type: ignore[misc]
                premise=FITTED,
                limit=True,
            )
        )
    return claims


CLAIMS = [
    *collapse_claims("figure9", "binary", "Figure 9", binary=True),
    *collapse_claims("multiclass", "multiclass", "Lemma 7 and Theorem 6", binary=False),
    *collapse_claims(
        "randomlabels", "random-labels", "remarks: random labels", binary=True, label_noise=1
    ),
    Claim(
        "nc-without-generalisation",
        "Section 7, remarks",
        "neural collapse does not imply generalisation",
        "random labels: test error over that of guessing",
        ">",
        0.8,
        "1 is guessing; a finite test set leaves some spread",
        ("randomlabels",),
        chance,
        premise="zero training error, and an NC1 that fell tenfold",
    ),
    Claim(
        "margins-narrow",
        "Section 5.1, Figure 8",
        "the margins' sd shrinks relative to their mean",
        "sd / mean of the margins at the end over that at the first epoch without training error",
        "<",
        1,
        "a ratio",
        ("figure8",),
        spread_ratio,
        premise=FITTED,
    ),
]
