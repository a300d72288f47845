"""What an image source gives: all of its images and labels, before any choice is made.

A source is a module of `squareloss.data.sources`, found by its name. It has three functions:

    class_counts(root) -> (train, test)   images per label; `test` is None without a test set.
                                          Cheap, and free of torch: it runs while a study is planned
    files(root) -> list of paths          what the user may change: then data is prepared again
    load(root) -> Images                  all raise `UserError` if the files are missing or damaged

and may say with a constant `CHANNELS` how many channels its images have, for estimates of cost:
otherwise they are taken to have three. Adding a data set is adding one such module; nothing else
lists them.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 32  # pixels; every network here takes images of 32 x 32
CHANNELS = 3  # at the most


@dataclass(frozen=True, eq=False)
class Images:
    """Images uint8 (N, channels, 32, 32) with labels int64 (N,); the test set may be absent."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
