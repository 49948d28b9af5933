"""Compiled kernels: in memory, then on disk in content-addressed files, written atomically and checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..telemetry.counting import COUNTS
from ..telemetry.names import COMPILE_KERNEL
from ..telemetry.spans import span

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_WARNED = [False]
K = TypeVar("K")


class Kernels(Generic[K]):
    """The compiled kernels of one device.

    `make(kernel, key)` turns a scheduled kernel into facts (JSON's types) and what gives its object; `load(facts, object)`
    into what the device launches. A kernel given as a function is only made where its key is in no cache; None is no key.
    """

    def __init__(
        self,
        make: Callable[[Any, str | None], tuple[dict[str, Any], Callable[[], bytes]]],
        load: Callable[[dict[str, Any], bytes], K],
    ) -> None:
        self.make = make
        self.load = load
        self.known: dict[str, K] = {}

    def get(self, kernels: Sequence[Any], keys: Sequence[str | None], aside: Executor | None = None) -> list[K]:
        """The compiled kernels. With `aside`, objects are made there while the next kernel is prepared here."""
        results: list[Any] = [None] * len(kernels)
        waiting: list[tuple[int, str | None, dict[str, Any], Future[bytes]]] = []
        first: dict[str, int] = {}
        for n, (kernel, key) in enumerate(zip(kernels, keys, strict=True)):
            if key is not None and (key in self.known or key in first):
                COUNTS["kernel_cache_hits"] += 1
                continue
            COUNTS["kernel_cache_misses"] += 1
            with span(COMPILE_KERNEL, key=key or "") as s:
                found = read(key) if key is not None else None
                s.set(cache="none" if found is None else "disk")
                if found is not None:
                    results[n] = self._known(key, *found)
                    continue
                facts, code = self.make(kernel() if callable(kernel) else kernel, key)
                COUNTS["kernels_compiled"] += 1
                if aside is None:
                    results[n] = self._known(key, facts, _kept(key, facts, code))
                    continue
            waiting.append((n, key, facts, aside.submit(_kept, key, facts, code)))
            if key is not None:
                first[key] = n
        for n, key, facts, made in waiting:
            results[n] = self._known(key, facts, made.result())
        return [self.known[key] if result is None else result for result, key in zip(results, keys, strict=True)]  # type: ignore[index]

    def _known(self, key: str | None, facts: dict[str, Any], code: bytes) -> K:
        result = self.load(facts, code)
        if key is not None:
            self.known[key] = result
        return result


def _kept(key: str | None, facts: dict[str, Any], code: Callable[[], bytes]) -> bytes:
    """Makes an object, and keeps it for other processes."""
    made = code()
    if key is not None:
        write(key, facts, made)
    return made


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
