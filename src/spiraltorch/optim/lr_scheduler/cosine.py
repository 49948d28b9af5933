"""Schedules along half cosines."""

from __future__ import annotations

import math

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, check_not_negative


class CosineAnnealingLR(LRScheduler):
    """A half cosine from the initial rate to `eta_min` in `T_max` epochs (Loshchilov and Hutter, 2017).

    eta_min + (initial - eta_min) * (1 + cos(pi * epoch / T_max)) / 2, as a recursion.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        T_max: the number of epochs to the lowest rate.
        eta_min: the lowest rate.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        >>> schedule.step()
        >>> [round(lr, 4) for lr in schedule.get_last_lr()]
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check_not_negative("CosineAnnealingLR", eta_min=eta_min)
        if T_max < 1:
            raise ArgumentError(f"[CosineAnnealingLR] expected T_max >= 1, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, span, low = self.last_epoch, self.T_max, self.eta_min
        if epoch == 0:
            return self._current
        if (epoch - 1 - span) % (2 * span) == 0:
            rise = (1 - math.cos(math.pi / span)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self._current, self.base_lrs)]
        ratio = (1 + math.cos(math.pi * epoch / span)) / (1 + math.cos(math.pi * (epoch - 1) / span))
        return [ratio * (lr - low) + low for lr in self._current]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines that start again, each `T_mult` times as long as the one before (Loshchilov and Hutter, 2017).

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        T_0: the number of epochs of the first half cosine.
        T_mult: the factor of the number of epochs.
        eta_min: the lowest rate.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
        >>> schedule.step()
        >>> [round(lr, 4) for lr in schedule.get_last_lr()]
        [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_not_negative("CosineAnnealingWarmRestarts", eta_min=eta_min)
        if T_0 < 1 or T_mult < 1:
            raise ArgumentError(
                f"[CosineAnnealingWarmRestarts] expected T_0 and T_mult >= 1, got {T_0} and {T_mult}; change them"
            )
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, span = self.last_epoch, self.T_0
        while epoch >= span:
            epoch, span = epoch - span, span * self.T_mult
        factor = (1 + math.cos(math.pi * epoch / span)) / 2
        return [self.eta_min + (base - self.eta_min) * factor for base in self.base_lrs]


class WarmupCosineLR(LRScheduler):
    """Linear up to the initial rate in `warmup_steps`, then a half cosine to `eta_min` at `total_steps`.

    initial * (step + 1) / (warmup_steps + 1) in the warm-up.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        warmup_steps: the number of steps of the warm-up.
        total_steps: the step from which on the rate is `eta_min`.
        eta_min: the lowest rate.
        last_epoch: the number of the last step; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.WarmupCosineLR(optimizer, warmup_steps=3, total_steps=10)
        >>> schedule.get_last_lr()
        [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_not_negative("WarmupCosineLR", warmup_steps=warmup_steps, eta_min=eta_min)
        if total_steps <= warmup_steps:
            raise ArgumentError(
                f"[WarmupCosineLR] expected total_steps > warmup_steps={warmup_steps}, got {total_steps}; change one"
            )
        self.warmup_steps, self.total_steps, self.eta_min = warmup_steps, total_steps, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, warmup = self.last_epoch, self.warmup_steps
        if epoch < warmup:
            return [base * (epoch + 1) / (warmup + 1) for base in self.base_lrs]
        progress = min((epoch - warmup) / (self.total_steps - warmup), 1.0)
        factor = (1 + math.cos(math.pi * progress)) / 2
        return [self.eta_min + (base - self.eta_min) * factor for base in self.base_lrs]
