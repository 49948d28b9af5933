"""Products against NumPy and torch, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensor_helpers import FLOATS, close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ShapeError, SpiralTorchError

SHAPES = [
    ((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((0, 4), (4, 5)), ((3, 0), (0, 5)),
    ((1, 2, 3, 4), (6, 1, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes: Any) -> None:
    x, y = sample(shapes[0], "float64", 1), sample(shapes[1], "float64", 2)
    a, b = st.tensor(x, requires_grad=True), st.tensor(y, requires_grad=True)
    got = a @ b
    close(got, np.matmul(x, y))
    close(st.matmul(a, b), np.matmul(x, y))
    r, s = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    (r @ s).sin().sum().backward()
    got.sin().sum().backward()
    close(a.grad, r.grad.numpy())
    close(b.grad, s.grad.numpy())


@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "int64", "uint8"])
def test_matmul_dtypes(dtype: str) -> None:
    x, y = sample((5, 6), dtype, 3), sample((6, 4), dtype, 4)
    wide = x.astype(np.float64) @ y.astype(np.float64)
    close(st.asarray(x) @ st.asarray(y), wide.astype(x.dtype))


def test_matmul_promotes_and_takes_arrays() -> None:
    x, y = sample((2, 3), "float32", 5), sample((3, 2), "float64", 6)
    assert (st.asarray(x) @ st.asarray(y)).dtype is st.float64
    close(st.asarray(x) @ x.T, x @ x.T)
    close(x.T @ st.asarray(x), x.T @ x)
    t = st.asarray(x[:, :2])
    t @= st.asarray(x[:, :2])
    close(t, x[:, :2] @ x[:, :2])


EINSUMS = [
    ("ij,jk->ik", [(3, 4), (4, 5)]), ("ij,jk", [(3, 4), (4, 5)]), ("ii", [(4, 4)]), ("ii->i", [(4, 4)]), ("ij->ji", [(3, 4)]),
    ("ij->", [(3, 4)]), ("i,j->ij", [(3,), (4,)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("i,i", [(4,), (4,)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]), ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 2)]), ("i...->...", [(3, 2, 4)]), ("ij,ij->ij", [(3, 4), (3, 4)]),
    ("iij->j", [(3, 3, 4)]), ("ab,cd,ef->fbd", [(2, 3), (4, 5), (6, 7)]), ("ij,kj->ik", [(3, 4), (5, 4)]),
    ("ba", [(3, 4)]), ("i,ij,j->", [(3,), (3, 4), (4,)]), ("ijk,ilm,njm,nlk,abc->", [(2, 3, 4), (2, 5, 2), (3, 3, 2), (3, 5, 4), (2, 2, 2)]),
    ("...,...->...", [(2, 3), (3,)]), ("ij,j->i", [(3, 1), (4,)]),
]  # fmt: skip


@pytest.mark.parametrize(("equation", "shapes"), EINSUMS, ids=[e[0] for e in EINSUMS])
def test_einsum(equation: str, shapes: Any) -> None:
    arrays = [sample(s, "float64", n) for n, s in enumerate(shapes)]
    if (3, 1) in shapes:  # NumPy does not broadcast named axes, torch does
        want = torch.einsum(equation, *[torch.from_numpy(a) for a in arrays]).numpy()
    else:
        want = np.asarray(np.einsum(equation, *arrays))
    close(st.einsum(equation, *[st.asarray(a) for a in arrays]), want)


def test_einsum_gradients() -> None:
    x, y = sample((2, 3, 4), "float64", 7), sample((2, 5, 4), "float64", 8)
    a, b = st.tensor(x, requires_grad=True), st.tensor(y, requires_grad=True)
    r, s = torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True)
    st.einsum("bqd,bkd->bkq", a, b).exp().sum().backward()
    torch.einsum("bqd,bkd->bkq", r, s).exp().sum().backward()
    close(a.grad, r.grad.numpy())
    close(b.grad, s.grad.numpy())


@pytest.mark.parametrize("axes", [0, 1, 2, ([1, 0], [0, 1]), ([2], [1]), (2, 1)], ids=str)
def test_tensordot(axes: Any) -> None:
    x = sample((3, 4, 3), "float64", 9)
    y = sample((4, 3, 5) if axes != 1 else (3, 3, 5), "float64", 10)
    close(st.tensordot(st.asarray(x), st.asarray(y), axes=axes), np.tensordot(x, y, axes))


def test_other_products() -> None:
    x, y = sample((3, 4), "float64", 11), sample((3, 4), "float64", 12)
    a, b = st.asarray(x), st.asarray(y)
    close(st.vecdot(a, b), np.sum(x * y, -1))
    close(st.vecdot(a, b, axis=0), np.sum(x * y, 0))
    close(st.outer(a[0], b[1]), np.outer(x[0], y[1]))
    close(st.dot(a[0], b[0]), np.dot(x[0], y[0]))
    close(st.mm(a, b.T), x @ y.T)
    close(st.bmm(a[None], b[None].mT), (x @ y.T)[None])
    close(st.cross(a[:, :3], b[:, :3]), np.cross(x[:, :3], y[:, :3]))
    close(a.trace(), np.trace(x))
    w, c = sample((6, 4), "float64", 13), sample((6,), "float64", 14)
    want = torch.nn.functional.linear(torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(c))
    close(st.linear(a, st.asarray(w), st.asarray(c)), want.numpy())
    close(st.linear(a[0], st.asarray(w)), want.numpy()[0] - c)


@pytest.mark.parametrize("call", [
    lambda: st.ones(2, 3) @ st.ones(2, 3), lambda: st.ones(3) @ st.ones(4), lambda: st.ones(2) @ st.asarray(1.0),
    lambda: st.ones(2, 3, 4) @ st.ones(3, 4, 5), lambda: st.mm(st.ones(2), st.ones(2)), lambda: st.bmm(st.ones(2, 2), st.ones(2, 2)),
    lambda: st.einsum("ij,jk->ik", st.ones(2, 3)), lambda: st.einsum("ij->ik", st.ones(2, 3)), lambda: st.einsum("ij", st.ones(3)),
    lambda: st.einsum("ii", st.ones(2, 3)), lambda: st.einsum("ij,jk", st.ones(2, 3), st.ones(4, 2)),
    lambda: st.tensordot(st.ones(2, 3), st.ones(2, 3), axes=1), lambda: st.linear(st.ones(2, 3), st.ones(4, 5)),
    lambda: st.vecdot(st.ones(3), st.ones(4)), lambda: st.cross(st.ones(2), st.ones(2)), lambda: st.einsum("ij->ii", st.ones(2, 2)),
])  # fmt: skip
def test_errors(call: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[.+\] expected"):
        call()


def test_shape_error_names_both_shapes() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4, 5\)"):
        st.ones(2, 3) @ st.ones(4, 5)


def test_random_einsums() -> None:
    rng = np.random.default_rng(15)
    letters = "abcde"
    sizes = dict(zip(letters, (2, 3, 4, 2, 3), strict=True))
    for _ in range(40):
        terms = [
            "".join(rng.choice(list(letters), rng.integers(1, 4), replace=False)) for _ in range(rng.integers(1, 4))
        ]
        known = sorted(set("".join(terms)))
        result = "".join(rng.permutation(known)[: rng.integers(0, len(known) + 1)])
        equation = ",".join(terms) + "->" + result
        arrays = [rng.normal(size=[sizes[c] for c in t]) for t in terms]
        close(st.einsum(equation, *[st.asarray(a) for a in arrays]), np.asarray(np.einsum(equation, *arrays)))


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16", "bool"])
def test_contractions_of_no_terms_are_zero(dtype: str) -> None:
    """Also where one operand has extent 1 there, which is broadcast to 0."""

    def ones(*shape: int) -> st.Tensor:
        return st.ones(*shape).to(dtype)

    calls: dict[str, tuple[Callable[[], st.Tensor], tuple[int, ...]]] = {
        "broadcast": (lambda: st.einsum("ij,jk->ik", ones(2, 1), ones(0, 3)), (2, 3)),
        "einsum": (lambda: st.einsum("ij,jk->ik", ones(2, 0), ones(0, 3)), (2, 3)),
        "batch": (lambda: st.einsum("bij,jk->bik", ones(1, 2, 1), ones(0, 3)), (1, 2, 3)),
        "matmul": (lambda: ones(4, 2, 0) @ ones(4, 0, 3), (4, 2, 3)),
        "tensordot": (lambda: st.tensordot(ones(2, 0), ones(0, 3), 1), (2, 3)),
        "dot": (lambda: ones(0) @ ones(0), ()),
        "sum": (lambda: st.einsum("ij->j", ones(0, 3)), (3,)),
    }
    for name, (call, shape) in calls.items():
        for f in (call, st.compile(call)):
            got = f()
            assert got.shape == shape and not got.numpy().any(), name
