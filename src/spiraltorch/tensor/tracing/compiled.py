"""`compile(fn)`: records a function of tensors once and replays its plan. A replay is never stale.

How that is ensured
- While recording, every tensor that existed before (arguments, and whatever the function reaches through closures,
  modules or globals) gets a placeholder for its value when it is first read. So the recorded graph holds none of their
  values, each call reads them through their handles, and reading a number on the host raises `TracingError`.
- A call replays only if nothing that recording depended on has changed: the arguments' structure, shapes, dtypes and
  Python values; the captured tensors' shapes and dtypes; the Python state that the function can reach (see `guards`); the
  version of `TRACING`; the gradient mode. Otherwise the function is recorded again.
- Tensors that the function updates in place (parameters, optimizer state, running statistics, `.grad`) get their new
  values after each call. Random numbers continue the generator's sequence.
- If recording makes tensors that outlive the call in some object (an optimizer's state at its first step), that call
  runs as it was recorded and the next one records again.
- A recording that is aborted, by an error or because the function cannot be replayed, leaves no placeholder behind:
  tensors that it made and updated get back the values that they had at first.
- A result through which a gradient could flow outside cannot be replayed, nor can a gradient that flows on into what was
  recorded before, nor a graph that spans devices. The recorded call keeps its results (`adoption`), so that the function
  has run once; later ones are plain Python. So is a call with an argument that the function also reaches otherwise,
  where either is updated: there the function has run twice at the first such call.
- A function that reads or sets the state of a random generator which it did not make is recorded at each call.
- Arguments that require gradients are part of a recording: `.grad` and closures belong to one tensor.
"""

from __future__ import annotations

import functools
import sys
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ...compiler import evaluate
from ...compiler.graph_key import walk
from ...compiler.planning.plan import Plan
from ...compiler.state import STATE
from ...compiler.tuning_state import TUNING
from ...errors import TracingError
from ...graph.node import GRAD_MODE, Node
from ...telemetry.names import RECORD
from ...telemetry.spans import span
from ...typing import PyTree
from ..arguments import check_function
from ..pytree import TreeDef, flatten, unflatten
from ..tensor import Tensor
from .adoption import adopt, share_arguments
from .generated_replay import MISS, generate_replay
from .guards import PLAIN_TYPES, Snapshot, snapshot
from .identity import is_dead
from .outputs import output_of, output_views
from .purity import PACKAGE, top_package
from .recording import (
    CapturedValue,
    GradUpdate,
    PlanResult,
    Recorder,
    Recording,
    Replay,
    Source,
    Update,
)
from .replay import perform, shares, usable
from .tracer import TRACING, is_leaf, raw_grad, recorder

P = ParamSpec("P")
R = TypeVar("R")
Key = tuple[Any, ...]  # hashable; the last is that of a snapshot
KEY_LIMIT = 64
RECORDINGS_PER_KEY = 8
SNAPSHOT_LIMIT = 4


@overload
def compile(fn: Callable[P, R], *, strict: bool = False) -> CompiledFunction[P, R]: ...
@overload
def compile(fn: None = None, *, strict: bool = False) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...
def compile(  # the established name
    fn: Callable[P, R] | None = None, *, strict: bool = False
) -> CompiledFunction[P, R] | Callable[[Callable[P, R]], CompiledFunction[P, R]]:
    """Returns a function that records `fn` at its first call and replays the recording afterwards.

    The recorded graph is fused and planned as a whole, gradients and in-place updates included, and a replay is one call
    into native code. The function is recorded again whenever something changes that the recording depends on: shapes,
    dtypes, Python values of arguments, or the Python state that `fn` can reach.

    Three kinds of functions are not replayed; each gives one warning, and the results are those of `fn`.
    - A function that changes Python state which it can reach (a counter, a list, an attribute), or uses what cannot be
      compared with what it was (random numbers of the host, clocks, files, iterators, other libraries' extensions), is
      recorded at each call. Its plan is still compiled only once.
    - A function runs as plain Python where a gradient could flow on through what it returns, stores or updates, or through
      a new `.grad`. So a training step returns `loss.detach()`, not `loss`.
    - A function whose graph spans devices runs as plain Python.

    Args:
        fn: a function of tensors, numbers, and nested lists, tuples and dicts of them. Python code in it runs while it
            is recorded only. It must not read values of tensors on the host. Without it, a decorator is returned.
        strict: whether these functions raise instead.

    Returns:
        A function of the same arguments. Its `report()` describes the most recent recording, its `reason` says why it is
        not replayed.

    Raises:
        TracingError: when called, if `fn` reads a value on the host, or cannot be replayed and `strict` is true.

    Example:
        >>> import spiraltorch as st
        >>> f = st.compile(lambda x: (x * 2 + 1).sum())
        >>> f(st.ones(3)).item(), f(st.zeros(3)).item()
        (9.0, 3.0)
    """
    if fn is None:
        return lambda function: compile(function, strict=strict)
    check_function(fn, "compile")
    return CompiledFunction(fn, strict)


