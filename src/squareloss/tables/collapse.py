"""Neural collapse of the last hidden layer, at the snapshot epochs."""

from squareloss.tables.schema import Column, Table

COLLAPSE = Table(
    "collapse",
    "a snapshot epoch of a replicate; features h of the training images are the input of the last "
    "layer, their classes the labels trained on",
    (
        Column("nc1", "float64", "1", "Tr(Sigma_W pinv(Sigma_B))", "Eq. 27, Figure 9"),
        Column(
            "nc1_per_class", "float64", "1", "nc1 / C, as Papyan, Han and Donoho (2020) have it"
        ),
        Column("nc1_trace", "float64", "1", "Tr(Sigma_W) / Tr(Sigma_B)", "Eq. 27"),
        Column(
            "nc2_equinorm_means",
            "float64",
            "1",
            "sd / mean of ||mu_c - mu_G|| over classes; 0 for two classes",
        ),
        Column("nc2_equinorm_weights", "float64", "1", "sd / mean of ||w_c|| over classes"),
        Column(
            "nc2_angle_means",
            "float64",
            "1",
            "mean |cos + 1/(C-1)| over pairs of mu_c - mu_G; 0 for two classes",
        ),
        Column("nc2_angle_weights", "float64", "1", "mean |cos + 1/(C-1)| over pairs of w_c"),
        Column(
            "nc2_uniformity_means",
            "float64",
            "1",
            "generalised NC2 of Wu and Papyan (2024): sd / |mean| over pairs of the log inverse "
            "distance of the directions of mu_c - mu_G; 0 for two classes",
        ),
        Column(
            "cdnv",
            "float64",
            "1",
            "class-distance normalised variance, mean over pairs, of Galanti, Gyorgy and Hutter "
            "(2022)",
        ),
        Column("nc3", "float64", "1", "||W / ||W|| - M^T / ||M|| ||_F, M of columns mu_c - mu_G"),
        Column(
            "nc3_squared", "float64", "1", "its square, as Papyan, Han and Donoho (2020) have it"
        ),
        Column(
            "nc3_least_squares",
            "float64",
            "1",
            "nc3 of the least-squares classifier of the same features, in directions that hold "
            "over 1e-4 of their largest mean square",
        ),
        Column(
            "nc3_collapsed",
            "float64",
            "1",
            "the same if every sample had its class mean as its features",
        ),
        Column(
            "least_squares_cosine", "float64", "1", "cosine of W with that least-squares classifier"
        ),
        Column("classifier_in_means", "float64", "1", "share of ||W||^2 in the span of the mu_c"),
        Column(
            "nc4", "float64", "1", "share of samples whose prediction is not the nearest class mean"
        ),
        Column(
            "lemma5_change",
            "float64",
            "1",
            "largest change of an output f_W if V_L turns by 60 degrees to where features have "
            "least and rho doubles",
            "Lemma 5",
        ),
        Column(
            "lemma5_alignment",
            "float64",
            "1",
            "least cosine of a sample's features with its class's row of V_L (C = 2: difference of "
            "rows)",
            "Lemma 5",
        ),
    ),
)
