"""Snakemake's logger `squareloss`: Snakemake finds a logger by the name of its package."""

from squareloss.study.progress import LogHandler

__all__ = ["LogHandler"]
