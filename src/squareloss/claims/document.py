"""docs/claims.md from the claims: `python -m squareloss.claims.document > docs/claims.md`."""

import math

from squareloss.claims import report  # noqa: F401 (registers the claims of all sections)
from squareloss.claims.claim import CLAIMS, Claim
from squareloss.claims.statements import Statement, statements
from squareloss.claims.statistics import violations_left
from squareloss.claims.verdict import ALPHA, FAMILY, fewest
from squareloss.source import catalog
from squareloss.source.catalog import About

TESTS = sum(claim.tests for claim in CLAIMS)
CASES = 13  # critical points of the long study's small networks, as an example

HEADING = f"""# The paper's statements as tests

Generated from the code: `python -m squareloss.claims.document > docs/claims.md`.

`snakemake` writes the verdicts to `results/<study>/claims/claims.md` (and `.parquet`, and a page of
the report). [Below](#every-statement-of-the-paper) is a list of what the paper states, from its
first page to its last, with what answers each statement. A claim says in our words what the paper
says at a place, and that a measured number lies on one side of a threshold, or within so much of 0.
There are four kinds:

- **replicates**: a statement about training, which is random. The number is measured on every
  replicate, and its median gets an exact 95% interval and two exact sign tests: does it lie on the
  claimed side of the threshold, or on the other? The sign test supposes that replicates are
  independent and nothing else. A few claims have a third test, of no effect: whether the median is
  nearer to the threshold than an effect that would matter (two one-sided tests).
  What the paper *shows* of a network of its own, in a figure or its caption, has another verdict
  where the runs have another width or N, which its row names: it is *not reproduced* by them, and
  not contradicted.
- **every**: a statement about every network. It is *supported* if it holds in all cases measured
  that meet its premise, and *contradicted* by one in which it does not.
- **check**: what is proved, or arithmetic. It tests the implementation, *passed* or *failed*, and
  is never counted among the statements that training supports.
- **number**: *reported* and not judged, because the paper's words claim nothing that the number
  could contradict, or nothing could come out otherwise. Each says which.

**Controls.** A claim that could not have failed is none. So each names its control: what would be
measured without the mechanism that the paper names, such as lambda = 0, the same network before
training, or another start. Many claims are a difference from their control. The others measure it
beside: they are supported only if the number also lies further on the claimed side than the
control, by the same sign test over replicates, and the larger p counts. A statement about every
network is not decided if it holds for its control in each case too.

**Thresholds** have a reason each. Where the paper's words fix none, the page of a study says
whether half or twice the threshold gives the same verdict (*robust*), or which turns it to what.
They were fixed before the results of the long study, but for these. Where a claim was judged
otherwise before, its entry and its row say how and with which verdict.

- Statements about critical points that are exact are compared with what the optimiser leaves, where
  most had a hundredth, which no network with so small a gap can miss: `lemma7-outputs`.
- NC1 is compared with a tenth, where it was with a tenth of its start: `nc1-multiclass`. Outside
  Figure 9 it is the variance in all directions, where it was that in C - 1: `nc1-random-labels`.
- `noise-absent-in-gd` has the threshold of `noise-levels-off`.
- `lazy` is of how far the weights of a large start are from where they began, and its half is new;
  it was of whether they are nearer than those of a small start. `rho-falls-briefly` is of the
  longest stretch, and its tenth is new; it was of the share of all epochs, below a half.
- Those of both readings of `figure10-single-value`, `figure10-zero-variance` and
  `vacuous-by-an-order` came with these claims. `margins-narrowest-last`, `large-start-comes-down`
  and the two of `least-norm-errs-least` came after the results too; the paper's words leave them
  no threshold but no difference.

**Probability of error.** A verdict over replicates needs p < {ALPHA:g} after Holm's correction in a
family of {FAMILY} tests, of which the claims of this page take {TESTS}. The family's size is fixed:
it depends neither on what a study could measure nor on claims that are added. So in one study the
probability that any verdict *over replicates* is false is {ALPHA:.0%} at most. The size of the
family hardly matters: a study's page says for which sizes each of its verdicts would be the same.
{fewest(FAMILY)} replicates decide if all agree; of 16, one may dissent. This probability covers no
claim of kind *every*. That n cases hold does not exclude that others fail: if cases were drawn at
random, up to 1 - 0.05^(1/n) of them might, at 95%. So {CASES} cases leave
{violations_left(CASES):.0%}, and each verdict says its share. The values of Benjamini and
Hochberg's method, which bound the share of false verdicts among all, are in the table too and
decide nothing. How often the rule is wrong, and how often it finds what is there (`snakemake
figure_verdicts`):

![False verdicts and power](figure_verdicts.png)

What is *not decided* says why:

- *study lacks runs*: the study has not the runs that the claim compares, or starts none where the
  statement begins;
- *premise unmet*: more replicates diverged or lack the premise than were measured;
- *vacuous*: no network's error could contradict the bound: it is 1 or more, or the error is 0;
- *control alike*: the control does as well, so that the paper's mechanism is not what is seen;
- *too few replicates*: those measured could not decide, or agree so far that a number of them
  that is named would;
- *not converged*: a limit that the second half of training moved towards the threshold, from either
  side of it, by a tenth of the way or more, or that could not be measured at half;
- *inconclusive*: the replicates disagree.

Replicates share the data: an interval says what another training would give, not what other images
would. Most premises are that the network fits its training set, without which neither a margin nor
a comparison means what the paper says of it.

Measures are those of the last epoch unless said otherwise; tables and columns are in
[tables.md](tables.md). Eq. 6 and Lemma 4 are measured on small problems at every step: in the
study's runs rho settles within an epoch or two, and `history` has one row an epoch at the most, so
that a difference of rows is no rho_dot.
"""
STATEMENTS_HEADING = """## Every statement of the paper

The paper read from its first page to its last, abstract, introduction and captions included. A
statement that is made several times stands where it is made most fully. Answers are claims of this
page and figures (`snakemake <name>`); where nothing is measured the last column says why.

| where | the paper says | answered by | remark |
|---|---|---|---|
"""
FIGURES_HEADING = """## Figures of these statements

Beside the paper's own figures, in their style; each is drawn from the experiment of its name.

| figure | what the paper states | claims about it |
|---|---|---|
"""


