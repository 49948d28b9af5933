"""One row for each differentiable primitive or variant of one: how to record it, on operands of which kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peers import torch
from spiraltorch.dtypes import float32, from_numpy
from spiraltorch.graph import build as b
from spiraltorch.graph.node import Node, aval_of, leaf
from spiraltorch.runtime import device


def node(array: Any, rg: bool = False) -> Node:
    """A leaf on the CPU."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    return leaf(device.get("cpu:0").from_host(array.copy()), aval_of(array.shape, from_numpy(array.dtype)), rg)


@dataclass
class Case:
    """`record` on nodes of `shapes`; the values lie in `low..high`. `torch` is the same there, where it has it."""

    name: str
    record: Callable[..., Node]
    shapes: list[tuple[int, ...]]
    low: float = -2.0
    high: float = 2.0
    torch: Callable[..., Any] | None = None
    zeros: bool = False  # some elements are exactly zero

    def operands(self, seed: int) -> list[np.ndarray[Any, Any]]:
        """Distinct random values, so that no comparison of two of them is near."""
        rng = np.random.default_rng(seed)
        total = sum(int(np.prod(s)) for s in self.shapes)
        values = self.low + (self.high - self.low) * (rng.permutation(total) + rng.uniform(0.3, 0.7, total)) / total
        if self.zeros:
            values[rng.integers(0, total, max(1, total // 4))] = 0.0
        arrays, at = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            arrays.append(values[at : at + size].reshape(shape))
            at += size
        return arrays


IDX = np.array([[0, 2], [2, 1]])
UPDATES = np.array([0, 2, 2, 3])
ALONG = np.array([[0, 1, 1], [2, 1, 0]])


def unary(name: str, low: float, high: float, reference: Any = None) -> Case:
    return Case(name, getattr(b, name), [(3, 4)], low, high, reference or getattr(torch, name))


def scatter_case(mode: str, along: bool, zeros: bool = False) -> Case:
    idx = np.array([[0, 1, 1], [2, 1, 0]]) if along else UPDATES
    shapes = [(4, 3), (2, 3)] if along else [(4, 3), (4, 3)]

    def record(base: Node, upd: Node) -> Node:
        return (b.scatter_along if along else b.scatter)(base, node(idx), upd, 0, mode)

    names = {"add": "sum", "max": "amax", "min": "amin", "mul": "prod"}

    def reference(base: Any, upd: Any) -> Any:
        full = torch.from_numpy(idx if along else np.repeat(idx[:, None], 3, 1))
        return base.scatter_reduce(0, full, upd, names[mode], include_self=True)

    tag = f"scatter{'_along' if along else ''}_{mode}{'_zeros' if zeros else ''}"
    return Case(tag, record, shapes, torch=reference if mode != "set" else None, zeros=zeros)


def conv_case(rank: int, stride: int, pad: tuple[int, int], spread: int, dilation: int) -> Case:
    space = (5, 6)[:rank]

    def record(x: Node, w: Node) -> Node:
        return b.conv(x, w, (stride,) * rank, (pad,) * rank, (spread,) * rank, (dilation,) * rank)

    tag = f"conv{rank}d_s{stride}_p{pad[0]}{pad[1]}_l{spread}_r{dilation}"
    return Case(tag, record, [(2, 2, 2, *space), (2, 3, 2, *(2, 3)[:rank])])


def windows_case(size: int, stride: int, dilation: int) -> Case:
    def record(x: Node) -> Node:
        return b.windows(x, (1, 2), (size, 2), (stride, 2), (dilation, 1))

    return Case(f"windows_{size}_{stride}_{dilation}", record, [(2, 7, 5)])


def attention(q: Node, k: Node, v: Node, bias: Node | None, causal: bool, scale: float) -> tuple[Node, Node]:
    """In float32 for the half-width dtypes, as `scaled_dot_product_attention` has it."""
    dtype = q.aval.dtype
    wide = float32 if dtype.itemsize == 2 else dtype
    q, k, v = (b.cast(x, wide) for x in (q, k, v))
    made = b.attention(q, k, v, None if bias is None else b.cast(bias, wide), causal, scale)
    return b.cast(made[0], dtype), b.cast(made[1], dtype)


CASES = [
    unary("neg", -2, 2), Case("abs", b.abs_, [(3, 4)], torch=torch.abs), unary("sqrt", 0.5, 3), unary("exp", -2, 2),
    unary("expm1", -2, 2), unary("exp2", -2, 2), unary("log", 0.3, 3), unary("log1p", -0.5, 3),
    unary("log2", 0.3, 3), unary("log10", 0.3, 3), unary("sin", -3, 3), unary("cos", -3, 3), unary("tan", -1.2, 1.2),
    unary("asin", -0.9, 0.9), unary("acos", -0.9, 0.9), unary("atan", -3, 3), unary("sinh", -2, 2),
    unary("cosh", -2, 2), unary("tanh", -2, 2), unary("asinh", -3, 3), unary("acosh", 1.2, 4),
    unary("atanh", -0.9, 0.9), unary("erf", -2, 2),
    Case("add", b.add, [(3, 1), (2, 1, 4)], torch=torch.add),
    Case("sub", b.sub, [(3, 4), (4,)], torch=torch.sub),
    Case("mul", b.mul, [(3, 4), ()], torch=torch.mul),
    Case("div", b.div, [(3, 4), (3, 1)], 0.5, 2.0, torch.div),
    Case("pow", b.pow, [(3, 4), (4,)], 0.4, 2.5, torch.pow),
    Case("pow_const", lambda x: b.pow(x, b.const(2, x.aval.dtype)), [(3, 4)], torch=lambda x: x**2),
    Case("pow_cube", lambda x: b.pow(x, b.number(3.0, x.aval.dtype)), [(3, 4)], torch=lambda x: x**3),
    Case("atan2", b.atan2, [(3, 4), (4,)], 0.5, 2.0, torch.atan2),
    Case("mod", b.mod, [(3, 4), (4,)], 0.6, 4.0, torch.remainder),
    Case("maximum", b.maximum, [(3, 4), (4,)], torch=torch.maximum),
    Case("minimum", b.minimum, [(3, 4), (4,)], torch=torch.minimum),
    Case("where", lambda x, y: b.where(b.lt(x, y), x, b.mul(y, y)), [(3, 4), (4,)],
         torch=lambda x, y: torch.where(x < y, x, y * y)),
    Case("barrier", lambda x, y: b.mul(b.barrier(x, y), y), [(3,), (3,)], torch=torch.mul),
    Case("reshape", lambda x: b.reshape(x, (2, 6)), [(3, 4)], torch=lambda x: x.reshape(2, 6)),
    Case("expand", lambda x: b.expand(x, (2, 3, 4)), [(3, 1)], torch=lambda x: x.expand(2, 3, 4)),
    Case("permute", lambda x: b.permute(x, (2, 0, 1)), [(2, 3, 4)], torch=lambda x: x.permute(2, 0, 1)),
    Case("pad", lambda x: b.pad(x, ((1, 2, 0), (0, 1, 2)), 7), [(2, 3)]),
    Case("slice", lambda x: b.slice(x, (1, 0), (4, 5), (1, 2)), [(4, 6)], torch=lambda x: x[1:4, 0:5:2]),
    Case("flip", lambda x: b.flip(x, (0, 1)), [(2, 3)], torch=lambda x: x.flip(0, 1)),
    windows_case(3, 1, 1), windows_case(2, 2, 1), windows_case(2, 3, 1), windows_case(3, 2, 1), windows_case(2, 1, 3),
    windows_case(7, 1, 1),
    Case("concat", lambda x, y: b.concat((x, y, x), 1), [(2, 3), (2, 1)], torch=lambda x, y: torch.cat((x, y, x), 1)),
    Case("reduce_sum", lambda x: b.reduce_sum(x, (0, 2)), [(2, 3, 4)], torch=lambda x: x.sum((0, 2))),
    Case("reduce_prod", lambda x: b.reduce_prod(x, (0, 2)), [(2, 3, 2)]),
    Case("reduce_prod_one", lambda x: b.reduce_prod(x, (1,)), [(2, 5)], torch=lambda x: x.prod(1)),
    Case("reduce_prod_zeros", lambda x: b.reduce_prod(x, (1,)), [(4, 4)], torch=lambda x: x.prod(1), zeros=True),
    Case("reduce_max", lambda x: b.reduce_max(x, (1,)), [(2, 3, 4)], torch=lambda x: x.amax(1)),
    Case("reduce_min", lambda x: b.reduce_min(x, (0, 2)), [(2, 3, 4)], torch=lambda x: x.amin((0, 2))),
    Case("dot", lambda x, y: b.dot(x, y, (2, 3), (3, 0), (0,), (2,)), [(3, 2, 4, 2), (2, 5, 3, 4)],
         torch=lambda x, y: torch.einsum("bick,kjbc->bij", x, y)),
    Case("dot_matrix", lambda x, y: b.dot(x, y, (1,), (0,)), [(3, 4), (4, 2)], torch=torch.matmul),
    Case("dot_vectors", lambda x, y: b.dot(x, y, (0,), (0,)), [(4,), (4,)], torch=torch.dot),
    Case("dot_outer", lambda x, y: b.dot(x, y, (), ()), [(4,), (3,)], torch=torch.outer),
    conv_case(1, 1, (0, 0), 1, 1), conv_case(2, 2, (1, 1), 1, 1), conv_case(2, 1, (2, 1), 1, 2),
    conv_case(2, 1, (1, 0), 2, 1), conv_case(2, 3, (2, 3), 2, 2), conv_case(1, 2, (-1, 1), 1, 1),
    Case("attention", lambda q, k, v: attention(q, k, v, None, True, 0.6)[0], [(1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 2)],
         torch=lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.6)),
    Case("attention_biased", lambda q, k, v, m: attention(q, k, v, m, False, 0.5)[0],
         [(2, 2, 3, 2), (2, 1, 4, 2), (2, 1, 4, 3), (1, 2, 1, 4)],
         torch=lambda q, k, v, m: torch.softmax(q @ k.mT * 0.5 + m, -1) @ v),
    Case("attention_sums", lambda q, k: attention(q, k, k, None, False, 0.5)[1], [(1, 1, 3, 2), (1, 1, 2, 2)],
         torch=lambda q, k: torch.logsumexp(q @ k.mT * 0.5, -1)),
    Case("cumsum", lambda x: b.cumsum(x, 1), [(2, 5)], torch=lambda x: x.cumsum(1)),
    Case("cumsum_reverse", lambda x: b.cumsum(x, 0, True), [(5, 2)], torch=lambda x: x.flip(0).cumsum(0).flip(0)),
    Case("cumprod", lambda x: b.cumprod(x, 1), [(2, 5)], torch=lambda x: x.cumprod(1)),
    Case("cumprod_reverse", lambda x: b.cumprod(x, 0, True), [(5, 2)], torch=lambda x: x.flip(0).cumprod(0).flip(0)),
    Case("cumprod_zeros", lambda x: b.cumprod(x, 1), [(3, 6)], torch=lambda x: x.cumprod(1), zeros=True),
    Case("cummax", lambda x: b.cummax(x, 1), [(3, 6)], torch=lambda x: x.cummax(1).values),
    Case("cummin", lambda x: b.cummin(x, 1), [(3, 6)], torch=lambda x: x.cummin(1).values),
    Case("cummax_reverse", lambda x: b.cummax(x, 1, True), [(3, 6)],
         torch=lambda x: x.flip(1).cummax(1).values.flip(1)),
    Case("cummin_reverse", lambda x: b.cummin(x, 0, True), [(6, 3)],
         torch=lambda x: x.flip(0).cummin(0).values.flip(0)),
    Case("take", lambda x: b.take(x, node(IDX), 1), [(2, 3, 2)], torch=lambda x: x[:, torch.from_numpy(IDX)]),
    Case("take_along", lambda x: b.take_along(x, node(ALONG), 0), [(3, 3)],
         torch=lambda x: x.gather(0, torch.from_numpy(ALONG))),
    *[scatter_case(mode, along) for mode in ("set", "add", "max", "min", "mul") for along in (False, True)],
]  # fmt: skip
