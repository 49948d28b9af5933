"""Losses. The gradient of every loss flows to `input`; results have the input's dtype.

Losses of float16 and bfloat16 are computed in float32 and rounded once.
"""

from __future__ import annotations

import spiraltorch as st

from ...errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from ...runtime import device
from ...tensor.arguments import axis_of
from ...tensor.ops.index_checks import with_bounds_check
from ...tensor.tensor import Tensor
from ...tensor.tracing.tracer import recorder
from .activation import softplus
from .precision import in_float32


def _check_reduction(op: str, reduction: str, *more: str) -> None:
    """Raises `ArgumentError` unless `reduction` is `none`, `mean`, `sum` or one of `more`."""
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        raise ArgumentError(f"[{op}] expected reduction {', '.join(known)}, got {reduction!r}; choose one")


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    """The mean, the sum, or the loss of each element."""
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _check_same_shape(op: str, input: Tensor, target: Tensor) -> None:
    """Raises `ShapeError` where the shapes differ."""
    if tuple(input.shape) != tuple(target.shape):
        raise ShapeError(
            f"[{op}] expected input and target of one shape, got shape={tuple(input.shape)} and "
            f"shape={tuple(target.shape)}; reshape or expand one of them"
        )


def _class_axis(op: str, input: Tensor) -> int:
    """The axis of the classes: 0 for one element (C,), 1 for a batch (N, C, ...)."""
    if input.ndim == 0:
        raise ShapeError(f"[{op}] expected input of shape (C,) or (N, C, ...), got shape=(); add the class axis")
    return 0 if input.ndim == 1 else 1


def _one_hot_target(op: str, input: Tensor, target: Tensor, axis: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Class indices as booleans.

    Returns:
        Which class each target names, with the class axis, and which targets are not ignored, with that axis at 1.
    """
    expected = tuple(input.shape[:axis]) + tuple(input.shape[axis + 1 :])
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"[{op}] expected target of shape={expected} for input of shape={tuple(input.shape)}, "
            f"got shape={tuple(target.shape)}; class indices have no class axis"
        )
    if not target.dtype.is_integer:
        raise DTypeError(f"[{op}] expected class indices of an integer dtype, got dtype={target.dtype.name}; cast them")
    classes = input.shape[axis]
    target = _checked_classes(op, target, classes, ignore_index)
    column = target.unsqueeze(axis)
    shape = [classes if a == axis else 1 for a in range(input.ndim)]
    counter = st.arange(classes, dtype=target.dtype, device=target.device).reshape(*shape)
    # A comparison instead of a gather: it fuses with the softmax, and its gradient needs no scatter.
    return counter == column, column != ignore_index


def _checked_classes(op: str, target: Tensor, classes: int, ignore_index: int) -> Tensor:
    """The targets, with `IndexOutOfRange` for one that is neither a class nor `ignore_index`.

    Targets in memory that the host shares are checked at once, others there when they are computed. Targets on another
    device are not checked, as the host would have to wait for them.
    """
    if not device.get(target.device).host_memory or not target.size:
        return target
    if recorder() is not None or target.node.buf is None:
        ignored = target == ignore_index
        return st.where(ignored, ignore_index, with_bounds_check(st.where(ignored, 0, target), 0, classes, op))
    values = target.numpy()
    wrong = values[((values < 0) | (values >= classes)) & (values != ignore_index)]
    if wrong.size:
        raise IndexOutOfRange(
            f"[{op}] expected targets in [0, {classes}) or ignore_index={ignore_index}, got {int(wrong[0])}; "
            "check the labels or the number of classes"
        )
    return target


def _class_weight(op: str, weight: Tensor | None, input: Tensor, axis: int) -> Tensor | None:
    """The class weights, shaped to broadcast against the input."""
    if weight is None:
        return None
    if tuple(weight.shape) != (input.shape[axis],):
        raise ShapeError(
            f"[{op}] expected weight of shape=({input.shape[axis]},), got shape={tuple(weight.shape)}; pass one weight for each class"
        )
    return weight.reshape(*[-1 if a == axis else 1 for a in range(input.ndim)])


def _nll_of_indices(
    op: str,
    log_probs: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """The negative log likelihood of class indices, with label smoothing."""
    axis = _class_axis(op, log_probs)
    one_hot, counted = _one_hot_target(op, log_probs, target, axis, ignore_index)
    weights = _class_weight(op, weight, log_probs, axis)
    one_hot = one_hot & counted
    weighted = log_probs if weights is None else log_probs * weights
    loss = -st.where(one_hot, weighted, 0.0).sum(axis=axis)
    if smoothing:
        uniform = -st.where(counted, weighted, 0.0).sum(axis=axis)
        loss = loss * (1 - smoothing) + uniform * (smoothing / log_probs.shape[axis])
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if weights is None:
        total = counted.to(log_probs.dtype).sum()
    else:
        total = st.where(one_hot, weights.to(log_probs.dtype), 0.0).sum()
    return loss.sum() / total


@in_float32
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Negative log likelihood: -input[n, target[n]].

    Args:
        input: logarithms of probabilities, shape (C,) or (N, C, *).
        target: integers in [0, C), shape () or (N, *).
        weight: a factor for each class, shape (C,); `mean` divides by the sum of the targets' factors.
        ignore_index: a target that does not count.
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the target's shape.

    Raises:
        ShapeError: `target` is not of the input's shape without the class axis.
        DTypeError: `target` is not of an integer dtype.
        IndexOutOfRange: a target is neither a class nor `ignore_index`.
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.nll_loss(st.tensor([[-1.0, -2.0]]), st.tensor([1])).item()
        2.0
    """
    _check_reduction("nll_loss", reduction)
    return _nll_of_indices("nll_loss", input, target, weight, ignore_index, reduction, 0.0)


@in_float32
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of softmax(input) and a target: -log(softmax(input))[n, target[n]].

    Args:
        input: logits, shape (C,) or (N, C, *).
        target: integers in [0, C), shape () or (N, *), or probabilities of the classes, of the input's shape.
        weight: a factor for each class, shape (C,); `mean` divides by the sum of the targets' factors.
        ignore_index: a target that does not count.
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        label_smoothing: the fraction of the target that is distributed evenly over all classes (Szegedy et al., 2016).

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape without the class axis.

    Raises:
        ShapeError: the target's shape does not fit.
        DTypeError: class indices are not of an integer dtype.
        IndexOutOfRange: a target is neither a class nor `ignore_index`.
        ArgumentError: an unknown `reduction`, or `label_smoothing` outside [0, 1].

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.cross_entropy(st.tensor([[0.0, 0.0]]), st.tensor([1])).item(), 4)
        0.6931
    """
    _check_reduction("cross_entropy", reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"[cross_entropy] expected label_smoothing in [0, 1], got {label_smoothing}")
    axis = _class_axis("cross_entropy", input)
    log_probs = st.log_softmax(input, axis=axis)
    if not (target.dtype.is_float and tuple(target.shape) == tuple(input.shape)):
        return _nll_of_indices("cross_entropy", log_probs, target, weight, ignore_index, reduction, label_smoothing)
    weights = _class_weight("cross_entropy", weight, input, axis)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    loss = -(log_probs * target if weights is None else log_probs * target * weights).sum(axis=axis)
    return _reduce(loss, reduction)


@in_float32
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Squared difference: (input - target)**2.

    Args:
        input: shape (*), a floating dtype.
        target: shape (*).
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.mse_loss(st.tensor([1.0, 2.0]), st.tensor([1.0, 4.0])).item()
        2.0
    """
    _check_reduction("mse_loss", reduction)
    _check_same_shape("mse_loss", input, target)
    difference = input - target
    return _reduce(difference * difference, reduction)


