"""Wrong arguments name the function, the argument and the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.errors import ArgumentError, CheckpointError, DTypeError, SpiralTorchError

X, A = st.ones(2, 3), st.tensor([1.0, 2.0])
F = st.nn.functional

# Each call, and what its message says.
CALLS: list[tuple[Callable[[], Any], str]] = [
    (lambda: st.max(A, A), r"\[max\] .*int axis, got Tensor of shape \(2,\); .*st.maximum"),
    (lambda: st.min(A, A), r"\[min\] .*st.minimum"),
    (lambda: st.sum(A, A), r"\[sum\] expected an int axis, got Tensor"),
    (lambda: st.Tensor([1]), r"\[Tensor\] .*got list; use st.tensor\(data\)"),
    (lambda: st.Tensor(2, 3), r"\[Tensor\] .*st.empty\(\*shape\)"),
    (lambda: A + torch.ones(2), r"\[add\] .*got torch.Tensor; convert it with st.asarray"),
    (lambda: torch.ones(2) * A, r"\[mul\] .*got torch.Tensor"),
    (lambda: torch.ones(2) / A, r"\[div\] .*got torch.Tensor"),
    (lambda: A == torch.ones(2), r"\[eq\] .*got torch.Tensor"),
    (lambda: A < "b", r"\[lt\] .*got str"),
    (lambda: A * "b", r"\[mul\] .*got str"),
    (lambda: A + [1, 2], r"\[add\] .*got list; convert it with st.asarray"),
    (lambda: A - None, r"\[sub\] .*got NoneType"),
    (lambda: A / None, r"\[div\] .*got NoneType"),
    (lambda: st.save([A], "x"), r"\[save\] .*got list; pass \{'name': tensor\}"),
    (lambda: st.save("x", {"a": A}), r"\[save\] .*got str; .*path after it"),
    (lambda: st.save({"a": A}, 3), r"\[save\] .*path as the name of a file, got int"),
    (lambda: st.load(3), r"\[load\] .*path as the name of a file, got int"),
    (lambda: st.einsum(3, A), r"\[einsum\] .*'ij,jk->ik' first, got int"),
    (lambda: st.einsum(A, [99]), r"\[einsum\] .*below 52, got 99"),
    (lambda: st.round(X, "a"), r"\[round\] expected an int for decimals, got 'a'"),
    (lambda: st.from_dlpack(3), r"\[from_dlpack\] .*__dlpack__, got int; use st.asarray"),
    (lambda: st.linalg.vector_norm(X, ord="fro"), r"\[vector_norm\] expected ord as a number, got 'fro'; .*matrix_norm"),
    (lambda: st.arange("a"), r"\[arange\] expected a number for stop, got 'a'"),
    (lambda: st.linspace("a", 1, 3), r"\[linspace\] expected a number for start, got 'a'"),
    (lambda: st.linspace(0, 1, 2.5), r"\[linspace\] expected an int for num, got 2.5"),
    (lambda: st.checkpoint(3), r"\[checkpoint\] expected a function .*got 3"),
    (lambda: st.compile(3), r"\[compile\] expected a function .*got 3"),
    (lambda: st.grad(3), r"\[grad\] expected a function .*got 3"),
    (lambda: st.value_and_grad(3), r"\[value_and_grad\] expected a function"),
    (lambda: st.vjp(3, A), r"\[vjp\] expected a function"),
    (lambda: st.jvp(3, (A,), (A,)), r"\[jvp\] expected a function"),
    (lambda: st.jacobian(3), r"\[jacobian\] expected a function"),
    (lambda: st.hessian(3, A), r"\[hessian\] expected a function"),
    (lambda: st.grad(lambda x: x, A), r"\[grad\] .*array of shape \(2,\); call what is returned: st.grad\(fn\)\(x\)"),
    (lambda: st.jacrev(lambda x: x, A), r"\[jacrev\] .*st.jacrev\(fn\)\(x\)"),
    (lambda: st.max(st.zeros(2, 0), axis=1), r"\[max\] .*over axes \(1,\), got shape \(2, 0\); reduce"),
    (lambda: st.zeros(2, 0).max(dim=1), r"axis 1, got shape \(2, 0\); choose"),
    (lambda: st.stack(3), r"\[stack\] expected a sequence of tensors, got 3"),
    (lambda: st.cat(3), r"\[concat\] expected a sequence of tensors, got 3"),
    (lambda: st.pad(X, 1), r"\[pad\] .*pairs \(before, after\), got 1"),
    (lambda: st.softmax(X, "a"), r"\[softmax\] expected an int axis, got 'a'"),
    (lambda: st.one_hot(st.tensor([1]), -2), r"\[one_hot\] expected num_classes of at least -1"),
    (lambda: st.quantile(X, "a"), r"\[quantile\] expected q as a fraction"),
    (lambda: st.tile(X, "a"), r"\[tile\] expected an int for repetitions"),
    (lambda: st.topk(X, 1.5), r"\[topk\] expected an int for k, got 1.5"),
    (lambda: st.dropout(X, "a"), r"\[dropout\] expected a number for p"),
    (lambda: st.nn.Dropout("a"), r"\[Dropout\] expected a number for p"),
    (lambda: st.nn.Linear(2.5, 3), r"\[Linear\] expected an int for in_features, got 2.5"),
    (lambda: st.nn.Embedding(2, "a"), r"\[Embedding\] expected an int for embedding_dim"),
    (lambda: st.nn.ModuleList(3), r"\[ModuleList\] expected a sequence of modules, got 3"),
    (lambda: st.optim.SGD(3), r"\[SGD\] expected an iterable of parameters, got int; pass model.parameters\(\)"),
    (lambda: F.mse_loss(X, "a"), r"\[mse_loss\] expected tensors, got str"),
    (lambda: F.cross_entropy(X, "a"), r"\[cross_entropy\] expected tensors, got str"),
    (lambda: st.nn.utils.clip_grad_norm_([A], "a"), r"\[clip_grad_norm_\] expected a number for max_norm"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message for _, message in CALLS])
def test_messages(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(SpiralTorchError, match=message):
        call()


def test_equality_with_what_is_no_array_is_left_to_python() -> None:
    assert (A == None) is False  # noqa: E711
    assert (A == "a") is False
    assert (A != "a") is True

    class Other:
        def __radd__(self, other: object) -> str:
            return "radd"

    assert A + Other() == "radd"


def test_names_in_errors_of_keywords() -> None:
    """Python names a function by its qualified name: none is that of a function inside another."""
    for owner in (st.Tensor, st, st.nn.functional, st.linalg):
        for name, value in vars(owner).items():
            if inspect.isfunction(value):
                assert "<locals>" not in value.__qualname__, (owner, name)
    with pytest.raises(TypeError, match=r"Tensor.__add__\(\) got an unexpected keyword argument 'foo'"):
        A.__add__(A, foo=1)
    with pytest.raises(TypeError, match=r"^add\(\) got an unexpected keyword argument 'foo'"):
        A.add(A, foo=1)


def test_files_of_other_formats(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "torch.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.save(tmp_path / "array.npy", np.ones(2))
    np.savez(tmp_path / "arrays.npz", a=np.ones(2))
    for name, message in (
        ("torch.pt", r"pickle of PyTorch.*torch.pt.*convert it with safetensors.torch.save_file\(torch.load"),
        ("old.pt", r"a pickle.*torch.load"), ("array.npy", "numpy.load"), ("arrays.npz", "numpy.load"),
    ):  # fmt: skip
        with pytest.raises(CheckpointError, match=message):
            st.load(tmp_path / name)


def test_einsum_of_axis_numbers() -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    a, b = st.tensor(x), st.tensor(y)
    np.testing.assert_array_equal(
        st.einsum(a, [0, 1], b, [1, 2], [0, 2]).numpy(), np.einsum(x, [0, 1], y, [1, 2], [0, 2])
    )
    np.testing.assert_array_equal(st.einsum(a, [0, 1], b, [1, 2]).numpy(), np.einsum(x, [0, 1], y, [1, 2]))
    np.testing.assert_array_equal(st.einsum(a, [..., 1], [1, ...]).numpy(), np.einsum(x, [..., 1], [1, ...]))
    assert st.einsum(A, [0], A, [0]).item() == 5


def test_a_foreign_array_is_converted_where_a_function_takes_arrays() -> None:
    assert st.add(A, torch.ones(2)).tolist() == [2.0, 3.0]
    with pytest.raises(DTypeError):
        A + torch.ones(2)
    assert (A + np.ones(2, np.float32)).tolist() == [2.0, 3.0]


def test_jacobian_and_hessian_at_a_point() -> None:
    def cube(x: Any) -> Any:
        return (x**3).sum()

    def square(x: Any) -> Any:
        return x * x

    theirs = torch.tensor([1.0, 2.0])
    functional = torch.autograd.functional
    np.testing.assert_allclose(st.hessian(cube, A).numpy(), functional.hessian(cube, theirs).numpy())
    np.testing.assert_allclose(st.jacobian(square, A).numpy(), functional.jacobian(square, theirs).numpy())
    np.testing.assert_allclose(st.hessian(cube)(A).numpy(), st.hessian(cube, A).numpy())
    np.testing.assert_allclose(st.jacobian(square, A.numpy()).numpy(), st.jacobian(square, 0)(A).numpy())

    def both(x: Any, y: Any) -> Any:
        return (x * x * y).sum()

    mine, want = st.hessian(both, (A, A + 1)), functional.hessian(both, (theirs, theirs + 1))
    for row, expected in zip(mine, want, strict=True):
        for value, other in zip(row, expected, strict=True):
            np.testing.assert_allclose(value.numpy(), other.numpy())
    left, right = st.jacobian(both, (A, A + 1))
    np.testing.assert_allclose(
        [left.numpy(), right.numpy()], [t.numpy() for t in functional.jacobian(both, (theirs, theirs + 1))]
    )
    with pytest.raises(ArgumentError):
        st.jacobian(square, "x")  # type: ignore[call-overload]
