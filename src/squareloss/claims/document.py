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

This page is generated from the code by `make docs`.

Every statement of the paper is [listed](#every-statement-of-the-paper) with the claims that test
it. A [claim](#claims) is one measured number and one threshold. `snakemake` writes the verdicts to
`results/<study>/claims/`, as a table and as a page.

| kind of claim | what it is | verdict |
|---|---|---|
| replicates | a statement about training, which is random. The number is measured on every replicate. Two exact sign tests ask on which side of the threshold the median lies. A few claims have a third test, of no effect: is the median nearer to the threshold than an effect that would matter (two one-sided tests)? | *supported*, *contradicted* or *not decided*. If the paper shows it of its own network, and a run has another width or N, *not reproduced* stands in place of *contradicted* |
| every | a statement about every network | *supported* if it holds in all measured cases that meet its premise, *contradicted* by one case in which it does not |
| check | a proof or arithmetic, which tests the implementation | *passed* or *failed*; never counted among the statements |
| number | the paper's words claim nothing that the number could contradict, or nothing else could come out. Each says which | *reported* |

## What decides

**Measured** is the last epoch, unless a claim says otherwise. [tables.md](tables.md) has the
columns. Eq. 6 and Lemma 4 are measured on small problems at every step, because `history` has at
most one row an epoch, and in the study's runs rho settles within an epoch or two.

**Premise.** Most claims need a network that fits its training set. Without a fit, margins and
comparisons do not mean what the paper says of them.

**Controls.** A claim that could not have failed would show nothing. Each claim therefore names its
control: what would be measured without the mechanism that the paper names, such as lambda = 0, the
network before training, or another start. Many claims are a difference from their control. Other
claims measure the control too. They are supported only if the number lies further on the claimed
side than the control's number. The test is the same sign test over replicates; the larger p counts.

**Thresholds.** Each has a reason. If the paper's words fix none, a study's page says whether half
and twice the threshold give the same verdict (*robust*). Most thresholds were fixed before the
results of the long study. {sum(bool(claim.earlier) for claim in CLAIMS)} claims were judged
otherwise before, as *Earlier* says beside each. These thresholds or claims came after the results:
`noise-absent-in-gd`, `figure10-single-value-of-all`, `figure10-zero-variance`,
`vacuous-by-an-order`, `margins-narrowest-last` and `lemma7-outputs`. So did the premise of
quasi-interpolation.

**Probability of error.** A verdict over replicates needs p < {ALPHA:g} after Holm's correction in a
family of {FAMILY} tests. The claims of this page take {TESTS} of them. The size of the family is
fixed, so it depends neither on what a study could measure nor on claims that are added. Therefore
the probability of any false verdict *over replicates* in one study is at most {ALPHA:.0%}. A
study's page says for which family sizes each verdict would be the same. {fewest(FAMILY)} replicates
decide if all agree. Of 16, one may dissent.

**Not covered.** The sign test assumes that replicates are independent, and nothing else. Replicates
share the data: a verdict is about other trainings, not about other images. Claims about every
network have no such probability. If n cases hold and cases were drawn at random, up to
1 - 0.05^(1/n) of all cases might fail, at 95%: {violations_left(CASES):.0%} after {CASES} cases.

This picture shows how often the rule is wrong, and how often it finds what is there (`snakemake
figure_verdicts`):

![False verdicts and power](figure_verdicts.png)

| not decided because | meaning |
|---|---|
| *study lacks runs* | the study lacks the runs that the claim compares, or no run starts where the statement begins |
| *premise unmet* | more replicates diverged or lack the premise than were measured |
| *vacuous* | no network's error could contradict the bound: the bound is 1 or more, or the error is 0 |
| *control alike* | the control does as well, so the paper's mechanism is not what is seen |
| *too few replicates* | they could not decide, or the stated number of replicates would if they agree as so far |
| *not converged* | longer training could change the verdict: the second half of training closed a tenth or more of the distance to the threshold, or half-way could not be measured |
| *inconclusive* | the replicates disagree |
"""  # noqa: E501 (a row of a Markdown table is one line)
STATEMENTS_HEADING = """## Every statement of the paper

This is the paper from its first page to its last, with abstract, introduction and captions. A
statement that is made several times stands where it is made most fully. Answers are claims and
figures (`snakemake <name>`). If nothing is measured, the last column says why.

| where | the paper says | answered by | remark |
|---|---|---|---|
"""
FIGURES_HEADING = """## Figures of these statements

These figures are ours, beside the paper's own. Each is drawn from the experiment of its name.

| figure | what the paper states | claims about it |
|---|---|---|
"""


def entry(claim: Claim) -> str:
    """What the paper says, what is measured, what it is compared with, and what decides."""
    rows = {
        f"The paper, {claim.place}": claim.says,
        "Measured": f"{claim.measured}; from {', '.join(claim.tables)}",
        "Control": claim.control,
        "No control": claim.no_control,
        "Earlier": claim.earlier,
    }
    if claim.test == "number":
        rows["Not judged"] = claim.because
    else:
        rows["Claimed"] = f"{claim.side} {claim.threshold:.10g} ({claim.because})"
        if not math.isnan(claim.negligible):
            because = claim.negligible_because
            rows["No effect"] = f"within {claim.negligible:g} of the threshold ({because})"
        limit = ", of a limit" if claim.limit else ""
        shown = ". The paper shows it of its own network" if claim.shown else ""
        rows["Test"] = f"{claim.test}{limit}{shown}"
    body = "".join(f"| {head} | {cell(text)} |\n" for head, text in rows.items() if text)
    return f"### {claim.name}\n\n| Statement | {cell(claim.statement)} |\n|---|---|\n{body}"


def cell(text: str) -> str:
    """`text` for a cell of a Markdown table, which | would end."""
    return text.replace("|", "\\|")


def statement_row(statement: Statement) -> str:
    """A row of the list of all statements."""
    names = ", ".join(f"`{name}`" for name in statement.answers)
    cells = (statement.place, statement.says, names, statement.remark)
    return "| " + " | ".join(map(cell, cells)) + " |\n"


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
