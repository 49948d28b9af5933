"""Every method that PyTorch's tensors also have gives PyTorch's result: values, dtype, shape, one tensor or several."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from torch_method_cases import CALLS

import spiraltorch as st
from peers import torch

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-11}
# Methods that PyTorch also has, whose results cannot be compared with its own by such calls, and where they are tested.
ELSEWHERE = {
    "backward": "test_tensor_autograd.py", "register_hook": "test_tensor_hooks.py", "retain_grad": "test_tensor_hooks.py",
    "requires_grad_": "test_tensor_autograd.py", "detach_": "test_tensor_autograd.py", "device": "test_tensor_doors.py",
    "dtype": "compared with every result", "data_ptr": "test_tensor_doors.py", "cuda": "test_tensor_doors.py",
    "type": "PyTorch's result is a name of PyTorch's; a cast here", "uniform_": "test_tensor_doors.py",
    "normal_": "test_tensor_doors.py", "log_normal_": "test_tensor_doors.py", "exponential_": "test_tensor_doors.py",
    "cauchy_": "test_tensor_doors.py", "geometric_": "test_tensor_doors.py", "random_": "test_tensor_doors.py",
    "bernoulli": "test_tensor_doors.py", "bernoulli_": "test_tensor_doors.py", "multinomial": "test_tensor_doors.py",
}  # fmt: skip


def operands(dtype: str, seed: int) -> dict[str, Any]:
    """NumPy arrays of the names that calls use."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        if dtype == "bool":
            return rng.random(shape) < 0.5
        if dtype.startswith("float"):
            return rng.normal(0, 2, shape).round(3).astype(dtype)
        return rng.integers(0 if dtype.startswith("u") else -5, 6, shape).astype(dtype)

    y = draw(3, 4)
    above = draw(3, 4)
    return {
        "x": draw(3, 4), "y": np.where(y == 0, np.ones_like(y), y), "v": draw(4), "w": draw(3), "m": draw(4, 5),
        "s": draw(4, 4), "b": draw(2, 3, 4), "c": draw(2, 4, 5), "n": draw(),
        "u": rng.uniform(0.1, 0.9, (3, 4)).astype(dtype), "u_v": rng.uniform(0.1, 0.9, 4).astype("float64"),
        "p": above if dtype == "bool" else np.abs(above) + np.ones_like(above),
        "i": np.array([[0, 3], [2, 1], [1, 0]]), "i0": np.array([[0, 0], [2, 1], [1, 1]]), "j": np.array([2, 0]),
        "j3": np.array([2, 0, 1]), "j4": np.array([3, -2, 0, 1]), "k": rng.random((3, 4)) < 0.5,
    }  # fmt: skip


def evaluated(call: str, library: Any, arrays: dict[str, Any]) -> Any:
    make = torch.from_numpy if library is torch else st.from_numpy
    scope = {name: make(np.array(array)) for name, array in arrays.items()}
    return eval(call, {"L": library, **scope})


def assert_same(got: Any, want: Any, call: str) -> None:
    if isinstance(want, torch.Tensor):
        assert isinstance(got, st.Tensor), (call, got)
        assert got.shape == tuple(want.shape), (call, got.shape, want.shape)
        assert got.dtype.name == str(want.dtype).removeprefix("torch."), (call, got.dtype, want.dtype)
        a, b = (
            got.detach().numpy(),
            want.detach().float().numpy() if want.dtype is torch.bfloat16 else want.detach().numpy(),
        )
        bound = TOLERANCE.get(got.dtype.name, 0.0)
        np.testing.assert_allclose(a.astype(b.dtype), b, rtol=bound, atol=bound, err_msg=call)
        return
    if isinstance(want, (tuple, list)):
        assert isinstance(got, (tuple, list)) and len(got) == len(want), (call, got, want)
        if isinstance(want, tuple) and not isinstance(want, torch.Size):
            assert isinstance(got, tuple), call
        for field in ("values", "indices", "min", "max"):
            assert hasattr(got, field) == hasattr(want, field), (call, field)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b, call)
        return
    if isinstance(want, np.ndarray):
        assert isinstance(got, np.ndarray) and got.dtype == want.dtype, call
        np.testing.assert_array_equal(got, want, err_msg=call)
        return
    if isinstance(want, torch.dtype):
        want = str(want).removeprefix("torch.")
        got = got.name
    assert type(got) is type(want) or isinstance(got, type(want)), (call, got, want)
    assert got == want, (call, got, want)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_methods_are_pytorchs(name: str) -> None:
    dtypes, text = CALLS[name]
    calls = text.split()
    assert calls and all(re.search(rf"\.{name}\b", call) for call in calls)
    for dtype in dtypes:
        for seed in (0, 1):
            arrays = operands(dtype, seed)
            for call in calls:
                want = evaluated(call, torch, arrays)
                assert_same(evaluated(call, st, arrays), want, f"{call} of {dtype}")


SPECIAL = np.array([[np.nan, np.inf, -np.inf, 0.0], [-0.0, 1.0, np.nan, 2.0], [3.0, 2.0, 1.0, 2.0]])
# Methods whose value at NaN, infinities or zeros is PyTorch's accident, with the reason why it is not taken over.
NOT_AT_SPECIAL_VALUES = {
    "sign": "PyTorch's sign of NaN is 0", "sgn": "as sign", "sign_": "as sign", "sgn_": "as sign",
    "char": "undefined in C; here the nearest number, and 0 for NaN", "short": "as char", "int": "as char", "long": "as char",
    "to": "as char", "type_as": "as char", "histc": "PyTorch refuses NaN by another error", "tolist": "NaN equals nothing",
    "mode": "PyTorch takes NaN where no element is repeated", "unique": "PyTorch's order of slices with NaN is none",
}  # fmt: skip


def differs(call: str, arrays: dict[str, Any]) -> bool:
    try:
        want: Any = evaluated(call, torch, arrays)
    except RuntimeError:
        want = None
    try:
        assert_same(evaluated(call, st, arrays), want, call)
    except (AssertionError, st.errors.SpiralTorchError):
        return True
    return False


@pytest.mark.parametrize("name", sorted(n for n, (dtypes, _) in CALLS.items() if "float64" in dtypes))
def test_methods_are_pytorchs_at_special_values(name: str) -> None:
    arrays = operands("float64", 0)
    for operand in "xup":
        arrays[operand] = SPECIAL
    differing = [call for call in CALLS[name][1].split() if differs(call, arrays)]
    assert bool(differing) == (name in NOT_AT_SPECIAL_VALUES), differing


def test_every_method_is_compared() -> None:
    common = {n for n in dir(torch.Tensor) if not n.startswith("_")} & {
        n for n in dir(st.Tensor) if not n.startswith("_")
    }
    assert common == CALLS.keys() | ELSEWHERE.keys(), common ^ (CALLS.keys() | ELSEWHERE.keys())
    assert not CALLS.keys() & ELSEWHERE.keys()
