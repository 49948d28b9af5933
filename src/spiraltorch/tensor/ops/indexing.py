"""Reading and writing `x[key]` by NumPy's rules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, IndexOutOfRange, ShapeError
from ...graph import build
from ...graph.node import Node
from ...graph.primitives.elementwise import broadcast_shapes
from ...typing import ArrayLike, Index, Shape
from ..creation import asarray
from ..dispatch import P, as_tensor, nary, node_of, view_of
from ..layout import write_slice
from ..tensor import Tensor
from ..tracing.tracer import forbid_read, recorder
from .casting import cast, host_values
from .index_checks import checked_indices
from .selection import where


def getitem(x: Tensor, key: Index) -> Tensor:
    """Reads elements: `x[key]`, by NumPy's rules.

    Args:
        x: any shape and dtype.
        key: an int, a slice, `...`, None for a new axis, an integer array, a boolean array over leading axes, or a
            tuple of these. A boolean or 0-d boolean array adds an axis, of extent 1 if it is true and 0 if not. The
            values of boolean arrays are evaluated immediately, because the result's shape depends on them.

    Returns:
        A tensor of x's dtype. Axes of arrays that stand together take their place; else they come first.

    Raises:
        IndexOutOfRange: an index lies outside its axis, or there are more indices than axes.
        ShapeError: a boolean array has another shape than the axes that it stands for.
        DTypeError: an index is a floating array.
        ArgumentError: a part of the key is not one of these.

    Example:
        >>> import spiraltorch as st
        >>> st.tensor([[1, 2], [3, 4]])[:, 1].tolist()
        [2, 4]
    """
    if type(key) is int and x.node.aval.ndim:  # rows are read in loops: without parsing
        shape = x.node.aval.shape
        n, rank = shape[0], len(shape)
        if -n <= key < n:
            at = key % n
            row = build.slice(node_of(x), (at,) + (0,) * (rank - 1), (at + 1, *shape[1:]), (1,) * rank)
            return view_of(x, build.reshape(row, shape[1:]))
    parsed = _Key(x, key)
    node = parsed.apply_slices(node_of(x))
    if not parsed.arrays:
        return view_of(x, node)
    sliced = Tensor(node)
    layout = _layout(sliced, parsed.arrays)
    return nary(P["take"], (node_of(_joined(sliced, layout)), node_of(layout.linear)), (layout.position,))


def setitem(x: Tensor, key: Index, value: ArrayLike) -> Tensor:
    """A new tensor: x with a value, broadcast, cast to x's dtype and copied to its device, written at `key`. See `getitem`."""
    value = as_tensor(value, x).to(x.device)
    if isinstance(key, Tensor) and key.dtype.is_bool and _same_for_all(value, x.ndim - key.ndim):
        if key.shape != x.shape[: key.ndim]:
            raise ShapeError(
                f"[setitem] expected a mask of shape {x.shape[: key.ndim]}, got {key.shape}; pass a mask of that shape"
            )
        mask = key.reshape((*key.shape, *[1] * (x.ndim - key.ndim)))
        rows = value.reshape(value.shape[max(value.ndim - x.ndim + key.ndim, 0) :])
        return where(mask, _fitted(cast(rows, x.dtype), x.shape, "setitem"), x)
    parsed = _Key(x, key)
    value = cast(value, x.dtype)
    if not parsed.arrays:
        return _write_box(x, parsed, value)
    sliced = Tensor(parsed.apply_slices(node_of(x)))
    layout = _layout(sliced, parsed.arrays)
    moved = sliced.permute(layout.order)
    flat = _joined(sliced, layout)
    update = _fitted(value, (*layout.before, *layout.shape, *layout.after), "setitem")
    written = Tensor(build.scatter(node_of(flat), node_of(layout.linear), node_of(update), layout.position, "set"))
    inverse = [layout.order.index(d) for d in range(sliced.ndim)]
    result: Tensor = written.reshape(moved.shape).permute(inverse)
    if result.shape == x.shape and not parsed.dropped and not parsed.flips and parsed.steps == [1] * x.ndim:
        return result
    return _write_box(x, parsed, result)


