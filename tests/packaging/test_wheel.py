"""The wheel: pure Python, and enough by itself to run a model."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import numpy as np
import spiraltorch as st
from spiraltorch import nn
st.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
x = np.arange(12, dtype=np.float32).reshape(3, 4)
w = {k: v.numpy() for k, v in model.state_dict().items()}
want = np.maximum(x @ w["0.weight"].T + w["0.bias"], 0) @ w["2.weight"].T + w["2.bias"]
assert np.allclose(model(st.tensor(x)).detach().numpy(), want, atol=1e-5)
print("ran", st.__version__)
"""


@pytest.mark.slow
def test_the_wheel_runs_a_model_in_an_empty_environment(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 5 << 20
    names = zipfile.ZipFile(wheel).namelist()
    assert "spiraltorch/py.typed" in names and "spiraltorch/tensor/attached.pyi" in names
    assert "spiraltorch/data/digits.npz" in names
    assert "spiraltorch/data/LICENSE-digits.txt" in names
    assert "spiraltorch/capability/evidence/cpu/tensor-ops.json" in names
    assert "spiraltorch/capability/report/page.html" in names
    assert not [n for n in names if n.endswith((".so", ".pyd", ".dylib"))]
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel)], check=True)
    done = subprocess.run([python, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ran ")
    command = [python, "-m", "spiraltorch", "matrix", "--format", "markdown"]
    shown = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path, check=True)
    assert shown.stdout.strip() in (ROOT / "docs" / "backend_matrix.md").read_text(encoding="utf-8")
