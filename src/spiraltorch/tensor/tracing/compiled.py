"""`compile(fn)`: records a function of tensors once and replays its plan. Never stale.

How it stays right
- While recording, every tensor that existed before (arguments, and whatever the function reaches through closures,
  modules or globals) gets a placeholder for its value when it is first read. So the recorded graph holds no value of
  theirs, each call reads them through their handles, and reading a number on the host raises `TracingError`.
- A call replays only if nothing that recording depended on has changed: the arguments' structure, shapes, dtypes and
  Python values; the captured tensors' shapes and dtypes; what the function can see of Python (see `surroundings`); the
  version of what has no guard of its own; the gradient mode. Otherwise the function is recorded again.
- Tensors that the function updates in place (parameters, optimizer state, running statistics, `.grad`) get their new
  values after each call. Random numbers continue the generator's sequence.
- If recording makes tensors that outlive the call in some object (an optimizer's state at its first step), that call
  runs as it was recorded and the next one records again.
- A recording that is given up, by an error or because the function cannot be replayed, leaves no placeholder behind:
  tensors that it made and updated go back to what they were made as.
- A result through which a gradient could flow outside cannot be replayed, nor can a gradient that flows on into what was
  recorded before, nor a graph that spans devices: such a function is run as plain Python. So is a call with an argument
  that the function also reaches otherwise, where either is updated.
- Arguments that require gradients are part of a recording: `.grad` and closures belong to one tensor.
"""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from ...compiler import evaluate, references
from ...compiler.graph_key import walk
from ...compiler.schedules.tuned import TUNING
from ...compiler.state import STATE
from ...errors import TracingError
from ...graph.node import GRAD_MODE, Node, leaf
from ...telemetry.names import RECORD
from ...telemetry.spans import span
from ..pytree import flatten, unflatten
from ..tensor import Tensor
from . import tracer as tracing
from .generated_replay import MISS, quick
from .guards import SIMPLE, Surroundings, look

F = TypeVar("F", bound=Callable[..., Any])
ENTRY_LIMIT = 64
AROUND_LIMIT = 4


class _Placeholder:
    """Stands for the value of a tensor while a function is recorded."""

    __slots__ = ("name",)

    @property
    def ptr(self) -> int:
        raise TracingError(
            "[compile] expected no value to be read while a function is recorded, got a read of one; move .item(), "
            ".numpy(), print and branches on values out of the compiled function"
        )


class Draw:
    """The scalar of a random operation: the generator's seed, or its counter plus what was drawn before."""

    __slots__ = ("generator", "offset")

    def __init__(self, generator: Any, offset: int | None) -> None:
        self.generator = generator
        self.offset = offset

    def value(self) -> int:
        g = self.generator
        return int(g.seed if self.offset is None else g.counter + self.offset)


