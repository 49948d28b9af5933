"""Compiled kernels: in memory, then on disk in content-addressed files, written atomically and checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE_KERNEL
from ..telemetry.spans import span

_WARNED = [False]
K = TypeVar("K")


class Kernels(Generic[K]):
    """The compiled kernels of one device.

    `make(kernel, key)` turns a scheduled kernel into facts (JSON's types) and an object; `load(facts, object)` into what
    the device launches. A kernel given as a function is only made where its key is in no cache; None is no key.
    """

    def __init__(
        self,
        make: Callable[[Any, str | None], tuple[dict[str, Any], bytes]],
        load: Callable[[dict[str, Any], bytes], K],
    ) -> None:
        self.make = make
        self.load = load
        self.known: dict[str, K] = {}

    def get(self, kernel: Any, key: str | None) -> K:
        """The compiled kernel."""
        if key is not None and key in self.known:
            COUNTS["kernel_cache_hits"] += 1
            return self.known[key]
        COUNTS["kernel_cache_misses"] += 1
        with span(COMPILE_KERNEL, key=key or "") as s:
            found = read(key) if key is not None else None
            s.set(cache="none" if found is None else "disk")
            facts, code = found or self._made(kernel, key)
            result = self.load(facts, code)
        if key is not None:
            self.known[key] = result
        return result

    def _made(self, kernel: Any, key: str | None) -> tuple[dict[str, Any], bytes]:
        facts, code = self.make(kernel() if callable(kernel) else kernel, key)
        COUNTS["kernels_compiled"] += 1
        if key is not None:
            write(key, facts, code)
        return facts, code


def folder() -> Path | None:
    """Where objects are kept: `SPIRALTORCH_CACHE_DIR`, or the user's cache folder. None if `SPIRALTORCH_CACHE_DIR` is empty."""
    given = os.environ.get("SPIRALTORCH_CACHE_DIR")
    if given is not None:
        return Path(given) if given else None
    import platformdirs

    return Path(platformdirs.user_cache_dir("spiraltorch")) / "kernels"


def read(key: str) -> tuple[dict[str, Any], bytes] | None:
    """The facts and the object of a key; None where there is none or it is damaged."""
    root = folder()
    if root is None:
        return None
    found = _read(root / f"{key}.bin")
    COUNTS["object_cache_misses" if found is None else "object_cache_hits"] += 1
    return found


def _read(file: Path) -> tuple[dict[str, Any], bytes] | None:
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


def write(key: str, facts: dict[str, Any], code: bytes) -> None:
    """Keeps an object. A folder that cannot be written is reported once and otherwise ignored."""
    root = folder()
    if root is None:
        return
    head = json.dumps(facts).encode()
    body = len(head).to_bytes(4, "little") + head + code
    data = hashlib.sha256(body).digest() + body
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=root)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, root / f"{key}.bin")
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        if not _WARNED[0]:
            _WARNED[0] = True
            warnings.warn(
                f"[compile] the kernel cache in {root} cannot be written ({error}); kernels are compiled in every process. "
                "Set SPIRALTORCH_CACHE_DIR to a writable folder",
                RuntimeWarning,
                stacklevel=2,
            )
