"""Runs a scheduled kernel through the LLVM renderer on this machine, with the features that a test asks for."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from spiraltorch.backends.cpu import jit
from spiraltorch.backends.cpu.device import CpuDevice, CpuKernel
from spiraltorch.backends.cpu.host import Machine, host, machine
from spiraltorch.codegen.llvm.render import render
from spiraltorch.dtypes import DType, float32
from spiraltorch.ir.expr import Buffer, Load, Value, at
from spiraltorch.ir.guard import ALWAYS, Guard, less
from spiraltorch.ir.index import Index, index
from spiraltorch.ir.interpreter import run as interpret
from spiraltorch.ir.numerics import constant
from spiraltorch.ir.stmt import Kernel, Kind, Store, loop, loop_nest

SSE = "x86-64"
AVX2 = "x86-64-v3"


@lru_cache(maxsize=1)
def device() -> CpuDevice:
    return CpuDevice("cpu:0")


@lru_cache(maxsize=4)
def machine_like(level: str) -> Machine:
    """The host with fewer features: plain SSE2, or AVX2 with FMA."""
    triple = host().triple
    if level == SSE:
        return machine(triple, "x86-64", {"sse2": True})
    names = "sse3 ssse3 sse4.1 sse4.2 popcnt avx avx2 fma f16c bmi bmi2 lzcnt movbe".split()
    return machine(triple, "x86-64-v3", dict.fromkeys(names, True))


def runs_here(level: str) -> bool:
    """Whether this processor executes code of that level."""
    return host().triple.startswith("x86_64") and host().vector_bytes >= machine_like(level).vector_bytes


LEVELS = [None, *(level for level in (AVX2, SSE) if runs_here(level))]


def like(level: str | None) -> Machine | None:
    """The machine of `machine_like`; None for this one."""
    return None if level is None else machine_like(level)


def numbers(n: Any, dtype: DType = float32, seed: int = 0) -> Any:
    """Small integers of a dtype, as an array of a shape."""
    rng = np.random.default_rng(seed)
    if dtype.is_bool:
        return rng.integers(0, 2, n).astype(np.bool_)
    return rng.integers(0 if dtype.kind == "u" else -9, 10, n).astype(dtype.numpy)


def compile_for(kernel: Kernel, of: Machine | None = None) -> CpuKernel:
    if of is None:
        return device().compile([kernel], [None])[0]
    rendered = render(kernel, "k", native_half=of.native_half, attributes=of.attributes)
    code = jit.load(jit.emit(rendered.text, of, kernel.name), [name for name, _ in rendered.phases])
    phases = [(code.addresses[name], tasks) for name, tasks in rendered.phases]
    return CpuKernel(code, phases, rendered.workspace_bytes, rendered.temp_bytes)


def execute(
    kernel: Kernel, arrays: Mapping[str, Any], scalars: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None, of: Machine | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Runs on copies of the arrays, which are returned."""
    made = {name: np.ascontiguousarray(a).copy() for name, a in arrays.items()}
    compiled = compile_for(kernel, of)
    temps = [np.full(max(1, n), 0x5B, np.uint8) for n in compiled.temp_bytes]
    words = [made[b.name].ctypes.data for b in kernel.params]
    for scalar in kernel.scalars:
        raw = constant((scalars or {})[scalar.name], scalar.dtype).tobytes()
        words.append(int.from_bytes(raw.ljust(8, b"\0"), "little"))
    words += [(sizes or {})[v.name] for v in kernel.sizes]
    words += [t.ctypes.data for t in temps]
    program = device().program([(compiled, [(n, 0) for n in range(len(words))])], len(words))
    struct.pack_into(f"{len(words)}Q", program.table, 0, *words)
    program.run()
    return made


def check(
    kernel: Kernel, arrays: Mapping[str, Any], scalars: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None, of: Machine | None = None, rtol: float = 0.0,
) -> None:  # fmt: skip
    """The compiled kernel against the reference interpreter."""
    expected = {name: np.ascontiguousarray(a).copy() for name, a in arrays.items()}
    interpret(kernel, expected, scalars, sizes)
    got = execute(kernel, arrays, scalars, sizes, of)
    for name, want in expected.items():
        if rtol:
            np.testing.assert_allclose(got[name], want, rtol=rtol, atol=rtol, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], want, err_msg=name)


def elementwise(make: Any, dtypes: list[DType], out: DType, n: int, lanes: int) -> Kernel:
    """`y[i] = make(x0[i], x1[i], ...)` in vectors of `lanes` with a masked tail; `lanes` 1 is a plain loop."""
    params = [Buffer(f"x{k}", at(n), d) for k, d in enumerate(dtypes)]
    y = Buffer("y", at(n), out)
    if lanes == 1:
        i = loop("i", n)
        place, guard, loops = index(i.var), ALWAYS, [i]
    else:
        i, j = loop("i", -(-n // lanes)), loop("j", lanes, Kind.VECTOR)
        place = index(i.var) * lanes + j.var
        guard, loops = less(place, n), [i, j]
    value: Value = make(*[Load(p, (place,), guard) for p in params])
    return Kernel("elementwise", (*params, y), loop_nest(loops, Store(y, (place,), value, guard)))


def positions(*parts: Any) -> tuple[Index, ...]:
    return tuple(index(p) for p in parts)


__all__ = [
    "ALWAYS",
    "AVX2",
    "SSE",
    "Guard",
    "check",
    "compile_for",
    "device",
    "elementwise",
    "execute",
    "machine_like",
    "runs_here",
]
