"""New values are written over old ones that nothing needs any more, and never over one that something does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn, optim
from spiraltorch.nn import functional as F

N = 1000
X = np.linspace(-1, 1, N, dtype=np.float32)


def fresh() -> st.Tensor:
    """A tensor whose memory is its own (an array given to `asarray` is shared)."""
    x = st.asarray(X) + 0
    st.eval(x)
    return x


def address(x: st.Tensor) -> int:
    """Where the value is."""
    st.eval(x)
    buffer: Any = x.node.buf
    return int(buffer.ptr)


def halve(x: st.Tensor) -> None:
    x *= 0.5


def test_an_update_is_written_over_the_old_value() -> None:
    x = fresh()
    before = address(x)
    x *= 0.5
    assert address(x) == before
    np.testing.assert_array_equal(x.numpy(), X * np.float32(0.5))


def test_a_compiled_update_is_written_over_the_old_value() -> None:
    x, step = fresh(), st.compile(halve)
    step(x)
    before = address(x)
    step(x)
    assert address(x) == before
    np.testing.assert_array_equal(x.numpy(), X * np.float32(0.25))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("hold", ["tensor", "clone", "array", "dlpack", "graph"])
def test_a_value_that_something_needs_stays(compiled: bool, hold: str) -> None:
    step = st.compile(halve) if compiled else halve
    x = fresh()
    for n in range(3):
        want = X * np.float32(0.5**n)
        kept: Any = {
            "tensor": lambda: st.Tensor(x.node),
            "clone": lambda: x.reshape(10, 100).clone(),
            "array": lambda: x.numpy(),
            "dlpack": lambda: np.from_dlpack(x),
            "graph": lambda: x * 1,
        }[hold]()
        if hold == "clone":
            st.eval(kept)
        step(x)
        np.testing.assert_array_equal(x.numpy(), want * np.float32(0.5))
        np.testing.assert_array_equal(np.asarray(kept).reshape(-1), want)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("hold", ["view", "detach"])
def test_a_view_shows_the_new_value(compiled: bool, hold: str) -> None:
    step = st.compile(halve) if compiled else halve
    x = fresh()
    kept = x.reshape(10, 100) if hold == "view" else x.detach()
    for n in range(3):
        st.eval(kept)
        step(x)
        np.testing.assert_array_equal(kept.numpy().reshape(-1), X * np.float32(0.5 ** (n + 1)))


@pytest.mark.parametrize("compiled", [False, True])
def test_memory_of_the_host_is_never_written_over(compiled: bool) -> None:
    array = X.copy()
    x = st.asarray(array)
    step = st.compile(halve) if compiled else halve
    for _ in range(3):
        step(x)
        st.eval(x)
    np.testing.assert_array_equal(array, X)


def test_a_compiled_function_may_return_the_old_value() -> None:
    x = fresh()

    @st.compile
    def step() -> st.Tensor:
        old = x.detach().clone()
        halve(x)
        return old

    for n in range(4):
        np.testing.assert_array_equal(step().numpy(), X * np.float32(0.5**n))


def test_two_values_may_change_places() -> None:
    """Each is read for the other: neither may be written before both are read."""
    a, b = fresh(), fresh()
    halve(b)

    @st.compile
    def swap() -> None:
        first, second = a + 1, b + 2
        a.copy_(second)
        b.copy_(first)

    p, q = X.copy(), X * np.float32(0.5)
    for _ in range(5):
        swap()
        p, q = q + np.float32(2), p + np.float32(1)
    np.testing.assert_array_equal(a.numpy(), p)
    np.testing.assert_array_equal(b.numpy(), q)


def test_a_value_that_is_read_elsewhere_in_the_row_is_not_written_over() -> None:
    x = fresh()

    @st.compile
    def step() -> None:
        x.copy_(x.flip(0) + x)

    want = X.copy()
    for _ in range(4):
        step()
        want = want[::-1] + want
    np.testing.assert_array_equal(x.numpy(), want)


def test_an_update_in_a_contractions_epilogue() -> None:
    """The weight feeds a product of its own and is updated from the product."""
    rng = np.random.default_rng(3)
    w0, v0, g0 = (rng.standard_normal((64, 64)).astype(np.float32) for _ in range(3))
    w, v = st.asarray(w0) + 0, st.asarray(v0) + 0
    st.eval(w, v)
    g = st.asarray(g0)

    @st.compile
    def step() -> None:
        moved = v * 0.5 + g @ g.T * 1e-2
        v.copy_(moved)
        w.copy_(w + moved @ w * 1e-2)

    want_w, want_v = w0.astype(np.float64), v0.astype(np.float64)
    places = []
    for _ in range(4):
        step()
        places.append(address(v))
        want_v = want_v * 0.5 + g0.astype(np.float64) @ g0.T * 1e-2
        want_w = want_w + want_v @ want_w * 1e-2
    np.testing.assert_allclose(v.numpy(), want_v, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(w.numpy(), want_w, rtol=2e-5, atol=2e-5)
    assert places[1] == places[2] == places[3]


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "RMSprop"])
def test_a_training_step_needs_no_second_copy_of_the_parameters(optimizer: str) -> None:
    st.manual_seed(0)
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    settings: dict[str, Any] = {"momentum": 0.9} if optimizer == "SGD" else {}
    opt = getattr(optim, optimizer)(model.parameters(), lr=1e-3, **settings)
    x, y = st.randn(32, 256), st.randint(0, 10, (32,))

    @st.compile
    def step() -> st.Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        return loss.detach()

    for _ in range(3):
        step()

    def places() -> list[int]:
        state = [t for p in model.parameters() for t in opt.state[p].values() if t.ndim]
        return [address(t) for t in (*model.parameters(), *state) if t.numel() > 256]

    before = places()
    step()
    assert places() == before


def test_an_index_out_of_range_changes_nothing() -> None:
    x = fresh()

    @st.compile
    def step(i: st.Tensor) -> None:
        halve(x)
        x.copy_(x + x[i])

    inside, outside = st.zeros((), dtype=st.int64), st.full((), N, dtype=st.int64)
    step(inside)
    want = x.numpy().copy()
    with pytest.raises(st.IndexOutOfRange):
        step(outside + 0)
    np.testing.assert_array_equal(x.numpy(), want)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(10, 100),
        lambda x: x[::2],
        lambda x: x.expand(3, N),
        lambda x: st.concat([x, x * 2], 0),
    ],
    ids=["reshape", "slice", "expand", "concat"],
)
def test_a_value_stays_that_a_view_without_a_value_is_made_of(view: Any) -> None:
    """The view is part of what is computed first, and of something that is computed later."""
    x = fresh()
    seen = view(x)
    first = x - (seen.reshape(10, -1) @ st.ones(seen.size // 10, N // 10)).reshape(N)
    later = st.tanh(seen)
    want = np.tanh(view(st.asarray(X)).numpy())
    del x, seen
    st.eval(first)
    np.testing.assert_allclose(later.numpy(), want, rtol=1e-6)
