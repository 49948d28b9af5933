"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import spiraltorch as st

from ..tensor.tensor import Tensor
from .group import ParamGroup
from .optimizer import Optimizer, compute_dtype, wide


def _rest1(betas: Any) -> float:
    return float(1.0 - betas[0])


def _rest2(betas: Any) -> float:
    return float(1.0 - betas[1])


def _log1(betas: Any) -> float:
    return math.log(betas[0]) if betas[0] else -math.inf


def _log2(betas: Any) -> float:
    return math.log(betas[1]) if betas[1] else -math.inf


def _second(betas: Any) -> float:
    return float(betas[1])


class Adam(Optimizer):
    """Adam as in PyTorch; `weight_decay` is added to the gradient.

    >>> from spiraltorch import nn, ones, optim
    >>> p = nn.Parameter(ones(2))
    >>> (p * p).sum().backward()
    >>> optim.Adam([p], lr=0.5).step()
    >>> round(p[0].item(), 4)
    0.5
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        # Learning rate and bias corrections are the same for all parameters that share a counter.
        shared: dict[Any, tuple[Any, Any, Any]] = {}
        for p in params:
            counter = self.state[p]["step"]
            key = (id(counter), compute_dtype(p), p.device)
            if key not in shared:
                count, lr = counter.to(compute_dtype(p)), self._number(group, p, "lr")
                # 1 - beta**step by expm1: the difference of two float32 numbers near 1 has lost half its digits.
                correction1 = -st.expm1(count * self._number(group, p, "betas", _log1, "log1"))
                correction2 = -st.expm1(count * self._number(group, p, "betas", _log2, "log2"))
                shared[key] = lr, lr / correction1, st.rsqrt(correction2)
            self._one(group, p, *shared[key])

    def _one(self, group: ParamGroup, p: Tensor, lr: Any, size: Any, scale: Any) -> None:
        """Records the update of one parameter."""
        value, grad = wide(p), self._grad(group, p)
        if group["weight_decay"]:
            decay = self._number(group, p, "weight_decay")
            if self.decoupled:
                value = value * (1.0 - lr * decay)
            else:
                grad = grad + value * decay
        mean, square = self._slot(p, "exp_avg"), self._slot(p, "exp_avg_sq")
        mean_now, square_now = wide(mean), wide(square)
        mean_now = mean_now + (grad - mean_now) * self._number(group, p, "betas", _rest1, "rest1")
        kept = square_now * self._number(group, p, "betas", _second, "second")
        square_now = kept + grad * grad * self._number(group, p, "betas", _rest2, "rest2")
        self._put(mean, mean_now)
        self._put(square, square_now)
        if group["amsgrad"]:
            largest = self._slot(p, "max_exp_avg_sq")
            square_now = st.maximum(wide(largest), square_now)
            self._put(largest, square_now)
        self._put(p, value - mean_now / (st.sqrt(square_now) * scale + self._number(group, p, "eps")) * size)


class AdamW(Adam):
    """Adam whose `weight_decay` shrinks the parameters directly."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
