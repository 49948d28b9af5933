"""`Upsample`: `functional.interpolate` as a layer."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor.arguments import number_of
from ..tensor.tensor import Tensor
from . import functional as F
from .module import Module


class Upsample(Module):
    """Resizes the spatial axes, by nearest neighbours or by linear interpolation.

    Args:
        size: the new spatial extents; an int stands for all axes.
        scale_factor: the factors of the spatial extents, instead of `size`; a number stands for all axes.
        mode: `nearest`, `nearest-exact`, or `linear`, `bilinear`, `trilinear` for 1, 2 or 3 spatial axes.
        align_corners: in the linear modes, whether the centers of the outer elements stay where they are.
        recompute_scale_factor: whether positions follow from the new extents rather than from `scale_factor`.

    Shape:
        input (N, C, *spatial) with 1 to 3 spatial axes, output (N, C, *size); see `functional.interpolate`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Upsample(scale_factor=2, mode="bilinear")(st.zeros(1, 3, 4, 5)).shape
        (1, 3, 8, 10)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size if size is None else tuple(size) if isinstance(size, Sequence) else int(size)
        self.scale_factor = tuple(scale_factor) if isinstance(scale_factor, Sequence) else number_of(scale_factor)
        self.mode, self.align_corners, self.recompute_scale_factor = mode, align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, C, *spatial) to (N, C, *size)."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            factor = self.scale_factor
            shown = tuple([float(f) for f in factor]) if isinstance(factor, tuple) else float(factor)
            return f"scale_factor={shown}, mode={self.mode!r}"
        return f"size={self.size}, mode={self.mode!r}"
