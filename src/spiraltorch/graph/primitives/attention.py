"""Attention as one primitive: the softmax of scaled scores times values; groups of query heads may share keys.

`attention` has two results: the weighted values, and for each query the logarithm of the sum of its exponentials, which
is inf where no key counts. `attention_grad` has three: the gradients of queries, keys and values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import int32
from ...errors import DTypeError, ShapeError
from .. import build as b
from ..node import Aval, Node, Params, aval_of
from ..primitive import Primitive
from ..results import apply_multiple, results_of


def _infer(avals: tuple[Aval, ...], params: Params) -> tuple[Aval, ...]:
    """The types of the weighted values and of the logarithms of sums, after checks of the operands."""
    q, k, v, *bias = avals
    if not q.dtype.is_float or q.dtype.itemsize < 4 or k.dtype is not q.dtype or v.dtype is not q.dtype:
        raise DTypeError(
            f"[attention] expected float32 or float64 operands of one dtype, got {q.dtype.name}, {k.dtype.name} and "
            f"{v.dtype.name}; cast them"
        )
    (batch, heads, rows, depth), (_, shared, columns, _) = q.shape, k.shape
    if k.shape != (batch, shared, columns, depth) or v.shape[:3] != k.shape[:3] or heads % max(shared, 1):
        raise ShapeError(
            f"[attention] expected (B, H, L, E), (B, H / n, S, E) and (B, H / n, S, Ev), got {q.shape}, {k.shape} and {v.shape}"
        )
    for mask in bias:
        full = (batch, heads, rows, columns)
        if mask.ndim != 4 or any(e not in (1, f) for e, f in zip(mask.shape, full, strict=True)):
            raise ShapeError(f"[attention] expected a mask that broadcasts to {full}, got {mask.shape}; reshape it")
    values = aval_of((batch, heads, rows, v.shape[3]), q.dtype, q.device)
    return values, aval_of((batch, heads, rows), q.dtype, q.device)


def _grad_infer(avals: tuple[Aval, ...], params: Params) -> tuple[Aval, ...]:
    """The types of the gradients: those of q, k and v."""
    return avals[:3]


def _reference_scores(q: Any, k: Any, bias: tuple[Any, ...], causal: bool, scale: float) -> Any:
    """Scaled and masked scores in NumPy, (B, H, L, S)."""
    scores = np.einsum("bhid,bhjd->bhij", q * q.dtype.type(scale), k)
    minus_infinity = scores.dtype.type(-np.inf)
    for mask in bias:
        scores = np.where(mask, scores, minus_infinity) if mask.dtype == bool else scores + mask
    if causal:
        rows, columns = scores.shape[-2:]
        scores = np.where(np.arange(columns)[None, :] <= np.arange(rows)[:, None], scores, minus_infinity)
    return scores


def _reference(q: Any, k: Any, v: Any, *bias: Any, params: Params) -> Any:
    """Attention in NumPy."""
    causal, scale = params
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    with np.errstate(all="ignore"):
        scores = _reference_scores(q, k, bias, causal, scale)
        row_maximum = scores.max(-1, keepdims=True)
        row_maximum = np.where(row_maximum == -np.inf, scores.dtype.type(0), row_maximum)
        weights = np.exp(scores - row_maximum)
        total = weights.sum(-1, keepdims=True)
        weights = np.where(total == 0, scores.dtype.type(0), weights / total)
        sums = np.where(total == 0, scores.dtype.type(np.inf), row_maximum + np.log(total))
    return np.einsum("bhij,bhjd->bhid", weights, v), sums[..., 0]


def _grad_reference(q: Any, k: Any, v: Any, g: Any, sums: Any, shift: Any, *bias: Any, params: Params) -> Any:
    """The gradients of attention in NumPy."""
    causal, scale = params
    shared, groups = k.shape[:2], q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, groups, axis=1) for x in (k, v))
    with np.errstate(all="ignore"):
        weights = np.exp(_reference_scores(q, k, bias, causal, scale) - sums[..., None])
    score_gradients = weights * (np.einsum("bhid,bhjd->bhij", g, v) - shift[..., None]) * q.dtype.type(scale)
    gq = np.einsum("bhij,bhjd->bhid", score_gradients, k)
    gk, gv = np.einsum("bhij,bhid->bhjd", score_gradients, q), np.einsum("bhij,bhid->bhjd", weights, g)
    gk, gv = (x.reshape(*shared, groups, *x.shape[2:]).sum(2) for x in (gk, gv))
    return gq, gk, gv


# ---------------------------------------------------------------- decompositions


def _repeat(x: Node, groups: int) -> Node:
    """Repeats every head, axis 1, `groups` times."""
    batch, heads, *rest = x.aval.shape
    once = b.reshape(x, (batch, heads, 1, *rest))
    return b.reshape(b.expand(once, (batch, heads, groups, *rest)), (batch, heads * groups, *rest))


def _scores(q: Node, k: Node, bias: tuple[Node, ...], causal: bool, scale: float) -> Node:
    """Scaled and masked scores as a graph, (B, H, L, S)."""
    dtype, device = q.aval.dtype, q.aval.device
    scores = b.dot(b.mul(q, b.const(scale, dtype, device)), k, (3,), (3,), (0, 1), (0, 1))
    shape, minus_infinity = scores.aval.shape, b.const(float("-inf"), dtype, device)
    for mask in bias:
        full_mask = b.expand(mask, shape)
        scores = b.where(full_mask, scores, minus_infinity) if mask.aval.dtype.is_bool else b.add(scores, full_mask)
    if causal:
        row, column = (b.iota(shape, axis, int32, device) for axis in (2, 3))
        scores = b.where(b.le(column, row), scores, minus_infinity)
    return scores


def _with_last_axis(x: Node) -> Node:
    """Appends an axis of extent 1."""
    return b.reshape(x, (*x.aval.shape, 1))


def _decompose(args: tuple[Node, ...], params: Params) -> tuple[Node, ...]:
    """Attention in simpler primitives."""
    q, k, v, *bias = args
    groups = q.aval.shape[1] // k.aval.shape[1]
    scores = _scores(q, _repeat(k, groups), tuple(bias), *params)
    dtype, device = q.aval.dtype, q.aval.device
    zero, minus_infinity = b.const(0, dtype, device), b.const(float("-inf"), dtype, device)
    row_maximum = _with_last_axis(b.stop_gradient(b.reduce_max(scores, (3,))))
    row_maximum = b.where(b.eq(row_maximum, minus_infinity), zero, row_maximum)
    weights = b.exp(b.sub(scores, row_maximum))
    total = _with_last_axis(b.reduce_sum(weights, (3,)))
    empty = b.eq(total, zero)
    safe_total = b.where(empty, b.const(1, dtype, device), total)
    out = b.dot(b.div(weights, safe_total), _repeat(v, groups), (3,), (2,), (0, 1), (0, 1))
    sums = b.where(empty, b.const(float("inf"), dtype, device), b.add(row_maximum, b.log(safe_total)))
    return out, b.reshape(sums, sums.aval.shape[:3])


def _grad_decompose(args: tuple[Node, ...], params: Params) -> tuple[Node, ...]:
    """The gradients of attention in simpler primitives."""
    q, k, v, g, sums, shift, *bias = args
    groups = q.aval.shape[1] // k.aval.shape[1]
    weights, score_gradients = _weights_and_score_gradients(q, k, v, g, sums, shift, tuple(bias), params)
    factor = b.const(params[1], q.aval.dtype, q.aval.device)
    score_gradients = b.mul(score_gradients, factor)
    gq = b.dot(score_gradients, _repeat(k, groups), (3,), (2,), (0, 1), (0, 1))
    gk, gv = (b.dot(s, x, (2,), (2,), (0, 1), (0, 1)) for s, x in ((score_gradients, q), (weights, g)))
    shape = (*k.aval.shape[:2], groups)
    gk, gv = (b.reduce_sum(b.reshape(x, (*shape, *x.aval.shape[2:])), (2,)) for x in (gk, gv))
    return gq, gk, gv


def _weights_and_score_gradients(
    q: Node, k: Node, v: Node, g: Node, sums: Node, shift: Node, bias: tuple[Node, ...], params: Params
) -> tuple[Node, Node]:
    """The attention weights, and the gradient of the unscaled scores."""
    groups = q.aval.shape[1] // k.aval.shape[1]
    weights = b.exp(b.sub(_scores(q, _repeat(k, groups), bias, *params), _with_last_axis(sums)))
    towards = b.dot(g, _repeat(v, groups), (3,), (3,), (0, 1), (0, 1))
    return weights, b.mul(weights, b.sub(towards, _with_last_axis(shift)))


# ---------------------------------------------------------------- gradients


def _vjp(cotangents: tuple[Node | None, ...], args: tuple[Node, ...], call: Node) -> tuple[Node | None, ...]:
    """The cotangents of the operands (Dao et al., FlashAttention, 2022, algorithm 4)."""
    q, k, v, *bias = args
    params = call.spec.params
    g, g_sums = [b.zeros(aval) if c is None else c for c, aval in zip(cotangents, call.spec.results, strict=True)]
    values, sums = results_of(call)
    shift = b.sub(b.reduce_sum(b.mul(g, values), (3,)), g_sums)
    gradients: list[Node | None] = [None] * 3
    if q.rg or k.rg or v.rg:
        gradients = list(apply_multiple(attention_grad, (q, k, v, g, sums, shift, *bias), params))
    for mask in bias:
        gradients.append(None)
        if mask.rg:
            score_gradients = _weights_and_score_gradients(q, k, v, g, sums, shift, tuple(bias), params)[1]
            axes = tuple([d for d, e in enumerate(mask.aval.shape) if e != score_gradients.aval.shape[d]])
            gradients[-1] = b.reshape(b.reduce_sum(score_gradients, axes), mask.aval.shape)
    return tuple(gradients)


attention = Primitive("attention", "attention", _infer, _reference, _vjp, decompose=_decompose)
attention_grad = Primitive("attention_grad", "attention", _grad_infer, _grad_reference, decompose=_grad_decompose)
