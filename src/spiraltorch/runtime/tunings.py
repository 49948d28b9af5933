"""What tuning found: one small JSON file for each kernel and target, beside the compiled kernels.

Files are replaced as a whole, so processes that tune at once do not disturb each other: the last one stays. A file that
cannot be read as an entry is reported, removed, and made anew when its kernel is tuned again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..version import __version__
from . import cache

VERSION = 1  # of the search and of the entries; another one makes the entries of this one unknown
OUTCOMES = {
    "timed": "timed", "wrong": "with wrong results", "failed": "crashed or hung", "refused": "refused",
    "predicted": "left out by the cost model",
}  # fmt: skip
_KNOWN: dict[tuple[str, str], Entry] = {}  # by folder and key: also what could not be written


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one kernel. Times are seconds for one run."""

    key: str  # of the kernel's entry: see `entry_key`
    kernel: str  # what it is, for people: kind, shapes
    device: str
    version: str  # of this package
    decisions: dict[str, Any]  # the winner's, where they differ from the rule's; empty: the rule's choice won
    default: float  # of the rule's choice, measured together with `best`
    best: float  # of the winner
    rule: dict[str, Any] = field(default_factory=dict)  # what the rule decides by itself
    tried: list[dict[str, Any]] = field(default_factory=list)  # each with decisions, outcome, and ratio or reason

    @property
    def speedup(self) -> float:
        """How many times as fast the winner is as the rule's choice."""
        return self.default / self.best if self.best else 1.0

    @property
    def count(self) -> int:
        """How many candidates were compiled."""
        return sum(t.get("outcome") in ("timed", "wrong", "failed") for t in self.tried)

    @property
    def origin(self) -> str:
        """A few words for `explain`."""
        timed = f"the tuner tried {self.count} other schedules"
        if not self.decisions:
            return f"{timed} and kept the rule's"
        changed = ", ".join(f"{name} {option}" for name, option in self.decisions.items())
        return f"{timed} and took {changed}: {self.speedup:.2f} times as fast as the rule's"


def entry_key(kernel: str, target: str) -> str:
    """The key of an entry: of the kernel, the target's facts, this package's version and the tuner's."""
    return hashlib.sha256(f"{kernel}|{target}|{__version__}|{VERSION}".encode()).hexdigest()[:40]


def folder() -> Path | None:
    """Where entries are kept; None where nothing is kept on disk."""
    root = cache.folder()
    return None if root is None else root / "tuning"


def read(key: str) -> Entry | None:
    """The entry of a key; None where there is none, or it is damaged."""
    root = folder()
    known = _KNOWN.get((str(root), key))
    if known is not None or root is None:
        return known
    found = _read(root / f"{key}.json")
    if found is not None:
        _KNOWN[str(root), key] = found
    return found


def write(entry: Entry) -> None:
    """Keeps an entry. Where the folder cannot be written, a warning says so and the entry holds in this process."""
    root = folder()
    _KNOWN[str(root), entry.key] = entry
    if root is None:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=root)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(entry), file)
            os.replace(name, root / f"{entry.key}.json")
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        warnings.warn(
            f"[tune] the folder {root} cannot be written ({error}): what was found holds in this process only. Set "
            "SPIRALTORCH_CACHE_DIR to a writable folder",
            RuntimeWarning,
            stacklevel=2,
        )


def entries() -> list[Entry]:
    """All entries, of every device and version, those that won most first."""
    root = folder()
    found = {key: entry for (at, key), entry in _KNOWN.items() if at == str(root)}
    for path in sorted(root.glob("*.json")) if root is not None and root.is_dir() else []:
        entry = _read(path)
        if entry is not None:
            found[entry.key] = entry
    return sorted(found.values(), key=lambda e: -e.speedup)


def clear() -> int:
    """Forgets every entry; gives how many there were."""
    count, root = len(entries()), folder()
    for path in list(root.glob("*.json")) if root is not None and root.is_dir() else []:
        path.unlink(missing_ok=True)
    for at, key in list(_KNOWN):
        if at == str(root):
            del _KNOWN[at, key]
    return count


def _read(path: Path) -> Entry | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        entry = Entry(**json.loads(data))
        words = (entry.key, entry.kernel, entry.device, entry.version)
        tables = (entry.decisions, entry.rule, *entry.tried)
        if entry.key != path.stem or not all(isinstance(word, str) for word in words):
            raise ValueError("it is no entry")
        if not all(isinstance(table, dict) for table in tables):
            raise ValueError("its decisions are no decisions")
        if not all(isinstance(number, (int, float)) and number > 0 for number in (entry.default, entry.best)):
            raise ValueError("its times are no times")
    except (ValueError, TypeError, RecursionError) as error:
        warnings.warn(
            f"[tune] {path} is damaged ({error}); it is removed, and made anew when its kernel is tuned again",
            RuntimeWarning,
            stacklevel=3,
        )
        try:
            path.unlink(missing_ok=True)
        except OSError:
            pass  # a folder that cannot be written: the warning comes again
        return None
    return entry
