"""Every generalisation bound, at the snapshot epochs."""

from squareloss.tables.schema import Column, Table

BOUNDS = Table(
    "bounds",
    "one generalisation bound at a snapshot epoch, with its inputs",
    (
        Column("bound", "string", "1", "name of the bound"),
        Column("value", "float64", "1", "the bound on the test error, may exceed 1; NaN undefined"),
        Column(
            "applies",
            "bool",
            "1",
            "zero training error, two classes, no batch norm; what else a bound supposes of "
            "images, labels and layers is not asked",
        ),
        Column("rho", "float64", "1", "product norm; bn: norm of the last layer", "Eq. 12"),
        Column("max_norm", "float64", "1", "max ||x|| of the training images; scales rho"),
        Column(
            "ramp_loss",
            "float64",
            "1",
            "mean of 1 - y f_W cut off at 0 and 1 on the training set; in all bounds but bartlett "
            "and parameters",
            "Theorem 3",
        ),
        Column("layers", "int64", "1", "depth L"),
        Column("delta", "float64", "1", "failure probability"),
        Column(
            "train_error",
            "float64",
            "1",
            "share of the training set misclassified, against the labels trained on",
        ),
    ),
    keys=("bound",),
)
