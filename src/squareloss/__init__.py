"""Reproduction of "Dynamics in Deep Classifiers trained with the Square Loss"."""

import os
import sys

__version__ = "1.0.0"

# `python -m squareloss.train` looks for modules in the current folder first, and takes a file
# `pandas.py` or `statistics.py` there for the library. As with `python -P`, no more from here on.
if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()] and not sys.flags.safe_path:
    del sys.path[0]
