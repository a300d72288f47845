"""Measures of trained networks: pure functions, tensors in, numbers out."""
