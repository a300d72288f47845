"""Tables of small problems, which are not runs of the study."""

from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.plain import PlainTable
from squareloss.tables.schema import Column

REPLICATE = Column("replicate", "int64", "1", "number of the random problem, from 0")

FLOW = PlainTable(
    "gradientflow",
    "a time of a course of gradient flow or descent on a small problem; NaN: not measured for it",
    "small/gradientflow.parquet",
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
    "small/minibatch.parquet",
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
    "small/tree.parquet",
    (
        REPLICATE,
        Column("layers", "int64", "1", "depth L"),
        Column("complexity", "float64", "1", "Rademacher complexity (1/m) over a grid of weights"),
        Column("coarse", "float64", "1", "what a finer grid could add to it at most"),
        Column("bound", "float64", "1", "2^L sqrt(sum ||x||^2) / m", "Eq. 19"),
    ),
)

AMPLE = PlainTable(
    "ample",
    "a bound on the test error of a small network with ample data",
    "small/ample.parquet",
    (
        REPLICATE,
        Column("network", "string", "1", "its layers"),
        Column("n_train", "int64", "samples", "training samples N"),
        Column("rho", "float64", "1", "product norm"),
        Column("train_error", "float64", "1", "share of the training set misclassified"),
        Column("test_error", "float64", "1", "share of 50,000 test images misclassified"),
        Column("bound", "string", "1", "name of the bound"),
        Column("value", "float64", "1", "the bound on the test error, with delta = 0.05"),
    ),
)

SETTLED = PlainTable(
    "settled",
    "a small network trained to its end with lambda > 0, and the landscape without lambda around",
    "small/settled.parquet",
    (
        REPLICATE,
        Column(
            "attempts", "int64", "1", "problems drawn, until one ended at a critical point or 8"
        ),
        Column("weight_decay", "float64", "1", "lambda", "Eq. 1"),
        Column("rho", "float64", "1", "product norm at the end"),
        Column(
            "gradient",
            "float64",
            "1",
            "norm of the gradient there, in rho and along spheres",
            "Eq. 5",
        ),
        Column(
            "eq3_error",
            "float64",
            "1",
            "largest |<V_k, d fbar / d V_k> - fbar| at the start",
            "Eq. 3",
        ),
        Column("multiplier", "float64", "1", "nu_k at the end", "Eq. 4"),
        Column("eq9_error", "float64", "1", "largest distance of a V_k from Eq. 9", "Eq. 9"),
        Column("mu", "float64", "1", "mean margin", "Eq. 6"),
        Column("M", "float64", "1", "mean of ||f_V||^2 / C", "Eq. 6"),
        Column("margin_spread", "float64", "1", "sd / mean of the margins", "Lemma 6"),
        Column("residual_spread", "float64", "1", "sd / mean of 1 - rho fbar_n", "Theorem 5"),
        Column(
            "residual_imbalance",
            "float64",
            "1",
            "difference over sum of the two classes' mean 1 - rho fbar_n: about nc3 if collapsed",
            "Theorem 5",
        ),
        *(c for c in COLLAPSE.columns if c.name in ("nc1", "nc3", "nc4")),
        *(c for c in COLLAPSE.columns if c.name.startswith("nc2") and "weights" in c.name),
        Column("multiclass_attempts", "int64", "1", "problems drawn of three classes, 24 at most"),
        Column("multiclass_gradient", "float64", "1", "as `gradient`, of the last of them"),
        Column(
            "off_targets",
            "float64",
            "1",
            "largest sine of the angle between its outputs and e~_c",
            "Lemma 7",
        ),
        Column("rho_0", "float64", "1", "1 / mu: about the least rho of zero loss", "Section 3.5"),
        Column("free_loss", "float64", "1", "loss without lambda, trained from 3 rho_0"),
        Column("free_gradient", "float64", "1", "norm of the gradient there", "Lemma 3"),
        Column("hessian_rank", "int64", "1", "rank of the Hessian there", "Theorem 1"),
        Column("residuals", "int64", "1", "samples times outputs", "Theorem 1"),
        Column("line_loss", "float64", "1", "largest loss on the line to another solution"),
        Column("curve_loss", "float64", "1", "largest loss on a trained curve to it", "Theorem 2"),
        Column("loss_below", "float64", "1", "least loss found at 0.9 rho_0", "Section 3.3"),
        Column("loss_above", "float64", "1", "least loss found at 1.1 rho_0", "Section 3.3"),
        Column("rho_dot_above", "float64", "1", "rho_dot at 1.5 rho_0, random V_k", "Section 3.5"),
        Column("rho_dot_far_above", "float64", "1", "the same at 100 rho_0", "Section 3.5"),
        Column(
            "inseparable_growth",
            "float64",
            "1",
            "largest |rho| over that of a small start whose mu is negative",
            "Section 3.5",
        ),
    ),
)
SMALL = {table.name: table for table in (FLOW, MINIBATCH, TREE, AMPLE, SETTLED)}
