"""Section 5.2: neural collapse for ten classes.

The conditions of Figure 9, where equal norms and equal angles of the class means are no identities:
NC1, NC2 of class means (red) and classifiers (blue), NC3, NC4 and the training error against the
epoch.

In the paper all fall towards 0 once the training error is 0, and the cosines towards -1/9. With
`config/long.yaml` norms and angles of the class means get more equal, but NC1, NC3 and NC4 end far
from 0.
"""

from squareloss.figures.figure9 import draw

__all__ = ["draw"]
