"""Kernels as bytes, for another process of the same version.

Indices remember hashes that hold in their own process only, so they are made anew where they arrive.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from .guard import Guard
from .index import FloorDiv, Index, Min, Mod, Var


class _Writer(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is Index:
            return Index, (thing.terms, thing.const)
        if kind is Var:
            return Var, (thing.name, thing.upper, thing.lower)
        if kind in (FloorDiv, Mod, Min):
            return kind, (thing.left, thing.right)
        if kind is Guard:
            return Guard, (thing.terms, thing.never)
        return NotImplemented


def pack(thing: Any) -> bytes:
    """Anything made of kernels, values and plain data. What is shared inside stays shared."""
    out = io.BytesIO()
    _Writer(out, pickle.HIGHEST_PROTOCOL).dump(thing)
    return out.getvalue()


def unpack(data: bytes) -> Any:
    """What `pack` was given. Only for bytes that this program wrote."""
    return pickle.loads(data)
