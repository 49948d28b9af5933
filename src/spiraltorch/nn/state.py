"""What modules do with the values of their tensors: snapshots, loading, casting, dropping gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType
from ..errors import CheckpointError
from ..tensor.tensor import Tensor
from ..tensor.tracing.tracer import TRACING, assign
from .api import st

if TYPE_CHECKING:
    from .module import Module


def put(target: Tensor, value: Tensor, pending: bool = False) -> None:
    """Gives a handle a new value of its own dtype and device, without a gradient.

    A `pending` value is evaluated with the next evaluation of anything: a state that is rarely read must not keep the
    graphs of all steps alive.
    """
    with st.no_grad():
        assign(target, value.detach().to(target.dtype).node)
    if pending:
        TRACING.defer(target)


def owned(value: Any) -> Tensor:
    """A tensor that shares no memory with an array or a foreign tensor, which others may write to."""
    return value if isinstance(value, Tensor) else st.asarray(np.array(st.asarray(value).numpy()))


def zero_grad(tensors: Iterable[Tensor], set_to_none: bool) -> None:
    """Drops the gradients of all tensors, or fills them with zeros."""
    for tensor in tensors:
        if tensor.grad is not None:
            tensor.grad = None if set_to_none else st.zeros_like(tensor.grad)


def convert(module: Module, device: Any, dtype: DType | None) -> None:
    """Moves and casts every parameter and buffer behind its handle, with its gradient."""
    tensors: dict[int, Tensor] = {}
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            tensors.update((id(t), t) for t in table.values() if t is not None)
    for tensor in tensors.values():
        grad = tensor.grad
        with st.no_grad():
            assign(tensor, _converted(tensor.detach(), device, dtype).node)
            if grad is not None:
                tensor.grad = _converted(grad.detach(), device, dtype)


def _converted(tensor: Tensor, device: Any, dtype: DType | None) -> Tensor:
    """The tensor on `device` and, when it is floating, of `dtype`."""
    if dtype is not None and tensor.dtype.is_float:
        tensor = tensor.to(dtype)
    return tensor if device is None else tensor.to(device)


def _slots(module: Module, prefix: str) -> dict[str, Tensor]:
    """The live handle behind each key of the state, shared tensors under each of their names."""
    found: dict[str, Tensor] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        dotted = f"{prefix}{path}." if path else prefix
        for name, parameter in part._parameters.items():
            if parameter is not None:
                found[dotted + name] = parameter
        for name, buffer in part._buffers.items():
            if buffer is not None and name not in part._non_persistent:
                found[dotted + name] = buffer
    return found


def state_dict(module: Module, prefix: str) -> dict[str, Tensor]:
    """A snapshot of parameters and persistent buffers by dotted name."""
    return {key: tensor.detach() for key, tensor in _slots(module, prefix).items()}


def load_state_dict(module: Module, values: Mapping[str, Any], strict: bool) -> tuple[list[str], list[str]]:
    """Checks all keys and shapes, then takes the values over; returns missing and unexpected keys."""
    if not isinstance(values, Mapping):
        raise CheckpointError(
            f"[load_state_dict] expected a dict of names and tensors, got {type(values).__name__}; "
            "pass what state_dict() or load() returned"
        )
    slots = _slots(module, "")
    missing = [key for key in slots if key not in values]
    unexpected = [key for key in values if key not in slots]
    faults = []
    if strict and missing:
        faults.append(f"missing keys: {', '.join(missing)}")
    if strict and unexpected:
        faults.append(f"unexpected keys: {', '.join(map(str, unexpected))}")
    ready: list[tuple[Tensor, Tensor]] = []
    for key, slot in slots.items():
        if key not in values:
            continue
        try:
            value = owned(values[key])
        except (TypeError, ValueError) as error:
            faults.append(f"{key}: expected a tensor or an array, got {type(values[key]).__name__} ({error})")
            continue
        if tuple(value.shape) != tuple(slot.shape):
            faults.append(f"{key}: expected shape={tuple(slot.shape)}, got shape={tuple(value.shape)}")
        else:
            ready.append((slot, value.to(slot.device)))
    if faults:
        raise CheckpointError(
            f"[load_state_dict] expected the state of {type(module).__name__}, got one that differs: "
            + "; ".join(faults)
            + "; nothing was loaded. Build the model with the same settings"
            + ("" if not (missing or unexpected) else ", or pass strict=False to skip keys")
        )
    for slot, value in ready:
        put(slot, value)
    return missing, unexpected
