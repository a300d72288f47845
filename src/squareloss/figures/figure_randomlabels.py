"""Section 5: neural collapse without anything to generalise.

Errors, NC1 and NC4 against the epoch with true labels and with all labels random; bands are
quartiles.

The paper's collapse needs fitted labels alone, whatever they mean. With `config/long.yaml` the
random labels are fitted too: features collapse along one line, and the test error is that of
guessing.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses

VARIES = ("label_noise",)

NC4 = courses.Panel("nc4", "NC4: nearest class mean", "share that differs from it")


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """NC1, NC4 and the errors against the epoch, for true and for random labels."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.NC1, NC4),
        curves=courses.Curves(VARIES, "{:.0%} random labels".format),
        title="Do random labels collapse as true ones do?",
        note="Training error and collapse are measured against the labels trained on.",
    )
