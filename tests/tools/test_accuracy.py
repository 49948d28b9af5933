"""The accuracy page: it names all functions, a small sample of its points is within its numbers, and its sums within bounds."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest

import spiraltorch as st
from spiraltorch.runtime import device

ROOT = Path(__file__).resolve().parents[2]
DEVICES = [names[0] for _, backend in sorted(device.backends().items()) if (names := backend.devices())]
OTHER_MACHINES = 1.0  # ulp by which a processor with other instructions may differ from the one of the page


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "tools" / "accuracy.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["accuracy"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


accuracy = loaded()


def page_rows(title: str) -> dict[str, dict[str, float]]:
    """Of a table of functions the worst errors, by function and dtype; NaN where a device lacks the dtype."""
    table = (ROOT / "docs" / "accuracy.md").read_text().partition(f"### Functions on {title}\n")[2].partition("###")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)
    return {
        name: {
            dtype: math.nan if cell == "-" else float(cell.split()[0].rstrip(";"))
            for dtype, cell in zip(accuracy.DTYPES, cells.split(" | "), strict=True)
        }
        for name, cells in rows
    }


@pytest.mark.parametrize("name", accuracy.FUNCTIONS)
def test_functions_are_as_accurate_as_the_page_says(name: str) -> None:
    for one in DEVICES:
        stated = page_rows(accuracy._title(one))[name]
        for dtype in ("float32", "float64", "bfloat16"):
            if st.dtypes.BY_NAME[dtype] in device.get(one).target.dtypes:
                found = accuracy.measured(name, dtype, [one], 25)[one]
                assert found.worst <= stated[dtype] + OTHER_MACHINES, (one, dtype, found)


@pytest.mark.parametrize("what", accuracy.SUMS)
@pytest.mark.parametrize("one", DEVICES)
def test_sums_are_within_the_bound(one: str, what: str) -> None:
    for n in (300, 30_000):
        for kind in ("equal", "random"):
            x = accuracy.terms(kind, n)
            assert accuracy.SUMS[what](x, st.asarray(x, device=one)) <= accuracy.bound(what, n)
    assert accuracy.bound(what, 10**8) < 20 * accuracy.bound(what, 100) and accuracy.bound(what, 10**8) < 1e-4


@pytest.mark.parametrize(
    ("got", "exact", "ulps", "subnormal"),
    [
        (1.0, 1.0, 0.0, False),
        (1.0 + 2.0**-23, 1.0, 1.0, False),
        (1.0 - 2.0**-24, 1.0, 0.5, False),
        (math.inf, 1e39, 0.0, False),
        (-math.inf, 1e39, math.inf, False),
        (math.inf, 1.0, math.inf, False),
        (math.nan, 1.0, math.inf, False),
        (math.nan, math.nan, 0.0, False),
        (0.0, 2.0**-149, 1.0, True),
        (2.0**-148, 0.0, 2.0, True),
    ],
)
def test_errors_in_units_of_the_last_place(got: float, exact: float, ulps: float, subnormal: bool) -> None:
    found: tuple[float, bool] = accuracy.error(np.float32(got), mpmath.mpf(exact), np.dtype(np.float32))
    assert found == (ulps, subnormal)


def test_a_wrong_function_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right: Any = st.exp
    monkeypatch.setattr(st, "exp", lambda x: right(x) * (1 + 1e-5))
    assert accuracy.measured("exp", "float32", ["cpu:0"], 5)["cpu:0"].worst > 50
