"""Figure 6: generalisation of the six-layer network for several N.

(a) Table of ρ at the last epoch, mean training and test error over the last 100 epochs (over the
last tenth of a run shorter than 1,000 epochs), their gap, and the bound of Eq. 16. (b) The gap,
test error minus training error, for each N. (c) The bound of each replicate against ρ/√N on log
axes with a line of slope 1: the paper states that the two are proportional.

Eq. 16 is given twice: with log(ρ + 1) in the confidence term, as in Eq. 12, and with log(log(ρ) +
1), as printed. Both take δ (its value is at the foot) and ρ times the largest norm of an image,
since the theorem assumes norms of at most 1. They hold only for zero training error: "n/a" in the
table and grey in (c) where that fails. "Conv." counts the convolutions alone in ρ, as the code of
the paper's authors does (triangles in (c), each at its own ρ); tables of before it lack it.

To compare: the paper calls its bounds for this network vacuous "only" by an order of magnitude. The
paper captions its figure with initialisation scale 0.1, at which the output starts so small that a
deep network may not start training at all: where its training error stays near chance the figure
says so, and scale 0.9 stands beside it or in its place. The sizes N and the numbers in the paper's
table are a picture there, so no values are repeated here.

The table: Mean ± standard deviation over replicates for each initialisation scale and N: ρ at the
last epoch, training and test error averaged over the last 100 epochs (the last tenth of a run
shorter than 1,000 epochs), their gap, and the bound of Eq. 16 in both forms, over the replicates
without training error only. The CSV file has the numbers in full, with the counts of replicates, of
those that finished and of those to which the bound applies.
"""

from squareloss.figures.generalization import draw, tabulate

__all__ = ["draw", "tabulate"]
