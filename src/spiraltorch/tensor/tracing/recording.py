"""The recorder of a compiled function, and the recording that it leaves.

While a function is recorded, each tensor that existed before is given a placeholder node when an operation first reads
it. So the recorded graph holds no values of the outside, and a read on the host finds a placeholder and raises.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Union, final

from ...compiler import evaluate
from ...dtypes import uint64
from ...errors import TracingError
from ...graph import build
from ...graph.node import Aval, Node, Spec, leaf
from ..aliasing import View, base_of, rebase, restore_node
from ..layout import Path
from ..pytree import TreeDef
from ..tensor import Tensor
from .tracer import is_leaf, raw_grad, set_node, set_raw_grad

if TYPE_CHECKING:
    from ...compiler.planning.plan import Plan
    from ...compiler.planning.table import Number
    from ...runtime.protocol import Buffer
    from ..generator import Generator
    from .guards import Snapshot

Replay = Callable[[tuple[Any, ...]], Any]  # a generated function of the positional arguments, see `generated_replay`


@final
class PlanResult(NamedTuple):
    """The value of a result of the plan, by number."""

    number: int


@final
class CapturedValue(NamedTuple):
    """The value that a captured tensor has before the call, by number."""

    number: int


@final
class CapturedTensor(NamedTuple):
    """A captured tensor itself, by number."""

    number: int


@final
class Constant(NamedTuple):
    """A Python value that the function returned."""

    value: Any


Source = Union[PlanResult, CapturedValue, Node]  # where a value comes from; a node holds its value already
ANY_GRAD: Any = object()  # stands for any gradient that is there
Output = Union[Source, CapturedTensor, Constant]


class Update(NamedTuple):
    """A captured tensor, by number, that takes a new value after each call."""

    captured: int
    source: Source


class GradUpdate(NamedTuple):
    """A tensor whose `.grad` becomes another tensor, and the value of that (None: there is no gradient then)."""

    tensor: Tensor
    source: Source | None


class Donation(NamedTuple):
    """A captured tensor whose old value nothing needs after the call, and the plan's input that it is."""

    captured: int
    plan_input: int


class OutputView(NamedTuple):
    """An output that shares elements with a captured tensor, by number, or with other outputs.

    Attributes:
        output: the number of the output.
        captured: the number of the captured tensor that it is a view of, or None.
        family: equal for outputs that share elements; 0 beside a captured tensor.
        aval: the type of the base that they are views of.
        path: the path from there; None for the base itself.
    """

    output: int
    captured: int | None
    family: int
    aval: Aval
    path: Path | None


def passing_on(node: Node) -> tuple[Spec, tuple[Node]]:
    """What makes another node one of this value that passes its gradient on to it: an operation, and its operand."""
    return build.barrier(node).spec, (node,)


class Placeholder:
    """The placeholder for the buffer of a tensor while a function is recorded."""

    __slots__ = ()

    @property
    def ptr(self) -> int:
        """Raises `TracingError`: there is no memory yet."""
        raise TracingError(
            "[compile] expected no value to be read while a function is recorded, got a read of one; move .item(), "
            ".numpy(), print and branches on values out of the compiled function"
        )


@final
class Draw:
    """The scalar of a random operation: the generator's seed (`offset` None), or its counter plus earlier draws."""

    __slots__ = ("generator", "offset")

    def __init__(self, generator: Generator, offset: int | None) -> None:
        self.generator = generator
        self.offset = offset

    def value(self) -> int:
        """The value for the next call."""
        g = self.generator
        return g._seed if self.offset is None else g._counter + self.offset