def _same_for_all(value: Tensor, rank: int) -> bool:
    """Whether a value has at most so many axes, beside others of extent 1: then all that a mask selects gets the same."""
    return all(e == 1 for e in value.shape[: max(value.ndim - rank, 0)])


class _Switch(NamedTuple):
    """A boolean in a key, as in NumPy: a new axis of extent 1, indexed by [0] where it is true and by [] elsewhere."""

    on: bool


class _Key:
    """A parsed key: a slice for each axis, then index arrays on some axes of the sliced tensor."""

    def __init__(self, x: Tensor, key: Index) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.steps: list[int] = []
        self.flips: list[int] = []
        self.kept: list[int | None] = []  # the axis of x that an axis of the sliced tensor is; None for a new one
        self.dropped: set[int] = set()
        self.arrays: dict[int, Tensor] = {}  # by axis of the sliced tensor
        parts = self._one_part_an_axis(x, key if isinstance(key, tuple) else (key,))
        axis = 0
        for part in parts:
            if part is None or isinstance(part, _Switch):
                if part is not None:
                    self.arrays[len(self.kept)] = asarray([0] if part.on else [], dtype=int64, device=x.device)
                self.kept.append(None)
                continue
            n = x.shape[axis]
            if isinstance(part, slice):
                self._slice(part, n, axis)
                self.kept.append(axis)
            elif isinstance(part, Tensor):
                self._whole(n)
                self.arrays[len(self.kept)] = checked_indices(part, n, "index")
                self.kept.append(axis)
            else:
                i = int(part)
                if not -n <= i < n:
                    raise IndexOutOfRange(
                        f"[index] expected an index from {-n} to {n - 1} for axis {axis}, got {i}; check the index"
                    )
                i %= n
                self.starts.append(i)
                self.stops.append(i + 1)
                self.steps.append(1)
                self.dropped.add(axis)
                if any(isinstance(p, (Tensor, _Switch)) for p in parts):  # an int beside arrays is an array of one
                    self.starts[-1], self.stops[-1] = 0, n
                    self.dropped.discard(axis)
                    self.arrays[len(self.kept)] = asarray(i, device=x.device)
                    self.kept.append(axis)
            axis += 1

    def _whole(self, n: int) -> None:
        """A slice of a whole axis."""
        self.starts.append(0)
        self.stops.append(n)
        self.steps.append(1)

    def _slice(self, part: slice, n: int, axis: int) -> None:
        """A slice with a positive step; a negative one is a slice that is flipped afterwards."""
        try:
            start, stop, step = part.indices(n)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"[index] expected slices of ints with a step that is not 0, got {part}: {error}; correct the slice"
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

    def _one_part_an_axis(self, x: Tensor, key: tuple[Index, ...]) -> list[Any]:
        """Replaces boolean arrays by the positions where they hold, lists by tensors, the ellipsis by slices."""
        parts = [self._checked_part(p, x) for p in key]
        used = sum([0 if _takes_no_axis(p) else p.ndim if _is_mask(p) else 1 for p in parts])
        if used > x.ndim:
            raise IndexOutOfRange(
                f"[index] expected at most {x.ndim} indices, got {used} for shape {x.shape}; remove indices"
            )
        dots = [n for n, p in enumerate(parts) if p is Ellipsis]
        if len(dots) > 1:
            raise ArgumentError("[index] expected at most one ellipsis, got several; keep one")
        at = dots[0] if dots else len(parts)
        parts[at : at + 1] = [slice(None)] * (x.ndim - used)
        result: list[Any] = []
        axis = 0
        for p in parts:
            if not _is_mask(p):
                result.append(p)
                axis += not _takes_no_axis(p)
                continue
            if x.shape[axis : axis + p.ndim] != p.shape:
                raise ShapeError(
                    f"[index] expected a mask of shape {x.shape[axis : axis + p.ndim]}, got {p.shape}; "
                    "pass a mask of that shape"
                )
            forbid_read(node_of(p), "index by a boolean mask")
            result += [asarray(i, device=x.device) for i in np.nonzero(host_values(p, "index"))]
            axis += p.ndim
        return result

    def _checked_part(self, p: Any, x: Tensor) -> Any:
        """One part of a key as None, an ellipsis, a slice, an int or a tensor."""
        if p is None or p is Ellipsis or isinstance(p, slice):
            return p
        if isinstance(p, (list, np.ndarray)):
            p = asarray(p, dtype=int64 if isinstance(p, list) and not p else None, device=x.device)
        if isinstance(p, (bool, np.bool_)):
            return _Switch(bool(p))
        if _is_mask(p) and p.ndim == 0:
            forbid_read(node_of(p), "index by a boolean")
            return _Switch(bool(host_values(p, "index")))
        if isinstance(p, Tensor):
            known = p.ndim == 0 and p.node.buf is not None and recorder() is None
            return p.__index__() if known else p
        if not hasattr(p, "__index__"):
            raise ArgumentError(
                f"[index] expected ints, slices, None, ..., integer or boolean arrays, got {type(p).__name__}; "
                "convert the index"
            )
        return p

    def apply_slices(self, node: Node) -> Node:
        """The sliced tensor, with new axes and without those of ints."""
        result = build.slice(node, tuple(self.starts), tuple(self.stops), tuple(self.steps))
        result = build.flip(result, tuple(self.flips))
        shape = tuple([1 if a is None else result.aval.shape[a] for a in self.kept])
        return build.reshape(result, shape)


