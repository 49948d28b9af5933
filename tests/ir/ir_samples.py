"""Small kernels as the compiler would lower them, each with its meaning in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from spiraltorch.dtypes import DType, float32, float64, int64
from spiraltorch.ir.expr import Buffer, Const, Load, Space, Value, at, cast, lookup, op
from spiraltorch.ir.guard import ALWAYS, Guard, guard
from spiraltorch.ir.index import Var, index
from spiraltorch.ir.schedule import identity
from spiraltorch.ir.stmt import Accumulate, Alloc, Kernel, Store, block, loop, loop_nest


def buffer(name: str, *shape: Any, dtype: DType = float32, space: Space = Space.GLOBAL) -> Buffer:
    return Buffer(name, at(*shape), dtype, space)


def gemm(m: Any, n: Any, k: Any, dtype: DType = float32, total: DType | None = None) -> Kernel:
    """C = A @ B + bias, summed in `total`."""
    total = total or dtype
    a, b = buffer("A", m, k, dtype=dtype), buffer("B", k, n, dtype=dtype)
    bias, c = buffer("bias", n, dtype=dtype), buffer("C", m, n, dtype=dtype)
    acc = buffer("t", m, n, dtype=total, space=Space.VIRTUAL)
    i, j, r = loop("i", m), loop("j", n), loop("k", k)
    cell = at(i.var, j.var)
    product = op("mul", cast(Load(a, at(i.var, r.var)), total), cast(Load(b, at(r.var, j.var)), total))
    out = cast(op("add", Load(acc, cell), cast(Load(bias, at(j.var)), total)), dtype)
    zero = identity("add", total)
    leaf = Accumulate(acc, cell, "add", product, axes=(r.var,), init=zero, finish=(Store(c, cell, out),))
    sizes = tuple(e for e in (m, n, k) if isinstance(e, Var))
    return Kernel("gemm", (a, b, bias, c), Alloc(acc, loop_nest([i, j, r], leaf)), sizes=sizes)


def gemm_arrays(rng: np.random.Generator, m: int, n: int, k: int, dtype: Any = np.float32) -> dict[str, Any]:
    arrays = {
        "A": rng.integers(-4, 5, (m, k)).astype(dtype), "B": rng.integers(-4, 5, (k, n)).astype(dtype),
        "bias": rng.integers(-4, 5, n).astype(dtype), "C": np.full((m, n), 77, dtype),
    }  # fmt: skip
    return arrays


def gemm_result(arrays: dict[str, Any]) -> Any:
    return arrays["A"] @ arrays["B"] + arrays["bias"]


def conv2d(n: int, c: int, o: int, h: int, w: int, window: int, stride: int, pad: int) -> Kernel:
    """NCHW cross-correlation with zero padding, through guarded loads."""
    oh, ow = ((e + 2 * pad - window) // stride + 1 for e in (h, w))
    x, weight, y = buffer("x", n, c, h, w), buffer("w", o, c, window, window), buffer("y", n, o, oh, ow)
    acc = buffer("t", n, o, oh, ow, space=Space.VIRTUAL)
    loops = [loop(name, e) for name, e in zip("noyxcpq", (n, o, oh, ow, c, window, window), strict=True)]
    vn, vo, vy, vx, vc, vp, vq = (one.var for one in loops)
    sy, sx = index(vy) * stride + vp - pad, index(vx) * stride + vq - pad
    inside = guard(sy, h - 1 - sy, sx, w - 1 - sx)
    product = op("mul", Load(x, at(vn, vc, sy, sx), inside), Load(weight, at(vo, vc, vp, vq)))
    cell = at(vn, vo, vy, vx)
    end = (Store(y, cell, Load(acc, cell)),)
    leaf = Accumulate(acc, cell, "add", product, axes=(vc, vp, vq), init=identity("add", float32), finish=end)
    return Kernel("conv2d", (x, weight, y), Alloc(acc, loop_nest(loops, leaf)))


def conv2d_result(x: Any, weight: Any, stride: int, pad: int) -> Any:
    from peers import torch

    return torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(weight), stride=stride, padding=pad).numpy()


def softmax(rows: Any, columns: Any) -> Kernel:
    """Three loops over each row; maximum and sum are virtual arrays with one cell a row."""
    x, y = buffer("x", rows, columns), buffer("y", rows, columns)
    top, total = buffer("top", rows, space=Space.VIRTUAL), buffer("total", rows, space=Space.VIRTUAL)
    r, c0, c1, c2 = loop("r", rows), loop("c0", columns), loop("c1", columns), loop("c2", columns)
    row = at(r.var)

    def shifted(v: Var) -> Value:
        return op("exp", op("sub", Load(x, at(r.var, v)), Load(top, row)))

    highest = Accumulate(top, row, "max", Load(x, at(r.var, c0.var)), ALWAYS, (c0.var,), identity("max", float32))
    summed = Accumulate(total, row, "add", shifted(c1.var), ALWAYS, (c1.var,), identity("add", float32))
    scaled = Store(y, at(r.var, c2.var), op("div", shifted(c2.var), Load(total, row)))
    body = block(loop_nest([c0], highest), loop_nest([c1], summed), loop_nest([c2], scaled))
    return Kernel("softmax", (x, y), Alloc(top, Alloc(total, loop_nest([r], body))))


def softmax_result(x: Any) -> Any:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def reduce(kind: str, rows: int, columns: int, axis: int, dtype: DType = float32) -> Kernel:
    """y = reduction of x[rows, columns] over one axis."""
    x, y = buffer("x", rows, columns, dtype=dtype), buffer("y", (rows, columns)[1 - axis], dtype=dtype)
    acc = buffer("t", (rows, columns)[1 - axis], dtype=dtype, space=Space.VIRTUAL)
    loops = [loop("i", rows), loop("j", columns)]
    gone, kept = loops[axis], loops[1 - axis]
    cell = at(kept.var)
    value = Load(x, at(loops[0].var, loops[1].var))
    end = (Store(y, cell, Load(acc, cell)),)
    leaf = Accumulate(acc, cell, kind, value, ALWAYS, (gone.var,), identity(kind, dtype), end)
    return Kernel("reduce", (x, y), Alloc(acc, loop_nest([kept, gone], leaf)))


def transpose(rows: int, columns: int) -> Kernel:
    x, y = buffer("x", rows, columns), buffer("y", columns, rows)
    i, j = loop("i", rows), loop("j", columns)
    return Kernel("transpose", (x, y), loop_nest([i, j], Store(y, at(j.var, i.var), Load(x, at(i.var, j.var)))))


def gather(n: int, count: int, width: int) -> Kernel:
    """y[e, j] = x[idx[e], j], the index clamped by its maker."""
    x, idx, y = buffer("x", n, width), buffer("idx", count, dtype=int64), buffer("y", count, width)
    e, j = loop("e", count), loop("j", width)
    where = lookup(clamped(Load(idx, at(e.var)), n), n - 1)
    return Kernel("gather", (x, idx, y), loop_nest([e, j], Store(y, at(e.var, j.var), Load(x, (where, index(j.var))))))


def scatter_add(n: int, count: int, width: int) -> Kernel:
    """y[idx[e], j] += x[e, j]; what is out of range is dropped."""
    x, idx, y = buffer("x", count, width), buffer("idx", count, dtype=int64), buffer("y", n, width)
    e, j = loop("e", count), loop("j", width)
    found = lookup(Load(idx, at(e.var)), 1 << 40, -(1 << 40))
    leaf = Accumulate(y, (found, index(j.var)), "add", Load(x, at(e.var, j.var)), inside(found, n))
    return Kernel("scatter_add", (x, idx, y), loop_nest([e, j], leaf))


def inside(i: Any, n: int) -> Guard:
    return guard(index(i), n - 1 - index(i))


def clamped(value: Value, n: int) -> Value:
    return op("max", op("min", value, Const(n - 1, int64)), Const(0, int64))


def csr_times_vector(rows: int, columns: int, stored: int) -> Kernel:
    """y = M @ v for a sparse M in CSR form: a loop whose extent is data."""
    start, col = buffer("start", rows + 1, dtype=int64), buffer("col", stored, dtype=int64)
    data, v, y = (
        buffer("data", stored, dtype=float64),
        buffer("v", columns, dtype=float64),
        buffer("y", rows, dtype=float64),
    )
    r = loop("r", rows)
    first = lookup(Load(start, at(r.var)), stored)
    many = op("sub", Load(start, (index(r.var) + 1,)), Load(start, at(r.var)))
    e = loop("e", lookup(many, stored))
    place = first + index(e.var)
    ok = inside(place, stored)
    found = lookup(Load(col, (place,), ok), columns - 1)
    value = op("mul", Load(data, (place,), ok), Load(v, (found,)))
    leaf = Accumulate(y, at(r.var), "add", value, ALWAYS, (e.var,), identity("add", float64))
    return Kernel("csr", (start, col, data, v, y), loop_nest([r, e], leaf))
