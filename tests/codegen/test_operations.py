"""Errors of the operations that all renderers share name the operation, never one renderer."""

from __future__ import annotations

import pytest

from spiraltorch.codegen.instructions import Instructions, Ssa
from spiraltorch.codegen.llvm.emitter import Emitter
from spiraltorch.codegen.operations import bitcast, operation
from spiraltorch.codegen.wgsl.emitter import WgslEmitter
from spiraltorch.codegen.wgsl.types import CORE
from spiraltorch.dtypes import float16, int32, uint32

RENDERERS = [lambda: Emitter(native_half=True), lambda: WgslEmitter(CORE)]


@pytest.mark.parametrize("make", RENDERERS)
def test_errors_name_the_operation(make: type[Instructions]) -> None:
    with pytest.raises(ValueError, match=r"^\[exp\] expected a floating dtype, got int32$"):
        operation(make(), "exp", [Ssa("%x", int32)])
    with pytest.raises(ValueError, match=r"^\[bitcast\] expected 16 bits for float16, got uint32$"):
        bitcast(make(), Ssa("%x", uint32), float16)
