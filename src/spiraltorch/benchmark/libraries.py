"""The libraries that are compared, behind one interface. None is imported before it is instantiated."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..typing import NDArray
from .row import LibraryResult, LibraryTensor, Mode, Program, Row, flatten

Function: TypeAlias = Callable[..., LibraryResult]
Model: TypeAlias = Any
"""A module of the library."""


class Library:
    """A library as programs see it: `xp` (its functions), `nn`, `functional`, `optim`, and the methods below."""

    name = ""  # as in `--peers`
    title = ""  # as in tables
    module = ""  # the module that has to be installed
    program_key = ""  # its programs in `Row.programs`

    xp: Any
    nn: Any
    functional: Any
    optim: Any
    jax: Any  # the whole library, for programs of JAX

    @classmethod
    def installed(cls) -> bool:
        """Whether the library is installed."""
        return importlib.util.find_spec(cls.module) is not None

    @classmethod
    def program(cls, row: Row) -> Program | None:
        """The row's program for this library, or None."""
        return row.programs.get(cls.program_key)

    def set_threads(self, threads: int) -> None:
        """Sets the number of threads, where environment variables do not suffice."""

    def tensor(self, array: NDArray) -> LibraryTensor:
        """A tensor with the values of an array."""
        raise NotImplementedError

    def compile_part(self, fn: Function) -> Function:
        """Compiles a function without side effects, in libraries that cannot compile the whole of a program with some."""
        return fn

    def value_and_grad(self, fn: Function, argnums: Sequence[int]) -> Function:
        """A function that returns the value of `fn` and the tuple of its gradients by the arguments `argnums`."""
        raise NotImplementedError

    def prepare(self, fn: Function, row: Row) -> Function:
        """The function to be timed: compiled if the row says so, and synchronous."""
        raise NotImplementedError

    def to_numpy(self, result: LibraryResult) -> list[NDArray]:
        """The leaves of a result as NumPy arrays."""
        return [np.asarray(leaf) for leaf in flatten(result)]

    def build(self, row: Row) -> Callable[[], LibraryResult]:
        """The row's program as a function that calls it with the row's inputs."""
        program = self.program(row)
        assert program is not None
        tensors = [self.tensor(a) for a in row.arrays()]
        run = self.prepare(program(self, **row.size), row)
        return lambda: run(*tensors)

    def load_parameters(self, model: Model, seed: int = 1) -> Model:
        """Sets a model's parameters to values that depend only on their names, order and shapes; returns the model."""
        state = model.state_dict()
        shapes = {key: tuple(value.shape) for key, value in state.items() if value.shape}
        values = parameters(shapes, seed)
        model.load_state_dict({**state, **{key: self.tensor(value) for key, value in values.items()}})
        return model


def parameters(shapes: dict[str, tuple[int, ...]], seed: int = 1) -> dict[str, NDArray]:
    """Float32 parameters: 1 for scales and variances, 0 for means, and random ones scaled by the fan-in for the rest."""
    rng = np.random.default_rng(seed)
    values: dict[str, NDArray] = {}
    for key, shape in shapes.items():
        if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
            values[key] = np.ones(shape, np.float32)
        elif key.endswith("running_mean"):
            values[key] = np.zeros(shape, np.float32)
        else:
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 2500
            values[key] = rng.standard_normal(shape, dtype=np.float32) * np.float32(fan_in**-0.5)
    return values


def _detached(result: LibraryResult) -> list[NDArray]:
    """The leaves of a result of PyTorch's kind as NumPy arrays, whether or not they require gradients."""
    return [leaf.detach().numpy() if hasattr(leaf, "detach") else np.asarray(leaf) for leaf in flatten(result)]


class SpiralTorch(Library):
    """This library."""

    name, title, module, program_key = "spiraltorch", "SpiralTorch", "spiraltorch", "spiraltorch"

    def __init__(self) -> None:
        self.xp: ModuleType = importlib.import_module("spiraltorch")
        self.nn: ModuleType = importlib.import_module("spiraltorch.nn")
        self.functional: ModuleType = self.nn.functional
        self.optim: ModuleType = importlib.import_module("spiraltorch.optim")

    def tensor(self, array: NDArray) -> LibraryTensor:
        """A tensor on the default device."""
        return self.xp.tensor(array)

    def value_and_grad(self, fn: Function, argnums: Sequence[int]) -> Function:
        """Uses `st.value_and_grad`."""
        run: Function = self.xp.value_and_grad(fn, tuple(argnums))
        return run

    def prepare(self, fn: Function, row: Row) -> Function:
        """A compiled function, or one that evaluates its result.

        A compiled function may have to run as plain Python where gradients are computed, so its result is evaluated then.
        """
        if row.mode is Mode.RECORD:
            return fn
        call: Function = fn if row.grad else self.xp.no_grad(fn)
        if row.mode is Mode.COMPILED:
            call = self.xp.compile(call)
            if not row.grad:
                return call

        def run(*tensors: LibraryTensor) -> LibraryResult:
            result = call(*tensors)
            self.xp.eval(result)
            return result

        return run

    def to_numpy(self, result: LibraryResult) -> list[NDArray]:
        """See `Library`."""
        return _detached(result)


