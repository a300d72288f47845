"""Section 5: neural collapse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from squareloss.claims.claim import FITTED, Measure, claim
from squareloss.claims.section3_course import QUASI, largest_residual
from squareloss.claims.select import (
    LEARNT,
    at_end,
    fits,
    fitted_at_end,
    of_the_papers_size,
    where,
)

QUASI_INTERPOLATING = (
    f"{FITTED}, all |1 - rho fbar_n| at most {QUASI:g}, and the rms of ||f - e~|| / ||e~|| too"
)
COLLAPSED = 0.1
TENTH = "a tenth of the scale"


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


@dataclass(frozen=True)
class Condition:
    """One of the conditions NC1 to NC4: how it is measured, and what the paper says of it."""

    name: str
    column: str
    statement: str
    says: str
    quantity: str
    identity: str = ""  # why it says nothing for two classes
    caption: bool = True  # whether the caption of Figure 9 has it


IDENTITY = (
    "for two classes the rows are opposite at any critical point with lambda > 0, collapsed or not"
    " (errata.md)"
)
SIMPLEX = "NC2: the centred class means are of equal norm and at equal angles, cos = -1 / (C - 1)"
CONDITIONS = (
    Condition(
        "nc1",
        "nc1",
        "NC1: Tr(Sigma_W) -> 0",
        "NC1: the variance of the features within a class tends to zero, Tr(Sigma_W) -> 0.",
        "the larger of Tr(Sigma_W) / Tr(Sigma_B) and Tr(Sigma_W Sigma_B^+)",
    ),
    Condition(
        "nc2-norms-weights",
        "nc2_equinorm_weights",
        "NC2: ||w_c|| equal",
        f"{SIMPLEX}; by Eq. 43 and 45 so are the classifiers.",
        "sd / mean",
        IDENTITY,
    ),
    Condition(
        "nc2-angles-weights",
        "nc2_angle_weights",
        "NC2: cos(w_c, w_c') -> -1/(C-1)",
        f"{SIMPLEX}; by Eq. 43 and 45 so are the classifiers.",
        "distance",
        IDENTITY,
    ),
    Condition(
        "nc2-norms-means",
        "nc2_equinorm_means",
        "NC2: ||mu_c - mu_G|| equal",
        f"{SIMPLEX}.",
        "sd / mean",
        "of two centred class means both are identities",
    ),
    Condition(
        "nc2-angles-means",
        "nc2_angle_means",
        "NC2: cos(mu_c - mu_G, mu_c' - mu_G) -> -1/(C-1)",
        f"{SIMPLEX}.",
        "distance",
        "of two centred class means both are identities",
    ),
    Condition(
        "nc3",
        "nc3",
        "NC3: W / ||W|| -> M^T / ||M||",
        "NC3: the classifier and the centred class means become proportional.",
        "distance",
    ),
    Condition(
        "nc4",
        "nc4",
        "NC4: predictions are the nearest class mean",
        "NC4: the network's decision becomes that of the nearest class mean.",
        "share that differs",
        caption=False,
    ),
)
OF_THE_CAPTION = replace(
    CONDITIONS[0],
    statement="NC1: Tr(Sigma_W Sigma_B^+) -> 0",
    says="NC1 - variability collapse, which is measured by Tr(Sigma_W Sigma_B^-1) (Figure 9). Of"
    " two classes this sees the variance in one direction (errata.md).",
    quantity="Tr(Sigma_W Sigma_B^+)",
)


def with_all_directions(table: pd.DataFrame) -> pd.DataFrame:
    """The table, its NC1 the larger of itself and Tr(Sigma_W) / Tr(Sigma_B).

    Sigma_B has rank C - 1, so that its pseudoinverse sees the variance in as many directions alone.
    """
    return table.assign(nc1=table[["nc1", "nc1_trace"]].max(axis=1, skipna=False))


def quasi_interpolating(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    """`values` by replicate, NaN for those that do not quasi-interpolate in the end.

    Property 2 is of whole outputs, and fbar_n of the part along the target: of the rest the tables
    have the mean square alone, if the loss is the square loss. Of centred targets ||e~||^2 is
    C / (C - 1), and the loss is a mean over C outputs.
    """
    along = at_end(table.assign(residual=largest_residual(table)), "residual")
    whole = at_end(table.assign(square=(table["classes"] - 1) * table["train_loss"]), "square")
    return values.where((along <= QUASI) & (whole**0.5 <= QUASI))


def before(table: pd.DataFrame, column: str) -> pd.Series:
    """`column` before training, of the replicates that fit their labels in the end."""
    return fits(table, where(table, epoch=0).set_index("replicate")[column])


def measures(column: str, of_caption: bool, quasi: bool) -> tuple[Measure, Measure]:
    """`column` at the end and before training; with `quasi` only where a network interpolates so.

    NC1 is that of Figure 9's caption, or of all directions.
    """

    def of(table: pd.DataFrame, when: Callable[[pd.DataFrame, str], pd.Series]) -> pd.Series:
        values = when(table if of_caption else with_all_directions(table), column)
        return quasi_interpolating(table, values) if quasi else values

    def final(table: pd.DataFrame) -> pd.Series:
        return of(table, fitted_at_end)

    def start(table: pd.DataFrame) -> pd.Series:
        return of(table, before)

    return final, start


def collapse(
    suffix: str,
    place: str,
    of_run: Callable[[Measure], Measure],
    *,
    binary: bool,
    figure9: bool = False,
    says: str,
    earlier: Mapping[str, str],
) -> None:
    """The claims NC1 to NC4 of one run; what is an identity for two classes is a number.

    All that is judged has the premise of the proofs, that networks quasi-interpolate. Those of
    Figure 9 have its measure of NC1. Of what its caption does not show `says` comes before.
    `earlier` is by the condition's name.
    """
    for condition in CONDITIONS:
        if binary and "means" in condition.name:
            continue
        if condition.name == "nc1" and figure9:
            condition = OF_THE_CAPTION
        shown = figure9 and condition.caption
        reported = binary and condition.identity != ""
        quasi = not reported
        final, start = measures(condition.column, figure9, quasi)
        nearest = condition.name == "nc4"
        judged = {
            "below": 0.01 if nearest else COLLAPSED,
            "because": "one sample in a hundred" if nearest else TENTH,
            "limit": True,
        }
        number = {"test": "number", "because": condition.identity}
        claim(
            f"{condition.name}-{suffix}",
            place if shown or not figure9 else CONTRIBUTED,
            condition.statement,
            says=condition.says if shown else f"{says}{condition.says}",
            control="the same before training",
            shown=shown,
            earlier=earlier.get(condition.name, ""),
            controlled=of_run(start),
            quantity=f"{condition.quantity} at the end",
            premise=QUASI_INTERPOLATING if quasi else FITTED,
            **(number if reported else judged),
        )(of_run(final))


CONTRIBUTED = "Section 1, contributions; Section 5, conditions NC1 to NC4"
CONVERGENCE = "Convergence with weight decay and normalisation yields Neural Collapse"
OF_FITTED = "of networks with zero training error, and {}"
CONTRADICTED = OF_FITTED.format("contradicted")
collapse(
    "binary",
    "Section 5.2, paragraph 1, on Figure 9; Figure 9, caption; Section 5, conditions NC1 to NC4",
    of_figure9,
    binary=True,
    figure9=True,
    says=f"{CONVERGENCE} (Section 5.1: of points with symmetric quasi-interpolation). ",
    earlier=dict.fromkeys(("nc1", "nc3", "nc4"), OF_FITTED.format("not reproduced")),
)
collapse(
    "multiclass",
    f"{CONTRIBUTED}; Section 5.2, third remark",
    of_ten_classes,
    binary=False,
    says=f"{CONVERGENCE} in the multiclass case, too (Theorem 6: at points of convergence with"
    " symmetric quasi-interpolation; third remark: at any quasi-interpolating solution);"
    ' "experiments verify the predictions", of which the paper shows none with more than two'
    " classes. ",
    earlier={
        **dict.fromkeys(("nc2-norms-means", "nc2-angles-means", "nc3", "nc4"), CONTRADICTED),
        "nc1": "below a tenth of its start by Tr(Sigma_W Sigma_B^+), and supported; then in all"
        f" directions, {CONTRADICTED}",
        "nc2-angles-weights": OF_FITTED.format("supported"),
    },
)
collapse(
    "random-labels",
    "Section 5.2, third remark; Section 7, on Neural Collapse",
    of_random_labels,
    binary=True,
    says="NC1 to NC4 should take place for any quasi-interpolating solutions, in particular for"
    " fully random labels. ",
    earlier={
        "nc1": "below a tenth by Tr(Sigma_W Sigma_B^+) alone, and supported; then in all"
        f" directions, {CONTRADICTED}",
        "nc4": OF_FITTED.format("supported"),
    },
)


@claim(
    "nc-without-generalisation",
    "Section 5.2, third remark; Section 7, on Neural Collapse",
    "random labels: the test error where features have collapsed",
    says="There is no direct relation between Neural Collapse and generalisation: it is predicted"
    " for fully random labels, too.",
    test="number",
    because="with random labels no network can do better than guessing; that it collapses is what"
    " `nc1-random-labels` to `nc4-random-labels` judge",
    premise="zero training error, and an NC1 below 0.1",
)
def chance(figure_randomlabels: pd.DataFrame) -> pd.Series:
    """Random labels: test error over that of guessing."""
    table = where(figure_randomlabels, label_noise=1)
    error = at_end(table, "test_error")
    guessing = 1 - 1 / table["classes"].iloc[0]
    return (error / guessing).where(fitted_at_end(with_all_directions(table), "nc1") < COLLAPSED)


@claim(
    "collapse-after-fit",
    "Section 5, paragraph 1, on the terminal phase of training",
    "how far features have collapsed when the training error first vanishes",
    says="Neural Collapse is of the terminal phase of training, which begins at the epoch where the"
    " training error first vanishes (reported of cross-entropy by [12]).",
    control="the end of training, where the premise has NC1 below 0.1",
    test="number",
    because="a finding of [12], on cross-entropy: none of this paper",
    premise="zero training error, and an NC1 below 0.1 at the end",
)
def collapse_when_fitted(figure9: pd.DataFrame) -> pd.Series:
    """NC1 at the first snapshot without training error."""
    table = with_all_directions(figure9)
    snapshots = table[table["nc1"].notna()].sort_values("epoch")
    fitted = snapshots[snapshots["train_error"] == 0].groupby("replicate")["nc1"].first()
    end = fitted_at_end(table, "nc1")
    return fitted.reindex(end.index).where(end < COLLAPSED)


@claim(
    "random-labels-fail",
    "Figure 4, caption",
    "with 100% random labels the network of Figure 4 does not fit",
    says="This network, six layers trained on 10,000 images from scale 1 with lambda = 0.001, fails"
    " to converge with 100% random labels.",
    control="the training error of the same network with true labels",
    controlled=lambda figure_randomlabels: at_end(
        where(figure_randomlabels, label_noise=0), "train_error"
    ),
    above=LEARNT,
    because="what counts as not learnt elsewhere on this page",
    premise="the paper's width and N, and images of norm 1 at most",
)
def error_of_random_labels(figure_randomlabels: pd.DataFrame) -> pd.Series:
    """Training error at the end, all labels random."""
    table = where(figure_randomlabels, label_noise=1)
    return of_the_papers_size(table, at_end(table, "train_error"))