@dataclass(eq=False, repr=False)
class Recording:
    """One recorded call, and everything that its replay has to check and to do.

    Attributes:
        plan: computes all new values; None if there are none.
        inputs: the inputs of the plan: the value of a captured tensor, or a buffer that is the same in each call.
        scalars: the scalars of the plan.
        captured: the tensors that the function reads, arguments included.
        arguments: for each captured tensor its number among the tensor arguments, or None.
        avals: for each captured tensor its shape, dtype and device.
        requires_grad: for each captured tensor whether it requires a gradient.
        fixed_arguments: tensor arguments that have to be the same object in each call, as they require gradients.
        unaliased: numbers of captured tensors that no argument may share elements with: one of the two is updated, which
            the recording does not show on the other.
        distinct: whether no two arguments may share elements, because one is updated.
        views: views that the recording made from the captured tensors that they are views of, with their place then.
        output_views: outputs that share elements with others, see `OutputView`.
        grads_before: tensors whose gradients the function reads or changes, with the gradient that it found; `ANY_GRAD`
            for one whose elements it does not read.
        updates: new values of captured tensors.
        grad_updates: new gradients.
        draws: random generators, with the number of blocks that each call draws.
        outputs: the leaves of the result.
        out_tree: the nesting of the result.
        argument_places: the numbers of arguments among the captured tensors.
        values_before: numbers of the captured tensors whose value before the call is needed after it.
        donations: inputs of the plan whose memory it may write over.
        one_shot: whether the recording holds for the recorded call only.
        replay: the generated function, made when the recording is replayed first.
        snapshot: the Python state for which `replay` was generated.
        generation: the generation of tunings for which `replay` was generated.
    """

    plan: Plan | None
    inputs: list[CapturedValue | Buffer]
    scalars: list[Draw | Number]
    captured: list[Tensor]
    arguments: list[int | None]
    avals: list[Aval]
    requires_grad: list[bool]
    fixed_arguments: list[tuple[int, Tensor]]
    unaliased: list[int]
    distinct: bool
    views: list[tuple[Tensor, View, weakref.ref[Tensor] | None]]
    output_views: list[OutputView]
    grads_before: list[tuple[Tensor, Tensor | None]]
    updates: list[Update]
    grad_updates: list[GradUpdate]
    draws: list[tuple[Generator, int]]
    outputs: list[Output]
    out_tree: TreeDef
    one_shot: bool
    argument_places: list[int] = field(init=False)
    values_before: list[int] = field(init=False)
    donations: list[Donation] = field(init=False)
    replay: Replay | None = field(init=False, default=None)
    snapshot: Snapshot | None = field(init=False, default=None)
    generation: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.argument_places = [place for place in self.arguments if place is not None]
        self.values_before = list(dict.fromkeys([s.number for s in self._sources() if type(s) is CapturedValue]))
        self.donations = donations(self)

    def _sources(self) -> Iterator[Output | None]:
        """Where the values come from that are installed after a call."""
        yield from (update.source for update in self.updates)
        yield from self.outputs
        yield from (update.source for update in self.grad_updates)

    def tensor(self, number: int, arguments: list[Tensor]) -> Tensor:
        """The captured tensor of this number, in a call with these tensor arguments."""
        place = self.arguments[number]
        return self.captured[number] if place is None else arguments[place]


def donations(recording: Recording) -> list[Donation]:
    """Inputs of the plan that it may write over: the tensors get new values, and no result is an old one."""
    if recording.plan is None:
        return []
    donatable = set(recording.plan.executable.donatable)
    updated = {update.captured for update in recording.updates}.difference(recording.values_before)
    return [
        Donation(source.number, number)
        for number, source in enumerate(recording.inputs)
        if number in donatable and type(source) is CapturedValue and source.number in updated
    ]


