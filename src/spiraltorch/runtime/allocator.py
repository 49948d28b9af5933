"""A caching allocator: blocks of a device's memory in size classes, kept for reuse when freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import OutOfMemoryError

ALIGN = 64
KEEP_LIMIT = 2 << 30  # bytes of free blocks above which freed blocks go back to the system
KNOWN_SIZES = 4096  # sizes that were asked for of which the class is remembered


def size_class(nbytes: int) -> int:
    """The block size for a request: multiples of 64 up to 1 KiB, then four classes an octave."""
    if nbytes <= 1024:
        return max(ALIGN, (nbytes + ALIGN - 1) & -ALIGN)
    step = 1 << ((nbytes - 1).bit_length() - 3)
    return (nbytes + step - 1) & -step


class Shelf:
    """The blocks of one size that are free. A bound `release` is all that a buffer has to know."""

    __slots__ = ("allocator", "free", "size")

    def __init__(self, allocator: Allocator, size: int) -> None:
        self.allocator = allocator
        self.size = size
        self.free: list[int] = []

    def take(self) -> int:
        """The address of a block. Frees the cache and tries once more before it raises `OutOfMemoryError`."""
        free, allocator = self.free, self.allocator
        address = free.pop() if free else allocator.fresh(self.size)
        allocator.in_use = in_use = allocator.in_use + self.size
        if in_use > allocator.peak:
            allocator.peak = in_use
        return address

    def release(self, address: int) -> None:
        """Gives a block back to the cache."""
        allocator = self.allocator
        allocator.in_use = in_use = allocator.in_use - self.size
        if allocator.held - in_use > KEEP_LIMIT:
            del allocator.blocks[address]
            allocator.held -= self.size
        else:
            self.free.append(address)


class Allocator:
    """Blocks of memory with statistics. Not locked: the caller holds the interpreter.

    `make(size)` gives a fresh block as its number (an address, or a handle) and the object that owns it, or None where the
    device has no such memory; `limit` is what the device has, in bytes.
    """

    def __init__(self, name: str, limit: int, make: Callable[[int], tuple[int, Any] | None]) -> None:
        self.name = name
        self.make = make
        self.shelves: dict[int, Shelf] = {}  # by the size of their blocks
        self.blocks: dict[int, Any] = {}  # number -> what owns the memory
        self.in_use = 0
        self.peak = 0
        self.held = 0  # bytes of all blocks, free ones too
        self.limit = limit
        self._of: dict[int, Shelf] = {}  # by sizes that were asked for

    def shelf(self, nbytes: int) -> Shelf:
        """Where blocks for so many bytes come from."""
        found = self._of.get(nbytes)
        if found is None:
            if len(self._of) >= KNOWN_SIZES:
                self._of.clear()
            size = size_class(nbytes)
            found = self._of[nbytes] = self.shelves.setdefault(size, Shelf(self, size))
        return found

    def levels(self) -> tuple[int, int]:
        """Bytes in use, and the most that were in use at once."""
        return self.in_use, self.peak

    def trim(self) -> None:
        """Gives every free block back to the system."""
        for shelf in self.shelves.values():
            for address in shelf.free:
                del self.blocks[address]
                self.held -= shelf.size
            shelf.free.clear()

    def fresh(self, size: int) -> int:
        """A block that was never used. Frees the cache and tries once more before it raises `OutOfMemoryError`."""
        for attempt in range(2):
            if self.held + size <= self.limit:
                made = self.make(size)
                if made is not None:
                    number, owner = made
                    self.blocks[number] = owner
                    self.held += size
                    return number
            if attempt == 0:
                self.trim()
        raise OutOfMemoryError(
            f"[{self.name}] expected {size:,} bytes to be free, got {max(0, self.limit - self.in_use):,} of "
            f"{self.limit:,} ({self.in_use:,} in use); free tensors or use smaller ones"
        )
