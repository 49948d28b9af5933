"""`Tensor`: what a user holds. A mutable handle on an immutable node.

Operators are recorded, not run; a value is computed when it is needed. The methods beside the operators are the functions
of this room, attached by `methods`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import errors
from ..compiler import evaluate
from ..dtypes import DType
from ..graph.node import GRAD_MODE, Node, spec_of
from ..runtime import device as devices
from . import dispatch as record
from .dispatch import P, binary, reflected, true_divide, unary
from .tracing import tracer as tracing


class Tensor:
    """An array of one dtype on one device, computed when it is needed.

    Make one with `tensor`, `zeros`, `randn` and the other creation functions. Shapes are tuples of ints; `dtype` is a
    `spiraltorch` dtype; `device` is a name like `cpu:0`.

    >>> import spiraltorch as st
    >>> x = st.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x + 1).tolist()
    [[8.0, 11.0], [16.0, 23.0]]
    """

    __slots__ = ("__weakref__", "_grad", "_hooks", "_retained", "node")  # the middle two are set by `tensor.hooks` only
    __array_priority__ = 1000

    def __init__(self, node: Node) -> None:
        self.node = node
        self._grad: Tensor | None = None

    _hooks: dict[int, Any]
    _retained: Node

    if TYPE_CHECKING:  # the functions that `methods` attaches, and the operators below the class

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __itruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __rand__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __ror__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __rxor__(self, other: Any) -> Tensor: ...
        def __lshift__(self, other: Any) -> Tensor: ...
        def __rlshift__(self, other: Any) -> Tensor: ...
        def __rshift__(self, other: Any) -> Tensor: ...
        def __rrshift__(self, other: Any) -> Tensor: ...
        def __iadd__(self, other: Any) -> Tensor: ...
        def __isub__(self, other: Any) -> Tensor: ...
        def __imul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]

        def __getattr__(self, name: str) -> Any: ...

    # ------------------------------------------------------------ facts

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents, outermost first."""
        return self.node.aval.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.node.aval.dtype

    @property
    def device(self) -> str:
        """The device's name, such as `cpu:0`."""
        return self.node.aval.device

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.node.aval.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.node.aval.size

    @property
    def nbytes(self) -> int:
        """The elements' size in bytes."""
        return self.node.aval.size * self.node.aval.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """The size of one element in bytes."""
        return self.node.aval.dtype.itemsize

    @property
    def T(self) -> Tensor:  # NumPy's name
        """The axes reversed."""
        return self.permute(tuple(range(self.ndim - 1, -1, -1)))  # type: ignore[no-any-return]

    @property
    def mT(self) -> Tensor:  # the array API's name
        """The last two axes swapped."""
        return self.swapaxes(-1, -2)  # type: ignore[no-any-return]

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor."""
        return self.node.rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by operations that record gradients."""
        return not self.node.rg or tracing.is_leaf(self.node)

    @property
    def grad(self) -> Any:
        """The accumulated gradient, or None."""
        if tracing.TRACING.recorder is not None:
            tracing.record_read(self)
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise errors.ArgumentError(f"[grad] expected a Tensor or None, got {type(value).__name__}")
        if value is not None and value.shape != self.shape:
            raise errors.ShapeError(f"[grad] expected shape {self.shape}, got {value.shape}")
        if tracing.TRACING.recorder is not None:
            tracing.record_read(self)
            tracing.record_grad_write(self)
        self._grad = value

    @property
    def data(self) -> Any:
        """The same value without gradients; assigning replaces the value."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        from .gradients.backward import no_grad

        with no_grad():
            tracing.assign(self, record.see(value.detach()))

    # ------------------------------------------------------------ gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Marks it as a leaf for gradients, or unmarks it; returns itself. Floating dtypes only."""
        node = record.see(self)
        if requires_grad and not node.aval.dtype.is_float:
            raise errors.DTypeError(
                f"[requires_grad_] expected a floating dtype, got {node.aval.dtype.name}; cast with .to(st.float32)"
            )
        if requires_grad and not node.rg:
            tracing.set_node(self, tracing.grad_leaf(node))
        elif not requires_grad and node.rg:
            if not tracing.is_leaf(node):
                raise errors.GradientError("[requires_grad_] expected a leaf, got a result; use .detach()")
            self.node = self.detach().node
        return self

    def detach(self) -> Tensor:
        """The same value, without gradients."""
        node = record.see(self)
        if not node.rg:
            return Tensor(node)
        if node.buf is not None and tracing.recorder() is None:
            plain = Node(node.aval.leaf, ())
            plain.buf = node.buf
            return Tensor(plain)
        plain = Node(spec_of(P["stop_gradient"], (node.aval,), ()), (node,))
        return Tensor(plain)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Adds the gradient of this tensor to `.grad` of every leaf that requires one. See `autograd.backward`."""
        from .gradients.backward import backward

        backward(self, gradient, create_graph)

    def register_hook(self, hook: Any) -> Any:
        """Calls `hook` with each gradient of this tensor. See `hooks.register_hook`."""
        from .gradients.hooks import register_hook

        return register_hook(self, hook)

    def retain_grad(self) -> None:
        """Lets `backward` keep the gradient of a result in its `.grad`; of leaves it does anyway.

        Raises `GradientError` for a tensor that requires no gradient.

        >>> import spiraltorch as st
        >>> x = st.tensor(3.0, requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> (y * y).backward()
        >>> y.grad.item()
        12.0
        """
        from .gradients.hooks import retain_grad

        retain_grad(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this result."""
        return getattr(self, "_retained", None) is self.node

    # ------------------------------------------------------------ values on the host

    def numpy(self) -> Any:
        """The elements as a NumPy array: a read-only view of the memory where the device shares it with the host."""
        node = evaluated(self, "numpy")
        array = devices.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
        view = array.view()
        view.flags.writeable = False
        return view

    def copy_to_host_async(self) -> None:
        """Computes the tensor and begins to copy it to the host, without waiting: a later `numpy()` or `item()` finds it there.

        >>> import spiraltorch as st
        >>> loss = (st.ones(3) * 2).sum()
        >>> loss.copy_to_host_async()
        >>> loss.item()
        6.0
        """
        node = evaluated(self, "copy_to_host_async")
        devices.get(node.aval.device).start_read(node.buf, self.nbytes)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise errors.ShapeError(f"[item] expected one element, got shape {self.shape}; index or reduce first")
        value = self.numpy().reshape(()).item()
        return float(value) if self.dtype.is_float else value

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        array = self.numpy()
        return (array.astype(np.float32) if self.dtype.is_float and self.itemsize == 2 else array).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs: Any) -> Any:
        node = evaluated(self, "__dlpack__")
        array = devices.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
        kwargs.pop("stream", None)
        return array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise errors.ArgumentError(f"[bool] expected one element, got shape {self.shape}; use .any() or .all()")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise errors.DTypeError(f"[index] expected an integer dtype, got {self.dtype.name}")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise errors.ShapeError("[len] expected at least one axis, got a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.shape:
            raise errors.ShapeError("[iter] expected at least one axis, got a 0-d tensor")
        return iter([self[i] for i in range(self.shape[0])])

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        if tracing.recorder() is not None:
            return f"tensor(<recorded>, shape={self.shape}, dtype={self.dtype.name})"
        array = self.numpy()
        if self.dtype.is_float and self.itemsize == 2:
            array = array.astype(np.float32)
        body = np.array2string(array, separator=", ", prefix="tensor(", threshold=200)
        extras = "" if self.dtype.name in ("float32", "int64", "bool") else f", dtype={self.dtype.name}"
        return f"tensor({body}{extras}{', requires_grad=True' if self.requires_grad else ''})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else repr(self)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        return _rebuild, (np.array(self.detach().numpy()), self.requires_grad)

    def __copy__(self) -> Tensor:
        return Tensor(record.see(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = _rebuild(np.array(self.detach().numpy()), self.requires_grad, self.device)
        memo[id(self)] = twin
        return twin

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return sys.modules[__name__.partition(".")[0]]

    # ------------------------------------------------------------ in place

    def copy_(self, other: Any) -> Tensor:
        """Takes the value of `other`, broadcast and cast to this shape and dtype."""
        return self._set(record.handle(other, self).to(self.dtype).expand(self.shape))

    def fill_(self, value: float) -> Tensor:
        """Sets every element to a number."""
        from .filling import full_like

        return self._set(full_like(self, value))

    def zero_(self) -> Tensor:
        """Sets every element to zero."""
        return self.fill_(0)

    def _set(self, value: Tensor) -> Tensor:
        """In-place updates install a new node; what was recorded before keeps the old value."""
        if GRAD_MODE.on and tracing.is_leaf(self.node):
            raise errors.GradientError(
                "[in place] expected no update of a leaf that requires a gradient while gradients are recorded; use "
                "no_grad()"
            )
        if value.shape != self.shape:
            raise errors.ShapeError(f"[in place] expected a result of shape {self.shape}, got {value.shape}")
        node = record.see(value)
        if node.aval.dtype is not self.dtype:
            if node.aval.dtype.is_float and not self.dtype.is_float:
                raise errors.DTypeError(
                    f"[in place] expected a result of dtype {self.dtype.name}, got {node.aval.dtype.name}; cast first"
                )
            node = value.to(self.dtype).node
        tracing.assign(self, node)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        from .ops.indexing import setitem

        self._set(setitem(self, key, value))

    def __getitem__(self, key: Any) -> Tensor:
        from .ops.indexing import getitem

        return getitem(self, key)

    # ------------------------------------------------------------ operators

    def __neg__(self) -> Tensor:
        return unary(P["neg"], self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Any:
        return self.abs()

    def __invert__(self) -> Any:
        return unary(P["invert"], self)

    def __matmul__(self, other: Any) -> Tensor:
        from .ops.contraction import matmul

        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        from .ops.contraction import matmul

        return matmul(record.handle(other, self), self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other


def evaluated(tensor: Tensor, op: str) -> Node:
    """The handle's node, with its value."""
    node = tensor.node
    tracing.forbid_read(node, op)
    if node.buf is None:
        evaluate.evaluate([node])
    return node


def _rebuild(array: Any, requires_grad: bool, device: str | None = None) -> Tensor:
    from .creation import asarray

    made: Tensor = asarray(array, device=device)
    return made.requires_grad_() if requires_grad else made


def _forward(prim_name: str) -> Any:
    prim = P[prim_name]
    return record.operator(prim, lambda x, y: binary(prim, x, y))


def _reflected(prim_name: str) -> Any:
    prim = P[prim_name]
    return record.operator(prim, lambda x, y: reflected(prim, x, y), swap=True)


def _reflected_divide(x: Tensor, y: Any) -> Any:
    made = record.foreign(y, x)
    return NotImplemented if made is None else true_divide(made, x)


def _divide_in_place(x: Tensor, y: Any) -> Tensor:
    return x._set(true_divide(x, y))


def _turned(prim: Any, x: Tensor, y: Any) -> Any:
    """`y op x` for any `y`: > and >= are < and <= with the operands exchanged."""
    return binary(prim, y, x) if isinstance(y, Tensor) else reflected(prim, x, y)


def _in_place(prim_name: str) -> Any:
    prim = P[prim_name]

    def update(self: Tensor, other: Any) -> Any:
        made = binary(prim, self, other)
        return made if made is NotImplemented else self._set(made)

    return update


for _name, _prim in {
    "add": "add", "sub": "sub", "mul": "mul", "floordiv": "floordiv", "mod": "mod", "pow": "pow", "and": "bitand",
    "or": "bitor", "xor": "bitxor", "lshift": "shl", "rshift": "shr",
}.items():  # fmt: skip
    setattr(Tensor, f"__{_name}__", _forward(_prim))
    setattr(Tensor, f"__r{_name}__", _reflected(_prim))
    setattr(Tensor, f"__i{_name}__", _in_place(_prim))
for _name, _prim in {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le"}.items():
    setattr(Tensor, f"__{_name}__", _forward(_prim))
Tensor.__gt__ = record.operator(P["lt"], lambda x, y: _turned(P["lt"], x, y), swap=True)  # type: ignore[method-assign]
Tensor.__ge__ = record.operator(P["le"], lambda x, y: _turned(P["le"], x, y), swap=True)  # type: ignore[method-assign]
Tensor.__itruediv__ = _divide_in_place  # type: ignore[method-assign]
Tensor.__truediv__ = record.operator(P["div"], true_divide)  # type: ignore[method-assign]
Tensor.__rtruediv__ = record.operator(P["div"], _reflected_divide, swap=True)  # type: ignore[method-assign]
record.new_tensor = Tensor
record.Handle = Tensor
