"""The module epoch: a number that grows whenever the structure of any module changes.

A compiled function compares it before it replays: an equal epoch proves that no module gained, lost or replaced a
member, changed a plain attribute or its training mode since the function was recorded. The cell stands in the tensor
room, which may not import this one.
"""

from __future__ import annotations

from ..tensor.tracing.tracer import EPOCH as MODULE_EPOCH

__all__ = ["MODULE_EPOCH"]
