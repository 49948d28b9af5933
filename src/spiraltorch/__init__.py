"""SpiralTorch: a tensor runtime for Python. One program, one source for every kernel.

Example:
    >>> import spiraltorch as st
    >>> (st.ones(2, 2) @ st.ones(2)).tolist()
    [2.0, 2.0]
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import dtypes as dtypes
from . import errors as errors
from . import telemetry as telemetry
from . import typing as typing
from .caches import cache_info as cache_info
from .caches import clear_caches as clear_caches
from .dtypes import bfloat16 as bfloat16
from .dtypes import bool_ as _bool
from .dtypes import float16 as float16
from .dtypes import float32 as float32
from .dtypes import float64 as float64
from .dtypes import int8 as int8
from .dtypes import int16 as int16
from .dtypes import int32 as int32
from .dtypes import int64 as int64
from .dtypes import uint8 as uint8
from .dtypes import uint16 as uint16
from .dtypes import uint32 as uint32
from .dtypes import uint64 as uint64
from .errors import *  # noqa: F403
from .inspection import __array_namespace_info__ as __array_namespace_info__
from .inspection import can_cast as can_cast
from .inspection import explain as explain
from .inspection import finfo as finfo
from .inspection import iinfo as iinfo
from .inspection import isdtype as isdtype
from .inspection import result_type as result_type
from .runtime.device import canonical as _canonical
from .runtime.device import default as _default
from .runtime.device import set_default as _set_default
from .tensor import *  # noqa: F403
from .tensor import Tensor as Tensor
from .tensor.creation import tensor as tensor  # the function, not the package of this name
from .version import __version__ as __version__

bool = _bool  # the array API's name
# PyTorch's other names of dtypes. Those of Python's types are left out of `__all__`: a star import hides no built-in type.
half, double, short, long = float16, float64, int16, int64
float, int = float32, int32
device, default_device, set_default_device = _canonical, _default, _set_default
__array_api_version__ = "2024.12"
_LAZY_PACKAGES = ("capability", "io", "linalg", "nn", "optim", "tuning")
_LAZY_FUNCTIONS = {"load": "io", "save": "io", "tune": "tuning"}  # by the module that has them


_TYPES = ("bool", "float", "int")
__all__ = [
    name
    for name in globals()
    if not name.startswith("_") and name not in (*_TYPES, "annotations", "os", "TYPE_CHECKING")
]

if TYPE_CHECKING:
    from . import capability as capability
    from . import io as io
    from . import linalg as linalg
    from . import nn as nn
    from . import optim as optim
    from . import tuning as tuning
    from .io import load as load
    from .io import save as save
    from .tuning import tune as tune
else:

    def __getattr__(name: str) -> object:
        """Loads packages that cost time when they are first named."""
        import importlib

        if name in _LAZY_PACKAGES:
            return importlib.import_module(f".{name}", __name__)
        if name in _LAZY_FUNCTIONS:
            return getattr(importlib.import_module(f".{_LAZY_FUNCTIONS[name]}", __name__), name)
        raise AttributeError(f"module 'spiraltorch' has no attribute {name!r}")

    def __dir__() -> list[str]:
        """The names of this module, with those that are loaded when first accessed."""
        return sorted({*globals(), *_LAZY_PACKAGES, *_LAZY_FUNCTIONS})


if os.environ.get("SPIRALTORCH_TUNE", "0") not in ("", "0"):
    from .tuning import start_with

    start_with(os.environ["SPIRALTORCH_TUNE"])
