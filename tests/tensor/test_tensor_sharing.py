"""Which results share elements with their operands: as in PyTorch for methods, as in NumPy for functions; what goes out."""

from __future__ import annotations

import copy
import types
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.tensor.aliasing import storage_of

DTYPES = ("float32", "int64", "uint8", "bool")
# Calls that have nothing to do, or nothing to compute. Views are among them.
METHODS = (
    "abs()", "clip(None, 9)", "round()", "floor()", "ceil()", "trunc()", "fix()", "sign()", "sgn()", "nan_to_num()",
    "positive()", "conj()", "resolve_conj()", "contiguous()", "clone()", "detach()", "cpu()", "to(x.dtype)",
    "to(x.dtype, copy=True)", "type_as(x)", "roll(0)", "roll(0, 0)", "tile(1)", "repeat(1, 1)", "repeat_interleave(1)",
    "diag()", "diagonal()", "diff(0)", "matrix_power(1)", "sum_to_size(3, 3)", "squeeze()", "flatten()", "ravel()",
    "reshape(3, 3)", "view(3, 3)", "view_as(x)", "expand(3, 3)", "permute(0, 1)", "transpose(0, 0)", "movedim(0, 0)",
    "narrow(0, 0, 3)", "select(0, 0)", "unfold(0, 3, 1)", "chunk(1)[0]", "split(3)[0]", "tensor_split(1)[0]", "T", "mT",
    "unbind()[0]", "flip(0)", "fliplr()", "rot90(0)", "tril(5)", "triu(-5)", "add(0)", "mul(1)", "sort(0)[0]", "data",
    "cumsum(0)", "masked_fill(x != x, 0)", "unflatten(0, (3, 1))", "real", "diag_embed()", "logical_not()", "square()",
)  # fmt: skip
FUNCTIONS = (
    "abs(x)", "astype(x, x.dtype)", "astype(x, x.dtype, copy=False)", "ceil(x)", "conj(x)", "floor(x)", "round(x)",
    "trunc(x)", "positive(x)", "roll(x, 0)", "tile(x, 1)", "repeat(x, 1)", "clip(x)", "nan_to_num(x)", "real(x)",
    "reshape(x, (3, 3))", "squeeze(x)", "expand_dims(x, 0)", "flip(x)", "permute_dims(x, (0, 1))", "moveaxis(x, 0, 0)",
    "broadcast_to(x, (3, 3))", "concat([x])", "stack([x])", "sort(x)", "meshgrid(x[0], x[1])[0]", "where(x == x, x, x)",
    "full((3, 3), x[0, 0])", "full((3, 3), x)", "full_like(x, x)", "asarray(x)", "asarray(x, copy=True)", "copysign(x, x)",
)  # fmt: skip


def array(dtype: str) -> Any:
    return np.arange(9).reshape(3, 3).astype(dtype)


@pytest.mark.parametrize("call", METHODS)
def test_methods_share_what_pytorchs_share(call: str) -> None:
    compared = 0
    for dtype in DTYPES:
        x, t = st.asarray(array(dtype)), torch.from_numpy(array(dtype))
        try:
            theirs = eval(f"x.{call}", {"x": t})
        except (RuntimeError, TypeError):
            continue
        ours = eval(f"x.{call}", {"x": x})
        compared += 1
        shares = theirs.untyped_storage().data_ptr() == t.untyped_storage().data_ptr()
        assert (storage_of(ours) is storage_of(x)) is shares, dtype
    assert compared


@pytest.mark.parametrize("call", FUNCTIONS)
def test_functions_share_what_numpys_share(call: str) -> None:
    compared = 0
    for dtype in DTYPES:
        x, a = st.asarray(array(dtype)), array(dtype)
        try:
            theirs = eval(f"np.{call}", {"x": a, "np": np})
        except (AttributeError, TypeError, ValueError):
            continue
        ours = eval(f"np.{call}", {"x": x, "np": st})
        compared += 1
        assert (storage_of(ours) is storage_of(x)) is np.shares_memory(theirs, a), dtype
    assert compared or call.startswith("clip")


def test_an_update_of_a_result_leaves_the_operand() -> None:
    x = st.arange(4)
    for result in (st.floor(x), x.astype(x.dtype), st.roll(x, 0), x.to(x.dtype, copy=True), st.full((4,), x)):
        result.add_(1)
    assert x.tolist() == [0, 1, 2, 3]
    p = st.ones(2, requires_grad=True)
    with st.no_grad():
        p.roll(0).mul_(5)
    p.repeat(1).sum().backward()
    assert p.tolist() == p.grad.tolist() == [1.0, 1.0]


