"""Tables that are not of the study's runs: the small problems, and the claims."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from squareloss.files import whole
from squareloss.tables.schema import Column


@dataclass(frozen=True)
class PlainTable:
    """A Parquet table without the identity columns of a run."""

    name: str
    row: str
    path: str  # below results/<study>/
    columns: tuple[Column, ...]

    def write(self, path: str | Path, frame: pd.DataFrame) -> None:
        """Write `frame` whole or not at all, columns in the schema's order; what it lacks is NaN.

        Raises `KeyError` if it has a column that the schema does not know.
        """
        schema = pa.schema([column.field() for column in self.columns])
        if unknown := set(frame.columns) - set(schema.names):
            raise KeyError(f"{self.name}: columns {sorted(unknown)} do not match")
        columns = frame.reindex(columns=schema.names)
        arrays = [pa.array(columns[field.name].to_numpy()).cast(field.type) for field in schema]
        with whole(path) as temporary:
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), temporary)


REPLICATE = Column("replicate", "int64", "1", "number of the random problem, from 0")

FLOW = PlainTable(
    "gradientflow",
    "a time of a course of gradient flow or descent on a small problem; NaN: not measured for it",
    "aggregate/gradientflow.parquet",
    (
        REPLICATE,
        Column("method", "string", "1", "flow, descent at one step, or weight norm with momentum"),
        Column("time", "float64", "1", "time of the flow; steps x rate / (1 - momentum)"),
        Column("step", "float64", "1", "step of gradient descent"),
        Column("norms", "float64", "1", "norm of every layer under weight norm"),
        Column("rho", "float64", "1", "product norm"),
        Column("mu", "float64", "1", "mean of <f_V, e~> / C", "Eq. 6"),
        Column("M", "float64", "1", "mean of ||f_V||^2 / C", "Eq. 6"),
        Column("lambda_eff", "float64", "1", "lambda over the square of the product of the norms"),
        Column("loss", "float64", "1", "loss with its penalty", "Eq. 1"),
        Column("distance", "float64", "1", "of (rho, V_k) from the flow at the end", "Eq. 5"),
        Column("rho_dot_measured", "float64", "1", "central difference of rho, over G^2"),
        Column("rho_dot_eq6", "float64", "1", "2 (mu - rho (M + lambda_eff))", "Eq. 6"),
    ),
)

MINIBATCH = PlainTable(
    "minibatch",
    "a layer of a small network after SGD with batches of one sample",
    "aggregate/minibatch.parquet",
    (
        REPLICATE,
        Column("weight_decay", "float64", "1", "lambda", "Eq. 1"),
        Column("layer", "int64", "1", "number of the layer, from 1 at the input"),
        Column("rank", "int64", "1", "singular values of V_k above 1e-2"),
        Column(
            "second_singular_value",
            "float64",
            "1",
            "of d fbar_n / d V_k over its first, largest over n",
            "Eq. 47",
        ),
        Column("full_speed", "float64", "1", "||V_k dot|| of the whole batch", "Eq. 53"),
        Column("mean_sample_speed", "float64", "1", "mean over n of a sample's speed", "Eq. 53"),
        Column("max_sample_speed", "float64", "1", "largest over n of a sample's speed", "Lemma 8"),
    ),
)

TREE = PlainTable(
    "tree",
    "a depth of binary trees of product norm 1, on eight random samples",
    "aggregate/tree.parquet",
    (
        REPLICATE,
        Column("layers", "int64", "1", "depth L"),
        Column("complexity", "float64", "1", "Rademacher complexity (1/m) over a grid of weights"),
        Column("coarse", "float64", "1", "what a finer grid could add to it at most"),
        Column("bound", "float64", "1", "2^L sqrt(sum ||x||^2) / m", "Eq. 19"),
    ),
)

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
        Column("experiments", "string", "1", "whose tables it reads"),
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

PLAIN = (FLOW, MINIBATCH, TREE, CLAIMS)
