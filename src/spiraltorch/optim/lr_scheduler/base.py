"""`LRScheduler`: what all schedules share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...errors import ArgumentError, CheckpointError
from ...tensor.arguments import number_of
from ...tensor.tracing.tracer import record_host_state
from ..optimizer import Optimizer


def check_not_negative(owner: str, **numbers: float) -> None:
    """Raises `ArgumentError` for a setting that is negative, infinite or NaN."""
    for name, number in numbers.items():
        if not math.isfinite(number) or number < 0:
            raise ArgumentError(f"[{owner}] expected {name} >= 0 and finite, got {number!r}")


class LRScheduler:
    """Base class of schedules: a subclass defines `get_lr`.

    The constructor sets the rates of the first epoch.

    Args:
        optimizer: the optimizer whose learning rates are scheduled.
        last_epoch: the number of the last epoch; -1 starts at the beginning.

    Attributes:
        base_lrs: the initial rates of the groups.
        last_epoch: the number of the last step.

    Raises:
        ArgumentError: `last_epoch` is not -1 and a group has no `initial_lr`.

    Example:
        >>> import spiraltorch as st
        >>> class Halving(st.optim.lr_scheduler.LRScheduler):
        ...     def get_lr(self):
        ...         return [base * 0.5**self.last_epoch for base in self.base_lrs]
        >>> schedule = Halving(st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0))
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

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
        """Computes the rates of all groups at `last_epoch`; every subclass defines it.

        Returns:
            One learning rate for each group.

        Raises:
            NotImplementedError: the subclass does not define it.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> schedule.get_lr()
            [1.0]
        """
        raise NotImplementedError(f"[{type(self).__name__}] expected a method `get_lr`, got none; define it")

    def get_last_lr(self) -> list[float]:
        """Returns the learning rates that the last step set.

        Returns:
            One learning rate for each group.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> schedule.get_last_lr()
            [1.0]
        """
        record_host_state(f"{type(self).__name__}.get_last_lr")
        return self._last_lr

    @property
    def _current(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Advances to the next epoch and sets its learning rates.

        A compiled function that calls it is recorded at each call; it is faster after the compiled step.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> schedule.step()
            >>> optimizer.param_groups[0]["lr"]
            0.5
        """
        record_host_state(f"{type(self).__name__}.step")
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr()):
            group["lr"] = lr
        self._last_lr = self._current

    def state_dict(self) -> dict[str, object]:
        """Collects all numbers of the schedule, without the optimizer and without functions.

        Returns:
            Numbers and lists of them by name. `st.save` stores it.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> schedule.state_dict()["last_epoch"]
            0
        """
        record_host_state(f"{type(self).__name__}.state_dict")
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in self.__dict__.items()
            if name != "optimizer" and not callable(value)
        }

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Loads the numbers of a schedule of the same class.

        Args:
            state_dict: the result of `state_dict`.

        Raises:
            CheckpointError: it is something else; nothing is changed.

        Example:
            >>> import spiraltorch as st
            >>> optimizer = st.optim.SGD([st.nn.Parameter(st.ones(1))], lr=1.0)
            >>> schedule = st.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
            >>> schedule.load_state_dict({"last_epoch": 3})
            >>> schedule.last_epoch
            3
        """
        self.__dict__.update(checked_state(self, state_dict))


def checked_state(scheduler: object, state_dict: object) -> dict[str, Any]:
    """The entries of a state, as a new dict, with NumPy's numbers as Python's.

    Raises `CheckpointError` where they are not those of such a schedule.
    """
    known = {name: value for name, value in vars(scheduler).items() if name != "optimizer"}
    name = f"{type(scheduler).__name__}.load_state_dict"
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(
            f"[{name}] expected a dict, got {type(state_dict).__name__}; pass what state_dict() returned"
        )
    checked = {}
    for key, value in state_dict.items():
        number = number_of(value)
        value = value if number is None else number
        wanted = isinstance(known.get(key), (int, float)) and not isinstance(known.get(key), bool)
        if key not in known or (wanted and not isinstance(value, (int, float))):
            raise CheckpointError(
                f"[{name}] expected the entries {', '.join(known)}, got {key!r} of {type(value).__name__}; pass what "
                "state_dict() returned"
            )
        checked[key] = value
    return checked
