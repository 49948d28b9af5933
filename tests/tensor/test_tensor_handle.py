"""The handle itself: facts, host values, protocols, tracing."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, DTypeError, ShapeError, SpiralTorchError, TracingError
from spiraltorch.tensor.tracing.tracer import TRACING


def test_facts() -> None:
    x = st.zeros(2, 3, dtype=st.float16)
    assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((2, 3), 2, 6, st.float16, "cpu:0")
    assert (x.nbytes, x.itemsize, x.numel(), x.dim(), x.element_size(), len(x)) == (12, 2, 6, 2, 2, 2)
    assert x.T.shape == x.mT.shape == x.t().shape == (3, 2)
    assert x.is_floating_point()
    assert isinstance(x.shape, tuple)


def test_host_values() -> None:
    x = st.asarray([[1, 2], [3, 4]])
    assert x.tolist() == [[1, 2], [3, 4]]
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert x[0, 1].item() == int(x[0, 1]) == 2
    assert float(st.asarray(1.5)) == 1.5
    assert complex(st.asarray(1.5)) == 1.5 + 0j
    assert bool(st.asarray([True]))
    assert not st.asarray(0.0)
    assert [10, 20, 30][st.asarray(1)] == 20
    assert 3 in x
    assert 7 not in x
    assert type(st.asarray(1.0).item()) is float
    assert type(st.asarray(True).item()) is bool
    assert f"{st.asarray(1.25):.1f}" == "1.2"
    a, b = st.asarray([1.0, 2.0])
    assert (a + b).item() == 3.0
    assert divmod(st.asarray(7), 2)[1].item() == 1
    assert divmod(7, st.asarray(2))[0].item() == 3


def test_handles_hash_by_identity() -> None:
    x = st.ones(2)
    y = st.ones(2)
    assert {x: 1, y: 2}[x] == 1
    assert x in {x}
    assert hash(x) == hash(x)


@pytest.mark.parametrize(("call", "error"), [
    (lambda: st.ones(2).item(), ShapeError), (lambda: bool(st.ones(2)), ArgumentError), (lambda: len(st.asarray(1.0)), ShapeError),
    (lambda: iter(st.asarray(1.0)), ShapeError), (lambda: [1][st.asarray(0.0)], DTypeError), (lambda: st.ones(2, 2, 2).t(), ShapeError),
    (lambda: int(st.ones(2)), ShapeError),
])  # fmt: skip
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^\[.+\] expected .+got"):
        call()


def test_repr() -> None:
    assert repr(st.asarray([1.0, 2.0])) == "tensor([1., 2.])"
    assert repr(st.asarray([1, 2])) == "tensor([1, 2])"
    assert "dtype=float16" in repr(st.zeros(2, dtype=st.float16))
    assert "bfloat16" in repr(st.zeros(2, dtype=st.bfloat16))
    assert "requires_grad=True" in repr(st.zeros(2, requires_grad=True))
    assert "..." in repr(st.zeros(1000))
    assert repr(st.zeros(0, 3)).startswith("tensor([]")
    assert repr(st.float32) == "spiraltorch.float32"


def test_numpy_beside_tensors() -> None:
    a, t = np.array([1.0, 2.0], np.float32), st.asarray(np.array([3.0, 4.0], np.float32))
    for got in (a + t, t + a, np.float32(1) * (a + t)):
        assert isinstance(got, st.Tensor)
        close(got, np.array([4.0, 6.0], np.float32))
    close(np.add(a, t), np.array([4.0, 6.0], np.float32))
    close(np.sum(np.asarray(t)), np.float32(7))
    assert (t * np.float64(2)).dtype is st.float32
    assert (a == t).tolist() == [False, False]


def test_conversion_methods() -> None:
    x = st.asarray([1.5, -2.5])
    for name, dtype in (("float", st.float32), ("double", st.float64), ("half", st.float16), ("int", st.int32), ("long", st.int64),
                        ("bool", st.bool), ("bfloat16", st.bfloat16)):  # fmt: skip
        assert getattr(x, name)().dtype is dtype
    assert x.to(st.ones(1, dtype=st.float64)).dtype is st.float64
    assert x.to("cpu", st.float16).dtype is st.float16
    assert x.to(device="cpu:0", dtype=st.int8).dtype is st.int8
    assert x.to(st.float32) is x
    assert x.astype("int32").tolist() == [1, -2]
    assert x.type(st.int64).tolist() == [1, -2]
    assert x.cpu().device == "cpu:0"


def test_in_place_methods() -> None:
    x = st.asarray([4.0, 9.0])
    assert x.sqrt_() is x
    assert x.tolist() == [2.0, 3.0]
    assert x.add_(1).mul_(2).sub_(1).div_(5).tolist() == pytest.approx([1.0, 1.4])
    assert x.clamp_(max=1.2).tolist() == pytest.approx([1.0, 1.2])
    assert x.zero_().tolist() == [0.0, 0.0]
    assert x.fill_(3).tolist() == [3.0, 3.0]
    assert x.copy_(st.asarray(7)).tolist() == [7.0, 7.0]
    assert x.masked_fill_(st.asarray([True, False]), 0.0).tolist() == [0.0, 7.0]
    assert x.index_add_(0, st.asarray([1]), st.asarray([1.0])).tolist() == [0.0, 8.0]
    x.data = st.asarray([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0]


def test_clone_is_independent() -> None:
    x = st.tensor([1.0, 2.0], requires_grad=True)
    y = x.clone()
    y += 1
    assert x.tolist() == [1.0, 2.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_values_are_computed_once() -> None:
    x = st.ones(3) + 1
    assert x.node.buf is None
    st.eval(x, [x * 2, {"k": x + 1}])
    buffer = x.node.buf
    assert buffer is not None
    x.numpy()
    assert x.node.buf is buffer


class Recorder:
    """Stands for `compile`'s recorder."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.written: list[int] = []
        self.thread = threading.get_ident()

    def made(self, tensor: Any) -> None:
        pass

    def is_constant(self, node: Any) -> bool:
        return False

    def read(self, tensor: Any) -> None:
        self.seen.append(id(tensor))

    def write(self, tensor: Any) -> None:
        self.written.append(id(tensor))

    def write_grad(self, tensor: Any) -> None:
        pass


