"""`SequentialLR`: one schedule after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from ...errors import ArgumentError, CheckpointError
from ...tensor.tracing.tracer import record_host_state
from ..optimizer import Optimizer
from .base import LRScheduler, checked_state


class SequentialLR(LRScheduler):
    """Runs schedules one after the other; the next one starts at each milestone.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        schedulers: the schedules, all of this optimizer.
        milestones: the epochs at which the next one starts, one fewer than schedules.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Raises:
        ArgumentError: the numbers of schedules and milestones do not fit, or a schedule is of another optimizer.

    Example:
        >>> import spiraltorch as st
        >>> from spiraltorch.optim import lr_scheduler
        >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
        >>> warmup = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> decay = lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
        >>> schedule = lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[2])
        >>> schedule.get_last_lr()
        [0.5]
    """

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
        """Advances to the next epoch and sets its learning rates."""
        record_host_state("SequentialLR.step")
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"]
            scheduler.last_epoch = -1
        scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, object]:
        """Collects all numbers, with those of the inner schedules.

        Returns:
            Numbers, lists and dicts of them by name.
        """
        state = super().state_dict()
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Loads the numbers of a schedule with the same structure.

        Args:
            state_dict: the result of `state_dict`.
        """
        state = checked_state(self, state_dict)
        inner = state.pop("_schedulers", None)
        if not isinstance(inner, (list, tuple)) or len(inner) != len(self._schedulers):
            raise CheckpointError(
                f"[{type(self).__name__}.load_state_dict] expected the states of {len(self._schedulers)} schedules, got "
                f"{type(inner).__name__}; pass what state_dict() of the same structure returned"
            )
        for scheduler, one in zip(self._schedulers, inner):
            checked_state(scheduler, one)
        for scheduler, one in zip(self._schedulers, inner):
            scheduler.load_state_dict(one)
        self.__dict__.update(state)
