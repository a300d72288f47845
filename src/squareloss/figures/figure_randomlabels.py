"""Section 5: neural collapse with true and with fully random labels."""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import courses, style

NC4 = courses.Panel("nc4", "NC4: nearest class mean", "share that differs from it")


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """NC1, NC4 and the errors against the epoch, for true and for random labels."""
    return courses.draw(
        table,
        made_from,
        panels=(*courses.ERRORS, courses.NC1, NC4),
        by=["label_noise"],
        label=lambda noise: f"{noise:.0%} random labels",
        title="Neural collapse without anything to generalise",
        note="Training error and collapse are measured against the labels trained on.",
    )


if __name__ == "__main__":
    style.run(draw)
