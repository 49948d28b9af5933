"""Random programs with state: handles that live and die, views, updates through them, host memory, copies, compiled calls.

A program is a list of steps on numbered handles. It is run twice at once: on tensors, and on NumPy arrays, whose views share
memory as tensors' views have to. Results of operations are in row-major order on both sides, as tensors' are. After each
step that reads a value, and at the end for every handle, the two are compared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch.tensor.tensor import Tensor

Array = np.ndarray[Any, Any]
SHAPES = ((3,), (2, 3), (6,), (2, 2, 3), (1, 3), (3, 3))
DTYPES = ("float32", "float32", "float64", "int32")


@dataclass(frozen=True)
class Step:
    """One operation: its name, the numbers of the handles that it takes and makes, and its parameters."""

    op: str
    args: tuple[int, ...] = ()
    out: int | None = None
    params: tuple[Any, ...] = ()


@dataclass
class State:
    """Both sides of a running program, by the numbers of handles."""

    tensors: dict[int, Tensor] = field(default_factory=dict)
    arrays: dict[int, Array] = field(default_factory=dict)
    hosts: dict[int, Array] = field(default_factory=dict)  # arrays that a tensor was made from
    shared: dict[int, Array] = field(
        default_factory=dict
    )  # for those whose memory is shared, the array that stands for it
    kept: dict[int, tuple[Tensor, Array]] = field(default_factory=dict)  # recorded operations, and what they must give


class Difference(AssertionError):
    """A tensor has other elements than the array."""


# ---------------------------------------------------------------- operations


def _contiguous(array: Any) -> Array:
    return np.array(array, order="C")


VIEWS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "index": (lambda x, key: x[key], lambda a, key: a[key]),
    "transpose": (lambda x: x.T, lambda a: a.T),
    "permute": (lambda x, axes: x.permute(axes), lambda a, axes: a.transpose(axes)),
    "reshape": (lambda x, shape: x.reshape(shape), lambda a, shape: a.reshape(shape)),
    "ravel": (lambda x: x.reshape(-1), lambda a: a.reshape(-1)),
    "unsqueeze": (lambda x, axis: x.unsqueeze(axis), lambda a, axis: np.expand_dims(a, axis)),
    "squeeze": (lambda x: x.squeeze(), lambda a: a.squeeze()),
    "flip": (lambda x, axis: st.flip(x, axis=axis), lambda a, axis: np.flip(a, axis)),
    "diagonal": (lambda x: x.diagonal(), lambda a: _writable_diagonal(a)),
    "detach": (lambda x: x.detach(), lambda a: a[...]),
    "data": (lambda x: x.data, lambda a: a[...]),
    "copy.copy": (copy.copy, lambda a: a[...]),
    "expand": (lambda x: x.expand((2, *x.shape)), lambda a: np.broadcast_to(a, (2, *a.shape))),
    "swapaxes": (lambda x, a, b: x.swapaxes(a, b), lambda x, a, b: x.swapaxes(a, b)),
    "chunk": (lambda x, n: x.chunk(2)[n], lambda a, n: _chunk(a, n)),
}
COPIES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "clone": (lambda x: x.clone(), _contiguous),
    "deepcopy": (copy.deepcopy, _contiguous),
    "tensor": (st.tensor, _contiguous),
    "take": (lambda x, rows: x[rows], lambda a, rows: _contiguous(a[rows])),
    "add": (lambda x, y: x + y, lambda a, b: _contiguous(a + b)),
    "add_number": (lambda x, n: x + n, lambda a, n: _contiguous(a + a.dtype.type(n))),
    "mul": (lambda x, y: x * y, lambda a, b: _contiguous(a * b)),
    "sum": (
        lambda x, axis: st.sum(x, axis=axis, dtype=x.dtype),
        lambda a, axis: _contiguous(a.sum(axis, dtype=a.dtype)),
    ),
    "concat": (lambda x, y: st.concat([x, y]), lambda a, b: _contiguous(np.concatenate([a, b]))),
    "where": (lambda x, y: st.where(x > 0, x, y), lambda a, b: _contiguous(np.where(a > 0, a, b))),
}


def _writable_diagonal(a: Array) -> Array:
    view: Array = np.diagonal(a)
    view.flags.writeable = a.flags.writeable
    return view


def _chunk(a: Array, n: int) -> Array:
    size = -(-a.shape[0] // 2)
    return a[n * size : (n + 1) * size]


def _fill(x: Any, value: Any) -> None:
    x[...] = value


def _add_in_place(a: Array, b: Any) -> None:
    np.add(a, b, out=a, casting="unsafe")


def _multiply_in_place(a: Array, b: Any) -> None:
    np.multiply(a, b, out=a, casting="unsafe")


UPDATES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "fill_": (lambda x, v: x.fill_(v), _fill),
    "zero_": (lambda x: x.zero_(), lambda a: _fill(a, 0)),
    "add_": (lambda x, y: x.add_(y), _add_in_place),
    "add_number_": (lambda x, v: x.add_(v), _add_in_place),
    "mul_number_": (lambda x, v: x.mul_(v), _multiply_in_place),
    "copy_": (lambda x, y: x.copy_(y), _fill),
    "setitem": (lambda x, key, v: x.__setitem__(key, v), lambda a, key, v: a.__setitem__(key, v)),
    "setitem_tensor": (lambda x, y, key: x.__setitem__(key, y), lambda a, b, key: a.__setitem__(key, b.copy())),
    "mask": (lambda x, v: x.__setitem__(x > 1, v), lambda a, v: a.__setitem__(a > 1, v)),
    "scatter": (lambda x, rows, v: x.__setitem__(rows, v), lambda a, rows, v: a.__setitem__(rows, v)),
    "+=": (lambda x, v: x.__iadd__(v), _add_in_place),
    "rows": (lambda x, v: [r.add_(v) for r in x], lambda a, v: _add_in_place(a, v)),
}


@st.compile
def _compiled_add(x: Any) -> Any:
    x.add_(1)
    return x * 2


@st.compile
def _compiled_view(x: Any) -> Any:
    return x[0]


@st.compile
def _compiled_write(x: Any, y: Any) -> Any:
    x[0] = y.reshape(-1)[0]
    return x + 0


def _array_add(a: Array) -> Array:
    _add_in_place(a, 1)
    return _contiguous(a * a.dtype.type(2))


def _array_write(a: Array, b: Array) -> Array:
    a[0] = b.reshape(-1)[0]
    return _contiguous(a)


COMPILED: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "compiled_add": (_compiled_add, _array_add),
    "compiled_view": (_compiled_view, lambda a: a[0:1].reshape(a.shape[1:]) if a.ndim > 1 else a[0:1].reshape(())),
    "compiled_write": (_compiled_write, _array_write),
}


# ---------------------------------------------------------------- running


def run(steps: list[Step], device: str = "cpu:0") -> None:
    """Runs a program on both sides. Raises `Difference` where they differ, and what the tensors raise."""
    state = State()
    for step in steps:
        if all(n in state.arrays for n in step.args):
            _run_step(state, step, device)
    for n in list(state.arrays):
        _compare(state, n, "end")
    for tensor, want in state.kept.values():
        _equal(tensor.numpy(), want, "a recorded operation")


def _run_step(state: State, step: Step, device: str) -> None:
    op, params = step.op, step.params
    tensors = [state.tensors[n] for n in step.args]
    arrays = [state.arrays[n] for n in step.args]
    if op == "new":
        _put(state, step.out, st.tensor(params[0], device=device), params[0].copy())
    elif op == "from_host":
        host = params[0].copy()
        _put(state, step.out, st.asarray(host, device=device), host.copy())
        state.hosts[step.out or 0] = host
    elif op == "share_host":
        host = params[0].copy()
        stands = host.copy()
        _put(state, step.out, st.asarray(host, copy=False), stands)
        state.hosts[step.out or 0], state.shared[step.out or 0] = host, stands
    elif op == "write_host":
        for arrays_of in (state.hosts, state.shared):
            if step.args[0] in arrays_of:
                arrays_of[step.args[0]][...] = params[0]
    elif op == "delete":
        del state.tensors[step.args[0]], state.arrays[step.args[0]]
    elif op == "read":
        _compare(state, step.args[0], "read")
    elif op == "eval":
        st.eval(*tensors)
    elif op == "print":
        repr(tensors[0])
    elif op == "export":
        np.from_dlpack(tensors[0])[...] = 77
        np.array(tensors[0])[...] = 78
    elif op == "keep":
        state.kept[len(state.kept)] = (tensors[0] * 3, _contiguous(arrays[0] * arrays[0].dtype.type(3)))
    elif op in UPDATES:
        ours, theirs = UPDATES[op]
        ours(*tensors, *params)
        theirs(*arrays, *params)
    else:
        ours, theirs = (VIEWS | COPIES | COMPILED)[op]
        _put(state, step.out, ours(*tensors, *params), theirs(*arrays, *params))


def _put(state: State, out: int | None, tensor: Tensor, array: Any) -> None:
    assert out is not None
    array = array if isinstance(array, np.ndarray) else np.asarray(array)
    if tensor.shape != array.shape or tensor.dtype.numpy != array.dtype:
        raise Difference(f"expected {array.dtype}{array.shape}, got {tensor.dtype}{tensor.shape}")
    state.tensors[out], state.arrays[out] = tensor, array


def _compare(state: State, n: int, when: str) -> None:
    _equal(state.tensors[n].numpy(), state.arrays[n], f"handle {n} at {when}")


def _equal(got: Array, want: Array, what: str) -> None:
    if not np.array_equal(got, want, equal_nan=True):
        raise Difference(f"{what}: expected {want.tolist()}, got {got.tolist()}")


# ---------------------------------------------------------------- generating


class Generator:
    """Makes a random program, running NumPy's side to know the shapes."""

    def __init__(self, seed: int, length: int, share: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.length = length
        self.share = share
        self.steps: list[Step] = []
        self.arrays: dict[int, Array] = {}
        self.hosts: dict[int, Array] = {}
        self.next = 0

    def program(self) -> list[Step]:
        """The steps."""
        self.make_new()
        weights = {
            "new": 4, "view": 26, "copy": 14, "update": 26, "delete": 8, "read": 7, "eval": 3, "print": 1, "keep": 4,
            "host": 4, "export": 2, "compiled": 5,
        }  # fmt: skip
        names = list(weights)
        p = np.array([weights[n] for n in names], float)
        while len(self.steps) < self.length:
            getattr(self, f"make_{self.rng.choice(names, p=p / p.sum())}")()
            if not self.arrays:
                self.make_new()
        return self.steps

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def some(self, test: Callable[[Array], bool] = lambda a: True) -> int | None:
        fitting = [n for n, a in self.arrays.items() if test(a)]
        if not fitting:
            return None
        return fitting[-1] if self.rng.random() < 0.4 else int(self.pick(fitting))

    def add(self, op: str, *args: int, params: tuple[Any, ...] = (), array: Array | None = None) -> None:
        out = None
        if array is not None:
            out, self.next = self.next, self.next + 1
            self.arrays[out] = array
        self.steps.append(Step(op, args, out, params))

    def data(self) -> Array:
        shape, dtype = self.pick(SHAPES), self.pick(DTYPES)
        return self.rng.integers(-4, 5, shape).astype(dtype)

    def make_new(self) -> None:
        data = self.data()
        self.add("new", params=(data,), array=data.copy())

    def make_host(self) -> None:
        roll = self.rng.random()
        if roll < 0.5 or not self.hosts:
            data = self.data()
            shared = roll < 0.2 and self.share
            self.add("share_host" if shared else "from_host", params=(data,), array=data.copy())
            if shared:
                self.hosts[self.next - 1] = self.arrays[self.next - 1]
            else:
                self.hosts[self.next - 1] = data.copy()
            return
        n = int(self.pick(list(self.hosts)))
        if n in self.arrays:
            value = int(self.rng.integers(-4, 5))
            self.hosts[n][...] = value
            self.add("write_host", n, params=(value,))

    def key(self, a: Array) -> Any:
        """Ints, slices, None and an ellipsis."""
        parts: list[Any] = []
        for e in a.shape[: int(self.rng.integers(1, a.ndim + 1))] if a.ndim else ():
            roll = self.rng.random()
            if roll < 0.35 and e:
                parts.append(int(self.rng.integers(-e, e)))
            elif roll < 0.8:
                bounds = sorted(int(v) for v in self.rng.integers(0, e + 1, 2))
                parts.append(slice(bounds[0], bounds[1], self.pick((None, None, 2))))
            else:
                parts.append(self.pick((slice(None), slice(None, None, -1))))
        if self.rng.random() < 0.15:
            parts.insert(int(self.rng.integers(len(parts) + 1)), None)
        if self.rng.random() < 0.15:
            parts.append(Ellipsis)
        return tuple(parts)

    def make_view(self) -> None:
        n = self.some()
        if n is None:
            return
        a, op = self.arrays[n], self.pick([*VIEWS, "index", "index", "index"])
        params: tuple[Any, ...] = ()
        if op == "index":
            params = (self.key(a),)
        elif op == "permute":
            params = (tuple(int(v) for v in self.rng.permutation(a.ndim)),)
        elif op == "reshape":
            if a.size not in (3, 6, 12, 9):
                return
            shapes = {3: ((3, 1), (3,)), 6: ((3, 2), (2, 3), (6,)), 12: ((4, 3), (12,)), 9: ((9,), (3, 3))}
            params = (self.pick(shapes[a.size]),)
        elif op == "unsqueeze":
            params = (int(self.rng.integers(-1, a.ndim + 1)),)
        elif op in ("flip", "swapaxes"):
            if not a.ndim:
                return
            params = tuple(int(v) for v in self.rng.integers(0, a.ndim, 1 if op == "flip" else 2))
        elif op == "diagonal" and a.ndim < 2:
            return
        elif op == "chunk":
            if not a.ndim or a.shape[0] < 2:
                return
            params = (int(self.rng.integers(2)),)
        elif op in ("expand", "unsqueeze") and a.ndim > 3:
            return
        result = VIEWS[op][1](a, *params)
        if not isinstance(result, np.ndarray):  # NumPy gives a scalar where a tensor gives a view
            key = params[0]
            ellipsis = key if Ellipsis in key else (*key, Ellipsis)
            params, result = (ellipsis,), a[ellipsis]
        if result.ndim <= 5:
            self.add(op, n, params=params, array=result)

    def make_copy(self) -> None:
        op = self.pick(list(COPIES))
        n = self.some(lambda a: op != "take" or (a.ndim > 0 and a.shape[0] > 0))
        if n is None:
            return
        a = self.arrays[n]
        args, params = [n], ()
        if op in ("add", "mul", "where", "concat"):
            other = self.some(lambda b: b.shape == a.shape and b.dtype == a.dtype and (b.ndim > 0 or op != "concat"))
            if other is None or (op == "concat" and not a.ndim):
                return
            args.append(other)
        elif op == "take":
            params = ([int(v) for v in self.rng.integers(0, a.shape[0], 2)],)
        elif op == "add_number":
            params = (self.pick((1, 2, -1)),)
        elif op == "sum":
            if not a.ndim:
                return
            params = (int(self.rng.integers(a.ndim)),)
        result = COPIES[op][1](*[self.arrays[m] for m in args], *params)
        if np.abs(result.astype(float)).max(initial=0) < 1e4:
            self.add(op, *args, params=params, array=result)

    def make_update(self) -> None:
        op = self.pick([*UPDATES, "setitem", "setitem_tensor"])
        n = self.some(_writable)
        if n is None:
            return
        a = self.arrays[n]
        args, value = [n], int(self.rng.integers(-3, 4))
        params: tuple[Any, ...] = (value,)
        if op in ("zero_",):
            params = ()
        elif op in ("add_", "copy_"):
            other = self.some(
                lambda b: b.dtype == a.dtype and (b.shape == a.shape or (b.size == 1 and b.ndim <= a.ndim))
            )
            if other is None or (op == "add_" and _spread(self.arrays[other])):
                return
            args.append(other)
            params = ()
        elif op == "setitem":
            params = (self.key(a), value)
        elif op == "setitem_tensor":
            key = self.key(a)
            shape = a[key].shape
            other = self.some(
                lambda b: b.dtype == a.dtype and (b.shape == shape or (b.size == 1 and b.ndim <= len(shape)))
            )
            if other is None:
                return
            args.append(other)
            params = (key,)
        elif op == "scatter":
            if not a.ndim or not a.shape[0]:
                return
            params = ([int(v) for v in self.rng.permutation(a.shape[0])[:2]], value)
        elif op == "rows" and (not a.ndim):
            return
        if op == "mul_number_":
            params = (self.pick((2, -1, 0)),)
        if op in ("add_", "copy_") and len(args) > 1:
            self.arrays[args[1]] = self.arrays[args[1]]
        UPDATES[op][1](*[self.arrays[m] for m in args], *params)
        self.add(op, *args, params=params)
        if np.abs(a.astype(float)).max(initial=0) > 1e3:
            UPDATES["zero_"][1](a)
            self.add("zero_", n)

    def make_delete(self) -> None:
        n = self.some()
        if n is not None and len(self.arrays) > 1:
            del self.arrays[n]
            self.hosts.pop(n, None)
            self.add("delete", n)

    def _unary(self, op: str) -> None:
        n = self.some()
        if n is not None:
            self.add(op, n)

    def make_read(self) -> None:
        self._unary("read")

    def make_eval(self) -> None:
        self._unary("eval")

    def make_print(self) -> None:
        self._unary("print")

    def make_keep(self) -> None:
        self._unary("keep")

    def make_export(self) -> None:
        self._unary("export")

    def make_compiled(self) -> None:
        op = self.pick(list(COMPILED))
        n = self.some(lambda a: a.ndim > 0 and a.shape[0] > 0 and (op == "compiled_view" or _writable(a)))
        if n is None:
            return
        args = [n]
        if op == "compiled_write":
            other = self.some(lambda b: b.dtype == self.arrays[n].dtype and b.size > 0)
            if other is None:
                return
            args.append(other)
        result = COMPILED[op][1](*[self.arrays[m] for m in args])
        self.add(op, *args, array=np.asarray(result))


def _writable(a: Array) -> bool:
    return bool(a.flags.writeable) and not _spread(a)


def _spread(a: Array) -> bool:
    """Whether several elements are one in memory."""
    return any(s == 0 and e > 1 for s, e in zip(a.strides, a.shape, strict=True)) or not a.flags.writeable


# ---------------------------------------------------------------- minimising


def reduced(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """A part of a failing program that fails, too, and of which no single step can be left out."""
    size = len(steps) // 2
    while size:
        start = 0
        while start < len(steps):
            shorter = steps[:start] + steps[start + size :]
            if fails(shorter):
                steps = shorter
            else:
                start += size
        size //= 2
    return steps
