"""Norms and ranks of every layer, and the collapse of what it puts out, at the snapshot epochs."""

from squareloss.tables.schema import Column, Table

# Of the features after a layer, on the images of the training set or the test set.
COLLAPSE = (
    ("nc1", "Tr(Sigma_W pinv(Sigma_B))", "Eq. 27"),
    ("nc1_trace", "Tr(Sigma_W) / Tr(Sigma_B)", "Eq. 27"),
    ("cdnv", "class-distance normalised variance", "Galanti, Gyorgy and Hutter (2022)"),
    ("nc2_angle_means", "mean |cos + 1/(C-1)| over pairs of class means", ""),
    ("nearest_mean_error", "share whose nearest class mean of the training set is another's", ""),
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
        Column(
            "step_norm",
            "float64",
            "1",
            "mean over the epoch's steps of ||V_k - V_k one step before||; NaN at epoch 0",
            "Eq. 53",
        ),
        Column("distance", "float64", "1", "||V_k - V_k of epoch 0||, 0 to 2", "section 3.5"),
        *(
            Column(f"{prefix}{name}", "float64", "1", f"{meaning}, {images} images", source)
            for prefix, images in (("", "training"), ("test_", "test"))
            for name, meaning, source in COLLAPSE
        ),
        Column(
            "used_share",
            "float64",
            "1",
            "share of ||W_k||^2 in directions that hold over 1e-4 of the largest variance of its "
            "inputs; NaN for convolutions",
        ),
    ),
)