def _takes_no_axis(part: Any) -> bool:
    """Whether a part of a key stands for no axis of the tensor."""
    return part is None or part is Ellipsis or isinstance(part, _Switch)


def _is_mask(part: Any) -> bool:
    """Whether a part of a key is a boolean tensor."""
    return isinstance(part, Tensor) and part.dtype.is_bool


class _Layout(NamedTuple):
    """How index arrays become one: the indexed axes are joined to one axis, which one linear index addresses."""

    order: list[int]  # the axes, with the indexed ones side by side
    position: int  # of the joined axis
    before: Shape  # extents before it
    extent: int  # of the joined axis
    after: Shape  # extents after it
    linear: Tensor
    shape: Shape  # of the linear index


def _layout(x: Tensor, arrays: dict[int, Tensor]) -> _Layout:
    """The layout of index arrays on axes of a sliced tensor."""
    axes = sorted(arrays)
    shape = broadcast_shapes("index", *(a.shape for a in arrays.values()))
    linear: Any = None
    extent = 1
    for a in axes:
        i = arrays[a].expand(shape)
        linear = i if linear is None else linear * x.shape[a] + i
        extent *= x.shape[a]
    rest = [d for d in range(x.ndim) if d not in arrays]
    position = axes[0] if axes == list(range(axes[0], axes[-1] + 1)) else 0
    before, after = rest[:position], rest[position:]
    return _Layout(
        [*before, *axes, *after], position, tuple([x.shape[d] for d in before]), extent,
        tuple([x.shape[d] for d in after]), linear, shape,
    )  # fmt: skip


def _joined(x: Tensor, layout: _Layout) -> Tensor:
    """The sliced tensor with its indexed axes joined."""
    flat: Tensor = x.permute(layout.order).reshape((*layout.before, layout.extent, *layout.after))
    return flat


def _fitted(value: Tensor, shape: Shape, op: str) -> Tensor:
    """A value broadcast to a shape; leading axes of extent 1 may be too many."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value.reshape(value.shape[1:])
    try:
        return value.broadcast_to(shape)
    except ShapeError:
        raise ShapeError(
            f"[{op}] expected a value that broadcasts to {shape}, got shape {value.shape}; reshape the value"
        ) from None


def _write_box(x: Tensor, key: _Key, value: Tensor) -> Tensor:
    """Writes a value at the slices of a key."""
    box = tuple([len(range(a, b, s)) for a, b, s in zip(key.starts, key.stops, key.steps, strict=True)])
    kept = tuple([1 if a is None else box[a] for a in key.kept])
    node = build.reshape(node_of(_fitted(value, kept, "setitem")), box)
    node = build.flip(node, tuple(key.flips))
    return Tensor(write_slice(node_of(x), (tuple(key.starts), tuple(key.stops), tuple(key.steps)), node))
