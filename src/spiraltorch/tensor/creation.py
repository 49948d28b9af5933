"""Tensors from Python values, arrays, and rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, as_dtype, bool_, default_float, default_int, from_numpy, int64, uint64
from ..errors import ArgumentError, DTypeError, ShapeError
from ..graph import build
from ..graph.node import aval_of, leaf
from ..runtime import device as devices
from .dispatch import P, nary, see
from .tensor import Tensor


def _device(device: Any) -> str:
    return devices.default() if device is None else devices.canonical(str(device))


def as_shape(shape: Any, op: str = "shape") -> tuple[int, ...]:
    """A tuple of non-negative ints from an int, a sequence of ints, or nested arguments. Raises `ShapeError`."""
    if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    try:
        made = tuple([s.__index__() for s in shape])
    except (TypeError, AttributeError):
        raise ShapeError(f"[{op}] expected a shape of ints, got {shape!r}") from None
    if any(e < 0 for e in made):
        raise ShapeError(f"[{op}] expected extents of at least 0, got {made}")
    return made


def asarray(
    obj: Any, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor from numbers, nested lists, a NumPy array or anything with `__dlpack__`.

    A C-contiguous NumPy array is shared, not copied, unless `copy` is True or it must be cast. Python floats become
    float32, ints int64. Raises `DTypeError` for what is no array of numbers.

    >>> asarray([1, 2, 3]).dtype
    spiraltorch.int64
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Tensor):
        made = obj if wanted is None else obj.to(wanted)
        made = made if device is None else made.to(device)
        made = made + 0 if copy and made is obj and not obj.dtype.is_bool else made
        return made.detach().requires_grad_() if requires_grad else made
    if isinstance(obj, (list, tuple)) and any(isinstance(x, Tensor) for x in obj):
        from .ops.shape import stack

        near = next(x.device for x in obj if isinstance(x, Tensor)) if device is None else device
        made = stack([asarray(x, dtype=wanted, device=near) for x in obj])
        return made
    if not isinstance(obj, (np.ndarray, np.generic)) and hasattr(obj, "__dlpack__"):
        return from_dlpack(obj, dtype=wanted, device=device)
    given = isinstance(obj, (np.ndarray, np.generic)) or hasattr(obj, "__array__")
    try:
        array = np.asarray(obj)
    except (ValueError, OverflowError) as error:
        raise DTypeError(
            f"[asarray] expected numbers in a regular nesting, got {type(obj).__name__}: {error}"
        ) from None
    if wanted is None and not given:
        if array.dtype.kind == "f" or array.size == 0:
            wanted = default_float
        elif array.dtype.kind in "iu":
            wanted = default_int
    if array.dtype.kind not in "biufV":
        raise DTypeError(
            f"[asarray] expected numbers, got an array of dtype {array.dtype}; convert it to a number dtype first"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    target = (wanted or from_numpy(array.dtype)).numpy
    if wanted is not None and not given and wanted.is_integer and array.size:
        info = np.iinfo(target)
        if array.dtype.kind in "iuf" and not (array.min() >= info.min and array.max() <= info.max):
            raise DTypeError(
                f"[asarray] expected numbers that {wanted.name} can hold, got {array.min()} to {array.max()}"
            )
    with np.errstate(all="ignore"):
        array = np.array(array, target, order="C") if copy else np.asarray(array, target, order="C")
    name = _device(device)
    node = leaf(devices.get(name).from_host(array), aval_of(array.shape, from_numpy(array.dtype), name))
    made = Tensor(node)
    return made.requires_grad_() if requires_grad else made


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`; PyTorch's spelling of `asarray(copy=True)`.

    >>> tensor([1.5, 2.5]).tolist()
    [1.5, 2.5]
    """
    return asarray(data, dtype, device, copy=True, requires_grad=requires_grad)


