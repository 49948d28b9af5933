"""Where the elements of a view lie among the elements of its base, as calls of view primitives say it.

A path is a tuple of such calls, `Spec` objects, each of which has the result of the one before as its operand.
"""

from __future__ import annotations

import itertools
import math

from ..autodiff.custom import set_grad_enabled, with_vjp
from ..dtypes import bool_
from ..graph import build
from ..graph.node import Aval, Node, Params, Spec, apply
from ..typing import NDArray, Shape
from .tracing.tracer import is_leaf

Path = tuple[Spec, ...]


def along(path: Path, node: Node) -> Node:
    """The node at the end of a path that begins at another."""
    for step in path:
        node = _applied(step, node)
    return node


def along_array(path: Path, array: NDArray) -> NDArray:
    """The same of an array: a view where NumPy has one."""
    for step in path:
        assert step.prim is not None
        array = step.prim.reference(array, params=step.params)
    return array


def _applied(step: Spec, node: Node) -> Node:
    assert step.prim is not None
    return apply(step.prim, (node,), step.params)


def name_of(step: Spec) -> str:
    """The name of a step's primitive."""
    assert step.prim is not None
    return step.prim.name


# ---------------------------------------------------------------- writing


def put_back(path: Path, base: Node, new: Node) -> Node:
    """The base with new elements in place of those at the end of a path: the inverse of `along`."""
    if not path:
        return new
    operands = [base]
    for step in path[:-1]:
        operands.append(_applied(step, operands[-1]))
    for step, operand in zip(reversed(path), reversed(operands), strict=True):
        new = _put_back_step(step, operand, new)
    return new


def _put_back_step(step: Spec, operand: Node, new: Node) -> Node:
    """The operand of one step, with the elements of its result replaced."""
    name, params = name_of(step), step.params
    if name == "reshape":
        return build.reshape(new, operand.aval.shape)
    if name == "expand":  # one of each repeated element, all of which are equal
        shape = (1,) * (new.aval.ndim - operand.aval.ndim) + operand.aval.shape
        return build.reshape(build.slice(new, (0,) * len(shape), shape, (1,) * len(shape)), operand.aval.shape)
    if name == "windows":
        return _put_back_windows(operand, params, new)
    if name == "permute":
        (axes,) = params
        return build.permute(new, tuple([axes.index(d) for d in range(len(axes))]))
    if name == "flip":
        return build.flip(new, params[0])
    if name == "bitcast":
        return build.bitcast(new, operand.aval.dtype)
    if name == "slice":
        return write_slice(operand, params, new)
    if name == "stop_gradient":
        return with_value(operand, new)
    raise AssertionError(f"[view] {name} has no inverse")


def _put_back_windows(x: Node, params: Params, new: Node) -> Node:
    """`x` with the elements of windows replaced, of which those that are one element of `x` are equal."""
    axes, sizes, strides, dilations = params
    rank = x.aval.ndim
    counts = new.aval.shape[:rank]
    for offsets in itertools.product(*map(range, sizes)):
        starts, stops, steps = [0] * rank, list(x.aval.shape), [1] * rank
        for a, offset, stride, dilation in zip(axes, offsets, strides, dilations, strict=True):
            starts[a] = offset * dilation
            stops[a], steps[a] = starts[a] + (counts[a] - 1) * stride + 1, stride
        first, last = (*[0] * rank, *offsets), (*counts, *[o + 1 for o in offsets])
        part = build.reshape(build.slice(new, first, last, (1,) * len(first)), counts)
        x = write_slice(x, (tuple(starts), tuple(stops), tuple(steps)), part)
    return x


def write_slice(x: Node, params: Params, new: Node) -> Node:
    """`x` with the elements of a slice replaced: they are spread by a pad, and chosen by a mask of the same pad."""
    starts, _, steps = params
    box = new.aval.shape
    if box == x.aval.shape:
        return new
    if 0 in box:
        return x
    pads = []
    for e, n, start, step in zip(x.aval.shape, box, starts, steps, strict=True):
        used = (n - 1) * step + 1
        pads.append((start, e - start - used, step - 1))
    inside = build.pad(build.expand(build.const(True, bool_, x.aval.device), box), tuple(pads), False)
    return build.where(inside, build.pad(new, tuple(pads), 0), x)


