"""`Parameter`: a tensor that a module registers and an optimizer updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import spiraltorch as st

from ..errors import DTypeError
from ..graph import build
from ..tensor.aliasing import share
from ..tensor.tensor import Tensor, rebuilt
from ..tensor.tracing.tracer import node_of
from ..typing import ArrayLike, DeviceLike, DTypeLike, NDArray


class Parameter(Tensor):
    """A tensor that a `Module` registers and an optimizer updates.

    The parameter shares its elements with `data`, if that is a tensor: what is written to one of them shows in the other.

    Args:
        data: a tensor or anything that `st.tensor` accepts, of any shape.
        requires_grad: whether `backward` computes its gradient; only floating dtypes can require one.

    Raises:
        DTypeError: `requires_grad` is true and the dtype is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.Parameter(st.zeros(2, 3)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        value = data if isinstance(data, Tensor) else st.tensor(data)
        if requires_grad and not value.dtype.is_float:
            raise DTypeError(
                f"[Parameter] expected a floating dtype, got dtype={value.dtype.name}; "
                "convert the data or pass requires_grad=False"
            )
        node = node_of(value)
        super().__init__(build.stop_gradient(node) if node.rg else node)
        if requires_grad:
            self.requires_grad_(True)
        if value is data:
            share(self, value)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = type(self)(self.detach().clone(), self.requires_grad)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[Callable[..., Tensor], tuple[object, ...]]:
        return _rebuilt_parameter, (np.array(self.detach().numpy()), self.requires_grad, self.device)


def _rebuilt_parameter(array: NDArray, requires_grad: bool, device: str) -> Parameter:
    """The inverse of `Parameter.__reduce__`."""
    return Parameter(rebuilt(array, False, device), requires_grad)


def zeros_parameter(*shape: int, device: DeviceLike | None = None, dtype: DTypeLike | None = None) -> Parameter:
    """A parameter of zeros."""
    return Parameter(st.zeros(*shape, dtype=dtype, device=device))


def ones_parameter(*shape: int, device: DeviceLike | None = None, dtype: DTypeLike | None = None) -> Parameter:
    """A parameter of ones."""
    return Parameter(st.ones(*shape, dtype=dtype, device=device))
