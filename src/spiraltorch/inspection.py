"""Questions about dtypes and plans: the array API's inspection functions, and `explain`."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from . import dtypes
from .dtypes import DType, as_dtype, promote, scalar_dtype
from .errors import DTypeError
from .runtime import device as devices
from .tensor import Tensor
from .tensor.pytree import flatten


def finfo(dtype: Any) -> Any:
    """Limits of a floating dtype: bits, eps, max, min, smallest_normal."""
    wanted = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
    if not wanted.is_float:
        raise DTypeError(f"[finfo] expected a floating dtype, got {wanted.name}")
    return ml_dtypes.finfo(wanted.numpy)  # type: ignore[no-untyped-call]


def iinfo(dtype: Any) -> Any:
    """Limits of an integer dtype: bits, max, min."""
    wanted = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
    if not wanted.is_integer:
        raise DTypeError(f"[iinfo] expected an integer dtype, got {wanted.name}")
    return np.iinfo(wanted.numpy)


def result_type(*args: Any) -> DType:
    """The dtype that the operands of an operation are promoted to; Python numbers are weak.

    >>> result_type(dtypes.int8, dtypes.uint8).name
    'int16'
    """
    found: DType | None = None
    numbers = []
    for a in args:
        if isinstance(a, (bool, int, float)):
            numbers.append(a)
            continue
        own = a.dtype if isinstance(a, Tensor) else as_dtype(a)
        found = own if found is None else promote(found, own)
    if found is None:
        raise DTypeError("[result_type] expected at least one dtype or tensor, got only numbers")
    for n in numbers:
        found = scalar_dtype(n, found)
    return found


def can_cast(from_: Any, to: Any) -> bool:
    """Whether promotion can turn one dtype into the other."""
    own = from_.dtype if isinstance(from_, Tensor) else as_dtype(from_)
    return promote(own, as_dtype(to)) is as_dtype(to)


_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}  # fmt: skip


def isdtype(dtype: DType, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, one of the array API's words, or a tuple of these."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise DTypeError(f"[isdtype] expected one of {sorted(_KINDS)}, got {kind!r}")
        return dtype.kind in _KINDS[kind]
    return dtype is as_dtype(kind)


class _Info:
    """The array API's inspection object."""

    def capabilities(self) -> dict[str, Any]:
        """What the standard lets an implementation choose."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> str:
        """The device of tensors that name none."""
        return devices.default()

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """The dtypes of Python numbers."""
        return {
            "real floating": dtypes.default_float, "integral": dtypes.default_int, "indexing": dtypes.int64,
            "complex floating": None,
        }  # fmt: skip

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """All dtypes by name, or those of a kind."""
        return {d.name: d for d in dtypes.ALL if kind is None or isdtype(d, kind)}

    def devices(self) -> list[str]:
        """All devices that can be used here."""
        return [name for backend in devices.backends().values() for name in backend.devices()]


def __array_namespace_info__() -> _Info:
    """The array API's inspection namespace."""
    return _Info()


def explain(*trees: Any) -> str:
    """The plan that would compute the given tensors: kernels, bytes, memory reuse, and why things were fused.

    >>> import spiraltorch as st
    >>> print(explain(st.ones(4) + 1).splitlines()[0])
    plan: 1 kernel for 1 operation on cpu:0
    """
    from .compiler.evaluate import explain as explain_nodes

    leaves, _ = flatten(trees)
    return explain_nodes([x.node for x in leaves if isinstance(x, Tensor)])
