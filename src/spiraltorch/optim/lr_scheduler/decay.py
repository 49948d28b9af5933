"""Schedules that lower the rate: by a function, in steps, exponentially, as a power."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, check_not_negative


class LambdaLR(LRScheduler):
    """Multiplies the initial rate by a function of the epoch.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        lr_lambda: a function from the epoch to a factor, or one for each group.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: another number of functions than groups.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        functions = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(functions) != groups:
            raise ArgumentError(
                f"[LambdaLR] expected {groups} functions, got {len(functions)}; pass one for each group"
            )
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas)]

    def state_dict(self) -> dict[str, object]:
        """Collects all numbers of the schedule; functions are not saved.

        Returns:
            Numbers and lists of them by name.
        """
        state = super().state_dict()
        del state["lr_lambdas"]
        return state


class StepLR(LRScheduler):
    """Multiplies the rate by `gamma` every `step_size` epochs.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        step_size: epochs between two changes.
        gamma: the factor.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check_not_negative("StepLR", gamma=gamma)
        if step_size < 1:
            raise ArgumentError(f"[StepLR] expected step_size >= 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [lr * self.gamma if falls else lr for lr in self._current]


class MultiStepLR(LRScheduler):
    """Multiplies the rate by `gamma` at each of the given epochs.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        milestones: the epochs; one that is given twice counts twice.
        gamma: the factor.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: `gamma` is negative or not finite.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_not_negative("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.gamma ** Counter(self.milestones)[self.last_epoch] for lr in self._current]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by `gamma` every epoch.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        gamma: the factor.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: `gamma` is negative or not finite.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_not_negative("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.gamma if self.last_epoch > 0 else lr for lr in self._current]


class PolynomialLR(LRScheduler):
    """The initial rate times (1 - epoch / total_iters)**power; 0 from `total_iters` on.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        total_iters: the epoch at which the rate is 0.
        power: the exponent.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: `power` is negative or not finite.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.75]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        check_not_negative("PolynomialLR", power=power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, total = self.last_epoch, self.total_iters
        if epoch == 0 or epoch > total:
            return self._current
        factor = ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ** self.power
        return [lr * factor for lr in self._current]
