"""NumPy's own functions called on tensors: `np.mean(x)`, `np.concatenate([x, y])`, `np.exp(x)`.

They mean what they mean in NumPy and return NumPy arrays: a tensor stands for the array of its elements. NumPy asks
`Tensor.__array_function__`, so no method of `Tensor` needs NumPy's arguments (`out`, `ddof`, `order`, ...), nor its
meaning. Gradients cannot pass through NumPy. Where they are recorded, what would lose them raises instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, GradientError
from ..graph.node import GRAD_MODE

if TYPE_CHECKING:
    from .tensor import Tensor

# Functions of shapes and dtypes: they get arrays of no elements' memory, so that nothing is evaluated.
_OF_TYPES = (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type, np.iscomplexobj,
    np.isrealobj, np.zeros_like, np.ones_like, np.full_like, np.empty_like,
)  # fmt: skip


def lost_gradient(name: str) -> GradientError:
    """The error of a conversion to NumPy through which a gradient would be lost."""
    return GradientError(
        f"[{name}] expected tensors that require no gradient while gradients are recorded, got one that does, and NumPy "
        "records none; use SpiralTorch's function (such as st.exp for np.exp), or .detach()"
    )


def array_function(
    x: Tensor, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """NumPy's protocol for functions of arrays: calls the function with the arrays of all tensors.

    Args:
        x: the tensor that NumPy asks.
        func: the function.
        types: the types among the arguments that follow the protocol.
        args: the arguments.
        kwargs: the keyword arguments.

    Returns:
        NumPy's result; NotImplemented beside arrays of a third library.

    Raises:
        GradientError: a tensor requires a gradient, gradients are recorded, and the result is floating.
        ArgumentError: a tensor is given to be written to.
        TracingError: a function is being recorded by `st.compile`.

    Example:
        >>> import numpy as np
        >>> import spiraltorch as st
        >>> np.std(st.tensor([1.0, 3.0])), np.sort(st.tensor([2, 1]))
        (np.float32(1.0), array([1, 2]))
    """
    kind = _tensor_type(type(x))
    if not all(issubclass(t, (kind, np.ndarray)) for t in types):
        return NotImplemented
    name = func.__name__
    if any(isinstance(t, kind) for t in _leaves(kwargs.get("out"))):
        raise ArgumentError(f"[{name}] expected out= to be a NumPy array, got a tensor; pass none, and x.copy_(result)")
    if func in _OF_TYPES:
        return func(*_converted(args, kind, _stand_in), **_converted(kwargs, kind, _stand_in))
    tensors: list[Any] = [t for t in _leaves((args, kwargs)) if isinstance(t, kind)]
    result = func(*_converted(args, kind, _values), **_converted(kwargs, kind, _values))
    if GRAD_MODE.on and any(t.node.rg for t in tensors) and _may_depend(result):
        raise lost_gradient(name)
    return result


def _tensor_type(cls: type) -> type:
    """`Tensor` itself, of which a parameter's type is a subclass."""
    return next(c for c in reversed(cls.__mro__) if "__array_function__" in vars(c))


def _values(x: Tensor) -> Any:
    return x.numpy()


def _stand_in(x: Tensor) -> Any:
    """An array of the tensor's shape and dtype, whose elements are all one zero."""
    return np.broadcast_to(np.zeros((), x.dtype.numpy), x.shape)


def _converted(value: Any, kind: type, convert: Callable[[Tensor], Any]) -> Any:
    """Arguments with arrays in place of tensors, also inside lists, tuples and dicts."""
    if isinstance(value, kind):
        return convert(value)  # type: ignore[arg-type]  # the type is `Tensor`
    if type(value) in (list, tuple):
        return type(value)([_converted(v, kind, convert) for v in value])
    if type(value) is dict:
        return {k: _converted(v, kind, convert) for k, v in value.items()}
    return value


def _leaves(value: Any) -> Iterable[Any]:
    """What lists, tuples and dicts hold."""
    if isinstance(value, (list, tuple, dict)):
        for v in value.values() if isinstance(value, dict) else value:
            yield from _leaves(v)
    else:
        yield value


def _may_depend(result: Any) -> bool:
    """Whether a gradient may belong to a result: to floating numbers, and to what a function without a result wrote."""
    found = list(_leaves(result))
    return any(
        r is None or isinstance(r, float) or (isinstance(r, (np.ndarray, np.generic)) and r.dtype.kind in "fcVO")
        for r in found
    )
