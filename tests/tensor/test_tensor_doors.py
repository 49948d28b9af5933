"""Methods follow PyTorch, functions the array API and NumPy: the tables of differences, sizes, devices, memory, draws."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_tensor_torch_methods import assert_same

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DeviceError, IndexOutOfRange
from spiraltorch.tensor.tracing.guards import snapshot

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("pytorch_differences", ROOT / "tools" / "pytorch_differences.py")
assert _spec is not None and _spec.loader is not None
differences = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = differences
_spec.loader.exec_module(differences)

RNG = np.random.default_rng(7)
ARRAYS: dict[str, Any] = {
    "x": RNG.normal(0, 2, (3, 4)).round(2), "y": RNG.normal(0, 2, (3, 4)), "v": np.array([3.0, 1.0, 3.0, 2.0]),
    "b": RNG.normal(0, 2, (3, 4, 3)), "u": RNG.integers(0, 9, (3, 4)).astype(np.uint8), "i": np.array([1, 2, 4]),
    "h": np.array([2.0, np.nan, np.nan, 1e10]),
}  # fmt: skip


def value(expression: str, library: Any) -> Any:
    make = {torch: torch.from_numpy, st: st.from_numpy, np: np.array}[library]
    return eval(expression, {"st": st, "np": np, **{name: make(np.array(a)) for name, a in ARRAYS.items()}})


def flat(result: Any) -> list[Any]:
    """Results as arrays, in a list."""
    if isinstance(result, (tuple, list)):
        return [np.asarray(r) for r in result]
    return [np.asarray(result)]


def same(a: Any, b: Any) -> bool:
    first, second = flat(a), flat(b)
    return len(first) == len(second) and all(
        p.shape == q.shape and p.dtype == q.dtype and np.allclose(p, q, rtol=1e-12, atol=1e-12, equal_nan=True)
        for p, q in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("row", differences.ROWS, ids=lambda row: row.method)
def test_rows_of_the_table(row: Any) -> None:
    method, function = value(row.method, st), value(row.function, st)
    assert_same(method, value(row.method, torch), row.method)
    assert same(function, value(row.numpy, np)), (function, value(row.numpy, np))
    differs_by_itself = not same(method, function)
    assert differs_by_itself or row.method == "x.flip(0)", "a row of the table must be a difference"


@pytest.mark.parametrize("row", differences.FUNCTIONS, ids=lambda row: row.function)
def test_functions_that_follow_pytorch(row: Any) -> None:
    got = value(row.function, st)
    theirs = row.function.replace("st.", "np.")  # by PyTorch's module
    want = eval(theirs, {"np": torch, **{name: torch.from_numpy(a) for name, a in ARRAYS.items()}})
    assert same(got, want)
    assert not same(got, value(row.numpy, np))


@pytest.mark.parametrize("row", differences.DEVIATIONS, ids=lambda row: row.expression)
def test_deviations_from_pytorch(row: Any) -> None:
    try:
        got = value(row.expression, st)
    except TypeError:
        got = None
    try:
        want = value(row.expression, torch)
    except RuntimeError:
        want = None
    with pytest.raises(AssertionError):
        assert_same(got, want, row.expression) if want is not None else pytest.fail if got is None else _fail()


def _fail() -> None:
    raise AssertionError


def test_what_is_left_out() -> None:
    listed = [name for names in differences.LEFT_OUT.values() for name in names.split()]
    assert len(listed) == len(set(listed))
    theirs = {n for n in dir(torch.Tensor) if not n.startswith("_")}
    ours = {n for n in dir(st.Tensor) if not n.startswith("_")}
    assert theirs - ours <= set(listed), sorted(theirs - ours - set(listed))
    assert not ours & set(listed)


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "pytorch_differences.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


# ---------------------------------------------------------------- sizes


def test_size_is_an_int_that_can_be_called() -> None:
    x = st.zeros(2, 3)
    assert (
        x.size == 6 and x.size + 1 == 7 and isinstance(x.size, int) and f"{x.size}" == "6" and [0] * x.size == [0] * 6
    )
    assert x.size() == (2, 3) and x.size(0) == 2 and x.size(dim=-1) == 3
    assert type(x.size * 2) is int and type(pickle.loads(pickle.dumps(x.size))) is int
    assert type(copy.deepcopy(x.size)) is int and json.dumps(x.size) == "6" and {6: 1}[x.size] == 1
    assert np.zeros(x.size).shape == (6,) and st.zeros(x.size).shape == (6,) and st.zeros(x.size()).shape == (2, 3)
    assert (st.ones(2) * x.size).dtype is st.float32 and (st.arange(2) * x.size).dtype is st.int64
    with pytest.raises(IndexOutOfRange, match=r"\[size\]"):
        x.size(2)
    with pytest.raises(IndexOutOfRange, match="0-d"):
        st.tensor(1.0).size(0)


def test_sizes_and_devices_are_guarded_by_value() -> None:
    count, device = st.ones(2, 3).size, st.ones(1).device

    def scaled(a: st.Tensor) -> st.Tensor:
        return a * count + st.ones(3, device=device) * count(0)

    compiled, before = st.compile(scaled), snapshot([scaled]).key
    for _ in range(3):
        assert compiled(st.ones(3)).tolist() == [8.0] * 3
        count, device = st.zeros(2, 3).size, st.zeros(1).device
        assert snapshot([scaled]).key == before
    count = st.zeros(3, 2).size  # as many elements in another shape
    assert snapshot([scaled]).key != before
    assert compiled(st.ones(3)).tolist() == [9.0] * 3


# ---------------------------------------------------------------- devices and memory


def test_devices_are_strings_with_a_type_and_an_index() -> None:
    x = st.ones(2)
    assert (
        x.device == "cpu:0" and isinstance(x.device, str) and f"{x.device}" == "cpu:0" and repr(x.device) == "'cpu:0'"
    )
    assert (x.device.type, x.device.index) == ("cpu", 0)
    assert st.device("cpu", 0) == st.device("cpu") == x.device == st.default_device()
    assert x.to(x.device) is x and st.zeros(2, device=x.device).device is x.device
    assert pickle.loads(pickle.dumps(x.device)) == "cpu:0" and x.is_cpu and not x.is_cuda and not x.is_mps
    with pytest.raises(DeviceError):
        st.device("cpu:0", 1)


def test_other_devices(tmp_path: Path) -> None:
    devices = [d for b in st.device.__globals__["backends"]().values() for d in b.devices()]
    for name in devices:
        x = st.ones(2, device=name)
        assert x.device.type == name.partition(":")[0] and x.is_cpu == (x.device.type == "cpu")
        if not x.is_cpu:
            assert x.get_device() == x.device.index
            with pytest.raises(DeviceError, match="data_ptr"):
                x.data_ptr()
    if not any(d.startswith("cuda") for d in devices):
        with pytest.raises(DeviceError, match="cuda"):
            st.ones(2).cuda()


def test_addresses() -> None:
    x = st.zeros(3, 4)
    assert x.data_ptr() == x.data_ptr() == x.view(-1).data_ptr() == x.detach().data_ptr() == x.data.data_ptr()
    assert x[1].data_ptr() == x.data_ptr() + 16 and x[1, 2:].data_ptr() == x.data_ptr() + 24
    assert x.T.data_ptr() == x.data_ptr() and x.clone().add_(1).data_ptr() != x.data_ptr()
    assert (x + 1).data_ptr() != x.data_ptr()
    values = np.arange(4, dtype=np.float32)
    assert st.asarray(values, copy=False).data_ptr() == values.__array_interface__["data"][0]
    shared = st.asarray(values, copy=False)
    assert shared[2:].data_ptr() == shared.data_ptr() + 8
    alone = st.arange(5)[2:]
    assert alone.data_ptr() == alone.data_ptr()


@pytest.mark.parametrize(
    "index", ["[1]", "[:, 1]", "[::2]", ".T", ".T[1:]", "[:, ::2][1]", "[None]", ".permute(1, 0)[2]", "[1:, 2:]"]
)
def test_strides_are_pytorchs(index: str) -> None:
    ours, theirs = eval(f"st.zeros(3, 4){index}"), eval(f"torch.zeros(3, 4){index}")
    assert (ours.stride(), ours.storage_offset()) == (theirs.stride(), theirs.storage_offset())


# ---------------------------------------------------------------- numbers that are drawn


@pytest.mark.parametrize(
    "call",
    [".diagonal()", ".T.diagonal(1)", "[1:].diagonal(1)[1:]", ".unfold(1, 2, 2)[1, :, 1:]", "[2].expand(2, 4)[:, 2:]"],
)
def test_offsets_of_diagonals_and_windows(call: str) -> None:
    ours, theirs = eval(f"x{call}", {"x": st.zeros(3, 4)}), eval(f"x{call}", {"x": torch.zeros(3, 4)})
    assert ours.shape == tuple(theirs.shape)
    many = [d for d, extent in enumerate(ours.shape) if extent > 1]
    assert [ours.stride(d) for d in many] == [theirs.stride(d) for d in many]
    assert ours.storage_offset() == theirs.storage_offset()


def test_numpy_scalars_in_methods() -> None:
    """They are weak, as Python's numbers are, and stand for axes and counts."""
    x, n, f = st.arange(12).reshape(3, 4).to(st.float16), np.int64, np.float64
    for value in (
        x.add(f(1)), x.add(1, alpha=f(2)), x.sub(f(1), alpha=f(2)), x.addcmul(x, x, value=f(2)), x.clamp_min(f(2)),
        x.lerp(x, f(0.5)), x.fmod(f(2)), st.atan2(x, f(1)), st.hypot(f(1), x), x.tensor_split(n(2))[0],
        x.hsplit(n(2))[1], x.repeat(n(1), n(2)), x.median(n(1)).values, st.tensordot(x, x.T, dims=n(1)),
    ):  # fmt: skip
        assert value.dtype is st.float16
    for alpha in (2, n(2)):
        assert st.ones(2, dtype=st.int8).add(1, alpha=alpha).dtype is st.int8
    assert st.one_hot(st.tensor([0, 2]), n(-1)).shape == (2, 3)
    assert st.ones(2, 2).matrix_power(n(2)).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_numbers_that_are_drawn_in_place() -> None:
    st.manual_seed(3)
    n = 20_000
    x = st.empty(n)
    assert x.uniform_(2, 6) is x and abs(float(x.mean()) - 4) < 0.05 and 2 <= float(x.amin()) and float(x.amax()) < 6
    x.normal_(1, 3)
    assert abs(float(x.mean()) - 1) < 0.1 and abs(float(x.std()) - 3) < 0.1
    x.exponential_(2.0)
    assert abs(float(x.mean()) - 0.5) < 0.02 and float(x.amin()) >= 0
    x.log_normal_(0.0, 0.5)
    assert abs(float(x.log().std()) - 0.5) < 0.02
    x.cauchy_(1.0, 2.0)
    assert abs(float(x.median()) - 1) < 0.1 and abs(float(x.quantile(0.75)) - 3) < 0.2
    x.geometric_(0.25)
    assert abs(float(x.mean()) - 4) < 0.15 and float(x.amin()) == 1
    x.bernoulli_(0.3)
    assert abs(float(x.mean()) - 0.3) < 0.02 and set(x.unique().tolist()) == {0.0, 1.0}
    i = st.zeros(n, dtype=st.int64).random_(5, 9)
    assert i.unique().tolist() == [5, 6, 7, 8]
    assert float(st.zeros(n, dtype=st.int8).random_().amax()) == 127
    assert st.full((n,), 0.7).bernoulli().mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(replacement: bool) -> None:
    st.manual_seed(4)
    weights = st.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    draws = st.stack([weights.multinomial(1, replacement) for _ in range(600)]).numpy()[:, :, 0]
    share = [[(draws[:, r] == c).mean() for c in range(3)] for r in range(2)]
    np.testing.assert_allclose(share, [[0.25, 0, 0.75], [0.5, 0.5, 0]], atol=0.08)
    many = weights[0].multinomial(2, replacement)
    assert many.shape == (2,) and (replacement or set(many.tolist()) == {0, 2})
    with pytest.raises(ArgumentError, match="replacement"):
        weights.multinomial(4)