class Recorder:
    """What recording learns. See `tracing` for who calls it."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.existing: dict[int, Tensor] = {id(t): t for t in gc.get_objects() if issubclass(type(t), Tensor)}
        self.captured: list[Tensor] = []
        self.originals: list[Node] = []
        self.places: list[Node] = []
        self.index: dict[int, int] = {}
        self.grads: dict[int, tuple[Tensor, Any]] = {}
        self.drawn: dict[int, tuple[Any, int]] = {}
        self.draws: list[Node] = []
        self.made: dict[int, tuple[weakref.ref[Tensor], Node, Any]] = {}  # what tensors of the recording began as

    def read(self, tensor: Tensor) -> None:
        """Called before an operation reads a tensor."""
        key = id(tensor)
        if key in self.index or key not in self.existing:
            return
        node = tensor.node
        if node.buf is None:
            evaluate.evaluate([node])
        place = leaf(_Placeholder(), node.aval, node.rg)
        self.index[key] = len(self.captured)
        self.captured.append(tensor)
        self.originals.append(node)
        self.places.append(place)
        tracing.set_node(tensor, place)
        if node.rg:
            self.write_grad(tensor)

    def write(self, tensor: Tensor) -> None:
        """Called before a tensor is updated in place: its place must be known to give it the new value."""
        self.read(tensor)
        self._born(tensor)

    def write_grad(self, tensor: Tensor) -> None:
        """Remembers the gradient that a tensor had before."""
        self._born(tensor)
        if id(tensor) in self.existing and id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, tracing.raw_grad(tensor))

    def _born(self, tensor: Tensor) -> None:
        """Remembers what a tensor that was made while recording is before its first change."""
        known = self.made.get(id(tensor))
        if id(tensor) not in self.existing and (known is None or known[0]() is not tensor):
            self.made[id(tensor)] = weakref.ref(tensor), tensor.node, tracing.raw_grad(tensor)

    def draw(self, generator: Any, blocks: int, device: str) -> tuple[Node, Node]:
        """The seed and the counter for a draw of so many blocks on a device."""
        from ...dtypes import uint64
        from ...graph import build

        _, used = self.drawn.get(id(generator), (generator, 0))
        self.drawn[id(generator)] = (generator, used + blocks)
        seed = build.scalar(Draw(generator, None), uint64, device)
        counter = build.scalar(Draw(generator, used), uint64, device)
        self.draws += seed, counter
        return seed, counter

    def beyond(self) -> bool:
        """Whether a gradient came to a result of earlier operations, through which it has to flow on."""
        return any(
            tracing.raw_grad(t) is not before and not tracing.is_leaf(self.originals[self.index[id(t)]])
            for t, before in self.grads.values()
        )

    def restore(self) -> None:
        """Puts every captured tensor and gradient back as it was."""
        for tensor, node, _ in zip(
            self.captured, self.originals, self.places, strict=False
        ):  # or interrupted in `read`
            tensor.node = node
        for node, place in zip(self.originals, self.places, strict=False):  # another thread may have read one just now
            place.buf = node.buf
        for tensor, grad in self.grads.values():
            tracing.set_raw_grad(tensor, grad)

    def give_up(self) -> None:
        """Restores, and makes what outlives the recording, an optimizer's state say, as good as made without it."""
        self.restore()
        for node in self.draws:
            node.scalar = node.scalar.value()
        for known, node, grad in self.made.values():
            tensor = known()
            if tensor is not None:
                tensor.node = node
                tracing.set_raw_grad(tensor, grad)


class Entry:
    """One recorded call."""

    def __init__(self) -> None:
        self.plan: Any = None
        self.inputs: list[Any] = []  # of the plan: the number of a captured tensor, or a buffer
        self.scalars: list[Any] = []
        self.captured: list[Tensor] = []
        self.in_args: list[int | None] = []  # for each captured tensor its place among the arguments
        self.fixed: list[tuple[int, Tensor]] = []  # arguments that require gradients, which have to be these
        self.apart: frozenset[int] = frozenset()  # ids of captured tensors that no argument may be
        self.avals: list[Any] = []
        self.rgs: list[bool] = []
        self.updates: list[Any] = []  # (captured tensor, source of its new value)
        self.replaced: list[tuple[int, int]] = []  # (captured tensor, input of the plan) that nothing needs afterwards
        self.out_tree: Any = None
        self.out_slots: list[Any] = []
        self.grads_before: list[Any] = []
        self.grads_new: list[Any] = []
        self.drawn: list[Any] = []
        self.one_shot = False
        self.quick: Any = None  # see `replay`, made when the recording is replayed for the first time
        self.around: Surroundings | None = None  # for which `quick` was made
        self.generation = 0  # of tunings, likewise


def compile(fn: F) -> F:  # the field's word
    """Returns a function that records `fn` at its first call and replays the recording afterwards.

    Arguments may be tensors, numbers, and nested lists, tuples and dicts of them. Raises `TracingError` where `fn`
    reads a value on the host.

    >>> import spiraltorch as st
    >>> f = st.compile(lambda x: (x * 2 + 1).sum())
    >>> f(st.ones(3)).item(), f(st.zeros(3)).item()
    (9.0, 3.0)
    """
    return _Compiled(fn)  # type: ignore[return-value]


