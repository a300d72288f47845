"""Figure 6: does the gap of six layers fall with N, and does the bound of Eq. 16 follow?

(a) ρ at the last epoch, training and test error averaged over the last 100 epochs (the last tenth
of a run shorter than 1,000 epochs), their gap, and the bound of Eq. 16 as printed: medians, and
quartiles in brackets. (b) The gap, test error minus training error, for each N. (c) The bound of
each network over its own gap. The ratio is level in N if the gap falls as the bound does.

Eq. 16 takes δ (its value is at the foot) and ρ times the largest norm of an image, since the
theorem assumes norms of at most 1. It holds only for zero training error: "n/a" in the table and
grey in (c) where that fails. "Conv." counts the convolutions alone in ρ, as the code of the paper's
authors does.

The paper draws the bound as proportional to ρ/√N, and calls it vacuous "only" by an order of
magnitude. Its sizes N and the numbers in its table are a picture there, so no values are repeated
here. With `config/long.yaml` the gap falls with N. The bound falls as fast, but it is thousands of
times the gap with the convolutions alone, and tens of thousands of times with all layers.

The paper captions its figure with initialisation scale 0.1, at which the output starts so small
that a deep network may not start training at all. Where its training error stays near chance the
figure says so. Scale 0.9 stands beside it or in its place.

The table: what (a) shows. The CSV file has the numbers in full, the bound also with the log(ρ + 1)
of Eq. 12 in place of log(log(ρ) + 1), and the counts of replicates, of those that finished and of
those to which the bound applies.
"""

from squareloss.figures.generalization import draw, tabulate

__all__ = ["draw", "tabulate"]
