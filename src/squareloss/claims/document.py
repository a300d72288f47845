"""docs/claims.md from the claims: `python -m squareloss.claims.document > docs/claims.md`."""

from squareloss.claims.claim import ALPHA, FEWEST, Claim
from squareloss.claims.report import CLAIMS

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
- **every**: a statement about every network, like a theorem. It is *supported* if it holds for all
  networks measured that meet its premise, and *contradicted* by one that does not.

Replicates share the data: an interval says what another training would give, not what other images
would. A replicate that diverged, or does not meet a premise such as zero training error, is left
out and counted; if more than half are, nothing is decided. Thresholds were fixed before the results
and have a reason each. Measures are those of the last epoch unless said otherwise; tables and
columns are in [tables.md](tables.md).
"""


def entry(claim: Claim) -> str:
    """Three lines: what is claimed, what is measured, what decides."""
    return (
        f"**`{claim.name}`** ({claim.place}): {claim.statement}.  \n"
        f"Measured: {claim.quantity}; from {', '.join(claim.experiments)}.  \n"
        f"Claimed: {claim.side} {claim.threshold:g} ({claim.because}); test: {claim.test}.\n"
    )


def document() -> str:
    """The whole page."""
    return HEADING + "\n" + "\n".join(entry(claim) for claim in CLAIMS)


if __name__ == "__main__":
    print(document(), end="")
