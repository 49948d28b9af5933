"""The type of `Tensor.size`: an int, as in NumPy, that can be called, as in PyTorch."""

from __future__ import annotations

import math
from typing import SupportsIndex, overload

from ..typing import Shape
from .arguments import axis_of


class Count(int):
    """A number of elements. Called without an argument it gives the shape, called with an axis that axis's extent.

    Arithmetic, copies and pickles of it are plain ints.

    Attributes:
        shape: the extents whose product the number is.

    Example:
        >>> import spiraltorch as st
        >>> x = st.zeros(2, 3)
        >>> x.size, x.size(), x.size(-1)
        (6, (2, 3), 3)
    """

    shape: Shape

    def __new__(cls, shape: Shape) -> Count:
        count = super().__new__(cls, math.prod(shape))
        count.shape = shape
        return count

    @overload
    def __call__(self, dim: None = None) -> Shape: ...
    @overload
    def __call__(self, dim: SupportsIndex) -> int: ...
    def __call__(self, dim: SupportsIndex | None = None) -> Shape | int:
        """The shape, or the extent of one axis.

        Args:
            dim: the axis; None for all of them.

        Returns:
            A tuple of ints, or an int.

        Raises:
            IndexOutOfRange: there is no such axis.

        Example:
            >>> import spiraltorch as st
            >>> st.zeros(2, 3).size(dim=1)
            3
        """
        return self.shape if dim is None else self.shape[axis_of(dim, len(self.shape), "size", scalar=False)]

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)
