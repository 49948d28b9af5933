"""Python wheel support: the installed package is pure Python, declares what it needs, and runs by itself."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import spiraltorch as st

from ..rows import Backend
from .checking import Missing, equal, expect, probe

LIMIT = 20 << 20  # bytes
PROGRAM = """
import spiraltorch as st
from spiraltorch import nn
st.set_default_device({device!r})
model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
model.load_state_dict({{"0.weight": st.tensor([[1.0, 2.0], [-1.0, 0.0]]), "0.bias": st.tensor([0.5, 0.5])}})
print(model(st.tensor([[1.0, 1.0]])).detach().tolist())
"""


def _distribution() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("spiraltorch")
    except importlib.metadata.PackageNotFoundError:
        raise Missing("an installed distribution (`pip install spiraltorch`)") from None


@probe()
def pure_python(device: str) -> None:
    """The distribution's tag is py3-none-any, and the package has no native code and is small."""
    tags = [line for line in (_distribution().read_text("WHEEL") or "").splitlines() if line.startswith("Tag: ")]
    expect(tags == ["Tag: py3-none-any"], f"wheel: expected the tag py3-none-any alone, got {tags}")
    root = Path(st.__file__).parent
    files = [p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    native = [p.name for p in files if p.suffix in (".so", ".pyd", ".dylib", ".dll", ".a")]
    expect(not native, f"package: expected no native code, got {native}")
    size = sum(p.stat().st_size for p in files)
    expect(size < LIMIT, f"package: expected less than {LIMIT:,} bytes, got {size:,}")
    expect((root / "py.typed").exists(), "package: expected py.typed, got none")


@probe()
def requirements(device: str) -> None:
    """The metadata names the backend's extra and entry point, and the Python that it needs."""
    distribution = _distribution()
    backend = Backend.of(device.partition(":")[0])
    if not backend.built_in:
        if backend.entry not in (distribution.metadata.get_all("Provides-Extra") or []):
            raise Missing(f"the extra `spiraltorch[{backend.entry}]`")
        wanted = [r for r in distribution.requires or [] if f"extra == '{backend.entry}'" in r.replace('"', "'")]
        expect(wanted, f"metadata: expected requirements of the extra {backend.entry}, got none")
    entries = [e.name for e in distribution.entry_points if e.group == "spiraltorch.backends"]
    expect(backend.entry in entries, f"metadata: expected the entry point {backend.entry}, got {entries}")
    expect(distribution.metadata["Requires-Python"], "metadata: expected Requires-Python, got none")
    expect(distribution.version == st.__version__, f"metadata: expected {st.__version__}, got {distribution.version}")


@probe()
def runs_alone(device: str) -> None:
    """A new interpreter in an empty folder imports the package and runs a model on the device."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM.format(device=device)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"new interpreter: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    equal("model", eval(done.stdout, {"__builtins__": {}}), [[3.5, 0.0]])
