"""The margin of every training sample, at the snapshot epochs."""

from squareloss.tables.schema import Column, Table

MARGINS = Table(
    "margins",
    "one training sample at a snapshot epoch",
    (
        Column("sample", "int32", "1", "position in the prepared split"),
        Column("margin", "float32", "1", "<f_V(x), e~_y> (C - 1) / C; 1/rho at interpolation"),
        Column("label", "int8", "1", "class trained on, after label noise"),
        Column("true_label", "int8", "1", "class before label noise"),
    ),
    keys=("sample",),
)
