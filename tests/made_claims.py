"""A claim with the values that a test gives it."""

import pandas as pd

from squareloss.claims.claim import Claim


def claim(values, side=">", threshold=0.0, test="replicates", name="c", **rest):
    """A claim whose measured values are these; it reads the table t."""
    values = pd.Series(values, dtype=float)
    return Claim(name, "p", "s", "q", side, threshold, "b", lambda t: values, test, **rest)
