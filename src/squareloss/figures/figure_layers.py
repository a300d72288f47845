"""Section 5: collapse by layer, on training and on test images.

A point is the features after a layer, from the first to the outputs; a curve is a snapshot epoch,
the median over the replicates, with bars from quartile to quartile, dark and thick at the start,
bright and thin at the end. Above: variability within
the classes over that between them, as the ratio of the traces. Below: the share of images whose
nearest class mean (of the training images) is that of another class. A column is a run; a row has
one axis for all of them.

The paper states collapse of the last hidden layer only. In deep networks trained to the end it is
known to come gradually, layer after layer, and on test images to a part. With `config/long.yaml`
the outputs alone collapse, with weight decay and without, and on test images they do not.
"""

from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from squareloss.figures import courses, style
from squareloss.tables.runs import RUN

MEASURES = {
    "nc1_trace": r"$\mathrm{Tr}(\Sigma_W)/\mathrm{Tr}(\Sigma_B)$",
    "nearest_mean_error": "nearest mean of another\nclass (share)",
}
IMAGES = {"": "training images", "test_": "test images"}


def panel(ax: Axes, run: pd.DataFrame, column: str) -> None:
    """One measure over the layers: a curve an epoch."""
    epochs = sorted(run["epoch"].unique())
    colours = sns.color_palette("viridis", len(epochs))
    widths = np.linspace(courses.THICK, courses.THIN, len(epochs))
    for colour, width, epoch in zip(colours, widths, epochs, strict=True):
        stats = style.quartiles(run[run["epoch"] == epoch], "layer", column)
        line = {"fmt": "o-", "ms": 3, "lw": width, "color": colour, "label": f"{epoch:,}"}
        ax.errorbar(stats.index, stats["median"], style.reach(stats), elinewidth=0.8, **line)
    ax.set_xticks(sorted(run["layer"].unique()))
    if not np.isfinite(run[column]).any():
        style.nothing(ax)


def titles(runs: list[pd.DataFrame]) -> list[str]:
    """What each run is called: lambda and start, and the recipe where there are several."""
    several = len({run["recipe_name"].iloc[0] for run in runs}) > 1
    names = []
    for run in runs:
        first = run.iloc[0]
        name = rf"$\lambda$ = {first['weight_decay']:g}, start {first['init_scale']:g}"
        names.append(f"{first['recipe_name']}, {name}" if several else name)
    return names


def draw(layers: pd.DataFrame, made_from: str = "") -> Figure:
    """Collapse over the layers at every snapshot: a column a run, the largest lambda first."""
    groups = [run for _, run in layers.groupby(RUN)]
    runs = sorted(groups, key=lambda run: -run["weight_decay"].iloc[0])
    rows = list(product(MEASURES.items(), IMAGES.items()))
    figure = style.canvas(3.1 * len(runs) + 1.8, 1.9 * len(rows) + 0.8)
    axes = figure.subplots(len(rows), len(runs), sharex="col", sharey="row", squeeze=False)
    for row, ((column, label), (prefix, images)) in zip(axes, rows, strict=True):
        row[0].set_ylabel(f"{label},\n{images}")
        for ax, run in zip(row, runs, strict=True):
            if column == "nc1_trace":
                ax.set_yscale("log")
            panel(ax, run, f"{prefix}{column}")
    for ax, title in zip(axes[0], titles(runs), strict=True):
        ax.set_title(title)
    for ax in axes[-1]:
        ax.set_xlabel("layer, from the input; the last is the outputs")
    look = {"title": "epoch", "loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
    axes[0, -1].legend(*axes[0, 0].get_legend_handles_labels(), **look)
    figure.suptitle("Do layers before the last collapse?")
    count = layers.groupby(RUN)["replicate"].nunique().min()
    style.foot(
        figure, made_from, f"Median and quartiles of {count} replicates." if count > 1 else ""
    )
    return figure