READS = [
    lambda x: x + 1, lambda x: 1 - x, lambda x: x * x, lambda x: -x, lambda x: x > 0, lambda x: st.exp(x), lambda x: x.sum(),
    lambda x: x.reshape(4), lambda x: x[0], lambda x: x[:, ::2], lambda x: x @ x, lambda x: st.where(x > 0, x, 0.0),
    lambda x: st.concat([x, x]), lambda x: x.softmax(-1), lambda x: x.to(st.float64), lambda x: x.argmax(), lambda x: st.sort(x),
    lambda x: st.einsum("ij->j", x), lambda x: x.tril(), lambda x: x.cumsum(0), lambda x: st.conv1d(x, st.ones(1, 2, 1)),
    lambda x: st.max_pool1d(x, 2), lambda x: x.detach(), lambda x: st.linear(x, x), lambda x: st.take(x, st.asarray([0])),
    lambda x: x.mean(), lambda x: x.var(), lambda x: st.atan2(x, x), lambda x: x.any(), lambda x: x / 2, lambda x: x ** 2,
    lambda x: st.pad(x, (1, 1)), lambda x: x.clone(), lambda x: st.zeros(2, 2).copy_(x), lambda x: x.T, lambda x: x.flip(0),
    lambda x: st.grad(lambda v: (v * v).sum())(x), lambda x: x.diagonal(), lambda x: st.logaddexp(x, 1.0), lambda x: x.repeat(2, 2),
    lambda x: st.tensordot(x, x, 1), lambda x: st.outer(x[0], x[1]), lambda x: st.nextafter(x, x), lambda x: st.signbit(x),
]  # fmt: skip


