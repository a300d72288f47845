"""The loss along the arc between two replicates, for Figure 2."""

from squareloss.tables.schema import Column, Table

LANDSCAPE = Table(
    "landscape",
    "a position on the arc between the weights of two replicates at the last epoch",
    (
        Column("other", "int64", "1", "the second replicate; `replicate` is the first"),
        Column("angle", "float64", "degrees", "angle from the first replicate's V along the arc"),
        Column("mu", "float64", "1", "mean of <f_V, e~> / C", "Eq. 6"),
        Column("M", "float64", "1", "mean of ||f_V||^2 / C", "Eq. 6"),
        Column("rho_trained", "float64", "1", "rho of the replicate at that end; NaN in between"),
        Column("lambda_eff", "float64", "1", "mean of the two replicates' lambda_eff"),
    ),
    keys=None,
)
