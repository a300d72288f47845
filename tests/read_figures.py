"""What the tests read off a drawn figure, and what they expect of a table."""

import numpy as np
from made_runs import EPOCHS
from matplotlib.text import Text


def words(figure):
    """All text of a figure on one line."""
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(Text)]
    return "\n".join(texts).replace("\n", " ")


def line(ax, i=0):
    return np.asarray(ax.lines[i].get_ydata(), dtype=float)


def middles(bars):
    """The values between error bars: of bars along x those, else those along y."""
    values = bars[0].get_xdata() if bars.has_xerr else bars[0].get_ydata()
    return np.asarray(values, dtype=float)


def finals(table, **where):
    rows = table[table["epoch"] == EPOCHS]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows


def assert_labelled(figure):
    for ax in figure.axes:
        if ax.axison and ax.get_subplotspec() is not None:
            grid = ax.get_subplotspec()
            assert ax.get_ylabel() or not grid.is_first_col(), ax.get_title()
            assert ax.get_xlabel() or not grid.is_last_row(), ax.get_title()


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()


def pairs(x, y):
    """Points in one order."""
    return sorted(zip(np.asarray(x, float).tolist(), np.asarray(y, float).tolist(), strict=True))


def medians(table, column):
    """Median over the replicates at each epoch that has the column."""
    return table.groupby("epoch")[column].median().dropna()


def bar_ends(collection, axis):
    """Of error bars: where each begins and ends along an axis."""
    return [segment[:, axis].tolist() for segment in collection.get_segments()]


def quartiles(groups):
    """Of each group: the quarters of its values, linear between two, by hand."""
    found = []
    for _, values in groups:
        ordered = np.sort(values)
        places = [(len(ordered) - 1) * share for share in (0.25, 0.75)]
        found.append(
            [
                ordered[int(p)]
                + (p % 1) * (ordered[min(int(p) + 1, len(ordered) - 1)] - ordered[int(p)])
                for p in places
            ]
        )
    return found


def half_lengths(collection, axis):
    """Of error bars: half of what each segment spans along an axis."""
    return [np.ptp(segment[:, axis]) / 2 for segment in collection.get_segments()]


def steps(patch):
    """Edges and heights of a histogram that `hist` has drawn as a polygon."""
    corners = patch.get_xy()
    edges = np.unique(corners[:, 0])
    return edges, corners[1 : 2 * len(edges) - 1 : 2, 1]
