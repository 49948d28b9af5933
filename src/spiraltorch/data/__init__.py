"""Small data sets that ship with the package, each with its licence beside it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np


def digits() -> tuple[Any, Any, Any, Any]:
    """The UCI handwritten digits: train images, train labels, test images, test labels.

    Images are float32 of shape (n, 1, 8, 8) in [0, 1], labels int64. Every fifth image is for testing: 1,438 and 359.

    >>> [a.shape for a in digits()][:2]
    [(1438, 1, 8, 8), (1438,)]
    """
    with (files(__name__) / "digits.npz").open("rb") as file, np.load(file) as archive:
        images = archive["images"].astype(np.float32)[:, None] / 16.0
        labels = archive["labels"].astype(np.int64)
    test = np.arange(len(images)) % 5 == 4
    return images[~test], labels[~test], images[test], labels[test]
