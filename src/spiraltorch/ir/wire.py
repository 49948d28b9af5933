"""Kernels as bytes, for another process of the same version: a pickle that builds indices anew.

Indices cache hashes, which are those of their own process, so they are sent as the arguments of their constructors.
Objects that are shared inside stay shared.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, TypeVar

from .guard import Guard
from .index import FloorDiv, Index, Min, Mod, Var

T = TypeVar("T")


class _Pickler(pickle.Pickler):
    """Pickles indices, variables and guards as calls of their constructors."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, Index):
            return Index, (obj.terms, obj.const)
        if isinstance(obj, Var):
            return Var, (obj.name, obj.upper, obj.lower)
        if isinstance(obj, (FloorDiv, Mod, Min)):
            return type(obj), (obj.left, obj.right)
        if isinstance(obj, Guard):
            return Guard, (obj.terms, obj.never)
        return NotImplemented


def pack(obj: object) -> bytes:
    """Serializes an object made of kernels, values and plain data."""
    out = io.BytesIO()
    _Pickler(out, pickle.HIGHEST_PROTOCOL).dump(obj)
    return out.getvalue()


def unpack(data: bytes, kind: type[T]) -> T:
    """The object that `pack` was given, of class `kind`. Only for bytes that this program wrote: a pickle can run code.

    Raises:
        TypeError: the object is of another class.
    """
    obj = pickle.loads(data)
    if not isinstance(obj, kind):
        raise TypeError(f"[unpack] expected {kind.__name__}, got {type(obj).__name__}")
    return obj
