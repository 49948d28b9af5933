"""Tensors that share elements: views, and the tensors that they are views of. And the one way to write to a tensor.

A view is a handle on a part of another tensor's elements, in some order, as in NumPy and PyTorch: what is written through
one of them shows in all. Nodes are immutable, so a write gives new nodes to the handles.

Contract
- The tensor that others are views of is their base; together they are a family. A view knows its family and its path: the
  calls of view primitives that lead from the base's node to its own. A view of a view has the same base and a longer path.
- A write through a view gives the base a new node: its old one with the written elements put back, by the inverse of each
  step of the path. The other views become stale: their `_node` is unset, and made from the base's when `node` is read
  next. So reading a tensor that is not stale costs nothing.
- Views keep their family alive, and nothing else: a family refers to its handles weakly, and a base refers to its family
  weakly. A base that is dropped keeps no memory for its views. If one of several views without a base is written to, a new
  base takes its place, with the elements that the views show.
- A recorded operation keeps the nodes of its moment, whatever is written later.
- A family may share its elements with a NumPy array (`share_array`). No node of it is kept, since the array may change at
  any time: what is read is copied from the array, and what is written is computed and copied into it.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Union, final

from ..autodiff.custom import set_grad_enabled
from ..compiler import evaluate
from ..errors import ArgumentError
from ..graph import build
from ..graph.node import GRAD_MODE, Aval, Node, leaf
from ..runtime import device as devices
from ..runtime.changes import Changes
from ..typing import NDArray, Shape
from .layout import (
    Path,
    along,
    along_array,
    contiguous_strides,
    disjoint,
    put_back,
    repeats,
    reshaped_strides,
    strides_along,
    with_value,
)
from .tracing.tracer import TRACING, grad_leaf, is_leaf, recorder, set_node

if TYPE_CHECKING:
    from .tensor import Tensor

_FIRST_LIMIT = 16


class Family:
    """A base and its views.

    Attributes:
        aval: the type of the base.
        base: a weak reference to the base; None where it has left the family.
        kept: the base, where only views need it.
        array: the array on the host whose memory the family shares, or None.
        kind: the class of a new base.
    """

    __slots__ = ("__weakref__", "_limit", "_views", "array", "aval", "base", "kept", "kind")

    def __init__(self, aval: Aval, base: Tensor | None, kind: type[Tensor]) -> None:
        self.aval = aval
        self.kind = kind
        self.base = None if base is None else weakref.ref(base)
        self.kept: Tensor | None = None
        self.array: NDArray | None = None
        self._views: list[weakref.ref[Tensor]] = []
        self._limit = _FIRST_LIMIT

    def add(self, view: Tensor) -> None:
        """Registers a view."""
        if len(self._views) >= self._limit:
            self._views = [weakref.ref(v) for v in self.views()]
            self._limit = max(_FIRST_LIMIT, 2 * len(self._views))
        self._views.append(weakref.ref(view))

    def views(self) -> list[Tensor]:
        """The views that still exist and belong to the family."""
        living = [view for view in [r() for r in self._views] if view is not None]
        return [view for view in living if type(view._alias) is View and view._alias.family is self]

    def elements(self, path: Path = ()) -> Node:
        """A leaf with a copy of those elements of the shared array that a path leads to, as they are now."""
        assert self.array is not None
        array = along_array(path, self.array)
        return leaf(devices.get(self.aval.device).from_host(array, copy=True), path[-1].aval if path else self.aval)

    def invalidate(self, node: Node, path: Path = (), writer: Tensor | None = None) -> None:
        """Makes views stale, after a write.

        Args:
            node: the base's new node.
            path: the path of what was written; views that have no element of it stay as they are.
            writer: the view that was written to, which stays as it is.
        """
        for view in self.views():
            alias = view._alias
            if view is writer or type(alias) is not View or disjoint(path, alias.path):
                continue
            if alias.source is None:
                del view._node
            alias.source = node


@final
class View:
    """What a view knows of its base; its `_alias`.

    Attributes:
        family: its family.
        path: the calls of primitives that lead from the base's node to the view's.
        is_leaf: whether the view itself is a leaf that requires a gradient.
        source: the node of the base that the view's node is made from when it is read next; None where it has a node.
        known: the strides after so many steps, for a path with a step that has none by itself, such as a diagonal's.
    """

    __slots__ = ("family", "is_leaf", "known", "path", "source")

    def __init__(self, family: Family, path: Path) -> None:
        self.family = family
        self.path = path
        self.is_leaf = False
        self.source: Node | None = None
        self.known: tuple[int, Shape] | None = None


class HostMemory:
    """The `_alias` of a base that shares an array's memory: a reference to its family that keeps it."""

    __slots__ = ("family",)

    def __init__(self, family: Family) -> None:
        self.family = family

    def __call__(self) -> Family:
        """The family, as a weak reference gives it."""
        return self.family


