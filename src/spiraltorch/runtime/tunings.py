"""The tuning store: one small JSON file for each kernel and target, beside the compiled kernels.

Files are replaced atomically, so several processes may tune at the same time: the last writer wins. A file that others may
have written (see `files`) counts as missing. One that is not a valid entry is reported and removed; it is written again when
its kernel is tuned again. The least recently used files are removed where all have more than `FOLDER_LIMIT` bytes.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypedDict, Union

from ..version import __version__
from . import files

ENTRY_LIMIT = 4 << 20  # bytes of one file
FOLDER_LIMIT = 64 << 20  # bytes of all files
MEMORY_LIMIT = 4096  # entries that this process remembers
SUFFIX = ".json"
VERSION = 1  # the version of the search and of the file format; entries of other versions are ignored
OUTCOMES = {
    "timed": "timed", "wrong": "with wrong results", "failed": "crashed or hung", "refused": "refused",
    "predicted": "left out by the cost model",
}  # fmt: skip
Option = Union[
    bool, int, float, str, "list[Option]", "tuple[Option, ...]"
]  # an option of a decision; lists in JSON are tuples
Decisions = dict[str, Option]  # the decisions of a rule, by name
_ENTRIES: dict[tuple[str, str], Entry] = {}  # by folder and key: the entries that this process has read or written


class Candidate(TypedDict, total=False):
    """One schedule that a search considered: always with `decisions` and an `outcome`, a key of `OUTCOMES`."""

    decisions: Decisions
    outcome: str
    ratio: float  # its time divided by that of the rule's schedule, if it was timed
    reason: str  # why it was not timed


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of tuning one kernel. Times are seconds for one run.

    Args:
        key: the kernel's key in the store, see `entry_key`.
        kernel: a description of the kernel: its kind and shapes.
        device: the name of the device on which it was tuned.
        version: the version of this package.
        decisions: the decisions of the fastest schedule that differ from the rule's defaults; empty if the default
            schedule is the fastest.
        default: the time of the default schedule, measured together with `best`.
        best: the time of the fastest schedule.
        rule: the default decisions of the rule.
        tried: the candidates that were considered.

    Example:
        >>> import spiraltorch as st
        >>> entry = st.tuning.Entry("k", "dot float32[8, 8]", "cpu:0", st.__version__, {"unroll": 2}, 4e-6, 2e-6)
        >>> entry.speedup
        2.0
    """

    key: str
    kernel: str
    device: str
    version: str
    decisions: Decisions
    default: float
    best: float
    rule: Decisions = field(default_factory=dict)
    tried: list[Candidate] = field(default_factory=list)

    @property
    def speedup(self) -> float:
        """How many times as fast the winner is as the rule's schedule."""
        return self.default / self.best if self.best else 1.0

    @property
    def count(self) -> int:
        """How many candidates were compiled."""
        return sum(t.get("outcome") in ("timed", "wrong", "failed") for t in self.tried)

    @property
    def origin(self) -> str:
        """Where the decisions come from, as `explain` prints it."""
        tried = f"the tuner tried {self.count} other schedules"
        if not self.decisions:
            return f"{tried} and kept the rule's"
        changed = ", ".join(f"{name} {option}" for name, option in self.decisions.items())
        return f"{tried} and took {changed}: {self.speedup:.2f} times as fast as the rule's"


def entry_key(kernel: str, target: str) -> str:
    """The key of an entry: a digest of the kernel's key, the target's key, and the versions of this package and the store."""
    return hashlib.sha256(f"{kernel}|{target}|{__version__}|{VERSION}".encode()).hexdigest()[:40]


def folder() -> Path | None:
    """Where entries are kept; None where nothing is kept on disk."""
    root = files.root()
    return None if root is None else root / "tuning"


def read(key: str) -> Entry | None:
    """The entry of a key; None where there is none, or it is damaged."""
    root = folder()
    entry = _ENTRIES.get((str(root), key))
    if entry is not None or root is None:
        return entry
    path = root / f"{key}{SUFFIX}"
    entry = _read(path)
    if entry is not None:
        files.touch(path)
        _remember(root, entry)
    return entry


def _remember(root: Path | None, entry: Entry) -> None:
    """Keeps an entry in memory, and drops the oldest where there are too many."""
    _ENTRIES[str(root), entry.key] = entry
    if len(_ENTRIES) > MEMORY_LIMIT:
        _ENTRIES.pop(next(iter(_ENTRIES)))


def write(entry: Entry) -> None:
    """Stores an entry. Where the folder cannot be written it warns once, and the entry holds in this process only."""
    root = folder()
    _remember(root, entry)
    if root is None:
        return
    data = json.dumps(asdict(entry)).encode()
    if len(data) <= ENTRY_LIMIT and files.write(root / f"{entry.key}{SUFFIX}", data):
        files.written(root, SUFFIX, len(data), FOLDER_LIMIT)


def count() -> int:
    """The number of entries in memory."""
    return len(_ENTRIES)


def forget() -> None:
    """Drops the entries in memory that are on disk, too."""
    for at, key in list(_ENTRIES):
        if at != "None" and (Path(at) / f"{key}{SUFFIX}").is_file():
            del _ENTRIES[at, key]


def entries() -> list[Entry]:
    """Returns the entries of the tuning store, for all devices and versions.

    Returns:
        The entries, sorted by speedup, the largest first.

    Example:
        >>> import spiraltorch as st
        >>> [entry.kernel for entry in st.tuning.entries() if entry.speedup > 1000]
        []
    """
    root = folder()
    known = {key: entry for (at, key), entry in _ENTRIES.items() if at == str(root)}
    for _, _, path in files.entries(root, SUFFIX) if root is not None else []:
        entry = _read(path)
        if entry is not None:
            known[entry.key] = entry
    return sorted(known.values(), key=lambda e: -e.speedup)


def clear() -> int:
    """Removes all entries from the tuning store, which is in `SPIRALTORCH_CACHE_DIR` or in the user's cache folder.

    Returns:
        The number of entries that were removed.

    Example:
        >>> import spiraltorch as st
        >>> st.tuning.clear() >= 0  # doctest: +SKIP
        True
    """
    count, root = len(entries()), folder()
    files.remove(root, SUFFIX)
    for at, key in list(_ENTRIES):
        if at == str(root):
            del _ENTRIES[at, key]
    return count


def _read(path: Path) -> Entry | None:
    """The entry in a file; None where there is none. A damaged file is reported and removed."""
    data = files.read(path, ENTRY_LIMIT)
    if data is None:
        return None
    try:
        entry = Entry(**json.loads(data))
        words = (entry.key, entry.kernel, entry.device, entry.version)
        tables = (entry.decisions, entry.rule, *entry.tried)
        if entry.key != path.stem or not all(isinstance(word, str) for word in words):
            raise ValueError("it is not an entry of this kernel")
        if not all(isinstance(table, dict) for table in tables):
            raise ValueError("its decisions are not JSON objects")
        if not all(isinstance(number, (int, float)) and number > 0 for number in (entry.default, entry.best)):
            raise ValueError("its times are not positive numbers")
    except (ValueError, TypeError, RecursionError) as error:
        warnings.warn(
            f"[tune] {path} is damaged ({error}); it is removed, and written again when its kernel is tuned again",
            RuntimeWarning,
            stacklevel=3,
        )
        try:
            path.unlink(missing_ok=True)
        except OSError:
            pass  # the folder is not writable: the file stays and is reported again
        return None
    return entry
