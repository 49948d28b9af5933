"""Adam and AdamW."""

from __future__ import annotations

import math

import spiraltorch as st

from ..tensor.tensor import Tensor
from .optimizer import Optimizer, Params, at_least_float32, compute_dtype
from .param_group import ParamGroup


def _one_minus_beta1(betas: tuple[float, float]) -> float:
    return float(1.0 - betas[0])


def _one_minus_beta2(betas: tuple[float, float]) -> float:
    return float(1.0 - betas[1])


def _beta2(betas: tuple[float, float]) -> float:
    return float(betas[1])


def _log_beta1(betas: tuple[float, float]) -> float:
    return math.log(betas[0]) if betas[0] else -math.inf


def _log_beta2(betas: tuple[float, float]) -> float:
    return math.log(betas[1]) if betas[1] else -math.inf


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with PyTorch's formula.

    g = gradient + weight_decay * p; m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2;
    p = p - lr * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps) at step t.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        betas: the decay of the averages of the gradient and of its square.
        eps: the constant added to the divisor for numerical stability.
        weight_decay: the factor of the L2 penalty, which is added to the gradient.
        amsgrad: whether the largest v so far is used (Reddi et al., 2018).
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.Adam([p], lr=0.5).step()
        >>> round(p[0].item(), 4)
        0.5
    """

    decoupled = False

    def __init__(
        self,
        params: Params,
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
        shared: dict[tuple[object, ...], tuple[float | Tensor, Tensor, Tensor]] = {}
        for p in params:
            counter = self._counter(p)
            assert counter is not None
            key = (id(counter), compute_dtype(p), p.device)
            if key not in shared:
                count, lr = counter.to(compute_dtype(p)), self._number(group, p, "lr")
                # 1 - beta**step by expm1: the difference of two float32 numbers near 1 has lost half its digits.
                correction1 = -st.expm1(count * self._number(group, p, "betas", _log_beta1))
                correction2 = -st.expm1(count * self._number(group, p, "betas", _log_beta2))
                shared[key] = lr, lr / correction1, st.rsqrt(correction2)
            self._update_parameter(group, p, *shared[key])

    def _update_parameter(
        self, group: ParamGroup, p: Tensor, lr: float | Tensor, step_size: Tensor, scale: Tensor
    ) -> None:
        """Records the update of one parameter.

        Args:
            group: the parameter's group.
            p: the parameter.
            lr: the learning rate.
            step_size: lr / (1 - beta1**t).
            scale: 1 / sqrt(1 - beta2**t).
        """
        value, gradient = at_least_float32(p), self._gradient(group, p)
        if group["weight_decay"]:
            decay = self._number(group, p, "weight_decay")
            if self.decoupled:
                value = value * (1.0 - lr * decay)
            else:
                gradient = gradient + value * decay
        exp_avg, exp_avg_sq = self._state_tensor(p, "exp_avg"), self._state_tensor(p, "exp_avg_sq")
        mean, square = at_least_float32(exp_avg), at_least_float32(exp_avg_sq)
        mean = mean + (gradient - mean) * self._number(group, p, "betas", _one_minus_beta1)
        decayed = square * self._number(group, p, "betas", _beta2)
        square = decayed + gradient * gradient * self._number(group, p, "betas", _one_minus_beta2)
        self._set(exp_avg, mean)
        self._set(exp_avg_sq, square)
        if group["amsgrad"]:
            largest = self._state_tensor(p, "max_exp_avg_sq")
            square = st.maximum(at_least_float32(largest), square)
            self._set(largest, square)
        self._set(p, value - mean / (st.sqrt(square) * scale + self._number(group, p, "eps")) * step_size)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), with PyTorch's formula.

    p = p * (1 - lr * weight_decay) before the update of `Adam`, whose gradient has no penalty.

    Args:
        params: tensors of floating dtypes, or dicts with an entry `params` and settings of that group.
        lr: the learning rate.
        betas: the decay of the averages of the gradient and of its square.
        eps: the constant added to the divisor for numerical stability.
        weight_decay: the factor of the decoupled weight decay.
        amsgrad: whether the largest average of the square so far is used (Reddi et al., 2018).
        maximize: whether the objective is maximized instead of minimized.

    Raises:
        ArgumentError: an invalid setting, no parameters, or one parameter twice.
        DTypeError: a parameter is not a tensor, or not floating.

    Example:
        >>> import spiraltorch as st
        >>> p = st.nn.Parameter(st.ones(2))
        >>> (p * p).sum().backward()
        >>> st.optim.AdamW([p], lr=0.5, weight_decay=0.2).step()
        >>> round(p[0].item(), 4)
        0.4
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
