"""Attention block by block: against torch in float64, with every kind of mask, and in memory that grows linearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch import nn
from spiraltorch.nn import functional as F
from spiraltorch.runtime import device

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def compare(shapes: tuple[tuple[int, ...], ...], dtype: str, seed: int, mask: Any = None, **options: Any) -> None:
    """The result and the three gradients, relative to the greatest of each."""
    torch.manual_seed(seed)
    theirs = [torch.randn(*s, dtype=torch.float64).requires_grad_() for s in shapes]
    ours = [st.tensor(t.detach().numpy().astype(dtype)).requires_grad_() for t in theirs]
    wide = None if mask is None else torch.tensor(mask if mask.dtype == bool else mask.astype(np.float64))
    want = torch.nn.functional.scaled_dot_product_attention(*theirs, wide, **options)
    got = F.scaled_dot_product_attention(*ours, None if mask is None else st.tensor(mask), **options)
    weight = torch.randn_like(want)
    (want * weight).sum().backward()
    (got * st.tensor(weight.numpy().astype(dtype))).sum().backward()
    pairs = [(got.detach(), want.detach()), *((a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))]
    for mine, other in pairs:
        scale = max(1.0, float(other.abs().max()))
        np.testing.assert_allclose(mine.numpy() / scale, other.numpy() / scale, atol=TOLERANCE[dtype], rtol=0)


def random_shapes(seed: int) -> tuple[tuple[int, ...], ...]:
    rng = np.random.default_rng(seed)
    lead = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
    rows, columns = (int(n) for n in rng.integers(8, 150, 2))
    depth, width = (int(n) for n in rng.integers(1, 70, 2))
    return (*lead, rows, depth), (*lead, columns, depth), (*lead, columns, width)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_shapes(seed: int, dtype: str) -> None:
    compare(random_shapes(seed), dtype, seed, is_causal=seed % 2 == 1, scale=0.3 if seed % 3 else None)


@pytest.mark.parametrize("seed", range(8))
def test_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q, k, v = random_shapes(seed)
    full = (*q[:-1], k[-2])
    shape = tuple(e if rng.random() < 0.6 else 1 for e in full)[rng.integers(0, max(1, len(full) - 1)) :]
    mask = rng.random(shape) < 0.7 if seed % 2 else rng.normal(size=shape).astype(np.float32)
    if mask.dtype == bool:
        mask[..., 0] = True  # torch gives NaN for a query without any key
    compare((q, k, v), "float32", seed, mask)


@pytest.mark.parametrize("causal", [False, True])
def test_heads_that_share_keys(causal: bool) -> None:
    compare(((2, 6, 40, 16), (2, 2, 70, 16), (2, 2, 70, 24)), "float32", 0, is_causal=causal, enable_gqa=True)


def test_a_query_without_any_key_is_zero_and_gives_no_gradient() -> None:
    q = st.randn(1, 2, 20, 8).requires_grad_()
    mask = np.ones((20, 30), bool)
    mask[3] = False
    k, v = st.randn(1, 2, 30, 8).requires_grad_(), st.randn(1, 2, 30, 8).requires_grad_()
    out = F.scaled_dot_product_attention(q, k, v, st.tensor(mask))
    out.sum().backward()
    assert (out.numpy()[:, :, 3] == 0).all() and (q.grad.numpy()[:, :, 3] == 0).all()
    for x in (out.detach(), q.grad, k.grad, v.grad):
        assert np.isfinite(x.numpy()).all()


def test_large_scores_do_not_overflow() -> None:
    q = st.randn(1, 1, 64, 16)
    q = q / st.sqrt((q * q).sum(-1, keepdim=True)) * 100
    out = F.scaled_dot_product_attention(q, q, q, scale=10.0).numpy()
    np.testing.assert_allclose(out, q.numpy(), rtol=1e-5)  # each query is its own nearest key


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_width_dtypes_are_rounded_once(dtype: str) -> None:
    x = st.randn(2, 40, 16).to(getattr(st, dtype))
    wide = x.to(st.float32)
    got = F.scaled_dot_product_attention(x, x, x)
    assert got.dtype is getattr(st, dtype)
    assert st.array_equal(got, F.scaled_dot_product_attention(wide, wide, wide).to(got.dtype))


def test_one_kernel_and_no_scores_in_memory() -> None:
    q = st.randn(1, 2, 256, 32)
    text = st.explain(F.scaled_dot_product_attention(q, q, q, is_causal=True))
    assert text.count("(attention)") == 1 and "256, 256" not in text


@pytest.mark.slow
def test_memory_grows_linearly_to_16k_tokens() -> None:
    """The scores of 16,384 tokens would be 1 GiB; four times the tokens may take four times the memory."""
    host = device.get("cpu:0")
    peaks = []
    for tokens in (4096, 16384):
        x = st.randn(1, 1, tokens, 16).requires_grad_()
        st.eval(x)
        host.allocator.peak = before = host.memory()[0]
        F.scaled_dot_product_attention(x, x, x, is_causal=True).sum().backward()
        assert x.grad.shape == (1, 1, tokens, 16)
        peaks.append(host.memory()[1] - before)
    assert peaks[1] <= 4.5 * peaks[0] and peaks[1] < 64 << 20


def test_multi_head_attention_is_the_same_with_and_without_weights() -> None:
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True), st.randn(2, 24, 32)
    padding = st.tensor(np.arange(24)[None, :] >= np.array([[24], [15]]))
    one, weights = layer(x, x, x, key_padding_mask=padding)
    two, none = layer(x, x, x, key_padding_mask=padding, need_weights=False)
    assert none is None and weights is not None
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("rows", [2, 9])
@pytest.mark.parametrize("empty", ["keys", "width", "batch", "queries"])
def test_extents_of_zero(rows: int, empty: str) -> None:
    batch, rows = 0 if empty == "batch" else 2, 0 if empty == "queries" else rows
    columns, width = 0 if empty == "keys" else 5, 0 if empty == "width" else 3
    shapes = ((batch, 2, rows, 4), (batch, 2, columns, 4), (batch, 2, columns, width))
    q, k, v = (st.ones(*s).requires_grad_() for s in shapes)
    got = F.scaled_dot_product_attention(q, k, v)
    got.sum().backward()
    assert got.shape == (batch, 2, rows, width)
    np.testing.assert_array_equal(got.detach().numpy(), np.full(got.shape, 0.0 if empty == "keys" else 1.0))
    assert tuple(x.grad.shape for x in (q, k, v)) == shapes


@pytest.mark.parametrize("shapes", [((3, 9, 4), (2, 5, 4)), ((9, 4), (5, 4)), ((2, 9, 4), (0, 5, 4))])
def test_groups_that_do_not_divide(shapes: tuple[tuple[int, ...], ...]) -> None:
    q, k = (st.ones(*s) for s in shapes)
    with pytest.raises(st.ShapeError, match="a multiple of the numbers of key and value heads"):
        F.scaled_dot_product_attention(q, k, k, enable_gqa=True)
