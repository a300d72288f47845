"""Figure 3: rho, training loss and test error while training, for two initialisations."""

import pandas as pd
from matplotlib.figure import Figure

from squareloss.figures import style

INITS = (0.9, 1.3)
QUANTITIES = {
    "rho": (r"$\rho$", style.BLUE),
    "train_loss": ("training loss\n(without penalty)", style.ORANGE),
    "test_error": ("test error\n(share)", style.GREEN),
}


def draw(table: pd.DataFrame, made_from: str = "") -> Figure:
    """Draw Figure 3: a column for each lambda and initialisation, a row for each quantity."""
    style.check_sweep(table, "weight_decay", "init_scale")
    inits = style.choose(table["init_scale"], INITS)
    table = table[table["init_scale"].isin(inits)]
    decays = style.decays(table)
    cases = [(decay, init) for decay in decays for init in inits]
    figure = style.canvas(2.55 * len(cases) + 0.6, 6)
    axes = figure.subplots(3, len(cases), sharex=True, squeeze=False)
    for row, (quantity, (label, colour)) in zip(axes, QUANTITIES.items(), strict=True):
        row[0].set_ylabel(label)
        for ax, (decay, init) in zip(row, cases, strict=True):
            if quantity == "train_loss":
                ax.set_yscale("log")
            case = table[(table["weight_decay"] == decay) & (table["init_scale"] == init)]
            style.curve(ax, case, quantity, color=colour)
            # rho lives on another scale for each initialisation; errors and losses do not.
            leader = row[inits.index(init)] if quantity == "rho" else row[0]
            if ax is not leader:
                ax.sharey(leader)
            if quantity != "rho" and ax is not row[0]:
                ax.tick_params(labelleft=False)
    for ax, (decay, init) in zip(axes[0], cases, strict=True):
        ax.set_title(rf"$\lambda$ = {decay:g},  init {init:g}")
    for ax in axes[2]:
        ax.set_xlabel("epoch")
    replicates = style.replicates(table, "weight_decay", "init_scale")
    style.foot(figure, made_from, replicates, style.LOG_AXES)
    return figure


if __name__ == "__main__":
    style.run(draw)
