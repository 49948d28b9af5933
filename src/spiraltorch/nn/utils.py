"""Helpers over many parameters: gradient clipping, and parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..dtypes import float32
from ..errors import ArgumentError, GradientError, ShapeError
from ..tensor.tensor import Tensor as TensorClass
from .api import Tensor, st
from .state import put


def _listed(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, TensorClass) else list(parameters)


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0) -> Tensor:
    """The norm of all tensors taken together, 0-d, at least float32. Raises `ArgumentError` unless `norm_type` > 0."""
    if not norm_type > 0:
        raise ArgumentError(f"[get_total_norm] expected norm_type > 0, got {norm_type}; change it")
    wide = [t.to(float32) if t.dtype.itemsize < 4 else t for t in _listed(tensors)]
    if not wide:
        return st.zeros(())
    if norm_type == math.inf:
        return st.amax(st.stack([st.amax(st.abs(t)) for t in wide]))
    total: Tensor | None = None
    for t in wide:
        part = (t * t if norm_type == 2.0 else st.abs(t) ** norm_type).sum()
        total = part if total is None else total + part
    assert total is not None
    return st.sqrt(total) if norm_type == 2.0 else total ** (1.0 / norm_type)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scales all gradients so that their joint norm is at most `max_norm`; returns the norm before, 0-d.

    Raises `GradientError` for a norm that is not finite, if asked to.

    >>> from spiraltorch import nn, ones
    >>> p = nn.Parameter(ones(4))
    >>> (p * 3.0).sum().backward()
    >>> nn.utils.clip_grad_norm_([p], 1.0).item()
    6.0
    """
    if not max_norm >= 0:
        raise ArgumentError(f"[clip_grad_norm_] expected max_norm >= 0, got {max_norm}; change it")
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    with st.no_grad():
        total = get_total_norm(grads, norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise GradientError(f"[clip_grad_norm_] expected a finite gradient norm, got {total.item()}; skip the step")
        scale = st.minimum(max_norm / (total + 1e-6), 1.0)
        for grad in grads:
            put(grad, grad * scale)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cuts all gradients to [-clip_value, clip_value]."""
    if not clip_value >= 0:
        raise ArgumentError(f"[clip_grad_value_] expected clip_value >= 0, got {clip_value}; change it")
    with st.no_grad():
        for p in _listed(parameters):
            if p.grad is not None:
                put(p.grad, st.clip(p.grad, -clip_value, clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened and joined in order."""
    return st.concat([p.reshape(-1) for p in parameters], axis=0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Takes the values of a vector over into the parameters. Raises `ShapeError` where the lengths differ."""
    owners = _listed(parameters)
    total = sum(p.size for p in owners)
    if tuple(vec.shape) != (total,):
        raise ShapeError(f"[vector_to_parameters] expected shape=({total},), got shape={tuple(vec.shape)}; check it")
    start = 0
    for p in owners:
        put(p, vec[start : start + p.size].reshape(*p.shape))
        start += p.size
