"""Measures the accuracy of functions and of long sums: `python tools/accuracy.py` prints it, `--write` updates docs/accuracy.md.

Functions are compared with mpmath at twice the digits, at points that are spread over all magnitudes of the dtype and at hard
points: near zeros, poles and ends of the domain, at huge arguments, and at the smallest numbers. The unit is the distance
between the neighbouring numbers at the exact result (ulp); 0.5 is the best that a result can be off at worst. A result that
is infinite or NaN where the exact one is not, or the other way round, counts as infinitely wrong.

Sums are compared with float64 for lengths from 100 to 100,000,000, in float32, of equal and of random terms.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import mpmath  # type: ignore[import-untyped]
import numpy as np

import spiraltorch as st
from spiraltorch.benchmark import machine
from spiraltorch.ir.passes import BLOCK_TERMS
from spiraltorch.ir.summation import PARTS
from spiraltorch.runtime import device

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
DTYPES = ("float32", "float64", "float16", "bfloat16")
POINTS = 1500  # of each function and dtype, beside the hard points
SEED = 7
INFINITY = math.inf


class Function(NamedTuple):
    """A function under test: its exact value, the ends of its domain, and points that are hard."""

    exact: Callable[..., Any]
    low: float = -INFINITY
    high: float = INFINITY
    hard: tuple[float, ...] = (0.0,)
    operands: int = 1


HALF_PI = math.pi / 2
TURNS = tuple([k * HALF_PI for k in (1, 2, 3, 4, 5, 17, 100, 1001, 65_536, 1_000_003, 2**40 + 1)])
HUGE = (1e4, 1e5, 1e7, 2.0**31, 1e10, 1e15, 1e22, 1e30, 3e38, 1e100, 1e300)
FUNCTIONS: dict[str, Function] = {
    "exp": Function(mpmath.exp, hard=(0.0, 88.7, -87.3, -103.9, 709.7, -745.1, 11.08, -16.6)),
    "exp2": Function(lambda x: mpmath.mpf(2) ** x, hard=(0.0, 127.9, -126.0, -149.0, 1023.9, -1074.0)),
    "expm1": Function(mpmath.expm1, hard=(0.0, 88.7, 709.7, -17.3, -37.4)),
    "log": Function(mpmath.log, 0.0, hard=(0.0, 1.0)),
    "log1p": Function(mpmath.log1p, -1.0, hard=(0.0, -1.0)),
    "log2": Function(lambda x: mpmath.log(x) / mpmath.log(2), 0.0, hard=(0.0, 1.0, 8.0, 0.125)),
    "log10": Function(mpmath.log10, 0.0, hard=(0.0, 1.0, 1000.0)),
    "sin": Function(mpmath.sin, hard=(0.0, *TURNS, *HUGE)),
    "cos": Function(mpmath.cos, hard=(0.0, *TURNS, *HUGE)),
    "tan": Function(mpmath.tan, hard=(0.0, *TURNS, *HUGE)),
    "asin": Function(mpmath.asin, -1.0, 1.0, (0.0, 0.5, 1.0, -1.0)),
    "acos": Function(mpmath.acos, -1.0, 1.0, (0.0, 0.5, 1.0, -1.0)),
    "atan": Function(mpmath.atan, hard=(0.0, 1.0, *HUGE)),
    "sinh": Function(mpmath.sinh, hard=(0.0, 1.0, 89.4, 710.4)),
    "cosh": Function(mpmath.cosh, hard=(0.0, 89.4, 710.4)),
    "tanh": Function(mpmath.tanh, hard=(0.0, 0.55, 9.0, 19.0)),
    "asinh": Function(mpmath.asinh, hard=(0.0, 1.0, *HUGE)),
    "acosh": Function(mpmath.acosh, 1.0, hard=(1.0, 2.0, *HUGE)),
    "atanh": Function(mpmath.atanh, -1.0, 1.0, (0.0, 0.5, 1.0, -1.0)),
    "erf": Function(lambda x: mpmath.erf(max(min(x, 200), -200)), hard=(0.0, 1.0, 3.9, 5.9)),
    "erfc": Function(lambda x: mpmath.erfc(max(min(x, 200), -200)), hard=(0.0, 1.0, 9.19, 10.05, 26.5)),
    "sqrt": Function(mpmath.sqrt, 0.0, hard=(0.0, 1.0, *HUGE)),
    "rsqrt": Function(lambda x: 1 / mpmath.sqrt(x), 0.0, hard=(0.0, 1.0, *HUGE)),
    "reciprocal": Function(lambda x: 1 / x, hard=(0.0, 1.0, *HUGE)),
    "sigmoid": Function(lambda x: 1 / (1 + mpmath.exp(-x)), hard=(0.0, 17.0, -17.0, -87.3, -103.9)),
    "pow": Function(mpmath.power, 0.0, hard=(0.0, 1.0, 2.0), operands=2),
    "atan2": Function(mpmath.atan2, hard=(0.0, 1.0, -1.0), operands=2),
    "hypot": Function(mpmath.hypot, hard=(0.0, 1.0, *HUGE), operands=2),
    "div": Function(lambda x, y: x / y, hard=(0.0, 1.0, *HUGE), operands=2),
}


def _facts(dtype: Any) -> Any:
    """The range and precision of a floating dtype."""
    finfo: Any = ml_dtypes.finfo
    return finfo(dtype)


class Error(NamedTuple):
    """The worst error in ulp of normal results, with its operands, and that where operand or result is below all normals."""

    worst: float
    at: tuple[float, ...]
    subnormal: float


# ---------------------------------------------------------------- functions


def points(function: Function, dtype: Any, count: int) -> list[Any]:
    """The operands of a function, each an array: hard points and their neighbours, then `count` spread ones."""
    facts, rng = _facts(dtype), np.random.default_rng(SEED)
    hard: list[float] = [*function.hard, *[-h for h in function.hard], float(facts.tiny), float(facts.max)]
    near = []
    for h in hard:
        for step in (0, 1, -1, 2, -2, 5, -5, 40, -40):
            near.append(h + step * float(facts.eps) * max(abs(h), float(facts.tiny)))
    near += [float(facts.tiny) * 2.0**-k for k in range(1, 8)]
    low, high = math.log2(float(facts.tiny)), math.log2(float(facts.max))
    operands = []
    for n in range(function.operands):
        spread = []
        for _ in range(count):
            kind, sign = rng.integers(0, 4), rng.choice((-1.0, 1.0))
            magnitude = 2.0 ** rng.uniform(low, high) if kind == 0 else 2.0 ** rng.uniform(-12, 8)
            spread.append(sign * magnitude if kind < 2 else rng.uniform(-1, 1) if kind == 2 else rng.uniform(-30, 30))
        edge = np.array(near if n == 0 else rng.permutation(near))
        x = np.concatenate([edge, np.array(spread)])
        low_end, high_end = (function.low, function.high) if n == 0 else (-INFINITY, INFINITY)
        x = np.where((x < low_end) & np.isfinite(low_end), 2 * low_end - x, x) if low_end > -1 else x
        x = np.clip(x, max(low_end, -float(facts.max)), min(high_end, float(facts.max)))
        operands.append(x.astype(dtype))
    return operands


def error(got: Any, exact: Any, dtype: Any) -> tuple[float, bool]:
    """The error of a result in ulp, and whether the exact result is a subnormal number or 0."""
    facts = _facts(dtype)
    value = float(got)
    if isinstance(exact, mpmath.mpc) or mpmath.isnan(exact):
        return (0.0 if math.isnan(value) else INFINITY), False
    if math.isnan(value):
        return INFINITY, False
    bits = round(1 - math.log2(float(facts.eps)))
    largest = mpmath.mpf(float(facts.max))
    half_unit = mpmath.ldexp(1, math.frexp(float(facts.max))[1] - bits - 1)
    if abs(exact) >= largest + half_unit:  # rounds to infinity
        right = math.isinf(value) and (value > 0) == (exact > 0)
        return (0.0 if right else 1.0 if abs(value) == float(facts.max) else INFINITY), False
    if math.isinf(value):
        return (1.0 if abs(exact) > largest * (1 - float(facts.eps)) else INFINITY), False
    smallest = math.frexp(float(facts.tiny))[1]
    exponent = smallest if exact == 0 else max(mpmath.frexp(exact)[1], smallest)
    return float(abs(mpmath.mpf(value) - exact) / mpmath.ldexp(1, exponent - bits)), bool(abs(exact) < facts.tiny)


def measured(name: str, dtype_name: str, devices: list[str], count: int) -> dict[str, Error]:
    """The errors of a function on devices."""
    function, of = FUNCTIONS[name], st.dtypes.BY_NAME[dtype_name]
    operands = points(function, of.numpy, count)
    tiny = float(_facts(of.numpy).tiny)
    values = [[float(v) for v in x] for x in operands]
    with mpmath.workprec(140 if of.itemsize == 8 else 90):
        exact = [_exactly(function, given) for given in zip(*values, strict=True)]
        found = {}
        for one in devices:
            tensors = [st.asarray(x, device=one) for x in operands]
            worst, at, subnormal = 0.0, (0.0,) * function.operands, 0.0
            results = getattr(st, name)(*tensors).numpy()
            for got, want, given in zip(results, exact, zip(*values, strict=True), strict=True):
                if want is None:
                    continue
                off, small = error(got, want, of.numpy)
                if small or any(0 < abs(g) < tiny for g in given):
                    subnormal = max(subnormal, off)
                elif off > worst:
                    worst, at = off, given
            found[one] = Error(worst, at, subnormal)
    return found


def _exactly(function: Function, given: tuple[float, ...]) -> Any:
    """The exact result; None at poles, and where the value depends on the sign of a zero."""
    if any(g == 0 for g in given) and (function.operands > 1 or function.exact in _POLES):
        return None
    try:
        return function.exact(*[mpmath.mpf(g) for g in given])
    except (ZeroDivisionError, ValueError):
        return None


_POLES = tuple([FUNCTIONS[n].exact for n in ("log", "log2", "log10", "rsqrt", "reciprocal")])


# ---------------------------------------------------------------- sums


def terms(kind: str, n: int) -> Any:
    """The terms of a sum."""
    return np.full(n, 0.1, np.float32) if kind == "equal" else np.random.default_rng(SEED).random(n, np.float32)


def bound(what: str, n: int) -> float:
    """The error that terms in blocks can reach, relative to the sum of magnitudes: the additions on the path of a term.

    A block has less than two blocks' terms, blocks of blocks have `PARTS`; parts of an axis, lanes and items are added in
    trees or in at most 64 steps. Blocks of products are longer, and at most 256 of them wait in memory.
    """
    levels = max(1, math.ceil(math.log(max(n / BLOCK_TERMS, 2), PARTS)))
    in_order = 2 * BLOCK_TERMS + 64 if what != "products" else 2 * 256 + 256
    additions = min(n, in_order + PARTS * levels + math.ceil(math.log2(n)))
    return (additions + 4) * 2.0**-24 * (2 if what == "variances" else 1)  # its terms are rounded too, and the division


def _relative(got: Any, want: Any) -> float:
    return float(np.max(np.abs(np.asarray(got, np.float64) - want) / np.abs(want)))


def _sums(x: Any, t: st.Tensor) -> float:
    return _relative(st.sum(t).numpy(), x.sum(dtype=np.float64))


def _means(x: Any, t: st.Tensor) -> float:
    return _relative(st.mean(t).numpy(), x.mean(dtype=np.float64))


def _variances(x: Any, t: st.Tensor) -> float:
    if x[0] == x[-1]:
        return float(st.var(t).numpy())  # right is 0
    return _relative(st.var(t).numpy(), x.var(dtype=np.float64))


def _scans(x: Any, t: st.Tensor) -> float:
    at = np.unique(np.linspace(0, len(x) - 1, 1000).astype(np.int64))
    return _relative(st.cumsum(t).numpy()[at], np.cumsum(x, dtype=np.float64)[at])


def _columns(x: Any, t: st.Tensor) -> float:
    return _relative(st.sum(t.reshape(-1, 4), axis=0).numpy(), x.reshape(-1, 4).sum(0, dtype=np.float64))


def _products(x: Any, t: st.Tensor) -> float:
    y = np.ascontiguousarray(np.stack([x, x[::-1]]))
    rows = st.asarray(y, device=t.device)
    want = [[np.dot(a.astype(np.float64), b) for b in y] for a in y]
    return _relative((rows @ rows.T).numpy(), np.array(want))


SUMS: dict[str, Callable[[Any, st.Tensor], float]] = {
    "sums": _sums, "columns": _columns, "means": _means, "variances": _variances, "scans": _scans, "products": _products,
}  # fmt: skip


def lengths(one: str, what: str, longest: int) -> Iterator[int]:
    """The lengths that a device can hold, and that take it less than a few seconds."""
    target = device.get(one).target
    most = min(longest, target.buffer_bytes // 4)
    if what in ("products", "variances", "scans"):
        most = min(most, 10**6 if target.has_grid and what == "products" else 10**7)
    for power in range(2, 9):
        if 10**power <= most:
            yield 10**power


# ---------------------------------------------------------------- the page


def tables(devices: list[str], count: int, longest: int) -> str:
    """All tables as Markdown."""
    return "\n\n".join([_header(devices), *_function_tables(devices, count), *_sum_tables(devices, longest)])


def _title(one: str) -> str:
    return {"cpu": "the CPU"}.get(one.partition(":")[0], one.partition(":")[0].upper())


def _header(devices: list[str]) -> str:
    backends = device.backends()
    which = ", ".join(f"{one} ({backends[one.partition(':')[0]].describe(one)['device']})" for one in devices)
    versions = ", ".join(f"{k} {v}" for k, v in machine.versions(("spiraltorch", "llvmlite", "wgpu", "mpmath")).items())
    return f"Measured {time.strftime('%Y-%m-%d')} on {which}; {versions}."


def _function_tables(devices: list[str], count: int) -> Iterator[str]:
    """For each device the functions and their worst errors in ulp, by dtype."""
    rows: dict[str, list[str]] = {one: [] for one in devices}
    for name in FUNCTIONS:
        cells: dict[str, list[str]] = {one: [] for one in devices}
        for dtype in DTYPES:
            having = [one for one in devices if st.dtypes.BY_NAME[dtype] in device.get(one).target.dtypes]
            found = measured(name, dtype, having, count)
            for one in devices:
                cells[one].append(_cell(found[one]) if one in found else "-")
        for one in devices:
            rows[one].append(f"| `{name}` | {' | '.join(cells[one])} |")
            print(one, rows[one][-1], file=sys.stderr, flush=True)
    for one in devices:
        head = [
            f"### Functions on {_title(one)}",
            "",
            f"| ulp | {' | '.join(DTYPES)} |",
            "| --- " * (1 + len(DTYPES)) + "|",
        ]
        yield "\n".join([*head, *rows[one]])


def _cell(found: Error) -> str:
    where = ", ".join(f"{v:.9g}" for v in found.at)
    worst = f"{found.worst:.2f}" + (f" at {where}" if found.worst > 1 else "")
    return worst if found.subnormal <= max(1.0, found.worst) else f"{worst}; {found.subnormal:.3g} below normals"


def _sum_tables(devices: list[str], longest: int) -> Iterator[str]:
    for one in devices:
        head = "| of | length | equal terms | random terms | bound | in order, at most |"
        lines = [f"### Sums on {_title(one)}", "", head, "| --- " * 6 + "|"]
        for what, measure in SUMS.items():
            for n in lengths(one, what, longest):
                errors = []
                for kind in ("equal", "random"):
                    x = terms(kind, n)
                    errors.append(measure(x, st.asarray(x, device=one)))
                cells = [f"{e:.1e}" for e in (*errors, bound(what, n), n * 2.0**-24)]
                lines.append(f"| {what} | {n:,} | {' | '.join(cells)} |")
                print(lines[-1], file=sys.stderr, flush=True)
        yield "\n".join(lines)


def main() -> int:
    """Prints the tables or writes them to the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--write", action="store_true", help="update docs/accuracy.md")
    parser.add_argument("--points", type=int, default=POINTS, help="of each function and dtype, beside the hard points")
    parser.add_argument("--longest", type=int, default=10**8, help="terms of the longest sum")
    parser.add_argument("--devices", default="", help="names, separated by commas; one of each backend by default")
    given = parser.parse_args()
    found = [names[0] for _, backend in sorted(device.backends().items()) if (names := backend.devices())]
    text = tables(given.devices.split(",") if given.devices else found, given.points, given.longest)
    if given.write:
        old = PAGE.read_text(encoding="utf-8")
        head, _, rest = old.partition("<!-- ACCURACY:BEGIN -->")
        _, _, tail = rest.partition("<!-- ACCURACY:END -->")
        PAGE.write_text(f"{head}<!-- ACCURACY:BEGIN -->\n{text}\n<!-- ACCURACY:END -->{tail}", encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
