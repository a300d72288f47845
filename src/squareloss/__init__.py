"""Reproduction of "Dynamics in Deep Classifiers trained with the Square Loss".

A room for each question; docs/modules.md says who reads from whom.

    study    what is asked for           tables   what is in each Parquet file
    model    what a network is           claims   what the paper states, and whether it holds
    data     which images                figures  what is drawn
    train    how a run is trained        pages    what is read in a browser
    measure  what is measured of it      share    what goes between clones
    small    small problems              machine  what this machine can do
    theory   the paper's formulas        source   what our own source says

    config.yaml -> study -> data -> train -> measure -> figures, claims -> pages
"""

import os
import sys

__version__ = "1.0.0"

# `python -m squareloss.train` looks for modules in the current folder first, and takes a file
# `pandas.py` or `statistics.py` there for the library. As with `python -P`, no more from here on.
if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()] and not sys.flags.safe_path:
    del sys.path[0]
