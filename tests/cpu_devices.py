"""The CPU with other facts, for tests of what the compiler decides from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spiraltorch.runtime import device


def threads_pay_from(work: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of so many operations run on several threads, as far as `cpu:0` has them."""
    cpu = device.get("cpu:0")
    key = f"{cpu.target.key}|parallel from {work}"
    monkeypatch.setattr(cpu, "target", replace(cpu.target, parallel_work=work, key=key))
