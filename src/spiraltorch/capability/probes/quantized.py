"""Quantized inference: a network with 8-bit or 4-bit weights has nearly the outputs of the float32 one."""

from __future__ import annotations

import numpy as np

import spiraltorch as st
from spiraltorch import nn

from .checking import expect, probe, public


def _model() -> nn.Module:
    st.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def _compare(bits: int, error: float) -> str:
    """The relative error of the quantized network's outputs."""
    quantize = public("quant.quantize")
    x = st.asarray(np.random.default_rng(0).standard_normal((32, 64)).astype(np.float32))
    model = _model()
    with st.no_grad():
        want = model(x).numpy()
        got = quantize(_model(), bits=bits)(x).numpy()
    off = float(np.linalg.norm(got - want) / np.linalg.norm(want))
    expect(0 < off < error, f"int{bits}: expected a relative error below {error} but not 0, got {off:.4f}")
    return f"int{bits}"


@probe()
def int8_network(device: str) -> str:
    """A network with int8 weights has outputs within 3 per cent of the float32 ones."""
    return _compare(8, 0.03)


@probe()
def int4_network(device: str) -> str:
    """A network with int4 weights has outputs within 25 per cent of the float32 ones."""
    return _compare(4, 0.25)
