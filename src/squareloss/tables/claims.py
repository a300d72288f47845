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
        Column("says", "string", "1", "what the paper says there, in other words"),
        Column("statement", "string", "1", "in symbols"),
        Column("quantity", "string", "1", "what is measured, and with which premise"),
        Column(
            "side",
            "string",
            "1",
            "side of the threshold that is claimed: >, <, within; empty: none",
        ),
        Column("threshold", "float64", "1", "what the quantity is compared with; NaN: not judged"),
        Column("ours", "bool", "1", "whether the paper's words leave the threshold open"),
        Column("because", "string", "1", "why this threshold, or why the number is not judged"),
        Column("premise", "string", "1", "what is measured has it, the rest is left out"),
        Column(
            "control",
            "string",
            "1",
            "what is measured without the mechanism that the paper names, or why nothing is",
        ),
        Column(
            "test", "string", "1", "replicates (their median), every case, a check, or a number"
        ),
        Column("limit", "bool", "1", "whether it is about the long run"),
        Column(
            "negligible", "float64", "1", "an effect nearer to the threshold is as good as none"
        ),
        Column("tables", "string", "1", "names of the tables it reads"),
        Column("size", "string", "1", "width and N of its runs; empty: those of the paper's"),
        Column("lacking", "string", "1", "what it needs and the study does not have"),
        Column("measured", "int64", "1", "replicates or cases measured"),
        Column("without", "int64", "1", "those left out: diverged, or without the premise"),
        Column("holding", "int64", "1", "those on the claimed side"),
        Column("beyond", "int64", "1", "those further on the claimed side than their control"),
        Column("pairs", "int64", "1", "those whose control is measured"),
        Column("control_holding", "int64", "1", "controls on the claimed side"),
        Column("agreeing_for", "int64", "1", "replicates that the sign test for the claim counts"),
        Column("agreeing_against", "int64", "1", "replicates that the test against it counts"),
        Column("values", "string", "1", "the measured values as JSON; null for those left out"),
        Column("median", "float64", "1", "median of the measured values"),
        Column("worst", "float64", "1", "the value furthest on the wrong side, or nearest to it"),
        Column("low", "float64", "1", "lower end of the exact 95% interval of the median"),
        Column("high", "float64", "1", "upper end of it"),
        Column("half", "float64", "1", "of a limit: the median at half of training"),
        Column("control_median", "float64", "1", "median of the control's values"),
        Column(
            "violations_left",
            "float64",
            "1",
            "share of violations that as many cases, all holding, leave possible at 95%",
        ),
        *(
            Column(f"{name}{side}", "float64", "1", f"{what}: {about}")
            for name, what in (
                ("p_", "exact sign test of the median"),
                ("holm_", "its p after Holm's correction, which decides"),
                ("bh_", "its p after Benjamini and Hochberg's"),
            )
            for side, about in (
                ("for", "on the claimed side"),
                ("against", "on the other side"),
                ("negligible", "nearer to the threshold than `negligible`"),
            )
        ),
        Column(
            "p_control", "float64", "1", "sign test of being further than the control, in p_for"
        ),
        Column(
            "verdict",
            "string",
            "1",
            "supported, contradicted, not reproduced, no such effect, not decided; checks: passed"
            " or failed; numbers: reported",
        ),
        Column("why", "string", "1", "why it is not decided, in two or three words"),
        Column("reason", "string", "1", "the numbers that say so"),
        Column(
            "robust", "string", "1", "whether half or twice a threshold of ours turns the verdict"
        ),
    ),
)
