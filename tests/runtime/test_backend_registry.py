"""An installed backend that cannot be imported is a fact with a reason, and takes no other backend with it."""

from __future__ import annotations

import importlib.metadata

import pytest

import spiraltorch as st
from spiraltorch.runtime import device


class Entry:
    name = "broken"

    def load(self) -> None:
        raise ImportError("libvendor.so: no such file")


def test_a_backend_that_cannot_be_imported_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.entry_points
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **k: [Entry(), *real(**k)])
    monkeypatch.setattr(device.REGISTRY, "backends", {})
    found = device.backends()["broken"]
    assert found.devices() == []
    reason = found.reason()
    assert reason is not None and "libvendor.so" in reason and "pip install" in reason
    for use in (
        lambda: st.ones(2, device="broken"),
        lambda: found.open("broken:0"),
        lambda: found.describe("broken:0"),
    ):
        with pytest.raises(st.DeviceError, match=r"libvendor\.so"):
            use()
    assert st.ones(2, device="cpu").tolist() == [1, 1]
