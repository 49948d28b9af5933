"""Runs a random program both ways, and reduces one that differs to a few operations."""

from __future__ import annotations

import base64
import ctypes
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
from growing import EPS, wide
from steps import Array, Program, Step, prune

from spiraltorch import dtypes
from spiraltorch.compiler import evaluate
from spiraltorch.compiler.state import STATE
from spiraltorch.graph import reference
from spiraltorch.graph.node import Node
from spiraltorch.ir import interpreter
from spiraltorch.ir.stmt import Kernel
from spiraltorch.ir.verifier import IRError, verify
from spiraltorch.runtime import device

RTOL = {"float16": 4 * EPS["float16"], "bfloat16": 4 * EPS["bfloat16"], "float32": 2e-5, "float64": 2e-13}
STRAYS = 12.0  # of a shadow: one random walk is a sample, not a bound


def fault(program: Program, where: str = "cpu:0") -> str:
    """What the program compiled for a device gets wrong, or an empty string."""
    nodes = program.nodes(where)
    roots = [nodes[o] for o in program.outputs]
    expected = reference.evaluate(roots)
    try:
        got = compiled(roots)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    for n, (output, have, want) in enumerate(zip(program.outputs, got, expected, strict=True)):
        text = difference(have, want, program.steps[output].stray)
        if text:
            return f"output {n} (step {output}, {program.steps[output].op}): {text}"
    return ""


def compiled(roots: list[Node]) -> list[Array]:
    """The values from the compiler and its backend."""
    evaluate.evaluate(roots)
    return [device.get(r.aval.device).to_host(r.buf, r.aval.shape, r.aval.dtype.numpy) for r in roots]


@contextmanager
def verifying() -> Iterator[Proofs]:
    """Verifies every kernel that is compiled inside, and counts those that cannot be proven safe."""
    proofs = Proofs()
    host = device.get("cpu:0")
    compile_kernels = host.compile

    def compile_verified(makers: list[Any], keys: list[str | None]) -> Any:
        kernels = [made if isinstance(made, Kernel) else made() for made in makers]
        for kernel in kernels:
            proofs.kernels += 1
            try:
                verify(kernel, lowered=True)
            except IRError as error:
                if "not provably" not in str(error) and "may meet" not in str(error):
                    raise
                proofs.missing.append(str(error))
        return compile_kernels(kernels, [None] * len(kernels))

    with patch.object(STATE, "graphs", {}), patch.object(host, "compile", compile_verified):
        yield proofs


class Proofs:
    """How many kernels there were, and what could not be proven, which need not be false."""

    def __init__(self) -> None:
        self.kernels = 0
        self.missing: list[str] = []


@contextmanager
def interpreting() -> Iterator[None]:
    """Inside, the reference interpreter runs the kernels that the CPU would run: scheduled, and with every access checked."""
    host = device.get("cpu:0")

    def keep(makers: list[Any], keys: list[str | None]) -> list[Any]:
        kernels = [made if isinstance(made, Kernel) else made() for made in makers]
        return [SimpleNamespace(kernel=kernel, temp_bytes=[]) for kernel in kernels]

    with (
        patch.object(STATE, "graphs", {}),
        patch.object(host, "compile", keep),
        patch.object(host, "program", InterpretedProgram),
    ):
        yield


class InterpretedProgram:
    """What `CpuProgram` is, with the interpreter in place of machine code."""

    def __init__(self, steps: list[tuple[Any, list[tuple[int, int]]]], slots: int) -> None:
        self.steps = steps
        self.table = (ctypes.c_char * max(8, 8 * slots))()

    def run(self, after: Iterable[None] = ()) -> None:
        self._interpret()
        any(after)

    def _interpret(self) -> None:
        words = np.frombuffer(self.table, np.uint64)
        for made, arguments in self.steps:
            kernel: Kernel = made.kernel
            arrays: dict[str, Any] = {}
            for buffer, (slot, offset) in zip(kernel.params, arguments, strict=False):
                shape = tuple([e.const for e in buffer.shape])
                count = int(np.prod(shape, dtype=np.int64)) * buffer.dtype.itemsize
                memory = (ctypes.c_char * max(1, count)).from_address(int(words[slot]) + offset)
                arrays[buffer.name] = np.frombuffer(memory, np.uint8, count).view(buffer.dtype.numpy).reshape(shape)
            places = arguments[len(kernel.params) :]
            numbers = {
                scalar.name: np.frombuffer(self.table, scalar.dtype.numpy, 1, 8 * slot)[0]
                for scalar, (slot, _) in zip(kernel.scalars, places, strict=True)
            }
            interpreter.run(kernel, arrays, numbers, order="shuffle")


