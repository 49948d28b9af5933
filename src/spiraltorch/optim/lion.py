"""Lion."""

from __future__ import annotations

import spiraltorch as st

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Params, at_least_float32
from .param_group import ParamGroup


def _one_minus_beta1(betas: tuple[float, float]) -> float:
    return 1.0 - betas[0]


def _one_minus_beta2(betas: tuple[float, float]) -> float:
    return 1.0 - betas[1]


class Lion(Optimizer):
    """Lion (Chen et al., 2023): the sign of an average of gradients, with decoupled weight decay.

    p = p * (1 - lr * weight_decay) - lr * sign(beta1 * m + (1 - beta1) * g); m = beta2 * m + (1 - beta2) * g.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        betas: the weight of the average in the update, and the decay of the average.
        weight_decay: the factor of the decoupled weight decay.
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.Lion([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    step_key = None

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, gradient, lr = at_least_float32(p), self._gradient(group, p), self._number(group, p, "lr")
            exp_avg = self._state_tensor(p, "exp_avg")
            mean = at_least_float32(exp_avg)
            move = st.sign(mean + (gradient - mean) * self._number(group, p, "betas", _one_minus_beta1))
            if group["weight_decay"]:
                value = value * (1.0 - lr * self._number(group, p, "weight_decay"))
            self._set(exp_avg, mean + (gradient - mean) * self._number(group, p, "betas", _one_minus_beta2))
            self._set(p, value - move * lr)
