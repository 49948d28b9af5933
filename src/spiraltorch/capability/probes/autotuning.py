"""Kernel autotuning: schedules are searched and kept, never slower than the rule's, and no candidate does harm.

Run as a program, `python -m spiraltorch.capability.probes.autotuning FAULT DEVICE`, this module is a worker of the tuner
that makes some candidates hang, crash or compute a wrong result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch.ir.expr import Const, op
from spiraltorch.ir.stmt import Kernel, Stmt, Store, transform
from spiraltorch.runtime import device as devices

from ...typing import NDArray
from .checking import equal, expect, probe, public

NOISE = 1.2  # of the fastest of many runs, on a machine that runs other programs too
CHILD = """
import sys, time
import numpy as np
import spiraltorch as st
from spiraltorch.capability.probes.autotuning import work
st.set_default_device(sys.argv[1])
make = work()[sys.argv[2]][0]
best, until = float("inf"), time.perf_counter() + 0.6
while time.perf_counter() < until:
    y = make()
    began = time.perf_counter()
    y.numpy()
    best = min(best, time.perf_counter() - began)
print(best, sum("the tuner tried" in line for line in st.explain(make()).splitlines()))
"""


def work() -> dict[str, tuple[Callable[[], st.Tensor], NDArray]]:
    """Graphs to tune: functions that record them, and their values in float64."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((192, 160), (160, 224)))
    c = rng.standard_normal((512, 768)).astype(np.float32)
    x, y, z = st.asarray(a), st.asarray(b), st.asarray(c)
    st.eval(x, y, z)
    wide = c.astype(np.float64)
    soft = np.exp(wide) / np.exp(wide).sum(-1, keepdims=True)
    return {
        "product": (lambda: x @ y, a.astype(np.float64) @ b),
        "softmax": (lambda: st.softmax(z, -1), soft),
        "map": (lambda: st.tanh(z) * 2 + z, np.tanh(wide) * 2 + wide),
    }


