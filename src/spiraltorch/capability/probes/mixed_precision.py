"""Mixed precision training: 16-bit arithmetic with float32 parameters has nearly the losses of float32."""

from __future__ import annotations

from typing import Any

import numpy as np

import spiraltorch as st
from spiraltorch import nn, optim

from .checking import expect, probe, public


def _losses(context: Any, scaler: Any = None) -> list[float]:
    rng = np.random.default_rng(0)
    x = st.asarray(rng.standard_normal((64, 8)).astype(np.float32))
    y = st.asarray((rng.standard_normal((64, 1)) * 0.1 + x.numpy()[:, :1] * 2).astype(np.float32))
    st.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with context():
            loss = ((model(x) - y) ** 2).mean()
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        losses.append(loss.item())
    return losses


def _nearly_equal(got: list[float]) -> None:
    want = _losses(st.enable_grad)
    expect(want[-1] < want[0] / 4, f"float32: expected the loss to fall to a quarter, got {want[0]} to {want[-1]}")
    worst = float(np.max(np.abs(np.array(got) / np.array(want) - 1)))
    expect(0 < worst < 0.1, f"16-bit losses: expected within 10 per cent of float32 but not equal, got {worst:.4f}")


@probe()
def bfloat16_training(device: str) -> None:
    """Training under bfloat16 autocast follows the float32 losses."""
    autocast = public("amp.autocast")
    _nearly_equal(_losses(lambda: autocast(dtype=st.bfloat16)))


@probe()
def float16_training(device: str) -> None:
    """Training under float16 autocast with loss scaling follows the float32 losses."""
    autocast, scaler = public("amp.autocast"), public("amp.GradScaler")
    _nearly_equal(_losses(lambda: autocast(dtype=st.float16), scaler()))
