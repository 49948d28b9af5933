"""Adagrad."""

from __future__ import annotations

import spiraltorch as st

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Params, at_least_float32, compute_dtype
from .param_group import ParamGroup


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011), with PyTorch's formula.

    g = gradient + weight_decay * p; s = s + g**2; p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps) at
    step t.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        lr_decay: the decay of the learning rate.
        weight_decay: the factor of the L2 penalty.
        initial_accumulator_value: the initial value of s.
        eps: the constant added to the divisor for numerical stability.
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.Adagrad([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, gradient = at_least_float32(p), self._gradient(group, p)
            if group["weight_decay"]:
                gradient = gradient + value * self._number(group, p, "weight_decay")
            lr = self._number(group, p, "lr")
            if group["lr_decay"]:
                counter = self._counter(p)
                assert counter is not None
                steps_before = counter.to(compute_dtype(p)) - 1.0
                lr = lr / (steps_before * self._number(group, p, "lr_decay") + 1.0)
            accumulator = self._state_tensor(p, "sum", group["initial_accumulator_value"])
            total = at_least_float32(accumulator) + gradient * gradient
            self._set(accumulator, total)
            self._set(p, value - gradient / (st.sqrt(total) + self._number(group, p, "eps")) * lr)
