"""RMSprop."""

from __future__ import annotations

import spiraltorch as st

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Params, at_least_float32
from .param_group import ParamGroup


def _complement(value: float) -> float:
    return 1.0 - value


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012), with PyTorch's formula.

    g = gradient + weight_decay * p; v = alpha * v + (1 - alpha) * g**2, less the square of g's average if `centered`;
    d = g / (sqrt(v) + eps); b = momentum * b + d; p = p - lr * b.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        alpha: the decay of the averages.
        eps: the constant added to the divisor for numerical stability.
        weight_decay: the factor of the L2 penalty.
        momentum: the momentum factor.
        centered: whether v estimates the variance (Graves, 2013).
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.RMSprop([p], lr=0.05).step()
        >>> round(p[0].item(), 4)
        0.5
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, gradient = at_least_float32(p), self._gradient(group, p)
            if group["weight_decay"]:
                gradient = gradient + value * self._number(group, p, "weight_decay")
            alpha = self._number(group, p, "alpha")
            one_minus_alpha = self._number(group, p, "alpha", _complement)
            square_avg = self._state_tensor(p, "square_avg")
            square = at_least_float32(square_avg) * alpha + gradient * gradient * one_minus_alpha
            self._set(square_avg, square)
            if group["centered"]:
                grad_avg = self._state_tensor(p, "grad_avg")
                mean = at_least_float32(grad_avg) + (gradient - at_least_float32(grad_avg)) * one_minus_alpha
                self._set(grad_avg, mean)
                square = square - mean * mean
            move = gradient / (st.sqrt(square) + self._number(group, p, "eps"))
            if group["momentum"]:
                buffer = self._state_tensor(p, "momentum_buffer")
                move = at_least_float32(buffer) * self._number(group, p, "momentum") + move
                self._set(buffer, move)
            self._set(p, value - move * self._number(group, p, "lr"))