# ---------------------------------------------------------------- functions


def test_functions_with_pytorchs_arguments() -> None:
    edges, values = np.array([1, 3, 3, 5]), np.array([3, 0, 9])
    for right in (False, True):
        want = np.searchsorted(edges, values, side="right" if right else "left")
        assert st.searchsorted(st.tensor(edges), st.tensor(values), right=right).tolist() == want.tolist()
    with pytest.raises(ArgumentError, match="right"):
        st.searchsorted(st.tensor(edges), st.tensor(values), side="left", right=True)
    a, b = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 3, 5))
    for axes in (1, ((1, 2), (1, 0))):
        if axes == 1:
            want = np.tensordot(a, b, axes)
        else:
            want = np.tensordot(a, b, axes)
        np.testing.assert_allclose(st.tensordot(st.tensor(a), st.tensor(b), dims=axes).numpy(), want, rtol=1e-12)
    classes = st.tensor([[0, 2], [1, 0]])
    want = torch.nn.functional.one_hot(torch.tensor([[0, 2], [1, 0]]))
    assert st.nn.functional.one_hot(classes).tolist() == want.tolist()
    with pytest.raises(ArgumentError, match="num_classes"):
        st.one_hot(st.zeros(0, dtype=st.int64))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_unique_is_numpys(axis: int | None) -> None:
    for array in (RNG.integers(0, 3, (4, 3)), RNG.integers(0, 2, (3, 2)).astype(np.float32)):
        for flags in ((), (True,), (True, True), (True, True, True), (False, False, True)):
            want, got = np.unique(array, *flags, axis=axis), st.unique(st.tensor(array), *flags, axis=axis)
            assert type(want) is tuple or isinstance(got, st.Tensor)
            for w, g in zip(flat(want), flat(got), strict=True):
                np.testing.assert_array_equal(g, w.reshape(g.shape))


