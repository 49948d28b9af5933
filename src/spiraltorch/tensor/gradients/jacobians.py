"""Whole derivatives of functions: `jacrev`, `jacfwd`, `jacobian` and `hessian`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec

from ...dtypes import int64
from ...errors import ArgumentError
from ...graph import build
from ...graph.node import Node
from ...typing import PyTree
from ..filling import zeros
from ..pytree import unflatten
from ..tensor import Tensor
from ..tracing.tracer import node_of
from .call import Call, positions
from .transforms import grad

P = ParamSpec("P")


def jacrev(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]:
    """Returns a function that computes the Jacobian of `fn`, row by row with reverse-mode derivatives.

    It is the faster of `jacrev` and `jacfwd` where the result has fewer elements than the argument.

    Args:
        fn: a function with one tensor (or a container of one) in the differentiated argument, and one tensor as result.
        argnums: the position of the argument to differentiate.

    Returns:
        A function of the arguments of `fn` that returns a tensor of shape (*result.shape, *argument.shape), in the
        containers of the argument.

    Raises:
        ArgumentError: when called, if there are several tensors in the argument or the result.
        DTypeError: when called, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.jacrev(lambda x: x * x)(st.tensor([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> PyTree:
        call = _single_tensor_call("jacrev", fn, args, kwargs, argnums)
        rows = [call.pull([basis])[0] for basis in _basis(call.outputs[0])]
        return _nested_like_argument(call, _stacked(rows, call.outputs[0].shape, call.inputs[0].shape))

    return wrapped


def jacfwd(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]:
    """Returns a function that computes the Jacobian of `fn`, column by column with forward-mode derivatives.

    It is the faster of `jacrev` and `jacfwd` where the argument has fewer elements than the result.

    Args:
        fn: a function with one tensor (or a container of one) in the differentiated argument, and one tensor as result.
        argnums: the position of the argument to differentiate.

    Returns:
        A function of the arguments of `fn` that returns a tensor of shape (*result.shape, *argument.shape), in the
        containers of the argument.

    Raises:
        ArgumentError: when called, if there are several tensors in the argument or the result.
        DTypeError: when called, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.jacfwd(lambda x: x * x)(st.tensor([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> PyTree:
        call = _single_tensor_call("jacfwd", fn, args, kwargs, argnums)
        columns = [call.push([basis])[0] for basis in _basis(call.inputs[0])]
        stacked = _stacked(columns, call.inputs[0].shape, call.outputs[0].shape)
        n, m = call.inputs[0].ndim, call.outputs[0].ndim
        jacobian = build.permute(node_of(stacked), (*range(n, n + m), *range(n)))
        return _nested_like_argument(call, call.released(Tensor(jacobian)))

    return wrapped


def jacobian(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]:
    """Returns a function that computes the Jacobian of `fn`: another name for `jacrev`.

    Args:
        fn: a function with one tensor (or a container of one) in the differentiated argument, and one tensor as result.
        argnums: the position of the argument to differentiate.

    Returns:
        A function of the arguments of `fn` that returns a tensor of shape (*result.shape, *argument.shape), in the
        containers of the argument.

    Raises:
        ArgumentError: when called, if there are several tensors in the argument or the result.
        DTypeError: when called, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.jacobian(lambda x: x * 3)(st.tensor([1.0, 2.0])).tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """
    return jacrev(fn, argnums)


def hessian(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]:
    """Returns a function that computes the second derivatives of `fn`.

    Args:
        fn: a function to one floating number, with one tensor in the differentiated argument.
        argnums: the position of the argument to differentiate.

    Returns:
        A function of the arguments of `fn` that returns a tensor of shape (*argument.shape, *argument.shape).

    Raises:
        ShapeError: when called, if `fn` does not return one number.
        ArgumentError: when called, if there are several tensors in the argument.
        DTypeError: when called, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.hessian(lambda x: (x**3).sum())(st.tensor([1.0, 2.0])).tolist()
        [[6.0, 0.0], [0.0, 12.0]]
    """
    return jacrev(grad(fn, argnums), argnums)


def _single_tensor_call(
    op: str, fn: Callable[..., PyTree], args: Sequence[PyTree], kwargs: dict[str, PyTree], argnum: int
) -> Call:
    """A call with one tensor in the differentiated argument and one in the result."""
    fn = functools.partial(fn, **kwargs) if kwargs else fn
    call = Call(op, fn, args, positions(argnum, len(args), op), False)
    if len(call.inputs) != 1 or len(call.outputs) != 1:
        raise ArgumentError(
            f"[{op}] expected one tensor argument and one tensor result, got {len(call.inputs)} and {len(call.outputs)}; "
            "use vjp or jvp for several"
        )
    return call


def _basis(tensor: Tensor) -> list[Node]:
    """For each element of a tensor, in row-major order, the tensor that is 1 there and 0 elsewhere."""
    aval = tensor.node.aval
    numbers = build.reshape(build.iota((aval.size,), 0, int64, aval.device), aval.shape)
    units = [build.eq(numbers, build.number(n, int64, aval.device)) for n in range(aval.size)]
    return [build.cast(unit, aval.dtype) for unit in units]


def _stacked(parts: list[Tensor], outer: tuple[int, ...], inner: tuple[int, ...]) -> Tensor:
    """Tensors of shape `inner`, one for each element of shape `outer`, as one tensor."""
    if not parts:
        return zeros((*outer, *inner))
    rows = [build.reshape(node_of(p), (1, *inner)) for p in parts]
    return Tensor(build.reshape(build.concat(tuple(rows), 0), (*outer, *inner)))


def _nested_like_argument(call: Call, jacobian: Tensor) -> PyTree:
    (argument,) = unflatten(call.tree, [jacobian])
    return argument
