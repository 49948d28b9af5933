"""Base of batch and instance normalisation: settings, parameters, and buffers of running statistics."""

from __future__ import annotations

import spiraltorch as st

from ..tensor.tensor import Tensor
from ..typing import DeviceLike, DTypeLike
from . import init
from .arguments import check_positive
from .in_place import set_value
from .module import Module
from .normalization import reset_affine
from .parameter import Parameter, ones_parameter, zeros_parameter


class RunningNorm(Module):
    """A normalisation of channels that may keep running statistics for evaluation."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: DeviceLike | None,
        dtype: DTypeLike | None,
    ) -> None:
        super().__init__()
        check_positive(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", ones_parameter(num_features, device=device, dtype=dtype) if affine else None)
        self.register_parameter("bias", zeros_parameter(num_features, device=device, dtype=dtype) if affine else None)
        if track_running_stats:
            self.register_buffer("running_mean", st.zeros(num_features, dtype=dtype, device=device))
            self.register_buffer("running_var", st.ones(num_features, dtype=dtype, device=device))
            self.register_buffer("num_batches_tracked", st.tensor(0, device=device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)

    def reset_running_stats(self) -> None:
        """Sets the running mean to 0, the running variance to 1 and the number of batches to 0.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.BatchNorm1d(2)
            >>> _ = layer(st.tensor([[1.0, 2.0], [3.0, 4.0]]))
            >>> layer.reset_running_stats()
            >>> layer.running_mean.tolist()
            [0.0, 0.0]
        """
        if self.track_running_stats:
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            set_value(self.num_batches_tracked, st.tensor(0))

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0, and resets the running statistics.

        Example:
            >>> import spiraltorch as st
            >>> layer = st.nn.BatchNorm1d(2)
            >>> layer.reset_parameters()
            >>> layer.weight.tolist()
            [1.0, 1.0]
        """
        self.reset_running_stats()
        reset_affine(self)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
