"""Section 5: collapse by layer, on training and on test images.

A point is the features after a layer, from the first to the outputs; a curve is a snapshot epoch,
the mean over the replicates, dark at the start and bright at the end. Above: variability within the
classes over that between them, as the ratio of the traces. Below: the share of images whose nearest
class mean (of the training images) is that of another class. Left: training images, right: test
images. A block for each run.

To compare: the paper states collapse of the last hidden layer only. In deep networks trained to the
end it is known to come gradually, layer after layer, and on test images to a part.
"""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from squareloss.figures import style
from squareloss.tables.runs import RUN

MEASURES = {
    "nc1_trace": r"$\mathrm{Tr}(\Sigma_W)/\mathrm{Tr}(\Sigma_B)$",
    "nearest_mean_error": "nearest mean of another\nclass (share)",
}
IMAGES = {"": "training images", "test_": "test images"}


def panel(ax: Axes, run: pd.DataFrame, column: str) -> None:
    """One measure over the layers: a curve an epoch."""
    means = run.groupby(["epoch", "layer"])[column].mean().unstack("epoch")
    colours = sns.color_palette("viridis", len(means.columns))
    for colour, (epoch, course) in zip(colours, means.items(), strict=True):
        ax.plot(course.index, course, "o-", ms=3, color=colour, label=f"{epoch:,}")
    ax.set_xticks(means.index)
    if means.isna().all(axis=None):
        style.nothing(ax)


def block(part: SubFigure, run: pd.DataFrame) -> None:
    """The four panels of one run."""
    axes = part.subplots(len(MEASURES), len(IMAGES), sharex=True, sharey="row")
    for row, (column, label) in zip(axes, MEASURES.items(), strict=True):
        for ax, (prefix, images) in zip(row, IMAGES.items(), strict=True):
            if column == "nc1_trace":
                ax.set_yscale("log")
            panel(ax, run, f"{prefix}{column}")
            ax.set_title(images)
        row[0].set_ylabel(label)
    for ax in axes[-1]:
        ax.set_xlabel("layer, from the input; the last is the outputs")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    part.legend(handles, labels, title="epoch", loc="outside right upper")
    first = run.iloc[0]
    part.suptitle(
        rf"{first['recipe_name']}, $\lambda$ = {first['weight_decay']:g}, "
        f"initialisation scale {first['init_scale']:g}"
    )


def draw(layers: pd.DataFrame, made_from: str = "") -> Figure:
    """Collapse over the layers at every snapshot: a block for each run."""
    runs = list(layers.groupby(RUN))
    figure = style.canvas(9.6, 4.6 * len(runs) + 0.4)
    parts = figure.subfigures(len(runs), 1, squeeze=False)[:, 0]
    for part, (_, run) in zip(parts, runs, strict=True):
        block(part, run)
    count = layers.groupby(RUN)["replicate"].nunique().min()
    style.foot(figure, made_from, f"Means over {count} replicate{'s' if count > 1 else ''}.")
    return figure
