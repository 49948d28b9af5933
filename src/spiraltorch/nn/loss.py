"""Losses as layers. `nn.functional` has the same functions, with their shapes, dtypes and errors."""

from __future__ import annotations

from ..tensor.tensor import Tensor
from . import functional as F
from .module import Module


class _Loss(Module):
    """Base of the losses: `reduction`."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class _WeightedLoss(_Loss):
    """Base of the losses that have a buffer `weight`."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Cross entropy of softmax(input) and a target: -log(softmax(input))[n, target[n]].

    Args:
        weight: a factor for each class, shape (C,); `mean` divides by the sum of the targets' factors.
        ignore_index: a target that does not count.
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        label_smoothing: the fraction of the target that is distributed evenly over all classes (Szegedy et al., 2016).

    Shape:
        input: logits (C,) or (N, C, *); target: integers in [0, C) of shape () or (N, *), or probabilities of the
        input's shape; output () or, with `none`, the input's shape without the class axis.

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.CrossEntropyLoss()(st.tensor([[0.0, 0.0]]), st.tensor([1])).item(), 4)
        0.6931
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.cross_entropy`."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Negative log likelihood: -input[n, target[n]].

    Args:
        weight: a factor for each class, shape (C,); `mean` divides by the sum of the targets' factors.
        ignore_index: a target that does not count.
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Shape:
        input: logarithms of probabilities (C,) or (N, C, *); target: integers in [0, C) of shape () or (N, *);
        output () or, with `none`, the target's shape.

    Example:
        >>> import spiraltorch as st
        >>> st.nn.NLLLoss()(st.tensor([[-1.0, -2.0]]), st.tensor([1])).item()
        2.0
    """

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.nll_loss`."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(_Loss):
    """Squared difference: (input - target)**2.

    Args:
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Shape:
        input (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.MSELoss()(st.tensor([1.0, 2.0]), st.tensor([1.0, 4.0])).item()
        2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.mse_loss`."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """Absolute difference: |input - target|.

    Args:
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Shape:
        input (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.L1Loss()(st.tensor([1.0, 2.0]), st.tensor([1.0, 4.0])).item()
        1.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.l1_loss`."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d**2 / (2 * beta) where d = |input - target| < beta, elsewhere d - beta / 2 (Girshick, 2015).

    Args:
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        beta: the difference at which the loss becomes linear; 0 gives `L1Loss`.

    Shape:
        input (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.SmoothL1Loss()(st.tensor([1.0]), st.tensor([4.0])).item()
        2.5
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.smooth_l1_loss`."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d**2 / 2 where d = |input - target| <= delta, elsewhere delta * (d - delta / 2) (Huber, 1964).

    Args:
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        delta: the difference at which the loss becomes linear.

    Shape:
        input (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> st.nn.HuberLoss(delta=2.0)(st.tensor([1.0]), st.tensor([4.0])).item()
        4.0
    """

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.huber_loss`."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """-(target * log(input) + (1 - target) * log(1 - input)), with logarithms of at least -100.

    Args:
        weight: a factor for each element, broadcastable to the input's shape.
        reduction: `mean`, `sum`, or `none` for the loss of each element.

    Shape:
        input: probabilities (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.BCELoss()(st.tensor([0.5]), st.tensor([1.0])).item(), 4)
        0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.binary_cross_entropy`."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """`BCELoss` of sigmoid(input), without overflow.

    Args:
        weight: a factor for each element, broadcastable to the input's shape.
        reduction: `mean`, `sum`, or `none` for the loss of each element.
        pos_weight: a factor for the term of the positive class, broadcastable to the input's shape.

    Shape:
        input: logits (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> round(st.nn.BCEWithLogitsLoss()(st.tensor([0.0]), st.tensor([1.0])).item(), 4)
        0.6931
    """

    pos_weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.binary_cross_entropy_with_logits`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence: target * (log(target) - input).

    Args:
        reduction: `mean`, `sum`, `batchmean` (the sum divided by the first extent), or `none`.
        log_target: whether the target holds logarithms of probabilities.

    Shape:
        input: logarithms of probabilities (*), target (*); output () or, with `none`, (*).

    Example:
        >>> import spiraltorch as st
        >>> x, y = st.log(st.tensor([[0.5, 0.5]])), st.tensor([[1.0, 0.0]])
        >>> round(st.nn.KLDivLoss(reduction="batchmean")(x, y).item(), 4)
        0.6931
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Computes the loss; see `functional.kl_div`."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
