"""The tables that the extraction job computes from the snapshots."""

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
)

COLLAPSE = Table(
    "collapse",
    "a snapshot epoch of a replicate; features h are the input of the last layer",
    (
        Column("nc1", "float64", "1", "Tr(Sigma_W pinv(Sigma_B))", "Eq. 27, Figure 9"),
        Column("nc1_trace", "float64", "1", "Tr(Sigma_W) / Tr(Sigma_B)", "Eq. 27"),
        Column("nc2_equinorm_means", "float64", "1", "sd / mean of ||mu_c - mu_G|| over classes"),
        Column("nc2_equinorm_weights", "float64", "1", "sd / mean of ||w_c|| over classes"),
        Column("nc2_angle_means", "float64", "1", "mean |cos + 1/(C-1)| over pairs of class means"),
        Column("nc2_angle_weights", "float64", "1", "mean |cos + 1/(C-1)| over pairs of w_c"),
        Column("nc3", "float64", "1", "||W / ||W|| - M^T / ||M|| ||_F"),
        Column("nc4", "float64", "1", "share whose prediction is not the nearest class mean"),
        Column(
            "lemma5_change",
            "float64",
            "1",
            "largest change of an output if V_L turns by 60 degrees and rho doubles",
            "Lemma 5",
        ),
    ),
)

LAYERS = Table(
    "layers",
    "one layer at a snapshot epoch; kernels as (out, in * k * k) matrices",
    (
        Column("layer", "int64", "1", "number of the layer, from 1 at the input"),
        Column("frobenius_norm", "float64", "1", "||W_k||; rho is their product times |rho_top|"),
        Column("spectral_norm", "float64", "1", "largest singular value of W_k"),
        Column("stable_rank", "float64", "1", "||W_k||_F^2 / ||W_k||_2^2"),
        Column("effective_rank", "float64", "1", "exp of the entropy of the singular values' law"),
        Column("rank_1e-3", "int64", "1", "singular values of V_k above 1e-3", "section 6"),
        Column("rank_1e-2", "int64", "1", "singular values of V_k above 1e-2", "section 6"),
        Column("rank_4e-2", "int64", "1", "singular values of V_k above 4e-2", "section 6"),
        Column("update_norm", "float64", "1", "||V_k - V_k one epoch before||; NaN at epoch 0"),
        Column("distance", "float64", "1", "||V_k - V_k of epoch 0||, 0 to 2", "section 3.5"),
    ),
)

BOUNDS = Table(
    "bounds",
    "one generalisation bound at a snapshot epoch, with its inputs",
    (
        Column("bound", "string", "1", "name of the bound"),
        Column("value", "float64", "1", "the bound on the test error, may exceed 1; NaN undefined"),
        Column(
            "applies", "bool", "1", "zero training error, two classes, no batch norm: its premise"
        ),
        Column("rho", "float64", "1", "product norm", "Eq. 12"),
        Column("max_norm", "float64", "1", "max ||x|| of the training images; scales rho"),
        Column("layers", "int64", "1", "depth L"),
        Column("delta", "float64", "1", "failure probability"),
        Column("train_error", "float64", "1", "share of the training set misclassified"),
    ),
)

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
)

METRICS = (MARGINS, COLLAPSE, LAYERS, BOUNDS)
