"""Schedules that multiply the rate by a factor for the first epochs, constant or linear, as for a warm-up."""

from __future__ import annotations

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler


class ConstantLR(LRScheduler):
    """Multiplies the rate by `factor` for the first `total_iters` epochs.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        factor: the factor, in (0, 1].
        total_iters: the number of epochs.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 < factor <= 1:
            raise ArgumentError(f"[ConstantLR] expected factor in (0, 1], got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._current]
        return [lr / self.factor if self.last_epoch == self.total_iters else lr for lr in self._current]


class LinearLR(LRScheduler):
    """Multiplies the rate by a factor that goes linearly from `start_factor` to `end_factor` in `total_iters` epochs.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        start_factor: the factor of the first epoch, in (0, 1].
        end_factor: the factor from `total_iters` on, in [0, 1].
        total_iters: the number of epochs.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ArgumentError(
                f"[LinearLR] expected start_factor in (0, 1] and end_factor in [0, 1], got {start_factor} and "
                f"{end_factor}; change them"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self._current]
        if self.last_epoch > self.total_iters:
            return self._current
        rise = self.end_factor - self.start_factor
        factor = 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)
        return [lr * factor for lr in self._current]
