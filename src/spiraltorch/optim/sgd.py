"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import spiraltorch as st

from ..errors import ArgumentError
from ..tensor.tensor import Tensor
from .group import ParamGroup
from .optimizer import Optimizer, compute_dtype, wide


def _rest(value: Any) -> Any:
    return 1.0 - value


class SGD(Optimizer):
    """Gradient descent with momentum, dampening, weight decay and Nesterov's variant, as in PyTorch.

    >>> from spiraltorch import nn, ones, optim
    >>> p = nn.Parameter(ones(2))
    >>> (p * p).sum().backward()
    >>> optim.SGD([p], lr=0.25).step()
    >>> p.tolist()
    [0.5, 0.5]
    """

    counter = None

    def __init__(
        self,
        params: Iterable[Any],
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

    def _advance(self, params: list[Tensor]) -> None:
        # Only dampening has to know the first step, which is not dampened.
        damped = any(group["momentum"] and group["dampening"] for group in self.param_groups)
        self.counter = "_step" if damped else None
        super()._advance(params)

    def _first_count(self, p: Tensor) -> float:
        return 0.0 if self.state[p].get("momentum_buffer") is None else 1.0

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, grad = wide(p), self._grad(group, p)
            if group["weight_decay"]:
                grad = grad + value * self._number(group, p, "weight_decay")
            if group["momentum"]:
                momentum = self._number(group, p, "momentum")
                kept = self._slot(p, "momentum_buffer")
                fresh = grad
                if group["dampening"]:
                    first = self.state[p]["_step"] == 1.0
                    rest = self._number(group, p, "dampening", _rest)
                    fresh = grad * st.where(first, 1.0, rest).to(compute_dtype(p))
                moved = wide(kept) * momentum + fresh
                self._put(kept, moved)
                grad = grad + moved * momentum if group["nesterov"] else moved
            self._put(p, value - grad * self._number(group, p, "lr"))
