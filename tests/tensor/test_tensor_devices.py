"""Numbers, lists and arrays beside a tensor go where the tensor is, also when that is not the default device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensor_helpers import close

import spiraltorch as st
from spiraltorch.runtime import device

OTHERS = [n for b in device.backends().values() for n in b.devices() if n != st.default_device()][:1]
A = np.arange(12, dtype=np.float32).reshape(3, 4) - 3
PLACES = A.astype(np.int64) % 3
FEW = np.array([0, 2])

# Each function is called with the tensor; its other operands are host values.
CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "where of numbers": (lambda x: st.where(x > 0, 1.0, 2.0), np.where(A > 0, 1.0, 2.0).astype("f4")),
    "where of lists": (
        lambda x: st.where(x > 0, [1.0, 2.0, 3.0, 4.0], 0.0),
        np.where(A > 0, np.float32([1, 2, 3, 4]), 0),
    ),
    "where by an array": (lambda x: st.where(A > 0, x, 2.0), np.where(A > 0, A, np.float32(2))),
    "array before": (lambda x: st.subtract(A, x), A - A),
    "list before": (lambda x: st.maximum([1.0, 2.0, 3.0, 4.0], x), np.maximum(np.float32([1, 2, 3, 4]), A)),
    "number before": (lambda x: st.divide(2.0, x - 20), np.float32(2) / (A - 20)),
    "greater": (lambda x: st.greater(2.0, x), A < 2),
    "logical": (lambda x: st.logical_and(x, True), A != 0),
    "logical array": (lambda x: st.logical_xor(A > 1, x), (A > 1) ^ (A != 0)),
    "clip": (lambda x: st.clip(x, [0.0, 1.0, 2.0, 3.0], 4.0), np.clip(A, np.float32([0, 1, 2, 3]), 4)),
    "read by array": (lambda x: x[FEW], A[FEW]),
    "read by list": (lambda x: x[:, [0, 2]], A[:, FEW]),
    "read by both": (lambda x: x[FEW, 1], A[FEW, 1]),
    "take_along_axis": (lambda x: st.take_along_axis(x, PLACES, axis=0), np.take_along_axis(A, PLACES, 0)),
    "gather": (lambda x: st.gather(x, 0, PLACES), np.take_along_axis(A, PLACES, 0)),
    "index_add": (lambda x: st.index_add(x, 0, FEW, A[:2]), A + np.stack([A[0], A[0] * 0, A[1]])),
    "masked_select": (lambda x: st.masked_select(x, A > 0), A[A > 0]),
    "searchsorted": (lambda x: st.searchsorted(x[0], [0.5, -9.0]), np.searchsorted(A[0], [0.5, -9.0])),
    "concat": (lambda x: st.concat([A, x]), np.concatenate([A, A])),
    "stack": (lambda x: st.stack([A, x]), np.stack([A, A])),
    "asarray": (lambda x: st.asarray([1.0, x[0, 0]]), np.float32([1, -3])),
    "diff": (lambda x: st.diff(x, prepend=A[:, :1]), np.diff(A, prepend=A[:, :1])),
    "matmul": (lambda x: st.matmul(A, x.T), A @ A.T),
    "einsum": (lambda x: st.einsum("ij,kj->ik", A, x), A @ A.T),
    "linear": (lambda x: st.linear(A, x, [1.0, 2.0, 3.0]), A @ A.T + np.float32([1, 2, 3])),
    "multi_dot": (lambda x: st.multi_dot([A, x.T]), A @ A.T),
    "repeat_interleave": (lambda x: st.repeat_interleave(x, [1, 2, 0], 0), np.repeat(A, [1, 2, 0], 0)),
    "broadcast_arrays": (lambda x: st.broadcast_arrays(A[0], x)[0], np.broadcast_to(A[0], A.shape)),
    "deepcopy": (copy.deepcopy, A),
}


@pytest.mark.parametrize("name", OTHERS or [st.default_device()])
@pytest.mark.parametrize("case", CASES)
def test_host_values_follow_the_tensor(case: str, name: str) -> None:
    function, want = CASES[case]
    got = function(st.tensor(A, device=name))
    assert got.device == name
    close(got, want)


@pytest.mark.parametrize("name", OTHERS or [st.default_device()])
def test_host_indices_write_where_the_tensor_is(name: str) -> None:
    x, want = st.tensor(A, device=name), A.copy()
    x[FEW] = 5.0
    want[FEW] = 5.0
    close(x, want)
    assert x.device == name


def test_a_number_before_a_tensor_is_weak() -> None:
    x = np.array([0.1, 2.5])
    close(st.add(0.1, st.asarray(x)), 0.1 + x)
    close(st.subtract(1, st.asarray(np.array([5, 7], np.uint8))), np.array([252, 250], np.uint8))
    close(st.pow(2, st.asarray(np.array([1, 3], np.int8))), np.array([2, 8], np.int8))
    close(st.less(300, st.asarray(np.array([5, 7], np.uint8))), np.array([False, False]))
    close(st.greater(0.1, st.asarray(x)), 0.1 > x)
    close(st.logical_and(st.asarray(x), 5e-324), np.array([True, True]))


# Updates of a tensor with values that lie on another device: they are copied, as in PyTorch, and it stays where it is.
UPDATES: dict[str, Callable[[Any, Any], Any]] = {
    "copy_": lambda x, t: x.copy_(t),
    "copy_ to a view": lambda x, t: x[:2].copy_(t[:2]),
    "copy_ to data": lambda x, t: x.data.copy_(t),
    "all": lambda x, t: x.__setitem__(slice(None), t),
    "an element": lambda x, t: x.__setitem__(0, t[0]),
    "by a list": lambda x, t: x.__setitem__([0, 2], t[:2]),
    "by a mask": lambda x, t: x.__setitem__(x == 0, t),
    "fill_": lambda x, t: x.fill_(t[0]),
    "index_copy_": lambda x, t: x.index_copy_(0, [1, 0], t[:2]),
    "index_put_": lambda x, t: x.index_put_(([1, 2],), t[:2]),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", UPDATES)
def test_updates_with_values_of_another_device(name: str, other: str) -> None:
    for here, there in (("cpu:0", other), (other, "cpu:0")):
        want, x = st.zeros(3), st.zeros(3, device=here)
        for target, values in ((want, "cpu:0"), (x, there)):
            UPDATES[name](target, st.tensor([7.0, 8.0, 9.0], device=values))
        assert x.device == here and x.tolist() == want.tolist() != [0.0, 0.0, 0.0]


@pytest.mark.parametrize("other", OTHERS)
def test_parameters_take_values_of_another_device(other: str) -> None:
    layer = st.nn.Linear(3, 2).to(other)
    layer.weight.data.copy_(st.ones(2, 3) * 3)
    assert layer.weight.tolist() == [[3.0] * 3] * 2 and layer.state_dict()["weight"].device == other
    assert st.full_like(st.zeros(2), st.tensor(4.0, device=other)).device == "cpu:0"


@pytest.mark.parametrize("other", OTHERS)
def test_operands_on_two_devices_are_refused_where_they_meet(other: str) -> None:
    x, i, y = st.ones(3), st.tensor([1], device=other), st.ones(1, device=other)
    calls = {
        "scatter": lambda: x.scatter(0, i, y), "index_add": lambda: x.index_add(0, i, y), "take": lambda: x.take(i),
        "index_add of here": lambda: x.index_add(0, st.tensor([1]), y), "add_": lambda: x.add_(y), "matmul": lambda: x @ st.ones(3, device=other),
        "concat": lambda: st.concat([x, y]), "scatter of here": lambda: x.scatter(0, st.tensor([1]), y),
        "searchsorted": lambda: st.searchsorted(x, y), "masked_fill_": lambda: x.masked_fill_(st.ones(3, device=other) > 0, 2),
    }  # fmt: skip
    for name, call in calls.items():
        with pytest.raises(st.DeviceError, match="on one device"):
            call()
            pytest.fail(name)
