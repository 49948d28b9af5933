"""What goes wrong with compiled functions elsewhere, pinned: a replay is never stale."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn, optim
from spiraltorch.errors import TracingError


def values(*numbers: float) -> st.Tensor:
    return st.tensor(list(numbers))


def test_changed_shape_dtype_and_argument() -> None:
    f = st.compile(lambda x, k: (x * k).sum())
    assert f(st.ones(3), 2).item() == 6
    assert f(st.ones(5), 2).item() == 10
    assert f(st.ones(5, dtype=st.int32), 2).item() == 10
    assert f(st.ones(5), 3).item() == 15
    assert f(st.ones(5), 3.5).item() == 17.5
    assert f(st.ones(3), 2).item() == 6
    assert f.traces == 5


def test_captured_tensor_updated_between_calls() -> None:
    w = values(1, 2)
    f = st.compile(lambda x: x * w)
    assert f(st.ones(2)).tolist() == [1, 2]
    w += 10
    assert f(st.ones(2)).tolist() == [11, 12]
    w[0] = -1
    assert f(st.ones(2)).tolist() == [-1, 12]
    assert f.traces == 1


def test_captured_tensor_of_another_shape_records_again() -> None:
    holder = nn.Module()
    holder.w = nn.Parameter(st.ones(2))
    f = st.compile(st.no_grad(lambda x: (x * holder.w).sum()))
    assert f(values(3.0)).item() == 6
    holder.w = nn.Parameter(st.ones(4))
    assert f(values(3.0)).item() == 12


def test_parameter_assigned_inside_the_function() -> None:
    state = {"w": st.zeros(2)}

    def step(x: st.Tensor) -> st.Tensor:
        state["w"] = state["w"] + x
        return state["w"] * 1

    f = st.compile(step)
    for n in range(1, 5):
        assert f(st.ones(2)).tolist() == [n, n]
    assert state["w"].tolist() == [4, 4]


def test_in_place_update_of_a_captured_tensor() -> None:
    total = st.zeros(3)

    def add(x: st.Tensor) -> st.Tensor:
        nonlocal total
        total += x
        return total.sum()

    f = st.compile(add)
    assert [f(st.ones(3)).item() for _ in range(4)] == [3, 6, 9, 12]
    assert total.tolist() == [4, 4, 4]


def test_old_value_survives_an_update() -> None:
    w = values(1.0)
    kept, view = w.detach().clone(), w.detach()
    array = w.numpy()

    def bump() -> None:
        w.copy_(w * 2)

    f = st.compile(bump)
    f()
    f()
    assert (w.item(), kept.item(), view.item(), array[0]) == (4.0, 1.0, 4.0, 1.0)


def test_random_numbers_advance() -> None:
    st.manual_seed(3)
    f = st.compile(lambda: st.rand(4))
    drawn = [f().tolist() for _ in range(3)]
    st.manual_seed(3)
    assert drawn == [st.rand(4).tolist() for _ in range(3)]
    assert f.traces == 1


def test_output_kept_while_called_again() -> None:
    f = st.compile(lambda x: x * 2)
    first = f(values(1, 2))
    view = first.numpy()
    f(values(5, 6))
    assert first.tolist() == [2, 4] and view.tolist() == [2, 4]


def test_exception_in_the_middle_changes_nothing() -> None:
    w = values(1.0)

    def broken(x: st.Tensor) -> st.Tensor:
        w.copy_(w + x)
        return w.reshape(7)

    f = st.compile(broken)
    for _ in range(2):
        with pytest.raises(st.errors.ShapeError):
            f(values(1.0))
        assert w.item() == 1.0
    assert (w + 1).item() == 2.0


def test_nested_compile() -> None:
    inner = st.compile(lambda x: x + 1)
    outer = st.compile(lambda x: inner(x) * inner(x * 2))
    assert outer(values(3.0)).item() == 28
    assert outer(values(1.0)).item() == 6
    assert inner(values(1.0)).item() == 2


def test_two_threads() -> None:
    w = st.tensor(np.arange(64, dtype=np.float32))
    f = st.compile(lambda x: (x * w).sum())
    wrong: list[float] = []

    def work(k: int) -> None:
        for n in range(40):
            got = f(st.full((64,), float(k + n))).item()
            if got != 2016 * (k + n):
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_two_threads_share_an_unevaluated_graph() -> None:
    for _ in range(20):
        shared = (st.ones(16) * 3).exp()
        results: list[float] = []

        def work(source: st.Tensor = shared, found: list[float] = results) -> None:
            found.append((source + 1).sum().item())

        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert results[0] == results[1]


@pytest.mark.parametrize("read", [lambda t: t.item(), lambda t: t.numpy(), bool, float, lambda t: t.tolist()])
def test_reading_a_value_while_recording_raises(read: object) -> None:
    f = st.compile(lambda x: read(x.sum()))  # type: ignore[operator]
    with pytest.raises(TracingError):
        f(st.ones(2))
    assert (st.ones(2) + 1).tolist() == [2, 2]


def test_numbers_outside_are_noticed() -> None:
    scale = 2.0
    f = st.compile(lambda x: x * scale)
    assert f(values(1.0)).item() == 2
    scale = 5.0
    assert f(values(1.0)).item() == 5


def test_training_mode_is_noticed() -> None:
    layer = nn.Dropout(1.0)
    f = st.compile(lambda x: layer(x))
    assert f(values(3.0)).item() == 0
    layer.eval()
    assert f(values(3.0)).item() == 3
    layer.train()
    assert f(values(3.0)).item() == 0


def test_gradients_accumulate_across_replays() -> None:
    p = nn.Parameter(values(2.0))

    def once(x: st.Tensor) -> st.Tensor:
        loss = (p * x).sum()
        loss.backward()
        return loss.detach()

    f = st.compile(once)
    for n in range(1, 5):
        f(values(3.0))
        assert p.grad.item() == 3 * n


def test_a_result_that_needs_gradients_still_gets_them() -> None:
    p = nn.Parameter(values(2.0))
    f = st.compile(lambda x: p * x)
    for _ in range(2):
        p.grad = None
        f(values(5.0)).sum().backward()
        assert p.grad.item() == 5


def test_the_same_tensor_twice() -> None:
    f = st.compile(lambda a, c: a * 2 + c)
    x, y = values(1.0), values(10.0)
    assert f(x, y).item() == 12
    assert f(x, x).item() == 3
    assert f(y, x).item() == 21


def test_an_argument_that_is_also_captured() -> None:
    w = values(2.0)
    f = st.compile(lambda x: x * 10 + w)
    assert f(w).item() == 22
    assert f(values(3.0)).item() == 32


def test_in_place_update_of_an_argument() -> None:
    def double(x: st.Tensor) -> None:
        x *= 2

    f = st.compile(double)
    for x in (values(1.0), values(5.0)):
        before = x.item()
        f(x)
        assert x.item() == 2 * before


def test_checkpointed_parameters_reach_a_compiled_step() -> None:
    st.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: st.Tensor) -> st.Tensor:
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    f = st.compile(step)
    x = st.ones(4, 3)
    for _ in range(4):
        f(x)
    start = {k: st.zeros_like(v) for k, v in model.state_dict().items()}
    model.load_state_dict(start)
    assert f(x).item() == 0


def test_gradients_of_arguments_go_to_the_argument() -> None:
    @st.compile
    def step(x: st.Tensor) -> None:
        x.grad = None
        (x * x).sum().backward()

    tensors = [st.tensor([float(n)], requires_grad=True) for n in range(5)]
    for _ in range(3):
        for x in tensors:
            with st.no_grad():
                x += 1
            step(x)
        for x in tensors:
            assert x.grad.item() == 2 * x.item()


def test_an_argument_with_gradients_that_is_also_captured() -> None:
    p = st.tensor([2.0], requires_grad=True)
    f = st.compile(lambda x: (x * p).sum().detach())
    for _ in range(3):
        assert f(p).item() == 4
        assert f(st.tensor([5.0], requires_grad=True)).item() == 10


def test_an_updated_argument_that_is_also_captured() -> None:
    state = [st.ones(2), st.zeros(2)]

    def step(x: st.Tensor, y: st.Tensor) -> st.Tensor:
        state[0] += 1
        y *= 2
        return x * 1

    compiled = st.compile(step)
    for n in range(3):
        assert compiled(st.ones(2), st.ones(2)).tolist() == [1, 1]
        expected = state[0].tolist()[0] + 1
        assert compiled(state[0], st.ones(2)).tolist() == [expected] * 2
        assert compiled(st.ones(2), state[0]).tolist() == [1, 1]
        assert state[0].tolist() == [(expected + 1) * 2] * 2
        assert compiled(state[1], st.ones(2)).tolist() == [n, n]
        state[1] += 1


@pytest.mark.parametrize("captured", [False, True])
def test_a_gradient_flows_on_into_what_was_recorded_before(captured: bool) -> None:
    w = st.tensor([3.0], requires_grad=True)
    y = w * 2
    step = st.compile((lambda: (y * y).sum().backward()) if captured else (lambda x: (x * x).sum().backward()))
    for n in range(1, 4):
        step() if captured else step(y)
        assert y.grad is None
        assert w.grad.item() == 24 * n


def test_a_captured_tensor_that_is_only_handed_on() -> None:
    tensors, p = [st.ones(2), st.ones(2)], nn.Parameter(st.zeros(2))

    def hand_on(x: st.Tensor) -> list[st.Tensor]:
        p.grad = tensors[1]
        return [tensors[0], x]

    compiled = st.compile(hand_on)
    for n in range(1, 5):
        x = st.zeros(1)
        first, second = compiled(x)
        assert first is tensors[0]
        assert second is x
        assert first.tolist() == p.grad.tolist() == [n, n]
        tensors[0] += 1
        tensors[1] += 1
