"""Indexing and assignment by NumPy's rules, and gathers and scatters by name."""

from __future__ import annotations

import weakref
from collections import namedtuple
from typing import Any

import numpy as np

from ...dtypes import bfloat16, int64
from ...errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError, out_of_range
from ...graph import build
from ...graph.node import Node
from ...runtime import device as devices
from ..arguments import axis_of, torch_spellings
from ..creation import asarray
from ..dispatch import P, handle, handles, nary, see
from ..tensor import Tensor, evaluated
from ..tracing.tracer import forbid_read, recorder
from . import elementwise as ew
from .logic import isnan

_CHECKED: weakref.WeakKeyDictionary[Node, tuple[int, int]] = weakref.WeakKeyDictionary()


def _array(x: Tensor, op: str) -> Any:
    """The host's view of a value that indexing depends on."""
    node = evaluated(x, op)
    return devices.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)


def checked(idx: Tensor, extent: int, op: str) -> Tensor:
    """int64 indices in `[0, extent)`, negative ones wrapped.

    Values that exist are checked here and may raise; others are checked when they are computed, unless what computes
    them cannot leave the range.
    """
    if not idx.dtype.is_integer:
        raise DTypeError(f"[{op}] expected integer indices, got {idx.dtype.name}; cast with .to(st.int64)")
    node = idx.node
    low = -extent
    if node.buf is not None and recorder() is None and idx.size:
        bounds = _CHECKED.get(node)
        if bounds is None:
            values = _array(idx, op)
            bounds = _CHECKED[node] = int(values.min()), int(values.max())
        if bounds[0] < -extent or bounds[1] >= extent:
            raise out_of_range(op, -extent, extent, bounds[0] if bounds[0] < -extent else bounds[1])
        low = bounds[0]
    elif idx.size:
        known = _range_of(node)
        if known is not None and known[0] >= -extent and known[1] < extent:
            low = known[0]
        else:
            idx = watched(idx, -extent, extent, op)
    wide = ew.cast(idx, int64)
    return wide if low >= 0 else ew.where(wide < 0, wide + extent, wide)


def watched(x: Tensor, lower: int, upper: int, op: str) -> Tensor:
    """Integers that must lie in `[lower, upper)`: `IndexOutOfRange` for `op` when they are computed and do not."""
    return Tensor(build.bounded(see(x), lower, upper, op))


_SAME_VALUES = frozenset(("reshape", "expand", "permute", "slice", "flip", "windows", "barrier", "stop_gradient"))


def _range_of(node: Node) -> tuple[int, int] | None:
    """The least and greatest value that the node's operation can give, where that is plain."""
    while node.buf is None and node.spec.prim is not None:
        name, params = node.spec.prim.name, node.spec.params
        if name == "argsort":
            return 0, node.aval.shape[params[0]] - 1
        if name in ("argmax", "argmin"):
            return 0, node.args[0].aval.shape[params[0]] - 1
        if name == "iota":
            return 0, node.aval.shape[params[1]] - 1
        if name == "const":
            return int(params[0]), int(params[0])
        if name not in _SAME_VALUES and not (name == "cast" and node.aval.dtype is int64):
            return None
        node = node.args[0]
        if not node.aval.dtype.is_integer:
            return None
    return None


# ---------------------------------------------------------------- x[key]