Alias = Union[View, HostMemory, "weakref.ref[Family]", None]  # of a view; of a base; None for other tensors


def make_view(view: Tensor, base: Tensor, steps: Path, strides: Shape | None = None) -> Tensor:
    """Makes a new handle a view.

    Args:
        view: the handle.
        base: the tensor that it is a view of, maybe a view itself.
        steps: the calls of view primitives that lead from the base's node to the view's.
        strides: the strides of the view, where the steps do not say them.

    Returns:
        `view`.
    """
    alias = base._alias
    if type(alias) is View:
        family, steps = alias.family, alias.path + steps
    else:
        known = None if alias is None else alias()
        if known is None:
            known = Family(base.node.aval, base, type(base))
            base._alias = weakref.ref(known)
        family = known
    if not GRAD_MODE.on and base.node.rg and view.node.rg is False:
        steps += detached(view.node, True)
    view._alias = View(family, steps)
    if strides is not None:
        view._alias.known = (len(steps), strides)
    elif type(alias) is View:
        view._alias.known = alias.known
    family.add(view)
    if family.array is not None and recorder() is None:
        del view._node
    return view


def share_array(array: NDArray, aval: Aval, kind: type[Tensor]) -> Tensor:
    """A tensor of a class that shares the memory of an array on the host, of the same type."""
    family = Family(aval, None, kind)
    family.array = array
    base = _bare_base(family)
    base._alias = HostMemory(family)
    return base


def _bare_base(family: Family) -> Tensor:
    """A base for a family, without a node."""
    base = family.kind.__new__(family.kind)
    base._grad = None
    family.base = weakref.ref(base)
    return base


def array_of(tensor: Tensor) -> NDArray | None:
    """The array on the host whose memory a base shares; None for other tensors."""
    alias = tensor._alias
    return alias.family.array if type(alias) is HostMemory else None


def join(tensor: Tensor, family: Family, path: Path | None) -> None:
    """Makes a new handle a member of a family: its base where the path is None."""
    if path is not None:
        tensor._alias = View(family, path)
        family.add(tensor)
    else:
        tensor._alias = weakref.ref(family)
        family.base = weakref.ref(tensor)


def path_between(node: Node, result: Node) -> Path:
    """The calls of view primitives that lead from a node to a result of them; or from another leaf of the same value."""
    steps = []
    while result is not node and result.args:
        steps.append(result.spec)
        (result,) = result.args
    steps.reverse()
    return tuple(steps)


def current_node(view: Tensor) -> Node:
    """The node of a stale view, made from the base's, and installed; one of the present elements of a shared array."""
    alias = view._alias
    if type(alias) is HostMemory:
        return alias.family.elements()
    if type(alias) is not View:
        raise AttributeError("a tensor has no node before it is initialized")
    if alias.source is None:
        return alias.family.elements(alias.path)
    with set_grad_enabled(True):  # as it was when the view was made: a path without gradients ends with `stop_gradient`
        node = along(alias.path, alias.source)
    alias.source = None
    set_node(view, grad_leaf(node) if alias.is_leaf else node)
    return view.node


def base_of(tensor: Tensor) -> Tensor | None:
    """The base of a view, which is made where others need it; None for all other tensors."""
    alias = tensor._alias
    if type(alias) is not View:
        return None
    family = alias.family
    base = None if family.base is None else family.base()
    if base is not None:
        return base
    others = [v for v in family.views() if v is not tensor]
    if all(type(v._alias) is View and disjoint(alias.path, v._alias.path) for v in others):
        return None
    return _new_base(family)


