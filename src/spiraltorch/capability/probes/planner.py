"""Planner and scheduler: memory is reused, common values are computed once, and compiled functions are never stale."""

from __future__ import annotations

import math
import re
import threading
from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch import nn
from spiraltorch.runtime import device as devices

from ...typing import NDArray
from .checking import equal, expect, kernels, probe, raises


def _chain(depth: int) -> tuple[st.Tensor, NDArray]:
    """A chain of matrix products, and its value in float64."""
    rng = np.random.default_rng(0)
    a, w = rng.standard_normal((40, 32)), rng.standard_normal((32, 32)) / 6
    x, y = st.asarray(a.astype(np.float32)), st.asarray(w.astype(np.float32))
    st.eval(x, y)
    for _ in range(depth):
        x, a = st.tanh(x @ y), np.tanh(a @ w)
    return x, a


@probe()
def memory_reuse(device: str) -> str:
    """Intermediate results of a long chain share memory: the arena does not grow with the depth."""
    sizes = []
    for depth in (4, 12):
        x, want = _chain(depth)
        text = st.explain(x)
        found = re.search(r"intermediates: ([\d,]+) bytes, ([\d,]+) bytes saved by reuse", text)
        expect(found, f"st.explain: expected a line about intermediates, got {text[:200]!r}")
        assert found is not None
        sizes.append(int(found[1].replace(",", "")))
        equal(f"chain of {depth}", x, want, 1e-4, 1e-5)
    expect(0 < sizes[1] <= sizes[0] * 1.5, f"arena: expected as much for 12 products as for 4, got {sizes} bytes")
    return "12 products in the arena of 4"


@probe()
def in_place(device: str) -> None:
    """An element-wise intermediate is written over the operand that nothing else reads."""
    a = np.random.default_rng(1).standard_normal((128, 128)).astype(np.float32) / 16
    x = st.asarray(a)
    st.eval(x)
    y = st.sort(st.tanh(st.cumsum(x, axis=0)), axis=1) @ x  # a scan, an element-wise kernel, a sort, a product
    text = st.explain(y)
    expect("in place of" in text, f"st.explain: expected a result written in place, got {text[-300:]!r}")
    wide = a.astype(np.float64)
    equal("values", y, np.sort(np.tanh(wide.cumsum(0)), 1) @ wide, 1e-4, 1e-5)


@probe()
def shared_work(device: str) -> None:
    """A value that two results need is computed once, and again only when it is dropped."""
    x = st.asarray(np.linspace(0, 1, 64, dtype=np.float32))
    shared = st.cumsum(st.exp(x), 0)
    alone, _ = kernels(shared)
    both, _ = kernels(shared.max(), (shared * 2).sum())
    expect(both <= alone + 2, f"kernels: expected the shared scan once, got {both} kernels where it alone has {alone}")
    want = np.exp(np.linspace(0, 1, 64)).cumsum()
    equal("one", shared.max(), want.max(), 1e-5)
    equal("other", (shared * 2).sum(), 2 * want.sum(), 1e-5)
    held, _ = kernels(shared + 1)
    expect(held == 1, f"kernels: expected a computed value to be read, got a plan of {held} kernels")


@probe()
def out_of_memory(device: str) -> None:
    """A request beyond the device's memory raises OutOfMemoryError with sizes, and work goes on."""
    message = raises("a petabyte", st.OutOfMemoryError, lambda: st.eval(st.arange(1 << 40, dtype=st.float32) + 1))
    expect(re.search(r"\d{3}", message), f"OutOfMemoryError: expected sizes in the message, got {message!r}")
    for n in range(3):
        equal("after running out", (st.arange(1000, dtype=st.float32) + n).sum(), 499500 + 1000 * n)


@probe()
def never_stale(device: str) -> None:
    """A compiled function follows changed shapes, dtypes, numbers, captured tensors and modules."""
    f: Any = st.compile(lambda x, k: (x * k).sum())
    calls = ((st.ones(3), 2, 6), (st.ones(5), 2, 10), (st.ones(5, dtype=st.int32), 2, 10), (st.ones(5), 3.5, 17.5))
    for _ in range(2):
        for x, k, want in calls:
            equal("compiled call", f(x, k), want)
    w = st.tensor([1.0, 2.0])
    g: Any = st.compile(lambda x: x * w)
    equal("captured", g(st.ones(2)), [1, 2])
    w += 10
    equal("captured, updated in place", g(st.ones(2)), [11, 12])
    model = nn.Linear(2, 1, bias=False)
    h: Any = st.compile(st.no_grad(lambda x: model(x)))
    for values in ([[1.0, 2.0]], [[3.0, -1.0]]):
        model.weight = nn.Parameter(st.tensor(values))
        equal("replaced parameter", h(st.ones(1, 2)), [[sum(values[0])]])
    st.manual_seed(3)
    draw: Any = st.compile(lambda: st.rand(4))
    drawn = np.concatenate([draw().numpy() for _ in range(3)])
    st.manual_seed(3)
    equal("random numbers", drawn, np.concatenate([st.rand(4).numpy() for _ in range(3)]))


@probe()
def many_operations(device: str) -> str:
    """A graph of two thousand operations is planned and computed in dependency order."""
    x = st.asarray(np.array([0.5, 1.5], np.float32))
    want = np.array([0.5, 1.5])
    for n in range(500):
        x = st.sin(x) * 0.5 + x * 0.5 + float(n % 3)
        want = np.sin(want) * 0.5 + want * 0.5 + n % 3
        if n % 25 == 0:
            x = st.flip(x, 0) if n % 2 else x - x.max() + 1
            want = want[::-1] if n % 2 else want - want.max() + 1
    equal("value", x, want, 1e-3, 1e-3)
    return "2,000 operations"


@probe()
def threads(device: str) -> None:
    """Threads that evaluate graphs with common parts get right results."""
    base = st.cumsum(st.arange(256, dtype=st.float32), 0)
    wrong: list[str] = []

    def work(k: int) -> None:
        for n in range(10):
            got = (base * float(k) + float(n)).sum().item()
            want = k * sum(i * (i + 1) // 2 for i in range(256)) + n * 256
            if not math.isclose(got, want, rel_tol=1e-5):
                wrong.append(f"expected {want}, got {got}")

    started = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3)]
    for t in started:
        t.start()
    for t in started:
        t.join()
    expect(not wrong, f"{len(wrong)} of 30 results: {wrong[:1]}")


@probe()
def transfers(device: str) -> str:
    """A graph over two devices moves values between them, and refuses to mix them silently."""
    known = st.__array_namespace_info__().devices()
    other = next((d for d in known if d != devices.canonical(device)), None)
    x = st.arange(6, dtype=st.float32)
    equal("to itself", x.to_device(device) * 2, np.arange(6) * 2)
    if other is None:
        return "one device here"
    there = (x + 1).to_device(other) * 3
    equal("there and back", there.to_device(device) - 1, (np.arange(6) + 1) * 3 - 1)
    raises("mixed devices", st.DeviceError, lambda: x + there)
    return "two devices"
