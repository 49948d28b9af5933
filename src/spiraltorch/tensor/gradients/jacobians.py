"""Whole derivatives of functions: `jacrev`, `jacfwd`, `jacobian` and `hessian`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, overload

import numpy as np

from ...dtypes import int64
from ...errors import ArgumentError
from ...graph import build
from ...graph.node import Node
from ...typing import NDArray, PyTree
from ..arguments import check_function
from ..dispatch import as_tensor
from ..filling import zeros
from ..pytree import unflatten
from ..tensor import Tensor
from ..tracing.tracer import node_of
from .call import Call, check_transformation, positions
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
    check_transformation("jacrev", fn, argnums)

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
    check_transformation("jacfwd", fn, argnums)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> PyTree:
        call = _single_tensor_call("jacfwd", fn, args, kwargs, argnums)
        columns = [call.push([basis])[0] for basis in _basis(call.inputs[0])]
        stacked = _stacked(columns, call.inputs[0].shape, call.outputs[0].shape)
        n, m = call.inputs[0].ndim, call.outputs[0].ndim
        jacobian = build.permute(node_of(stacked), (*range(n, n + m), *range(n)))
        return _nested_like_argument(call, call.released(Tensor(jacobian)))

    return wrapped


@overload
def jacobian(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]: ...
@overload
def jacobian(fn: Callable[P, PyTree], argnums: Tensor | NDArray | tuple[Tensor, ...]) -> PyTree: ...
def jacobian(
    fn: Callable[P, PyTree], argnums: int | Tensor | NDArray | tuple[Tensor, ...] = 0
) -> Callable[P, PyTree] | PyTree:
    """Computes the Jacobian of `fn` at a point, or returns a function that computes it, like `jacrev`.

    Args:
        fn: a function with one tensor (or a container of one) in the differentiated argument, and one tensor as result.
        argnums: the position of the argument to differentiate, for a function, as in `torch.func.jacrev`. Or the point:
            a tensor or a tuple of all arguments, for the value, as in `torch.autograd.functional.jacobian`.

    Returns:
        For a position a function of the arguments of `fn` that returns a tensor of shape
        (*result.shape, *argument.shape), in the containers of the argument. For a point that tensor; for a tuple a tuple
        of them.

    Raises:
        ArgumentError: when computed, if there are several tensors in the argument or the result.
        DTypeError: when computed, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.jacobian(lambda x: x * 3, st.tensor([1.0, 2.0])).tolist()
        [[3.0, 0.0], [0.0, 3.0]]
        >>> st.jacobian(lambda x: x * 3)(st.tensor([1.0, 2.0])).tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """
    check_function(fn, "jacobian")
    point = _point(argnums)
    if point is None:
        return jacrev(fn, argnums)  # type: ignore[arg-type]  # a position
    results = tuple([jacrev(fn, n)(*point) for n in range(len(point))])  # type: ignore[call-arg]
    return results if isinstance(argnums, tuple) else results[0]


@overload
def hessian(fn: Callable[P, PyTree], argnums: int = 0) -> Callable[P, PyTree]: ...
@overload
def hessian(fn: Callable[P, PyTree], argnums: Tensor | NDArray | tuple[Tensor, ...]) -> PyTree: ...
def hessian(
    fn: Callable[P, PyTree], argnums: int | Tensor | NDArray | tuple[Tensor, ...] = 0
) -> Callable[P, PyTree] | PyTree:
    """Computes the second derivatives of `fn` at a point, or returns a function that computes them.

    Args:
        fn: a function to one floating number, with one tensor in the differentiated argument.
        argnums: the position of the argument to differentiate, for a function, as in `torch.func.hessian`. Or the point:
            a tensor or a tuple of all arguments, for the value, as in `torch.autograd.functional.hessian`.

    Returns:
        For a position a function of the arguments of `fn` that returns a tensor of shape
        (*argument.shape, *argument.shape). For a point that tensor; for a tuple of n a tuple of n tuples of n tensors.

    Raises:
        ShapeError: when computed, if `fn` does not return one number.
        ArgumentError: when computed, if there are several tensors in the argument.
        DTypeError: when computed, if the argument is not floating.

    Example:
        >>> import spiraltorch as st
        >>> st.hessian(lambda x: (x**3).sum(), st.tensor([1.0, 2.0])).tolist()
        [[6.0, 0.0], [0.0, 12.0]]
        >>> st.hessian(lambda x: (x**3).sum())(st.tensor([1.0, 2.0])).tolist()
        [[6.0, 0.0], [0.0, 12.0]]
    """
    check_function(fn, "hessian")
    point = _point(argnums)
    if point is None:
        return jacrev(grad(fn, argnums), argnums)  # type: ignore[arg-type]  # a position
    numbers = range(len(point))
    rows = tuple([tuple([jacrev(grad(fn, i), j)(*point) for j in numbers]) for i in numbers])  # type: ignore[call-arg]
    return rows if isinstance(argnums, tuple) else rows[0][0]


def _point(argnums: object) -> tuple[PyTree, ...] | None:
    """The arguments at which a derivative is computed; None for a position of an argument."""
    if isinstance(argnums, (Tensor, np.ndarray)):
        return (as_tensor(argnums),)
    if isinstance(argnums, tuple) and any(isinstance(a, (Tensor, np.ndarray)) for a in argnums):
        return argnums
    return None


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
