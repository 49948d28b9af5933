"""Transformations of functions: `grad`, `value_and_grad`, `vjp` and `jvp`, of any order and nesting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal, ParamSpec, TypeAlias, TypeVar, overload

from ...errors import ArgumentError
from ...graph import build
from ...graph.node import GRAD_MODE
from ...typing import PyTree
from ..arguments import is_integer
from ..pytree import flatten, unflatten
from ..tensor import Tensor
from .call import Call, cast_like, check_transformation, positions

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")
Pullback: TypeAlias = Callable[[PyTree], tuple[PyTree, ...]]


def value_and_grad(
    fn: Callable[P, R], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[P, tuple[R, PyTree]]:
    """Returns a function that computes `fn` and its gradient.

    Args:
        fn: a function to one floating number. The differentiated arguments are floating tensors or nested lists, tuples
            and dicts of them.
        argnums: the positions of the arguments to differentiate.
        has_aux: whether `fn` returns (value, anything); the second is passed on.

    Returns:
        A function of the arguments of `fn` that returns (what `fn` returns, gradient). The gradient is nested like the
        argument, or a tuple of such if `argnums` is a sequence.

    Raises:
        ShapeError: when called, if `fn` does not return one number.
        DTypeError: when called, if a differentiated argument is not floating.
        GradientError: when called, if `fn` returns a number that is not floating.
        ArgumentError: when called, if `argnums` are not positions of its arguments.

    Example:
        >>> import spiraltorch as st
        >>> value, slope = st.value_and_grad(lambda x: (x * x).sum())(st.tensor([1.0, 2.0]))
        >>> value.item(), slope.tolist()
        (5.0, [2.0, 4.0])
    """
    check_transformation("value_and_grad", fn, argnums)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> tuple[R, PyTree]:
        numbers = positions(argnums, len(args), "grad")
        call = Call("grad", functools.partial(fn, **kwargs) if kwargs else fn, args, numbers, has_aux)
        seed = build.ones(call.scalar().node.aval)
        gradients = unflatten(call.tree, call.pull([seed]))
        value = call.result()
        if has_aux:
            value = (value, call.released(call.aux))
        return value, gradients[0] if is_integer(argnums) else gradients

    return wrapped


def grad(fn: Callable[P, PyTree], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[P, PyTree]:
    """Returns a function that computes the gradient of `fn`. It nests, for derivatives of any order.

    Args:
        fn: a function to one floating number. The differentiated arguments are floating tensors or nested lists, tuples
            and dicts of them.
        argnums: the positions of the arguments to differentiate.
        has_aux: whether `fn` returns (value, anything); the result is (gradient, anything) then.

    Returns:
        A function of the arguments of `fn` that returns the gradient, nested like the argument, or a tuple of such if
        `argnums` is a sequence.

    Raises:
        ShapeError: when called, if `fn` does not return one number.
        DTypeError: when called, if a differentiated argument is not floating.
        GradientError: when called, if `fn` returns a number that is not floating.
        ArgumentError: when called, if `argnums` are not positions of its arguments.

    Example:
        >>> import spiraltorch as st
        >>> st.grad(st.grad(lambda x: x**3))(st.tensor(2.0)).item()
        12.0
    """
    check_transformation("grad", fn, argnums)
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> PyTree:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


@overload
def vjp(fn: Callable[..., R], *primals: PyTree, has_aux: Literal[False] = False) -> tuple[R, Pullback]: ...
@overload
def vjp(fn: Callable[..., tuple[R, A]], *primals: PyTree, has_aux: Literal[True]) -> tuple[R, Pullback, A]: ...
def vjp(
    fn: Callable[..., PyTree], *primals: PyTree, has_aux: bool = False
) -> tuple[PyTree, Pullback] | tuple[PyTree, Pullback, PyTree]:
    """Computes `fn(*primals)` and the function that multiplies vectors with its Jacobian from the left.

    Args:
        fn: the function to differentiate.
        *primals: its arguments: floating tensors, or nested lists, tuples and dicts of them.
        has_aux: whether `fn` returns (value, anything); the second is passed on.

    Returns:
        (value, pullback), or (value, pullback, aux) with `has_aux`. `pullback` takes a cotangent, nested and shaped
        like the value, and returns a tuple of cotangents, one for each argument. It may be called more than once.

    Raises:
        DTypeError: an argument is not floating.
        ArgumentError: in `pullback`, if the cotangent is not nested like the value.
        ShapeError: in `pullback`, if a cotangent has another shape than the value.

    Example:
        >>> import spiraltorch as st
        >>> y, pull = st.vjp(lambda a, b: a * b, st.tensor(3.0), st.tensor(4.0))
        >>> [g.item() for g in pull(st.tensor(1.0))]
        [4.0, 3.0]
    """
    call = Call("vjp", fn, primals, range(len(primals)), has_aux)

    def pullback(cotangent: PyTree) -> tuple[PyTree, ...]:
        leaves, tree = flatten(cotangent)
        if tree != call.out_tree:
            raise ArgumentError(
                "[vjp] expected a cotangent nested like the result, got another nesting; pass one tensor for each output"
            )
        outer, call.outer = call.outer, call.outer or (GRAD_MODE.on and any(_carries_gradient(x) for x in leaves))
        try:
            nodes = [cast_like(x, o, "vjp") for x, o in zip(leaves, call.outputs, strict=True)]
            gradients: tuple[PyTree, ...] = unflatten(call.tree, call.pull(nodes))
        finally:
            call.outer = outer
        return gradients

    value = call.result()
    return (value, pullback, call.released(call.aux)) if has_aux else (value, pullback)


@overload
def jvp(
    fn: Callable[..., R], primals: Sequence[PyTree], tangents: Sequence[PyTree], has_aux: Literal[False] = False
) -> tuple[R, R]: ...
@overload
def jvp(
    fn: Callable[..., tuple[R, A]], primals: Sequence[PyTree], tangents: Sequence[PyTree], has_aux: Literal[True]
) -> tuple[R, R, A]: ...
def jvp(
    fn: Callable[..., PyTree], primals: Sequence[PyTree], tangents: Sequence[PyTree], has_aux: bool = False
) -> tuple[PyTree, PyTree] | tuple[PyTree, PyTree, PyTree]:
    """Computes `fn(*primals)` and its derivative in the direction of the tangents.

    Args:
        fn: the function to differentiate.
        primals: its arguments: floating tensors, or nested lists, tuples and dicts of them.
        tangents: a direction for each argument, nested and shaped like it.
        has_aux: whether `fn` returns (value, anything); the second is passed on.

    Returns:
        (value, tangent), or (value, tangent, aux) with `has_aux`. The tangent is nested and shaped like the value.

    Raises:
        DTypeError: an argument is not floating.
        ArgumentError: the tangents are not nested like the arguments.
        ShapeError: a tangent has another shape than its argument.

    Example:
        >>> import spiraltorch as st
        >>> y, t = st.jvp(lambda x: x * x, (st.tensor(3.0),), (st.tensor(1.0),))
        >>> y.item(), t.item()
        (9.0, 6.0)
    """
    call = Call("jvp", fn, tuple(primals), range(len(primals)), has_aux)
    leaves, tree = flatten(tuple(tangents))
    if tree != call.tree:
        raise ArgumentError(
            "[jvp] expected tangents nested like the primals, got another nesting; pass one tensor for each"
        )
    nodes = [cast_like(x, i, "jvp") for x, i in zip(leaves, call.inputs, strict=True)]
    tangent = unflatten(call.out_tree, call.push(nodes))
    if not (GRAD_MODE.on and any(_carries_gradient(x) for x in leaves)):
        tangent = call.released(tangent)
    value = call.result()
    return (value, tangent, call.released(call.aux)) if has_aux else (value, tangent)


def _carries_gradient(x: PyTree) -> bool:
    return isinstance(x, Tensor) and x.node.rg