class Torch(Library):
    """PyTorch in eager mode."""

    name, title, module, program_key = "torch", "torch", "torch", "torch"

    def __init__(self) -> None:
        self.xp: ModuleType = importlib.import_module("torch")
        self.nn: ModuleType = self.xp.nn
        self.functional: ModuleType = self.nn.functional
        self.optim: ModuleType = self.xp.optim

    def set_threads(self, threads: int) -> None:
        """Sets the threads within an operation."""
        self.xp.set_num_threads(threads)

    def tensor(self, array: NDArray) -> LibraryTensor:
        """A tensor on the CPU."""
        return self.xp.tensor(array)

    def value_and_grad(self, fn: Function, argnums: Sequence[int]) -> Function:
        """Uses `torch.autograd.grad`."""
        inner = self.compile_part(fn)

        def run(*tensors: LibraryTensor) -> LibraryResult:
            given = [t.detach().requires_grad_() if n in argnums else t for n, t in enumerate(tensors)]
            value = inner(*given)
            return value.detach(), self.xp.autograd.grad(value, [given[n] for n in argnums])

        return run

    def prepare(self, fn: Function, row: Row) -> Function:
        """The function, under `no_grad` unless it computes gradients."""
        return fn if row.grad or row.mode is Mode.RECORD else self._without_gradients(fn)

    def _without_gradients(self, fn: Function) -> Function:
        def run(*tensors: LibraryTensor) -> LibraryResult:
            with self.xp.no_grad():
                return fn(*tensors)

        return run

    def to_numpy(self, result: LibraryResult) -> list[NDArray]:
        """See `Library`."""
        return _detached(result)


class TorchCompile(Torch):
    """PyTorch with `torch.compile`, which needs a C++ compiler on the host."""

    name, title = "torch-compile", "torch.compile"

    @classmethod
    def program(cls, row: Row) -> Program | None:
        """None for rows that are not compiled, which are measured in eager mode only."""
        return super().program(row) if row.mode is Mode.COMPILED else None

    def compile_part(self, fn: Function) -> Function:
        """Compiles forward and backward; what surrounds them, such as an optimizer's update, runs in eager mode."""
        compiled: Function = self.xp.compile(fn)
        return compiled

    def prepare(self, fn: Function, row: Row) -> Function:
        """Compiles the whole function unless it computes gradients, when its parts are compiled."""
        return fn if row.grad else self._without_gradients(self.compile_part(fn))


class TorchFloat64(Torch):
    """PyTorch in float64: the reference of rows that have none in NumPy."""

    name = "float64"

    def tensor(self, array: NDArray) -> LibraryTensor:
        """A tensor in float64 if the array is floating."""
        return self.xp.tensor(np.asarray(array, np.float64) if array.dtype.kind == "f" else array)

    def load_parameters(self, model: Model, seed: int = 1) -> Model:
        """The same parameters in float64."""
        return super().load_parameters(model.double(), seed)


class Jax(Library):
    """JAX with `jit`."""

    name, title, module, program_key = "jax", "JAX jit", "jax", "jax"

    def __init__(self) -> None:
        self.jax: ModuleType = importlib.import_module("jax")
        self.xp: ModuleType = importlib.import_module("jax.numpy")

    def tensor(self, array: NDArray) -> LibraryTensor:
        """An array; integers have 32 bits, which is JAX's default."""
        return self.xp.asarray(array.astype(np.int32) if array.dtype == np.int64 else array)

    def compile_part(self, fn: Function) -> Function:
        """Compiles the function with `jit`."""
        compiled: Function = self.jax.jit(fn)
        return compiled

    def value_and_grad(self, fn: Function, argnums: Sequence[int]) -> Function:
        """Uses `jax.value_and_grad`."""
        run: Function = self.jax.value_and_grad(fn, tuple(argnums))
        return run

    def prepare(self, fn: Function, row: Row) -> Function:
        """Compiles the function unless its program has compiled a part of it, and waits for its result."""
        call = fn if row.state else self.compile_part(fn)

        def run(*tensors: LibraryTensor) -> LibraryResult:
            return self.jax.block_until_ready(call(*tensors))

        return run


class NumPy(Library):
    """NumPy, for the rows that it can compute."""

    name, title, module, program_key = "numpy", "NumPy", "numpy", "numpy"

    def __init__(self) -> None:
        self.xp: ModuleType = np

    def tensor(self, array: NDArray) -> LibraryTensor:
        """The array itself."""
        return array

    def prepare(self, fn: Function, row: Row) -> Function:
        """The function itself."""
        return fn


LIBRARIES: dict[str, type[Library]] = {c.name: c for c in (SpiralTorch, Torch, TorchCompile, Jax, NumPy)}
OURS = SpiralTorch.name
PEERS = tuple(name for name in LIBRARIES if name != OURS)
