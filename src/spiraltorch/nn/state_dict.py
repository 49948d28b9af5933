"""Loading of a module's state: values are checked against the module's tensors, and only then written to them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import spiraltorch as st

from ..errors import CheckpointError
from ..tensor.tensor import Tensor
from ..typing import ArrayLike
from .in_place import set_value


def owned_tensor(value: ArrayLike) -> Tensor:
    """A tensor that shares no memory with an array or a foreign tensor, which others may write to."""
    return value if isinstance(value, Tensor) else st.asarray(np.array(st.asarray(value).numpy()))


def load_into(
    owner: str, targets: Mapping[str, Tensor], values: Mapping[str, ArrayLike], strict: bool
) -> tuple[list[str], list[str]]:
    """Checks all keys and shapes, then gives the handles in `targets` the values of equal keys.

    Args:
        owner: the name of the module's class, for errors.
        targets: the module's parameters and persistent buffers by dotted name.
        values: the tensors to load.
        strict: whether keys that are missing or unexpected are errors.

    Returns:
        The missing and the unexpected keys.

    Raises:
        CheckpointError: something does not fit; nothing was changed.
    """
    if not isinstance(values, Mapping):
        raise CheckpointError(
            f"[load_state_dict] expected a dict of names and tensors, got {type(values).__name__}; "
            "pass what state_dict() or load() returned"
        )
    missing = [key for key in targets if key not in values]
    unexpected = [key for key in values if key not in targets]
    faults = []
    if strict and missing:
        faults.append(f"missing keys: {', '.join(missing)}")
    if strict and unexpected:
        faults.append(f"unexpected keys: {', '.join(map(str, unexpected))}")
    checked: list[tuple[Tensor, Tensor]] = []
    for key, target in targets.items():
        if key not in values:
            continue
        try:
            value = owned_tensor(values[key])
        except (TypeError, ValueError) as error:
            faults.append(f"{key}: expected a tensor or an array, got {type(values[key]).__name__} ({error})")
            continue
        if tuple(value.shape) != tuple(target.shape):
            faults.append(f"{key}: expected shape={tuple(target.shape)}, got shape={tuple(value.shape)}")
        else:
            checked.append((target, value.to(target.device)))
    if faults:
        raise CheckpointError(
            f"[load_state_dict] expected the state of {owner}, got one that differs: "
            + "; ".join(faults)
            + "; nothing was loaded. Build the model with the same settings"
            + ("" if not (missing or unexpected) else ", or pass strict=False to skip keys")
        )
    for target, value in checked:
        set_value(target, value)
    return missing, unexpected
