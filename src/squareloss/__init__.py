"""Reproduction of "Dynamics in Deep Classifiers trained with the Square Loss"."""

__version__ = "0.1.0"
