"""`Upsample`: `functional.interpolate` as a layer."""

from __future__ import annotations

from collections.abc import Sequence

from . import functional as F
from .api import Tensor
from .module import Module


class Upsample(Module):
    """Other extents of the spatial axes of (N, C, *space); see `functional.interpolate`.

    >>> from spiraltorch import nn, zeros
    >>> nn.Upsample(scale_factor=2, mode="bilinear")(zeros(1, 3, 4, 5)).shape
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
        self.size = size if size is None or isinstance(size, int) else tuple(size)
        single = scale_factor is None or isinstance(scale_factor, (int, float))
        self.scale_factor = scale_factor if single else tuple(scale_factor)  # type: ignore[arg-type]
        self.mode, self.align_corners, self.recompute_scale_factor = mode, align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """Shape (N, C, *space) to (N, C, *new space)."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        if self.scale_factor is not None:
            factor = self.scale_factor
            shown = float(factor) if isinstance(factor, (int, float)) else tuple([float(f) for f in factor])
            return f"scale_factor={shown}, mode={self.mode!r}"
        return f"size={self.size}, mode={self.mode!r}"
