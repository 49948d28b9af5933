"""Checks that indices lie within the extent of their axis."""

from __future__ import annotations

import weakref

from ...dtypes import int64
from ...errors import DTypeError, out_of_range
from ...graph import build
from ...graph.node import Node
from ..dispatch import node_of
from ..tensor import Tensor
from ..tracing.tracer import recorder
from .casting import cast, host_values
from .selection import where

_KNOWN_RANGES: weakref.WeakKeyDictionary[Node, tuple[int, int]] = weakref.WeakKeyDictionary()


def checked_indices(idx: Tensor, extent: int, op: str) -> Tensor:
    """Converts indices in `[-extent, extent)` to int64 indices in `[0, extent)`.

    Values that exist are checked here and may raise `IndexOutOfRange`; others are checked when they are computed,
    unless the operation that computes them cannot leave the range.
    """
    if not idx.dtype.is_integer:
        raise DTypeError(f"[{op}] expected integer indices, got {idx.dtype.name}; cast with .to(st.int64)")
    node = idx.node
    low = -extent
    if node.buf is not None and recorder() is None and idx.size:
        bounds = _KNOWN_RANGES.get(node)
        if bounds is None:
            values = host_values(idx, op)
            bounds = _KNOWN_RANGES[node] = int(values.min()), int(values.max())
        if bounds[0] < -extent or bounds[1] >= extent:
            raise out_of_range(op, -extent, extent, bounds[0] if bounds[0] < -extent else bounds[1])
        low = bounds[0]
    elif idx.size:
        known = _value_range(node)
        if known is not None and known[0] >= -extent and known[1] < extent:
            low = known[0]
        else:
            idx = with_bounds_check(idx, -extent, extent, op)
    wide = cast(idx, int64)
    return wide if low >= 0 else where(wide < 0, wide + extent, wide)


def with_bounds_check(x: Tensor, lower: int, upper: int, op: str) -> Tensor:
    """Integers that raise `IndexOutOfRange` for `op` when they are computed and leave `[lower, upper)`."""
    return Tensor(build.bounded(node_of(x), lower, upper, op))


_KEEP_VALUES = frozenset(("reshape", "expand", "permute", "slice", "flip", "windows", "barrier", "stop_gradient"))


def _value_range(node: Node) -> tuple[int, int] | None:
    """The least and the greatest value that the node's operation can give; None where that is not known."""
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
        if name not in _KEEP_VALUES and not (name == "cast" and node.aval.dtype is int64):
            return None
        node = node.args[0]
        if not node.aval.dtype.is_integer:
            return None
    return None
