"""Convolutions and pooling against torch, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensor_helpers import close, sample

import spiraltorch as st
from peers import torch
from spiraltorch.errors import SpiralTorchError

F = torch.nn.functional
SPACE = {1: (9,), 2: (8, 7), 3: (5, 6, 4)}
KERNEL = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
CONVS: list[dict[str, Any]] = [
    {}, {"stride": 2}, {"padding": 1}, {"padding": "same"}, {"padding": "valid", "stride": 3}, {"dilation": 2}, {"groups": 2},
    {"stride": 2, "padding": 2, "dilation": 2, "groups": 4}, {"padding": "same", "dilation": 2},
]  # fmt: skip


def compare(ours: Any, theirs: Any, arrays: list[Any], kwargs: dict[str, Any], tolerance: float = 1e-10) -> None:
    """Value and gradients of a function in float64, in every operand."""
    mine = [st.tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    got, want = ours(*mine, **kwargs), theirs(*other, **kwargs)
    close(got, want.detach().numpy(), tolerance)
    weight = sample(tuple(got.shape), "float64", 99)
    (got * st.asarray(weight)).sum().backward()
    (want * torch.from_numpy(weight)).sum().backward()
    for a, b in zip(mine, other, strict=True):
        close(a.grad, b.grad.numpy(), tolerance)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kwargs", CONVS, ids=str)
def test_conv(rank: int, kwargs: dict[str, Any]) -> None:
    name, groups = f"conv{rank}d", kwargs.get("groups", 1)
    arrays = [
        sample((2, 4, *SPACE[rank]), "float64", 1), sample((8, 4 // groups, *KERNEL[rank]), "float64", 2),
        sample((8,), "float64", 3),
    ]  # fmt: skip
    compare(getattr(st, name), getattr(F, name), arrays, kwargs)
    compare(getattr(st, name), getattr(F, name), arrays[:2], kwargs)


TRANSPOSED: list[dict[str, Any]] = [
    {}, {"stride": 2}, {"padding": 1}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2}, {"dilation": 2},
    {"stride": 3, "padding": 1, "output_padding": 2, "groups": 4, "dilation": 2},
]  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kwargs", TRANSPOSED, ids=str)
def test_conv_transpose(rank: int, kwargs: dict[str, Any]) -> None:
    name, groups = f"conv_transpose{rank}d", kwargs.get("groups", 1)
    arrays = [
        sample((2, 4, *SPACE[rank]), "float64", 1), sample((4, 3, *KERNEL[rank]), "float64", 2),
        sample((3 * groups,), "float64", 3),
    ]  # fmt: skip
    compare(getattr(st, name), getattr(F, name), arrays, kwargs)


def test_conv_without_a_batch_axis_and_with_tuples() -> None:
    arrays = [sample((4, 8, 7), "float64", 1), sample((8, 4, 3, 2), "float64", 2)]
    compare(st.conv2d, F.conv2d, arrays, {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2)})
    compare(
        st.conv_transpose1d, F.conv_transpose1d, [sample((4, 8), "float64", 1), sample((4, 2, 3), "float64", 2)], {}
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_conv_dtypes(dtype: str) -> None:
    x, w = sample((2, 3, 6, 6), dtype, 1, -1, 1), sample((4, 3, 3, 3), dtype, 2, -1, 1)
    want = F.conv2d(*(torch.from_numpy(a.astype(np.float64)) for a in (x, w))).numpy().astype(x.dtype)
    close(st.conv2d(st.asarray(x), st.asarray(w)), want, {"float16": 1e-2, "bfloat16": 6e-2}.get(dtype))


POOLS: list[tuple[Any, dict[str, Any]]] = [
    (2, {}), (3, {"stride": 2}), (3, {"stride": 1, "padding": 1}), (2, {"stride": 2, "ceil_mode": True}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}), (2, {"stride": 3, "ceil_mode": True}), (1, {"stride": 2}),
]  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("size", "kwargs"), POOLS, ids=str)
def test_pools(rank: int, size: int, kwargs: dict[str, Any]) -> None:
    x = sample((2, 3, *SPACE[rank]), "float64", 4)
    kwargs = {"kernel_size": size, **kwargs}
    compare(getattr(st, f"avg_pool{rank}d"), getattr(F, f"avg_pool{rank}d"), [x], kwargs)
    alone = {**kwargs, "count_include_pad": False}
    compare(getattr(st, f"avg_pool{rank}d"), getattr(F, f"avg_pool{rank}d"), [x], alone)
    compare(getattr(st, f"max_pool{rank}d"), getattr(F, f"max_pool{rank}d"), [x], kwargs)
    compare(getattr(st, f"max_pool{rank}d"), getattr(F, f"max_pool{rank}d"), [np.round(x)], kwargs)  # equal elements


def test_max_pool_indices_and_dilation() -> None:
    x = np.round(sample((2, 3, 9, 8), "float64", 5))
    for kwargs in ({}, {"stride": 1, "padding": 1}, {"dilation": 2}, {"stride": 2, "ceil_mode": True}):
        got = st.max_pool2d(st.asarray(x), 3, return_indices=True, **kwargs)
        want = F.max_pool2d(torch.from_numpy(x), 3, return_indices=True, **kwargs)
        close(got[0], want[0].numpy())
        close(got[1], want[1].numpy())


def test_pool_details() -> None:
    x = sample((2, 3, 9, 8), "float64", 6)
    compare(st.avg_pool2d, F.avg_pool2d, [x], {"kernel_size": (3, 2), "divisor_override": 5})
    assert st.max_pool1d(st.asarray([[1, 5, 2, 3]]), 2).tolist() == [[5, 3]]
    assert np.isnan(st.max_pool1d(st.asarray([[1.0, np.nan, 2.0, 3.0]]), 2).numpy()).tolist() == [[True, False]]
    low = st.tensor([[-np.inf, -np.inf]], requires_grad=True)
    assert st.max_pool1d(low, 2).item() == -np.inf


@pytest.mark.parametrize("size", [1, 2, 3, 5, (4, None), (None, 3), (9, 8), (10, 11)], ids=str)
def test_adaptive_avg_pool(size: Any) -> None:
    compare(st.adaptive_avg_pool2d, F.adaptive_avg_pool2d, [sample((2, 3, 9, 8), "float64", 7)], {"output_size": size})
    if isinstance(size, int):
        compare(st.adaptive_avg_pool1d, F.adaptive_avg_pool1d, [sample((2, 3, 8), "float64", 7)], {"output_size": size})


X2, W2 = st.ones(1, 4, 5, 5), st.ones(6, 4, 3, 3)


@pytest.mark.parametrize("call", [
    lambda: st.conv2d(X2, st.ones(6, 3, 3, 3)), lambda: st.conv2d(X2, W2, groups=3), lambda: st.conv2d(X2, W2, stride=0),
    lambda: st.conv2d(X2, W2, stride=(1, 2, 3)), lambda: st.conv2d(X2, W2, padding="x"), lambda: st.conv2d(X2, W2, padding=-1),
    lambda: st.conv2d(X2, W2, padding="same", stride=2), lambda: st.conv2d(X2, W2, dilation=9), lambda: st.conv2d(X2[0, 0], W2),
    lambda: st.conv2d(X2, W2[0]), lambda: st.conv2d(X2, W2, st.ones(5)), lambda: st.conv2d(X2.to(st.int32), W2.to(st.int32)),
    lambda: st.conv_transpose2d(X2, st.ones(3, 4, 3, 3)), lambda: st.conv_transpose2d(X2, st.ones(4, 2, 3, 3), output_padding=1),
    lambda: st.max_pool2d(X2, 9), lambda: st.max_pool2d(X2, 2, padding=2), lambda: st.max_pool2d(X2[0, 0], 2),
    lambda: st.max_pool2d(X2, 0), lambda: st.avg_pool2d(X2, 2, stride=0), lambda: st.avg_pool2d(X2.to(st.int32), 2),
    lambda: st.adaptive_avg_pool2d(X2, 0), lambda: st.adaptive_avg_pool2d(X2, (1, 2, 3)), lambda: st.conv2d(X2, W2, stride=1.5),
    lambda: st.avg_pool2d(X2, 2, divisor_override=0),
])  # fmt: skip
def test_errors(call: Any) -> None:
    with pytest.raises(SpiralTorchError, match=r"^\[[a-z_]+\dd\] expected .+got"):
        call()


def test_random_convolutions() -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        rank = int(rng.integers(1, 3))
        groups = int(rng.integers(1, 3))
        space = rng.integers(4, 9, rank)
        kernel = rng.integers(1, 4, rank)
        x = rng.normal(size=(int(rng.integers(1, 3)), 2 * groups, *space))
        w = rng.normal(size=(3 * groups, 2, *kernel))
        kwargs = {"stride": int(rng.integers(1, 4)), "padding": int(rng.integers(0, 3)), "groups": groups}
        compare(getattr(st, f"conv{rank}d"), getattr(F, f"conv{rank}d"), [x, w], kwargs)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_of_constants_to_one_element(rank: int) -> None:
    shape = (1, 1) + (3,) * rank
    got = getattr(st, f"conv{rank}d")(st.ones(shape), st.ones(shape))
    assert got.shape == (1, 1) + (1,) * rank
    assert got.item() == 3.0**rank
    array = st.asarray(np.ones(shape, np.float32))
    assert getattr(st, f"conv{rank}d")(array, array).item() == 3.0**rank


@pytest.mark.parametrize(
    "kwargs", [{"padding": 1}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2, "padding": 2}]
)
@pytest.mark.parametrize("size", [(9, 5), (4, 11)])
def test_many_channels_at_few_places(kwargs: dict[str, Any], size: tuple[int, int]) -> None:
    """Weights that do not fit the cache: a panel of them stays there while all images pass."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 130, *size))
    w = rng.standard_normal((260, 130 // kwargs.get("groups", 1), 3, 3))
    compare(st.nn.functional.conv2d, F.conv2d, [x, w], kwargs, 1e-9)