class _Plan:
    """A key in normal form: basic slices first, then index arrays on some axes of the result."""

    def __init__(self, x: Tensor, key: Any) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.steps: list[int] = []
        self.flips: list[int] = []
        self.keep: list[int | None] = []  # axis of x that a result axis comes from; None is a new axis
        self.drop: set[int] = set()
        self.arrays: dict[int, Tensor] = {}  # result axis before gathering -> indices
        self.empty_key = False
        parts = self._expanded(x, key if isinstance(key, tuple) else (key,))
        axis = 0
        for part in parts:
            if part is None:
                self.keep.append(None)
                continue
            n = x.shape[axis]
            if isinstance(part, slice):
                self._slice(part, n, axis)
                self.keep.append(axis)
            elif isinstance(part, Tensor):
                self._whole(n)
                self.arrays[len(self.keep)] = checked(part, n, "index")
                self.keep.append(axis)
            else:
                i = int(part)
                if not -n <= i < n:
                    raise IndexOutOfRange(f"[index] expected an index from {-n} to {n - 1} for axis {axis}, got {i}")
                i %= n
                self.starts.append(i)
                self.stops.append(i + 1)
                self.steps.append(1)
                self.drop.add(axis)
                if any(isinstance(p, Tensor) for p in parts):  # an int beside arrays is an array of one
                    self.starts[-1], self.stops[-1] = 0, n
                    self.drop.discard(axis)
                    self.arrays[len(self.keep)] = asarray(i, device=x.device)
                    self.keep.append(axis)
            axis += 1

    def _whole(self, n: int) -> None:
        self.starts.append(0)
        self.stops.append(n)
        self.steps.append(1)

    def _slice(self, part: slice, n: int, axis: int) -> None:
        try:
            start, stop, step = part.indices(n)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"[index] expected slices of ints with a step that is not 0, got {part}: {error}"
            ) from None
        count = len(range(start, stop, step))
        if step < 0:
            self.flips.append(axis)
            start, step = start + (count - 1) * step, -step
        if count == 0:
            start = 0
        self.starts.append(start)
        self.stops.append(min(n, start + (count - 1) * step + 1) if count else start)
        self.steps.append(step)

    def _expanded(self, x: Tensor, parts: tuple[Any, ...]) -> list[Any]:
        """Booleans become integer arrays, lists become tensors, the ellipsis becomes slices: a part for each axis."""
        given = [self._part(p, x) for p in parts]
        used = sum([0 if p is None or p is Ellipsis else p.ndim if _is_mask(p) else 1 for p in given])
        if used > x.ndim:
            raise IndexOutOfRange(f"[index] expected at most {x.ndim} indices, got {used} for shape {x.shape}")
        dots = [n for n, p in enumerate(given) if p is Ellipsis]
        if len(dots) > 1:
            raise ArgumentError("[index] expected at most one ellipsis, got several")
        at = dots[0] if dots else len(given)
        given[at : at + 1] = [slice(None)] * (x.ndim - used)
        made: list[Any] = []
        axis = 0
        for p in given:
            if not _is_mask(p):
                made.append(p)
                axis += p is not None
                continue
            if x.shape[axis : axis + p.ndim] != p.shape:
                raise ShapeError(f"[index] expected a mask of shape {x.shape[axis : axis + p.ndim]}, got {p.shape}")
            forbid_read(p.node, "index by a boolean mask")
            made += [asarray(i, device=x.device) for i in np.nonzero(_array(p, "index"))]
            axis += p.ndim
        return made

    def _part(self, p: Any, x: Tensor) -> Any:
        """One part of a key: None, an ellipsis, a slice, an int or a tensor."""
        if p is None or p is Ellipsis or isinstance(p, slice):
            return p
        if isinstance(p, (list, np.ndarray)):
            p = asarray(p, dtype=int64 if isinstance(p, list) and not p else None, device=x.device)
        if isinstance(p, (bool, np.bool_)) or (_is_mask(p) and p.ndim == 0):
            raise DTypeError("[index] expected an index, got a bool; use a boolean tensor of the indexed shape")
        if isinstance(p, Tensor):
            known = p.ndim == 0 and p.node.buf is not None and recorder() is None
            return p.__index__() if known else p
        if not hasattr(p, "__index__"):
            raise ArgumentError(
                f"[index] expected ints, slices, None, ..., integer or boolean arrays, got {type(p).__name__}"
            )
        return p

    def basic(self, node: Node) -> Node:
        """The basic part of the key, with new and dropped axes."""
        made = build.slice(node, tuple(self.starts), tuple(self.stops), tuple(self.steps))
        made = build.flip(made, tuple(self.flips))
        shape = tuple([1 if a is None else made.aval.shape[a] for a in self.keep])
        return build.reshape(made, shape)


