"""A caching allocator: blocks of a device's memory in size classes, kept for reuse when freed.

A buffer that is dropped only notes that (`SizeClass.returning`); its block is released when the allocator is used next.

Several threads allocate and free. Under the global interpreter lock that needs no other lock: the interpreter does not
switch threads between the steps of `take` and `release` that belong together. Without it, `LockedSizeClass` is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import OutOfMemoryError
from .interpreter import HAS_GLOBAL_LOCK

ALIGN = 64
KEEP_LIMIT = 2 << 30  # bytes of free blocks above which freed blocks go back to the system
SMALL = 16 << 10  # bytes up to which dropped blocks wait for the next request of their class
SIZE_LIMIT = 4096  # requested sizes whose class is remembered


def size_class(nbytes: int) -> int:
    """The block size for a request: multiples of 64 up to 1 KiB, then four classes per octave."""
    if nbytes <= 1024:
        return max(ALIGN, (nbytes + ALIGN - 1) & -ALIGN)
    step = 1 << ((nbytes - 1).bit_length() - 3)
    return (nbytes + step - 1) & -step


class SizeClass:
    """The free blocks of one size."""

    __slots__ = ("allocator", "free", "size")

    def __init__(self, allocator: Allocator, size: int) -> None:
        self.allocator = allocator
        self.size = size
        self.free: list[int] = []

    def take(self) -> int:
        """The address of a block. Raises `OutOfMemoryError`."""
        free, allocator = self.free, self.allocator
        if allocator.returned:
            allocator.collect()
        address = free.pop() if free else allocator.fresh(self.size)
        allocator.in_use = in_use = allocator.in_use + self.size
        if in_use > allocator.peak:
            allocator.note_peak()
        return address

    def release(self, address: int) -> None:
        """Gives a block back: to the free blocks, or to the system where those exceed the allocator's `keep_limit`."""
        allocator = self.allocator
        allocator.in_use = in_use = allocator.in_use - self.size
        if allocator.reserved - in_use > allocator.keep_limit:
            del allocator.blocks[address]
            allocator.reserved -= self.size
        else:
            self.free.append(address)

    def returning(self, address: int) -> Callable[[], None]:
        """A function without Python code that gives a block back at the next use of the allocator."""
        return partial(self.allocator.returned.append, (self, address))


class SmallSizeClass(SizeClass):
    """The same for small blocks: one that was dropped serves the next request, without a look at the books."""

    __slots__ = ("_drop", "dropped")

    def __init__(self, allocator: Allocator, size: int) -> None:
        super().__init__(allocator, size)
        self.dropped: list[int] = []  # addresses of blocks that still count as in use
        self._drop = self.dropped.append

    def take(self) -> int:
        """The address of a block. Raises `OutOfMemoryError`."""
        if self.allocator.returned:
            self.allocator.collect()
        return self.dropped.pop() if self.dropped else super().take()

    def returning(self, address: int) -> Callable[[], None]:
        """A function without Python code that gives a block back."""
        return partial(self._drop, address)

    def collect(self) -> None:
        """Releases the blocks that were dropped."""
        dropped = self.dropped
        try:
            while dropped:
                self.release(dropped.pop())
        except IndexError:
            pass  # another thread took the last


class LockedSizeClass(SizeClass):
    """The same for interpreters in which several threads run at once."""

    __slots__ = ()

    def take(self) -> int:
        """The address of a block. Raises `OutOfMemoryError`."""
        with self.allocator.lock:
            return super().take()

    def release(self, address: int) -> None:
        """Gives a block back."""
        with self.allocator.lock:
            super().release(address)


class Allocator:
    """The blocks of one device, with statistics.

    Args:
        name: the device, for errors.
        limit: the bytes that the device has.
        make: makes a block of a size. It returns the block's address or handle and the object that owns the memory, or
            None if the device does not have enough memory.
    """

    def __init__(self, name: str, limit: int, make: Callable[[int], tuple[int, Any] | None]) -> None:
        self.name = name
        self.make = make
        self.lock = threading.RLock()  # a collection of garbage may free buffers inside; see `LockedSizeClass`
        self._small: list[SmallSizeClass] = []
        self.classes: dict[int, SizeClass] = {}  # by the size of their blocks
        self.blocks: dict[int, Any] = {}  # by address or handle: the objects that own the memory
        self.returned: list[tuple[SizeClass, int]] = []  # blocks of buffers that were dropped
        self.in_use = 0
        self.peak = 0
        self.reserved = 0  # bytes of all blocks, free ones too
        self.limit = limit
        self.keep_limit = KEEP_LIMIT
        self._by_request: dict[int, SizeClass] = {}  # by sizes as requested

    def size_class(self, nbytes: int) -> SizeClass:
        """The class whose blocks serve requests of so many bytes."""
        known = self._by_request.get(nbytes)
        if known is None:
            if len(self._by_request) >= SIZE_LIMIT:
                self._by_request.clear()
            size = size_class(nbytes)
            known = self.classes.get(size) or self.classes.setdefault(size, self._new_class(size))
            self._by_request[nbytes] = known
        return known

    def _new_class(self, size: int) -> SizeClass:
        if not HAS_GLOBAL_LOCK:
            return LockedSizeClass(self, size)
        if size > SMALL:
            return SizeClass(self, size)
        small = SmallSizeClass(self, size)
        self._small.append(small)
        return small

    def collect(self) -> None:
        """Releases the blocks of buffers that were dropped, but small ones."""
        returned = self.returned
        try:
            while returned:
                blocks, address = returned.pop()
                blocks.release(address)
        except IndexError:
            pass  # another thread took the last

    def _collect_all(self) -> None:
        """Releases the blocks of all buffers that were dropped."""
        self.collect()
        for small in self._small:
            small.collect()

    def note_peak(self) -> None:
        """Notes that more bytes may be in use than ever."""
        self._collect_all()
        self.peak = max(self.peak, self.in_use)

    def levels(self) -> tuple[int, int]:
        """The bytes in use, and the most that were in use at once."""
        self._collect_all()
        return self.in_use, self.peak

    def trim(self) -> None:
        """Gives every free block back to the system."""
        self._collect_all()
        for one in self.classes.values():
            for address in one.free:
                del self.blocks[address]
                self.reserved -= one.size
            one.free.clear()

    def fresh(self, size: int) -> int:
        """A new block. Where there is no memory it trims the cache and tries once more, then raises `OutOfMemoryError`."""
        for attempt in range(2):
            if self.reserved + size <= self.limit:
                block = self.make(size)
                if block is not None:
                    address, owner = block
                    self.blocks[address] = owner
                    self.reserved += size
                    return address
            if attempt == 0:
                self.trim()
        raise OutOfMemoryError(
            f"[{self.name}] expected {size:,} bytes to be free, got {max(0, self.limit - self.in_use):,} of "
            f"{self.limit:,} ({self.in_use:,} in use); free tensors or use smaller ones"
        )