def from_numpy_array(array: Any) -> Tensor:
    """A tensor that shares the array's memory where that is C-contiguous.

    >>> from_numpy_array(np.arange(3)).tolist()
    [0, 1, 2]
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"[from_numpy] expected a NumPy array, got {type(array).__name__}")
    return asarray(array)


def from_dlpack(obj: Any, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor from anything that speaks DLPack on the host, sharing memory where the layout allows it.

    >>> from_dlpack(np.ones(2)).tolist()
    [1.0, 1.0]
    """
    name = type(obj).__module__.partition(".")[0]
    if name == "torch":  # torch's bfloat16 has no NumPy twin: read its bits
        obj = obj.detach()
        if str(obj.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch  # type: ignore[import-not-found,unused-ignore]

            return asarray(obj.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16), dtype, device, copy)
    return asarray(np.from_dlpack(obj), dtype, device, copy)


# ---------------------------------------------------------------- filled


def full(shape: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with one number everywhere; the dtype follows the number unless given.

    >>> full((2,), 7).tolist()
    [7, 7]
    """
    if isinstance(fill_value, Tensor):
        made = fill_value.to(dtype) if dtype is not None else fill_value
        return made.expand(as_shape(shape, "full"))  # type: ignore[no-any-return]
    if dtype is None:
        dtype = bool_ if isinstance(fill_value, bool) else default_int if isinstance(fill_value, int) else default_float
    wanted = as_dtype(dtype)
    from .dispatch import fit

    made = Tensor(build.full(as_shape(shape, "full"), fit(fill_value, wanted), wanted, _device(device)))
    return made.requires_grad_() if requires_grad else made


def zeros(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros: `zeros(2, 3)` or `zeros((2, 3))`; float32 unless given.

    >>> zeros(2).tolist()
    [0.0, 0.0]
    """
    return full(_varargs(shape), 0, dtype or default_float, device, requires_grad)


def ones(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones; see `zeros`.

    >>> ones(2).tolist()
    [1.0, 1.0]
    """
    return full(_varargs(shape), 1, dtype or default_float, device, requires_grad)


def empty(*shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose elements mean nothing yet (they are zeros).

    >>> empty(2, 3).shape
    (2, 3)
    """
    return zeros(*shape, dtype=dtype, device=device, requires_grad=requires_grad)


def _varargs(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


def _like(x: Tensor, value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    return full(x.shape, value, dtype or x.dtype, device or x.device, requires_grad)


def zeros_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of `x`.

    >>> zeros_like(tensor([1, 2])).tolist()
    [0, 0]
    """
    return _like(x, 0, dtype, device, requires_grad)


def ones_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of `x`.

    >>> ones_like(tensor([1, 2])).tolist()
    [1, 1]
    """
    return _like(x, 1, dtype, device, requires_grad)


def full_like(x: Tensor, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One number in the shape and dtype of `x`.

    >>> full_like(tensor([1, 2]), 7).tolist()
    [7, 7]
    """
    return _like(x, fill_value, dtype, device, requires_grad)


def empty_like(x: Tensor, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """See `empty`.

    >>> empty_like(tensor([1, 2])).shape
    (2,)
    """
    return _like(x, 0, dtype, device, requires_grad)


# ---------------------------------------------------------------- counted


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None, device: Any = None) -> Tensor:
    """Numbers from `start` up to `stop`, without it; int64 for ints, float32 otherwise.

    >>> arange(2, 8, 3).tolist()
    [2, 5]
    """
    if stop is None:
        start, stop = 0, start
    if step == 0 or any(isinstance(v, float) and not np.isfinite(v) for v in (start, stop, step)):
        raise ArgumentError(f"[arange] expected finite bounds and a step that is not 0, got {start}, {stop}, {step}")
    whole = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
    wanted = as_dtype(dtype) if dtype is not None else default_int if whole else default_float
    count = max(0, int(np.ceil((stop - start) / step)) if not whole else -(-(stop - start) // step))
    name = _device(device)
    inner = wanted if wanted.is_float and wanted.itemsize >= 4 else default_float if wanted.is_float else int64
    inner = wanted if wanted is uint64 else inner
    if not whole and not inner.is_float:
        inner = default_float
    node = build.iota((int(count),), 0, inner if not inner.is_float else int64, name)
    made = Tensor(build.cast(node, inner))
    made = made * (step if inner.is_float else int(step)) + (start if inner.is_float else int(start))
    return made.to(wanted)  # type: ignore[no-any-return]


def linspace(
    start: float, stop: float, num: int, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` evenly spaced numbers, the end included unless `endpoint` is False.

    >>> linspace(0, 1, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    if num < 0:
        raise ArgumentError(f"[linspace] expected num >= 0, got {num}")
    wanted = default_float if dtype is None else as_dtype(dtype)
    exact = np.linspace(start, stop, num, endpoint=endpoint, dtype=np.float64)
    return asarray(exact.astype(wanted.numpy), device=device)


def logspace(
    start: float, stop: float, num: int = 50, base: float = 10.0, dtype: Any = None, device: Any = None,
    endpoint: bool = True,
) -> Tensor:  # fmt: skip
    """`base` to the power of `num` evenly spaced numbers, the end included unless `endpoint` is False.

    >>> logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    if num < 0:
        raise ArgumentError(f"[logspace] expected num >= 0, got {num}")
    wanted = default_float if dtype is None else as_dtype(dtype)
    exact = np.logspace(start, stop, num, endpoint=endpoint, base=base, dtype=np.float64)
    return asarray(exact.astype(wanted.numpy), device=device)


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on the `k`-th diagonal.

    >>> eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    name = _device(device)
    i, j = build.iota(shape, 0, int64, name), build.iota(shape, 1, int64, name)
    hit = build.eq(build.add(i, build.number(k, int64, name)), j)
    return Tensor(build.cast(hit, as_dtype(dtype) if dtype is not None else default_float))


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    if x.ndim < 2:
        raise ShapeError(f"[{'tril' if lower else 'triu'}] expected at least 2 axes, got shape {x.shape}")
    n = see(x)
    shape = x.shape[-2:]
    i, j = build.iota(shape, 0, int64, x.device), build.iota(shape, 1, int64, x.device)
    shifted = build.add(i, build.number(k, int64, x.device))
    keep = build.le(j, shifted) if lower else build.le(shifted, j)
    return nary(P["where"], (keep, n, build.const(0, x.dtype, x.device)))  # type: ignore[no-any-return]


def tril(x: Tensor, k: int = 0) -> Tensor:
    """The lower triangle up to the `k`-th diagonal; zeros above.

    >>> tril(ones(2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle(x, k, True)


def triu(x: Tensor, k: int = 0) -> Tensor:
    """The upper triangle from the `k`-th diagonal on; zeros below.

    >>> triu(ones(2, 2)).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    return _triangle(x, k, False)


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinate arrays from 1-d ones.

    >>> [t.tolist() for t in meshgrid(arange(2), arange(1))]
    [[[0, 1]], [[0, 0]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}")
    n = len(arrays)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[0], order[1] = 1, 0
    shape = [0] * n
    for a, place in zip(arrays, order, strict=True):
        shape[place] = a.size
    return [
        a.reshape([a.size if d == place else 1 for d in range(n)]).expand(tuple(shape))
        for a, place in zip(arrays, order, strict=True)
    ]


def one_hot(x: Tensor, num_classes: int, dtype: DType = int64) -> Tensor:
    """Ones at the given classes along a new last axis.

    >>> one_hot(tensor([0, 2]), 3).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"[one_hot] expected integer classes, got {x.dtype.name}; cast with .to(st.int64)")
    classes = arange(num_classes, device=x.device)
    return (x.reshape((*x.shape, 1)) == classes).to(dtype)  # type: ignore[no-any-return]
