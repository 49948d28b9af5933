"""Derivatives of functions: `grad`, `vjp`, `jvp` and what is made of them, of any order and nesting.

The differentiated arguments are given to the function as fresh handles, so a tensor that it also reaches by another
way (a closure, a module) is another variable. The results carry gradients only where something outside the function
does: an enclosing transform, or a parameter that it captured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ...autodiff import checkpoint as _checkpoint
from ...autodiff import custom as _custom
from ...autodiff import gradient
from ...errors import ArgumentError, DTypeError, GradientError, ShapeError
from ...graph import build
from ...graph.node import GRAD_MODE, Node, spec_of
from ..dispatch import P, handle, see
from ..pytree import flatten, unflatten
from ..tensor import Tensor
from ..tracing import tracer as tracing

Fn = Callable[..., Any]


def _fresh(tensor: Tensor) -> Tensor:
    """Another handle on the value: an identity where gradients flow on to it, a leaf otherwise."""
    node = see(tensor)
    if not node.rg:
        return Tensor(tracing.grad_leaf(node))
    spec = spec_of(P["reshape"], (node.aval,), (node.aval.shape,))
    return Tensor(Node(spec, (node,), None, True))


class _Call:
    """One call of a function on fresh inputs, and what is known of its result."""

    def __init__(self, op: str, fn: Fn, args: Sequence[Any], argnums: Sequence[int], has_aux: bool) -> None:
        self.op = op
        self.recording = GRAD_MODE.on
        leaves, self.tree = flatten(tuple([args[n] for n in argnums]))
        self.numeric = [isinstance(x, (Tensor, float)) for x in leaves]
        handles = [handle(x) if number else x for x, number in zip(leaves, self.numeric, strict=True)]
        for x, number in zip(handles, self.numeric, strict=True):
            if not number or not x.dtype.is_float:
                got = x.dtype.name if number else type(x).__name__
                raise DTypeError(
                    f"[{op}] expected floating tensors in arguments {tuple(argnums)}, got {got}; cast them"
                )
        self.inputs = [_fresh(x) for x in handles]
        given = list(args)
        for n, value in zip(argnums, unflatten(self.tree, list(self.inputs)), strict=True):
            given[n] = value
        with _custom.recording(True):
            result = fn(*given)
        self.aux: Any = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(
                    f"[{op}] expected fn to return (value, aux) with has_aux=True, got {type(result).__name__}"
                )
            result, self.aux = result
        leaves, self.out_tree = flatten(result)
        self.outputs = [handle(x) for x in leaves]
        self.nodes = [i.node for i in self.inputs]
        self.outer = self.recording and _reaches_outside([see(o) for o in self.outputs], set(self.nodes))

    def released(self, tree: Any) -> Any:
        """The tree with tensors that carry no gradient, unless something outside needs one."""
        if self.outer:
            return tree
        leaves, shape = flatten(tree)
        return unflatten(shape, [x.detach() if isinstance(x, Tensor) else x for x in leaves])

    def result(self) -> Any:
        """What the function returned."""
        return self.released(unflatten(self.out_tree, list(self.outputs)))

    def pull(self, cotangents: Sequence[Node]) -> list[Tensor]:
        """The inputs' cotangents; zeros where nothing depends on one."""
        with _custom.recording(self.outer):
            grads = gradient.vjp([see(o) for o in self.outputs], list(cotangents), self.nodes)
        return [Tensor(build.zeros(n.aval) if g is None else g) for n, g in zip(self.nodes, grads, strict=True)]

    def push(self, tangents: Sequence[Node]) -> list[Tensor]:
        """The outputs' tangents; zeros where one depends on nothing."""
        outs = [see(o) for o in self.outputs]
        made = gradient.jvp(outs, self.nodes, list(tangents))
        return [Tensor(build.zeros(o.aval) if t is None else t) for o, t in zip(outs, made, strict=True)]

    def scalar(self) -> Tensor:
        """The only output, which has to be one floating number."""
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = [o.shape for o in self.outputs]
            raise ShapeError(
                f"[{self.op}] expected fn to return one number, got shapes {shapes}; reduce it, or use vjp"
            )
        if not self.outputs[0].dtype.is_float:
            raise GradientError(f"[{self.op}] expected a floating result, got {self.outputs[0].dtype.name}")
        return self.outputs[0]