class Recorder:
    """Collects what a function reads and changes. `tracer` says who calls it.

    Attributes:
        thread: the thread of the recorded function.
        captured: the tensors that existed before and were read, in order.
        originals: their nodes before the recording.
        placeholders: their nodes at its beginning.
        index: the numbers of captured tensors, by id.
        grads: tensors whose gradient is read or changed, with the gradient that they had, by id.
        changes_grads: whether the function sets or adds to a gradient.
        drawn: random generators with the number of blocks that were drawn, by id.
        settled: random generators whose state the function reads or sets, with their state before, by id; and those that it
            makes, with None.
        draw_nodes: the scalars of the draws.
        views: views that existed before and were read, with their place among those that they share elements with, by id.
            Their bases are captured in their place.
        host_state: state of Python that the function reads or changes and guards do not see, or an empty string.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.captured: list[Tensor] = []
        self.originals: list[Node] = []
        self.placeholders: list[Node] = []
        self.index: dict[int, int] = {}
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.drawn: dict[int, tuple[Generator, int]] = {}
        self.changes_grads = False
        self.settled: dict[int, tuple[Generator, tuple[int, int] | None]] = {}
        self.views: dict[int, tuple[Tensor, View, weakref.ref[Tensor] | None]] = {}
        self._made: dict[int, weakref.ref[Tensor]] = {}  # the tensors that were made while the function ran, by id
        self.finished = False  # whether the recorded call was installed: then there is nothing to restore
        self.host_state = ""
        self.draw_nodes: list[Node] = []
        # Tensors of the recording that were changed: with their node and gradient before the first change.
        self._first: dict[int, tuple[weakref.ref[Tensor], Node, Tensor | None]] = {}

    # ------------------------------------------------------------ called while the function runs

    def made(self, tensor: Tensor) -> None:
        """Notes a tensor that the function makes: all others existed before."""
        if threading.get_ident() == self.thread:
            self._made[id(tensor)] = weakref.ref(tensor)

    def read(self, tensor: Tensor) -> None:
        """Captures a tensor before an operation reads it."""
        key = id(tensor)
        if key in self.index or key in self._made or key in self.views:
            return
        if type(tensor._alias) is View and (base := base_of(tensor)) is not None:
            self._read_view(tensor, tensor._alias, base)
            return
        node = tensor.node
        if node.buf is None:
            evaluate.evaluate([node])
        if node.rg and not is_leaf(node):
            placeholder = Node(*passing_on(node), None, True)
            placeholder.buf = Placeholder()
        else:
            placeholder = leaf(Placeholder(), node.aval, node.rg)
        self.index[key] = len(self.captured)
        self.captured.append(tensor)
        self.originals.append(node)
        self.placeholders.append(placeholder)
        set_node(tensor, placeholder)
        if node.rg:
            self.write_grad(tensor)

    def _read_view(self, view: Tensor, alias: View, base: Tensor) -> None:
        """Captures the base of a view, from which its node is made."""
        self._made.pop(id(base), None)  # a new base that `base_of` made of tensors that existed before
        self.read(base)
        self.views[id(view)] = (view, alias, alias.family.base)
        rebase(view, base)
        if view.node.rg:
            self.write_grad(view)

    def write(self, tensor: Tensor) -> None:
        """Captures a tensor before it is updated in place, so that replays can give it the new value."""
        self.read(tensor)
        self._remember_first(tensor)

    def write_grad(self, tensor: Tensor) -> None:
        """Remembers the gradient of a tensor before it is read or changed."""
        self._remember_first(tensor)
        if id(tensor) not in self._made and id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, raw_grad(tensor))

    def _remember_first(self, tensor: Tensor) -> None:
        """Remembers what a tensor of the recording is before its first change."""
        known = self._first.get(id(tensor))
        if id(tensor) in self._made and (known is None or known[0]() is not tensor):
            self._first[id(tensor)] = weakref.ref(tensor), tensor.node, raw_grad(tensor)

    def draw(self, generator: Generator, blocks: int, device: str) -> tuple[Node, Node]:
        """The seed and the counter for a draw of so many blocks on a device."""
        if id(generator) in self.settled:
            first, generator._counter = generator._counter, generator._counter + blocks
            return build.scalar(generator._seed, uint64, device), build.scalar(first, uint64, device)
        _, used = self.drawn.get(id(generator), (generator, 0))
        self.drawn[id(generator)] = (generator, used + blocks)
        seed = build.scalar(Draw(generator, None), uint64, device)
        counter = build.scalar(Draw(generator, used), uint64, device)
        self.draw_nodes += seed, counter
        return seed, counter

    def hooked_node(self, node: Node) -> Node:
        """The node that a hook belongs to: that of before, of a result that existed before, which no replay can give one."""
        if type(node.buf) is not Placeholder or not node.args:
            return node
        self.changes_grads = True
        return node.args[0]

    def made_generator(self, generator: Generator) -> None:
        """Notes a generator that the function makes: each call draws the same from it."""
        if threading.get_ident() == self.thread:
            self.settled[id(generator)] = (generator, None)

    def settle_draws(self, generator: Generator) -> None:
        """Gives a generator's draws their numbers and its state the blocks they took, before the state is read or set."""
        if id(generator) in self.settled:
            return
        self.settled[id(generator)] = (generator, (generator._seed, generator._counter))
        _, blocks = self.drawn.pop(id(generator), (generator, 0))
        for node in self.draw_nodes:
            if type(node.scalar) is Draw and node.scalar.generator is generator:
                node.scalar = node.scalar.value()
        generator._counter += blocks

    @property
    def sets_generators(self) -> bool:
        """Whether the function reads or sets the state of a generator that existed before."""
        return any(state is not None for _, state in self.settled.values())

    def is_constant(self, node: Node) -> bool:
        """Whether a node of a tensor that was read has a value that is the same in each call."""
        return node.buf is not None and type(node.buf) is not Placeholder

    # ------------------------------------------------------------ results of the recording

    def grads_before(self) -> list[tuple[Tensor, Tensor | None]]:
        """The gradients that a replay must find: these tensors, or any where no operation read the one that was there."""
        read = [
            (t, before is None or id(before) in self.index or id(before) in self.views, before)
            for t, before in self.grads.values()
        ]
        return [(t, before if exact else ANY_GRAD) for t, exact, before in read]

    def changes_gradients(self) -> bool:
        """Whether a tensor of before requires a gradient now or no more, or a gradient flows through its update."""
        return any(
            node.rg is not self.placeholders[n].rg or (node.rg and not is_leaf(node)) for n, node in self.updates()
        )

    def updates(self) -> list[tuple[int, Node]]:
        """Captured tensors, by number, that were updated in place, with their new nodes."""
        return [(n, t.node) for n, t in enumerate(self.captured) if t.node is not self.placeholders[n]]

    def grad_changes(self) -> list[tuple[Tensor, Tensor | None, Tensor | None]]:
        """Tensors whose gradient was changed, with the gradient before and after."""
        changes = [(tensor, before, raw_grad(tensor)) for tensor, before in self.grads.values()]
        return [change for change in changes if change[2] is not change[1]]

    def reaches_earlier_graph(self) -> bool:
        """Whether a gradient may have come to a result of earlier operations, through which it flows on."""
        return self.changes_grads and any(node.rg and not is_leaf(node) for node in self.originals)

    def escaped(self, returned: set[int]) -> list[Tensor]:
        """Tensors of the recording that something still refers to, without those whose ids are `returned`."""
        if self._without_value(returned):
            gc.collect(1)  # cycles keep some alive; they are young
        return self._without_value(returned)

    def _without_value(self, returned: set[int]) -> list[Tensor]:
        """The tensors of the recording that still exist and have no value, or that of a placeholder."""
        living = [t for t in self.living() if id(t) not in returned]
        return [t for t in living if t.node.buf is None or t.node in self.placeholders]

    def living(self) -> list[Tensor]:
        """The tensors of the recording that still exist."""
        return [t for t in [r() for r in self._made.values()] if t is not None]

    # ------------------------------------------------------------ the end

    def restore(self) -> None:
        """Restores every captured tensor and gradient."""
        # Without `strict`: an interrupt may have come in the middle of `read`.
        for tensor, node, _ in zip(self.captured, self.originals, self.placeholders, strict=False):
            restore_node(tensor, node)
        for node, placeholder in zip(self.originals, self.placeholders, strict=False):
            placeholder.buf = node.buf  # another thread may have read the placeholder just now
        for tensor, grad in self.grads.values():
            set_raw_grad(tensor, grad)

    def abort(self) -> None:
        """Restores, and gives tensors that outlive the recording (an optimizer's state, say) values without it.

        It may be called again where it was interrupted.
        """
        if self.finished:
            return
        self.restore()
        for generator, state in self.settled.values():
            if state is not None:
                generator._seed, generator._counter = state
        for node in self.draw_nodes:
            if type(node.scalar) is Draw:
                node.scalar = node.scalar.value()
        for reference, node, grad in self._first.values():
            tensor = reference()
            if tensor is not None:
                restore_node(tensor, node)
                set_raw_grad(tensor, grad)
