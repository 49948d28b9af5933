"""The graph: immutable nodes over interned types.

Contract
- An `Aval` (shape, dtype, device) and a `Spec` (primitive, result aval, static parameters) are interned: identity
  is equality. Their numbers are Python's. `Spec` objects are all that a plan key has to compare. `Interned` keeps those that
  live, and a bounded number of others.
- The value of a `Node` never changes. Evaluation sets its buffer, `buf`; such a node is a leaf of later graphs.
- Python scalars that vary are nodes of the `scalar` primitive: their value is in `Node.scalar`, beside the key, so a
  new value never recompiles. 0, 1, 2, -1 and 0.5 are `const` nodes: part of the key, so they can be simplified.
- A call of a primitive with several results is one node, which is not itself a value, and one `result` node for each
  result that is used. The call references its result nodes weakly, so that evaluation can set all their values.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary, ref

import numpy as np

from ..dtypes import DType, float64
from ..errors import DeviceError, ShapeError
from ..runtime.device import require_dtype

if TYPE_CHECKING:
    from .primitive import Primitive

Shape = tuple[int, ...]
Params = tuple[Any, ...]  # static, hashable parameters; their types are the primitive's, see docs/primitives.md


class Aval:
    """Shape, dtype and device of a value. Build it with `aval_of`."""

    __slots__ = ("__weakref__", "device", "dtype", "leaf", "ndim", "shape", "size")

    def __init__(self, shape: Shape, dtype: DType, device: str) -> None:
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.ndim = len(shape)
        size = 1
        for extent in shape:
            size *= extent
        self.size = size
        self.leaf: Spec = None  # type: ignore[assignment]  # set by aval_of

    def __repr__(self) -> str:
        return f"{self.dtype.name}{list(self.shape)}@{self.device}"


class Spec:
    """What a node computes: a primitive with its static parameters, and the aval of the result.

    Attributes:
        prim: the primitive; None for a leaf, whose node has a buffer.
        aval: the type of the result; of several results, the type of the first.
        params: the static parameters, hashable.
        results: the types of all results of a primitive that has several; empty for others.
    """

    __slots__ = ("__weakref__", "aval", "params", "prim", "results")

    def __init__(self, prim: Primitive | None, aval: Aval, params: Params, results: tuple[Aval, ...] = ()) -> None:
        self.prim = prim
        self.aval = aval
        self.params = params
        self.results = results

    def __repr__(self) -> str:
        name = "leaf" if self.prim is None else self.prim.name
        types = ", ".join(map(repr, self.results or (self.aval,)))
        return f"{name}{self.params or ''} -> {types}"


class Node:
    """One value of the graph, or one call of a primitive with several results.

    Attributes:
        spec: the operation and its result type.
        args: the operands; empty once it has its value, unless a gradient flows on through them.
        aval: the type of its value.
        buf: the device memory of its value; None until it is evaluated.
        scalar: the number of a `scalar` node.
        rg: `requires_grad`: whether a gradient may flow through it. The name is short because every operation reads it.
        owner: of a leaf that requires a gradient, a weak reference to its handle; unset elsewhere.
        siblings: of the first result of a call through which a gradient may flow, the other results; unset elsewhere.
        results: of a call, weak references to its result nodes, None where there is none; unset elsewhere.
        hooks: the gradient hooks of a result, see `autodiff.hooks`; unset elsewhere.
        rule: the derivative rule given by hand, see `autodiff.custom`; unset elsewhere.
    """

    __slots__ = (
        "__weakref__", "args", "aval", "buf", "hooks", "owner", "results", "rg", "rule", "scalar", "siblings", "spec",
    )  # fmt: skip

    def __init__(self, spec: Spec, args: tuple[Node, ...], scalar: Any = None, rg: bool = False) -> None:
        self.spec = spec
        self.args = args
        self.aval = spec.aval
        self.buf: Any = None
        self.scalar = scalar
        self.rg = rg
        self.results: list[ref[Node] | None]
        self.siblings: tuple[Node, ...]
        self.hooks: dict[int, Callable[[Node], Node]]
        self.rule: tuple[Any, int]

    def __repr__(self) -> str:
        return f"Node({self.spec})"


MOST_BYTES = (1 << 63) - 1
INTERNED_LIMIT = 8192  # interned objects of each kind that are kept although nothing uses them
I = TypeVar("I", Aval, Spec)
K = TypeVar("K")
V = TypeVar("V")


class Interned(Generic[I]):
    """Objects of which there is one for each key, as long as something refers to it.

    Attributes:
        recent: those that were made or found anew last. Hot paths look here, and call `intern` where nothing is.
    """

    def __init__(self) -> None:
        self.recent: dict[Any, I] = {}
        self._living: WeakValueDictionary[Any, I] = WeakValueDictionary()
        self._lock = threading.RLock()  # a signal handler may come in between

    def intern(self, key: Any, new: I) -> I:
        """The object of a key: the one that there is, or the new one. Drops the older half where there are too many."""
        with self._lock:
            known = self._living.setdefault(key, new)
            if len(self.recent) >= INTERNED_LIMIT:
                for old in list(self.recent)[: INTERNED_LIMIT // 2]:
                    self.recent.pop(old, None)
            self.recent[key] = known
        return known

    def clear(self) -> None:
        """Keeps those only that something refers to."""
        self.recent.clear()


class Table(dict[K, V]):
    """A bounded dictionary of what can be made again. The older half is dropped where there are too many entries."""

    def __init__(self, limit: int = INTERNED_LIMIT) -> None:
        self.limit = limit
        TABLES.append(self)

    def remember(self, key: K, value: V) -> V:
        """Adds an entry, and returns its value."""
        if len(self) >= self.limit:
            for old in list(self)[: self.limit // 2]:
                self.pop(old, None)
        self[key] = value
        return value


TABLES: list[Table[Any, Any]] = []  # all there are
AVALS: Interned[Aval] = Interned()
SPECS: Interned[Spec] = Interned()
_AVALS = AVALS.recent
_SPECS = SPECS.recent


def aval_of(shape: Shape, dtype: DType, device: str = "cpu:0") -> Aval:
    """The interned aval of a shape, dtype and device.

    Raises:
        DTypeError: the device has no float64.
        ShapeError: no memory can hold such an array.
    """
    key = (shape, dtype, device)
    aval = _AVALS.get(key)
    if aval is None:
        shape = python_numbers(shape)
        key = (shape, dtype, device)
        extent = math.prod([e for e in shape if e])  # an empty array must be one that NumPy can describe, too
        if extent * dtype.itemsize > MOST_BYTES:
            raise ShapeError(
                f"[shape] expected at most {MOST_BYTES:,} bytes, got shape {shape} of {dtype.name}; use smaller extents"
            )
        if dtype is float64:  # the one dtype that a device may lack
            require_dtype(device, dtype)
        aval = Aval(shape, dtype, device)
        aval.leaf = Spec(None, aval, ())
        aval = AVALS.intern(key, aval)
    return aval


def python_numbers(params: tuple[Any, ...]) -> tuple[Any, ...]:
    """Parameters with Python's numbers in place of NumPy's scalars and of 0-d integer tensors.

    Everything that is kept, shown or compiled is made from these, whichever of equal numbers came first.
    """
    return tuple([_python_number(p) for p in params])


def _python_number(value: Any) -> Any:
    """A parameter, or what it contains, as `python_numbers` gives it."""
    if isinstance(value, tuple):
        return python_numbers(value)
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, int) or not hasattr(value, "__index__") else operator.index(value)


def leaf(buffer: Any, aval: Aval, rg: bool = False) -> Node:
    """A leaf: a node whose value is in a buffer. `rg` says whether it requires a gradient."""
    node = Node(aval.leaf, (), None, rg)
    node.buf = buffer
    return node


def spec_of(prim: Primitive, avals: tuple[Aval, ...], params: Params) -> Spec:
    """The interned spec of a primitive on operands of these types. The primitive's `infer` runs once for each spec.

    Raises:
        DeviceError: the operands are on different devices.
        SpiralTorchError: the operands are invalid, as the primitive's `infer` reports.
    """
    key = (prim, avals, params)
    spec = _SPECS.get(key)
    if spec is None:
        params = python_numbers(params)
        key = (prim, avals, params)
        _require_one_device(prim, avals)
        types = prim.infer(avals, params)
        if isinstance(types, tuple):
            new = Spec(prim, types[0], params, types)
        else:
            new = Spec(prim, types, params)
        spec = SPECS.intern(key, new)
    return spec


def _require_one_device(prim: Primitive, avals: tuple[Aval, ...]) -> None:
    """Raises `DeviceError` for operands on different devices."""
    for a in avals[1:]:
        if a.device != avals[0].device:
            raise DeviceError(
                f"[{prim.name}] expected operands on one device, got {avals[0].device} and {a.device}; "
                "move one with .to()"
            )


def apply(prim: Primitive, args: tuple[Node, ...], params: Params = ()) -> Node:
    """Records a call of a primitive with one result.

    Args:
        prim: the primitive.
        args: its operands.
        params: its static parameters, hashable.

    Returns:
        The node of the result.

    Raises:
        SpiralTorchError: the operands violate the primitive's rule of shapes and dtypes.
    """
    spec = spec_of(prim, tuple([a.aval for a in args]), params)
    rg = False
    if prim.differentiable and GRAD_MODE.on:
        for a in args:
            if a.rg:
                rg = spec.aval.dtype.kind == "f"
                break
    return Node(spec, args, None, rg)


class _GradMode(threading.local):
    """Whether gradients are recorded, separately for each thread."""

    on = True


GRAD_MODE = _GradMode()