def entry(claim: Claim) -> str:
    """What the paper says, what is measured, what it is compared with, and what decides."""
    limit = " (a limit)" if claim.limit else ""
    effect = f" No effect: within {claim.negligible:g} of it ({claim.negligible_because})."
    small = "" if math.isnan(claim.negligible) else effect
    control = f"Control: {claim.control}.  \n" if claim.control else ""
    none = f"No control: {claim.no_control}.  \n" if claim.no_control else ""
    threshold = f"Claimed: {claim.side} {claim.threshold:.10g} ({claim.because})"
    judged = f"Not judged: {claim.because}.\n"
    if claim.test != "number":
        shown = " The paper shows it of its own network." if claim.shown else ""
        judged = f"{threshold}; test: {claim.test}{limit}.{small}{shown}\n"
    earlier = f"Earlier: {claim.earlier}.  \n" if claim.earlier else ""
    return (
        f"**`{claim.name}`**: {claim.statement}.  \n"
        f"The paper ({claim.place}): {claim.says}  \n"
        f"Measured: {claim.measured}; from {', '.join(claim.tables)}.  \n"
        f"{control}{none}{earlier}{judged}"
    )


def statement_row(statement: Statement) -> str:
    """A row of the list of all statements."""
    names = ", ".join(f"`{name}`" for name in statement.answers)
    cells = (statement.place, statement.says, names, statement.remark)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


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
    listed = "".join(statement_row(statement) for statement in statements())
    return (
        f"{HEADING}\n{STATEMENTS_HEADING}{listed}\n{FIGURES_HEADING}{figures}\n"
        f"## Claims\n\n{claims}"
    )


if __name__ == "__main__":
    print(document(), end="")