def _reaches_outside(outputs: Sequence[Node], inputs: set[Node]) -> bool:
    """Whether the outputs depend on anything with a gradient that is not a fresh leaf."""
    seen: set[Node] = set()
    stack = [o for o in outputs if o.rg]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        below = [a for a in node.args if a.rg]
        if node in inputs:
            if below:
                return True
        elif not below:
            return True
        else:
            stack += below
    return False


def _numbers(argnums: int | Sequence[int], count: int, op: str) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not numbers or any(not -count <= n < count for n in numbers):
        raise ArgumentError(f"[{op}] expected argnums within {count} positional arguments, got {argnums}")
    return tuple([n % count for n in numbers])


def value_and_grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Fn:
    """A function that returns `fn`'s value (one number) and its gradient in the arguments `argnums`.

    Arguments may be nested lists, tuples and dicts of floating tensors; the gradient has their structure. With
    `has_aux`, `fn` returns (value, anything) and the result is ((value, anything), gradient). Raises `ShapeError`
    where the value is no single number, `DTypeError` for arguments that are not floating.

    >>> import spiraltorch as st
    >>> value, slope = value_and_grad(lambda x: (x * x).sum())(st.tensor([1.0, 2.0]))
    >>> value.item(), slope.tolist()
    (5.0, [2.0, 4.0])
    """

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = _numbers(argnums, len(args), "grad")
        call = _Call("grad", functools.partial(fn, **kwargs) if kwargs else fn, args, numbers, has_aux)
        out = call.scalar()
        grads = unflatten(call.tree, call.pull([build.ones(out.node.aval)]))
        made = grads[0] if isinstance(argnums, int) else grads
        value = call.result()
        return ((value, call.released(call.aux)) if has_aux else value), made

    return wrapped


def grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Fn:
    """A function that returns the gradient of `fn`; with `has_aux`, also what `fn` returned beside its value.

    See `value_and_grad` for arguments and errors. It nests, for derivatives of any order.

    >>> import spiraltorch as st
    >>> grad(grad(lambda x: x**3))(st.tensor(2.0)).item()
    12.0
    """
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, made = both(*args, **kwargs)
        return (made, value[1]) if has_aux else made

    return wrapped


def vjp(fn: Fn, *primals: Any, has_aux: bool = False) -> Any:
    """`fn(*primals)`, and a function from the result's cotangent to a tuple of the arguments' cotangents.

    >>> import spiraltorch as st
    >>> y, pull = vjp(lambda a, b: a * b, st.tensor(3.0), st.tensor(4.0))
    >>> [g.item() for g in pull(st.tensor(1.0))]
    [4.0, 3.0]
    """
    call = _Call("vjp", fn, primals, range(len(primals)), has_aux)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        leaves, tree = flatten(cotangent)
        if tree != call.out_tree:
            raise ArgumentError("[vjp] expected a cotangent nested like the result; pass one tensor for each output")
        outer, call.outer = call.outer, call.outer or (GRAD_MODE.on and any(_carries(x) for x in leaves))
        try:
            nodes = [_beside(x, o, "vjp") for x, o in zip(leaves, call.outputs, strict=True)]
            made: tuple[Any, ...] = unflatten(call.tree, call.pull(nodes))
        finally:
            call.outer = outer
        return made

    value = call.result()
    return (value, pullback, call.released(call.aux)) if has_aux else (value, pullback)


