"""`ParamGroup`: the hyper-parameters of some parameters, as a dict whose numbers can be read as tensors.

A compiled training step must follow a learning rate that changes without being recorded again. Therefore a number
that varies reaches the update through a 0-d tensor that lives as long as the group, and `group["lr"] = x` gives that
tensor a new value. `lr` varies from the start. Any other number is a plain Python number until it changes for the
first time: then, and whenever a setting changes the form of the update, compiled functions record again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

import spiraltorch as st

from ..dtypes import DType
from ..errors import ArgumentError
from ..nn.in_place import set_value
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING, recorder

if TYPE_CHECKING:
    from typing_extensions import Self

_MISSING = object()
_SINGLE = frozenset(
    ("lr", "momentum", "dampening", "weight_decay", "eps", "alpha", "lr_decay", "initial_accumulator_value")
)
_PAIRS = {"betas"}
_UNBOUNDED = {"dampening"}
_BELOW_ONE = {"betas"}


def number_tensor(value: float, dtype: DType, device: str) -> Tensor:
    """A 0-d tensor that has its value already."""
    return st.asarray(np.asarray(value, dtype.numpy), device=device)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(value: Any) -> tuple[Any, ...] | None:
    """The numbers of a hyper-parameter: one, several, or None where it is of another kind."""
    if _is_number(value):
        return (value,)
    if isinstance(value, (tuple, list)) and value and all(_is_number(entry) for entry in value):
        return tuple(value)
    return None


class ParamGroup(dict[str, Any]):
    """The settings of one group of parameters; `checked` names those that the optimizer reads."""

    def __init__(self, values: dict[str, Any], owner: str, checked: frozenset[str]) -> None:
        super().__init__()
        self.owner = owner
        self.checked = checked
        self.varying = {"lr"}
        self.handles: dict[Any, tuple[str, Callable[[Any], float], Tensor]] = {}
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if hasattr(value, "item") and not isinstance(value, Tensor):
            value = value.item()  # a number of NumPy or PyTorch
        if name in self.checked:
            self._check(name, value)
        old = self.get(name, _MISSING)
        super().__setitem__(name, value)
        if name not in self.checked or old is _MISSING or old is value:
            if name == "params" and old is not value:
                TRACING.invalidate_recordings()
            return
        before, after = _numbers(old), _numbers(value)
        if before is None or after is None or len(before) != len(after):
            if isinstance(old, Tensor) or isinstance(value, Tensor) or old != value:
                self.handles = {key: entry for key, entry in self.handles.items() if entry[0] != name}
                TRACING.invalidate_recordings()
            return
        if before == after:
            return
        if name not in self.varying or [x == 0 for x in before] != [x == 0 for x in after]:
            self.varying.add(name)
            TRACING.invalidate_recordings()
        for source, function, handle in self.handles.values():
            if source == name:
                set_value(handle, number_tensor(function(value), handle.dtype, handle.device))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As `dict.update`, one checked assignment at a time."""
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As `dict.setdefault`, checked."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def _check(self, name: str, value: Any) -> None:
        """Raises `ArgumentError` for what no update can use."""
        numbers = _numbers(value)
        if name in _PAIRS and (numbers is None or len(numbers) != 2):
            raise ArgumentError(f"[{self.owner}] expected {name} as two numbers, got {value!r}; pass a pair")
        single = _is_number(value) or (isinstance(value, Tensor) and value.size == 1)
        if name in _SINGLE and not single:
            raise ArgumentError(f"[{self.owner}] expected {name} as a number, got {value!r}; change {name}")
        if numbers is None:
            return
        low = -math.inf if name in _UNBOUNDED else 0.0
        for entry in numbers:
            if not math.isfinite(entry) or entry < low or (name in _BELOW_ONE and entry >= 1.0):
                wanted = "in [0, 1)" if name in _BELOW_ONE else "finite" if name in _UNBOUNDED else ">= 0 and finite"
                raise ArgumentError(f"[{self.owner}] expected {name} {wanted}, got {value!r}; change {name}")

    def number(
        self, name: str, function: Callable[[Any], float], dtype: DType, device: str, key: str = ""
    ) -> float | Tensor:
        """`function(self[name])`: a Python number, or a 0-d tensor that follows the setting once that varies.

        `key` tells functions of one setting apart.
        """
        value = self[name]
        if isinstance(value, Tensor):
            return function(value)
        if name not in self.varying:
            return function(value)
        entry = self.handles.get((name, key, dtype, device))
        if entry is None:
            entry = (name, function, number_tensor(function(value), dtype, device))
            self.handles[name, key, dtype, device] = entry
            if recorder() is not None:
                TRACING.invalidate_recordings()  # the recording takes a tensor that it made itself for a constant: record again
        return entry[2]
