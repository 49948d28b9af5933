"""Views share their elements with what they are views of: small programs, run on PyTorch and on every device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, GradientError
from spiraltorch.runtime.device import backends

DEVICES = [names[0] for names in (b.devices() for b in backends().values()) if names]
Program = Callable[[Any, Any], Any]  # of the library and a matrix of 0 to 11, of shape (3, 4)


def rows_by_iteration(m: Any, x: Any) -> Any:
    for row in x:
        row.add_(1)
    return [x]


def chained_views(m: Any, x: Any) -> Any:
    x[1][2] = 70
    x.view(-1)[4] = 90
    x.T[0, 2] = 30
    x[0].fill_(5)
    return [x]


def through_reshape(m: Any, x: Any) -> Any:
    x.reshape(2, 6)[1, ::2].mul_(-1)
    x.flatten().zero_()
    return [x]


def copy_by_reshape(m: Any, x: Any) -> Any:
    y = x.T.reshape(-1)
    y.fill_(7)
    return [x, y]


def contiguous(m: Any, x: Any) -> Any:
    x.contiguous().add_(1)
    x.T.contiguous().add_(100)
    return [x]


def view_of_a_view(m: Any, x: Any) -> Any:
    a = x[1:]
    b = a[:, 1:3]
    c = b.transpose(0, 1)
    c[0] = -1
    a[0, 0] = 50
    b += 1
    return [x, a, b, c]


def base_changes(m: Any, x: Any) -> Any:
    a, b = x[0], x.permute(1, 0)
    before = a * 10
    x.mul_(2)
    return [a, b, before]


def disjoint_parts(m: Any, x: Any) -> Any:
    a, b, c = x.unbind(0)
    a.fill_(1)
    c.copy_(b)
    return [x, a, b, c]


def parts_without_a_base(m: Any, x: Any) -> Any:
    y = x + 0
    a, b = y[0:2], y[1:3]
    del y
    a.mul_(3)
    b[0] = 0
    return [a, b]


def chunks(m: Any, x: Any) -> Any:
    for n, part in enumerate(x.chunk(2, 1)):
        part.fill_(n)
    for n, part in enumerate(x.split([1, 2])):
        part[:, 0] = 10 + n
    return [x]


def narrow_and_select(m: Any, x: Any) -> Any:
    x.narrow(1, 1, 2).zero_()
    x.select(0, 2).add_(5)
    return [x]


def squeezed(m: Any, x: Any) -> Any:
    x.unsqueeze(1).squeeze(1)[0] = 3
    x[:1].squeeze(0)[1] = 4
    return [x]


def diagonal(m: Any, x: Any) -> Any:
    x.diagonal().fill_(9)
    x.diagonal(1)[0] = 8
    x.T.diagonal(-1).add_(1)
    return [x]


def detached(m: Any, x: Any) -> Any:
    x.detach().add_(1)
    x.data[0] = 7
    x.data.clamp_(max=8)
    return [x]


def shallow_copy(m: Any, x: Any) -> Any:
    copy.copy(x)[0] = 5
    deep = copy.deepcopy(x)
    deep.zero_()
    x.clone().zero_()
    return [x, deep]


def items(m: Any, x: Any) -> Any:
    a = x[0, 0]
    x[0, 0] = 6
    a += 1
    return [x, a]


def overlapping_copy(m: Any, x: Any) -> Any:
    x[1:] = x[:-1].clone()
    x[:, 1:] += x[:, :-1].clone()
    return [x]


def masks_are_copies(m: Any, x: Any) -> Any:
    y = x[x > 5]
    y.zero_()
    z = x[[0, 2]]
    z.fill_(1)
    return [x, y, z]


def masked_write_through_a_view(m: Any, x: Any) -> Any:
    row = x[1]
    row[row > 5] = 0
    return [x]


def expanded(m: Any, x: Any) -> Any:
    y = x[:, :1].expand(3, 4)
    x[1, 0] = 40
    return [y]


def windows(m: Any, x: Any) -> Any:
    y = x.unfold(1, 2, 1)
    x[0] = -1
    return [y]


def written_windows(m: Any, x: Any) -> Any:
    x.unfold(1, 2, 2)[:, 1] *= 10
    x.unfold(0, 1, 2)[1].fill_(-1)
    x.unfold(0, 2, 2).unfold(1, 2, 2)[0, 1] *= 100
    return [x]


def assigned_data(m: Any, x: Any) -> Any:
    y = x + 1
    x.data = y
    y[0] = 3
    return [x, y]


def same_bits(m: Any, x: Any) -> Any:
    x.view(m.int32)[0] = 0
    return [x]


def flipped(m: Any, x: Any) -> Any:
    x.flip(0).zero_()
    return [x]


PROGRAMS: dict[str, Program] = {
    f.__name__: f
    for f in (
        rows_by_iteration, chained_views, through_reshape, copy_by_reshape, contiguous, view_of_a_view, base_changes,
        disjoint_parts, parts_without_a_base, chunks, narrow_and_select, squeezed, diagonal, detached, shallow_copy, items,
        overlapping_copy, masks_are_copies, masked_write_through_a_view, expanded, windows, written_windows, assigned_data, same_bits, flipped,
    )
}  # fmt: skip
READS_VALUES = {"masks_are_copies", "shallow_copy"}  # on the host, which a compiled function must not


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_views_are_those_of_pytorch(name: str, compiled: bool, device: str) -> None:
    program = PROGRAMS[name]
    if compiled and name in READS_VALUES:
        pytest.skip("it reads values on the host")
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted = [t.numpy() for t in program(torch, torch.tensor(data))]
    run: Any = st.compile(lambda x: program(st, x)) if compiled else lambda x: program(st, x)
    for _ in range(3):
        x = st.tensor(data, device=device)
        st.eval(x)
        for got, want in zip(run(x), wanted, strict=True):
            np.testing.assert_array_equal(got.numpy(), want)


def test_parameters_change_through_views() -> None:
    layer = st.nn.Linear(2, 2)
    layer.weight.data.fill_(1)
    layer.weight.data[0] = 7
    layer.weight.detach().mul_(2)
    assert layer.weight.tolist() == [[14.0, 14.0], [2.0, 2.0]]
    layer.state_dict()["weight"].fill_(5)
    layer.weight.data.copy_(layer.weight.data + 1)
    layer.weight.data.clamp_(-1, 1)
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert layer.weight.requires_grad and layer.weight.is_leaf
    given = st.zeros(2)
    parameter = st.nn.Parameter(given)
    given.fill_(3)
    parameter.data.mul_(2)
    assert given.tolist() == parameter.tolist() == [6.0, 6.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_flat_parameters(compiled: bool) -> None:
    """Leaves that are parts of one tensor, as programs lay out parameters for a single update."""
    flat = st.zeros(6)
    w, b = flat[:4].view(2, 2).requires_grad_(), flat[4:].requires_grad_()

    def step() -> None:
        w.grad = b.grad = None
        (2 * w.sum() + b.sum()).backward()
        with st.no_grad():
            w.sub_(w.grad)
            b.sub_(b.grad)

    run = st.compile(step) if compiled else step
    for n in range(1, 4):
        run()
        assert flat.tolist() == [-2.0 * n] * 4 + [-1.0 * n] * 2
    flat.fill_(3)
    assert w.tolist() == [[3.0, 3.0], [3.0, 3.0]] and w.requires_grad and w.is_leaf


def test_gradients_flow_through_written_views() -> None:
    results = []
    for m in (st, torch):
        p = m.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = p * 2
        y[0].mul_(5)
        y[1:].view(2, 1)[1] *= p[0]
        z = p * 3
        z.data.clamp_(max=4)  # gradients do not see it
        w = p * 4
        with m.no_grad():
            w[2] = 0
        (y.sum() + (z * z).sum() + (w * w).sum()).backward()
        results.append((y.tolist(), z.tolist(), w.tolist(), p.grad.tolist()))
    assert results[0] == results[1]


def test_what_may_not_be_written() -> None:
    p = st.ones(3, requires_grad=True)
    for write in (lambda: p[0].fill_(2), lambda: p.view(3, 1).add_(1), lambda: p[1:].zero_()):
        with pytest.raises(GradientError, match="leaf"):
            write()
    with st.no_grad():
        p[0].fill_(7)
    assert p.tolist() == [7.0, 1.0, 1.0] and p.requires_grad
    for view in (st.zeros(3).expand(2, 3), st.zeros(4).unfold(0, 2, 1), st.broadcast_to(st.zeros(1), (2,))):
        with pytest.raises(ArgumentError, match="clone"):
            view.add_(1)
    with pytest.raises(ArgumentError, match=r"reshape\(\), which copies"):
        st.zeros(2, 3).T.view(-1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_function_sees_and_writes_views_of_outside(device: str) -> None:
    base = st.zeros(4, device=device)
    view, other = base[1:3], base[:2]

    @st.compile
    def through_the_view(a: Any) -> Any:
        view.add_(a)
        return base.sum()

    @st.compile
    def through_the_base() -> None:
        base.add_(1)

    for n in range(1, 4):
        assert through_the_view(st.ones(2, device=device)).item() == 2 * n + 4 * (n - 1)
        through_the_base()
        assert base.tolist() == [n, 2 * n, 2 * n, n] and view.tolist() == [2 * n] * 2 and other.tolist() == [n, 2 * n]


def test_arguments_that_share_elements() -> None:
    @st.compile
    def add_and_sum(a: Any, b: Any) -> Any:
        a.add_(1)
        return b.sum()

    x = st.zeros(3)
    assert add_and_sum(x, st.ones(2)).item() == 2
    assert add_and_sum(x, x[1:]).item() == 4
    assert add_and_sum(x[:2], x).item() == 8
    assert x.tolist() == [3.0, 3.0, 2.0]


def test_results_of_compiled_functions_share_elements() -> None:
    first = st.compile(lambda x: x[0])
    both = st.compile(lambda x: [x * 2, None])
    pair = st.compile(lambda x: (lambda h: (h, h[0]))(x * 2))
    x = st.zeros(2, 2)
    for n in range(3):
        first(x).fill_(n)
        assert x.tolist() == [[n, n], [0, 0]]
        both(x)[0].fill_(9)
        whole, row = pair(st.ones(2, 2))
        row.zero_()
        assert whole.tolist() == [[0.0, 0.0], [2.0, 2.0]]
    assert x.tolist() == [[2.0, 2.0], [0.0, 0.0]]


def test_a_view_of_a_computed_view_that_is_held() -> None:
    x = st.tensor([[1.0, 2.0], [3.0, 4.0]])
    y = x.T
    assert y.numpy().tolist() == [[1.0, 3.0], [2.0, 4.0]]
    z = y[0]
    w = z[1:] + 1
    assert w.numpy().tolist() == [4.0] and z.tolist() == [1.0, 3.0]
