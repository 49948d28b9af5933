"""What `import spiraltorch` may load."""

from __future__ import annotations

import subprocess
import sys

LATER = ("spiraltorch.backends", "spiraltorch.capability", "spiraltorch.cli", "spiraltorch.benchmark", "spiraltorch.tuning",
         "llvmlite", "wgpu", "typer", "rich", "email", "importlib.metadata", "torch", "safetensors")  # fmt: skip


def test_an_import_loads_no_backend() -> None:
    """Backends and the libraries behind them are loaded at the first use of a device, by which an import is 30 ms shorter."""
    code = f"import sys, spiraltorch; print([m for m in {LATER!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
