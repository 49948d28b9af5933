"""SpiralTorch: a tensor runtime for Python. One program, one source for every kernel.

>>> import spiraltorch as st
>>> (st.ones(2, 2) @ st.ones(2)).tolist()
[2.0, 2.0]
"""

from __future__ import annotations

from typing import Any

from . import dtypes, errors
from .dtypes import (
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool  # the array API's name
from .errors import *  # noqa: F403
from .inspection import __array_namespace_info__, can_cast, explain, finfo, iinfo, isdtype, result_type
from .runtime.device import canonical as device
from .runtime.device import default as default_device
from .runtime.device import set_default as set_default_device
from .tensor import *  # noqa: F403
from .tensor import Tensor

__version__ = "0.1.0"
__array_api_version__ = "2024.12"
_LAZY = ("nn", "optim", "io", "telemetry")


def __getattr__(name: str) -> Any:
    """Rooms that cost time to load are loaded when they are first named."""
    if name in _LAZY:
        import importlib

        return importlib.import_module(f".{name}", __name__)
    if name in ("save", "load"):
        from . import io

        return getattr(io, name)
    raise AttributeError(f"module 'spiraltorch' has no attribute {name!r}")
