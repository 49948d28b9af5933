"""The rows of the benchmark: each is made for one library and gives a function to time and one to check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Row = tuple[Callable[[], Any], Callable[[], str]]
ROWS = {
    "gelu": "gelu(a*b+c), 16M",
    "softmax": "softmax 4096x1024",
    "layernorm": "layer norm 4096x1024",
    "matmul1024": "matmul 1024",
    "matmul256": "matmul 256",
    "tiny": "40 tiny ops on 32 elements, compiled",
    "tiny_eager": "40 tiny ops on 32 elements, not compiled",
    "mlp": "MLP 784-512-512-10 train step, b256, AdamW, compiled",
    "mlp_eager": "the same, not compiled",
    "record": "recording an op (a + b)",
}


def data(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def gelu64(x: Any) -> Any:
    x = x.astype(np.float64)
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def softmax64(x: Any) -> Any:
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layernorm64(x: Any) -> Any:
    x = x.astype(np.float64)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def tiny64(x: Any, y: Any) -> Any:
    x, y = x.astype(np.float64), y.astype(np.float64)
    for _ in range(20):
        x = x * 1.01 + y
    return x


def error(got: Any, want: Any) -> str:
    """The relative error against float64, and whether it is what float32 allows."""
    size = float(np.linalg.norm(np.asarray(got, np.float64) - want) / np.linalg.norm(want))
    return f"{'ok' if size < 1e-5 else 'WRONG'} {size:.1e}"


def mlp_loss64(steps: int) -> float:
    """The loss after some AdamW steps of the benchmark's MLP, in float64 NumPy."""
    params, x, y = mlp_data()
    p = [v.astype(np.float64) for v in params]
    m, v = [np.zeros_like(q) for q in p], [np.zeros_like(q) for q in p]
    loss = 0.0
    for t in range(1, steps + 1):
        h1 = x @ p[0].T + p[1]
        a1 = np.maximum(h1, 0)
        h2 = a1 @ p[2].T + p[3]
        a2 = np.maximum(h2, 0)
        z = a2 @ p[4].T + p[5]
        e = np.exp(z - z.max(1, keepdims=True))
        q = e / e.sum(1, keepdims=True)
        loss = float(-np.log(q[np.arange(len(y)), y]).mean())
        g = q.copy()
        g[np.arange(len(y)), y] -= 1
        g /= len(y)
        g2 = (g @ p[4]) * (h2 > 0)
        g1 = (g2 @ p[2]) * (h1 > 0)
        grads = [g1.T @ x, g1.sum(0), g2.T @ a1, g2.sum(0), g.T @ a2, g.sum(0)]
        for i, d in enumerate(grads):
            p[i] = p[i] * (1 - 1e-3 * 1e-2)
            m[i] = 0.9 * m[i] + 0.1 * d
            v[i] = 0.999 * v[i] + 0.001 * d * d
            p[i] -= 1e-3 * (m[i] / (1 - 0.9**t)) / (np.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    return loss


def mlp_data() -> tuple[list[Any], Any, Any]:
    """Parameters, a batch and its labels."""
    rng = np.random.default_rng(1)
    sizes = [(512, 784), (512,), (512, 512), (512,), (10, 512), (10,)]
    params = [(rng.standard_normal(s) * 0.05).astype(np.float32) for s in sizes]
    return params, data(256, 784), rng.integers(0, 10, 256)


# ---------------------------------------------------------------- this library


def spiraltorch_row(name: str) -> Row:
    import spiraltorch as st
    from spiraltorch import nn, optim

    def tensors(*arrays: Any) -> list[Any]:
        return [st.tensor(a) for a in arrays]

    def compiled(fn: Any, want: Any, *args: Any) -> Row:
        run = st.compile(fn)
        return lambda: run(*args), lambda: error(run(*args).numpy(), want)

    if name == "gelu":
        a = [data(1 << 24, seed=n) for n in range(3)]
        want = gelu64(a[0].astype(np.float64) * a[1] + a[2])
        return compiled(lambda x, y, z: st.gelu(x * y + z, approximate="tanh"), want, *tensors(*a))
    if name == "softmax":
        x = data(4096, 1024)
        return compiled(lambda t: st.softmax(t, -1), softmax64(x), *tensors(x))
    if name == "layernorm":
        x, layer = data(4096, 1024), nn.LayerNorm(1024)
        return compiled(st.no_grad(lambda t: layer(t)), layernorm64(x), *tensors(x))
    if name.startswith("matmul"):
        n = int(name[6:])
        a, c = data(n, n), data(n, n, seed=1)
        return compiled(lambda x, y: x @ y, a.astype(np.float64) @ c, *tensors(a, c))
    if name.startswith("tiny"):
        x, y = data(32), data(32, seed=1)

        def chain(u: Any, w: Any) -> Any:
            for _ in range(20):
                u = u * 1.01 + w
            return u

        if name == "tiny":
            return compiled(chain, tiny64(x, y), *tensors(x, y))
        u, w = tensors(x, y)

        def eager() -> Any:
            out = chain(u, w)
            st.eval(out)
            return out

        return eager, lambda: error(eager().numpy(), tiny64(x, y))
    if name == "record":
        u, w = tensors(data(32), data(32))
        return lambda: [u + w for _ in range(1000)], lambda: error((u + w).numpy(), 2 * data(32).astype(np.float64))
    params, batch, labels = mlp_data()
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    with st.no_grad():
        for p, value in zip(model.parameters(), params, strict=True):
            p.copy_(st.tensor(value))
    optimizer, criterion = optim.AdamW(model.parameters()), nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = st.compile(step) if name == "mlp" else step
    x, y = st.tensor(batch), st.tensor(labels)
    first = [run(x, y).item() for _ in range(2)]  # the second loss has seen a whole update
    return lambda: run(x, y).item(), lambda: error(first[1], mlp_loss64(2))


# ---------------------------------------------------------------- torch


def torch_row(name: str) -> Row:
    import torch
    from torch.nn import functional

    def tensors(*arrays: Any) -> list[Any]:
        return [torch.tensor(a) for a in arrays]

    def plain(fn: Any, want: Any, *args: Any) -> Row:
        def run() -> Any:
            with torch.no_grad():
                return fn(*args)

        return run, lambda: error(run().numpy(), want)

    if name == "gelu":
        a = [data(1 << 24, seed=n) for n in range(3)]
        want = gelu64(a[0].astype(np.float64) * a[1] + a[2])
        return plain(lambda x, y, z: functional.gelu(x * y + z, approximate="tanh"), want, *tensors(*a))
    if name == "softmax":
        x = data(4096, 1024)
        return plain(lambda t: torch.softmax(t, -1), softmax64(x), *tensors(x))
    if name == "layernorm":
        x, layer = data(4096, 1024), torch.nn.LayerNorm(1024)
        return plain(layer, layernorm64(x), *tensors(x))
    if name.startswith("matmul"):
        n = int(name[6:])
        a, c = data(n, n), data(n, n, seed=1)
        return plain(lambda x, y: x @ y, a.astype(np.float64) @ c, *tensors(a, c))
    if name.startswith("tiny"):
        x, y = data(32), data(32, seed=1)

        def chain(u: Any, w: Any) -> Any:
            for _ in range(20):
                u = u * 1.01 + w
            return u

        return plain(chain, tiny64(x, y), *tensors(x, y))
    if name == "record":
        u, w = tensors(data(32), data(32))
        return lambda: [u + w for _ in range(1000)], lambda: error((u + w).numpy(), 2 * data(32).astype(np.float64))
    params, batch, labels = mlp_data()
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    with torch.no_grad():
        for p, value in zip(model.parameters(), params, strict=True):
            p.copy_(torch.tensor(value))
    optimizer, criterion = torch.optim.AdamW(model.parameters()), nn.CrossEntropyLoss()
    x, y = torch.tensor(batch), torch.tensor(labels)

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    first = [step() for _ in range(2)]
    return step, lambda: error(first[1], mlp_loss64(2))


MAKERS: dict[str, Callable[[str], Row]] = {"spiraltorch": spiraltorch_row, "torch": torch_row}
