"""Settings of the whole suite: kernels are cached in one folder of the run's own, and every shader meets a second compiler."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("SPIRALTORCH_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"spiraltorch-tests-{os.getuid()}"))
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
BEYOND_TINT = re.compile(r"\b[iuf]64\b|\dl[iuf]\b")  # naga's types and literals of 64 bits, which Dawn does not have
BEYOND_COUNT = {"shaders": 0}  # that Tint was not asked about, in this process and in its workers


def _tint() -> Any:
    """A function that raises where Dawn's compiler does not accept a WGSL text, or None where Dawn is not there."""
    try:
        from pydawn import utils, webgpu

        adapter = utils.request_adapter_sync(webgpu.WGPUPowerPreference_HighPerformance)
        half = "WGPUFeatureName_ShaderF16" in utils.supported_features(adapter)
        device = utils.request_device_sync(adapter, [webgpu.WGPUFeatureName_ShaderF16] if half else [])
    except Exception:  # no package, no driver: named at the end of the run
        return None
    return lambda text: utils.create_shader_module(device, text)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test draws the same random numbers in each run; without a seed they would be the operating system's."""
    import spiraltorch as st

    st.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _second_compiler() -> Iterator[None]:
    """Every shader that a test makes must be accepted by Tint too: naga lets some errors pass."""
    try:
        from spiraltorch.backends.wgpu.program import WgpuKernel
    except ImportError:
        yield
        return
    made = WgpuKernel._pipeline
    state: dict[str, Any] = {}

    def checked(self: Any, text: str) -> Any:
        if "tint" not in state:
            state["tint"] = _tint()
        if BEYOND_TINT.search(text):
            BEYOND_COUNT["shaders"] += 1
        elif state["tint"] is not None:
            try:
                state["tint"](text)
            except RuntimeError as error:
                raise AssertionError(f"Tint refuses a shader: {error}\n{text}") from error
        return made(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WgpuKernel, "_pipeline", checked)
        yield


def pytest_sessionfinish(session: Any) -> None:
    """A worker of pytest-xdist reports its count."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["beyond"] = BEYOND_COUNT["shaders"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds a worker's count."""
    BEYOND_COUNT["shaders"] += getattr(node, "workeroutput", {}).get("beyond", 0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One loud line for each backend that nothing ran on, and one where shaders met one compiler only."""
    from spiraltorch.runtime import device

    skipped = terminalreporter.stats.get("skipped", [])
    for name, backend in device.backends().items():
        if not backend.devices():
            count = sum(1 for report in skipped if name in str(report.longrepr))
            terminalreporter.write_line(f"NOT TESTED: {name} ({count} tests skipped): {backend.reason()}", red=True)
        elif name == "wgpu" and _tint() is None:
            terminalreporter.write_line("NOT TESTED: shaders with Tint: install dawn-python", red=True)
        elif name == "wgpu" and BEYOND_COUNT["shaders"]:
            terminalreporter.write_line(
                f"NOT TESTED: {BEYOND_COUNT['shaders']} shaders with Tint: they use 64-bit types, which it does not have"
            )
