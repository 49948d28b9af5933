"""Compiled kernels by key: in memory, then on disk.

Both are bounded and drop what was used least recently: `KERNEL_LIMIT` kernels in memory, `files.limit()` bytes on disk.

On disk a kernel is one file: a checksum, its key and facts as JSON, and the object code. What is not certain to be this
kernel's entry, written by this user (see `files`), counts as missing, and so does one that cannot be loaded: the kernel is
compiled anew, and its entry replaced. Keys name everything that the code depends on (see `ir.kernel_key` and `ir.target`),
so no entry is ever out of date.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import CompileError
from ..ir.stmt import Kernel
from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE_KERNEL
from ..telemetry.spans import span
from . import files
from .protocol import KernelSource

if TYPE_CHECKING:
    from .thread import Result, Worker

KERNEL_LIMIT = 512  # kernels that a device keeps in memory, beside those of plans
ENTRY_LIMIT = 64 << 20  # bytes of one entry
SUFFIX = ".bin"
Facts = dict[str, Any]  # of JSON's types: what a device needs besides the code to launch a kernel
K = TypeVar("K")


class KernelCache(Generic[K]):
    """The compiled kernels of one device, by key. Used under the evaluation lock only.

    `render(kernel, key)` turns a scheduled kernel into its facts and a function that makes the object code. `load(facts,
    code)` turns those into what the device launches.
    """

    def __init__(
        self,
        render: Callable[[Kernel, str | None], tuple[Facts, Callable[[], bytes]]],
        load: Callable[[Facts, bytes], K],
    ) -> None:
        self.render = render
        self.load = load
        self.loaded: dict[str, K] = {}  # the least recently used first
        CACHES.add(self)

    def get(self, kernels: Sequence[KernelSource], keys: Sequence[str | None], worker: Worker | None = None) -> list[K]:
        """The compiled kernels, from memory, from disk, or compiled now.

        Args:
            kernels: scheduled kernels; a function is called only where no cache has its key.
            keys: the key of each kernel; None for a kernel that is not kept.
            worker: where object code is made while the next kernel is scheduled and rendered here.
        """
        results: list[K | None] = [None] * len(kernels)
        pending: list[tuple[int, str | None, Facts, Result[bytes]]] = []
        submitted: set[str] = set()
        found: dict[str, K] = {}  # of this call: what is in memory may be dropped meanwhile
        try:
            for n, (kernel, key) in enumerate(zip(kernels, keys, strict=True)):
                known = None if key is None else self._recall(key)
                if key is not None and (known is not None or key in submitted):
                    COUNTS["kernel_cache_hits"] += 1
                    results[n] = known
                    continue
                COUNTS["kernel_cache_misses"] += 1
                with span(COMPILE_KERNEL, key=key or "") as s:
                    stored = self._stored(key) if key is not None else None
                    s.set(cache="none" if stored is None else "disk")
                    if stored is not None:
                        results[n] = stored
                        continue
                    facts, code = self.render(kernel() if callable(kernel) else kernel, key)
                    COUNTS["kernels_compiled"] += 1
                    if worker is None:
                        results[n] = self._load(key, facts, _emit(key, facts, code))
                        continue
                pending.append((n, key, facts, worker.submit(partial(_emit, key, facts, code))))
                if key is not None:
                    submitted.add(key)
            for n, key, facts, result in pending:
                results[n] = kernel_now = self._load(key, facts, result.result())
                found[key or ""] = kernel_now
        except BaseException:
            for _, _, _, result in pending:  # what nobody waits for need not be made
                result.cancelled = True
            raise
        return [found[key or ""] if kernel is None else kernel for kernel, key in zip(results, keys, strict=True)]

    def _recall(self, key: str) -> K | None:
        """The kernel of a key in memory, which is the most recently used one then."""
        kernel = self.loaded.pop(key, None)
        if kernel is not None:
            self.loaded[key] = kernel
        return kernel

    def _stored(self, key: str) -> K | None:
        """The kernel of a key on disk. None where there is no entry, or it cannot be loaded."""
        entry = read(key)
        if entry is None:
            return None
        try:
            return self._load(key, *entry)
        except (CompileError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None  # content that was changed together with its checksum

    def _load(self, key: str | None, facts: Facts, code: bytes) -> K:
        """Loads a kernel, and keeps it in memory where it has a key."""
        kernel = self.load(facts, code)
        if key is not None:
            self.loaded[key] = kernel
            if len(self.loaded) > KERNEL_LIMIT:
                self.loaded.pop(next(iter(self.loaded)))
        return kernel


CACHES: weakref.WeakSet[KernelCache[Any]] = weakref.WeakSet()  # of all open devices


def _emit(key: str | None, facts: Facts, code: Callable[[], bytes]) -> bytes:
    """Makes object code, and writes it to disk where it has a key."""
    emitted = code()
    if key is not None:
        write(key, facts, emitted)
    return emitted


def folder() -> Path | None:
    """Where objects are kept; None where nothing is kept on disk."""
    return files.root() if files.limit() > 0 else None


def read(key: str) -> tuple[Facts, bytes] | None:
    """The facts and the object code of a key; None where there is no entry, or it is damaged."""
    root = folder()
    if root is None:
        return None
    path = root / f"{key}{SUFFIX}"
    data = files.read(path, ENTRY_LIMIT)
    entry = None if data is None else _unpack(key, data)
    COUNTS["object_cache_misses" if entry is None else "object_cache_hits"] += 1
    if entry is not None:
        files.touch(path)
    return entry


def _unpack(key: str, data: bytes) -> tuple[Facts, bytes] | None:
    """The entry of a key in the content of a file; None where it is damaged, or another key's."""
    digest, body = data[:32], data[32:]
    if len(data) < 36 or hashlib.sha256(body).digest() != digest:
        return None
    length = int.from_bytes(body[:4], "little")
    try:
        head = json.loads(body[4 : 4 + length])
    except (ValueError, RecursionError):
        return None
    if not isinstance(head, dict) or head.get("key") != key or not isinstance(head.get("facts"), dict):
        return None
    return head["facts"], body[4 + length :]


def write(key: str, facts: Facts, code: bytes) -> None:
    """Writes an entry, where that is possible: see `files`."""
    root = folder()
    if root is None:
        return
    head = json.dumps({"key": key, "facts": facts}).encode()
    body = len(head).to_bytes(4, "little") + head + code
    most = files.limit()
    if len(body) + 32 <= min(ENTRY_LIMIT, most) and files.write(
        root / f"{key}{SUFFIX}", hashlib.sha256(body).digest() + body
    ):
        files.written(root, SUFFIX, len(body) + 32, most)
