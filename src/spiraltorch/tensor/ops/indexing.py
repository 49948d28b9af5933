"""Reading and writing `x[key]` by NumPy's rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from ...graph import build
from ...graph.node import Node
from ..creation import asarray
from ..dispatch import P, handle, nary, see
from ..tensor import Tensor
from ..tracing.tracer import forbid_read, recorder
from .casting import cast, host_values
from .index_checks import checked
from .selection import where


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
            made += [asarray(i, device=x.device) for i in np.nonzero(host_values(p, "index"))]
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
    return nary(P["take"], (see(flat), see(linear)), (place,))


def setitem(x: Tensor, key: Any, value: Any) -> Tensor:
    """`x` with `value` written at `key`, as a new tensor."""
    value = handle(value, x)
    if isinstance(key, Tensor) and key.dtype.is_bool and value.size == 1:
        if key.shape != x.shape[: key.ndim]:
            raise ShapeError(f"[setitem] expected a mask of shape {x.shape[: key.ndim]}, got {key.shape}")
        mask = key.reshape((*key.shape, *[1] * (x.ndim - key.ndim)))
        return where(mask, cast(value, x.dtype).reshape(()), x)
    plan = _Plan(x, key)
    value = cast(value, x.dtype)
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
    return nary(P["where"], (inside, build.pad(node, tuple(pads), 0), see(x)))
