"""What the compiler may know of a device: facts, never its name. Each fact answers one question."""

from __future__ import annotations

from dataclasses import dataclass

from ..dtypes import ALL, DType, bfloat16, float16

BUSY_ITEMS = 1 << 10  # a device that needs more independent items than this to be busy is throughput-oriented


@dataclass(frozen=True, slots=True)
class Target:
    """Facts of one device. Sizes are in bytes.

    The defaults describe a plain processor: threads, vectors, caches, and no grid of groups.
    """

    key: str  # everything that generated code depends on, for caches: processor, features, compiler version

    # Threads, vectors and caches
    threads: int = 1  # threads that share a parallel loop
    parallel_work: int = 0  # operations below which waking other threads costs more than it saves
    vector_bytes: int = 16  # width of a SIMD register; 0: code is scalar, and the device makes vectors of its items
    registers: int = 16  # SIMD registers; 0: unknown, the device's own compiler allocates them
    l1_bytes: int = 32 << 10
    l2_bytes: int = 1 << 20

    # Groups of items
    max_groups: tuple[int, int, int] = (0, 0, 0)  # groups along x, y and z that one launch may have; 0: no grid
    group_items: int = 1  # the most items in a group
    preferred_group_items: int = 1  # items in a group that suit most kernels
    subgroup_width: int = 0  # items that run in lockstep; 0: unknown, or not always the same
    busy_items: int = 1  # independent items that keep the device busy
    item_iterations: int = 1 << 62  # iterations of all its loops that an item may execute

    # Memory of a kernel
    shared_bytes: int = 0  # memory that the items of a group share
    private_scratch: bool = True  # a task may have arrays of its own in memory, beside its registers
    max_buffers: int = 1 << 30  # buffers that one kernel may bind
    buffer_bytes: int = 1 << 62  # the largest size that a kernel may bind as one buffer
    buffer_align: int = 64  # the alignment of a part of a buffer that a kernel binds
    index_bits: int = 64  # width of the signed integers that kernels compute positions with

    phases_share_launch: bool = True  # phases of one kernel run in one launch; False: each takes a launch of its own
    dtypes: frozenset[DType] = frozenset(ALL)  # dtypes that memory and arithmetic support, natively or emulated
    native_dtypes: frozenset[DType] = frozenset(ALL) - {float16, bfloat16}  # dtypes with arithmetic of their own width

    @property
    def has_grid(self) -> bool:
        """Whether kernels are launched as a grid of groups of items."""
        return self.max_groups[0] > 0

    @property
    def has_vectors(self) -> bool:
        """Whether generated code uses SIMD registers explicitly."""
        return self.vector_bytes > 0

    @property
    def has_shared_memory(self) -> bool:
        """Whether the items of a group share memory."""
        return self.shared_bytes > 0

    @property
    def throughput_oriented(self) -> bool:
        """Whether algorithms need thousands of independent items, even where a serial one does less work.

        See Garland and Kirk, "Understanding throughput-oriented architectures", CACM 2010.
        """
        return self.busy_items > BUSY_ITEMS

    def element_bytes(self, dtype: DType) -> int:
        """Bytes of an element in registers and in shared memory: what is not native takes at least 4."""
        return dtype.itemsize if dtype in self.native_dtypes else max(4, dtype.itemsize)

    def lanes(self, dtype: DType) -> int:
        """SIMD lanes for this dtype (at least 1)."""
        return max(1, self.vector_bytes // self.element_bytes(dtype))
