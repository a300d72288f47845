"""Reproduction of "Dynamics in Deep Classifiers trained with the Square Loss"."""

__version__ = "1.0.0"