def with_value(x: Node, new: Node) -> Node:
    """A node of another value through which gradients flow as if it were `x`."""
    if not x.rg or is_leaf(x):
        return build.stop_gradient(new) if new.rg else new
    with set_grad_enabled(True):
        return with_vjp(new, (x,), lambda g, args, node: (g,))


def repeats(path: Path, aval: Aval) -> bool:
    """Whether several elements of a view may be one element of its base, which has an aval."""
    size = aval.size
    for step in path:
        if name_of(step) == "expand" and step.aval.size != size:
            return True
        if name_of(step) == "windows":
            _, sizes, strides, dilations = step.params
            if any(by <= (n - 1) * apart for n, by, apart in zip(sizes, strides, dilations, strict=True)):
                return True
        size = step.aval.size
    return False


def disjoint(a: Path, b: Path) -> bool:
    """Whether two views of one base are known to have no element in common: both begin with slices that do not meet."""
    for x, y in zip(a, b, strict=False):
        if x is y:
            continue
        if name_of(x) != "slice" or name_of(y) != "slice":
            return False
        return any(
            stop <= other_start or other_stop <= start
            for start, stop, other_start, other_stop in zip(
                x.params[0], x.params[1], y.params[0], y.params[1], strict=True
            )
        )
    return False


# ---------------------------------------------------------------- strides


def contiguous_strides(shape: Shape) -> Shape:
    """The strides of a shape in row-major order, in elements."""
    strides, step = [], 1
    for e in reversed(shape):
        strides.append(step)
        step *= max(e, 1)
    return tuple(reversed(strides))


def strides_along(path: Path, shape: Shape, strides: Shape) -> Shape | None:
    """The strides at the end of a path, from the shape and strides at its beginning; None where they do not exist."""
    for step in path:
        name, params = name_of(step), step.params
        if name == "permute":
            strides = tuple([strides[a] for a in params[0]])
        elif name == "slice":
            strides = tuple([s * by for s, by in zip(strides, params[2], strict=True)])
        elif name == "flip":
            strides = tuple([-s if d in params[0] else s for d, s in enumerate(strides)])
        elif name == "expand":
            added = len(step.aval.shape) - len(shape)
            old = (1,) * added + shape
            strides = tuple(
                [0 if e != n else s for e, n, s in zip(old, step.aval.shape, (0,) * added + strides, strict=True)]
            )
        elif name == "windows":
            axes, _, by, dilations = params
            inner = tuple([strides[a] * d for a, d in zip(axes, dilations, strict=True)])
            outer = list(strides)
            for a, n in zip(axes, by, strict=True):
                outer[a] *= n
            strides = (*outer, *inner)
        elif name == "reshape":
            reshaped = reshaped_strides(shape, strides, step.aval.shape)
            if reshaped is None:
                return None
            strides = reshaped
        shape = step.aval.shape
    return strides


def reshaped_strides(shape: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides of a reshaped view; None where its elements do not lie at regular distances."""
    if math.prod(shape) == 0:
        return contiguous_strides(new)
    # Groups of neighbouring axes that lie as one axis does: (extent, stride of the last of them).
    groups: list[tuple[int, int]] = []
    for e, s in zip(shape, strides, strict=True):
        if e == 1:
            continue
        if groups and groups[-1][1] == s * e:
            groups[-1] = (groups[-1][0] * e, s)
        else:
            groups.append((e, s))
    result: list[int] = []
    extent, stride = groups.pop() if groups else (1, 1)
    inside = 1
    for e in reversed(new):
        if e == 1:
            result.append(stride * inside)
            continue
        if inside == extent and groups:
            extent, stride = groups.pop()
            inside = 1
        if extent % (inside * e):
            return None
        result.append(stride * inside)
        inside *= e
    return tuple(reversed(result)) if inside == extent and not groups else None
