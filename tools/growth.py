"""Measures whether memory grows: `python tools/growth.py --quick`, or with names of cases.

Each case runs in a process of its own, which does something again and again: training steps, computations of new shapes,
functions that are compiled and dropped. Two figures say how much the process's memory grew: from a tenth of the rounds to
the end, and from half of them, when the bounded caches are full. It ends with 1 where the second is more than `--limit`. Of a
checkpoint the figures are by how much the peak rose while it was loaded.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import spiraltorch as st

MIB = 1 << 20


def resident() -> int:
    """The memory of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("[growth] expected VmRSS in /proc/self/status, got none; run this on Linux")


def _train(model: st.nn.Module, optimizer: st.optim.Optimizer, x: st.Tensor) -> st.Tensor:
    optimizer.zero_grad()
    loss: st.Tensor = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss.detach()


def steps() -> Iterator[None]:
    """Training steps of one model."""
    model, x = st.nn.Linear(32, 32), st.randn(8, 32)
    optimizer = st.optim.Adam(model.parameters())
    while True:
        _train(model, optimizer, x)
        yield


def compiled_steps() -> Iterator[None]:
    """The same as a compiled function."""
    model, x = st.nn.Linear(32, 32), st.randn(8, 32)
    optimizer = st.optim.Adam(model.parameters())
    step = st.compile(lambda x: _train(model, optimizer, x))
    while True:
        step(x)
        yield


def shapes(device: str = "cpu") -> Iterator[None]:
    """Computations of a new shape each."""
    n = 1
    while True:
        n += 1
        (st.ones(n, device=device) * 2 + 1).sum().item()
        yield


def shapes_on_wgpu() -> Iterator[None]:
    """The same on a GPU."""
    yield from shapes("wgpu")


def compiled_functions() -> Iterator[None]:
    """Functions that are compiled, called and dropped."""
    x, n = st.ones(16), 0
    while True:
        n += 1
        f = st.compile(lambda x, n=n: x * 2 + n)
        for _ in range(3):
            f(x)
        yield


def models() -> Iterator[None]:
    """Models that are made, trained for two compiled steps and dropped."""
    x = st.randn(8, 32)
    while True:
        model = st.nn.Sequential(st.nn.Linear(32, 64), st.nn.ReLU(), st.nn.Linear(64, 8))
        optimizer = st.optim.SGD(model.parameters(), lr=0.1)
        step = st.compile(lambda x, m=model, o=optimizer: _train(m, o, x))
        step(x)
        step(x)
        yield


def models_as_arguments() -> Iterator[None]:
    """Models of 1 MiB that are passed to one compiled function and dropped."""
    x, f = st.randn(8, 512), st.compile(lambda model, x: model(x).sum())
    while True:
        with st.no_grad():
            f(st.nn.Linear(512, 512), x)
        yield


def few_indices() -> Iterator[None]:
    """Reads of `x[i]` for sixteen different `i`."""
    x, n = st.arange(16), 0
    while True:
        n += 1
        x[n % 16].item()
        yield


def many_indices() -> Iterator[None]:
    """Reads of `x[i]` for a new `i` each."""
    x, n = st.arange(1_000_000), 0
    while True:
        n += 1
        x[n].item()
        yield


CASES: dict[str, tuple[Callable[[], Iterator[None]], int, int]] = {  # rounds, and those of `--quick`
    "steps": (steps, 100_000, 2_000),
    "compiled_steps": (compiled_steps, 100_000, 2_000),
    "shapes": (shapes, 5_000, 300),
    "shapes_on_wgpu": (shapes_on_wgpu, 1_000, 40),
    "compiled_functions": (compiled_functions, 2_000, 60),
    "models": (models, 2_000, 40),
    "models_as_arguments": (models_as_arguments, 2_000, 100),
    "few_indices": (few_indices, 300_000, 20_000),
    "many_indices": (many_indices, 10_000, 200),
}


def run_case(name: str, rounds: int) -> None:
    """Runs a case and prints the growth in bytes and the seconds."""
    turn, began, levels = CASES[name][0](), time.perf_counter(), []
    for n in range(rounds):
        next(turn)
        if n in (rounds // 10, rounds // 2, rounds - 1):
            gc.collect()
            levels.append(resident())
    print(levels[2] - levels[0], levels[2] - levels[1], time.perf_counter() - began)


def run_checkpoint(size: int) -> None:
    """Saves and loads a checkpoint of some MiB; prints by how much the peak rose over what it was before, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        if (child := os.fork()) == 0:
            st.save({f"w{n}": st.asarray(np.ones((size, MIB // 80), np.float32)) for n in range(20)}, path)
            os._exit(0)
        os.waitpid(child, 0)
        st.load(_small_checkpoint(folder))
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, time.perf_counter()
        loaded = st.load(path)
        st.eval(*loaded.values())
        rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before
        print(rise, rise, time.perf_counter() - began)


def _small_checkpoint(folder: str) -> Path:
    path = Path(folder) / "small.safetensors"
    st.save({"w": st.ones(3)}, path)
    return path


def main() -> int:
    """Prints a line for each case; ends with 1 if memory grew by more than the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("cases", nargs="*", default=[*CASES, "checkpoint"], help="all by default")
    parser.add_argument("--quick", action="store_true", help="a small part of the rounds")
    parser.add_argument("--limit", type=float, default=20.0, help="MiB that memory may grow by")
    parser.add_argument("--worker", type=int, default=0, help="run one case here, with so many rounds")
    given = parser.parse_args()
    if given.worker:
        (name,) = given.cases
        run_checkpoint(given.worker) if name == "checkpoint" else run_case(name, given.worker)
        return 0
    failed = False
    print(f"{'case':<22}{'rounds':>9}{'from 1/10':>11}{'from 1/2':>10} MiB{'seconds':>9}")
    for name in given.cases:
        size = 300 if not given.quick else 60  # MiB of the checkpoint
        rounds = size if name == "checkpoint" else CASES[name][2 if given.quick else 1]
        command = [sys.executable, __file__, name, "--worker", str(rounds)]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        early, late, seconds = int(found[0]) / MIB, int(found[1]) / MIB, float(found[2])
        failed |= late > (1.1 * size if name == "checkpoint" else given.limit)
        print(f"{name:<22}{rounds:>9,}{early:>11.1f}{late:>10.1f} MiB{seconds:>9.1f}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
