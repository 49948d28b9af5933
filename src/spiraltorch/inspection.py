"""Inspection of dtypes and plans: the array API's inspection functions, and `explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Union

import ml_dtypes
import numpy as np

from . import dtypes
from .compiler.evaluate import explain as explain_nodes
from .dtypes import DType, as_dtype, promote, scalar_dtype
from .errors import DTypeError
from .runtime import device as devices
from .tensor import Tensor
from .tensor.pytree import flatten
from .typing import DeviceLike, DTypeLike, PyTree, Scalar

if TYPE_CHECKING:

    class FloatInfo(Protocol):
        """The limits of a floating dtype."""

        @property
        def bits(self) -> int: ...
        @property
        def eps(self) -> float: ...
        @property
        def max(self) -> float: ...
        @property
        def min(self) -> float: ...
        @property
        def smallest_normal(self) -> float: ...

    class IntegerInfo(Protocol):
        """The limits of an integer dtype."""

        @property
        def bits(self) -> int: ...
        @property
        def max(self) -> int: ...
        @property
        def min(self) -> int: ...


Kind = Union[DTypeLike, tuple["Kind", ...]]
"""What `isdtype` compares with: a dtype, a word of the array API such as "real floating", or a tuple of these."""


def finfo(dtype: DTypeLike | Tensor) -> FloatInfo:
    """Returns the limits of a floating dtype.

    Args:
        dtype: the dtype, or a tensor of it.

    Returns:
        An object with the attributes `bits`, `eps`, `max`, `min` and `smallest_normal`.

    Raises:
        DTypeError: the dtype is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.finfo(st.float16).bits
        16
    """
    target = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
    if not target.is_float:
        raise DTypeError(f"[finfo] expected a floating dtype, got {target.name}; use iinfo for integers")
    limits: FloatInfo = ml_dtypes.finfo(target.numpy)  # type: ignore[no-untyped-call,assignment]  # NumPy's numbers
    return limits


def iinfo(dtype: DTypeLike | Tensor) -> IntegerInfo:
    """Returns the limits of an integer dtype.

    Args:
        dtype: the dtype, or a tensor of it.

    Returns:
        An object with the attributes `bits`, `max` and `min`.

    Raises:
        DTypeError: the dtype is not of integers.

    Example:
        >>> import spiraltorch as st
        >>> st.iinfo(st.int8).max
        127
    """
    target = dtype.dtype if isinstance(dtype, Tensor) else as_dtype(dtype)
    if not target.is_integer:
        raise DTypeError(f"[iinfo] expected an integer dtype, got {target.name}; use finfo for floating dtypes")
    return np.iinfo(target.numpy)


def result_type(*args: DTypeLike | Tensor | Scalar) -> DType:
    """Computes the dtype that operands are promoted to.

    Args:
        *args: dtypes, tensors and numbers. Python numbers are weak: they matter only if their kind is higher.

    Returns:
        The common dtype.

    Raises:
        DTypeError: there are only numbers, or an argument is not a dtype or the name of one.

    Example:
        >>> import spiraltorch as st
        >>> st.result_type(st.int8, st.uint8).name
        'int16'
    """
    result: DType | None = None
    numbers = []
    for a in args:
        if isinstance(a, (bool, int, float)):
            numbers.append(a)
            continue
        own = a.dtype if isinstance(a, Tensor) else as_dtype(a)  # type: ignore[arg-type]  # NumPy's numbers: an error
        result = own if result is None else promote(result, own)
    if result is None:
        raise DTypeError(
            "[result_type] expected at least one dtype or tensor, got only numbers; pass a dtype or a tensor"
        )
    for n in numbers:
        result = scalar_dtype(n, result)
    return result


def can_cast(from_: DTypeLike | Tensor, to: DTypeLike) -> bool:
    """Tests whether promotion can turn one dtype into another.

    Args:
        from_: the dtype, or a tensor of it.
        to: the other dtype.

    Returns:
        Whether `to` is the common dtype of both.

    Raises:
        DTypeError: an argument is not a dtype or the name of one.

    Example:
        >>> import spiraltorch as st
        >>> st.can_cast(st.int8, st.int16), st.can_cast(st.int16, st.int8)
        (True, False)
    """
    own = from_.dtype if isinstance(from_, Tensor) else as_dtype(from_)
    return promote(own, as_dtype(to)) is as_dtype(to)


_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}  # fmt: skip


def isdtype(dtype: DType, kind: Kind) -> bool:
    """Tests whether a dtype is of a kind.

    Args:
        dtype: the dtype.
        kind: a dtype; one of the array API's strings "bool", "signed integer", "unsigned integer", "integral",
            "real floating", "complex floating" and "numeric"; or a tuple of these, one of which must match.

    Returns:
        Whether the dtype is of this kind.

    Raises:
        DTypeError: `kind` is not one of these.

    Example:
        >>> import spiraltorch as st
        >>> st.isdtype(st.int8, "integral"), st.isdtype(st.int8, (st.bool, "real floating"))
        (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise DTypeError(f"[isdtype] expected one of {sorted(_KINDS)}, got {kind!r}; choose one")
        return dtype.kind in _KINDS[kind]
    return dtype is as_dtype(kind)


class ArrayNamespaceInfo:
    """The array API's inspection object, as `__array_namespace_info__` returns it."""

    def capabilities(self) -> dict[str, bool | int | None]:
        """Returns the capabilities that the array API leaves to the implementation.

        Returns:
            Whether boolean indexing and shapes that depend on data are supported, and the limit of the rank, if any.

        Example:
            >>> import spiraltorch as st
            >>> st.__array_namespace_info__().capabilities()["boolean indexing"]
            True
        """
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> str:
        """Returns the default device.

        Returns:
            The device's name.

        Example:
            >>> import spiraltorch as st
            >>> st.__array_namespace_info__().default_device()
            'cpu:0'
        """
        return devices.default()

    def default_dtypes(self, *, device: DeviceLike | None = None) -> dict[str, DType | None]:
        """Returns the dtypes of Python numbers.

        Args:
            device: accepted for compatibility with the array API; they are the same on every device.

        Returns:
            The dtype for each of "real floating", "integral", "indexing" and "complex floating"; None for none.

        Example:
            >>> import spiraltorch as st
            >>> st.__array_namespace_info__().default_dtypes()["integral"]
            spiraltorch.int64
        """
        return {
            "real floating": dtypes.default_float, "integral": dtypes.default_int, "indexing": dtypes.int64,
            "complex floating": None,
        }  # fmt: skip

    def dtypes(self, *, device: DeviceLike | None = None, kind: Kind | None = None) -> dict[str, DType]:
        """Returns the dtypes by name.

        Args:
            device: accepted for compatibility with the array API; they are the same on every device.
            kind: the kind of the dtypes, as for `isdtype`; all by default.

        Returns:
            The dtypes.

        Example:
            >>> import spiraltorch as st
            >>> sorted(st.__array_namespace_info__().dtypes(kind="real floating"))
            ['bfloat16', 'float16', 'float32', 'float64']
        """
        return {d.name: d for d in dtypes.ALL if kind is None or isdtype(d, kind)}

    def devices(self) -> list[str]:
        """Returns the devices that can be used on this machine.

        Returns:
            The devices' names.

        Example:
            >>> import spiraltorch as st
            >>> "cpu:0" in st.__array_namespace_info__().devices()
            True
        """
        return [name for backend in devices.backends().values() for name in backend.devices()]


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """Returns the array API's inspection object.

    Returns:
        An object with methods for the capabilities, dtypes and devices.

    Example:
        >>> import spiraltorch as st
        >>> st.__array_namespace_info__().default_device()
        'cpu:0'
    """
    return ArrayNamespaceInfo()


def explain(*trees: PyTree) -> str:
    """Describes the plan that would compute tensors, without computing them.

    Args:
        *trees: tensors, or nested lists, tuples and dicts of them; other leaves are ignored.

    Returns:
        A text of several lines: the kernels, what each reads and writes, why operations share a kernel or do not, and
        which memory is reused.

    Example:
        >>> import spiraltorch as st
        >>> print(st.explain(st.ones(4) + 1).splitlines()[0])
        plan: 1 kernel for 1 operation on cpu:0
    """
    leaves, _ = flatten(trees)
    return explain_nodes([x.node for x in leaves if isinstance(x, Tensor)])