def _is_mask(part: Any) -> bool:
    return isinstance(part, Tensor) and part.dtype.is_bool


def getitem(x: Tensor, key: Any) -> Tensor:
    """`x[key]`."""
    if type(key) is int and x.node.aval.ndim:  # rows are read in loops: without the plan
        shape = x.node.aval.shape
        n, rank = shape[0], len(shape)
        if -n <= key < n:
            at = key % n
            row = build.slice(see(x), (at,) + (0,) * (rank - 1), (at + 1, *shape[1:]), (1,) * rank)
            return Tensor(build.reshape(row, shape[1:]))
    plan = _Plan(x, key)
    made = Tensor(plan.basic(see(x)))
    return _gather(made, plan.arrays) if plan.arrays else made


def _layout(x: Tensor, arrays: dict[int, Tensor]) -> tuple[list[int], list[int], int, Tensor, tuple[int, ...]]:
    """Indexed axes, the rest, where the result goes, and one linear index over the indexed axes."""
    from ...graph.primitives.elementwise import broadcast_shapes

    axes = sorted(arrays)
    shape = broadcast_shapes("index", *(a.shape for a in arrays.values()))
    linear: Any = None
    for a in axes:
        i = arrays[a].expand(shape)
        linear = i if linear is None else linear * x.shape[a] + i
    rest = [d for d in range(x.ndim) if d not in arrays]
    together = axes == list(range(axes[0], axes[-1] + 1))
    return axes, rest, axes[0] if together else 0, linear, shape


def _gather(x: Tensor, arrays: dict[int, Tensor]) -> Tensor:
    axes, rest, place, linear, _ = _layout(x, arrays)
    order = [*rest[:place], *axes, *rest[place:]]
    count = 1
    for a in axes:
        count *= x.shape[a]
    front = tuple([x.shape[d] for d in rest[:place]])
    flat = x.permute(order).reshape((*front, count, *[x.shape[d] for d in rest[place:]]))
    return nary(P["take"], (see(flat), see(linear)), (place,))  # type: ignore[no-any-return]


def setitem(x: Tensor, key: Any, value: Any) -> Tensor:
    """`x` with `value` written at `key`, as a new tensor."""
    value = handle(value, x)
    if isinstance(key, Tensor) and key.dtype.is_bool and value.size == 1:
        if key.shape != x.shape[: key.ndim]:
            raise ShapeError(f"[setitem] expected a mask of shape {x.shape[: key.ndim]}, got {key.shape}")
        mask = key.reshape((*key.shape, *[1] * (x.ndim - key.ndim)))
        return ew.where(mask, _typed(value, x).reshape(()), x)  # type: ignore[no-any-return]
    plan = _Plan(x, key)
    value = _typed(value, x)
    if not plan.arrays:
        return _write_box(x, plan, value)
    base = Tensor(plan.basic(see(x)))
    axes, rest, place, linear, shape = _layout(base, plan.arrays)
    count = 1
    for a in axes:
        count *= base.shape[a]
    order = [*rest[:place], *axes, *rest[place:]]
    moved = base.permute(order)
    front = tuple([base.shape[d] for d in rest[:place]])
    back = tuple([base.shape[d] for d in rest[place:]])
    flat = moved.reshape((*front, count, *back))
    update = _fitted(value, (*front, *shape, *back), "setitem")
    written = Tensor(build.scatter(see(flat), see(linear), see(update), place, "set"))
    restored = written.reshape(moved.shape).permute([order.index(d) for d in range(base.ndim)])
    if restored.shape == x.shape and not plan.drop and not plan.flips and plan.steps == [1] * x.ndim:
        return restored  # type: ignore[no-any-return]
    return _write_box(x, plan, restored)


