"""Losses. `reduction` is `mean`, `sum` or `none`; results have the dtype of the input."""

from __future__ import annotations

import math

from ...errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from ...runtime import device
from ...tensor.ops.index_checks import watched
from ...tensor.tracing.tracer import recorder
from ..api import Tensor, st
from .activation import softplus


def _check_reduction(op: str, reduction: str, *more: str) -> None:
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        raise ArgumentError(f"[{op}] expected reduction {', '.join(known)}, got {reduction!r}; choose one")


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _same_shape(op: str, input: Tensor, target: Tensor) -> None:
    if tuple(input.shape) != tuple(target.shape):
        raise ShapeError(
            f"[{op}] expected input and target of one shape, got shape={tuple(input.shape)} and "
            f"shape={tuple(target.shape)}; reshape or expand one of them"
        )


def _class_axis(op: str, input: Tensor) -> int:
    if input.ndim == 0:
        raise ShapeError(f"[{op}] expected input of shape (C,) or (N, C, ...), got shape=(); add the class axis")
    return 0 if input.ndim == 1 else 1


def _hits(op: str, input: Tensor, target: Tensor, axis: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Which class each target names, with a class axis, and which targets count, with that axis at extent 1."""
    expected = tuple(input.shape[:axis]) + tuple(input.shape[axis + 1 :])
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"[{op}] expected target of shape={expected} for input of shape={tuple(input.shape)}, "
            f"got shape={tuple(target.shape)}; class indices have no class axis"
        )
    if not target.dtype.is_integer:
        raise DTypeError(f"[{op}] expected class indices of an integer dtype, got dtype={target.dtype.name}; cast them")
    classes = input.shape[axis]
    # Looked at only where that is free: indices on an accelerator would have to be waited for.
    free = device.get(target.device).host_memory and bool(target.size)
    if free and (recorder() is not None or target.node.buf is None):
        ignored = target == ignore_index
        target = st.where(ignored, ignore_index, watched(st.where(ignored, 0, target), 0, classes, op))
    elif free:
        known = target.numpy()
        wrong = known[((known < 0) | (known >= classes)) & (known != ignore_index)]
        if wrong.size:
            raise IndexOutOfRange(
                f"[{op}] expected targets in [0, {classes}) or ignore_index={ignore_index}, got {int(wrong[0])}; "
                "check the labels or the number of classes"
            )
    column = target.unsqueeze(axis)
    shape = [classes if a == axis else 1 for a in range(input.ndim)]
    counter = st.arange(classes, dtype=target.dtype, device=target.device).reshape(*shape)
    # A comparison instead of a gather: it fuses with the softmax, and its gradient needs no scatter.
    return counter == column, column != ignore_index


def _class_weight(op: str, weight: Tensor | None, input: Tensor, axis: int) -> Tensor | None:
    """The class weights, shaped to broadcast against the input."""
    if weight is None:
        return None
    if tuple(weight.shape) != (input.shape[axis],):
        raise ShapeError(
            f"[{op}] expected weight of shape=({input.shape[axis]},), got shape={tuple(weight.shape)}; one a class"
        )
    return weight.reshape(*[-1 if a == axis else 1 for a in range(input.ndim)])


def _picked(
    op: str, values: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """The negative log likelihood of class indices, with label smoothing."""
    axis = _class_axis(op, values)
    hit, counts = _hits(op, values, target, axis, ignore_index)
    weights = _class_weight(op, weight, values, axis)
    hit = hit & counts
    weighted = values if weights is None else values * weights
    loss = -st.where(hit, weighted, 0.0).sum(axis=axis)
    if smoothing:
        even = -st.where(counts, weighted, 0.0).sum(axis=axis)
        loss = loss * (1 - smoothing) + even * (smoothing / values.shape[axis])
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if weights is None:
        total = counts.to(values.dtype).sum()
    else:
        total = st.where(hit, weights.to(values.dtype), 0.0).sum()
    return loss.sum() / total


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Negative log likelihood of log-probabilities (C,) or (N, C, ...) and class indices without the class axis.

    Raises `ShapeError`, `DTypeError`, and `IndexOutOfRange` for a class that does not exist.

    >>> import numpy as np
    >>> from spiraltorch import tensor
    >>> from spiraltorch.nn import functional as F
    >>> F.nll_loss(tensor([[-1.0, -2.0]]), tensor(np.array([1]))).item()
    2.0
    """
    _check_reduction("nll_loss", reduction)
    return _picked("nll_loss", input, target, weight, ignore_index, reduction, 0.0)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy between logits (C,) or (N, C, ...) and class indices, or class probabilities of the same shape.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`, and `IndexOutOfRange` for a class that does not exist.

    >>> import numpy as np
    >>> from spiraltorch import tensor
    >>> from spiraltorch.nn import functional as F
    >>> round(F.cross_entropy(tensor([[0.0, 0.0]]), tensor(np.array([1]))).item(), 4)
    0.6931
    """
    _check_reduction("cross_entropy", reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"[cross_entropy] expected label_smoothing in [0, 1], got {label_smoothing}; change it")
    axis = _class_axis("cross_entropy", input)
    values = st.log_softmax(input, axis=axis)
    if not (target.dtype.is_float and tuple(target.shape) == tuple(input.shape)):
        return _picked("cross_entropy", values, target, weight, ignore_index, reduction, label_smoothing)
    weights = _class_weight("cross_entropy", weight, input, axis)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    loss = -(values * target if weights is None else values * target * weights).sum(axis=axis)
    return _reduce(loss, reduction)


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Squared difference. Raises `ShapeError` where the shapes differ."""
    _check_reduction("mse_loss", reduction)
    _same_shape("mse_loss", input, target)
    difference = input - target
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Absolute difference. Raises `ShapeError` where the shapes differ."""
    _check_reduction("l1_loss", reduction)
    _same_shape("l1_loss", input, target)
    return _reduce(st.abs(input - target), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Quadratic below `beta`, linear above: `d*d/(2*beta)` and `d - beta/2`."""
    if not beta >= 0:
        raise ArgumentError(f"[smooth_l1_loss] expected beta >= 0, got {beta}; change it")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _check_reduction("smooth_l1_loss", reduction)
    _same_shape("smooth_l1_loss", input, target)
    distance = st.abs(input - target)
    return _reduce(st.where(distance < beta, distance * distance * (0.5 / beta), distance - 0.5 * beta), reduction)


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Quadratic below `delta`, linear above: `d*d/2` and `delta * (d - delta/2)`."""
    if not delta > 0:
        raise ArgumentError(f"[huber_loss] expected delta > 0, got {delta}; change it")
    _check_reduction("huber_loss", reduction)
    _same_shape("huber_loss", input, target)
    distance = st.abs(input - target)
    return _reduce(st.where(distance <= delta, distance * distance * 0.5, (distance - 0.5 * delta) * delta), reduction)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Cross entropy of probabilities; logarithms are cut at -100 as in PyTorch."""
    _check_reduction("binary_cross_entropy", reduction)
    _same_shape("binary_cross_entropy", input, target)
    loss = -(target * _safe_log(input) + (1.0 - target) * _safe_log(1.0 - input))
    return _reduce(loss if weight is None else loss * weight, reduction)


def _safe_log(x: Tensor) -> Tensor:
    """max(log(x), -100) with a finite gradient at 0."""
    positive = x > math.exp(-87.0)
    return st.where(positive, st.log(st.where(positive, x, 1.0)), -100.0)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy of logits, without overflow; `pos_weight` scales the positive class."""
    _check_reduction("binary_cross_entropy_with_logits", reduction)
    _same_shape("binary_cross_entropy_with_logits", input, target)
    penalty = softplus(-input, threshold=float("inf"))
    if pos_weight is not None:
        penalty = penalty * ((pos_weight - 1.0) * target + 1.0)
    loss = (1.0 - target) * input + penalty
    return _reduce(loss if weight is None else loss * weight, reduction)


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Divergence of log-probabilities from probabilities; `batchmean` divides the sum by the first extent."""
    _check_reduction("kl_div", reduction, "batchmean")
    if log_target:
        loss = st.exp(target) * (target - input)
    else:
        positive = target > 0
        loss = st.where(positive, target * st.log(st.where(positive, target, 1.0)), 0.0) - target * input
    if reduction == "batchmean":
        return loss.sum() / (loss.shape[0] if loss.ndim else 1)
    return _reduce(loss, reduction)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between two tensors along `dim`."""
    product = (x1 * x2).sum(axis=dim)
    norms = [st.sqrt(st.maximum((x * x).sum(axis=dim), eps * eps)) for x in (x1, x2)]
    return product / (norms[0] * norms[1])
