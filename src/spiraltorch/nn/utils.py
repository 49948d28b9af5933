"""Functions over many parameters: gradient clipping, and parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

import spiraltorch as st

from ..dtypes import float32
from ..errors import ArgumentError, GradientError, ShapeError
from ..tensor.arguments import real
from ..tensor.tensor import Tensor
from .in_place import set_value

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]


def _as_list(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0) -> Tensor:
    """The norm of all elements of all tensors together.

    Args:
        tensors: tensors of any shapes and floating dtypes.
        norm_type: the order of the norm, p in sum(|x|**p)**(1 / p); `math.inf` gives the largest magnitude.

    Returns:
        A 0-d tensor of at least float32; 0 if there are no tensors.

    Raises:
        ArgumentError: `norm_type` is not positive.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.utils.get_total_norm([st.tensor([3.0]), st.tensor([4.0])]).item()
        5.0
    """
    if not real(norm_type, "get_total_norm", "norm_type") > 0:
        raise ArgumentError(f"[get_total_norm] expected norm_type > 0, got {norm_type}; change norm_type")
    wide = [t.to(float32) if t.dtype.itemsize < 4 else t for t in _as_list(tensors)]
    if not wide:
        return st.zeros(())
    if norm_type == math.inf:
        wide = [t for t in wide if t.size] or [st.zeros(1)]
    norms = st.stack([st.linalg.vector_norm(t, ord=norm_type) for t in wide])
    return st.linalg.vector_norm(norms, ord=norm_type)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scales all gradients in place so that their joint norm is at most `max_norm` (Pascanu et al., 2013).

    Args:
        parameters: tensors whose `grad` is scaled; those without a gradient are skipped.
        max_norm: the greatest norm.
        norm_type: the order of the norm; see `get_total_norm`.
        error_if_nonfinite: whether a norm that is not finite is an error. This waits for the norm.

    Returns:
        The norm before, a 0-d tensor.

    Raises:
        ArgumentError: `max_norm` is negative, or `norm_type` is not positive.
        GradientError: the norm is not finite, with `error_if_nonfinite`.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(4))
        >>> (p * 3.0).sum().backward()
        >>> st.nn.utils.clip_grad_norm_([p], 1.0).item()
        6.0
    """
    max_norm = real(max_norm, "clip_grad_norm_", "max_norm")
    if not max_norm >= 0:
        raise ArgumentError(f"[clip_grad_norm_] expected max_norm >= 0, got {max_norm}; change max_norm")
    grads = [p.grad for p in _as_list(parameters) if p.grad is not None]
    with st.no_grad():
        total = get_total_norm(grads, norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise GradientError(f"[clip_grad_norm_] expected a finite gradient norm, got {total.item()}; skip the step")
        scale = st.minimum(max_norm / (total + 1e-6), 1.0)
        for grad in grads:
            set_value(grad, grad * scale)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limits all elements of all gradients to [-clip_value, clip_value], in place.

    Args:
        parameters: tensors whose `grad` is changed; those without a gradient are skipped.
        clip_value: the greatest magnitude.

    Raises:
        ArgumentError: `clip_value` is negative.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(1))
        >>> (p * 3.0).sum().backward()
        >>> st.nn.utils.clip_grad_value_([p], 1.0)
        >>> p.grad.item()
        1.0
    """
    if not clip_value >= 0:
        raise ArgumentError(f"[clip_grad_value_] expected clip_value >= 0, got {clip_value}")
    with st.no_grad():
        for p in _as_list(parameters):
            if p.grad is not None:
                set_value(p.grad, st.clip(p.grad, -clip_value, clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Flattens and joins parameters.

    Args:
        parameters: tensors of one dtype.

    Returns:
        A tensor of one axis, the parameters in order.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.utils.parameters_to_vector([st.ones(1, 2), st.zeros(1)]).tolist()
        [1.0, 1.0, 0.0]
    """
    return st.concat([p.reshape(-1) for p in parameters], axis=0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copies the elements of a vector into parameters: the inverse of `parameters_to_vector`.

    Args:
        vec: shape (n,), n the number of elements of all parameters.
        parameters: the tensors that the values are written to, cast to their dtypes.

    Raises:
        ShapeError: `vec` has another shape.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.zeros(1, 2))
        >>> st.nn.utils.vector_to_parameters(st.tensor([3.0, 4.0]), [p])
        >>> p.tolist()
        [[3.0, 4.0]]
    """
    targets = _as_list(parameters)
    total = sum(p.size for p in targets)
    if tuple(vec.shape) != (total,):
        raise ShapeError(
            f"[vector_to_parameters] expected shape=({total},), got shape={tuple(vec.shape)}; pass as many elements"
        )
    start = 0
    for p in targets:
        set_value(p, vec[start : start + p.size].reshape(*p.shape))
        start += p.size