def _new_base(family: Family) -> Tensor:
    """A base for views that have lost theirs: it has the elements that they show, and zeros elsewhere."""
    base = family.kept = _bare_base(family)
    if family.array is not None:
        base._alias = HostMemory(family)
        return base
    node = build.zeros(family.aval)
    for view in family.views():
        assert type(view._alias) is View
        node = put_back(view._alias.path, node, view.node)
    base._alias = weakref.ref(family)
    base.node = node
    if TRACING.recorder is not None:
        TRACING.recorder.made(base)
    return base


def require_writable(tensor: Tensor) -> None:
    """Raises `ArgumentError` for a view of which several elements are one element of its base."""
    alias = tensor._alias
    if type(alias) is View and repeats(alias.path, alias.family.aval):
        raise ArgumentError(
            "[in place] expected each element to have memory of its own, got a view made by expand, broadcast_to or "
            "unfold, in which several elements are one; call .clone() first"
        )


def writes_to_leaf(tensor: Tensor) -> bool:
    """Whether a write to the tensor changes a leaf that requires a gradient, and does not pass a `detach`."""
    if is_leaf(tensor.node):
        return True
    alias = tensor._alias
    if type(alias) is not View or not tensor.node.rg:
        return False
    base = base_of(tensor)
    return base is not None and is_leaf(base.node)


# ---------------------------------------------------------------- writing


def assign(tensor: Tensor, node: Node) -> None:
    """Gives a tensor other elements, which all tensors that share them show.

    A leaf that requires a gradient stays one, with the new value. A result through which gradients flow keeps them where
    gradients are not recorded, as in PyTorch.
    """
    if TRACING.recorder is not None and (active := recorder()) is not None:
        active.write(tensor)
    old = tensor.node
    node = _with_gradient_of(old, node)
    if old.aval is not node.aval:
        TRACING.invalidate_recordings()  # which take shapes, dtypes and devices of what they reach for constant
    if tensor._alias is not None:
        if old.aval is not node.aval:
            leave(tensor)
        elif _write_through(tensor, node):
            return
    set_node(tensor, node)


def _with_gradient_of(old: Node, new: Node) -> Node:
    """A tensor's new node where its old one requires a gradient and the new one does not."""
    if not old.rg or new.rg:
        return new
    if is_leaf(old):
        return grad_leaf(new)
    return new if GRAD_MODE.on else with_value(old, new)


def new_node(tensor: Tensor, node: Node) -> Node:
    """The node that a tensor gets when a value without a gradient is assigned."""
    if node.rg:
        node = build.stop_gradient(node)
    return _with_gradient_of(tensor.node, node)


def _write_through(tensor: Tensor, node: Node) -> bool:
    """Updates what a tensor shares elements with, before it gets a node. Returns whether it needs none."""
    alias = tensor._alias
    family = alias.family if type(alias) is View else None if alias is None else alias()
    if family is None:
        tensor._alias = None
        return False
    if family.array is not None and recorder() is None:
        _write_array(family, put_back(alias.path, family.elements(), node) if type(alias) is View else node)
        return True
    if type(alias) is not View:
        family.invalidate(node)
        return False
    base = base_of(tensor)
    if base is None:
        return False
    inner = build.stop_gradient(node) if alias.is_leaf else node
    new = _with_gradient_of(base.node, put_back(alias.path, base.node, inner))
    if TRACING.recorder is not None and (active := recorder()) is not None:
        active.write(base)
    family.invalidate(new, alias.path, tensor)
    set_node(base, new)
    return False


def _write_array(family: Family, node: Node) -> None:
    """Computes the elements of a family and copies them into the array that it shares."""
    assert family.array is not None
    if not family.array.flags.writeable:
        raise ArgumentError(
            "[in place] expected an array that can be written to, got a read-only one whose memory the tensor shares; "
            "call .clone() first"
        )
    if node.buf is None:
        evaluate.evaluate([node])
    family.array[...] = devices.get(family.aval.device).to_host(node.buf, family.aval.shape, family.aval.dtype.numpy)


def leave_array(tensor: Tensor) -> None:
    """Ends that a tensor shares the memory of an array on the host: it keeps a copy of the present elements."""
    family = storage_of(tensor)
    if isinstance(family, Family) and family.array is not None:
        leave(tensor)