@pytest.mark.parametrize("call", READS, ids=range(len(READS)))
def test_every_operation_tells_the_recorder_what_it_reads(call: Any) -> None:
    x = st.ones(2, 2) + 0
    st.eval(x)
    recorder = Recorder()
    TRACING.start(recorder)
    try:
        call(x)
    finally:
        TRACING.stop()
    assert id(x) in recorder.seen


def test_every_update_tells_the_recorder_what_it_writes() -> None:
    updates: list[Any] = [
        lambda x: x.__iadd__(1), lambda x: x.__setitem__(0, 1.0), lambda x: x.copy_(st.zeros(2, 2)), lambda x: x.zero_(),
        lambda x: x.exp_(), lambda x: setattr(x, "data", st.zeros(2, 2)), lambda x: x.__imatmul__(st.ones(2, 2)),
    ]  # fmt: skip
    for update in updates:
        x = st.ones(2, 2)
        recorder = Recorder()
        TRACING.start(recorder)
        try:
            update(x)
        finally:
            TRACING.stop()
        assert id(x) in recorder.written


@pytest.mark.parametrize("read", [
    lambda x: x.item(), lambda x: x.numpy(), lambda x: bool(x), lambda x: x.tolist(), lambda x: float(x), lambda x: np.asarray(x),
    lambda x: st.nonzero(x), lambda x: st.eval(x), lambda x: st.unique(x), lambda x: st.ones(1)[x > 0],
], ids=range(10))  # fmt: skip
def test_reading_while_recording_raises(read: Any) -> None:
    x = st.ones(1) * 2
    TRACING.start(Recorder())
    try:
        with pytest.raises(TracingError, match="compile"):
            read(x)
        assert "recorded" in repr(x)
    finally:
        TRACING.stop()
    assert x.item() == 2.0


def test_errors_have_one_base_and_pythons_types() -> None:
    with pytest.raises(SpiralTorchError):
        st.ones(2) + st.ones(3)
    with pytest.raises(ValueError, match="broadcast"):
        st.ones(2) + st.ones(3)
    with pytest.raises(IndexError):
        st.ones(2)[5]
    with pytest.raises(TypeError):
        ~st.ones(2)


def test_constants() -> None:
    assert (st.pi, st.e, st.inf, st.newaxis) == (math.pi, math.e, math.inf, None)
    assert math.isnan(st.nan)
    assert st.__version__


def test_random_programs_agree_with_torch() -> None:
    """Chains of operations on shared values, in place and not, against torch."""
    rng = np.random.default_rng(0)
    steps: list[Any] = [
        lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a.T @ b, lambda a, b: a.sum(0) - b, lambda a, b: a.flip(0) * 0.5,
        lambda a, b: a.amax(1).unsqueeze(1) - b, lambda a, b: a[:, 1:2] + b, lambda a, b: (a > b).to(a.dtype) * a, lambda a, b: a.tanh(),
        lambda a, b: a.add_(1.0), lambda a, b: b.mul_(0.5), lambda a, b: a.softmax(-1), lambda a, b: a.roll(1, 0), lambda a, b: a.cumsum(0),
    ]  # fmt: skip
    for _ in range(15):
        x = sample((3, 3), "float64", int(rng.integers(1000)))
        mine, other = [st.tensor(x), st.tensor(x[::-1])], [torch.tensor(x), torch.tensor(x[::-1].copy())]
        for _ in range(12):
            step = steps[rng.integers(len(steps))]
            i, j = (int(v) for v in rng.integers(len(mine), size=2))
            in_place = step in (steps[9], steps[10])
            mine.append(step(mine[i], mine[j]))
            made = step(other[i], other[j])
            other.append(made if in_place else made.clone())
        for a, b in zip(mine, other, strict=True):
            close(a, b.numpy(), 1e-8)