def _typed(value: Tensor, x: Tensor) -> Tensor:
    return value if value.dtype is x.dtype else ew.cast(value, x.dtype)


def _fitted(value: Tensor, shape: tuple[int, ...], op: str) -> Tensor:
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value.reshape(value.shape[1:])
    try:
        return value.broadcast_to(shape)  # type: ignore[no-any-return]
    except ShapeError:
        raise ShapeError(f"[{op}] expected a value that broadcasts to {shape}, got shape {value.shape}") from None


def _write_box(x: Tensor, plan: _Plan, value: Tensor) -> Tensor:
    """Writes a value into the box of a basic key: spread out by a pad, chosen by a mask of the same pad."""
    box = tuple([len(range(a, b, s)) for a, b, s in zip(plan.starts, plan.stops, plan.steps, strict=True)])
    kept = tuple([1 if a is None else box[a] for a in plan.keep])
    node = build.reshape(see(_fitted(value, kept, "setitem")), box)
    node = build.flip(node, tuple(plan.flips))
    if box == x.shape:
        return Tensor(node)
    if 0 in box:
        return x
    pads = []
    for e, n, start, step in zip(x.shape, box, plan.starts, plan.steps, strict=True):
        used = (n - 1) * step + 1
        pads.append((start, e - start - used, step - 1))
    from ...dtypes import bool_

    inside = build.pad(build.expand(build.const(True, bool_, x.device), box), tuple(pads), False)
    return nary(P["where"], (inside, build.pad(node, tuple(pads), 0), see(x)))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- by name


