"""`OneCycleLR`: the rate rises and falls, while the momentum moves in the opposite direction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, check_not_negative


class OneCycleLR(LRScheduler):
    """Raises the rate to `max_lr` and lowers it again, over `total_steps` steps (Smith and Topin, 2018).

    The momentum moves in the opposite direction.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        max_lr: the highest rate, or one for each group.
        total_steps: the number of steps; by default `epochs` times `steps_per_epoch`.
        epochs: the number of epochs.
        steps_per_epoch: the number of steps of an epoch.
        pct_start: the fraction of the steps during which the rate rises.
        anneal_strategy: `cos` or `linear`.
        cycle_momentum: whether the momentum, or the first of `betas`, moves too.
        base_momentum: the momentum at the highest rate.
        max_momentum: the momentum at the lowest rates.
        div_factor: the highest rate divided by the first one.
        final_div_factor: the first rate divided by the last one.
        three_phase: whether the rate falls to the first one as fast as it rose, and then to the last one.
        last_epoch: the number of the last step; -1 starts at the beginning.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0, momentum=0.9)
        >>> schedule = st.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
        >>> round(schedule.get_last_lr()[0], 4), optimizer.param_groups[0]["momentum"]
        (0.04, 0.95)
    """

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
                raise ArgumentError(
                    "[OneCycleLR] expected total_steps, or epochs and steps_per_epoch, got neither; pass one of them"
                )
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"[OneCycleLR] expected total_steps >= 1, pct_start in [0, 1] and anneal_strategy cos or linear, got "
                f"{total_steps}, {pct_start}, {anneal_strategy!r}; change them"
            )
        self.total_steps, self.cycle_momentum, self.linear = total_steps, cycle_momentum, anneal_strategy == "linear"
        self.phases = _phases(total_steps, pct_start, three_phase)
        groups = optimizer.param_groups
        peaks = list(max_lr) if isinstance(max_lr, (tuple, list)) else [float(max_lr)] * len(groups)  # type: ignore[arg-type]
        if len(peaks) != len(groups):
            raise ArgumentError(
                f"[OneCycleLR] expected {len(groups)} values of max_lr, got {len(peaks)}; pass one for each group"
            )
        if cycle_momentum and not any(name in groups[0] for name in ("momentum", "betas")):
            raise ArgumentError(
                "[OneCycleLR] expected an optimizer with momentum or betas, got neither; pass cycle_momentum=False"
            )
        if last_epoch == -1:
            for group, peak in zip(groups, peaks):
                check_not_negative("OneCycleLR", max_lr=peak)
                group["max_lr"], group["initial_lr"] = peak, peak / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = max_momentum, base_momentum
        super().__init__(optimizer, last_epoch)

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
        progress = (self.last_epoch - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._interpolated(group[f"{first}_lr"], group[f"{last}_lr"], progress))
            if self.cycle_momentum:
                ends = {"initial": "max_momentum", "max": "base_momentum", "min": "max_momentum"}
                momentum = self._interpolated(group[ends[first]], group[ends[last]], progress)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return rates

    def _interpolated(self, start: float, end: float, progress: float) -> float:
        """The value between `start` and `end`, along a line or a half cosine."""
        if self.linear:
            return start + (end - start) * progress
        return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[tuple[float, str, str]]:
    """The last step of each phase, and the names of the rates at its two ends."""
    rise = pct_start * total_steps - 1.0
    if three_phase:
        return [(rise, "initial", "max"), (2 * rise, "max", "initial"), (total_steps - 1.0, "initial", "min")]
    return [(rise, "initial", "max"), (total_steps - 1.0, "max", "min")]
