"""Functions that cannot be replayed: each call runs them once, and leaves what it leaves without `compile`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import spiraltorch as st

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.fixture
def wgpu() -> str:
    """The first WebGPU device."""
    try:
        return str(st.ones(1, device="wgpu").device)
    except st.DeviceError as error:
        pytest.skip(f"wgpu: {error}")


def values(tensor: st.Tensor | None) -> Any:
    return None if tensor is None else tensor.tolist()


def leaf(*shape: int) -> st.Tensor:
    return st.ones(*shape, requires_grad=True)


def a_counted_loss(c: Compile) -> list[Any]:
    p, calls = leaf(2), [0]

    def f(x: st.Tensor) -> st.Tensor:
        calls[0] += 1
        return (p * x).sum() * calls[0]

    f, out = c(f), []
    for i in range(3):
        loss = f(st.ones(2) * (i + 1))
        loss.backward()
        out.append((loss.item(), values(p.grad), calls[0]))
    return out


def through_an_earlier_result(c: Compile) -> list[Any]:
    p = leaf(2)
    y = p * 3
    y.retain_grad()
    f = c(lambda x: (y * x).sum())
    for i in range(3):
        f(st.ones(2) * (i + 1)).backward()
    return [values(p.grad), values(y.grad)]


def backward_into_an_earlier_result(c: Compile) -> list[Any]:
    p = leaf(2)
    y = p * 3

    def f(x: st.Tensor) -> st.Tensor:
        (y * x * p).sum().backward()
        return x * 2

    f = c(f)
    return [values(f(st.ones(2))), values(p.grad), values(f(st.ones(2))), values(p.grad)]


def updates_and_views(c: Compile) -> list[Any]:
    p, b, calls = leaf(2), st.zeros(2), []
    v = b[0:1]

    def f(x: st.Tensor) -> st.Tensor:
        calls.append(1)
        b.add_(x)
        v.mul_(2)
        return (p * b).sum()

    f, out = c(f), []
    for _ in range(3):
        loss = f(st.ones(2))
        out.append((loss.item(), values(b), values(v), len(calls)))
    loss.backward()
    b.add_(1)
    return [*out, values(p.grad), values(v), values(b)]


def a_stored_result(c: Compile) -> list[Any]:
    p, kept = leaf(2), []

    def f(x: st.Tensor) -> st.Tensor:
        kept.append(p * x)
        return x + 1

    f, out = c(f), []
    for i in range(3):
        f(st.ones(2) * i)
        kept[-1].sum().backward()
        out.append((len(kept), values(kept[-1]), values(p.grad)))
    return out


def a_running_total(c: Compile) -> list[Any]:
    p, total, added = leaf(2), [st.zeros(())], st.zeros(())

    def f(x: st.Tensor) -> st.Tensor:
        total[0] = total[0] + (p * x).sum()
        added.add_((p * x).sum())
        return x

    f = c(f)
    f(st.ones(2))
    f(st.ones(2))
    (total[0] + added).backward()
    return [total[0].item(), added.item(), added.requires_grad, values(p.grad)]


def stored_arguments(c: Compile) -> list[Any]:
    p, kept, x = leaf(2), [], st.ones(2)

    def f(x: st.Tensor, undetached: bool) -> st.Tensor:
        kept.append(x)
        return (p * x).sum() if undetached else x * 2

    f, out = c(f), []
    for undetached in (True, False):
        f(x, undetached)
        x.add_(1)
        kept[-1].mul_(3)
        out += [values(kept[-1]), values(kept[0]), values(x)]
    return out


def an_argument_becomes_a_leaf(c: Compile) -> list[Any]:
    def f(x: st.Tensor) -> st.Tensor | None:
        x.requires_grad_()
        (x * x).sum().backward()
        return x.grad

    f, out = c(f), []
    for i in range(3):
        x = st.ones(2) * (i + 1)
        out.append((values(f(x)), x.requires_grad, values(x.grad), x.is_leaf))
    return out


def a_returned_view_of_an_argument(c: Compile) -> list[Any]:
    p, x, out = leaf(2), st.ones(2), []
    f = c(lambda x: (x.add_(1), x.view(2, 1), (p * x).sum()))
    for _ in range(3):
        same, view, total = f(x)
        view.mul_(10)
        out += [values(x), same is x, values(total)]
    return out


def random_numbers(c: Compile) -> list[Any]:
    p, out = leaf(4), []
    f = c(lambda x: st.nn.functional.dropout(p * x, 0.5).sum())
    for _ in range(3):
        loss = f(st.ones(4))
        loss.backward()
        out.append((loss.item(), values(p.grad)))
    return [*out, st.rand(2).tolist()]


def memory_of_the_host(c: Compile) -> list[Any]:
    array, p, calls = np.ones(2, np.float32), leaf(2), []
    t = st.asarray(array, copy=False)

    def f(x: st.Tensor) -> st.Tensor:
        calls.append(1)
        t.add_(x)
        return (p * t).sum()

    f, out = c(f), []
    for _ in range(3):
        out.append((f(st.ones(2)).item(), array.tolist(), len(calls)))
        array[0] += 5
    return out


def an_update_of_an_earlier_result(c: Compile) -> list[Any]:
    p = leaf(2)
    q = p * 2

    def f(x: st.Tensor) -> st.Tensor:
        with st.no_grad():
            q.sub_(0.5)
        return x * 2

    f = c(f)
    f(st.ones(2))
    f(st.ones(2))
    q.sum().backward()
    return [values(q), q.requires_grad, values(p.grad)]


def a_hook_on_an_earlier_result(c: Compile) -> list[Any]:
    p, out = leaf(3), []
    q = p * 2

    def f(x: st.Tensor) -> st.Tensor:
        q.register_hook(lambda g: g * 2)
        return (q * x).sum()

    f = c(f)
    for _ in range(2):
        p.grad = None
        f(st.ones(3)).backward()
        out.append(values(p.grad))
    return out


def several_results_and_rules_of_their_own(c: Compile) -> list[Any]:
    p, q, out = leaf(3), leaf(1, 1, 4, 4), []

    def f(x: st.Tensor, k: st.Tensor) -> st.Tensor:
        ordered = (p * x).sort()[0].sum() + (p * x).topk(2)[0].sum()
        return ordered + st.nn.functional.scaled_dot_product_attention(q, k, k).sum()

    f = c(f)
    k = st.arange(16.0).reshape(1, 1, 4, 4) / 16
    for _ in range(2):
        f(st.tensor([3.0, 1.0, 2.0]), k).backward()
        out += [values(p.grad), np.round(q.grad.numpy(), 4).tolist()]
    return out


def a_training_step(c: Compile) -> list[Any]:
    model = st.nn.Sequential(st.nn.Linear(2, 3), st.nn.BatchNorm1d(3), st.nn.Dropout(0.5), st.nn.Linear(3, 1))
    optimizer = st.optim.Adam(model.parameters(), lr=0.1)

    def f(x: st.Tensor) -> st.Tensor:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        optimizer.step()
        return loss

    f, x = c(f), st.rand(4, 2)
    return [[round(f(x).item(), 4) for _ in range(4)], model[1].num_batches_tracked.item()]


PROGRAMS = (
    a_counted_loss, through_an_earlier_result, backward_into_an_earlier_result, updates_and_views, a_stored_result,
    a_running_total, stored_arguments, an_argument_becomes_a_leaf, a_returned_view_of_an_argument, random_numbers,
    memory_of_the_host, an_update_of_an_earlier_result, a_hook_on_an_earlier_result,
    several_results_and_rules_of_their_own, a_training_step,
)  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_compiled_as_uncompiled(program: Callable[[Compile], list[Any]]) -> None:
    st.manual_seed(0)
    want = program(lambda f: f)
    st.manual_seed(0)
    assert program(st.compile) == want


def test_a_graph_on_two_devices(wgpu: str) -> None:
    w, calls = st.ones(2, device=wgpu), []

    def f(x: st.Tensor) -> st.Tensor:
        calls.append(1)
        w.add_(1)
        return w.cpu() * x

    f = st.compile(f)
    assert [f(st.ones(2)).tolist() for _ in range(3)] == [[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    assert len(calls) == 3 and w.device == wgpu


def test_strict_raises_and_changes_no_tensor() -> None:
    p, b = leaf(2), st.zeros(2)
    f = st.compile(lambda x: (p * b.add_(x)).sum(), strict=True)
    with pytest.raises(st.TracingError, match="a gradient could flow on"):
        f(st.ones(2))
    assert b.tolist() == [0.0, 0.0] and p.grad is None


def test_the_warning_names_the_line_of_the_call() -> None:
    p = leaf(2)
    f = st.compile(lambda x: (p * x).sum())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f(st.ones(2))
    assert [w.filename for w in caught] == [__file__]


def test_calls_that_are_plain_python_are_not_remembered_for_ever() -> None:
    p, calls = leaf(2), [0]

    def f(x: st.Tensor) -> st.Tensor:
        calls[0] += 1
        return (p * x).sum()

    f = st.compile(f)
    for _ in range(80):
        f(st.ones(2))
    assert len(f._plain) <= 64
