"""The precision in which functions of several tensors compute."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from ...dtypes import float32
from ...errors import DTypeError
from ...tensor.tensor import Tensor

P = ParamSpec("P")


def in_float32(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """A loss whose 16-bit floating arguments are cast to float32, and the result to the dtype of the first."""

    @functools.wraps(loss)
    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        operands = [*args[:2], *[kwargs[name] for name in ("input", "target", "x1", "x2") if name in kwargs]]
        for operand in operands:
            if not isinstance(operand, Tensor):
                raise DTypeError(
                    f"[{loss.__name__}] expected tensors, got {type(operand).__name__}; convert it with st.tensor()"
                )
        first = operands[0] if operands else None
        if not isinstance(first, Tensor) or not _is_half(first):
            return loss(*args, **kwargs)
        wide_args = [a.to(float32) if _is_half(a) else a for a in args]  # type: ignore[attr-defined]
        wide_kwargs = {k: a.to(float32) if _is_half(a) else a for k, a in kwargs.items()}  # type: ignore[attr-defined]
        return loss(*wide_args, **wide_kwargs).to(first.dtype)  # type: ignore[arg-type]

    return call


def _is_half(x: object) -> bool:
    """Whether x is a tensor of float16 or bfloat16."""
    return isinstance(x, Tensor) and x.dtype.is_float and x.dtype.itemsize == 2
