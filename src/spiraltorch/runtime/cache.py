"""Compiled kernels by key: in memory, then on disk.

On disk a kernel is one content-addressed file: a checksum, the kernel's facts as JSON, and the object code. Files are
written atomically, so processes may share a folder. A file that is missing, cut or changed counts as missing. Keys name
everything that the code depends on (see `ir.kernel_key` and `ir.target`), so no entry is ever out of date.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..ir.stmt import Kernel
from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE_KERNEL
from ..telemetry.spans import span
from .protocol import KernelSource

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

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
        self.loaded: dict[str, K] = {}

    def get(
        self, kernels: Sequence[KernelSource], keys: Sequence[str | None], executor: Executor | None = None
    ) -> list[K]:
        """The compiled kernels, from memory, from disk, or compiled now.

        Args:
            kernels: scheduled kernels; a function is called only where no cache has its key.
            keys: the key of each kernel; None for a kernel that is not kept.
            executor: where object code is made while the next kernel is scheduled and rendered here.
        """
        results: list[K | None] = [None] * len(kernels)
        pending: list[tuple[int, str | None, Facts, Future[bytes]]] = []
        submitted: set[str] = set()
        for n, (kernel, key) in enumerate(zip(kernels, keys, strict=True)):
            if key is not None and (key in self.loaded or key in submitted):
                COUNTS["kernel_cache_hits"] += 1
                continue
            COUNTS["kernel_cache_misses"] += 1
            with span(COMPILE_KERNEL, key=key or "") as s:
                stored = read(key) if key is not None else None
                s.set(cache="none" if stored is None else "disk")
                if stored is not None:
                    results[n] = self._load(key, *stored)
                    continue
                facts, code = self.render(kernel() if callable(kernel) else kernel, key)
                COUNTS["kernels_compiled"] += 1
                if executor is None:
                    results[n] = self._load(key, facts, _emit(key, facts, code))
                    continue
            pending.append((n, key, facts, executor.submit(_emit, key, facts, code)))
            if key is not None:
                submitted.add(key)
        for n, key, facts, future in pending:
            results[n] = self._load(key, facts, future.result())
        return [self.loaded[key or ""] if result is None else result for result, key in zip(results, keys, strict=True)]

    def _load(self, key: str | None, facts: Facts, code: bytes) -> K:
        """Loads a kernel, and keeps it in memory where it has a key."""
        kernel = self.load(facts, code)
        if key is not None:
            self.loaded[key] = kernel
        return kernel


def _emit(key: str | None, facts: Facts, code: Callable[[], bytes]) -> bytes:
    """Makes object code, and writes it to disk where it has a key."""
    emitted = code()
    if key is not None:
        write(key, facts, emitted)
    return emitted


def folder() -> Path | None:
    """Where objects are kept: `SPIRALTORCH_CACHE_DIR`, or the user's cache folder. None if `SPIRALTORCH_CACHE_DIR` is empty."""
    setting = os.environ.get("SPIRALTORCH_CACHE_DIR")
    if setting is not None:
        return Path(setting) if setting else None
    import platformdirs

    return Path(platformdirs.user_cache_dir("spiraltorch")) / "kernels"


def read(key: str) -> tuple[Facts, bytes] | None:
    """The facts and the object code of a key; None where there is no entry, or it is damaged."""
    root = folder()
    if root is None:
        return None
    entry = _read(root / f"{key}.bin")
    COUNTS["object_cache_misses" if entry is None else "object_cache_hits"] += 1
    return entry


def _read(file: Path) -> tuple[Facts, bytes] | None:
    """The entry in a file; None where there is none, or it is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, body = data[:32], data[32:]
    if len(data) < 36 or hashlib.sha256(body).digest() != digest:
        return None
    length = int.from_bytes(body[:4], "little")
    try:
        facts = json.loads(body[4 : 4 + length])
    except ValueError:
        return None
    return facts, body[4 + length :]


def write(key: str, facts: Facts, code: bytes) -> None:
    """Writes an entry. A folder that cannot be written is reported once in a process and otherwise ignored."""
    root = folder()
    if root is None:
        return
    head = json.dumps(facts).encode()
    body = len(head).to_bytes(4, "little") + head + code
    try:
        write_atomically(root / f"{key}.bin", hashlib.sha256(body).digest() + body)
    except OSError as error:
        _warn_unwritable(root, str(error))


def write_atomically(path: Path, data: bytes) -> None:
    """Creates or replaces a file as a whole, with its folder. Raises `OSError` and leaves nothing behind."""
    import tempfile  # 5 ms that an import of the package does not need

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


class _Warned:
    """Whether this process has reported a folder that cannot be written."""

    unwritable = False


def _warn_unwritable(root: Path, reason: str) -> None:
    """Reports, once in a process, a folder that cannot be written."""
    if _Warned.unwritable:
        return
    _Warned.unwritable = True
    warnings.warn(
        f"[compile] the kernel cache in {root} cannot be written ({reason}); kernels are compiled in every process. "
        "Set SPIRALTORCH_CACHE_DIR to a writable folder",
        RuntimeWarning,
        stacklevel=4,
    )