@in_float32
def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Absolute difference: |input - target|.

    Args:
        input: shape (*), a floating dtype.
        target: shape (*).
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.l1_loss(st.tensor([1.0, 2.0]), st.tensor([1.0, 4.0])).item()
        1.0
    """
    _check_reduction("l1_loss", reduction)
    _check_same_shape("l1_loss", input, target)
    return _reduce(st.abs(input - target), reduction)


@in_float32
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """d**2 / (2 * beta) where d = |input - target| < beta, elsewhere d - beta / 2 (Girshick, 2015).

    Args:
        input: shape (*), a floating dtype.
        target: shape (*).
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        beta: the difference at which the loss becomes linear; 0 gives `l1_loss`.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`, or `beta` < 0.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.smooth_l1_loss(st.tensor([1.0]), st.tensor([4.0])).item()
        2.5
    """
    if not beta >= 0:
        raise ArgumentError(f"[smooth_l1_loss] expected beta >= 0, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    _check_reduction("smooth_l1_loss", reduction)
    _check_same_shape("smooth_l1_loss", input, target)
    distance = st.abs(input - target)
    near = st.minimum(distance, beta)  # without a condition, through which an infinite distance would give NaN
    return _reduce(near * near * (0.5 / beta) + (distance - near), reduction)


@in_float32
def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d**2 / 2 where d = |input - target| <= delta, elsewhere delta * (d - delta / 2) (Huber, 1964).

    Args:
        input: shape (*), a floating dtype.
        target: shape (*).
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        delta: the difference at which the loss becomes linear.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`, or `delta` <= 0.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.huber_loss(st.tensor([1.0]), st.tensor([4.0]), delta=2.0).item()
        4.0
    """
    if not delta > 0:
        raise ArgumentError(f"[huber_loss] expected delta > 0, got {delta}")
    _check_reduction("huber_loss", reduction)
    _check_same_shape("huber_loss", input, target)
    distance = st.abs(input - target)
    near = st.minimum(distance, delta)  # without a condition, through which an infinite distance would give NaN
    return _reduce(near * near * 0.5 + (distance - near) * delta, reduction)


_LEAST_DIVISOR = 1e-12  # as in PyTorch, so that a probability of 0 or 1 that is wrong has a finite gradient


@in_float32
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), with logarithms of at least -100.

    Their derivatives are at most 1e12, as in PyTorch.

    Args:
        input: probabilities, shape (*), a floating dtype.
        target: probabilities, shape (*).
        weight: a factor for each element, broadcastable to the input's shape.
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.functional.binary_cross_entropy(st.tensor([0.5]), st.tensor([1.0])).item(), 4)
        0.6931
    """
    _check_reduction("binary_cross_entropy", reduction)
    _check_same_shape("binary_cross_entropy", input, target)
    loss = -(target * _limited_log(input, False) + (1.0 - target) * _limited_log(input, True))
    return _reduce(loss if weight is None else loss * weight, reduction)