def test_sequences_by_name() -> None:
    x = st.arange(6)
    assert st.reshape(x, shape=(2, 3)).shape == x.reshape(shape=(2, 3)).shape == x.view(size=(2, 3)).shape == (2, 3)
    assert st.zeros(shape=(2, 3)).shape == st.ones(size=(2, 3)).shape == st.empty(shape=[2, 3]).shape == (2, 3)
    assert st.rand(size=(2, 3)).shape == st.randn(size=(2, 3)).shape == x.new_zeros(size=(2, 3)).shape == (2, 3)
    assert x.reshape(2, 3).permute(dims=(1, 0)).shape == (3, 2) and x.expand(size=(2, 6)).shape == (2, 6)
    assert st.tile(x, repetitions=(2, 1)).shape == (2, 6) and x.repeat(repeats=(2, 1)).shape == (2, 6)
    with pytest.raises(TypeError, match="unexpected"):
        x.reshape(sizes=(2, 3))
    with pytest.raises(ArgumentError, match="twice"):
        x.reshape(2, 3, shape=(2, 3))
    with pytest.raises(ArgumentError, match=r"\[repeat\] expected a number for each of 2 axes"):
        x.reshape(2, 3).repeat(2)


def test_other_names_of_dtypes() -> None:
    names = {
        "half": "float16",
        "float": "float32",
        "double": "float64",
        "short": "int16",
        "int": "int32",
        "long": "int64",
    }
    for name, dtype in names.items():
        assert getattr(st, name) is getattr(st, dtype)
        assert getattr(torch, name) is getattr(torch, dtype)
    assert st.zeros(2, dtype=float).dtype is st.float32 and st.zeros(2, dtype=int).dtype is st.int64
    scope: dict[str, Any] = {}
    exec("from spiraltorch import *\nkinds = int('3'), float('2'), bool(1)\nt = zeros(2, dtype=long)", scope)
    assert scope["kinds"] == (3, 2.0, True) and scope["t"].dtype is st.int64


