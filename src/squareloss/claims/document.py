"""docs/claims.md from the claims: `python -m squareloss.claims.document > docs/claims.md`."""

from squareloss import catalog
from squareloss.catalog import About
from squareloss.claims import report  # noqa: F401 (imports all sections)
from squareloss.claims.claim import ALPHA, CLAIMS, FEWEST, Claim

HEADING = f"""# The paper's statements as tests

Generated from the code: `python -m squareloss.claims.document > docs/claims.md`.

`snakemake` writes the verdicts to `results/<study>/claims/claims.md` (and `.parquet`, and a page of
the report). Each claim says that a measured number lies on one side of a threshold, and there are
two kinds:

- **replicates**: a statement about training, which is random. The number is measured on every
  replicate. Its mean gets a 95% bootstrap interval (BCa), and two exact one-sided sign-flip tests
  ask whether it lies on the claimed side of the threshold, or on the other. *Supported* and
  *contradicted* need p < {ALPHA:g} after Holm's correction over all tests of the study in that
  direction; everything else is *not decided*. Fewer than {FEWEST} replicates decide nothing. With
  the paper's 10, all ten must agree: p = 1/1024 is just below {ALPHA:g} over the number of claims.
- **every**: a statement about every network, like a theorem. It is *supported* if it holds in all
  cases measured that meet its premise, and *contradicted* by one in which it does not.

Replicates share the data: an interval says what another training would give, not what other images
would. A replicate that diverged, or lacks the premise named, is left out and counted; if more than
half are, nothing is decided. Most premises are that the network fits its training set, without
which neither a margin nor a comparison means what the paper says of it. A statement about a limit
("->", "vanishes") is measured at the last snapshot but one as well, at about half of training:
where the mean still covers a tenth of what is missing between these two, a value on the wrong side
is *not converged* and contradicts nothing. The sign-flip tests suppose that replicates scatter
symmetrically.

Thresholds were fixed before the results and have a reason each. Measures are those of the last
epoch unless said otherwise; tables and columns are in [tables.md](tables.md). Eq. 6 and Lemma 4 are
measured on small problems at every step: in the study's runs rho settles within a few steps, and
`history` has one row an epoch at the most, so that a difference of rows is no rho_dot.
"""
FIGURES_HEADING = """## Figures of these statements

Beside the paper's own figures, in their style; each is drawn from the experiment of its name.

| figure | what the paper states | claims about it |
|---|---|---|
"""


def entry(claim: Claim) -> str:
    """Three lines: what is claimed, what is measured, what decides."""
    limit = " (a limit)" if claim.limit else ""
    return (
        f"**`{claim.name}`** ({claim.place}): {claim.statement}.  \n"
        f"Measured: {claim.measured}; from {', '.join(claim.tables)}.  \n"
        f"Claimed: {claim.side} {claim.threshold:g} ({claim.because}); test: {claim.test}{limit}.\n"
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