def _limited_log(x: Tensor, complement: bool) -> Tensor:
    """max(log(p), -100) where p is x, or 1 - x for the complement. Its derivative by p is 1 / max(p, 1e-12)."""
    p = 1.0 - x if complement else x
    limited = p <= _LEAST_DIVISOR
    held = x.detach()
    line = st.maximum(st.log1p(-held) if complement else st.log(held), -100.0) + (p - p.detach()) / _LEAST_DIVISOR
    inside = st.where(limited, 0.5, x)
    return st.where(limited, line, st.log1p(-inside) if complement else st.log(inside))


@in_float32
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), without overflow.

    Args:
        input: logits, shape (*), a floating dtype.
        target: probabilities, shape (*).
        weight: a factor for each element, broadcastable to the input's shape.
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        pos_weight: a factor for the term of the positive class, broadcastable to the input's shape.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> x, y = st.tensor([0.0]), st.tensor([1.0])
        >>> round(st.nn.functional.binary_cross_entropy_with_logits(x, y).item(), 4)
        0.6931
    """
    _check_reduction("binary_cross_entropy_with_logits", reduction)
    _check_same_shape("binary_cross_entropy_with_logits", input, target)
    penalty = softplus(-input, threshold=float("inf"))
    if pos_weight is not None:
        penalty = penalty * ((pos_weight - 1.0) * target + 1.0)
    loss = (1.0 - target) * input + penalty
    return _reduce(loss if weight is None else loss * weight, reduction)


@in_float32
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence: target * (log(target) - input).

    Args:
        input: logarithms of probabilities, shape (*), a floating dtype.
        target: probabilities, shape (*).
        reduction: `mean`, `sum`, `batchmean` (the sum divided by the first extent), or `none`.
        log_target: whether `target` holds logarithms of probabilities.

    Returns:
        A 0-d tensor of the input's dtype; with `none` one of the input's shape.

    Raises:
        ArgumentError: an unknown `reduction`.

    Example:
        >>> import spiraltorch as st
        >>> x, y = st.log(st.tensor([[0.5, 0.5]])), st.tensor([[1.0, 0.0]])
        >>> round(st.nn.functional.kl_div(x, y, reduction="batchmean").item(), 4)
        0.6931
    """
    _check_reduction("kl_div", reduction, "batchmean")
    if log_target:
        loss = st.exp(target) * (target - input)
    else:
        positive = target > 0
        loss = st.where(positive, target * st.log(st.where(positive, target, 1.0)), 0.0) - target * input
    if reduction == "batchmean":
        return loss.sum() / (loss.shape[0] if loss.ndim else 1)
    return _reduce(loss, reduction)


@in_float32
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors: sum(x1 * x2) / (max(|x1|, eps) * max(|x2|, eps)).

    Args:
        x1: vectors along `dim`, a floating dtype.
        x2: vectors along `dim`, of a shape that broadcasts with that of `x1`.
        dim: the axis of the vectors.
        eps: the smallest norm that is used as a divisor.

    Returns:
        A tensor of the broadcast shape without `dim`.

    Raises:
        ShapeError: the shapes do not broadcast.
        IndexOutOfRange: `dim` is not an axis of the broadcast shape.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.functional.cosine_similarity(st.tensor([[2.0, 0.0]]), st.tensor([[1.0, 0.0]])).item()
        1.0
    """
    shape = st.broadcast_shapes(x1.shape, x2.shape)
    axis = axis_of(dim, len(shape), "cosine_similarity")
    units = []
    for x in (x1, x2):
        own = [1] * (len(shape) - x.ndim) + list(x.shape)
        along = [shape[axis] if d == axis else e for d, e in enumerate(own)]  # not broadcast further: one norm a vector
        x = x.reshape(own).expand(along)
        units.append(x / st.clip(st.linalg.vector_norm(x, axis=axis, keepdims=True), min=eps))
    return (units[0] * units[1]).sum(axis=axis)
