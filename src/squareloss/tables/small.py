"""Tables of small problems, which are not runs of the study."""

from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import Column

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
