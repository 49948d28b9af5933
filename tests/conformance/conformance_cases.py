"""What every backend must compute, as data: a name, the dtypes it is for, a function of tensors and one of arrays.

`KNOWN` lists what a backend cannot do, with the reason: a case that fails there must be listed, and one that is listed
must fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import spiraltorch as st

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMBERS = FLOATS + INTEGERS
EVERY = (*NUMBERS, "bool")
KNOWN: dict[tuple[str, str, str], str] = {}  # (device as in the test's name, case, dtype) -> why


@dataclass(frozen=True)
class Case:
    """`run` on tensors must give what `meaning` gives on arrays; `ulps` is how far floats may differ."""

    name: str
    dtypes: tuple[str, ...]
    run: Callable[..., Any]
    meaning: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((5, 7),)
    low: float = -4
    high: float = 4
    ulps: float = 4
    size: float = 1e-2  # results below count as this large: what the terms of a sum that cancels are like
    special: bool = False  # whether infinities and NaN are among the operands
    signs: bool = True  # whether the sign of a zero counts


def _wide(f: Callable[..., Any]) -> Callable[..., Any]:
    """In float64, rounded once."""

    def run(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            made = f(*[a.astype(np.float64) for a in args])
            return np.asarray(made).astype(args[0].dtype)

    return run


def _plain(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return f(*args)

    return run


def _floor_divide(a: Any, b: Any) -> Any:
    with np.errstate(all="ignore"):
        return (
            np.floor_divide(a, b) if a.dtype.kind in "iu" else np.floor_divide(a.astype(np.float64), b).astype(a.dtype)
        )


def _sort(x: Any) -> Any:
    return np.sort(x, axis=-1)


def _unary(name: str, low: float = -4, high: float = 4, ulps: float = 4) -> Case:
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
                  "atanh": "arctanh"}.get(name, name)  # fmt: skip
    return Case(name, FLOATS, getattr(st, name), _wide(getattr(np, numpy_name)), low=low, high=high, ulps=ulps)


def _edges(name: str, ours: Callable[..., Any], numpys: Callable[..., Any], signs: bool = True) -> Case:
    return Case(f"{name} at the edges", FLOATS, ours, _plain(numpys), shapes=((64,), (64,)), special=True, signs=signs)


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _conv(x: Any, w: Any) -> Any:
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def _attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ k.swapaxes(-2, -1) / np.sqrt(q.shape[-1])
    scores = np.where(np.arange(k.shape[-2]) <= np.arange(q.shape[-2])[:, None], scores, -np.inf)
    return _softmax(scores) @ v


BOTH = ((5, 7), (5, 7))
CASES = (
    *[_unary(n) for n in "exp exp2 expm1 sin cos tan atan sinh cosh tanh asinh".split()],
    *[_unary(n, 0.01, 30) for n in "log log2 log10 log1p sqrt".split()],
    *[_unary(n, -0.99, 0.99) for n in "asin acos atanh".split()],
    _unary("acosh", 1.1, 9),
    Case("floor", FLOATS, st.floor, _plain(np.floor)), Case("round", FLOATS, st.round, _plain(np.round)),
    Case("add", EVERY, lambda a, b: a + b, _plain(np.add), BOTH, ulps=1),
    Case("sub", NUMBERS, lambda a, b: a - b, _plain(np.subtract), BOTH, ulps=1),
    Case("mul", EVERY, lambda a, b: a * b, _plain(np.multiply), BOTH, ulps=1),
    Case("div", FLOATS, lambda a, b: a / b, _plain(np.divide), BOTH, ulps=2),
    Case("pow", FLOATS, lambda a, b: a**b, _wide(np.power), BOTH, low=0.1, ulps=16),
    Case("floor_divide", NUMBERS, lambda a, b: a // b, _floor_divide, BOTH),
    Case("remainder", INTEGERS, lambda a, b: a % b, _plain(np.remainder), BOTH),
    Case("bitwise", (*INTEGERS, "bool"), lambda a, b: (a & b) ^ (a | ~b), lambda a, b: (a & b) ^ (a | ~b), BOTH),
    Case("shifts", INTEGERS, lambda a: (a << 3) + (a >> 1), lambda a: (a << 3) + (a >> 1)),
    Case("comparisons", EVERY, lambda a, b: st.stack([a < b, a <= b, a == b, a != b]),
         lambda a, b: np.stack([a < b, a <= b, a == b, a != b]), BOTH),
    Case("where", EVERY, lambda a, b: st.where(a > b, a, b), lambda a, b: np.where(a > b, a, b), BOTH),
    Case("to float32", EVERY, lambda a: a.to(st.float32), lambda a: a.astype(np.float32)),
    Case("to int64", EVERY, lambda a: a.to(st.int64), lambda a: a.astype(np.int64)),
    Case("to uint8", INTEGERS, lambda a: a.to(st.uint8), lambda a: a.astype(np.uint8)),
    Case("to bool", EVERY, lambda a: a.to(st.bool), lambda a: a.astype(bool)),
    _edges("maximum", st.maximum, np.maximum, False), _edges("minimum", st.minimum, np.minimum, False),
    _edges("add", lambda a, b: a + b, np.add), _edges("mul", lambda a, b: a * b, np.multiply),
    _edges("sub", lambda a, b: a - b, np.subtract), _edges("div", lambda a, b: a / b, np.divide),
    _edges("equal", lambda a, b: a == b, np.equal), _edges("less", lambda a, b: a < b, np.less),
    _edges("unequal", lambda a, b: a != b, np.not_equal),
    _edges("isnan", lambda a, b: st.isnan(a + b), lambda a, b: np.isnan(a + b)),
    _edges("self", lambda a, b: st.stack([a - a, a * 0, b * -0.0]), lambda a, b: np.stack([a - a, a * a.dtype.type(0), b * b.dtype.type(-0.0)])),
    _edges("negated", lambda a, b: st.stack([a + -a, -b + b, st.atan2(a, -a), st.atan2(-b, b)]),
           lambda a, b: np.stack([a + -a, -b + b, np.arctan2(a, -a), np.arctan2(-b, b)]).astype(a.dtype)),
    _edges("zero divided", lambda a, b: st.stack([0 / a, -0.0 / b]), lambda a, b: np.stack([a.dtype.type(0) / a, b.dtype.type(-0.0) / b])),
    Case("sum of rows", NUMBERS, lambda a: st.sum(a, -1), lambda a: a.sum(-1, dtype=a.dtype if a.dtype.kind not in "iu" else None),
         ((6, 100),), ulps=8, size=50),
    Case("sum of long rows", ("float32",), lambda a: a.sum(-1), lambda a: a.sum(-1), ((3, 5000),), ulps=8, size=300),
    Case("sum of columns", FLOATS, lambda a: a.sum(0), lambda a: a.sum(0, dtype=a.dtype), ((50, 33),), ulps=8, size=50),
    Case("sum of all", ("float32",), lambda a: a.sum(), lambda a: a.sum(), ((300, 301),), ulps=8, size=1000),
    Case("prod", ("float32", "int32", "int64"), lambda a: a.prod(-1), lambda a: a.prod(-1), ((6, 9),), ulps=16),
    Case("max", NUMBERS, lambda a: st.max(a, -1), lambda a: a.max(-1), ((6, 130),)),
    Case("min of columns", NUMBERS, lambda a: st.min(a, 0), lambda a: a.min(0), ((40, 9),)),
    Case("any and all", ("bool",), lambda a: st.stack([a.any(-1), a.all(-1)]), lambda a: np.stack([a.any(-1), a.all(-1)])),
    Case("argmax", NUMBERS, lambda a: st.argmax(a, -1), lambda a: a.argmax(-1), ((7, 90),)),
    Case("softmax", ("float32",), lambda a: st.softmax(a, -1), _wide(_softmax), ((5, 300),), ulps=32),
    Case("cumsum", ("float32", "int32", "int64"), lambda a: st.cumsum(a, -1), lambda a: a.cumsum(-1), ((4, 50),),
         ulps=8, size=30),
    Case("cumsum of columns", ("float32",), lambda a: st.cumsum(a, 0), lambda a: a.cumsum(0), ((40, 5),), ulps=8, size=30),
    Case("sort", NUMBERS, lambda a: _first(st.sort(a, -1)), _sort,
         ((3, 45),)),
    Case("transpose", EVERY, lambda a: a.T.reshape(5, 7), lambda a: a.T.reshape(5, 7)),
    Case("flip and slice", EVERY, lambda a: st.flip(a, 0)[1:, ::2], lambda a: a[::-1][1:, ::2]),
    Case("pad", EVERY, lambda a: st.pad(a, ((1, 2), (0, 3))), lambda a: np.pad(a, ((1, 2), (0, 3)))),
    Case("concat", EVERY, lambda a, b: st.concat([a, b, a], 1), lambda a, b: np.concatenate([a, b, a], 1), BOTH),
    Case("roll", EVERY, lambda a: st.roll(a, 3, 1), lambda a: np.roll(a, 3, 1)),
    Case("take", EVERY, lambda a: a[:, st.tensor([4, 0, -1], device=a.device)], lambda a: a[:, [4, 0, -1]]),
    Case("mask", EVERY, lambda a: a[a > 0], lambda a: a[a > 0]),
    Case("assignment", EVERY, lambda a: _assigned(a), lambda a: _assigned_array(a)),
    Case("scatter_add", ("float32", "int32", "int64"),
         lambda a: st.index_add(a, 0, st.tensor([1, 1, 4], device=a.device), a[:3]), lambda a: _added(a)),
    Case("matmul", ("float16", "bfloat16", "float32", "float64", "int32", "int64"), lambda a, b: a @ b,
         lambda a, b: a @ b if a.dtype.kind in "iu" else _wide(np.matmul)(a, b), ((33, 50), (50, 29)), ulps=8, size=100),
    Case("large matmul", ("float32",), lambda a, b: a @ b, _wide(np.matmul), ((130, 70), (70, 150)), ulps=8, size=100),
    Case("batched matmul", ("float32",), lambda a, b: a @ b, _wide(np.matmul), ((3, 20, 24), (3, 24, 40)), ulps=8, size=100),
    Case("matvec", ("float32",), lambda a, b: a @ b, _wide(np.matmul), ((40, 90), (90,)), ulps=8, size=100),
    Case("conv2d", ("float32",), lambda x, w: st.nn.functional.conv2d(x, w, padding=1), _wide(_conv),
         ((2, 3, 9, 8), (10, 3, 3, 3)), ulps=8, size=100),
    Case("attention", ("float16", "bfloat16", "float32", "float64"), lambda q, k, v: st.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
         _wide(_attention), ((2, 37, 20), (2, 70, 20), (2, 70, 9)), ulps=8, size=20),
    Case("einsum", ("float32",), lambda a, b: st.einsum("ij,kj->ik", a, b), _wide(lambda a, b: np.einsum("ij,kj->ik", a, b)),
         ((12, 30), (11, 30)), ulps=8, size=100),
)  # fmt: skip


def _first(made: Any) -> Any:
    return made[0] if isinstance(made, tuple) else made


def _assigned(a: Any) -> Any:
    a = a.clone()
    a[1:3, ::2] = a[0, 0]
    return a


def _assigned_array(a: Any) -> Any:
    a = a.copy()
    a[1:3, ::2] = a[0, 0]
    return a


def _added(a: Any) -> Any:
    made = a.copy()
    np.add.at(made, [1, 1, 4], a[:3])
    return made