def difference(have: Array, want: Array, stray: float | None) -> str:
    """How two arrays differ beyond the rounding that the program allows, or an empty string."""
    if have.shape != want.shape or have.dtype != want.dtype:
        return f"{have.dtype}{list(have.shape)} instead of {want.dtype}{list(want.shape)}"
    x, y = wide(have), wide(want)
    if x.dtype.kind != "f":
        wrong = x != y
    else:
        with np.errstate(all="ignore"):
            near = np.zeros(y.shape)
            if stray is not None:
                near = STRAYS * stray + RTOL[dtypes.from_numpy(want.dtype).name] * np.abs(y)
            wrong = ~((x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= near))
    if not wrong.any():
        return ""
    at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    first = tuple(int(i) for i in at)
    return f"{int(wrong.sum())} of {x.size} elements; at {first} {x[at]!r} instead of {y[at]!r} (allowed: {stray})"


def reduced(program: Program, wrong: Callable[[Program], str]) -> Program:
    """The smallest program found that is still wrong: fewer outputs, then leaves in place of operations."""
    for output in sorted(set(program.outputs)):
        alone = prune(Program(program.steps, [output]))
        if wrong(alone):
            program = alone
            break
    else:
        program = _fewer_outputs(program, wrong)
    shrunk = True
    while shrunk:
        shrunk = False
        nodes = program.nodes()
        values = reference.evaluate(nodes)
        for n in range(len(program.steps) - 1, -1, -1):
            step = program.steps[n]
            if step.op == "leaf" or n in program.outputs:
                continue
            cut = prune(_replaced(program, n, Step("leaf", (), (values[n],))))
            if wrong(cut):
                program, shrunk = cut, True
                break
    return _plain_leaves(program, wrong)


def _fewer_outputs(program: Program, wrong: Callable[[Program], str]) -> Program:
    n = 0
    while n < len(program.outputs) and len(program.outputs) > 1:
        fewer = prune(Program(program.steps, program.outputs[:n] + program.outputs[n + 1 :]))
        if wrong(fewer):
            program = fewer
        else:
            n += 1
    return program


def _plain_leaves(program: Program, wrong: Callable[[Program], str]) -> Program:
    """Leaves that count from 0, where the program is wrong for those too."""
    for n, step in enumerate(program.steps):
        if step.op == "leaf":
            array = step.params[0]
            plain = (np.arange(array.size) % 7).reshape(array.shape).astype(array.dtype)
            simpler = _replaced(program, n, Step("leaf", (), (plain,)))
            if wrong(simpler):
                program = simpler
    return program


def _replaced(program: Program, n: int, step: Step) -> Program:
    return Program([*program.steps[:n], step, *program.steps[n + 1 :]], program.outputs)


def snippet(program: Program) -> str:
    """A script that builds the program and shows both results."""
    lines = [
        "import base64, zlib",
        "import ml_dtypes",
        "import numpy as np",
        "from spiraltorch import dtypes",
        "from spiraltorch.compiler import evaluate",
        "from spiraltorch.graph import build, reference",
        "from spiraltorch.graph.node import aval_of, leaf",
        "from spiraltorch.runtime import device",
        "cpu = device.get('cpu:0')",
        "def data(array):",
        "    return leaf(cpu.from_host(array.copy()), aval_of(array.shape, dtypes.from_numpy(array.dtype)))",
    ]
    for n, step in enumerate(program.steps):
        names = [f"v{a}" for a in step.args]
        if step.op == "leaf":
            lines.append(f"v{n} = data({_array(step.params[0])})")
            continue
        if step.op == "concat":
            names = [f"({', '.join(names)},)"]
        lines.append(f"v{n} = build.{step.op}({', '.join([*names, *map(_text, step.params)])})")
    roots = ", ".join(f"v{o}" for o in program.outputs)
    lines += [
        f"roots = [{roots}]",
        "expected = reference.evaluate(roots)",
        "evaluate.evaluate(roots)",
        "for root, want in zip(roots, expected):",
        "    print(cpu.to_host(root.buf, root.aval.shape, root.aval.dtype.numpy), want, sep='\\n')",
    ]
    return "\n".join(lines)


def _text(param: Any) -> str:
    if isinstance(param, dtypes.DType):
        return f"dtypes.BY_NAME[{param.name!r}]"
    return repr(param)


def _array(array: Array) -> str:
    kind = "ml_dtypes.bfloat16" if array.dtype.name == "bfloat16" else f"np.{array.dtype.name}".replace("bool", "bool_")
    counting = (np.arange(array.size) % 7).reshape(array.shape).astype(array.dtype)
    if np.array_equal(array, counting):
        return f"(np.arange({array.size}) % 7).reshape({array.shape}).astype({kind})"
    if array.size <= 24 and np.all(np.isfinite(wide(array))):
        return f"np.array({wide(array).reshape(-1).tolist()}).astype({kind}).reshape({array.shape})"
    packed = base64.b85encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return f"np.frombuffer(zlib.decompress(base64.b85decode({packed!r})), {kind}).reshape({array.shape})"
