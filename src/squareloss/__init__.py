"""Reproduction of "Dynamics in Deep Classifiers trained with the Square Loss".

A room for each question; docs/modules.md says who reads from whom.

    study    what is asked for           tables   what is in each Parquet file
    model    what a network is           claims   what the paper states, and whether it holds
    data     which images                figures  what is drawn
    train    how a run is trained        pages    what is read in a browser
    measure  what is measured of it      share    what goes between clones
    small    small problems              machine  what this machine can do
    theory   the paper's formulas

    config.yaml -> study -> data -> train -> measure -> figures, claims -> pages
"""

__version__ = "1.0.0"
