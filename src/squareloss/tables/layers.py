"""Norms and ranks of every layer, and the collapse of what it puts out, at the snapshot epochs."""

from squareloss.tables.schema import Column, Table

# Of what a layer hands on, after ReLU and pooling, on the images of the training or the test set.
AFTER_LAYER = (
    ("nc1", "Tr(Sigma_W pinv(Sigma_B))", "Eq. 27"),
    ("nc1_trace", "Tr(Sigma_W) / Tr(Sigma_B)", "Eq. 27"),
    (
        "cdnv",
        "class-distance normalised variance, mean over pairs",
        "Galanti, Gyorgy and Hutter (2022)",
    ),
    ("nc2_angle_means", "mean |cos + 1/(C-1)| over pairs of mu_c - mu_G", ""),
    ("nearest_mean_error", "share whose nearest class mean of the training set is another's", ""),
)

LAYERS = Table(
    "layers",
    "one layer at a snapshot epoch; kernels as (out, in * k * k) matrices, features those after the"
    " layer, the outputs of the last",
    (
        Column("layer", "int64", "1", "number of the layer, from 1 at the input"),
        Column(
            "frobenius_norm",
            "float64",
            "1",
            "||W_k||; rho is their product (bn: the last alone) times |rho_top|",
        ),
        Column("spectral_norm", "float64", "1", "largest singular value of W_k"),
        Column("stable_rank", "float64", "1", "||W_k||_F^2 / ||W_k||_2^2"),
        Column(
            "effective_rank", "float64", "1", "exp of the entropy of s / sum(s), s singular values"
        ),
        Column("rank_1e-3", "int64", "1", "singular values of V_k above 1e-3", "Section 6"),
        Column("rank_1e-2", "int64", "1", "singular values of V_k above 1e-2", "Section 6"),
        Column("rank_4e-2", "int64", "1", "singular values of V_k above 4e-2", "Section 6"),
        Column("update_norm", "float64", "1", "||V_k - V_k one epoch before||; NaN at epoch 0"),
        Column(
            "step_norm",
            "float64",
            "1",
            "mean over the epoch's steps of ||V_k - V_k one step before||; NaN at epoch 0",
            "Eq. 53",
        ),
        Column(
            "distance",
            "float64",
            "1",
            "||V_k - V_k of epoch 0||, 0 to 2, without the sign of rho_top",
            "Section 3.5",
        ),
        *(
            Column(f"{prefix}{name}", "float64", "1", f"{meaning}, {images} images", source)
            for prefix, images in (("", "training"), ("test_", "test"))
            for name, meaning, source in AFTER_LAYER
        ),
        Column(
            "used_share",
            "float64",
            "1",
            "share of ||W_k||^2 in directions that hold over 1e-4 of the largest mean square of "
            "its inputs, training images; NaN for convolutions",
        ),
    ),
    keys=("layer",),
)
