"""The work whose kernels are captured: the conformance suite, the benchmark's rows and random programs.

Each function runs one suite on one device under one source tree and sets the recorder's label as it goes. The CPU really
runs; WGPU really runs the conformance suite, whose tests read results, and renders only (`Recorder.dry_run`) in the others.
Plans and kernels that an earlier label of the same part made are not made again, so they appear under that label only.

Relied on: `tests/conformance`; `tests/programs/generator.py` (`Generator`, `FLOATS`, kinds) and `checking.py`
(`compiled`); `tests/wgpu_devices.py`; `spiraltorch.benchmark` (`rows.ROWS`, `libraries.SpiralTorch`, `latency`, `scaling`).
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorder import Recorder

CALLS = 3  # of each row: recorded, then replayed, then replayed by generated code
CHAINS = (10, 100, 1000)  # operations; the benchmark's longest chain takes too long
SEED = 20261123
PROGRAMS = {"cpu": 200, "wgpu": 60}
LARGEST = 32768  # words of a table on WGPU: GPT-2's 50,257 are more than many adapters can bind


def conformance(recorder: Recorder, tree: Path, kind: str) -> None:
    """Runs tests/conformance in this process; the label is the test's name."""
    sys.path[:0] = [str(tree / "tests")]
    options = ["-p", "no:cacheprovider", "--noconftest", "--rootdir", str(tree), "-c", str(tree / "pyproject.toml")]
    tests = _Tests(recorder, kind)
    code = pytest.main([*options, "--tb=no", "-q", str(tree / "tests" / "conformance")], plugins=[tests])
    if not tests.count or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        recorder.label = f"conformance on {kind}"
        recorder.failed(f"{tests.count} tests ran, and pytest ended with {code}")


class _Tests:
    """A pytest plugin: labels, and only one device's tests. Their names begin with the device."""

    def __init__(self, recorder: Recorder, kind: str) -> None:
        self.recorder = recorder
        self.kind = kind
        self.count = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.name.partition("[")[2].startswith(self.kind)]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.count += 1
        self.recorder.label = item.name

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.recorder.failed(report.longreprtext.strip().rpartition("\n")[2])


def bench(recorder: Recorder, tree: Path, kind: str) -> None:
    """Every row at its full and its reduced size, the first calls and overheads, and the curves over sizes."""
    package = "spiraltorch.benchmark"
    libraries, rows, scaling = (
        importlib.import_module(f"{package}.{name}") for name in ("libraries", "rows", "scaling")
    )
    latency = _latency(package)
    if kind == "wgpu":
        recorder.dry_run()
    importlib.import_module("spiraltorch").set_default_device(kind)
    library = libraries.SpiralTorch()
    work: dict[str, Callable[[], None]] = {}
    full = [*rows.ROWS.values(), *(_named(rows.ROWS["softmax"], "with_size", "at")(n=n) for n in scaling.ROW_COUNTS)]
    if kind == "wgpu":
        full = [
            _named(row, "with_size", "at")(v=min(row.size["v"], LARGEST)) if "v" in row.size else row for row in full
        ]
    for row in (*full, *map(latency.chain, CHAINS), *(_named(row, "reduced", "small")() for row in rows.ROWS.values())):
        if library.program(row) is not None:
            sizes = " ".join(f"{name}={size}" for name, size in row.size.items())
            work[f"{row.name} {sizes}"] = lambda row=row: _called(library, row)  # type: ignore[misc]
    for captured in (0, latency.CAPTURED):
        work[f"overhead, {captured} captured"] = lambda n=captured: latency.overhead(library, n, 1e-3)  # type: ignore[misc]
    _labelled(recorder, work.items())


def _latency(package: str) -> Any:
    """The module of first calls and overheads, by its name now or that of old commits."""
    try:
        return importlib.import_module(f"{package}.latency")
    except ModuleNotFoundError:
        return importlib.import_module(f"{package}.once")


def _named(owner: Any, *names: str) -> Any:
    """The attribute by the first of its names that the tree knows: names changed between commits."""
    return next(getattr(owner, name) for name in names if hasattr(owner, name))


def _called(library: Any, row: Any) -> None:
    run = library.build(row)
    for n in range(CALLS):
        result = run()
        if row.state or n == CALLS - 1:
            _named(library, "to_numpy", "host")(result)


def programs(recorder: Recorder, tree: Path, kind: str) -> None:
    """Random programs of tests/programs with fixed seeds; WGPU meets them with and without its optional features."""
    sys.path[:0] = [str(tree / "tests"), str(tree / "tests" / "programs")]
    generator, checking = importlib.import_module("generator"), importlib.import_module("checking")
    names = [f"{kind}:0"]
    if kind == "wgpu":
        recorder.dry_run()
        names += importlib.import_module("wgpu_devices").without_features()
    for name in names:
        floats = tuple(d for d in generator.FLOATS if _holds(name, d))
        work = [
            (
                f"{name} {number}",
                lambda name=name, floats=floats, number=number: _program(generator, checking, name, floats, number),
            )
            for number in range(PROGRAMS[kind])
        ]
        _labelled(recorder, work)


def _program(generator: Any, checking: Any, name: str, floats: tuple[Any, ...], number: int) -> None:
    """A quarter fuse, a quarter have products and are larger, half have every operation."""
    fuses, products = number % 4 == 0, number % 4 == 1
    kinds = generator.FUSIBLE if fuses else generator.CONTRACTIONS if products else generator.EVERYTHING
    rng = np.random.default_rng([SEED, number])
    made = generator.Generator(rng, 40_000 if products else 5000, kinds, fuses, floats).grow(int(rng.integers(3, 13)))
    nodes = made.nodes(name)
    checking.compiled([nodes[n] for n in made.outputs])


def _holds(name: str, dtype: Any) -> bool:
    st = importlib.import_module("spiraltorch")
    try:
        st.tensor(np.zeros(1, dtype.numpy), device=name)
    except st.DTypeError:
        return False
    return True


def _labelled(recorder: Recorder, work: Iterable[tuple[str, Callable[[], Any]]]) -> None:
    """Does the work of each label; what fails is a problem of that label."""
    for label, run in work:
        recorder.label = label
        try:
            run()
        except Exception as error:
            recorder.failed(f"{type(error).__name__}: {error}")
        gc.collect()


RUN: dict[str, Callable[[Recorder, Path, str], None]] = {
    "conformance": conformance,
    "bench": bench,
    "programs": programs,
}
