"""A row of `history`: everything that training measures on the whole training and test set."""

from typing import Any

from torch import Tensor

from squareloss.model.network import Network
from squareloss.spec import RunSpec
from squareloss.train.evaluate import LOSSES, distribution, error, loss_targets, margins, moments
from squareloss.train.training_data import TrainingData

Row = dict[str, Any]


def history_row(network: Network, spec: RunSpec, data: TrainingData, labels: Tensor) -> Row:
    """What is measured of a network, without `replicate`, `epoch` and `current_lr`.

    `labels` (N,) int64 are those that it is trained on.
    """
    recipe, classes = spec.recipe, data.classes
    loss = LOSSES[recipe.loss]
    train, test = (network.outputs(x.permute(0, 3, 1, 2)) for x in (data.train_x, data.test_x))
    f_v = train / network.rho  # the sign of rho_top is folded into V_L, so f_W = rho f_V
    mu, m = moments(f_v, labels)
    return {
        "classes": classes,
        "train_loss": loss(train, loss_targets(labels, classes, recipe.targets, train)).item(),
        "train_error": error(train, labels),
        "test_loss": loss(
            test, loss_targets(data.test_labels, classes, recipe.targets, test)
        ).item(),
        "test_error": error(test, data.test_labels),
        "rho": network.rho,
        "rho_top": network.rho_top,
        "lambda_eff": network.lambda_eff(spec.point.weight_decay),
        "mu": mu,
        "M": m,
        **distribution(margins(f_v, labels).double()),
    }
