"""Batch norm without affine parameters: hidden pre-activations are standardised over the batch.

The weights are free, and the norms of the hidden layers cancel in the outputs.
"""

from squareloss.model.normalization import Normalization


class BatchNorm(Normalization):
    """The weights are free; what is standardised is in `squareloss.model.layers`."""

    standardizes = True


normalization = BatchNorm()
