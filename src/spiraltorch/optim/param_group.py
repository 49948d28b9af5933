"""`ParamGroup`: the hyperparameters of some parameters, as a dict whose numbers can be read as tensors.

A compiled training step must follow a learning rate that changes without being recorded again. Therefore a number
that varies reaches the update through a 0-d tensor that lives as long as the group, and `group["lr"] = x` gives that
tensor a new value. `lr` varies from the start. Any other number is a plain Python number until it changes for the
first time: then, and whenever a setting changes the form of the update, compiled functions record again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Handle(NamedTuple):
    """A 0-d tensor whose value is `transform(group[name])`, whatever the setting becomes."""

    name: str
    transform: Callable[[Any], float]
    tensor: Tensor


def number_tensor(value: float, dtype: DType, device: str) -> Tensor:
    """A 0-d tensor that has its value already."""
    return st.asarray(np.asarray(value, dtype.numpy), device=device)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _python_number(value: Any) -> Any:
    """A setting with Python's numbers in place of those of NumPy and PyTorch."""
    if isinstance(value, (tuple, list)):
        return type(value)([_python_number(entry) for entry in value])
    return value.item() if hasattr(value, "item") and not isinstance(value, Tensor) else value


def _numbers(value: object) -> tuple[Any, ...] | None:
    """The numbers of a hyperparameter: one, several, or None where it is of another kind."""
    if _is_number(value):
        return (value,)
    if isinstance(value, (tuple, list)) and value and all(_is_number(entry) for entry in value):
        return tuple(value)
    return None


class ParamGroup(dict[str, Any]):
    """The settings of one group of parameters, and the parameters themselves under `params`.

    Args:
        values: the settings.
        owner: the optimizer's name, for errors.
        checked: the settings that the optimizer reads; others are only stored.
    """

    def __init__(self, values: Mapping[str, object], owner: str, checked: frozenset[str]) -> None:
        super().__init__()
        self.owner = owner
        self.checked = checked
        self.varying = {"lr"}
        self.handles: dict[tuple[str, Callable[[Any], float], DType, str], Handle] = {}
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: object) -> None:
        if name in self.checked:
            value = _python_number(value)
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
                self.handles = {key: handle for key, handle in self.handles.items() if handle.name != name}
                TRACING.invalidate_recordings()
            return
        if before == after:
            return
        if name not in self.varying or [x == 0 for x in before] != [x == 0 for x in after]:
            self.varying.add(name)
            TRACING.invalidate_recordings()
        for source, transform, tensor in self.handles.values():
            if source == name:
                set_value(tensor, number_tensor(transform(value), tensor.dtype, tensor.device))

    def update(  # type: ignore[override]  # of dict's overloads, what gives names
        self, values: Mapping[str, object] | Iterable[tuple[str, object]] = (), /, **kwargs: object
    ) -> None:
        """As `dict.update`, one checked assignment at a time."""
        for name, value in dict(values, **kwargs).items():
            self[name] = value

    def setdefault(self, name: str, default: object = None) -> object:
        """As `dict.setdefault`, checked."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(  # type: ignore[override,misc]
        self, other: Mapping[str, object] | Iterable[tuple[str, object]]
    ) -> Self:
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Callable[..., ParamGroup], tuple[object, ...], dict[str, object]]:
        """For copies and pickles: the attributes must be there before the settings are."""
        return ParamGroup, (dict(self), self.owner, self.checked), {"varying": self.varying, "handles": self.handles}

    def _check(self, name: str, value: object) -> None:
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
        for number in numbers:
            if not math.isfinite(number) or number < low or (name in _BELOW_ONE and number >= 1.0):
                expected = "in [0, 1)" if name in _BELOW_ONE else "finite" if name in _UNBOUNDED else ">= 0 and finite"
                raise ArgumentError(f"[{self.owner}] expected {name} {expected}, got {value!r}; change {name}")

    def number(self, name: str, transform: Callable[[Any], float], dtype: DType, device: str) -> float | Tensor:
        """`transform(self[name])`: a Python number, or a 0-d tensor that follows the setting once that varies.

        Args:
            name: the setting.
            transform: a function of the module level: there is one tensor for each of them.
            dtype: the tensor's dtype.
            device: the tensor's device.
        """
        value = self[name]
        if name not in self.varying or isinstance(value, Tensor):
            return transform(value)
        key = name, transform, dtype, device
        handle = self.handles.get(key)
        if handle is None:
            handle = self.handles[key] = Handle(name, transform, number_tensor(transform(value), dtype, device))
            if recorder() is not None:
                # A recording takes a tensor that is made within it for a constant: record again.
                TRACING.invalidate_recordings()
        return handle.tensor
