"""Schedules that move more than one number or steer others: `OneCycleLR`, `SequentialLR`, `ReduceLROnPlateau`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError
from .optimizer import Optimizer
from .schedule import LRScheduler, check, outside_of_tracing


class OneCycleLR(LRScheduler):
    """Up to `max_lr` and down again over `total_steps`, with momentum the other way round."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("[OneCycleLR] expected total_steps, or epochs and steps_per_epoch, got neither")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"[OneCycleLR] expected total_steps >= 1, pct_start in [0, 1] and anneal_strategy cos or linear, got "
                f"{total_steps}, {pct_start}, {anneal_strategy!r}; change them"
            )
        self.total_steps, self.cycle_momentum, self.linear = total_steps, cycle_momentum, anneal_strategy == "linear"
        rise = pct_start * total_steps - 1.0
        names = ("initial", "max", "min")
        if three_phase:
            self.phases = [
                (rise, names[0], names[1]),
                (2 * rise, names[1], names[0]),
                (total_steps - 1.0, names[0], names[2]),
            ]
        else:
            self.phases = [(rise, names[0], names[1]), (total_steps - 1.0, names[1], names[2])]
        groups = optimizer.param_groups
        peaks = [max_lr] * len(groups) if isinstance(max_lr, (int, float)) else list(max_lr)
        if len(peaks) != len(groups):
            raise ArgumentError(f"[OneCycleLR] expected {len(groups)} values of max_lr, got {len(peaks)}; one a group")
        if cycle_momentum and not any(name in groups[0] for name in ("momentum", "betas")):
            raise ArgumentError("[OneCycleLR] expected momentum or betas in the optimizer; pass cycle_momentum=False")
        if last_epoch == -1:
            for group, peak in zip(groups, peaks):
                check("OneCycleLR", max_lr=peak)
                group["max_lr"], group["initial_lr"] = peak, peak / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = max_momentum, base_momentum
        super().__init__(optimizer, last_epoch)

    def _blend(self, start: float, end: float, done: float) -> float:
        return start + (end - start) * done if self.linear else end + (start - end) / 2 * (1 + math.cos(math.pi * done))

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ArgumentError(
                f"[OneCycleLR] expected at most {self.total_steps} steps, got step {self.last_epoch}; raise total_steps"
            )
        begin = 0.0
        for end, first, last in self.phases:  # noqa: B007  # the last two are used below
            if self.last_epoch <= end or end == self.phases[-1][0]:
                break
            begin = end
        done = (self.last_epoch - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._blend(group[f"{first}_lr"], group[f"{last}_lr"], done))
            if self.cycle_momentum:
                ends = {"initial": "max_momentum", "max": "base_momentum", "min": "max_momentum"}
                momentum = self._blend(group[ends[first]], group[ends[last]], done)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates


class SequentialLR(LRScheduler):
    """Schedulers one after the other; the next one starts at each milestone."""

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"[SequentialLR] expected one milestone fewer than schedulers, got {len(schedulers)} schedulers and "
                f"{len(milestones)} milestones; change them"
            )
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ArgumentError("[SequentialLR] expected schedulers of one optimizer, got several; build them for it")
        self.optimizer = optimizer
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:  # each of them made its first step when it was built
            scheduler.last_epoch -= 1
        self._schedulers[0].step()
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self) -> None:
        """Goes to the next epoch. Raises `TracingError` inside a compiled function."""
        outside_of_tracing("SequentialLR")
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"]
            scheduler.last_epoch = -1
        scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """All numbers, with those of the inner schedulers."""
        state = super().state_dict()
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        state = dict(state_dict)
        for scheduler, inner in zip(self._schedulers, state.pop("_schedulers")):
            scheduler.load_state_dict(inner)
        self.__dict__.update(state)


class ReduceLROnPlateau:
    """The rate times `factor` when a metric has not improved for more than `patience` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0 <= factor < 1 or mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                f"[ReduceLROnPlateau] expected factor in [0, 1), mode min or max, threshold_mode rel or abs, got "
                f"{factor}, {mode!r}, {threshold_mode!r}; change them"
            )
        groups = len(optimizer.param_groups)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = [float(min_lr)] * groups if isinstance(min_lr, (int, float)) else list(min_lr)
        if len(self.min_lrs) != groups:
            raise ArgumentError(f"[ReduceLROnPlateau] expected {groups} values of min_lr, got {len(self.min_lrs)}")
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def _better(self, metric: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            limit = self.best * (1 + sign * self.threshold)
        else:
            limit = self.best + sign * self.threshold
        return metric < limit if self.mode == "min" else metric > limit

    def step(self, metrics: Any) -> None:
        """Takes note of a metric, a number or a 0-d tensor, and lowers the rates when it is time."""
        outside_of_tracing("ReduceLROnPlateau")
        metric = float(metrics)
        self.last_epoch += 1
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs):
                lower = max(group["lr"] * self.factor, low)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rates after the last step."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All numbers of the schedule."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        self.__dict__.update(state_dict)
