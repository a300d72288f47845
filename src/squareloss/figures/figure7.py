"""Figure 7: generalisation of the three-layer network cnn3; drawn by `generalization`."""

from squareloss.figures import style
from squareloss.figures.generalization import draw, tabulate

if __name__ == "__main__":
    style.run(draw, tabulate=tabulate)
