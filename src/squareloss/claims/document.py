"""docs/claims.md from the claims: `python -m squareloss.claims.document > docs/claims.md`."""

import math

from squareloss import catalog
from squareloss.catalog import About
from squareloss.claims import report  # noqa: F401 (registers the claims of all sections)
from squareloss.claims.claim import CLAIMS, Claim
from squareloss.claims.verdict import ALPHA, FAMILY, fewest

TESTS = sum(claim.tests for claim in CLAIMS)

HEADING = f"""# The paper's statements as tests

Generated from the code: `python -m squareloss.claims.document > docs/claims.md`.

`snakemake` writes the verdicts to `results/<study>/claims/claims.md` (and `.parquet`, and a page of
the report). Each claim says that a measured number lies on one side of a threshold, or within so
much of 0, and there are three kinds:

- **replicates**: a statement about training, which is random. The number is measured on every
  replicate, and its median gets an exact 95% interval and two exact sign tests: does it lie on the
  claimed side of the threshold, or on the other? The sign test supposes that replicates are
  independent and nothing else. A few claims have a third test, of no effect: whether the median is
  nearer to the threshold than an effect that would matter (two one-sided tests).
- **every**: a statement about every network. It is *supported* if it holds in all cases measured
  that meet its premise, and *contradicted* by one in which it does not.
- **check**: what is proved, or arithmetic. It tests the implementation, *passed* or *failed*, and
  is never counted among the statements that training supports.

A verdict over replicates needs p < {ALPHA:g} after Holm's correction in a family of {FAMILY} tests,
of which the claims of this page take {TESTS}. The family's size is fixed: it depends neither on
what a study could measure nor on claims that are added. So in one study the probability of any
false verdict is {ALPHA:.0%} at most. {fewest(FAMILY)} replicates decide if all agree; of 16, one
may dissent. The values of Benjamini and Hochberg's method, which bound the share of false verdicts
among all, are in the table too and decide nothing. How often the rule is wrong, and how often it
finds what is there (`snakemake figure_verdicts`):

![False verdicts and power](figure_verdicts.png)

What is *not decided* says why:

- *study lacks runs*: the study has not the runs that the claim compares;
- *premise unmet*: more replicates diverged or lack the premise than were measured;
- *vacuous*: no bound of a fitted network is below 1, so that no error could contradict it;
- *too few replicates*: those measured could not decide, or agree so far that a number of them
  that is named would;
- *not converged*: a limit that the second half of training still moves towards the threshold, by a
  tenth of what is missing or more, or that could not be measured at half; or one that moves away
  from the claimed side, so fast that as much training again would leave it;
- *inconclusive*: the replicates disagree.

Replicates share the data: an interval says what another training would give, not what other images
would. Most premises are that the network fits its training set, without which neither a margin nor
a comparison means what the paper says of it.

Thresholds were fixed before the results and have a reason each. Measures are those of the last
epoch unless said otherwise; tables and columns are in [tables.md](tables.md). Eq. 6 and Lemma 4 are
measured on small problems at every step: in the study's runs rho settles within an epoch or two,
and `history` has one row an epoch at the most, so that a difference of rows is no rho_dot.
"""
FIGURES_HEADING = """## Figures of these statements

Beside the paper's own figures, in their style; each is drawn from the experiment of its name.

| figure | what the paper states | claims about it |
|---|---|---|
"""


def entry(claim: Claim) -> str:
    """Three lines: what is claimed, what is measured, what decides."""
    limit = " (a limit)" if claim.limit else ""
    effect = f" No effect: within {claim.negligible:g} of it ({claim.negligible_because})."
    small = "" if math.isnan(claim.negligible) else effect
    return (
        f"**`{claim.name}`** ({claim.place}): {claim.statement}.  \n"
        f"Measured: {claim.measured}; from {', '.join(claim.tables)}.  \n"
        f"Claimed: {claim.side} {claim.threshold:g} ({claim.because}); "
        f"test: {claim.test}{limit}.{small}\n"
    )


def figure_row(about: About) -> str:
    """A row of the table of figures."""
    own = (about.name, f"{about.name}_layers")
    claims = [f"`{claim.name}`" for claim in CLAIMS if set(own) & set(claim.tables)]
    words = ", ".join(claims) or "none: shown to compare"
    return f"| `{about.name}` | {about.place}: {about.shows} | {words} |\n"


def document() -> str:
    """The whole page."""
    ours = [about for name, about in catalog.figures().items() if name.startswith("figure_")]
    figures = "".join(figure_row(about) for about in ours)
    claims = "\n".join(entry(claim) for claim in CLAIMS)
    return f"{HEADING}\n{FIGURES_HEADING}{figures}\n## Claims\n\n{claims}"


if __name__ == "__main__":
    print(document(), end="")
