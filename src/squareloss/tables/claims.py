"""The verdict on every statement of the paper."""

from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import Column

CLAIMS = PlainTable(
    "claims",
    "a statement of the paper",
    "claims/claims.parquet",
    (
        Column("claim", "string", "1", "its name in claims.md"),
        Column("place", "string", "1", "where the paper makes it"),
        Column("statement", "string", "1", "in symbols"),
        Column("quantity", "string", "1", "what is measured, and with which premise"),
        Column("side", "string", "1", "side of the threshold that is claimed, > or <"),
        Column("threshold", "float64", "1", "what the quantity is compared with"),
        Column("because", "string", "1", "why this threshold"),
        Column("premise", "string", "1", "what is measured has it, the rest is left out"),
        Column("test", "string", "1", "of the mean over replicates, or of every case"),
        Column("tables", "string", "1", "names of the tables it reads"),
        Column("lacking", "string", "1", "what it needs and the study does not have"),
        Column("measured", "int64", "1", "replicates or cases measured"),
        Column("without", "int64", "1", "those left out: diverged, or without the premise"),
        Column("holding", "int64", "1", "those on the claimed side"),
        Column("mean", "float64", "1", "mean of the measured values"),
        Column("worst", "float64", "1", "the value furthest on the wrong side, or nearest to it"),
        Column("low", "float64", "1", "lower end of the 95% bootstrap interval of the mean, BCa"),
        Column("high", "float64", "1", "upper end of it"),
        Column("p_for", "float64", "1", "exact sign-flip test of the mean on the claimed side"),
        Column("p_against", "float64", "1", "the same on the other side"),
        Column("earlier", "float64", "1", "mean one snapshot before, of a limit still approached"),
        Column("holm_for", "float64", "1", "p_for after Holm's correction over all claims"),
        Column("holm_against", "float64", "1", "p_against after Holm's correction over all claims"),
        Column("verdict", "string", "1", "supported, contradicted or not decided"),
        Column("reason", "string", "1", "the numbers that say so"),
    ),
)
