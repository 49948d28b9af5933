"""The quick way through a compiled function: one generated Python function for each recording.

It does what `compile` does for a recording that fits, with every check and every step spelled out: no trees, no keys, no
loops. Whatever it does not expect gives `MISS`, and the caller takes the long way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...compiler import references
from ...compiler.planning.launch import make_launcher
from ...compiler.schedules.tuned import TUNING
from ...graph.node import GRAD_MODE, leaf
from ..tensor import Tensor
from . import tracer as tracing
from .guards import SIMPLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .compiled import Draw, Entry
    from .guards import Surroundings

MISS = object()
MAX_ARGUMENTS = 6


class _Writer:
    """Lines of source, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def name(self, thing: Any) -> str:
        """A name for an object."""
        name = f"k{len(self.names)}"
        self.names[name] = thing
        return name

    def add(self, line: str, depth: int = 1) -> None:
        self.lines.append("    " * depth + line)


def quick(entry: Entry, around: Surroundings, args: tuple[Any, ...]) -> Callable[[tuple[Any, ...]], Any]:
    """A function of the positional arguments that replays the recording, or gives `MISS`.

    `around` and `args` are surroundings and arguments for which the recording fits.
    """
    w = _Writer()
    tensors = [n for n, a in enumerate(args) if isinstance(a, Tensor)]
    if len(args) > MAX_ARGUMENTS or entry.plan is None or len({id(args[n]) for n in tensors}) < len(tensors):
        return _never
    if any(isinstance(a, (list, tuple, dict)) for a in args):
        return _never
    handles = [
        f"a{tensors[at]}" if at is not None else w.name(t) for t, at in zip(entry.captured, entry.in_args, strict=True)
    ]
    w.add("def replay(args):", 0)
    _guards(w, entry, around, args, tensors, handles)
    _run(w, entry, handles)
    _install(w, entry, handles)
    scope: dict[str, Any] = {"MISS": MISS, "leaf": leaf, "Tensor": Tensor, **w.names}
    exec("\n".join(w.lines), scope)  # the text is made of names and numbers only
    made: Callable[[tuple[Any, ...]], Any] = scope["replay"]
    return made


def _never(args: tuple[Any, ...]) -> Any:
    """For recordings that are always replayed the long way."""
    return MISS


def _guards(
    w: _Writer, entry: Entry, around: Surroundings, args: tuple[Any, ...], tensors: list[int], handles: list[str],
) -> None:  # fmt: skip
    """What the recording depended on. Names of nodes are let go: `references.solely_owned` counts references."""
    tests = [f"len(args) != {len(args)}"]
    w.add(f"if {tests[0]}: return MISS")
    if args:
        w.add("".join(f"a{n}, " for n in range(len(args))) + "= args")
    tests = [
        f"{w.name(GRAD_MODE)}.on is not {w.name(GRAD_MODE.on)}",
        f"{w.name(tracing.TRACING)}.recorder is not None",
        f"{w.name(TUNING)}.generation != {entry.plan.generation}",
    ]
    seen = set(handles)
    for n, a in enumerate(args):
        if isinstance(a, Tensor):
            tests.append(f"type(a{n}) is not {w.name(type(a))}")
            if f"a{n}" not in seen:
                tests.append(f"(x := a{n}.node).aval is not {w.name(a.node.aval)} or x.rg is not {a.node.rg}")
            tests += [f"a{n} is a{m}" for m in tensors if m < n]
            tests += [f"id(a{n}) in {w.name(entry.apart)}"] if entry.apart else []
            tests += [f"a{n} is not {w.name(a)}"] if a.node.rg else []
        elif isinstance(a, SIMPLE):
            tests.append(f"type(a{n}) is not {w.name(type(a))} or repr(a{n}) != {w.name(repr(a))}")
        else:
            tests.append(f"a{n} is not {w.name(a)}")
    tests.append(f"not {w.name(around.unchanged)}()")
    for handle, aval, rg in zip(handles, entry.avals, entry.rgs, strict=True):
        tests.append(f"(x := {handle}.node).aval is not {w.name(aval)} or x.rg is not {rg} or x.buf is None")
    tests += [f"{w.name(t)}._grad is not {w.name(before)}" for t, before in entry.grads_before]
    w.add(f"if {' or '.join(tests)}: return MISS")
    w.add("x = None")


def _run(w: _Writer, entry: Entry, handles: list[str]) -> None:
    """One launch of the plan on the present values."""
    buffers = [f"{handles[p]}.node.buf" if type(p) is int else w.name(p) for p in entry.inputs]
    scalars = [f"{w.name(s)}.value()" if _is_draw(s) else w.name(s) for s in entry.scalars]
    if entry.replaced:
        nodes = ", ".join(f"{handles[n]}.node" for n, _ in entry.replaced)
        slots = w.name([slot for _, slot in entry.replaced])
        w.add(f"given = [s for s, own in zip({slots}, {w.name(references.solely_owned)}([{nodes}])) if own]")
        w.add(f"made = {w.name(entry.plan.run)}([{', '.join(buffers)}], [{', '.join(scalars)}], given)")
    else:
        launch = make_launcher(entry.plan)
        w.add(f"made = {w.name(launch)}({', '.join(buffers + scalars)})")
    for n, aval in enumerate(entry.plan.avals):
        w.add(f"m{n} = leaf(made[{n}], {w.name(aval)})")


def _is_draw(s: Draw | Any) -> bool:
    return hasattr(s, "generator")


def _install(w: _Writer, entry: Entry, handles: list[str]) -> None:
    """Gives handles their new values and makes the results."""
    sources = [s for _, s in entry.updates] + entry.out_slots + [s for _, _, s in entry.grads_new if s is not None]
    for n in dict.fromkeys(where for kind, where in sources if kind == "input"):
        w.add(f"i{n} = {handles[n]}.node")  # before any of them is replaced

    def node(source: Any) -> str:
        kind, where = source
        return f"m{where}" if kind == "made" else f"i{where}" if kind == "input" else w.name(where)

    def fresh(source: Any) -> str:
        name = node(source)
        if source[0] == "made":
            return f"Tensor({name})"
        return f"Tensor(leaf({name}.buf, {name}.aval) if {name}.rg else {name})"

    results = []
    for n, (kind, where) in enumerate(entry.out_slots):
        value = w.name(where) if kind == "constant" else handles[where] if kind == "handle" else fresh((kind, where))
        w.add(f"r{n} = {value}")
        results.append(f"r{n}")
    for n, source in entry.updates:
        if entry.rgs[n]:
            name = node(source)
            w.add(f"{w.name(tracing.set_node)}({handles[n]}, leaf({name}.buf, {name}.aval, True))")
        else:
            w.add(f"{handles[n]}.node = {node(source)}")
    for t, before, source in entry.grads_new:
        if before is not None and source is not None:  # the handle stays, as a captured tensor's does
            w.add(f"{w.name(before)}.node = {fresh(source)}.node")
            w.add(f"{w.name(t)}._grad = {w.name(before)}")
        else:
            w.add(f"{w.name(t)}._grad = {'None' if source is None else fresh(source)}")
    for generator, blocks in entry.drawn:
        w.add(f"{w.name(generator)}.counter += {blocks}")
    if entry.out_tree is None:
        w.add(f"return {results[0]}")
    else:
        from ..pytree import unflatten

        w.add(f"return {w.name(unflatten)}({w.name(entry.out_tree)}, [{', '.join(results)}])")