def jvp(fn: Fn, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """`fn(*primals)` and its derivative in the direction of the tangents, nested like the result.

    >>> import spiraltorch as st
    >>> y, t = jvp(lambda x: x * x, (st.tensor(3.0),), (st.tensor(1.0),))
    >>> y.item(), t.item()
    (9.0, 6.0)
    """
    call = _Call("jvp", fn, tuple(primals), range(len(primals)), has_aux)
    leaves, tree = flatten(tuple(tangents))
    if tree != call.tree:
        raise ArgumentError("[jvp] expected tangents nested like the primals; pass one tensor for each")
    carried = GRAD_MODE.on and any(_carries(x) for x in leaves)
    made = unflatten(call.out_tree, call.push([_beside(x, i, "jvp") for x, i in zip(leaves, call.inputs, strict=True)]))
    value, tangent = call.result(), made if carried else call.released(made)
    return (value, tangent, call.released(call.aux)) if has_aux else (value, tangent)


def _carries(x: Any) -> bool:
    return isinstance(x, Tensor) and x.node.rg


def _beside(x: Any, like: Tensor, op: str) -> Node:
    """A cotangent or tangent in the dtype of what it belongs to. Raises `ShapeError` for another shape."""
    made = handle(x, like)
    if made.shape != like.shape:
        raise ShapeError(f"[{op}] expected a value of shape {like.shape}, got {made.shape}")
    return build.cast(see(made), like.dtype)


def jacrev(fn: Fn, argnums: int = 0) -> Fn:
    """The Jacobian of `fn` in one tensor argument, row by row: shape (*output.shape, *argument.shape).

    >>> import spiraltorch as st
    >>> jacrev(lambda x: x * x)(st.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _one("jacrev", fn, args, kwargs, argnums)
        rows = [call.pull(basis)[0] for basis in _bases(call.outputs)]
        return _assembled(call, _stacked(rows, call.outputs[0].shape, call.inputs[0].shape))

    return wrapped


def jacfwd(fn: Fn, argnums: int = 0) -> Fn:
    """The Jacobian of `fn` in one tensor argument, column by column; see `jacrev`.

    >>> import spiraltorch as st
    >>> jacfwd(lambda x: x * x)(st.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _one("jacfwd", fn, args, kwargs, argnums)
        columns = [call.push(basis)[0] for basis in _bases(call.inputs)]
        made = _stacked(columns, call.inputs[0].shape, call.outputs[0].shape)
        n, m = len(call.inputs[0].shape), len(call.outputs[0].shape)
        turned = build.permute(see(made), (*range(n, n + m), *range(n)))
        return _assembled(call, call.released(Tensor(turned)))

    return wrapped


def jacobian(fn: Fn, argnums: int = 0) -> Fn:
    """The Jacobian of `fn`; another name of `jacrev`.

    >>> import spiraltorch as st
    >>> jacobian(lambda x: x * 3)(st.tensor([1.0, 2.0])).tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """
    return jacrev(fn, argnums)


def hessian(fn: Fn, argnums: int = 0) -> Fn:
    """The second derivatives of a function to one number: shape (*argument.shape, *argument.shape).

    >>> import spiraltorch as st
    >>> hessian(lambda x: (x**3).sum())(st.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    return jacrev(grad(fn, argnums), argnums)


def _one(op: str, fn: Fn, args: Sequence[Any], kwargs: dict[str, Any], argnum: int) -> _Call:
    """A call with one tensor argument and one tensor result."""
    call = _Call(op, functools.partial(fn, **kwargs) if kwargs else fn, args, _numbers(argnum, len(args), op), False)
    if len(call.inputs) != 1 or len(call.outputs) != 1:
        raise ArgumentError(
            f"[{op}] expected one tensor argument and one tensor result, got {len(call.inputs)} and {len(call.outputs)}"
        )
    return call


def _bases(tensors: Sequence[Tensor]) -> list[list[Node]]:
    """The unit tensors of the only tensor, in row-major order."""
    (tensor,) = tensors
    aval = tensor.node.aval
    count = aval.size
    place = build.reshape(build.iota((count,), 0, _index(), aval.device), aval.shape)
    hits = [build.eq(place, build.number(n, _index(), aval.device)) for n in range(count)]
    return [[build.cast(hit, aval.dtype)] for hit in hits]


def _index() -> Any:
    from ...dtypes import int64

    return int64


def _stacked(parts: list[Tensor], lead: tuple[int, ...], inner: tuple[int, ...]) -> Tensor:
    if not parts:
        from ..filling import zeros

        return zeros((*lead, *inner))
    rows = [build.reshape(see(p), (1, *inner)) for p in parts]
    return Tensor(build.reshape(build.concat(tuple(rows), 0), (*lead, *inner)))


def _assembled(call: _Call, made: Tensor) -> Any:
    """The Jacobian in the nesting of the argument."""
    (whole,) = unflatten(call.tree, [made])
    return whole


# ---------------------------------------------------------------- rules given by hand


def checkpoint(fn: Fn, *args: Any, **kwargs: Any) -> Any:
    """`fn(*args)`, whose inner values are computed again for the gradient instead of being kept.

    >>> import spiraltorch as st
    >>> x = st.tensor(2.0, requires_grad=True)
    >>> checkpoint(lambda v: (v * 3) ** 2, x).backward()
    >>> x.grad.item()
    36.0
    """
    leaves, tree = flatten(args)
    places = [n for n, x in enumerate(leaves) if isinstance(x, Tensor)]
    shape: list[Any] = []
    outs: list[Any] = []

    def inner(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        given = list(leaves)
        for n, node in zip(places, nodes, strict=True):
            given[n] = Tensor(node)
        found, out_tree = flatten(fn(*unflatten(tree, given), **kwargs))
        shape.append(out_tree)
        outs.extend(found)
        return tuple([see(x) for x in found if isinstance(x, Tensor)])

    made = iter(_checkpoint.checkpoint(inner, tuple([see(leaves[n]) for n in places])))
    return unflatten(shape[0], [Tensor(next(made)) if isinstance(x, Tensor) else x for x in outs])


class custom_vjp:  # used like a function, as in JAX
    """A function with a derivative of your own.

    `defvjp(forward, backward)`: `forward(*args)` returns (result, residuals), and `backward(residuals, cotangent)` a
    tuple of one cotangent (or None) for each tensor argument, of its shape and dtype. `backward` has to be linear in
    the cotangent. Arguments are tensors; what else is passed has no gradient. Raises `GradientError` where `backward`
    returns the wrong number or shapes.

    >>> import spiraltorch as st
    >>> double = custom_vjp(lambda x: x * 2)
    >>> double.defvjp(lambda x: (x * 2, None), lambda _, g: (g * 100,))
    >>> grad(double)(st.tensor(1.0)).item()
    100.0
    """

    def __init__(self, fn: Fn) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.forward: Fn | None = None
        self.backward: Fn | None = None

    def defvjp(self, forward: Fn, backward: Fn) -> None:
        """Sets the two functions."""
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any) -> Any:
        """The function's value."""
        if self.forward is None or self.backward is None:
            raise GradientError(f"[custom_vjp] expected defvjp() to be called before {self.fn!r} is used")
        forward, backward = self.forward, self.backward
        places = [n for n, x in enumerate(args) if isinstance(x, Tensor)]
        shape: list[Any] = []

        def run(nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], object]:
            given = list(args)
            for n, node in zip(places, nodes, strict=True):
                given[n] = Tensor(node)
            result, residuals = forward(*given)
            found, tree = flatten(result)
            shape.append(tree)
            return tuple([see(handle(x)) for x in found]), residuals

        def pull(residuals: object, cotangents: tuple[Node, ...]) -> list[Node | None]:
            made = backward(residuals, unflatten(shape[0], [Tensor(c) for c in cotangents]))
            made = made if isinstance(made, (tuple, list)) else (made,)
            return [None if m is None else see(handle(m)) for m in made]

        nodes = _custom.custom_vjp(run, pull, tuple([see(args[n]) for n in places]))
        return unflatten(shape[0], [Tensor(n) for n in nodes])