@dataclass(eq=False, repr=False)
class _Call:
    """One call that is recorded.

    Attributes:
        key: the key of the recording.
        args, kwargs: the arguments.
        traced: the arguments, with new handles in place of tensors that require no gradients.
        tensors: the tensors among the arguments.
        positions: the positions of the traced tensors among them, by id.
        version: the version of `TRACING` before the function runs.
        state: the Python state before the function runs.
    """

    key: Key
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    traced: tuple[tuple[Any, ...], dict[str, Any]]
    tensors: list[Tensor]
    positions: dict[int, int]
    version: int
    state: Snapshot

    def arguments_of_handles(self) -> dict[int, Tensor]:
        """The tensor arguments, by the id of the handle that the function was given."""
        return {handle: self.tensors[n] for handle, n in self.positions.items()}


class CompiledFunction(Generic[P, R]):
    """A function with its recordings, as `st.compile` returns it.

    Attributes:
        fn: the function that was compiled.
        strict: whether calls that cannot be replayed raise.
        traces: the number of times that it was recorded.
        reason: why the latest call could not be replayed; an empty string where it can.
    """

    def __init__(self, fn: Callable[P, R], strict: bool = False) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.strict = strict
        self.traces = 0
        self.reason = ""
        self._warned = False
        self._changes = 0  # recorded calls in a row that changed Python state
        self._recordings: dict[Key, list[Recording]] = {}
        self._plain: dict[Key, None] = {}  # of calls that run as plain Python
        self._latest: Plan | None = None
        self._snapshots: list[Snapshot] = []  # the newest first
        self._watched: dict[int, weakref.ref[object]] = {}  # arguments that are neither tensors nor plain values, by id
        self._replay: Replay | None = None  # of the recording that was replayed last

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., R]:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if recorder() is not None:  # inside another recording: part of it
            return self.fn(*args, **kwargs)
        if STATE.recording is not None:
            STATE.await_recording()
        with STATE.lock:
            if self._replay is not None and not kwargs:
                result = self._replay(args)
                if result is not MISS:
                    return result  # type: ignore[no-any-return]
            return self._call(args, kwargs)  # type: ignore[no-any-return]

    def report(self) -> dict[str, int | float]:
        """Returns figures of the most recent recording that has kernels.

        Returns:
            A dict of `kernels`, `kernels_unfused` (before fusion), `bytes_moved` (read and written by a call),
            `intermediate_bytes`, `compile_seconds`, and `recordings` (how often the function was recorded). It is empty
            before the first call, and of a function that always runs as plain Python.

        Example:
            >>> import spiraltorch as st
            >>> f = st.compile(lambda x: st.exp(x) * 2)
            >>> f(st.ones(3)).shape, f.report()["kernels"]
            ((3,), 1)
        """
        if self._latest is None:
            return {}
        figures = self._latest.statistics
        return {
            "kernels": figures.kernels, "kernels_unfused": figures.operations, "bytes_moved": figures.memory.moved_bytes,
            "intermediate_bytes": figures.memory.arena_bytes, "compile_seconds": figures.seconds,
            "recordings": self.traces,
        }  # fmt: skip

    # ------------------------------------------------------------ calls

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PyTree:
        """Replays a recording that fits, or records the call. Everything that the generated replay does not handle."""
        leaves, tree = flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        first: dict[int, int] = {}  # where each tensor comes first, by id
        repeated = tuple([first.setdefault(id(t), n) for n, t in enumerate(tensors)])
        state = self._snapshot(leaves)
        key = (tree, tuple(map(_argument_key, leaves)), repeated, GRAD_MODE.on, TRACING.version, state.key)
        if key in self._plain:
            return self.fn(*args, **kwargs)
        for recording in self._recordings.get(key, ()):
            if usable(recording, tensors):
                if not kwargs:
                    self._replay = _replay_of(recording, state, args)
                return perform(recording, tensors)
        handles = {i: _new_handle(tensors[n]) for i, n in first.items()}
        traced = unflatten(tree, [handles.get(id(x), x) for x in leaves])
        positions = {id(handles[i]): n for i, n in first.items()}
        if state.unguarded is not None:
            self._not_replayed(
                f"it uses {state.unguarded}, of which no change can be seen", "move it out of the function"
            )
        return self._record(_Call(key, args, kwargs, traced, tensors, positions, TRACING.version, state))

    def _not_replayed(self, reason: str, remedy: str) -> None:
        """Notes why calls are not replayed, and warns once. Raises `TracingError` if `strict`."""
        self.reason = reason
        name = getattr(self.fn, "__qualname__", type(self.fn).__name__)
        message = f"[compile] expected {name} to be replayed, but {reason}"
        if self.strict:
            raise TracingError(f"{message}; {remedy}")
        if not self._warned:
            self._warned = True
            text = f"{message}. Its results are right, and it is slower than it could be; {remedy}"
            warnings.warn(text, RuntimeWarning, _level_of_caller())

    def _snapshot(self, leaves: list[Any]) -> Snapshot:
        """The state reachable from the function, and from arguments that are neither tensors nor plain values."""
        opaque = [x for x in leaves if not isinstance(x, (Tensor, *PLAIN_TYPES))]
        roots = [self.fn, *opaque, *TRACING.hooks()]
        for known in self._snapshots:
            if known.matches(roots):
                return known
        weak = [x for x in opaque if type(x).__weakrefoffset__]
        found = snapshot(roots, weak)
        self._snapshots = [found, *self._snapshots[: SNAPSHOT_LIMIT - 1]]
        for x in weak:
            self._watch(x)
        return found

    def _watch(self, x: object) -> None:
        """Has everything dropped that was recorded for an argument, when that is no more."""
        function, number = weakref.ref(self), id(x)

        def gone(_: object) -> None:
            if (known := function()) is not None:
                del known._watched[number]
                known._forget_dead()

        if number not in self._watched:
            self._watched[number] = weakref.ref(x, gone)

    def _forget_dead(self) -> None:
        """Drops what was recorded for arguments that are no more."""
        self._replay = None
        self._snapshots = [known for known in self._snapshots if known.is_alive()]
        self._recordings = {key: kept for key, kept in self._recordings.items() if not is_dead(key[-1])}
        self._plain = {key: None for key in self._plain if not is_dead(key[-1])}

    # ------------------------------------------------------------ recording

    def _record(self, call: _Call) -> PyTree:
        """Records a call and returns its results. Where that cannot be replayed, the function runs as plain Python."""
        self.traces += 1
        recorder = Recorder()
        try:
            outputs, out_tree = self._run_recorded(call, recorder)
            result = self._finish(call, recorder, outputs, out_tree)
        except BaseException:  # KeyboardInterrupt may be raised anywhere
            _end_recording(recorder)
            raise
        return self.fn(*call.args, **call.kwargs) if result is MISS else result

    def _run_recorded(self, call: _Call, recorder: Recorder) -> tuple[list[Any], TreeDef]:
        """Runs the function under the recorder. Returns the leaves of its result, and their nesting."""
        for x in flatten(call.traced)[0]:
            if isinstance(x, Tensor):
                recorder.read(x)
        TRACING.start(recorder)
        args, kwargs = call.traced
        with span(RECORD, function=getattr(self.fn, "__qualname__", type(self.fn).__name__)):
            result = self.fn(*args, **kwargs)
        outputs, out_tree = flatten(result)
        for x in (*outputs, *(raw_grad(t) for t, _ in recorder.grads.values())):
            if isinstance(x, Tensor):  # a tensor that is only returned was read by no operation
                recorder.read(x)
        TRACING.stop()
        return outputs, out_tree

    def _finish(self, call: _Call, recorder: Recorder, outputs: list[Any], out_tree: TreeDef) -> PyTree:
        """Compiles the recorded graph, runs it, and keeps the recording. MISS where it cannot be replayed."""
        updates, grads = recorder.updates(), recorder.grad_changes()
        new_grads = [after for _, _, after in grads if after is not None]
        results = [x for x in outputs if isinstance(x, Tensor)]
        returned = {id(x) for x in outputs} | {id(t) for t in new_grads}
        escaped = recorder.escaped(returned)
        stored = [t for t in escaped if not is_leaf(t.node)]
        carries = _carries_gradient(recorder, results + new_grads + stored) or recorder.changes_gradients()
        if carries or recorder.reaches_earlier_graph():
            reason = "a gradient could flow on through what it returns, stores, updates or leaves in `.grad`"
            return self._as_it_ran(call, recorder, (outputs, out_tree), reason, "return loss.detach() instead of loss")
        arguments = [call.positions.get(id(t)) for t in recorder.captured]
        updated = [n for n, _ in updates]
        unaliased = _unaliased(arguments, updated)
        distinct = any(arguments[n] is not None for n in updated)
        if shares(recorder.captured, unaliased, distinct, call.tensors):
            recorder.abort()
            return MISS
        nodes = [node for _, node in updates] + [t.node for t in results + new_grads + escaped]
        roots = list(dict.fromkeys([n for n in nodes if n.buf is None]))
        order, _, scalars, leaves = walk(roots) if roots else ([], (), [], [])
        if not evaluate.on_one_device(order):
            remedy = "move all tensors to one device before the call"
            return self._as_it_ran(call, recorder, (outputs, out_tree), "its graph spans devices", remedy)
        sources: dict[Node, Source] = {n: CapturedValue(i) for i, n in enumerate(recorder.placeholders)}
        inputs = [sources.get(n, n.buf) for n in leaves]
        sources.update({n: PlanResult(i) for i, n in enumerate(roots)})
        recording = Recording(
            plan=evaluate.plan_for(roots, order, leaves) if roots else None,
            inputs=inputs,
            scalars=scalars,
            captured=recorder.captured,
            arguments=arguments,
            avals=[n.aval for n in recorder.placeholders],
            requires_grad=[n.rg for n in recorder.placeholders],
            fixed_arguments=[(n, t) for n, t in enumerate(call.tensors) if t.node.rg],
            unaliased=unaliased,
            distinct=distinct,
            views=list(recorder.views.values()),
            output_views=output_views(recorder, outputs),
            grads_before=recorder.grads_before(),
            updates=[Update(n, sources.get(node, node)) for n, node in updates],
            grad_updates=[
                GradUpdate(t, None if after is None else sources.get(after.node, after.node)) for t, _, after in grads
            ],
            draws=list(recorder.drawn.values()),
            outputs=[output_of(x, recorder, sources) for x in outputs],
            out_tree=out_tree,
            one_shot=bool(escaped) or TRACING.version != call.version or recorder.sets_generators,
        )
        return self._first_run(call, recorder, recording, [(t, sources.get(t.node, t.node)) for t in escaped])

    def _as_it_ran(
        self, call: _Call, recorder: Recorder, result: tuple[list[Any], TreeDef], reason: str, remedy: str
    ) -> PyTree:
        """The result of a call that cannot be replayed: of its only run. Calls of its key are plain Python from now on."""
        if self.strict:
            recorder.abort()
        else:
            adopt(recorder, call.arguments_of_handles())
        self._plain[call.key] = None
        if len(self._plain) > KEY_LIMIT:
            self._plain.pop(next(iter(self._plain)))
        self._not_replayed(reason, remedy)
        outputs, out_tree = result
        arguments = call.arguments_of_handles()
        return unflatten(out_tree, [arguments.get(id(x), x) for x in outputs])

    def _first_run(
        self, call: _Call, recorder: Recorder, recording: Recording, escaped: list[tuple[Tensor, Source]]
    ) -> PyTree:
        """Runs a new recording for the call that was recorded, and keeps it for others."""
        self._latest = recording.plan or self._latest
        recorder.restore()
        kept = self._keep_if_valid(call, recorder, recording)
        result = perform(recording, call.tensors, escaped, recorder)
        if not kept:
            share_arguments(recorder, call.arguments_of_handles())
        return result

    def _keep_if_valid(self, call: _Call, recorder: Recorder, recording: Recording) -> bool:
        """Keeps a recording for other calls, unless the function changes state or uses what no guard can see."""
        if call.state.unguarded is not None:
            return False
        if recorder.host_state:
            self._not_replayed(
                f"it uses {recorder.host_state}, of which no change can be seen", "move it out of the function"
            )
            return False
        changed = call.state.changed() if not call.state.unchanged() else ""
        if recorder.sets_generators:
            changed = changed or "or reads the state of a random generator"
        if changed or recording.one_shot:
            self._changes += 1
            if changed and self._changes > 1:  # the first call may set up what later ones use
                self._not_replayed(f"each call changes {changed}", "return the value instead of storing it")
            return False
        self._changes, self.reason = 0, ""
        self._keep(call.key, recording)
        return True

    def _keep(self, key: Key, recording: Recording) -> None:
        """Keeps a recording, the newest first. Drops the oldest where there are too many."""
        recordings = self._recordings.setdefault(key, [])
        recordings.insert(0, recording)
        if len(self._recordings) > KEY_LIMIT:
            self._recordings.pop(next(iter(self._recordings)))
        del recordings[RECORDINGS_PER_KEY:]


