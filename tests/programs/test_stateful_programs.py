"""Random programs with state against NumPy, and random programs with gradients and updates against PyTorch."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from stateful import Generator, Step, reduced, run

import spiraltorch as st
from peers import torch
from spiraltorch.runtime.device import backends

COUNT = int(os.environ.get("SPIRALTORCH_STATEFUL_PROGRAMS", "3000"))
SEED = int(os.environ.get("SPIRALTORCH_STATEFUL_SEED", "0"))
AT_ONCE = 50
WGPU = backends()["wgpu"].devices()[:1] if "wgpu" in backends() else []


def outcome(steps: list[Step], device: str) -> str | None:
    """What goes wrong in a program, or None."""
    try:
        run(steps, device)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def check(first: int, count: int, length: int, device: str = "cpu:0") -> None:
    """Runs programs; a failing one is reported with as few steps as show its failure."""
    for seed in range(first, first + count):
        program = Generator(seed, length, share=device == "cpu:0").program()
        found = outcome(program, device)
        if found is not None:
            kind = found.partition(":")[0]
            small = reduced(program, lambda steps, kind=kind: (outcome(steps, device) or "").startswith(kind))
            listing = "\n".join(f"  {s.op} {s.args} -> {s.out} {s.params}" for s in small)
            pytest.fail(f"program {seed}: {outcome(small, device)}\n{listing}")


@pytest.mark.parametrize("part", range(-(-COUNT // AT_ONCE)))
def test_programs(part: int) -> None:
    check(SEED + part * AT_ONCE, min(AT_ONCE, COUNT - part * AT_ONCE), 40 if part % 5 == 0 else 24)


@pytest.mark.parametrize("device", WGPU)
def test_programs_on_other_devices(device: str) -> None:
    check(SEED + 1_000_000, max(1, COUNT // 50), 24, device)


def gradients(m: Any, seed: int) -> tuple[list[Any], list[Any]]:
    """A program of a leaf, results, views and updates of them, in the library `m`: its values and the gradients."""
    rng = np.random.default_rng(seed)
    leaves = [m.tensor(rng.integers(-3, 4, (3, 4)).astype(np.float64), requires_grad=True) for _ in range(2)]
    held = [leaves[0] * 2, leaves[1] + leaves[0]]
    for _ in range(int(rng.integers(4, 14))):
        x = held[int(rng.integers(len(held)))]
        roll = int(rng.integers(10))
        if roll == 0:
            held.append(x * leaves[int(rng.integers(2))].sum())
        elif roll == 1:
            held.append(x.reshape(-1)[:: int(rng.integers(1, 3))])
        elif roll == 2 and x.ndim == 2:
            held.append(x.transpose(0, 1))
        elif roll == 3 and x.shape[0] > 1:
            held.append(x[int(rng.integers(x.shape[0]))] if x.ndim > 1 else x[1:])
        elif roll == 4:
            x.mul_(int(rng.integers(-2, 3)))
        elif roll == 5 and x.ndim:
            x[0] = x[-1].sum() * 0.5
        elif roll == 6:
            with m.no_grad():
                x.add_(1)
        elif roll == 7:
            x.detach().mul_(0.5)
        elif roll == 8:
            x.add_(leaves[0].sum())
        elif roll == 9:
            with m.no_grad():
                leaves[1][int(rng.integers(3))] += 1
    sum((h * h).sum() for h in held).backward()
    return [h.detach().numpy().copy() for h in held], [p.grad.numpy() for p in leaves]


@pytest.mark.parametrize("part", range(10))
def test_gradients_of_programs(part: int) -> None:
    compared = 0
    for seed in range(part * 40, part * 40 + 40):
        try:
            values, grads = gradients(torch, seed)
        except RuntimeError:  # PyTorch refuses: what an update changed is needed for a gradient
            continue
        compared += 1
        ours, our_grads = gradients(st, seed)
        for got, want in zip([*ours, *our_grads], [*values, *grads], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, err_msg=f"program {seed}")
    assert compared >= 10
