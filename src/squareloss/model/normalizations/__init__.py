"""Normalisations, found by name: see `squareloss.model.normalization`."""