class _Compiled:
    """A function with its recordings."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.entries: dict[Any, list[Entry]] = {}
        self.eager: set[Any] = set()
        self.last: Entry | None = None
        self.arounds: list[Surroundings] = []  # seen lately, the newest first
        self.quick: Any = None  # of the recording that was replayed last
        self.traces = 0

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if tracing.recorder() is not None:  # inside another recording: part of it
            return self.fn(*args, **kwargs)
        with STATE.lock:
            if self.quick is not None and not kwargs:
                result = self.quick(args)
                if result is not MISS:
                    return result
            leaves, tree = flatten((args, kwargs))
            tensors = [x for x in leaves if isinstance(x, Tensor)]
            positions: dict[int, int] = {}
            same = tuple([positions.setdefault(id(t), n) for n, t in enumerate(tensors)])
            described = tuple([_described(x) for x in leaves])
            around = self._surroundings(leaves)
            key = (tree, described, same, GRAD_MODE.on, tracing.TRACING.version, around.token)
            if key in self.eager:
                return self.fn(*args, **kwargs)
            for entry in self.entries.get(key, ()):
                if _usable(entry, tensors):
                    if not kwargs:
                        if entry.around is not around or entry.generation != TUNING.generation:
                            entry.around, entry.generation = around, TUNING.generation
                            entry.quick = quick(entry, around, args)
                        self.quick = entry.quick
                    return self._install(entry, tensors, self._run(entry, tensors))
            twins = {i: _twin(tensors[n]) for i, n in positions.items()}
            leaves = [twins.get(id(x), x) for x in leaves]
            inside = {id(twins[i]): n for i, n in positions.items()}
            return self._record(key, (args, kwargs), unflatten(tree, leaves), tensors, inside)

    def report(self) -> dict[str, Any]:
        """Figures of the newest recording: kernels, kernels without fusion, bytes moved, bytes of intermediates."""
        if self.last is None:
            return {}
        figures = self.last.plan.statistics
        return {
            "kernels": figures.kernels, "kernels_unfused": figures.operations, "bytes_moved": figures.memory.moved_bytes,
            "intermediate_bytes": figures.memory.arena_bytes, "compile_seconds": figures.seconds,
            "recordings": self.traces,
        }  # fmt: skip

    def _surroundings(self, leaves: list[Any]) -> Surroundings:
        """What can be seen from the function, and from arguments that are neither tensors nor plain values."""
        roots = [
            self.fn,
            *(x for x in leaves if not isinstance(x, (Tensor, *SIMPLE))),
            *tracing.TRACING.leaf_hooks.values(),
        ]
        for around in self.arounds:
            if around.still(roots):
                return around
        self.arounds = [look(roots), *self.arounds[: AROUND_LIMIT - 1]]
        return self.arounds[0]

    # ------------------------------------------------------------ recording

    def _record(self, key: Any, given: Any, inside: Any, tensors: list[Tensor], positions: dict[int, int]) -> Any:
        """Records the function on `inside`, the given arguments with twins in place of plain tensors."""
        self.traces += 1
        tracer = Recorder()
        try:
            made = self._recorded(key, tracer, given, inside, tensors, positions)
        except BaseException:  # an interrupt may come anywhere
            tracing.TRACING.stop()
            tracer.give_up()
            raise
        return self.fn(*given[0], **given[1]) if made is MISS else made

    def _recorded(
        self, key: Any, tracer: Recorder, given: Any, inside: Any, tensors: list[Tensor], positions: dict[int, int]
    ) -> Any:  # fmt: skip
        """The results of the recorded call; MISS where the recording was given up for plain Python."""
        epoch = tracing.TRACING.version
        for t in flatten(inside)[0]:
            if isinstance(t, Tensor):
                tracer.existing[id(t)] = t
                tracer.read(t)
        tracing.TRACING.start(tracer)
        with span(RECORD, function=getattr(self.fn, "__qualname__", type(self.fn).__name__)):
            result = self.fn(*inside[0], **inside[1])
        for t in (*flatten(result)[0], *(tracing.raw_grad(t) for t, _ in tracer.grads.values())):
            if isinstance(t, Tensor):  # what is only handed on was read by no operation
                tracer.read(t)
        tracing.TRACING.stop()
        out_leaves, out_tree = flatten(result)
        outs = [x for x in out_leaves if isinstance(x, Tensor)]
        grads = [(tracing.raw_grad(t), before) for t, before in tracer.grads.values()]
        outs += [after for after, before in grads if after is not None and after is not before]
        if any(t.node.rg and GRAD_MODE.on for t in outs if id(t) not in tracer.index) or tracer.beyond():
            tracer.give_up()
            self.eager.add(key)
            return MISS
        return self._finish(key, tracer, tensors, positions, out_leaves, out_tree, epoch)

    def _finish(
        self, key: Any, tracer: Recorder, tensors: list[Tensor], positions: dict[int, int], out_leaves: list[Any],
        out_tree: Any, epoch: int,
    ) -> Any:  # fmt: skip
        entry = Entry()
        updates = [(n, t.node) for n, t in enumerate(tracer.captured) if t.node is not tracer.places[n]]
        entry.in_args = [positions.get(id(t)) for t in tracer.captured]
        entry.apart = _apart(tracer.captured, entry.in_args, [n for n, _ in updates])
        if any(id(t) in entry.apart for t in tensors):
            tracer.give_up()
            return MISS
        grads = []
        for tensor, before in tracer.grads.values():
            after = tracing.raw_grad(tensor)
            if after is not before:
                grads.append((tensor, before, after))
        kept = {id(t) for t in out_leaves} | {id(after) for _, _, after in grads}
        escaped = _escaped(tracer, kept)
        wanted = [node for _, node in updates]
        wanted += [t.node for t in out_leaves if isinstance(t, Tensor)]
        wanted += [after.node for _, _, after in grads if after is not None]
        wanted += [t.node for t in escaped]
        roots = list(dict.fromkeys(n for n in wanted if n.buf is None))
        order, _, scalars, leaves = walk(roots) if roots else ([], (), [], [])
        if not evaluate.on_one_device(order):
            tracer.give_up()
            self.eager.add(key)
            return MISS
        index_of_place = {p: n for n, p in enumerate(tracer.places)}
        slot = {node: n for n, node in enumerate(roots)}
        entry.plan = evaluate.plan_for(roots, order, leaves) if roots else None
        entry.inputs = [index_of_place[n] if n in index_of_place else n.buf for n in leaves]
        entry.scalars = scalars
        entry.captured = tracer.captured
        entry.fixed = [(n, t) for n, t in enumerate(tensors) if t.node.rg]
        entry.avals = [p.aval for p in tracer.places]
        entry.rgs = [p.rg for p in tracer.places]

        def source(node: Node) -> Any:
            """Where a wanted value comes from: ('made', n), ('input', n), or a node that has its value."""
            if node in slot:
                return ("made", slot[node])
            return ("input", index_of_place[node]) if node in index_of_place else ("value", node)

        entry.updates = [(n, source(node)) for n, node in updates]
        entry.out_tree = out_tree
        entry.out_slots = []
        for x in out_leaves:
            if not isinstance(x, Tensor):
                entry.out_slots.append(("constant", x))
            elif id(x) in tracer.index:
                entry.out_slots.append(("handle", tracer.index[id(x)]))
            else:
                entry.out_slots.append(source(x.node))
        entry.grads_before = [(t, before) for t, before in tracer.grads.values()]
        entry.grads_new = [
            (t, before if after is not None else None, None if after is None else source(after.node))
            for t, before, after in grads
        ]
        entry.drawn = list(tracer.drawn.values())
        entry.one_shot = bool(escaped) or tracing.TRACING.version != epoch
        entry.replaced = _replaced(entry)
        self.last = entry if entry.plan is not None else self.last
        tracer.restore()
        made = self._run(entry, tensors)
        for t in escaped:
            kind, where = source(t.node)
            if kind == "made" and t.node.rg:  # gradients flow on through what it was made of
                t.node.buf = made[where].buf
            else:
                t.node = made[where] if kind == "made" else entry.captured[where].node if kind == "input" else where
        if not entry.one_shot:
            found = self.entries.setdefault(key, [])
            found.insert(0, entry)
            if len(self.entries) > ENTRY_LIMIT:
                self.entries.pop(next(iter(self.entries)))
            del found[8:]
        return self._install(entry, tensors, made)

    # ------------------------------------------------------------ replay

    def _run(self, entry: Entry, tensors: list[Tensor]) -> list[Node]:
        """Launches the plan on the present values; nothing is installed yet."""
        if entry.plan is None:
            return []
        given: list[int] = []
        if entry.replaced:
            nodes = [_handle(entry, n, tensors).node for n, _ in entry.replaced]
            given = [slot for (_, slot), own in zip(entry.replaced, references.solely_owned(nodes), strict=True) if own]
            del nodes
        buffers = []
        for place in entry.inputs:
            if type(place) is int:
                buffers.append(_handle(entry, place, tensors).node.buf)
            else:
                buffers.append(place)
        scalars = [s.value() if type(s) is Draw else s for s in entry.scalars]
        made = entry.plan.run(buffers, scalars, given)
        return [leaf(b, aval) for b, aval in zip(made, entry.plan.avals, strict=True)]

    def _install(self, entry: Entry, tensors: list[Tensor], made: list[Node]) -> Any:
        inputs = {}  # values before any of them is replaced
        for _, (kind, where) in (*entry.updates, *((None, s) for s in entry.out_slots)):
            if kind == "input":
                inputs[where] = _handle(entry, where, tensors).node

        def value(source: Any) -> Node:
            kind, where = source
            return made[where] if kind == "made" else inputs[where] if kind == "input" else where

        def fresh(source: Any) -> Tensor:
            node = value(source)
            return Tensor(leaf(node.buf, node.aval) if node.rg else node)

        news = []
        for t, before, source in entry.grads_new:
            if source is not None and source[0] == "input":
                inputs.setdefault(source[1], _handle(entry, source[1], tensors).node)
            news.append((t, before, source))
        results = [
            x if kind == "constant" else _handle(entry, x, tensors) if kind == "handle" else fresh((kind, x))
            for kind, x in entry.out_slots
        ]
        for n, source in entry.updates:
            handle = _handle(entry, n, tensors)
            node = value(source)
            if entry.rgs[n]:
                tracing.set_node(handle, leaf(node.buf, node.aval, True))
            else:
                handle.node = node
        for t, before, source in news:
            if before is not None and source is not None:  # the handle stays, as a captured tensor's does
                before.node = fresh(source).node
                tracing.set_raw_grad(t, before)
            else:
                tracing.set_raw_grad(t, None if source is None else fresh(source))
        for generator, blocks in entry.drawn:
            generator.counter += blocks
        return unflatten(entry.out_tree, results)


def _twin(tensor: Tensor) -> Tensor:
    """Another handle for an argument, so that the same tensor seen through a closure is told from the argument."""
    if tensor.node.rg:
        return tensor
    twin: Tensor = type(tensor).__new__(type(tensor))
    twin.node = tensor.node
    twin._grad = None
    return twin


def _apart(captured: list[Tensor], in_args: list[int | None], updates: list[int]) -> frozenset[int]:
    """Which captured tensors an argument may not be, as one of the two is updated and the other would not notice."""
    outside = [n for n, at in enumerate(in_args) if at is None]
    if all(in_args[n] is None for n in updates):
        outside = [n for n in outside if n in updates]
    return frozenset(id(captured[n]) for n in outside) if updates else frozenset()


def _replaced(entry: Entry) -> list[tuple[int, int]]:
    """Captured tensors that get new values and whose old ones no result is, with their places among the plan's inputs."""
    if entry.plan is None:
        return []
    wanted = set(entry.plan.executable.donatable)
    sources = [s for _, s in entry.updates] + entry.out_slots + [s for _, _, s in entry.grads_new if s is not None]
    shown = {where for kind, where in sources if kind == "input"}
    new = {n for n, _ in entry.updates} - shown
    return [(n, slot) for slot, n in enumerate(entry.inputs) if slot in wanted and type(n) is int and n in new]


