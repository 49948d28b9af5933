"""Tensors made by a rule from a few numbers: ranges, grids, identity matrices, one-hot rows."""

from __future__ import annotations

import math

import numpy as np

from ..dtypes import as_dtype, default_float, default_int, int64, uint64
from ..errors import ArgumentError, DTypeError
from ..graph import build
from ..runtime.device import host_memory
from ..typing import DeviceLike, DTypeLike
from .arguments import integer, real
from .creation import as_shape, asarray, device_name
from .dispatch import unshared
from .tensor import Tensor


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Creates a 1-d tensor of evenly spaced numbers from `start` up to `stop`, without it.

    Args:
        start: the first number; with one argument, it is the end, and the range begins at 0.
        stop: the end.
        step: the distance between neighbours; negative for a descending range.
        dtype: the dtype of the result; by default int64 where all arguments are ints, else float32.
        device: the device of the result; by default the default device.

    Returns:
        A 1-d tensor of ceil((stop - start) / step) numbers, or of none where that is negative.

    Raises:
        ArgumentError: an argument is infinite or NaN, or the step is 0.

    Example:
        >>> import spiraltorch as st
        >>> st.arange(2, 8, 3).tolist()
        [2, 5]
    """
    if stop is None:
        start, stop = 0, start
    start, stop, step = (_bound(v, name) for v, name in ((start, "start"), (stop, "stop"), (step, "step")))
    if step == 0 or not all(math.isfinite(v) for v in (start, stop, step)):
        raise ArgumentError(
            f"[arange] expected finite bounds and a step that is not 0, got {start}, {stop}, {step}; change them"
        )
    integral = all(isinstance(v, int) for v in (start, stop, step))
    target = as_dtype(dtype) if dtype is not None else default_int if integral else default_float
    count = max(0, int(np.ceil((stop - start) / step)) if not integral else -(-(stop - start) // step))
    # The dtype of the arithmetic: 16-bit floats and small integers would round or wrap on the way.
    inner = target if target.is_float and target.itemsize >= 4 else default_float if target.is_float else int64
    inner = target if target is uint64 else inner
    if not integral and not inner.is_float:
        inner = default_float
    node = build.iota((int(count),), 0, inner if not inner.is_float else int64, device_name(device))
    result = Tensor(build.cast(node, inner))
    result = result * (step if inner.is_float else int(step)) + (start if inner.is_float else int(start))
    return result.to(target)


def _bound(value: object, name: str) -> float:
    """The Python number of a bound or step of `arange`."""
    number = real(value, "arange", name)
    return int(number) if isinstance(number, bool) else number


def linspace(
    start: float,
    stop: float,
    num: int,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    endpoint: bool = True,
) -> Tensor:
    """Creates a 1-d tensor of `num` evenly spaced numbers from `start` to `stop`.

    Args:
        start: the first number.
        stop: the last number.
        num: the number of elements.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.
        endpoint: False leaves out `stop`, so that the distance is (stop - start) / num.

    Returns:
        A 1-d tensor of `num` numbers.

    Raises:
        ArgumentError: `num` is negative.

    Example:
        >>> import spiraltorch as st
        >>> st.linspace(0, 1, 3).tolist()
        [0.0, 0.5, 1.0]
    """
    num = integer(num, "linspace", "num", 0)
    start, stop = real(start, "linspace", "start"), real(stop, "linspace", "stop")
    target = default_float if dtype is None else as_dtype(dtype)
    with host_memory("linspace"):
        exact = np.linspace(start, stop, num, endpoint=endpoint, dtype=np.float64)
    return asarray(exact.astype(target.numpy), device=device)


def logspace(
    start: float,
    stop: float,
    num: int = 50,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
    endpoint: bool = True,
) -> Tensor:
    """Creates a 1-d tensor of powers of `base` whose exponents are evenly spaced from `start` to `stop`.

    Args:
        start: the first exponent.
        stop: the last exponent.
        num: the number of elements.
        base: the base.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.
        endpoint: False leaves out `stop`, so that the distance of exponents is (stop - start) / num.

    Returns:
        A 1-d tensor of `num` numbers.

    Raises:
        ArgumentError: `num` is negative.

    Example:
        >>> import spiraltorch as st
        >>> st.logspace(0, 2, 3).tolist()
        [1.0, 10.0, 100.0]
    """
    num = integer(num, "logspace", "num", 0)
    start, stop = real(start, "logspace", "start"), real(stop, "logspace", "stop")
    target = default_float if dtype is None else as_dtype(dtype)
    with host_memory("logspace"):
        exact = np.logspace(start, stop, num, endpoint=endpoint, base=base, dtype=np.float64)
    return asarray(exact.astype(target.numpy), device=device)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    k: int = 0,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Creates a matrix with ones on a diagonal and zeros elsewhere.

    Args:
        n_rows: the number of rows.
        n_cols: the number of columns; as many as rows by default.
        k: the diagonal: 0 is the main one, positive ones lie above it, negative ones below.
        dtype: the dtype of the result; float32 by default.
        device: the device of the result; by default the default device.

    Returns:
        A tensor of shape (n_rows, n_cols).

    Raises:
        ShapeError: a number of rows or columns is negative.

    Example:
        >>> import spiraltorch as st
        >>> st.eye(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    name = device_name(device)
    i, j = build.iota(shape, 0, int64, name), build.iota(shape, 1, int64, name)
    on_diagonal = build.eq(build.add(i, build.number(integer(k, "eye", "k"), int64, name)), j)
    return Tensor(build.cast(on_diagonal, as_dtype(dtype) if dtype is not None else default_float))


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Creates the coordinates of a grid from the coordinates along its axes.

    Args:
        *arrays: the coordinates along each axis, 1-d.
        indexing: "xy" exchanges the first two axes of the result, as NumPy does for plots; "ij" does not.

    Returns:
        A tensor for each array, of its dtype and of the grid's shape.

    Raises:
        ArgumentError: `indexing` is neither "xy" nor "ij".

    Example:
        >>> import spiraltorch as st
        >>> [t.tolist() for t in st.meshgrid(st.arange(2), st.arange(1))]
        [[[0, 1]], [[0, 0]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}; choose one")
    arrays = tuple([asarray(a) for a in arrays])
    n = len(arrays)
    axes = list(range(n))  # of the grid, for each array
    if indexing == "xy" and n > 1:
        axes[0], axes[1] = 1, 0
    shape = [0] * n
    for a, axis in zip(arrays, axes, strict=True):
        shape[axis] = a.size
    return [
        unshared(a.reshape([a.size if d == axis else 1 for d in range(n)]).expand(tuple(shape)))
        for a, axis in zip(arrays, axes, strict=True)
    ]


def one_hot(x: Tensor, num_classes: int = -1, dtype: DTypeLike = int64) -> Tensor:
    """Encodes classes as rows with a one at the class and zeros elsewhere.

    Args:
        x: the classes, any shape, of integers. A class outside [0, num_classes) gives zeros only.
        num_classes: the extent of the new last axis; -1 for one more than the greatest class, for which x is evaluated
            immediately.
        dtype: the dtype of the result.

    Returns:
        A tensor of x's shape with one more axis.

    Raises:
        DTypeError: x is not of integers.
        ArgumentError: `num_classes` is -1, and x has no element or a negative one.
        TracingError: `num_classes` is -1 while `compile` records, where no value exists yet.

    Example:
        >>> import spiraltorch as st
        >>> st.one_hot(st.tensor([0, 2]), 3).tolist()
        [[1, 0, 0], [0, 0, 1]]
    """
    if not x.dtype.is_integer:
        raise DTypeError(f"[one_hot] expected integer classes, got {x.dtype.name}; cast with .to(st.int64)")
    num_classes = integer(num_classes, "one_hot", "num_classes", -1)
    if num_classes == -1:
        if x.size == 0 or int(x.amin()) < 0:
            raise ArgumentError("[one_hot] expected classes of at least 0, at least one of them; pass num_classes")
        num_classes = int(x.amax()) + 1
    classes = arange(num_classes, device=x.device)
    return (x.reshape((*x.shape, 1)) == classes).to(dtype)