def test_gradients_of_new_methods_are_pytorchs() -> None:
    calls = (
        "x.fmod(y)", "x.fmax(y)", "x.fmin(y)", "x.logaddexp2(y)", "x.addcmul(y, x, value=2)", "x.addcdiv(y, p)",
        "x.logcumsumexp(1)", "x.sinc()", "u.logit()", "x.sort(1)[0]", "x.max(1)[0]", "x.cummax(1)[0]", "x.median(1)[0]",
        "x.kthvalue(2)[0]", "x.renorm(2, 0, 1.5)", "x.sum_to_size(1, 4)", "x.kron(y)", "x.inner(y)", "x.lerp(y, 0.8)",
        "x.nan_to_num()", "x.diag_embed()", "x.index_copy(0, j, y[:2])", "x.masked_scatter(k, y)", "x.take(j)",
        "x.scatter_reduce(1, i, y[:, :2], 'mean')", "x.index_put((j, j), y[0, :2], accumulate=True)", "x.aminmax(dim=1)[1]",
        "x.std(1)", "x.corrcoef()", "x.rot90()", "x.diagonal_scatter(y[0, :3])", "x.slice_scatter(y[:1], 0, 1, 2)",
    )  # fmt: skip
    a = {
        "x": RNG.normal(size=(3, 4)),
        "y": RNG.normal(size=(3, 4)),
        "p": RNG.uniform(1, 2, (3, 4)),
        "u": RNG.uniform(0.2, 0.8, (3, 4)),
    }
    fixed = {"j": np.array([2, 0]), "i": np.array([[0, 1], [2, 2], [1, 0]]), "k": RNG.random((3, 4)) < 0.5}
    for call in calls:
        grads = []
        for library in (st, torch):
            make = torch.from_numpy if library is torch else st.from_numpy
            leaves = {n: make(np.array(v)).requires_grad_() for n, v in a.items()}
            out = eval(call, {**leaves, **{n: make(np.array(v)) for n, v in fixed.items()}})
            (out * out).sum().backward()
            grads.append({n: None if t.grad is None else t.grad.numpy() for n, t in leaves.items()})
        for name in a:
            ours, theirs = grads[0][name], grads[1][name]
            if theirs is None:
                assert ours is None, call
            else:
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=f"{call} {name}")


def test_every_function_of_the_array_api_takes_dim_and_keepdim() -> None:
    missing = []
    for space in (st, st.linalg):
        for name, function in vars(space).items():
            if name.startswith("_") or isinstance(function, type) or not callable(function):
                continue
            parameters = inspect.signature(function).parameters
            for own, torchs in (("axis", "dim"), ("keepdims", "keepdim")):
                if own in parameters and torchs not in parameters:
                    missing.append(f"{space.__name__}.{name}({torchs}=)")
    assert missing == ["spiraltorch.repeat(dim=)"]  # NumPy's: PyTorch's repeat tiles, and has no axis
    a, b = np.arange(6.0, dtype=np.float32).reshape(3, 2), np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(
        st.cross(a, b, dim=0).numpy(), torch.cross(torch.tensor(a), torch.tensor(b), dim=0).numpy()
    )
    np.testing.assert_array_equal(st.unstack(a, dim=1)[1].numpy(), a[:, 1])
    assert st.expand_dims(a, dim=-1).shape == (3, 2, 1) and st.linalg.matrix_norm(a, keepdim=True).shape == (1, 1)
