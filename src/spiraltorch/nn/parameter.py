"""Tensors that a module owns: `Parameter` is trained, a buffer is only part of the state."""

from __future__ import annotations

from typing import Any

from ..dtypes import DType
from ..errors import DTypeError
from ..tensor.tensor import Tensor
from .api import st


class Parameter(Tensor):
    """A tensor that a `Module` registers and an optimizer updates.

    `data` is a tensor or anything `asarray` takes; only floating dtypes can require a gradient (`DTypeError`
    otherwise). The parameter is a new handle on the same value: in-place updates never reach `data`.

    >>> from spiraltorch import nn, zeros
    >>> nn.Parameter(zeros(2, 3)).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        value = data if isinstance(data, Tensor) else st.tensor(data)
        if requires_grad and not value.dtype.is_float:
            raise DTypeError(
                f"[Parameter] expected a floating dtype, got dtype={value.dtype.name}; "
                "convert the data or pass requires_grad=False"
            )
        super().__init__(value.detach().node)
        if requires_grad:
            self.requires_grad_(True)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = type(self)(self.detach(), self.requires_grad)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> Any:
        return _rebuild, (self.detach().numpy(), self.dtype, self.requires_grad)


def _rebuild(array: Any, dtype: DType, requires_grad: bool) -> Parameter:
    """The inverse of `Parameter.__reduce__`."""
    return Parameter(st.asarray(array, dtype=dtype), requires_grad)
