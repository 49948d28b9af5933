"""Comparison of one module here with the same one in PyTorch."""

from __future__ import annotations

import numpy as np

import spiraltorch as st
from peers import torch


def to_numpy(state):
    return {key: value.detach().numpy() for key, value in state.items()}


def close(ours, theirs, tolerance=1e-5):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def compare(ours, theirs, *inputs, tolerance=2e-5, **kwargs):
    """Same keys, and after loading them the same output, input gradients, parameter gradients and state."""
    state = to_numpy(theirs.state_dict())
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    arrays = [np.asarray(x) for x in inputs]
    floating = [x.dtype.kind == "f" for x in arrays]
    a = [st.tensor(x, requires_grad=f) for x, f in zip(arrays, floating)]
    b = [torch.tensor(x, requires_grad=f) for x, f in zip(arrays, floating)]
    mine, other = ours(*a, **kwargs), theirs(*b, **kwargs)
    while isinstance(other, tuple):
        mine, other = mine[0], other[0]
    assert tuple(mine.shape) == tuple(other.shape)
    close(mine, other, tolerance)
    weight = np.random.default_rng(7).normal(size=tuple(other.shape)).astype(np.float32)
    (mine * st.tensor(weight)).sum().backward()
    (other * torch.tensor(weight)).sum().backward()
    for x, y, f in zip(a, b, floating):
        if f and y.grad is not None:
            close(x.grad, y.grad, tolerance * 5)
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters()):
        if q.grad is not None:
            assert p.grad is not None, name
            close(p.grad, q.grad, tolerance * 10)
    for key, value in theirs.state_dict().items():
        close(ours.state_dict()[key], value, tolerance)