def _handle(entry: Entry, n: int, tensors: list[Tensor]) -> Tensor:
    at = entry.in_args[n]
    return entry.captured[n] if at is None else tensors[at]


def _described(x: Any) -> Any:
    """What a recording depends on of one argument. Of other objects than these `surroundings` keeps track."""
    if isinstance(x, Tensor):
        return (x.node.aval, x.node.rg)
    if isinstance(x, SIMPLE):
        return (type(x), repr(x) if isinstance(x, (float, complex)) else x)
    return type(x)


def _usable(entry: Entry, tensors: list[Tensor]) -> bool:
    """Whether the captured tensors are still what the recording saw. Evaluates those that are pending."""
    pending = []
    if any(tensors[n] is not t for n, t in entry.fixed) or any(id(t) in entry.apart for t in tensors):
        return False
    for n, aval in enumerate(entry.avals):
        node = _handle(entry, n, tensors).node
        if node.aval is not aval or node.rg is not entry.rgs[n]:
            return False
        if node.buf is None:
            pending.append(node)
    for t, before in entry.grads_before:
        if tracing.raw_grad(t) is not before:
            return False
    at = [p for p in entry.in_args if p is not None]
    if len({id(tensors[p]) for p in at}) != len(at):
        return False
    if pending:
        evaluate.evaluate(pending)
    return True


def _escaped(tracer: Recorder, kept: set[int]) -> list[Tensor]:
    """Tensors made while recording that something still holds, results and gradients aside."""
    candidates = [
        t for t in gc.get_objects()
        if issubclass(type(t), Tensor) and id(t) not in tracer.existing and id(t) not in kept and t.node.buf is None
    ]  # fmt: skip
    if not candidates:
        return []
    del candidates
    gc.collect()
    return [
        t for t in gc.get_objects()
        if issubclass(type(t), Tensor) and id(t) not in tracer.existing and id(t) not in kept
        and (t.node.buf is None or t.node in tracer.places)
    ]  # fmt: skip
