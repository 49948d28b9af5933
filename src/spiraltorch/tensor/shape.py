"""Views and joins: index maps that are fused into whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import int64, promote
from ..errors import ArgumentError, ShapeError
from ..graph import build
from . import elementwise as ew
from .alias import axes_of, axis_of, torch_spellings
from .creation import as_shape
from .record import handle, see
from .tensor import Tensor


def _args(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def reshape(x: Any, *shape: Any, copy: bool | None = None) -> Tensor:
    """The elements in another shape; one extent may be -1.

    >>> reshape(handle([1, 2, 3, 4]), (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    x = handle(x)
    wanted = [int(e.__index__()) for e in _args(shape)]
    unknown = [n for n, e in enumerate(wanted) if e == -1]
    known = math.prod([e for e in wanted if e != -1])
    if len(unknown) > 1 or any(e < -1 for e in wanted):
        raise ShapeError(f"[reshape] expected extents >= 0 and at most one -1, got {tuple(wanted)}")
    if unknown:
        if known == 0 or x.size % known:
            raise ShapeError(f"[reshape] expected a shape with {x.size} elements, got {tuple(wanted)} from {x.shape}")
        wanted[unknown[0]] = x.size // known
    return Tensor(build.reshape(see(x), tuple(wanted)))


def permute(x: Any, *axes: Any) -> Tensor:
    """The axes in another order.

    >>> import spiraltorch as st
    >>> permute(st.zeros(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)
    """
    x = handle(x)
    order = tuple([axis_of(a, x.ndim, "permute") for a in _args(axes)])
    if sorted(order) != list(range(x.ndim)):
        raise ArgumentError(f"[permute] expected each of {x.ndim} axes once, got {_args(axes)}; name every axis")
    return Tensor(build.permute(see(x), order))


def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """The array API's name of `permute`.

    >>> import spiraltorch as st
    >>> permute_dims(st.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return permute(x, tuple(axes))


def transpose(x: Any, *axes: Any) -> Tensor:
    """Two axes swapped, as in PyTorch; all axes reversed without arguments; or NumPy's permutation.

    >>> import spiraltorch as st
    >>> transpose(st.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    x = handle(x)
    given = _args(axes)
    if len(given) == 2 and not (x.ndim == 2 and isinstance(axes[0], (tuple, list))):
        return swapaxes(x, *given)
    return permute(x, tuple(given) if given else tuple(range(x.ndim - 1, -1, -1)))


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes swapped.

    >>> import spiraltorch as st
    >>> matrix_transpose(st.zeros(2, 3, 4)).shape
    (2, 4, 3)
    """
    return swapaxes(x, -1, -2)


def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes swapped.

    >>> import spiraltorch as st
    >>> swapaxes(st.zeros(2, 3, 4), 0, -1).shape
    (4, 3, 2)
    """
    x = handle(x)
    a, b = axis_of(axis0, x.ndim, "swapaxes"), axis_of(axis1, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    if x.ndim:
        order[a], order[b] = b, a
    return Tensor(build.permute(see(x), tuple(order)))


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places, the rest in order.

    >>> import spiraltorch as st
    >>> moveaxis(st.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    x = handle(x)
    source = (source,) if isinstance(source, int) else tuple(source)
    destination = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(source) != len(destination):
        raise ArgumentError(f"[moveaxis] expected as many sources as destinations, got {source} and {destination}")
    src = [axis_of(a, x.ndim, "moveaxis") for a in source]
    dst = [axis_of(a, x.ndim, "moveaxis") for a in destination]
    order = [d for d in range(x.ndim) if d not in src]
    for place, axis in sorted(zip(dst, src, strict=True)):
        order.insert(place, axis)
    return Tensor(build.permute(see(x), tuple(order)))


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """The tensor repeated to a larger shape, without a copy.

    >>> import spiraltorch as st
    >>> broadcast_to(st.tensor([1, 2]), (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    return Tensor(build.expand(see(handle(x)), as_shape(shape, "broadcast_to")))


def expand(x: Any, *shape: Any) -> Tensor:
    """PyTorch's `broadcast_to`: -1 keeps an extent.

    >>> import spiraltorch as st
    >>> expand(st.tensor([[1], [2]]), -1, 2).tolist()
    [[1, 1], [2, 2]]
    """
    x = handle(x)
    wanted = list(_args(shape))
    extra = len(wanted) - x.ndim
    if extra < 0:
        raise ShapeError(f"[expand] expected at least {x.ndim} extents, got {tuple(wanted)} for shape {x.shape}")
    for n, e in enumerate(wanted):
        if e == -1:
            if n < extra:
                raise ShapeError(f"[expand] expected -1 only for existing axes, got {tuple(wanted)} for {x.shape}")
            wanted[n] = x.shape[n - extra]
    return broadcast_to(x, tuple(wanted))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that all the given shapes broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    from ..graph.primitives.elementwise import broadcast_shapes as common

    return common("broadcast_shapes", *[as_shape(s, "broadcast_shapes") for s in shapes])


def broadcast_arrays(*xs: Any) -> list[Tensor]:
    """All operands in their common shape.

    >>> import spiraltorch as st
    >>> [t.shape for t in broadcast_arrays(st.zeros(3, 1), st.zeros(4))]
    [(3, 4), (3, 4)]
    """
    from ..graph.primitives.elementwise import broadcast_shapes

    handles = [handle(x) for x in xs]
    shape = broadcast_shapes("broadcast_arrays", *(h.shape for h in handles))
    return [broadcast_to(h, shape) for h in handles]


def broadcast_tensors(*xs: Any) -> list[Tensor]:
    """PyTorch's name of `broadcast_arrays`.

    >>> import spiraltorch as st
    >>> [t.shape for t in broadcast_tensors(st.zeros(3, 1), st.zeros(4))]
    [(3, 4), (3, 4)]
    """
    return broadcast_arrays(*xs)


@torch_spellings
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without axes of extent 1: all, or those given (NumPy raises for others; PyTorch's `dim` leaves them).

    >>> import spiraltorch as st
    >>> squeeze(st.zeros(1, 3, 1)).shape
    (3,)
    """
    x = handle(x)
    if axis is None:
        return reshape(x, tuple([e for e in x.shape if e != 1]))
    axes = axes_of(axis, x.ndim, "squeeze")
    if any(x.shape[a] != 1 for a in axes) and isinstance(axis, (tuple, list)):
        raise ShapeError(f"[squeeze] expected axes of extent 1, got axes {axes} of shape {x.shape}")
    return reshape(x, tuple([e for d, e in enumerate(x.shape) if d not in axes or e != 1]))


@torch_spellings
def unsqueeze(x: Any, axis: Any) -> Tensor:
    """A new axis of extent 1.

    >>> import spiraltorch as st
    >>> unsqueeze(st.zeros(3), -1).shape
    (3, 1)
    """
    x = handle(x)
    axes = axes_of(axis, x.ndim + (len(axis) if isinstance(axis, (tuple, list)) else 1), "unsqueeze")
    shape = list(x.shape)
    for a in axes:
        shape.insert(a, 1)
    return reshape(x, tuple(shape))


def expand_dims(x: Any, axis: Any = 0) -> Tensor:
    """The array API's name of `unsqueeze`.

    >>> import spiraltorch as st
    >>> expand_dims(st.zeros(3), axis=0).shape
    (1, 3)
    """
    return unsqueeze(x, axis=axis)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Neighbouring axes as one.

    >>> import spiraltorch as st
    >>> flatten(st.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    x = handle(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    a, b = axis_of(start_dim, x.ndim, "flatten"), axis_of(end_dim, x.ndim, "flatten")
    if a > b:
        raise ArgumentError(f"[flatten] expected start_dim <= end_dim, got {start_dim} and {end_dim}")
    return reshape(x, (*x.shape[:a], math.prod(x.shape[a : b + 1]), *x.shape[b + 1 :]))


def ravel(x: Any) -> Tensor:
    """One axis.

    >>> import spiraltorch as st
    >>> ravel(st.zeros(2, 3)).shape
    (6,)
    """
    return reshape(x, (handle(x).size,))


def unflatten(x: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """One axis as several; one size may be -1.

    >>> import spiraltorch as st
    >>> unflatten(st.zeros(6), 0, (2, -1)).shape
    (2, 3)
    """
    x = handle(x)
    d = axis_of(dim, x.ndim, "unflatten")
    sizes = list(sizes)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.shape[d] // max(1, -math.prod(sizes))
    return reshape(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def view(x: Any, *shape: Any) -> Tensor:
    """PyTorch's `view`: another shape, or the bits as another dtype of the same size.

    >>> import spiraltorch as st
    >>> view(st.ones(1), st.int32).tolist()
    [1065353216]
    """
    from ..dtypes import DType
    from .record import P, nary

    if len(shape) == 1 and isinstance(shape[0], DType):
        return nary(P["bitcast"], (see(handle(x)),), (shape[0],))  # type: ignore[no-any-return]
    return reshape(x, *shape)


@torch_spellings
def flip(x: Any, axis: Any = None) -> Tensor:
    """Reversed along axes; along all without any given.

    >>> import spiraltorch as st
    >>> flip(st.tensor([1, 2, 3])).tolist()
    [3, 2, 1]
    """
    x = handle(x)
    return Tensor(build.flip(see(x), axes_of(axis, x.ndim, "flip")))


@torch_spellings
def roll(x: Any, shift: Any = None, axis: Any = None, shifts: Any = None) -> Tensor:
    """Shifted along axes, what leaves at one end enters at the other.

    >>> import spiraltorch as st
    >>> roll(st.tensor([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    x = handle(x)
    amount = shift if shift is not None else shifts
    if axis is None:
        return reshape(roll(ravel(x), amount, axis=0), x.shape)
    amounts = amount if isinstance(amount, (tuple, list)) else (amount,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(amounts) == 1:
        amounts = tuple(amounts) * len(axes)
    if len(amounts) != len(axes):
        raise ArgumentError(f"[roll] expected as many shifts as axes, got {amounts} and {axes}")
    for a, s in zip(axes, amounts, strict=True):
        d = axis_of(a, x.ndim, "roll")
        n = x.shape[d] if x.ndim else 1
        k = s % n if n else 0
        if k:
            x = concat([narrow(x, d, n - k, k), narrow(x, d, 0, n - k)], axis=d)
    return x  # type: ignore[no-any-return]


def narrow(x: Any, dim: int, start: int, length: int) -> Tensor:
    """`length` elements from `start` along an axis.

    >>> import spiraltorch as st
    >>> narrow(st.tensor([1, 2, 3]), 0, 1, 2).tolist()
    [2, 3]
    """
    x = handle(x)
    d = axis_of(dim, x.ndim, "narrow")
    start = start + x.shape[d] if start < 0 else start
    if not 0 <= start <= start + length <= x.shape[d]:
        from ..errors import IndexOutOfRange

        raise IndexOutOfRange(f"[narrow] expected a range within {x.shape[d]}, got {start} and length {length}")
    starts = tuple([start if i == d else 0 for i in range(x.ndim)])
    stops = tuple([start + length if i == d else e for i, e in enumerate(x.shape)])
    return Tensor(build.slice(see(x), starts, stops, (1,) * x.ndim))


def select(x: Any, dim: int, index: int) -> Tensor:
    """PyTorch's select: one place along an axis, which is dropped.

    >>> select(handle([[1, 2], [3, 4]]), 1, 0).tolist()
    [1, 3]
    """
    x = handle(x)
    d = axis_of(dim, x.ndim, "select")
    return x[(slice(None),) * d + (index,)]  # type: ignore[no-any-return]


def pad(x: Any, pad: Sequence[Any], mode: str = "constant", value: float = 0.0) -> Tensor:
    """PyTorch's padding: (before, after) pairs from the last axis on; modes constant, reflect, replicate, circular.

    Negative amounts crop.

    >>> import spiraltorch as st
    >>> pad(st.tensor([1, 2]), (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    x = handle(x)
    if pad and isinstance(pad[0], (tuple, list)):  # NumPy's pairs, first axis first
        pairs = [tuple(p) for p in pad]
    else:
        if len(pad) % 2 or len(pad) // 2 > x.ndim:
            raise ArgumentError(f"[pad] expected pairs for at most {x.ndim} axes, got {tuple(pad)}")
        given = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
        pairs = [(0, 0)] * (x.ndim - len(given)) + given[::-1]
    for d, (lo, hi) in enumerate(pairs):
        if lo < 0 or hi < 0:
            x = narrow(x, d, max(-lo, 0), x.shape[d] - max(-lo, 0) - max(-hi, 0))
    pairs = [(max(lo, 0), max(hi, 0)) for lo, hi in pairs]
    if mode == "constant":
        if isinstance(value, float) and not x.dtype.is_float and value == int(value):
            value = int(value)
        return Tensor(build.pad(see(x), tuple([(lo, hi, 0) for lo, hi in pairs]), value))
    if mode not in ("reflect", "replicate", "circular"):
        raise ArgumentError(f"[pad] expected mode constant, reflect, replicate or circular, got {mode!r}")
    for d, (lo, hi) in enumerate(pairs):
        if lo or hi:
            x = _pad_axis(x, d, lo, hi, mode)
    return x  # type: ignore[no-any-return]


def _pad_axis(x: Tensor, d: int, lo: int, hi: int, mode: str) -> Tensor:
    n = x.shape[d]
    limit = n - 1 if mode == "reflect" else n if mode == "circular" else math.inf if n else 0
    if lo > limit or hi > limit:
        raise ArgumentError(f"[pad] expected at most {limit} elements of {mode} padding on axis {d}, got {lo} and {hi}")
    if mode == "circular":
        parts = [narrow(x, d, n - lo, lo), x, narrow(x, d, 0, hi)]
    elif mode == "reflect":
        parts = [flip(narrow(x, d, 1, lo), axis=d), x, flip(narrow(x, d, n - 1 - hi, hi), axis=d)]
    else:
        ends = [narrow(x, d, 0, 1), narrow(x, d, n - 1, 1)]
        parts = [
            expand(ends[0], tuple([lo if i == d else e for i, e in enumerate(x.shape)])), x,
            expand(ends[1], tuple([hi if i == d else e for i, e in enumerate(x.shape)])),
        ]  # fmt: skip
    return concat([p for p in parts if p.shape[d]], axis=d)


# ---------------------------------------------------------------- joins


@torch_spellings
def concat(arrays: Any, axis: Any = 0) -> Tensor:
    """Operands joined along an axis (flattened first where it is None), in their common dtype.

    >>> import spiraltorch as st
    >>> concat([st.tensor([1]), st.tensor([2, 3])]).tolist()
    [1, 2, 3]
    """
    handles = [handle(a) for a in arrays]
    if not handles:
        raise ArgumentError("[concat] expected at least one tensor, got none")
    if axis is None:
        handles, axis = [ravel(h) for h in handles], 0
    number = axis_of(axis, handles[0].ndim, "concat")
    if handles[0].ndim == 0:
        raise ShapeError("[concat] expected at least one axis, got 0-d tensors; use stack()")
    dtype = handles[0].dtype
    for h in handles[1:]:
        dtype = promote(dtype, h.dtype)
    return Tensor(build.concat(tuple([build.cast(see(h), dtype) for h in handles]), number))


@torch_spellings
def stack(arrays: Any, axis: int = 0) -> Tensor:
    """Operands of one shape joined along a new axis.

    >>> import spiraltorch as st
    >>> stack([st.tensor([1, 2]), st.tensor([3, 4])]).tolist()
    [[1, 2], [3, 4]]
    """
    handles = [handle(a) for a in arrays]
    if not handles:
        raise ArgumentError("[stack] expected at least one tensor, got none")
    if any(h.shape != handles[0].shape for h in handles):
        raise ShapeError(f"[stack] expected one shape, got {[h.shape for h in handles]}")
    number = axis_of(axis, handles[0].ndim + 1, "stack")
    return concat([unsqueeze(h, number) for h in handles], axis=number)


@torch_spellings
def split(x: Any, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """PyTorch's split: pieces of a size, or of the listed sizes.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in split(st.tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = handle(x)
    d = axis_of(axis, x.ndim, "split")
    n = x.shape[d]
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise ArgumentError(f"[split] expected a positive size, got {sizes}")
        sizes = [min(sizes, n - at) for at in range(0, n, sizes)] or [0]
    if builtin_sum(sizes) != n:
        raise ArgumentError(f"[split] expected sizes that add up to {n}, got {list(sizes)}")
    pieces, at = [], 0
    for size in sizes:
        pieces.append(narrow(x, d, at, size))
        at += size
    return tuple(pieces)


def builtin_sum(values: Any) -> int:
    """The sum of Python ints."""
    total = 0
    for v in values:
        total += v
    return total


@torch_spellings
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most so many pieces of equal size, the last one smaller.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in chunk(st.tensor([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x = handle(x)
    if chunks < 1:
        raise ArgumentError(f"[chunk] expected at least one chunk, got {chunks}")
    n = x.shape[axis_of(axis, x.ndim, "chunk")]
    return split(x, max(1, -(-n // chunks)), axis=axis)


@torch_spellings
def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unbind(st.tensor([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    x = handle(x)
    d = axis_of(axis, x.ndim, "unbind")
    return tuple([squeeze(narrow(x, d, i, 1), d) for i in range(x.shape[d])])


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The array API's name of `unbind`.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unstack(st.tensor([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
    """
    return unbind(x, axis=axis)


def tile(x: Any, *repetitions: Any) -> Tensor:
    """The whole tensor repeated along each axis.

    >>> import spiraltorch as st
    >>> tile(st.tensor([1, 2]), 2).tolist()
    [1, 2, 1, 2]
    """
    x = handle(x)
    reps = list(_args(repetitions))
    if any(r < 0 for r in reps):
        raise ArgumentError(f"[tile] expected repetitions of at least 0, got {reps}")
    reps = [1] * (x.ndim - len(reps)) + reps
    shape = [1] * (len(reps) - x.ndim) + list(x.shape)
    wide = reshape(x, tuple([v for e in shape for v in (1, e)]))
    wide = broadcast_to(wide, tuple([v for r, e in zip(reps, shape, strict=True) for v in (r, e)]))
    return reshape(wide, tuple([r * e for r, e in zip(reps, shape, strict=True)]))


def repeat_interleave(x: Any, repeats: Any, dim: Any = None) -> Tensor:
    """Each element repeated in place, so many times (or as many times as a list says).

    >>> import spiraltorch as st
    >>> repeat_interleave(st.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    x = handle(x)
    if dim is None:
        x, dim = ravel(x), 0
    d = axis_of(dim, x.ndim, "repeat_interleave")
    if isinstance(repeats, int):
        wide = broadcast_to(unsqueeze(x, d + 1), (*x.shape[: d + 1], repeats, *x.shape[d + 1 :]))
        return reshape(wide, (*x.shape[:d], x.shape[d] * repeats, *x.shape[d + 1 :]))
    import numpy as np

    from .creation import asarray
    from .indexing import take

    counts = np.asarray(repeats.numpy() if isinstance(repeats, Tensor) else repeats)
    return take(x, asarray(np.repeat(np.arange(x.shape[d]), counts)), axis=d)


def repeat(x: Any, repeats: Any, axis: Any = None) -> Tensor:
    """The array API's name of `repeat_interleave`.

    >>> import spiraltorch as st
    >>> repeat(st.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    return repeat_interleave(x, repeats, axis)


def repeat_method(x: Tensor, *sizes: Any) -> Tensor:
    """PyTorch's `x.repeat(2, 3)`: the whole tensor repeated along each axis."""
    return tile(x, *sizes)


def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements with equal positions on two axes, as a new last axis.

    >>> import spiraltorch as st
    >>> diagonal(st.tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    x = handle(x)
    a, b = axis_of(dim1, x.ndim, "diagonal"), axis_of(dim2, x.ndim, "diagonal")
    if a == b:
        raise ArgumentError(f"[diagonal] expected two axes, got {dim1} twice")
    x = moveaxis(x, (a, b), (-2, -1))
    rows, columns = x.shape[-2:]
    first = max(-offset, 0)
    n = max(0, min(rows - first, columns - max(offset, 0)))
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    start = first * columns + max(offset, 0)
    from .creation import arange
    from .indexing import take

    return take(flat, arange(n, device=x.device) * (columns + 1) + start, axis=-1)


def trace(x: Any, offset: int = 0) -> Tensor:
    """The sum of the diagonal of the last two axes.

    >>> import spiraltorch as st
    >>> trace(st.tensor([[1, 2], [3, 4]])).item()
    5
    """
    from .reduction import sum as total

    x = handle(x)
    return total(diagonal(x, offset, -2, -1), axis=-1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with this diagonal.

    >>> import spiraltorch as st
    >>> diag(st.tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    x = handle(x)
    if x.ndim == 2:
        return diagonal(x, k)
    from .creation import eye

    columns = pad(x, (max(k, 0), max(-k, 0)))  # the diagonal's element of each column
    hit = eye(x.size + abs(k), k=k, dtype=int64, device=x.device) == 1
    return ew.where(hit, columns.unsqueeze(0), ew.cast(columns.unsqueeze(0) * 0, x.dtype))  # type: ignore[no-any-return]


def unfold(x: Any, dimension: int, size: int, step: int) -> Tensor:
    """Sliding windows along an axis, as a new last axis.

    >>> import spiraltorch as st
    >>> unfold(st.tensor([1, 2, 3]), 0, 2, 1).tolist()
    [[1, 2], [2, 3]]
    """
    x = handle(x)
    d = axis_of(dimension, x.ndim, "unfold")
    return Tensor(build.windows(see(x), (d,), (size,), (step,), (1,)))