def _level_of_caller() -> int:
    """The `stacklevel` with which a warning of the function that asks names the line of the user's call."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and top_package(frame.f_globals.get("__name__")) == PACKAGE:
        level, frame = level + 1, frame.f_back
    return level


def _argument_key(x: Any) -> object:
    """What a recording depends on of one argument. Objects other than tensors and plain values are left to `guards`."""
    if isinstance(x, Tensor):
        return (x.node.aval, x.node.rg)
    if isinstance(x, PLAIN_TYPES):
        return (type(x), repr(x) if isinstance(x, (float, complex)) else x)
    return type(x)


def _new_handle(tensor: Tensor) -> Tensor:
    """A new handle on an argument's value, which distinguishes it from the same tensor reached through a closure."""
    if tensor.node.rg:
        return tensor
    handle: Tensor = type(tensor).__new__(type(tensor))
    handle.node = tensor.node
    handle._alias = None
    handle._grad = None
    return handle


def _replay_of(recording: Recording, state: Snapshot, args: tuple[Any, ...]) -> Replay | None:
    """The generated replay, for the present Python state and tunings."""
    if recording.snapshot is not state or recording.generation != TUNING.generation:
        recording.snapshot, recording.generation = state, TUNING.generation
        recording.replay = generate_replay(recording, state, args)
    return recording.replay


def _end_recording(recorder: Recorder) -> None:
    """Ends a recording that failed. Further interrupts wait for it: an exception is on its way already."""
    while True:
        try:
            TRACING.stop()
            recorder.abort()
            return
        except KeyboardInterrupt:
            continue


def _carries_gradient(recorder: Recorder, tensors: list[Tensor]) -> bool:
    """Whether gradients could flow into the recorded graph through one of the results."""
    return any(t.node.rg and GRAD_MODE.on for t in tensors if id(t) not in recorder.index)


def _unaliased(arguments: list[int | None], updated: list[int]) -> list[int]:
    """Captured tensors that no argument may share elements with: one is updated and the other would not change."""
    if not updated:
        return []
    outside = [n for n, place in enumerate(arguments) if place is None]
    return [n for n in outside if n in updated] if all(arguments[n] is None for n in updated) else outside
