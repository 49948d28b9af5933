"""Python's operators on tensors, indexing, and in-place updates; `attach` puts them on `Tensor`."""

from __future__ import annotations

from collections.abc import Callable
from types import NotImplementedType
from typing import Any

from ..graph.primitive import Primitive
from ..typing import ArrayLike, Index, Operand
from . import dispatch
from .dispatch import P, binary, operator, reflected, true_divide, unary
from .filling import full_like
from .ops.contraction import matmul
from .ops.indexing import getitem, setitem
from .ops.unary import abs
from .tensor import Tensor

# Python's names of operators, and their primitives.
_ARITHMETIC = {
    "add": "add", "sub": "sub", "mul": "mul", "floordiv": "floordiv", "mod": "mod", "pow": "pow", "and": "bitand",
    "or": "bitor", "xor": "bitxor", "lshift": "shl", "rshift": "shr",
}  # fmt: skip
_COMPARISONS = ("eq", "ne", "lt", "le")


def copy_(x: Tensor, other: ArrayLike) -> Tensor:
    """Copies the values of `other` into the tensor, cast to its dtype.

    Args:
        x: the tensor to update.
        other: an array that broadcasts to the shape of `x`, any dtype, on any device.

    Returns:
        The tensor itself.

    Raises:
        ShapeError: `other` does not broadcast to the shape.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).copy_([1, 2]).tolist()
        [1.0, 2.0]
    """
    return x._set(dispatch.as_tensor(other, x).to(x.dtype).to(x.device).expand(x.shape))


def fill_(x: Tensor, value: float) -> Tensor:
    """Sets every element to a number.

    Args:
        x: the tensor to update.
        value: a number that the dtype can hold.

    Returns:
        The tensor itself.

    Raises:
        DTypeError: the dtype cannot hold the number.
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.zeros(2).fill_(3).tolist()
        [3.0, 3.0]
    """
    return x._set(full_like(x, value))


def zero_(x: Tensor) -> Tensor:
    """Sets every element to zero.

    Args:
        x: the tensor to update.

    Returns:
        The tensor itself.

    Raises:
        GradientError: the tensor is a leaf that requires a gradient, while gradients are recorded.

    Example:
        >>> import spiraltorch as st
        >>> st.ones(2).zero_().tolist()
        [0.0, 0.0]
    """
    return fill_(x, 0)


def attach() -> None:
    """Puts the operators on the class."""
    for name, prim in _ARITHMETIC.items():
        setattr(Tensor, f"__{name}__", _forward(P[prim]))
        setattr(Tensor, f"__r{name}__", _reflected(P[prim]))
        setattr(Tensor, f"__i{name}__", _in_place(P[prim]))
    for name in _COMPARISONS:
        setattr(Tensor, f"__{name}__", _forward(P[name]))
    others: dict[str, Callable[..., Any]] = {
        "__gt__": _exchanged(P["lt"]), "__ge__": _exchanged(P["le"]), "__truediv__": operator(P["div"], true_divide),
        "__rtruediv__": operator(P["div"], _reflected_divide, swap=True), "__itruediv__": _divide_in_place,
        "__neg__": _negative, "__pos__": _positive, "__abs__": abs, "__invert__": _invert, "__matmul__": _matmul,
        "__rmatmul__": _reflected_matmul, "__divmod__": _divmod, "__getitem__": getitem, "__setitem__": _setitem,
        "copy_": copy_, "fill_": fill_, "zero_": zero_,
    }  # fmt: skip
    for name, function in others.items():
        setattr(Tensor, name, function)
    for name in (*_COMPARISONS, *_ARITHMETIC, "gt", "ge", "truediv"):
        for prefix in ("", "r", "i"):
            method = Tensor.__dict__.get(f"__{prefix}{name}__")
            if method is not None:  # errors of wrong keywords name it
                method.__name__, method.__qualname__ = f"__{prefix}{name}__", f"Tensor.__{prefix}{name}__"


def _forward(prim: Primitive) -> Callable[[Tensor, Operand], Tensor]:
    return operator(prim, lambda x, y: binary(prim, x, y))


def _reflected(prim: Primitive) -> Callable[[Tensor, Operand], Tensor]:
    return operator(prim, lambda x, y: reflected(prim, x, y), swap=True)


def _exchanged(prim: Primitive) -> Callable[[Tensor, Operand], Tensor]:
    """`y op x` for any `y`: > and >= are < and <= with the operands exchanged."""
    return operator(
        prim, lambda x, y: binary(prim, y, x) if isinstance(y, Tensor) else reflected(prim, x, y), swap=True
    )


def _in_place(prim: Primitive) -> Callable[[Tensor, Operand], Tensor | NotImplementedType]:
    def update(x: Tensor, y: Operand) -> Tensor | NotImplementedType:
        result = binary(prim, x, y)
        return result if result is NotImplemented else x._set(result)

    return update


def _reflected_divide(x: Tensor, y: Operand) -> Tensor | NotImplementedType:
    other = dispatch.checked_operand("div", y, x)
    return NotImplemented if other is None else true_divide(other, x)


def _divide_in_place(x: Tensor, y: Operand) -> Tensor:
    return x._set(true_divide(x, y))


def _negative(x: Tensor) -> Tensor:
    return unary(P["neg"], x)


def _positive(x: Tensor) -> Tensor:
    return x


def _invert(x: Tensor) -> Tensor:
    return unary(P["invert"], x)


def _matmul(x: Tensor, y: ArrayLike) -> Tensor:
    return matmul(x, y)


def _reflected_matmul(x: Tensor, y: ArrayLike) -> Tensor:
    return matmul(dispatch.as_tensor(y, x), x)


def _divmod(x: Tensor, y: Operand) -> tuple[Tensor, Tensor]:
    return x // y, x % y


def _setitem(x: Tensor, key: Index, value: ArrayLike) -> None:
    x._set(setitem(x, key, value))
