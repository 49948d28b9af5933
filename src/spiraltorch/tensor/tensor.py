"""`Tensor`: what a user holds. A mutable handle on an immutable node.

Operations are recorded, not run; a value is computed when it is needed. The class itself has only what every other module
of the package builds on: facts, gradients of leaves, values on the host, Python's protocols, and the one step of an
in-place update. Operators are attached by `operators`, all other methods by `methods`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler import evaluate
from ..compiler.state import STATE
from ..dtypes import DType, from_numpy
from ..errors import ArgumentError, DeviceError, DTypeError, GradientError, ShapeError
from ..graph import build
from ..graph.node import GRAD_MODE, Node, aval_of, leaf
from ..runtime import device as devices
from ..typing import ArrayLike, NDArray, Operand, PyTree, Shape
from .aliasing import (
    Alias,
    View,
    array_of,
    assign,
    current_node,
    detached,
    leave,
    leave_array,
    make_view,
    require_writable,
    share,
    writes_to_leaf,
)
from .count import Count
from .gradients.modes import no_grad
from .numpy_functions import lost_gradient
from .tracing.tracer import (
    TRACING,
    forbid_read,
    grad_leaf,
    is_leaf,
    node_of,
    record_grad_write,
    record_read,
    recorder,
    set_node,
)

if TYPE_CHECKING:
    from .attached import AttachedMethods  # the operators and methods that `operators` and `methods` attach
else:
    AttachedMethods = object


class Tensor(AttachedMethods):
    """An array of one dtype on one device, computed when it is needed.

    Tensors are made by `st.tensor`, `st.zeros`, `st.randn` and the other creation functions, and by operations on
    tensors. In-place updates give the handle another value; whatever was recorded before keeps the old one.

    Attributes:
        shape: extents, outermost first.
        dtype: the element type, such as `st.float32`.
        device: the device's name, such as `"cpu:0"`.
        requires_grad: whether gradients flow to or through the tensor.
        grad: the accumulated gradient of a leaf, or None.

    Example:
        >>> import spiraltorch as st
        >>> x = st.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> (x @ x + 1).tolist()
        [[8.0, 11.0], [16.0, 23.0]]
    """

    # `_hooks` and `_retained` are set by `gradients.hooks` only.
    __slots__ = ("__weakref__", "_alias", "_grad", "_hooks", "_node", "_retained")
    __array_priority__ = 1000

    def __init__(self, node: Node, *more: object) -> None:
        try:
            node.aval  # noqa: B018  # the cheapest test: every operation calls this
        except AttributeError:
            raise ArgumentError(
                f"[Tensor] expected no call of the class, got {type(node).__name__}; use st.tensor(data) for a tensor of "
                "data and st.empty(*shape) for one of a shape"
            ) from None
        self._node = node
        self._alias: Alias = None
        self._grad: Tensor | None = None
        if TRACING.recorder is not None:
            TRACING.recorder.made(self)

    @property
    def node(self) -> Node:
        """The tensor's value in the graph. What every operation runs reads `_node`, and this where that is unset."""
        try:
            return self._node
        except AttributeError:
            return current_node(self)  # a stale view's, see `aliasing`

    @node.setter
    def node(self, node: Node) -> None:
        self._node = node

    _hooks: dict[int, Callable[[Tensor], ArrayLike | None]]
    _retained: Node

    # ------------------------------------------------------------ facts

    @property
    def shape(self) -> Shape:
        """Extents, outermost first."""
        return self.node.aval.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.node.aval.dtype

    @property
    def device(self) -> devices.DeviceName:
        """The device's name, such as `cpu:0`: a str, with PyTorch's `type` and `index`."""
        return devices.named(self.node.aval.device)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.node.aval.ndim

    @property
    def size(self) -> Count:
        """The number of elements: an int. Called, as in PyTorch, it gives the shape or one extent."""
        return Count(self.node.aval.shape)

    @property
    def nbytes(self) -> int:
        """The size of all elements in bytes."""
        return self.node.aval.size * self.node.aval.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """The size of one element in bytes."""
        return self.node.aval.dtype.itemsize

    @property
    def T(self) -> Tensor:  # NumPy's name
        """The tensor with its axes reversed."""
        return self.permute(tuple(range(self.ndim - 1, -1, -1)))

    @property
    def mT(self) -> Tensor:  # the array API's name
        """The tensor with its last two axes swapped."""
        return self.swapaxes(-1, -2)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor; assigning does the same as `requires_grad_`."""
        return node_of(self).rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor is not the result of operations that record gradients."""
        return not node_of(self).rg or is_leaf(self.node)

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None. It may be assigned, with a tensor of this shape or None."""
        if TRACING.recorder is not None:
            record_read(self)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise ArgumentError(
                f"[grad] expected a Tensor or None, got {type(value).__name__}; convert it with st.tensor()"
            )
        if value is not None and value.shape != self.shape:
            raise ShapeError(f"[grad] expected shape {self.shape}, got {value.shape}; reshape it")
        if TRACING.recorder is not None:
            record_read(self)
            record_grad_write(self)
        self._grad = value

    @property
    def data(self) -> Tensor:
        """A view of the tensor through which no gradient flows. Assigning a tensor makes this one share its elements."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if value._alias is not None and value._alias is self._alias:
            return
        with no_grad():
            leave(self)
            assign(self, node_of(value.detach()))
            share(self, value)

    # ------------------------------------------------------------ gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Makes the tensor a leaf that receives gradients, or ends that.

        Args:
            requires_grad: whether `backward` is to accumulate a gradient in `.grad`.

        Returns:
            The tensor itself.

        Raises:
            DTypeError: the dtype is not floating.
            GradientError: `requires_grad` is False and the tensor is a result, through which gradients flow.

        Example:
            >>> import spiraltorch as st
            >>> x = st.ones(2).requires_grad_()
            >>> (x * 3).sum().backward()
            >>> x.grad.tolist()
            [3.0, 3.0]
        """
        node = node_of(self)
        if requires_grad and not node.aval.dtype.is_float:
            raise DTypeError(
                f"[requires_grad_] expected a floating dtype, got {node.aval.dtype.name}; cast with .to(st.float32)"
            )
        if requires_grad and not node.rg:
            leave_array(self)
            set_node(self, grad_leaf(node))
        elif not requires_grad and node.rg:
            if not is_leaf(node):
                raise GradientError("[requires_grad_] expected a leaf, got a result; use .detach()")
            self.node = self.detach().node
        if type(self._alias) is View:
            self._alias.is_leaf = requires_grad and is_leaf(self.node)
        return self

    def detach(self) -> Tensor:
        """A view of the tensor through which no gradient flows: the two share their elements.

        Returns:
            A tensor of the same shape, dtype and device.

        Example:
            >>> import spiraltorch as st
            >>> st.ones(2, requires_grad=True).detach().requires_grad
            False
        """
        node = node_of(self)
        steps = detached(node)
        if not node.rg:
            value = node
        elif node.buf is not None and recorder() is None:
            value = leaf(node.buf, node.aval)
        else:
            value = build.stop_gradient(node)
        return make_view(Tensor(value), self, steps)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this result."""
        return getattr(self, "_retained", None) is self.node

    # ------------------------------------------------------------ values on the host

    def numpy(self) -> NDArray:
        """The elements as a NumPy array.

        Returns:
            An array of the same shape and dtype (bfloat16 as `ml_dtypes.bfloat16`). It is a read-only view of the
            tensor's memory where the device shares memory with the host, a read-only copy otherwise.

        Raises:
            TracingError: a function is being recorded by `st.compile`.

        Example:
            >>> import spiraltorch as st
            >>> st.arange(3).numpy().flags.writeable
            False
        """
        view: NDArray = _host_array(self, "numpy").view()
        view.flags.writeable = False
        return view

    def copy_to_host_async(self) -> None:
        """Computes the tensor and starts its copy to the host, without waiting for either.

        A later `numpy()`, `item()` or `tolist()` then waits only for what is left of the copy.

        Raises:
            TracingError: a function is being recorded by `st.compile`.

        Example:
            >>> import spiraltorch as st
            >>> loss = (st.ones(3) * 2).sum()
            >>> loss.copy_to_host_async()
            >>> loss.item()
            6.0
        """
        node = evaluated(self, "copy_to_host_async")
        devices.get(node.aval.device).start_read(node.buf, self.nbytes)

    def item(self) -> bool | int | float:
        """The only element, as a Python number.

        Returns:
            A bool, int or float, by the dtype's kind.

        Raises:
            ShapeError: the tensor has more or less than one element.
            TracingError: a function is being recorded by `st.compile`.

        Example:
            >>> import spiraltorch as st
            >>> st.tensor([[7]]).item()
            7
        """
        if self.size != 1:
            raise ShapeError(f"[item] expected one element, got shape {self.shape}; index or reduce first")
        value: bool | int | float = self.numpy().reshape(()).item()
        return float(value) if self.dtype.is_float else value

    def tolist(self) -> PyTree:
        """The elements as nested lists of Python numbers.

        Returns:
            A list for each axis but the last inside the next outer one; of a 0-d tensor the number itself.

        Raises:
            TracingError: a function is being recorded by `st.compile`.

        Example:
            >>> import spiraltorch as st
            >>> st.tensor([[1, 2], [3, 4]]).tolist()
            [[1, 2], [3, 4]]
        """
        array = self.numpy()
        return (array.astype(np.float32) if self.dtype.is_float and self.itemsize == 2 else array).tolist()

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> NDArray:
        if GRAD_MODE.on and self.node.rg:
            raise lost_gradient("array")
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"[__array__] expected dtype {array.dtype} for copy=False, got {dtype}; allow a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, *, stream: object = None, copy: bool | None = None, **kwargs: Any) -> object:
        array = _host_array(self, "__dlpack__")
        if copy is False:  # NumPy marks the memory as read-only, or refuses where it cannot
            array = array.view()
            array.flags.writeable = False
            return array.__dlpack__(copy=False, **kwargs)
        return array.copy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ArgumentError(f"[bool] expected one element, got shape {self.shape}; use .any() or .all()")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise DTypeError(f"[index] expected an integer dtype, got {self.dtype.name}; cast with .to(st.int64)")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    # ------------------------------------------------------------ Python's protocols

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("[len] expected at least one axis, got a 0-d tensor; use reshape(1)")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise ShapeError("[iter] expected at least one axis, got a 0-d tensor; use reshape(1)")
        return iter([self[i] for i in range(self.shape[0])])

    def __contains__(self, value: Operand) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        if recorder() is not None:
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

    def __reduce__(self) -> tuple[Callable[..., Tensor], tuple[object, ...]]:
        return rebuilt, (np.array(self.detach().numpy()), self.requires_grad, self.device)

    def __copy__(self) -> Tensor:
        return make_view(Tensor(node_of(self)), self, ())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = rebuilt(np.array(self.detach().numpy()), self.requires_grad, self.device)
        memo[id(self)] = copied
        if self.grad is not None:
            copied.grad = deepcopy(self.grad, memo)
        return copied

    def __array_namespace__(self, api_version: str | None = None) -> ModuleType:
        return sys.modules[__name__.partition(".")[0]]

    # ------------------------------------------------------------ in-place updates

    def _set(self, value: Tensor) -> Tensor:
        """Takes over another tensor's value of this shape; what was recorded before keeps the old value."""
        if self._alias is not None:
            require_writable(self)
        if GRAD_MODE.on and writes_to_leaf(self):
            raise GradientError(
                "[in place] expected no update of a leaf that requires a gradient while gradients are recorded, got "
                "one; use no_grad()"
            )
        if value.shape != self.shape:
            raise ShapeError(
                f"[in place] expected a result of shape {self.shape}, got {value.shape}; reshape the operand"
            )
        node = node_of(value)
        if node.aval.device != self.device:
            raise DeviceError(
                f"[in place] expected a result on {self.device}, got one on {node.aval.device}; move it with .to()"
            )
        if node.aval.dtype is not self.dtype:
            if node.aval.dtype.is_float and not self.dtype.is_float:
                raise DTypeError(
                    f"[in place] expected a result of dtype {self.dtype.name}, got {node.aval.dtype.name}; cast first"
                )
            node = value.to(self.dtype).node
        assign(self, node)
        return self


