"""The devices that the suite runs on: one of each installed backend. A backend without one is named, with the reason.

An adapter that has 16-bit floats or 64-bit integers is met twice: as `wgpu:core` it does without.
"""

from __future__ import annotations

import warnings

import numpy as np

import spiraltorch as st
from spiraltorch import dtypes
from spiraltorch.runtime import device
from wgpu_devices import without_features


def _available() -> tuple[list[str], dict[str, str]]:
    found, missing = [], {}
    for name, backend in sorted(device.backends().items()):
        names = backend.devices()
        if names:
            found.append(names[0])
        else:
            missing[name] = backend.reason() or "no device"
    return found, missing


DEVICES, MISSING = _available()
DEVICES += without_features()
for _name, _why in MISSING.items():
    warnings.warn(f"CONFORMANCE: no test ran on {_name}: {_why}", stacklevel=1)
DTYPES = dtypes.ALL


def holds(name: str, dtype: dtypes.DType) -> bool:
    """Whether the device has the dtype."""
    return dtype in device.get(name).target.dtypes


def put(array: np.ndarray, name: str) -> st.Tensor:
    """The array on the device."""
    return st.tensor(array, device=name)
