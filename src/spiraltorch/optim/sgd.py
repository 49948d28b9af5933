"""Stochastic gradient descent."""

from __future__ import annotations

import spiraltorch as st

from ..errors import ArgumentError
from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Params, at_least_float32, compute_dtype
from .param_group import ParamGroup


def _complement(value: float) -> float:
    return 1.0 - value


class SGD(Optimizer):
    """Gradient descent with momentum (Sutskever et al., 2013), with PyTorch's formula.

    g = gradient + weight_decay * p; v = momentum * v + (1 - dampening) * g, v = g at the first step;
    p = p - lr * v, or p - lr * (g + momentum * v) with `nesterov`.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        momentum: the momentum factor.
        dampening: the dampening of the momentum: the fraction of the gradient that is left out.
        weight_decay: the factor of the L2 penalty.
        nesterov: whether to use Nesterov momentum (Nesterov, 1983).
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.SGD([p], lr=0.25).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    step_key = None

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                f"[SGD] expected momentum > 0 and dampening 0 for nesterov, got {momentum} and {dampening}; change them"
            )

    def _count_step(self, params: list[Tensor]) -> None:
        # Only dampening has to know the first step, which is not dampened.
        damped = any(group["momentum"] and group["dampening"] for group in self.param_groups)
        self.step_key = "_step" if damped else None
        super()._count_step(params)

    def _initial_count(self, p: Tensor) -> float:
        return 0.0 if self.state[p].get("momentum_buffer") is None else 1.0

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, gradient = at_least_float32(p), self._gradient(group, p)
            if group["weight_decay"]:
                gradient = gradient + value * self._number(group, p, "weight_decay")
            if group["momentum"]:
                momentum = self._number(group, p, "momentum")
                buffer = self._state_tensor(p, "momentum_buffer")
                addend = gradient
                if group["dampening"]:
                    first = self._counter(p) == 1.0
                    factor = self._number(group, p, "dampening", _complement)
                    addend = gradient * st.where(first, 1.0, factor).to(compute_dtype(p))
                velocity = at_least_float32(buffer) * momentum + addend
                self._set(buffer, velocity)
                gradient = gradient + velocity * momentum if group["nesterov"] else velocity
            self._set(p, value - gradient * self._number(group, p, "lr"))