def test_to_takes_pytorchs_keywords_and_no_others() -> None:
    x = st.ones(2)
    assert x.to(st.float64, non_blocking=True, memory_format=None).dtype is st.float64
    for method in (x.to, x.astype):
        with pytest.raises(TypeError, match="dtpye"):
            method(st.float64, dtpye=st.float64)


MAKERS: dict[str, Any] = {
    "made": lambda: st.ones(3),
    "computed": lambda: st.ones(3) + 0,
    "view": lambda: st.ones(2, 3)[1],
    "clone": lambda: st.ones(3).clone(),
    "pending": lambda: st.ones(3) * 1,
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_arrays_that_go_out_can_never_be_written(make: Any) -> None:
    x = make()
    for out in (x.numpy(), np.asarray(x), x.numpy().base):
        with pytest.raises(ValueError):
            out.setflags(write=True)
    for out in (
        np.array(x),
        np.from_dlpack(x).copy(),
        torch.from_dlpack(x),
        torch.as_tensor(x),
        torch.tensor(x.numpy()),
    ):
        out[...] = 7
    assert x.tolist() == [1.0, 1.0, 1.0]


INDEPENDENT: dict[str, Any] = {
    "clone": lambda x: x.clone(),
    "x + 0": lambda x: x + 0,
    "tensor": st.tensor,
    "deepcopy": copy.deepcopy,
    "asarray": lambda x: st.asarray(x, copy=True),
    "layer": lambda x: copy.deepcopy(types.SimpleNamespace(x=x)).x,
}


@pytest.mark.parametrize("make", INDEPENDENT.values(), ids=INDEPENDENT)
def test_copies_are_independent_of_other_libraries(make: Any) -> None:
    x = st.ones(3)
    q = make(x)
    torch.as_tensor(q.detach()).add_(1)
    torch.from_dlpack(q.detach()).add_(1)
    q.detach().add_(1)
    assert x.tolist() == [1.0, 1.0, 1.0] and q.tolist() == [2.0, 2.0, 2.0]


HOST: dict[str, Any] = {
    "x + b": lambda b: st.ones(3) + b,
    "b + x": lambda b: b + st.ones(3),
    "x[i]": lambda b: st.arange(3.0)[b.astype(np.int64) - 1 if b.dtype.kind == "f" else b],
    "where": lambda b: st.where(b > 0, st.ones(3), b),
    "concat": lambda b: st.concat([st.zeros(3), b]),
    "clip": lambda b: st.arange(3.0).clip(b * 0, b),
    "matmul": lambda b: st.eye(3) @ b,
    "tensor of rows": lambda b: st.tensor([b, b]) + 1,
    "new_tensor": lambda b: st.ones(1).new_tensor(b) * 2,
    "asarray of a slice": lambda b: st.asarray(b[::-1]) * 2,
    "memoryview": lambda b: st.asarray(memoryview(b)) * 2,
    "parameter": lambda b: st.nn.Parameter(st.from_numpy(b)).detach() * 2,
    "index_put": lambda b: st.zeros(3).index_put((np.arange(3),), b),
    "compiled": lambda b: st.compile(lambda x: x + b)(st.ones(3)),
    "compiled argument": lambda b: st.compile(lambda x, b: x + b)(st.ones(3), b),
}


@pytest.mark.parametrize("make", HOST.values(), ids=HOST)
def test_operations_have_the_values_of_their_moment(make: Any) -> None:
    b = np.ones(3, np.float32)
    pending, want = make(b), make(b.copy()).tolist()
    b[:] = 9
    assert pending.tolist() == want


def test_assignments_have_the_values_of_their_moment() -> None:
    b = np.ones(3, np.float32)
    z, y, g = st.zeros(3), st.zeros(3), st.ones(3, requires_grad=True)
    z[:] = b
    y.copy_(st.from_numpy(b))
    (g * b).sum().backward()
    b[:] = 9
    assert z.tolist() == y.tolist() == g.grad.tolist() == [1.0, 1.0, 1.0]


def test_a_copy_keeps_the_sign_of_zero() -> None:
    assert np.signbit(st.tensor(st.tensor([-0.0])).numpy()).all()


def test_an_earlier_state_dict_out_of_the_library() -> None:
    layer = st.nn.Linear(2, 2)
    before, arrays = layer.weight.tolist(), {k: v.numpy() for k, v in layer.state_dict().items()}
    torch.as_tensor(layer.state_dict()["weight"]).add_(1)
    copied = copy.deepcopy(layer)
    torch.as_tensor(copied.weight.detach()).add_(1)
    copied.weight.data.add_(1)
    assert layer.weight.tolist() == before
    layer.weight.data.add_(1)
    assert arrays["weight"].tolist() == before
