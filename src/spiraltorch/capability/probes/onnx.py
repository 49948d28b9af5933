"""ONNX export parity: an exported model is valid and gives the same results when it is imported again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import spiraltorch as st
from spiraltorch import nn

from .checking import equal, expect, probe, public


@probe()
def export_and_import(device: str) -> None:
    """A convolutional network exported to ONNX and imported again gives the same outputs."""
    save, load = public("onnx.export"), public("onnx.load")
    st.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
    x = st.asarray(np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save(model, (x,), str(path))
        expect(path.stat().st_size > 0, "onnx.export: expected a file, got an empty one")
        again = load(str(path))
        with st.no_grad():
            equal("outputs", again(x), model(x).numpy(), 1e-4, 1e-5)
