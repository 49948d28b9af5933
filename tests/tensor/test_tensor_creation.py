"""Creation, conversion from and to other libraries, and the namespace."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tensor_helpers import FLOATS, INTS, close, numpy_dtype, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DeviceError, DTypeError, SpiralTorchError


@pytest.mark.parametrize(("data", "dtype"), [
    (1, "int64"), (1.5, "float32"), (True, "bool"), ([1, 2], "int64"), ([1, 2.5], "float32"), ([True, False], "bool"),
    ([[1], [2]], "int64"), ([], "float32"), ([[], []], "float32"), ((1, 2), "int64"), ([np.float64(1.5)], "float32"),
])  # fmt: skip
def test_python_data(data: Any, dtype: str) -> None:
    for make in (st.tensor, st.asarray):
        got = make(data)
        assert got.dtype.name == dtype
        close(got, np.asarray(data).astype(numpy_dtype(dtype)))


@pytest.mark.parametrize("dtype", [*FLOATS, *INTS, "bool"])
def test_numpy_round_trip(dtype: str) -> None:
    x = sample((2, 3), dtype, 1)
    for array in (x, x.T, x[::-1], x[:, ::2], x[0, 0]):
        got = st.asarray(array)
        assert got.dtype.name == dtype
        close(got, array)
        close(np.asarray(got), array)
    assert st.tensor([1, 0], dtype=dtype).dtype.name == dtype


def test_sharing_and_copying() -> None:
    x = np.ones(3, np.float32)
    shared = st.asarray(x, copy=False)
    copied = [st.tensor(x), st.from_numpy(x), st.asarray(x), st.ones(3) * x]
    doubled = shared * 2  # has the values of this moment
    x[0] = 5
    assert shared.tolist() == [5.0, 1.0, 1.0] and doubled.tolist() == [2.0, 2.0, 2.0]
    assert [c.tolist() for c in copied] == [[1.0, 1.0, 1.0]] * 4
    shared.mul_(2)
    shared[1:].add_(1)
    assert x.tolist() == [10.0, 3.0, 3.0]
    with pytest.raises(ArgumentError, match="copy=None"):
        st.asarray(x, dtype=st.float64, copy=False)
    x[0] = 5
    assert not shared.numpy().flags.writeable
    assert np.array(shared).flags.writeable
    assert np.asarray(shared, dtype=np.float64).dtype == np.float64
    assert np.array(shared, copy=True).tolist() == [5.0, 3.0, 3.0]


def test_byte_order_and_bad_data() -> None:
    close(st.asarray(np.array([1, 2], ">i4")), np.array([1, 2], np.int32))
    for bad in ("abc", [1, "x"], [[1], [1, 2]], np.array([1j]), object(), {"a": 1}, np.array(["a"])):
        with pytest.raises(DTypeError):
            st.asarray(bad)
    with pytest.raises(DTypeError):
        st.tensor([300], dtype=st.uint8)
    with pytest.raises(DTypeError):
        st.tensor([1], dtype="float31")


def test_tensors_in_lists() -> None:
    assert st.tensor([st.asarray(1.0), st.asarray(2.0)]).tolist() == [1.0, 2.0]
    t = st.asarray([1.0])
    assert st.asarray(t) is t
    other = st.asarray(t, copy=True)
    other += 1
    assert t.tolist() == [1.0]


def test_dlpack() -> None:
    x = st.asarray(sample((2, 3), "float32", 2)) + 0
    close(torch.from_dlpack(x).numpy(), x.numpy())
    close(np.from_dlpack(x), x.numpy())
    t = torch.arange(6.0).reshape(2, 3).T
    close(st.from_dlpack(t), t.numpy())
    close(st.asarray(t), t.numpy())
    half = torch.tensor([1.5, 2.5], dtype=torch.bfloat16)
    close(st.from_dlpack(half), np.array([1.5, 2.5], ml_dtypes.bfloat16))
    assert x.__dlpack_device__() == (1, 0)


def test_filled() -> None:
    close(st.zeros(2, 3), np.zeros((2, 3), np.float32))
    close(st.zeros((2, 3), dtype=st.int8), np.zeros((2, 3), np.int8))
    close(st.ones(2, dtype="float64"), np.ones(2))
    close(st.ones([2, 1]), np.ones((2, 1), np.float32))
    assert st.zeros(()).shape == st.ones().shape == ()
    close(st.full((2,), 3), np.full(2, 3))
    close(st.full((2, 2), 1.5), np.full((2, 2), 1.5, np.float32))
    close(st.full(2, True), np.full(2, True))
    assert st.empty(2, 3).shape == (2, 3)
    x = st.zeros(2, dtype=st.float16)
    for like in (st.zeros_like, st.ones_like, st.empty_like):
        assert like(x).dtype is st.float16
        assert like(x, dtype=st.int32).dtype is st.int32
    assert st.full_like(x, 2).tolist() == [2.0, 2.0]
    assert x.new_ones(3).dtype is st.float16
    assert st.zeros(2, requires_grad=True).requires_grad


@pytest.mark.parametrize("args", [(5,), (2, 7), (2, 9, 3), (9, 2, -2), (0,), (5, 2), (0.0, 1.0, 0.25), (3.0,), (1, 2, 0.3),
                                  (10, 0, -3), (-2.5, 2.5)], ids=str)  # fmt: skip
def test_arange(args: Any) -> None:
    want = np.arange(*args)
    close(st.arange(*args), want.astype(np.float32) if want.dtype.kind == "f" else want, 1e-6)
    close(st.arange(*args, dtype=st.float64), np.arange(*args, dtype=np.float64))


def test_ranges_and_matrices() -> None:
    for args in ((0, 1, 5), (2, -3, 4), (0, 1, 1), (0, 1, 0)):
        close(st.linspace(*args), np.linspace(*args, dtype=np.float32))
        close(st.linspace(*args, endpoint=False), np.linspace(*args, endpoint=False, dtype=np.float32))
    for args in ((3,), (3, 4), (4, 3, 1), (3, 3, -1), (0,)):
        close(st.eye(*args), np.eye(*args, dtype=np.float32))
    x = sample((2, 4, 3), "float32", 3)
    for k in (-2, 0, 1):
        close(st.tril(st.asarray(x), k), np.tril(x, k))
        close(st.triu(st.asarray(x), k), np.triu(x, k))
    close(st.diag(st.asarray([1, 2])), np.diag([1, 2]))
    close(st.diag(st.asarray([1, 2]), 1), np.diag([1, 2], 1))
    close(st.one_hot(st.asarray([0, 2]), 3), np.eye(3, dtype=np.int64)[[0, 2]])


@pytest.mark.parametrize("call", [
    lambda: st.zeros(-1), lambda: st.ones("a"), lambda: st.arange(0, 1, 0), lambda: st.arange(float("inf")),
    lambda: st.linspace(0, 1, -1), lambda: st.full((2,), 300, dtype=st.uint8), lambda: st.zeros(2, device="tpu"),
    lambda: st.ones(2).to("cuda:99"), lambda: st.meshgrid(st.ones(2), indexing="x"), lambda: st.zeros(2, dtype="x"),
])  # fmt: skip
def test_errors(call: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[.+\]"):
        call()


def test_devices() -> None:
    assert st.ones(2).device == st.device("cpu") == "cpu:0"
    assert st.ones(2).to("cpu").device == "cpu:0"
    st.set_default_device("cpu")
    assert st.default_device() == "cpu:0"
    with pytest.raises(DeviceError, match="nonsense"):
        st.device("nonsense")


def test_pickle_and_copies() -> None:
    for dtype in ("float32", "bfloat16", "int8", "bool"):
        x = st.asarray(sample((2, 3), dtype, 4))
        for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x), x.clone()):
            assert twin is not x
            assert twin.dtype is x.dtype
            close(twin, x.numpy())
    leaf = st.ones(2, requires_grad=True)
    assert copy.deepcopy(leaf).requires_grad
    assert pickle.loads(pickle.dumps(leaf)).requires_grad
    assert pickle.loads(pickle.dumps(st.bool)) is st.bool


def test_namespace() -> None:
    x = st.ones(2)
    xp = x.__array_namespace__()
    assert xp is st
    info = xp.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] is st.float32
    assert "cpu:0" in info.devices()
    assert set(info.dtypes(kind="signed integer")) == {"int8", "int16", "int32", "int64"}
    assert st.finfo(st.float32).bits == 32
    assert st.finfo(st.bfloat16).max > 3e38
    assert st.iinfo("int8").max == 127
    assert st.can_cast(st.int8, st.int16)
    assert not st.can_cast(st.float32, st.int64)
    assert st.isdtype(st.float16, "real floating")
    assert st.isdtype(st.uint8, ("bool", "integral"))
    assert st.result_type(st.int8, 1.0) is st.float32
    assert st.result_type(st.ones(1, dtype=st.float16), 2.0) is st.float16
    with pytest.raises(DTypeError):
        st.finfo(st.int8)


API = """abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays broadcast_to can_cast ceil clip
concat copysign cos cosh count_nonzero cumulative_prod cumulative_sum diff divide e empty empty_like equal exp expand_dims
expm1 eye finfo flip floor floor_divide from_dlpack full full_like greater greater_equal hypot iinfo inf isdtype isfinite
isinf isnan less less_equal linalg linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor
matmul matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply nan negative newaxis nextafter nonzero
not_equal ones ones_like permute_dims pi positive pow prod reciprocal remainder repeat reshape result_type roll round
searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh tensordot
tile tril triu trunc unique_all unique_counts unique_inverse unique_values unstack var vecdot where zeros zeros_like"""


def test_the_array_api_is_there() -> None:
    assert [name for name in API.split() if not hasattr(st, name)] == []
