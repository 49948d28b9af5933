"""The generated replay of a compiled function notices every change that the general path does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn
from spiraltorch.tensor.tracing import generated_replay

FACTOR = 2.0


class Warm:
    """A compiled function after enough calls that the generated replay is used, with what it depends on."""

    def __init__(self) -> None:
        self.w = st.asarray(np.arange(3, dtype=np.float32)) + 0
        self.layer = nn.Linear(3, 3)
        self.scale = 1.5
        scale, self.rescale = self._cell()

        def fn(x: st.Tensor, bias: float = 0.0) -> st.Tensor:
            return self.layer(x * self.w * scale() * FACTOR + bias)

        self.plain: Callable[..., st.Tensor] = fn
        self.fn = st.compile(fn)
        self.x = st.ones(3) * 3
        self.missed = 0
        for _ in range(3):
            self.check(self.x)

    def _cell(self) -> tuple[Any, Any]:
        value = [1.5]
        return (lambda: value[0]), (lambda v: value.__setitem__(0, v))

    def check(self, *args: Any, **kwargs: Any) -> None:
        with st.no_grad():
            want = self.plain(*args, **kwargs).numpy()
            np.testing.assert_array_equal(self.fn(*args, **kwargs).numpy(), want)


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> Warm:
    made = Warm()
    generated = made.fn._replay
    assert generated is not None and generated is not generated_replay._always_miss
    with st.no_grad():
        assert generated((made.x,)) is not generated_replay.MISS, "the generated replay was expected to fit"
    return made


def test_a_new_value_of_an_argument(warm: Warm) -> None:
    warm.check(st.asarray(np.array([1, -2, 7], np.float32)))


def test_another_shape_or_dtype(warm: Warm) -> None:
    warm.check(st.ones(2, 3))
    warm.check(st.ones(3, dtype=st.float64).to(st.float32))
    warm.check(warm.x)


def test_another_number_of_arguments_and_keywords(warm: Warm) -> None:
    warm.check(warm.x, 1.0)
    warm.check(warm.x, -0.0)
    warm.check(warm.x, bias=3.0)
    warm.check(warm.x, 2)
    warm.check(warm.x)


def test_a_captured_tensor_in_place_and_replaced(warm: Warm) -> None:
    warm.w += 1
    warm.check(warm.x)
    warm.w.copy_(warm.w * 2)
    warm.check(warm.x)


def test_a_parameter_in_place_and_replaced(warm: Warm) -> None:
    with st.no_grad():
        warm.layer.weight *= 0.5
    warm.check(warm.x)
    warm.layer.weight = nn.Parameter(st.ones(3, 3))
    warm.check(warm.x)
    warm.layer.bias = None
    warm.check(warm.x)


def test_a_global(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    warm.check(warm.x)
    monkeypatch.setitem(globals(), "FACTOR", -0.0)
    warm.check(warm.x)


def test_a_pending_value_is_computed(warm: Warm) -> None:
    warm.w += st.ones(3) * 2
    warm.check(st.ones(3) * 5 + 1)


def test_a_plain_argument_of_each_kind() -> None:
    fn = st.compile(lambda x, k: x * (1.0 if k is None else 2.0 if k == "two" else float(k)))
    for k in (None, "two", True, 3, 3.0, 0.0, -0.0, float("inf"), None, "two"):
        for _ in range(3):
            got = fn(st.ones(2) * 7, k)
        want = np.float32(7) * np.float32(1.0 if k is None else 2.0 if k == "two" else float(k))
        np.testing.assert_array_equal(got.numpy(), np.full(2, want))
        assert np.signbit(got.numpy()).all() == np.signbit(want)


def test_the_same_tensor_twice() -> None:
    fn = st.compile(lambda a, b: a - b)
    x, y = st.ones(2) * 4, st.ones(2)
    for _ in range(4):
        np.testing.assert_array_equal(fn(x, y).numpy(), [3, 3])
    np.testing.assert_array_equal(fn(x, x).numpy(), [0, 0])
    np.testing.assert_array_equal(fn(y, x).numpy(), [-3, -3])


def test_a_closure_variable_that_is_bound_again_and_deleted() -> None:
    k = 2.0

    def fn(x: st.Tensor) -> st.Tensor:
        return x * k  # noqa: F821

    compiled = st.compile(fn)
    for _ in range(4):
        assert compiled(st.ones(())).item() == 2
    k = 3.0
    assert compiled(st.ones(())).item() == 3
    del k
    with pytest.raises(NameError):
        compiled(st.ones(()))


def test_results_of_nested_containers_and_constants() -> None:
    fn = st.compile(lambda x: {"a": [x + 1, 5], "b": (x, None)})
    for n in range(4):
        out = fn(st.ones(2) * n)
        np.testing.assert_array_equal(out["a"][0].numpy(), [n + 1, n + 1])
        np.testing.assert_array_equal(out["b"][0].numpy(), [n, n])
        assert out["a"][1] == 5 and out["b"][1] is None


def test_gradients_are_as_they_were_without() -> None:
    def train(compiled: bool) -> list[float]:
        st.manual_seed(3)
        layer = nn.Linear(4, 1)
        x = st.ones(2, 4)

        def step() -> st.Tensor:
            loss = (layer(x) ** 2).sum()
            loss.backward()
            return loss.detach()

        run = st.compile(step) if compiled else step
        found = []
        for n in range(8):
            if n % 3 == 0:
                layer.zero_grad()
            found += [run().item(), layer.weight.grad.sum().item()]
        return found

    assert train(True) == train(False)


def test_random_numbers_go_on() -> None:
    fn = st.compile(lambda x: x + st.rand(4))
    st.manual_seed(5)
    got = [fn(st.zeros(4)).numpy() for _ in range(6)]
    st.manual_seed(5)
    want = [st.rand(4).numpy() for _ in range(6)]
    np.testing.assert_array_equal(got, want)


def test_gradient_mode_is_part_of_it() -> None:
    p = nn.Parameter(st.ones(2))
    fn = st.compile(lambda: p * 2)
    with st.no_grad():
        for _ in range(4):
            assert not fn().requires_grad
    assert fn().requires_grad


def test_a_launch_that_needs_room_for_intermediate_results() -> None:
    x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    compiled = st.compile(lambda a: st.softmax(a @ a, 0) @ a)
    for call in range(4):  # recorded, replayed the long way, launched
        given = x + np.float32(call)
        a = st.asarray(given)
        got = compiled(a).numpy()
        scores = given.astype(np.float64) @ given
        e = np.exp(scores - scores.max(0))
        np.testing.assert_allclose(got, e / e.sum(0) @ given, rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(a.numpy(), given)
    assert compiled.report()["intermediate_bytes"] > 0


def test_other_tunings_make_another_launch() -> None:
    compiled = st.compile(lambda a: a * 2 + 1)
    x = st.ones(5)
    for _ in range(3):
        compiled(x)
    before = compiled._replay
    with st.tune():  # too small a kernel for a search
        for _ in range(2):
            assert compiled(x).tolist() == [3.0] * 5
        assert compiled._replay is not before
