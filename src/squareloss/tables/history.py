"""The course of training: one row a replicate and evaluated epoch, written by training itself."""

from squareloss.tables.schema import Column, Table

HISTORY = Table(
    "history",
    "one evaluated epoch of a replicate, measured on the whole training and test set",
    (
        Column("classes", "int64", "classes", "number of classes C"),
        Column("train_loss", "float64", "1", "data term of the loss, without the penalty", "Eq. 1"),
        Column("train_error", "float64", "1", "share misclassified, against the labels trained on"),
        Column("test_loss", "float64", "1", "the same loss on the test set"),
        Column("test_error", "float64", "1", "share of the test set misclassified"),
        Column("current_lr", "float64", "1", "learning rate of the epoch that ended"),
        Column("rho", "float64", "1", "product of the layers' Frobenius norms and |rho_top|"),
        Column("rho_top", "float64", "1", "the learnable top scalar; its sign is kept here"),
        Column("lambda_eff", "float64", "1", "lambda (rho_top / rho)^2: what acts on rho^2"),
        Column("mu", "float64", "1", "mean of <f_V, e~> / C; for C = 2 the mean margin", "Eq. 6"),
        Column("M", "float64", "1", "mean of ||f_V||^2 / C", "Eq. 6"),
        Column("mean_margin", "float64", "1", "mean margin of f_V on the training set"),
        Column("margin_sd", "float64", "1", "standard deviation of the margins over the samples"),
        Column("min_margin", "float64", "1", "smallest margin"),
        Column("max_margin", "float64", "1", "largest margin"),
        Column("margin_skewness", "float64", "1", "skewness of the margins, 0 for a Gaussian"),
        Column("margin_kurtosis", "float64", "1", "their excess kurtosis, 0 for a Gaussian"),
    ),
)
