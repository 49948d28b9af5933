"""Learning-rate schedules with PyTorch's names and numbers.

A scheduler writes Python numbers into the optimizer's groups, which carry them into compiled steps; `step()` itself
stays outside of compiled functions. The formulas are recursive, as PyTorch's: each step changes the rate that it
finds, so schedules can be chained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import ArgumentError, TracingError
from ..tensor.tracing.tracer import recorder
from .optimizer import Optimizer


def check(owner: str, **numbers: float) -> None:
    """Raises `ArgumentError` for a setting that is negative, infinite or NaN."""
    for name, number in numbers.items():
        if not math.isfinite(number) or number < 0:
            raise ArgumentError(f"[{owner}] expected {name} >= 0 and finite, got {number!r}; change it")


def outside_of_tracing(owner: str) -> None:
    """Raises `TracingError` while a compiled function is being recorded."""
    if recorder() is not None:
        raise TracingError(
            f"[{owner}] expected step() outside of a compiled function, got it inside, where it would run only once; "
            "call it after the compiled step"
        )


class LRScheduler:
    """Base class: a subclass defines `get_lr`, the rates at `last_epoch` from the current ones."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ArgumentError(
                    f"[{type(self).__name__}] expected initial_lr in each group to go on at epoch {last_epoch}, got "
                    "none; load the optimizer's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self.step()

    def get_lr(self) -> list[float]:
        """The rates of all groups at `last_epoch`."""
        raise NotImplementedError(f"[{type(self).__name__}] expected a method `get_lr`, got none; define it")

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set."""
        return self._last_lr

    @property
    def _current(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Goes to the next epoch and sets its rates. Raises `TracingError` inside a compiled function."""
        outside_of_tracing(type(self).__name__)
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr()):
            group["lr"] = lr
        self._last_lr = self._current

    def state_dict(self) -> dict[str, Any]:
        """All numbers of the schedule, without the optimizer and without functions."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in self.__dict__.items()
            if name != "optimizer" and not callable(value)
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.__dict__.update(state_dict)


class LambdaLR(LRScheduler):
    """The initial rate times a function of the epoch, one for all groups or one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        functions = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(functions) != groups:
            raise ArgumentError(f"[LambdaLR] expected {groups} functions, got {len(functions)}; pass one a group")
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas)]

    def state_dict(self) -> dict[str, Any]:
        """All numbers of the schedule; functions are not saved."""
        state = super().state_dict()
        del state["lr_lambdas"]
        return state


class StepLR(LRScheduler):
    """The rate times `gamma` every `step_size` epochs.

    >>> from spiraltorch import nn, ones, optim
    >>> optimizer = optim.SGD([nn.Parameter(ones(1))], lr=1.0)
    >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check("StepLR", gamma=gamma)
        if step_size < 1:
            raise ArgumentError(f"[StepLR] expected step_size >= 1, got {step_size}; change it")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [lr * self.gamma if falls else lr for lr in self._current]


class MultiStepLR(LRScheduler):
    """The rate times `gamma` at each of the given epochs."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.gamma ** Counter(self.milestones)[self.last_epoch] for lr in self._current]


class ExponentialLR(LRScheduler):
    """The rate times `gamma` each epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [lr * self.gamma if self.last_epoch > 0 else lr for lr in self._current]


class ConstantLR(LRScheduler):
    """The rate times `factor` for the first `total_iters` epochs."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 < factor <= 1:
            raise ArgumentError(f"[ConstantLR] expected factor in (0, 1], got {factor}; change it")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._current]
        return [lr / self.factor if self.last_epoch == self.total_iters else lr for lr in self._current]


class LinearLR(LRScheduler):
    """A factor that moves linearly from `start_factor` to `end_factor` in `total_iters` epochs."""

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


class PolynomialLR(LRScheduler):
    """The rate falls to 0 in `total_iters` epochs as a power of the time that is left."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        check("PolynomialLR", power=power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, total = self.last_epoch, self.total_iters
        if epoch == 0 or epoch > total:
            return self._current
        factor = ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ** self.power
        return [lr * factor for lr in self._current]


class CosineAnnealingLR(LRScheduler):
    """A half cosine from the initial rate to `eta_min` in `T_max` epochs."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check("CosineAnnealingLR", eta_min=eta_min)
        if T_max < 1:
            raise ArgumentError(f"[CosineAnnealingLR] expected T_max >= 1, got {T_max}; change it")
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
    """Half cosines that start again after `T_0` epochs, each `T_mult` times as long as the one before."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check("CosineAnnealingWarmRestarts", eta_min=eta_min)
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
    """Linear from 0 to the initial rate in `warmup_steps`, then a half cosine to `eta_min` at `total_steps`."""

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check("WarmupCosineLR", warmup_steps=warmup_steps, eta_min=eta_min)
        if total_steps <= warmup_steps:
            raise ArgumentError(
                f"[WarmupCosineLR] expected total_steps > warmup_steps={warmup_steps}, got {total_steps}; change one"
            )
        self.warmup_steps, self.total_steps, self.eta_min = warmup_steps, total_steps, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        epoch, warm = self.last_epoch, self.warmup_steps
        if epoch < warm:
            return [base * (epoch + 1) / (warm + 1) for base in self.base_lrs]
        done = min((epoch - warm) / (self.total_steps - warm), 1.0)
        factor = (1 + math.cos(math.pi * done)) / 2
        return [self.eta_min + (base - self.eta_min) * factor for base in self.base_lrs]
