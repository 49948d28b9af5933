"""The public API as layers and optimizers see it: `st`, and `Tensor` for annotations.

Tensors get their operators and methods while the package loads, which a type checker cannot follow: to it both are
`Any`. Where the class itself is needed, it comes from the tensor room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import spiraltorch

st: Any = spiraltorch

if TYPE_CHECKING:
    Tensor = Any
else:
    Tensor = spiraltorch.Tensor

__all__ = ["Tensor", "st"]
