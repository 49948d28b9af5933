"""The libraries that are compared, each behind the same few verbs. None is imported before it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .row import Mode, Program, Row, flat

Fn = Callable[..., Any]


class Library:
    """What a program may use: `xp` (the library's functions), `nn`, `functional`, `optim`, and the verbs below."""

    name = ""
    title = ""
    module = ""  # what has to be installed
    programs = ""  # whose programs it runs

    xp: Any
    nn: Any
    functional: Any
    optim: Any

    @classmethod
    def installed(cls) -> bool:
        """Whether the library can be imported."""
        return importlib.util.find_spec(cls.module) is not None

    @classmethod
    def program(cls, row: Row) -> Program | None:
        """The row's program for this library."""
        return row.programs.get(cls.programs)

    def use_threads(self, threads: int) -> None:
        """What the library has to be told beside the environment."""

    def tensor(self, array: Any) -> Any:
        """The library's tensor of an array."""
        raise NotImplementedError

    def part(self, fn: Fn) -> Fn:
        """A function without side effects inside a program that has them, compiled where only those can be."""
        return fn

    def value_and_grad(self, fn: Fn, argnums: Sequence[int]) -> Fn:
        """A function that gives what `fn` gives, and a tuple of its gradients in some arguments."""
        raise NotImplementedError

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """The function to be timed: whatever it starts has ended when it returns."""
        raise NotImplementedError

    def host(self, result: Any) -> list[Any]:
        """A result as NumPy arrays."""
        return [np.asarray(leaf) for leaf in flat(result)]

    def build(self, row: Row) -> Callable[[], Any]:
        """A call of the row, with its inputs."""
        program = self.program(row)
        assert program is not None
        tensors = [self.tensor(a) for a in row.arrays()]
        run = self.prepare(program(self, **row.size), row)
        return lambda: run(*tensors)

    def load(self, model: Any, seed: int = 1) -> Any:
        """Gives a model parameters that depend on their names' order and shapes only: the same in every library."""
        state = model.state_dict()
        shapes = {key: tuple(value.shape) for key, value in state.items() if value.shape}
        values = parameters(shapes, seed)
        model.load_state_dict({**state, **{key: self.tensor(value) for key, value in values.items()}})
        return model


def parameters(shapes: dict[str, tuple[int, ...]], seed: int = 1) -> dict[str, Any]:
    """Float32 parameters: 1 for scales and variances, 0 for means, small ones for the rest, by the fan of their inputs."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for key, shape in shapes.items():
        if key.endswith("running_var") or (key.endswith("weight") and len(shape) == 1):
            made[key] = np.ones(shape, np.float32)
        elif key.endswith("running_mean"):
            made[key] = np.zeros(shape, np.float32)
        else:
            fan = int(np.prod(shape[1:])) if len(shape) > 1 else 2500
            made[key] = rng.standard_normal(shape, dtype=np.float32) * np.float32(fan**-0.5)
    return made


class SpiralTorch(Library):
    """This library."""

    name, title, module, programs = "spiraltorch", "SpiralTorch", "spiraltorch", "spiraltorch"

    def __init__(self) -> None:
        self.xp = importlib.import_module("spiraltorch")
        self.nn = importlib.import_module("spiraltorch.nn")
        self.functional = self.nn.functional
        self.optim = importlib.import_module("spiraltorch.optim")

    def tensor(self, array: Any) -> Any:
        """A tensor on the default device."""
        return self.xp.tensor(array)

    def value_and_grad(self, fn: Fn, argnums: Sequence[int]) -> Fn:
        """By the function of that name."""
        run: Fn = self.xp.value_and_grad(fn, tuple(argnums))
        return run

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """A compiled function, or one that evaluates its result.

        What is compiled may have to run as plain Python where gradients are taken, so there the result is asked for too.
        """
        if row.mode is Mode.RECORD:
            return fn
        call: Fn = fn if row.grad else self.xp.no_grad(fn)
        if row.mode is Mode.COMPILED:
            call = self.xp.compile(call)
            if not row.grad:
                return call

        def run(*tensors: Any) -> Any:
            result = call(*tensors)
            self.xp.eval(result)
            return result

        return run

    def host(self, result: Any) -> list[Any]:
        """Arrays of the tensors, gradients or not."""
        return [leaf.detach().numpy() if hasattr(leaf, "detach") else np.asarray(leaf) for leaf in flat(result)]


class Torch(Library):
    """PyTorch as it runs without being asked for more."""

    name, title, module, programs = "torch", "torch", "torch", "torch"

    def __init__(self) -> None:
        self.xp = importlib.import_module("torch")
        self.nn = self.xp.nn
        self.functional = self.nn.functional
        self.optim = self.xp.optim

    def use_threads(self, threads: int) -> None:
        """Sets the threads of an operation."""
        self.xp.set_num_threads(threads)

    def tensor(self, array: Any) -> Any:
        """A tensor in the host's memory."""
        return self.xp.tensor(array)

    def value_and_grad(self, fn: Fn, argnums: Sequence[int]) -> Fn:
        """By `torch.autograd.grad`."""
        inner = self.part(fn)

        def run(*tensors: Any) -> Any:
            given = [t.detach().requires_grad_() if n in argnums else t for n, t in enumerate(tensors)]
            value = inner(*given)
            return value.detach(), self.xp.autograd.grad(value, [given[n] for n in argnums])

        return run

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """The function itself, without gradients where none are taken."""
        return fn if row.grad or row.mode is Mode.RECORD else self._quiet(fn)

    def _quiet(self, fn: Fn) -> Fn:
        def run(*tensors: Any) -> Any:
            with self.xp.no_grad():
                return fn(*tensors)

        return run

    def host(self, result: Any) -> list[Any]:
        """Arrays of the tensors, gradients or not."""
        return [leaf.detach().numpy() if hasattr(leaf, "detach") else np.asarray(leaf) for leaf in flat(result)]


class TorchCompile(Torch):
    """PyTorch through `torch.compile`. It needs a C++ compiler on the host."""

    name, title = "torch-compile", "torch.compile"

    @classmethod
    def program(cls, row: Row) -> Program | None:
        """None for rows that are not compiled: they are eager torch's."""
        return super().program(row) if row.mode is Mode.COMPILED else None

    def part(self, fn: Fn) -> Fn:
        """Compiled: forward and backward, while what is around it (an optimizer's update) runs eagerly."""
        compiled: Fn = self.xp.compile(fn)
        return compiled

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """Compiled as a whole where no gradient is taken; otherwise its parts are."""
        return fn if row.grad else self._quiet(self.part(fn))


class TorchDouble(Torch):
    """PyTorch in float64: the definition where a row has none in NumPy."""

    name = "float64"

    def tensor(self, array: Any) -> Any:
        """A tensor in float64 where the array is floating."""
        return self.xp.tensor(np.asarray(array, np.float64) if array.dtype.kind == "f" else array)

    def load(self, model: Any, seed: int = 1) -> Any:
        """The same parameters, in float64."""
        return super().load(model.double(), seed)


class Jax(Library):
    """JAX under `jit`."""

    name, title, module, programs = "jax", "JAX jit", "jax", "jax"

    def __init__(self) -> None:
        self.jax = importlib.import_module("jax")
        self.xp = importlib.import_module("jax.numpy")

    def tensor(self, array: Any) -> Any:
        """An array; integers have 32 bits, which is JAX's default."""
        return self.xp.asarray(array.astype(np.int32) if array.dtype == np.int64 else array)

    def part(self, fn: Fn) -> Fn:
        """Under `jit`."""
        compiled: Fn = self.jax.jit(fn)
        return compiled

    def value_and_grad(self, fn: Fn, argnums: Sequence[int]) -> Fn:
        """By the function of that name."""
        run: Fn = self.jax.value_and_grad(fn, tuple(argnums))
        return run

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """Under `jit`, and waited for. A program with state has compiled its own part."""
        call = fn if row.state else self.part(fn)

        def run(*tensors: Any) -> Any:
            return self.jax.block_until_ready(call(*tensors))

        return run


class NumPy(Library):
    """NumPy, for what it has."""

    name, title, module, programs = "numpy", "NumPy", "numpy", "numpy"

    def __init__(self) -> None:
        self.xp = np

    def tensor(self, array: Any) -> Any:
        """The array itself."""
        return array

    def prepare(self, fn: Fn, row: Row) -> Fn:
        """The function itself."""
        return fn


LIBRARIES: dict[str, type[Library]] = {c.name: c for c in (SpiralTorch, Torch, TorchCompile, Jax, NumPy)}
OURS = SpiralTorch.name
PEERS = tuple(name for name in LIBRARIES if name != OURS)
