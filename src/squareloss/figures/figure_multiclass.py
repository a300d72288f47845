"""Figure 9's conditions for ten classes, where equal angles are no identity."""

from squareloss.figures import style
from squareloss.figures.figure9 import draw

if __name__ == "__main__":
    style.run(draw)
