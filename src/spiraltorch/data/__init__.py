"""Small data sets that are part of the package, each with its licence."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["digits"]


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Loads handwritten digits (UCI Optical Recognition of Handwritten Digits, Alpaydin and Kaynak, 1998).

    Every fifth image belongs to the test set.

    Returns:
        Train images (1438, 1, 8, 8) as float32 in [0, 1], train labels (1438,) as int64 in [0, 10), test images
        (359, 1, 8, 8) and test labels (359,).

    Example:
        >>> import spiraltorch as st
        >>> from spiraltorch.data import digits
        >>> images, labels, _, _ = digits()
        >>> st.tensor(images).shape, labels.shape
        ((1438, 1, 8, 8), (1438,))
    """
    with (files(__name__) / "digits.npz").open("rb") as file, np.load(file) as archive:
        images = archive["images"].astype(np.float32)[:, None] / 16.0
        labels = archive["labels"].astype(np.int64)
    test = np.arange(len(images)) % 5 == 4
    return images[~test], labels[~test], images[test], labels[test]