@torch_spellings
def take(x: Any, indices: Any, axis: Any = None) -> Tensor:
    """Elements along an axis, one slice for each index; of the flattened tensor without an axis.

    >>> take(handle([10, 20, 30]), handle([2, 0])).tolist()
    [30, 10]
    """
    x = handle(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    d = axis_of(axis, x.ndim, "take")
    idx = checked(handle(indices, x), x.shape[d], "take")
    return nary(P["take"], (see(x), see(idx)), (d,))  # type: ignore[no-any-return]


@torch_spellings
def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """One element along an axis for each index; other axes broadcast.

    >>> import spiraltorch as st
    >>> take_along_axis(st.tensor([[3, 1]]), st.tensor([[1, 0]])).tolist()
    [[1, 3]]
    """
    x, idx = handles(x, indices)
    d = axis_of(axis, x.ndim, "take_along_axis")
    if x.ndim != idx.ndim:
        raise ShapeError(f"[take_along_axis] expected equal numbers of axes, got {x.shape} and {idx.shape}")
    from ...graph.primitives.elementwise import broadcast_shapes

    a, b = list(x.shape), list(idx.shape)
    a[d] = b[d] = 1
    common = list(broadcast_shapes("take_along_axis", tuple(a), tuple(b)))
    common[d] = x.shape[d]
    x = x.broadcast_to(tuple(common))
    common[d] = idx.shape[d]
    idx = checked(idx, x.shape[d], "take_along_axis").broadcast_to(tuple(common))
    return nary(P["take_along"], (see(x), see(idx)), (d,))  # type: ignore[no-any-return]


def gather(x: Any, dim: int, index: Any) -> Tensor:
    """PyTorch's gather: `index` may be smaller than `x` on the other axes.

    >>> import spiraltorch as st
    >>> gather(st.tensor([[1, 2], [3, 4]]), 1, st.tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    x, index = handles(x, index)
    d = axis_of(dim, x.ndim, "gather")
    x = _cropped(x, index.shape, d, "gather")
    return nary(P["take_along"], (see(x), see(checked(index, x.shape[d], "gather"))), (d,))  # type: ignore[no-any-return]


def _cropped(x: Tensor, shape: tuple[int, ...], d: int, op: str) -> Tensor:
    if len(shape) != x.ndim or any(n > e for a, (n, e) in enumerate(zip(shape, x.shape, strict=True)) if a != d):
        raise ShapeError(f"[{op}] expected an index no larger than {x.shape} beside axis {d}, got {shape}")
    stops = tuple([x.shape[d] if a == d else n for a, n in enumerate(shape)])
    return Tensor(build.slice(see(x), (0,) * x.ndim, stops, (1,) * x.ndim))


def scatter(x: Any, dim: int, index: Any, src: Any, reduce: str | None = None) -> Tensor:
    """PyTorch's scatter: `x` with `src` written (or combined by `reduce`) at `index` along an axis.

    >>> import spiraltorch as st
    >>> scatter(st.zeros(3), 0, st.tensor([2]), 5.0).tolist()
    [0.0, 0.0, 5.0]
    """
    x, index = handles(x, index)
    modes = {None: "set", "add": "add", "sum": "add", "multiply": "mul", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in modes:
        raise ArgumentError(f"[scatter] expected reduce of {sorted(m for m in modes if m)}, got {reduce!r}")
    d = axis_of(dim, x.ndim, "scatter")
    src = handle(src, x)
    src = _cropped(src, index.shape, -1, "scatter") if src.ndim else src.expand(index.shape)
    idx = checked(index, x.shape[d], "scatter")
    base, src = x, _typed(src, x)
    small = tuple([x.shape[d] if a == d else n for a, n in enumerate(index.shape)])
    part = _cropped(base, index.shape, d, "scatter")
    made = Tensor(build.scatter_along(see(part), see(idx), see(src), d, modes[reduce]))
    if small == x.shape:
        return made
    return setitem(x, tuple([slice(0, n) for n in small]), made)


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Tensor:
    """`scatter` that adds.

    >>> import spiraltorch as st
    >>> scatter_add(st.ones(2), 0, st.tensor([1, 1]), st.ones(2)).tolist()
    [1.0, 3.0]
    """
    return scatter(x, dim, index, src, "add")


def index_select(x: Any, dim: int, index: Any) -> Tensor:
    """PyTorch's name of `take`.

    >>> import spiraltorch as st
    >>> index_select(st.tensor([10, 20, 30]), 0, st.tensor([2, 0])).tolist()
    [30, 10]
    """
    return take(x, index, axis=dim)


def index_add(x: Any, dim: int, index: Any, source: Any, alpha: float = 1) -> Tensor:
    """`x` with slices of `source` added at `index` along an axis.

    >>> import spiraltorch as st
    >>> index_add(st.zeros(3), 0, st.tensor([2, 2]), st.ones(2)).tolist()
    [0.0, 0.0, 2.0]
    """
    x, idx, source = handles(x, index, source)
    d = axis_of(dim, x.ndim, "index_add")
    idx = checked(idx, x.shape[d], "index_add")
    update = _typed(source * alpha if alpha != 1 else source, x)
    return Tensor(build.scatter(see(x), see(idx), see(update), d, "add"))


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """`x` with a number where the mask holds.

    >>> import spiraltorch as st
    >>> masked_fill(st.ones(2), st.tensor([True, False]), 0.0).tolist()
    [0.0, 1.0]
    """
    x = handle(x)
    if not isinstance(value, (int, float)):
        value = _typed(handle(value, x), x)
        if value.size != 1:
            raise ShapeError(f"[masked_fill] expected a value of one element, got shape {value.shape}; use where()")
        value = value.reshape(())
    return ew.where(mask, value, x)  # type: ignore[no-any-return]


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements where the mask holds, flattened.

    >>> import spiraltorch as st
    >>> masked_select(st.tensor([1, 2]), st.tensor([True, False])).tolist()
    [1]
    """
    x, mask = handles(x, mask)
    from .shape import broadcast_arrays

    x, mask = broadcast_arrays(x, mask)
    return getitem(x, mask)


def nonzero(x: Any, as_tuple: bool = True) -> Any:
    """The positions of elements that are not 0: an int64 tensor for each axis, or one of rows (`as_tuple=False`).

    >>> import spiraltorch as st
    >>> [t.tolist() for t in nonzero(st.tensor([0, 3, 4]))]
    [[1, 2]]
    """
    x = handle(x)
    found = [asarray(i, device=x.device) for i in np.nonzero(_array(x, "nonzero"))]
    if as_tuple:
        return tuple(found)
    from .shape import stack

    return stack(found, axis=1)


UniqueAll = namedtuple("UniqueAll", ("values", "indices", "inverse_indices", "counts"))
UniqueCounts = namedtuple("UniqueCounts", ("values", "counts"))
UniqueInverse = namedtuple("UniqueInverse", ("values", "inverse_indices"))


def unique_all(x: Any) -> Any:
    """Distinct elements in order, the first place of each, each element's place among them, and their counts.

    As in the array API, no NaN equals another: each counts for itself, at the end.
    The value is needed at once, because the shape depends on it.

    >>> unique_all(handle([3, 1, 3])).counts.tolist()
    [1, 2]
    """
    x = handle(x)
    values, first, inverse, counts = np.unique(_sortable(x), True, True, True, equal_nan=False)
    parts = (values.astype(x.dtype.numpy), first, inverse.reshape(x.shape), counts)
    return UniqueAll(*[asarray(p, device=x.device) for p in parts])


def unique_counts(x: Any) -> Any:
    """Distinct elements in order and their counts; see `unique_all`.

    >>> import spiraltorch as st
    >>> [t.tolist() for t in unique_counts(st.tensor([3, 1, 3]))]
    [[1, 3], [1, 2]]
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> Any:
    """Distinct elements in order and each element's place among them; see `unique_all`.

    >>> import spiraltorch as st
    >>> unique_inverse(st.tensor([3, 1, 3])).inverse_indices.tolist()
    [1, 0, 1]
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Tensor:
    """Distinct elements in order; see `unique_all`.

    >>> import spiraltorch as st
    >>> unique_values(st.tensor([3, 1, 3])).tolist()
    [1, 3]
    """
    x = handle(x)
    return asarray(np.unique(_sortable(x), equal_nan=False).astype(x.dtype.numpy), device=x.device)


def _sortable(x: Tensor) -> Any:
    """The elements in a dtype that NumPy sorts with NaN last: it does not do so for bfloat16."""
    values = _array(x, "unique")
    return values.astype(np.float32) if x.dtype is bfloat16 else values


def unique(x: Any) -> Tensor:
    """PyTorch's name of `unique_values`.

    >>> import spiraltorch as st
    >>> unique(st.tensor([3, 1, 3])).tolist()
    [1, 3]
    """
    return unique_values(x)


def searchsorted(x1: Any, x2: Any, side: str = "left") -> Tensor:
    """Where elements of `x2` would be inserted in the sorted 1-d `x1`, as int64; NaN counts as the greatest.

    >>> import spiraltorch as st
    >>> searchsorted(st.tensor([1, 3, 5]), st.tensor([3, 9])).tolist()
    [1, 3]
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"[searchsorted] expected side 'left' or 'right', got {side!r}")
    a, v = handles(x1, x2)
    if a.ndim != 1:
        raise ShapeError(f"[searchsorted] expected a sorted tensor of one axis, got shape {a.shape}; use ravel()")
    wide = v.reshape((*v.shape, 1))
    before = (a < wide) if side == "left" else (a <= wide)
    if wide.dtype.is_float:
        before = before | (isnan(wide) if side == "right" else isnan(wide) & (a == a))
    from .reduction import sum as total

    return total(ew.cast(before, int64), axis=-1)