@contextmanager
def _store() -> Iterator[str]:
    """An empty tuning store: a new folder in `SPIRALTORCH_CACHE_DIR`."""
    before = os.environ.get("SPIRALTORCH_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="spiraltorch-tuning-") as root:
        os.environ["SPIRALTORCH_CACHE_DIR"] = root
        try:
            yield root
        finally:
            if before is None:
                del os.environ["SPIRALTORCH_CACHE_DIR"]
            else:
                os.environ["SPIRALTORCH_CACHE_DIR"] = before


def _child(device: str, name: str, root: str) -> tuple[float, int]:
    """Runs a graph in another process: the fastest of its runs in seconds, and its number of tuned kernels."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, device, name], capture_output=True, text=True, check=False,
        env={**os.environ, "SPIRALTORCH_CACHE_DIR": root},
    )  # fmt: skip
    expect(done.returncode == 0, f"a process with the store: {done.stderr[-300:]}")
    seconds, known = done.stdout.split()
    return float(seconds), int(known)


@probe(seconds=120)
def search(device: str) -> str:
    """A search tries several schedules, keeps the best, and leaves the results right."""
    tune, tried = public("tune"), 0
    with _store():
        for name, (make, want) in work().items():
            with tune(seconds=4) as session:
                equal(f"{name} while it is tuned", make(), want, 1e-4, 1e-4)
            expect(session.entries, f"{name}: expected an entry, got none")
            tried += sum(e.count for e in session.entries)
            equal(f"{name} after it was tuned", make(), want, 1e-4, 1e-4)
            expect("the tuner tried" in st.explain(make()), f"{name}: st.explain does not name the tuner")
    expect(tried >= 6, f"expected at least 6 schedules tried, got {tried}")
    return f"{tried} schedules"


@probe(seconds=300)
def never_slower(device: str) -> str:
    """Tuned programs are no slower than untuned ones, beyond noise, in processes of their own."""
    tune, ratios = public("tune"), []
    with _store() as root, tempfile.TemporaryDirectory(prefix="spiraltorch-untuned-") as plain:
        for name, (make, _) in work().items():
            with tune(seconds=4):
                make().numpy()
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(8):
                for own, where in zip(times, (root, plain), strict=True):
                    own.append(_child(device, name, where)[0])
                ratio = min(times[0]) / min(times[1])
                if (turn >= 2 and ratio <= 1) or (turn >= 4 and ratio <= NOISE):
                    break
            expect(ratio <= NOISE, f"{name}: expected at most {NOISE} times the untuned time, got {ratio:.2f}")
            ratios.append(f"{name} {ratio:.2f}")
    return ", ".join(ratios)


@probe(seconds=120)
def persistence(device: str) -> str:
    """What tuning found is used by other processes, without tuning again."""
    tune = public("tune")
    make, _ = work()["product"]
    with _store() as root:
        with tune(seconds=2) as session:
            make().numpy()
        expect(session.entries, "expected an entry, got none")
        _, known = _child(device, "product", root)
        expect(known >= 1, "expected another process to know what the tuner found, got nothing")
        with tune(seconds=2) as again:
            make().numpy()
        expect(not again.entries, f"expected nothing to be tuned twice, got {again.entries[:1]}")
        return f"{len(session.entries)} kernels"


@probe(seconds=120)
def damaged_store(device: str) -> str:
    """Files of the store that are damaged are reported and rebuilt, and results stay right."""
    tune, entries = public("tune"), public("tuning.entries")
    make, want = work()["softmax"]
    program = "import sys; from spiraltorch.capability.probes.autotuning import rebuild; rebuild(sys.argv[1])"
    with _store() as root:
        with tune(seconds=1) as session:
            make().numpy()
        count = len(session.entries)
        kept = list((Path(root) / "tuning").glob("*.json"))
        expect(len(kept) == count > 0, f"expected a file for each of {count} entries, got {len(kept)}")
        for n, path in enumerate(kept):
            path.write_bytes((b"", b"{", b"[]", b'{"key": 1}', b"\xff\x00")[n % 5])
        done = subprocess.run([sys.executable, "-c", program, device], capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"a process with a damaged store: {done.stderr[-300:]}")
        expect("is damaged" in done.stderr, f"expected a warning, got {done.stderr[-300:]!r}")
        expect(len(entries()) >= count, f"expected {count} entries again, got {len(entries())}")
        equal("softmax", make(), want, 1e-4, 1e-4)
    return f"{count} files"


def rebuild(device: str) -> None:
    """Evaluates a graph with a damaged store, first without tuning, then with it."""
    devices.set_default(device)
    make, want = work()["softmax"]
    equal("softmax with a damaged store", make(), want, 1e-4, 1e-4)
    with st.tune(seconds=1) as session:
        equal("softmax tuned again", make(), want, 1e-4, 1e-4)
    expect(session.entries, "expected the entry to be made again, got none")


@probe(seconds=300)
def bad_candidates(device: str) -> str:
    """Candidates that hang, crash or give wrong results are disqualified; the program goes on."""
    tune, found = public("tune"), []
    make, want = work()["map"]
    for fault, outcome in (("hang", "failed"), ("crash", "failed"), ("wrong", "wrong")):
        before = st.telemetry.counters()["tuning_disqualified"]
        began = time.perf_counter()
        with _store(), warnings.catch_warnings():
            warnings.simplefilter("error")
            with tune(seconds=16, limit=2, worker=("-m", __name__, fault)) as session:
                equal(f"the value, with candidates that {fault}", make(), want, 1e-4, 1e-4)
        expect(session.entries, f"{fault}: expected an entry, got none")
        bad = [t for e in session.entries for t in e.tried if t["outcome"] == outcome]
        expect(bad, f"{fault}: expected candidates to be disqualified, got {session.entries[0].tried[:3]}")
        won = [e.decisions for e in session.entries]
        expect(all(t["decisions"] not in won for t in bad), f"{fault}: a disqualified candidate won")
        counted = st.telemetry.counters()["tuning_disqualified"] - before
        expect(counted >= len(bad), f"{fault}: expected {len(bad)} counted, got {counted}")
        expect(time.perf_counter() - began < 80, f"{fault}: the search did not end in time")
        found.append(f"{len(bad)} {fault}")
    return ", ".join(found)


def _faulty(fault: str, kernel: Kernel, decisions: Mapping[str, Any]) -> Kernel:
    """Applies a fault to one in three candidates."""
    if zlib.crc32(json.dumps(decisions, sort_keys=True).encode()) % 3:
        return kernel
    if fault == "hang":
        time.sleep(3600)
    if fault == "crash":
        os.abort()

    def visit(s: Stmt) -> Stmt:
        if isinstance(s, Store) and s.buffer in kernel.params and s.buffer.dtype.is_float:
            return Store(s.buffer, s.position, op("add", s.value, Const(1.0, s.buffer.dtype)), s.guard)
        return s

    return kernel.with_body(transform(kernel.body, visit))


def _worker(fault: str, device: str) -> None:
    from spiraltorch.tuning.worker import main

    main([device], lambda kernel, decisions: _faulty(fault, kernel, decisions))


if __name__ == "__main__":
    _worker(*sys.argv[1:])