def evaluated(tensor: Tensor, op: str) -> Node:
    """The tensor's node, with its value. Raises `TracingError` while a function is recorded, unless it is a constant."""
    node = node_of(tensor)
    forbid_read(node, op)
    if node.buf is None:
        evaluate.evaluate([node])
    return node


def _host_array(tensor: Tensor, op: str) -> NDArray:
    """The elements on the host, in memory that may be the tensor's own."""
    shared = array_of(tensor)
    if shared is not None and recorder() is None:
        return shared
    node = evaluated(tensor, op)
    array: NDArray = devices.get(node.aval.device).to_host(node.buf, node.aval.shape, node.aval.dtype.numpy)
    # In a signal handler: what it interrupts may be about to write over the memory.
    return array.copy() if STATE.running else array


def rebuilt(array: NDArray, requires_grad: bool, device: str | None = None) -> Tensor:
    """A tensor from its pickled or copied parts: on its device, or with a warning on the default one."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    name = devices.default() if device is None else device
    try:
        devices.get(name)
    except DeviceError as error:
        name = devices.default()
        warnings.warn(f"[unpickle] expected device {device}, which is not there, got {name}: {error}", stacklevel=2)
    aval = aval_of(array.shape, from_numpy(array.dtype), name)
    tensor = Tensor(leaf(devices.get(name).from_host(np.asarray(array, order="C")), aval))
    return tensor.requires_grad_() if requires_grad else tensor
