"""Figure 6: generalisation of the six-layer network cnn6; drawn by `generalization`."""

from squareloss.figures import style
from squareloss.figures.generalization import draw, tabulate

if __name__ == "__main__":
    style.run(draw, tabulate=tabulate)
