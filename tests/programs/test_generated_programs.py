"""More than two thousand random programs a run: the CPU backend against the NumPy meaning, and hundreds three ways.

The seed is fixed; SPIRALTORCH_TEST_SEED gives another. A failure is reduced to a few operations and printed as a script.
"""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest
from checking import fault, interpreting, reduced, snippet, verifying
from generator import CONTRACTIONS, EVERYTHING, FLOATS, FUSIBLE, Generator
from steps import Program

from cpu_devices import threads_pay_from
from spiraltorch.compiler.passes.simplify import _RULES as SIMPLIFICATIONS
from spiraltorch.compiler.state import STATE
from spiraltorch.runtime import device
from wgpu_devices import without_features

SEED = int(os.environ.get("SPIRALTORCH_TEST_SEED", "20261123"))
SMALL, LARGE, TINY = 5000, 40_000, 80
SECOND = device.backends()["wgpu"].devices()
CORE = without_features()


def program(family: int, number: int, limit: int, kinds: dict[str, int], floats_only: bool = False) -> Program:
    """The random program with these coordinates."""
    rng = np.random.default_rng([SEED, family, number])
    return Generator(rng, limit, kinds, floats_only).grow(int(rng.integers(3, 13)))


def check(made: Program, name: str, where: str = "cpu:0") -> None:
    """Fails with a reduced script where the program comes out wrong."""
    wrong = fault(made, where)
    if wrong:
        small = reduced(made, partial(fault, where=where))
        pytest.fail(
            f"program {name} of SPIRALTORCH_TEST_SEED={SEED}: {wrong}\n\nreduced: {fault(small, where)}\n\n{snippet(small)}\n",
            pytrace=False,
        )


@pytest.fixture(autouse=True)
def _no_kernels_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of kernels that nobody meets again stay out of the cache."""
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", "")


@pytest.mark.parametrize("chunk", range(24))
def test_everything(chunk: int) -> None:
    for n in range(chunk * 46, chunk * 46 + 46):
        check(program(0, n, SMALL, EVERYTHING), f"0/{n}")


@pytest.mark.parametrize("chunk", range(8))
def test_element_wise_views_and_reductions_fuse(chunk: int) -> None:
    for n in range(chunk * 60, chunk * 60 + 60):
        check(program(1, n, SMALL, FUSIBLE, floats_only=True), f"1/{n}")


@pytest.mark.parametrize("chunk", range(10))
def test_contractions_pack_and_run_in_parallel(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    threads_pay_from(2000, monkeypatch)
    for n in range(chunk * 20, chunk * 20 + 20):
        check(program(2, n, LARGE, CONTRACTIONS), f"2/{n}")


@pytest.mark.parametrize("chunk", range(6))
def test_verified_kernels(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scheduled kernel is proven safe, or else run by the interpreter, which checks each access."""
    threads_pay_from(1000, monkeypatch)
    kernels = missing = 0
    for n in range(chunk * 40, chunk * 40 + 40):
        made = program(3, n, 1500, CONTRACTIONS if n % 4 == 0 else EVERYTHING)
        with verifying() as proofs:
            check(made, f"3/{n}")
        kernels, missing = kernels + proofs.kernels, missing + len(proofs.missing)
        if proofs.missing:
            with interpreting():
                check(made, f"3/{n} interpreted")
    assert missing <= 0.05 * kernels


@pytest.mark.parametrize("chunk", range(4))
def test_interpreted_kernels(chunk: int) -> None:
    """The IR means the same to the interpreter as to the renderer."""
    for n in range(chunk * 30, chunk * 30 + 30):
        made = program(4, n, TINY, EVERYTHING)
        check(made, f"4/{n}")
        with interpreting():
            check(made, f"4/{n} interpreted")


@pytest.mark.skipif(not SECOND, reason=f"wgpu: {device.backends()['wgpu'].reason()}")
@pytest.mark.parametrize("chunk", range(10))
def test_a_second_machine(chunk: int) -> None:
    """One program three ways: its meaning in NumPy, the CPU, and another renderer, schedule and driver."""
    for n in range(chunk * 25, chunk * 25 + 25):
        made = machine_program(5, n, SECOND[0])
        check(made, f"5/{n} on {SECOND[0]}", SECOND[0])
        check(made, f"5/{n} on cpu:0")


@pytest.mark.skipif(not CORE, reason="wgpu: there is no adapter with features to do without")
@pytest.mark.parametrize("chunk", range(4))
def test_a_second_machine_without_features(chunk: int) -> None:
    """Once more with 16-bit floats and 64-bit integers made of words."""
    for n in range(chunk * 25, chunk * 25 + 25):
        check(machine_program(7, n, CORE[0]), f"7/{n}", CORE[0])


def machine_program(salt: int, number: int, where: str) -> Program:
    """A random program of a device's dtypes, one in five with products."""
    family, kinds = (2, CONTRACTIONS) if number % 5 == 0 else (0, EVERYTHING)
    rng = np.random.default_rng([SEED, salt, family, number])
    floats = tuple(d for d in FLOATS if d in device.get(where).target.dtypes)
    return Generator(rng, SMALL, kinds, False, floats).grow(int(rng.integers(3, 13)))


def test_a_planted_mistake_is_found_and_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """`minimum` for `maximum` is found, and comes out as one operation."""
    monkeypatch.setattr(STATE, "graphs", {})
    monkeypatch.setitem(SIMPLIFICATIONS, "maximum", lambda b, val, args: b.op("minimum", *args))
    for n in range(100):
        made = program(1, n, 60, FUSIBLE, floats_only=True)
        if fault(made):
            small = reduced(made, fault)
            operations = [s.op for s in small.steps if s.op not in ("leaf", "scalar", "const")]
            assert "maximum" in operations and len(operations) <= 4
            script = snippet(small)
            assert "build.maximum(v" in script
            exec(compile(script, "snippet", "exec"), {})
            return
    pytest.fail("100 programs did not show the mistake")
