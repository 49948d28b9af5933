"""A caching allocator: blocks of a device's memory in size classes, kept for reuse when freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import OutOfMemoryError

ALIGN = 64
KEEP_LIMIT = 2 << 30  # bytes of free blocks above which freed blocks go back to the system


def size_class(nbytes: int) -> int:
    """The block size for a request: multiples of 64 up to 1 KiB, then four classes an octave."""
    if nbytes <= 1024:
        return max(ALIGN, (nbytes + ALIGN - 1) & -ALIGN)
    step = 1 << ((nbytes - 1).bit_length() - 3)
    return (nbytes + step - 1) & -step


class Allocator:
    """Blocks of memory with statistics. Not locked: the caller holds the interpreter.

    `make(size)` gives a fresh block as its number (an address, or a handle) and the object that owns it, or None where the
    device has no such memory; `limit` is what the device has, in bytes.
    """

    def __init__(self, name: str, limit: int, make: Callable[[int], tuple[int, Any] | None]) -> None:
        self.name = name
        self.make = make
        self.free: dict[int, list[int]] = {}
        self.blocks: dict[int, Any] = {}  # number -> what owns the memory
        self.in_use = 0
        self.peak = 0
        self.cached = 0
        self.limit = limit

    def allocate(self, nbytes: int) -> int:
        """The address of a block. Frees the cache and tries once more before it raises `OutOfMemoryError`."""
        size = size_class(nbytes)
        free = self.free.get(size)
        if free:
            address = free.pop()
            self.cached -= size
        else:
            address = self._fresh(size)
        self.in_use += size
        if self.in_use > self.peak:
            self.peak = self.in_use
        return address

    def release(self, address: int, nbytes: int) -> None:
        """Gives a block back to the cache."""
        size = size_class(nbytes)
        self.in_use -= size
        if self.cached + size > KEEP_LIMIT:
            del self.blocks[address]
            return
        self.cached += size
        free = self.free.get(size)
        if free is None:
            self.free[size] = [address]
        else:
            free.append(address)

    def levels(self) -> tuple[int, int]:
        """Bytes in use, and the most that were in use at once."""
        return self.in_use, self.peak

    def trim(self) -> None:
        """Gives every free block back to the system."""
        for addresses in self.free.values():
            for address in addresses:
                del self.blocks[address]
        self.free.clear()
        self.cached = 0

    def _fresh(self, size: int) -> int:
        for attempt in range(2):
            if self.in_use + self.cached + size <= self.limit:
                made = self.make(size)
                if made is not None:
                    number, owner = made
                    self.blocks[number] = owner
                    return number
            if attempt == 0:
                self.trim()
        raise OutOfMemoryError(
            f"[{self.name}] expected {size:,} bytes to be free, got {max(0, self.limit - self.in_use):,} of "
            f"{self.limit:,} ({self.in_use:,} in use); free tensors or use smaller ones"
        )
