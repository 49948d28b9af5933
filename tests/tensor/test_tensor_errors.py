"""Bad input is refused with an error of this package that names the operation, and leaves its operands as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensor_helpers import close

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, ShapeError, SpiralTorchError

BAD: dict[str, tuple[type[SpiralTorchError], Callable[[], Any]]] = {
    "scalar": (DTypeError, lambda: st.full((2,), float("nan"), dtype=st.int32)),
    "scalar ": (DTypeError, lambda: st.full((2,), 1j)),
    " scalar": (DTypeError, lambda: st.pad(st.tensor([1, 2]), (1, 1), value=float("nan"))),
    " scalar ": (DTypeError, lambda: st.pad(st.tensor([1], dtype=st.uint8), (1, 1), value=300)),
    "asarray": (DTypeError, lambda: st.asarray([float("nan")], dtype=st.int32)),
    "reshape": (ShapeError, lambda: st.zeros(2, 3).reshape(2.0, 3)),
    "repeat_interleave": (ArgumentError, lambda: st.repeat_interleave(st.tensor([1, 2]), [1, 2, 3])),
    "repeat_interleave ": (ArgumentError, lambda: st.repeat_interleave(st.tensor([1, 2]), -1)),
    " repeat_interleave": (ArgumentError, lambda: st.repeat_interleave(st.tensor([1, 2]), [0.5, 1.0])),
    "roll": (ArgumentError, lambda: st.roll(st.tensor([1, 2]))),
    "topk": (ArgumentError, lambda: st.topk(st.tensor([1, 2, 3]), 1.5)),
    "topk ": (ArgumentError, lambda: st.topk(st.tensor(5), 2)),
    "narrow": (ShapeError, lambda: st.narrow(st.tensor(5), 0, 0, 1)),
    "one_hot": (DTypeError, lambda: st.one_hot(st.tensor([0.5]), 3)),
    "masked_fill": (ShapeError, lambda: st.masked_fill(st.ones(2), st.tensor([True, False]), st.ones(2))),
    "einsum": (ArgumentError, lambda: st.einsum("ij")),
    "einsum ": (ArgumentError, lambda: st.einsum("i!,jk", st.ones(2, 2), st.ones(2, 2))),
    "linear": (ShapeError, lambda: st.linear(st.ones(2, 3), st.ones(3))),
    "tensordot": (ArgumentError, lambda: st.tensordot(st.ones(2, 2), st.ones(2, 2), axes=([0, 0], [0, 1]))),
    "tensordot ": (ArgumentError, lambda: st.tensordot(st.ones(2, 3), st.ones(2, 3), axes=-1)),
    "matrix_power": (ArgumentError, lambda: st.linalg.matrix_power(st.ones(2, 2), 1.5)),  # type: ignore[arg-type]
    "matrix_norm": (ArgumentError, lambda: st.linalg.norm(st.ones(2, 2), ord=3)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case: str) -> None:
    kind, call = BAD[case]
    with pytest.raises(kind, match=rf"^\[{case.strip()}\] expected .*, got"):
        call()


def test_a_refused_assignment_changes_nothing() -> None:
    x = st.tensor([1.0, 2.0, 3.0])
    for key, value in ((0, st.ones(3)), (st.tensor([True, False]), 1.0), ([0, 9], 1.0), (slice(0, 2), st.ones(3))):
        with pytest.raises(SpiralTorchError):
            x[key] = value
        assert x.tolist() == [1.0, 2.0, 3.0]


def test_integers_round_to_tens() -> None:
    x = np.array([15, 25, 149, -15, -25, 0])
    close(st.round(st.asarray(x), -1), np.round(x, -1))
    close(st.round(st.asarray(x), 2), x)
    close(st.round(st.asarray(x.astype(np.float32)), -1), np.round(x.astype(np.float32), -1))
    assert st.round(st.tensor([123.4], dtype=st.float16), 3).item() == np.float16(123.4)


def test_integers_are_close_only_where_they_are() -> None:
    a, b = np.array([16777217, 2**53 + 1, 5]), np.array([16777216, 2**53 + 1, 4])
    assert st.isclose(st.asarray(a), st.asarray(b), rtol=0, atol=0).tolist() == [False, True, False]
    assert st.isclose(st.asarray(a), st.asarray(b), rtol=0, atol=1).tolist() == [True, True, True]
    small = np.array([-128, 127], np.int8)
    assert not st.allclose(st.asarray(small), st.asarray(small[::-1].copy()), atol=2.0)


def test_counting_in_uint64() -> None:
    close(st.arange(2**63, 2**63 + 2, dtype=st.uint64), np.arange(2**63, 2**63 + 2, dtype=np.uint64))


def test_a_matrix_has_a_matrix_norm() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for order in (1, -1, np.inf, "fro", None):
        close(st.linalg.norm(st.asarray(x), ord=order), torch.linalg.norm(torch.from_numpy(x), ord=order).numpy())


def test_cross_broadcasts() -> None:
    a, b = np.arange(12.0).reshape(4, 3), np.array([1.0, -2.0, 0.5])
    close(st.cross(st.asarray(a), st.asarray(b)), np.cross(a, b))


def test_a_filled_tensor_keeps_its_dtype() -> None:
    for dtype in (st.int64, st.uint8, st.bool):
        x = st.tensor([1, 0], dtype=dtype)
        assert x.masked_fill(x == 0, 3.0).dtype is dtype
        assert x.masked_fill_(x == 0, 3.0).tolist() == st.tensor([1, 3]).to(dtype).tolist()
    with pytest.raises(DTypeError, match="uint8 can hold"):
        st.tensor([1], dtype=st.uint8).masked_fill(True, -1)


def test_arguments_that_are_no_tensors_and_no_dtypes_are_named() -> None:
    x = st.ones(2, 2)
    for name in ("reshape_as", "view_as", "expand_as"):
        with pytest.raises(ArgumentError, match=rf"\[{name}\] expected a tensor.*got int; use {name[:-3]}\(\)"):
            getattr(x, name)(4)
    for call in (lambda: x.cumsum(0, dtype=x), lambda: x.softmax(0, x), lambda: x.to(dtype=x)):
        with pytest.raises(DTypeError, match="expected one of bool, int8"):
            call()
    with pytest.raises(ShapeError, match=r"\[masked_scatter\]"):
        x.masked_scatter(st.ones(3, 3) > 0, x)
    for name in ("max", "min"):
        with pytest.raises(TypeError, match=rf"^{name}\(\)"):
            getattr(x, name)(no_such_keyword=1)
