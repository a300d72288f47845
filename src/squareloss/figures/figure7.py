"""Figure 7: does the gap of three layers fall with N, and does the bound of Eq. 16 follow?

(a) ρ, errors, their gap, and the bound of Eq. 16: medians, and quartiles in brackets. (b) The gap,
test error minus training error, for each N. (c) The bound of each network over its own gap: level
in N if the gap falls as the bound does. All is measured as in Figure 6.

The paper, with a batch of 32 and non-overlapping patches, calls its bounds almost not vacuous, and
proportional to ρ/√N. With `config/long.yaml` both scales train and the gap falls with N. The bound
is about 4,000 times the gap and above 500, where 1 already says nothing.

The table: what (a) shows. The CSV file has the numbers in full, the bound also with the log(ρ + 1)
of Eq. 12 in place of log(log(ρ) + 1), and the counts of replicates, of those that finished and of
those to which the bound applies.
"""

from squareloss.figures.generalization import draw, tabulate

__all__ = ["draw", "tabulate"]
