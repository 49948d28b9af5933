"""What the compiler may know of a device: facts, never its name."""

from __future__ import annotations

from dataclasses import dataclass

from ..dtypes import ALL, DType


@dataclass(frozen=True, slots=True)
class Target:
    """Facts of one device. Sizes are in bytes."""

    key: str  # everything that generated code depends on, for caches: processor, features, compiler version
    vector_bytes: int = 16  # width of a SIMD register; 0: the device has no explicit vectors
    registers: int = 16  # SIMD registers
    threads: int = 1  # CPU threads that share a parallel loop
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20
    groups: bool = False  # kernels run as groups of items (a GPU)
    group_items: int = 1
    shared_bytes: int = 0
    max_buffers: int = 1 << 30  # buffers that one kernel may bind
    buffer_bytes: int = 1 << 62  # that a kernel may bind as one buffer
    buffer_align: int = 64  # of a part of a buffer that a kernel binds
    dtypes: frozenset[DType] = frozenset(ALL)  # what memory and arithmetic support, natively or exactly

    def lanes(self, dtype: DType) -> int:
        """SIMD lanes for this dtype (at least 1). float16 and bfloat16 compute as float32."""
        size = 4 if dtype.is_float and dtype.itemsize == 2 else dtype.itemsize
        return max(1, self.vector_bytes // size)