def write_value(tensor: Tensor, node: Node) -> None:
    """As `assign`, of a value that was computed by a replay, where nothing is recorded and the node requires what it must."""
    if tensor._alias is None or not _write_through(tensor, node):
        set_node(tensor, node)


def plan_write(tensor: Tensor, node: Node, changes: Changes) -> bool:
    """Adds what `write_value` does to changes that are made later, all at once.

    Returns:
        False for a view, and a tensor that shares an array's memory: they have to be written one after another.
    """
    alias = tensor._alias
    if type(alias) is View or type(alias) is HostMemory:
        return False
    if node.rg and is_leaf(node):
        node.owner = weakref.ref(tensor)  # type: ignore[attr-defined]  # a slot without a default
    changes.set(tensor, "_node", node)
    family = None if alias is None else alias()
    if family is None:
        changes.set(tensor, "_alias", None)
    else:
        for view in family.views():
            path = view._alias
            assert type(path) is View
            if path.source is None:
                changes.delete(view, "_node")
            changes.set(path, "source", node)
    return True


def restore_node(tensor: Tensor, node: Node) -> None:
    """Gives a tensor the node that it had before a recording; views of it are made anew from that."""
    alias = tensor._alias
    if type(alias) is HostMemory:
        with suppress(AttributeError):  # done already
            del tensor._node
        return
    if type(alias) is View:
        alias.source = None
    elif alias is not None and (family := alias()) is not None:
        family.invalidate(node)
    tensor.node = node


def rebase(view: Tensor, base: Tensor) -> None:
    """Has the node of a view made from the base's present node when it is read next."""
    alias = view._alias
    assert type(alias) is View
    if alias.source is None:
        del view._node
    alias.source = base.node


def storage_of(tensor: Tensor) -> Tensor | Family:
    """The same object for all tensors that share elements."""
    alias = tensor._alias
    if type(alias) is View:
        return alias.family
    family = None if alias is None else alias()
    return tensor if family is None else family


def leave(tensor: Tensor) -> None:
    """Ends that a tensor shares elements with others, which keep theirs."""
    alias = tensor._alias
    tensor.node = tensor.node  # made, where it was stale
    if type(alias) is not View and alias is not None and (family := alias()) is not None:
        family.base = None
    tensor._alias = None


def share(tensor: Tensor, source: Tensor) -> None:
    """Makes a new or former handle share the elements of a source, of the same type, which its node has already."""
    leave(tensor)
    if source._alias is None and not source.node.rg:
        # The source becomes the view: mostly it is dropped at once, and the tensor is one like any other.
        family = Family(tensor.node.aval, tensor, type(tensor))
        tensor._alias = weakref.ref(family)
        source._alias = View(family, detached(tensor.node))
        family.add(source)
    else:
        make_view(tensor, source, detached(source.node))
        assert type(tensor._alias) is View
        tensor._alias.is_leaf = is_leaf(tensor.node)


def detached(node: Node, always: bool = False) -> Path:
    """The path to a node's value without its gradient: none where it has none, unless `always`."""
    return (build.stop_gradient(node).spec,) if node.rg or always else ()


def strides_of(tensor: Tensor) -> Shape | None:
    """The strides of the elements among those of the base, in elements; None where they lie at irregular distances."""
    alias = tensor._alias
    if type(alias) is not View:
        return contiguous_strides(tensor.shape)
    count, strides = alias.known or (0, contiguous_strides(alias.family.aval.shape))
    shape = alias.path[count - 1].aval.shape if count else alias.family.aval.shape
    return strides_along(alias.path[count:], shape, strides)


def has_view(tensor: Tensor, shape: Shape) -> bool:
    """Whether a reshape of the tensor is a view, as PyTorch's and NumPy's: its elements lie at regular distances."""
    strides = strides_of(tensor)
    return strides is not None and reshaped_strides(tensor.shape, strides, shape) is not None


def is_row_major(tensor: Tensor) -> bool:
    """Whether the elements lie side by side in row-major order: those of views may not."""
    strides = strides_of(tensor)
    wanted = contiguous_strides(tensor.shape)
    return strides is not None and all(e == 1 or s == w for e, s, w in zip(tensor.shape, strides, wanted, strict=True))
