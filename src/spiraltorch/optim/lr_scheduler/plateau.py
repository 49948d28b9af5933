"""`ReduceLROnPlateau`: a rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...errors import ArgumentError
from ...tensor.tensor import Tensor
from ...tensor.tracing.tracer import record_host_state
from ..optimizer import Optimizer
from .base import checked_state


class ReduceLROnPlateau:
    """Multiplies the rate by `factor` when a metric has not improved for more than `patience` epochs.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        mode: `min` or `max`: which way the metric improves.
        factor: the factor, in [0, 1).
        patience: the number of epochs without improvement that are tolerated.
        threshold: the smallest improvement that counts.
        threshold_mode: `rel` (a fraction of the best metric) or `abs`.
        cooldown: the number of epochs after a reduction during which the metric is ignored.
        min_lr: the lowest rate, or one for each group.
        eps: the smallest reduction that is applied.

    Raises:
        ArgumentError: an invalid setting.

    Example:
        >>> import spiraltorch as st
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> schedule = st.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        >>> for loss in (1.0, 1.0):
        ...     schedule.step(loss)
        >>> schedule.get_last_lr()
        [0.5]
    """

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
        self.min_lrs = [float(v) for v in min_lr] if isinstance(min_lr, (tuple, list)) else [float(min_lr)] * groups  # type: ignore[arg-type]
        if len(self.min_lrs) != groups:
            raise ArgumentError(
                f"[ReduceLROnPlateau] expected {groups} values of min_lr, got {len(self.min_lrs)}; "
                "pass one for each group"
            )
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr: list[float] = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: float | Tensor) -> None:
        """Compares a metric with the best one; reduces the rates after more than `patience` epochs without improvement.

        Args:
            metrics: the metric of this epoch, a number or a 0-d tensor.

        Raises:
            TracingError: `metrics` is a tensor that a compiled function has just computed.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
            >>> schedule.step(0.3)
            >>> schedule.best
            0.3
        """
        record_host_state("ReduceLROnPlateau.step")
        metric = float(metrics)
        self.last_epoch += 1
        if self._improves(metric):
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

    def _improves(self, metric: float) -> bool:
        """Whether a metric is better than the best one by more than the threshold."""
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            limit = self.best * (1 + sign * self.threshold)
        else:
            limit = self.best + sign * self.threshold
        return metric < limit if self.mode == "min" else metric > limit

    def get_last_lr(self) -> list[float]:
        """Returns the learning rates after the last step.

        Returns:
            One learning rate for each group.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
            >>> schedule.get_last_lr()
            [1.0]
        """
        record_host_state("ReduceLROnPlateau.get_last_lr")
        return self._last_lr

    def state_dict(self) -> dict[str, object]:
        """Collects all numbers of the schedule, without the optimizer.

        Returns:
            Numbers, strings and lists by name. `st.save` stores it.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
            >>> schedule.state_dict()["num_bad_epochs"]
            0
        """
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Loads the numbers of another schedule of this class.

        Args:
            state_dict: the result of `state_dict`.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
            >>> schedule.load_state_dict({"best": 0.5})
            >>> schedule.best
            0.5
        """
        self.__dict__.update(checked_state(self, state_dict))
