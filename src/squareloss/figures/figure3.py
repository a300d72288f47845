"""Figure 3: dynamics of rho, training loss and test error.

Product norm ρ, training loss (log axis, without the penalty) and test error against the epoch.
Columns are the initialisation scales 0.9 and 1.3; the upper block is with weight decay (λ = 0.001),
the lower without (λ = 0). Lines are means over replicates, bands one standard deviation; on the log
axis thin lines are the replicates. Loss and error share their axis over all four cells, ρ only
between the cells of one initialisation, since its scale depends on it.

To compare (Section 3.5): ρ may grow and fall again until it settles (Eq. 6 and 7); with λ > 0 it is
pulled towards smaller values; for λ = 0 the loss may go to 0. The paper trains for 1,000 epochs and
reports ρ of about 500. The left axis of ρ counts all layers, as its text does, the right one the
convolutions alone, as the code of its authors does. There stands the 500 (dashed), at the paper's
own size: magnitudes can be compared there only.
"""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import countings, style

VARIES = ("weight_decay", "init_scale")
INITS = (0.9, 1.3)
QUANTITIES = {
    "rho": (r"$\rho$", style.BLUE),
    "train_loss": ("training loss\n(without penalty)", style.ORANGE),
    "test_error": ("test error\n(share)", style.GREEN),
}


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 3: a block of rows for each lambda, a column for each initialisation.

    A block holds a row for each quantity; all panels share the epoch axis.
    """
    style.check_sweep(table, *VARIES)
    inits = style.choose(table["init_scale"], INITS)
    table = table[table["init_scale"].isin(inits)]
    decays = style.decays(table)
    figure = style.canvas(3.7 * len(inits) + 0.8, 4.5 * len(decays) + 0.5)
    shape = (len(decays), len(QUANTITIES), len(inits))
    grid = figure.subplots(shape[0] * shape[1], shape[2], sharex=True, squeeze=False)
    axes = grid.reshape(shape)
    for block, decay in zip(axes, decays, strict=True):
        for row, (quantity, (label, colour)) in enumerate(QUANTITIES.items()):
            block[row, 0].set_ylabel(label)
            for column, init in enumerate(inits):
                ax = block[row, column]
                if quantity == "train_loss":
                    ax.set_yscale("log")
                case = table[(table["weight_decay"] == decay) & (table["init_scale"] == init)]
                style.curve(ax, case, quantity, color=colour)
                # The scale of rho depends on the initialisation, unlike that of errors and losses.
                leader = axes[0, row, column if quantity == "rho" else 0]
                if ax is not leader:
                    ax.sharey(leader)
                if quantity != "rho" and column > 0:
                    ax.tick_params(labelleft=False)
        for ax, init in zip(block[0], inits, strict=True):
            ax.set_title(rf"$\lambda$ = {decay:g},  init {init:g}")
        for ax in block[-1]:
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("epoch")
    note = ""
    for column, init in enumerate(inits):
        # After all panels of an init share their axis. Its two lambdas have the same frozen norms.
        same = table[table["init_scale"] == init]
        label = countings.AXIS if column == len(inits) - 1 else ""
        if all([countings.rho_axis(ax, same, label) for ax in axes[:, 0, column]]):
            note = countings.NOTE
        axes[0, 0, column].set_ylim(bottom=0)
    if axes[0, 0, 0].get_legend_handles_labels()[1]:
        axes[0, 0, 0].legend(loc="upper right")
    for ax in grid[:, 0]:
        # `align_ylabels` would put them at a place that varies from one process to another.
        ax.yaxis.set_label_coords(-0.2, 0.5)
    replicates = style.replicates(table, "weight_decay", "init_scale")
    style.foot(figure, made_from, replicates, note)
    return figure
