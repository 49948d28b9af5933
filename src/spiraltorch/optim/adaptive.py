"""RMSprop, Adagrad and Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import spiraltorch as st

from ..tensor.tensor import Tensor
from .group import ParamGroup
from .optimizer import Optimizer, compute_dtype, wide


def _rest(value: Any) -> Any:
    return 1.0 - value


def _rest1(betas: Any) -> Any:
    return 1.0 - betas[0]


def _rest2(betas: Any) -> Any:
    return 1.0 - betas[1]


class RMSprop(Optimizer):
    """RMSprop as in PyTorch, centred or not, with momentum."""

    def __init__(
        self,
        params: Iterable[Any],
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
            value, grad = wide(p), self._grad(group, p)
            if group["weight_decay"]:
                grad = grad + value * self._number(group, p, "weight_decay")
            alpha, rest = (
                self._number(group, p, "alpha"),
                self._number(group, p, "alpha", _rest, "rest"),
            )
            square = self._slot(p, "square_avg")
            square_now = wide(square) * alpha + grad * grad * rest
            self._put(square, square_now)
            if group["centered"]:
                mean = self._slot(p, "grad_avg")
                mean_now = wide(mean) + (grad - wide(mean)) * rest
                self._put(mean, mean_now)
                square_now = square_now - mean_now * mean_now
            move = grad / (st.sqrt(square_now) + self._number(group, p, "eps"))
            if group["momentum"]:
                kept = self._slot(p, "momentum_buffer")
                move = wide(kept) * self._number(group, p, "momentum") + move
                self._put(kept, move)
            self._put(p, value - move * self._number(group, p, "lr"))


class Adagrad(Optimizer):
    """Adagrad as in PyTorch."""

    def __init__(
        self,
        params: Iterable[Any],
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
            value, grad = wide(p), self._grad(group, p)
            if group["weight_decay"]:
                grad = grad + value * self._number(group, p, "weight_decay")
            lr = self._number(group, p, "lr")
            if group["lr_decay"]:
                before = self.state[p]["step"].to(compute_dtype(p)) - 1.0
                lr = lr / (before * self._number(group, p, "lr_decay") + 1.0)
            total = self._slot(p, "sum", group["initial_accumulator_value"])
            total_now = wide(total) + grad * grad
            self._put(total, total_now)
            self._put(p, value - grad / (st.sqrt(total_now) + self._number(group, p, "eps")) * lr)


class Lion(Optimizer):
    """Lion (Chen et al. 2023): the sign of an average of momentum and gradient, with decoupled weight decay."""

    counter = None

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        for p in params:
            value, grad, lr = wide(p), self._grad(group, p), self._number(group, p, "lr")
            kept = self._slot(p, "exp_avg")
            now = wide(kept)
            move = st.sign(now + (grad - now) * self._number(group, p, "betas", _rest1, "rest1"))
            if group["weight_decay"]:
                value = value * (1.0 - lr * self._number(group, p, "weight_decay"))
            self._put(kept, now + (grad - now) * self._number(group, p, "betas", _rest2, "rest2"))
            self._put(p, value - move * lr)
