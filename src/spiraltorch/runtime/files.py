"""Files that this package keeps for itself: compiled kernels and tunings, in folders of the user's own.

Contract
- A file is read only if it is certain to be this user's: a regular file, no link, of bounded size, owned by this user and
  writable by nobody else, in a folder of which the same holds. Everything else counts as missing.
- A file is replaced as a whole, so several processes may use a folder.
- No failure raises: without a usable folder nothing is kept, which is reported once in a process.

Systems without user ids (Windows) keep a user's folders private by other means, so owners are not compared there.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import ArgumentError

DEFAULT_LIMIT = 2 << 30  # bytes of compiled kernels on disk
SWEEP_PART = 16  # the folder is looked through after each such part of the limit was written
ABANDONED_SECONDS = 3600  # after which a temporary file is one of a process that has died
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LINKS = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | _LINKS | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NUMBER = itertools.count()


class _Process:
    """What this process remembers: whether it has reported a failure, and the bytes written to each folder."""

    warned = False
    written: dict[Path, int] = {}  # since the folder was looked through last


def root() -> Path | None:
    """The folder of everything that is kept, which may not exist yet: `SPIRALTORCH_CACHE_DIR`, or the user's cache folder.

    None where nothing is kept: the variable is empty, or there is no absolute path to a folder of this user.
    """
    setting = os.environ.get("SPIRALTORCH_CACHE_DIR")
    if setting is not None:
        return Path(os.path.abspath(setting)) if setting else None
    import platformdirs

    try:
        home = Path(platformdirs.user_cache_dir("spiraltorch"))
    except (OSError, KeyError, RuntimeError) as error:
        report_unusable(f"the user's cache folder is not known ({error!r})")
        return None
    if not home.is_absolute() or (os.environ.get("HOME") == "" and not os.environ.get("XDG_CACHE_HOME")):
        report_unusable(f"the user's cache folder is not known (HOME is {os.environ.get('HOME')!r})")
        return None
    return home / "kernels"


def limit() -> int:
    """The most bytes of compiled kernels on disk: `SPIRALTORCH_CACHE_LIMIT`, a number of bytes with K, M, G or T.

    Raises:
        ArgumentError: the variable is something else.
    """
    setting = os.environ.get("SPIRALTORCH_CACHE_LIMIT", "").strip()
    if not setting:
        return DEFAULT_LIMIT
    match = re.fullmatch(r"([0-9]{1,18})([KMGT]?)", setting, re.ASCII)
    if match is None:
        raise ArgumentError(
            f"[cache] expected SPIRALTORCH_CACHE_LIMIT as a number of bytes such as 500000000, 500M or 2G, got {setting!r}; "
            "correct or unset the variable"
        )
    return int(match[1]) * _UNITS[match[2]]


def report_unusable(reason: str) -> None:
    """Reports, once in a process, why nothing is kept on disk."""
    if _Process.warned:
        return
    _Process.warned = True
    warnings.warn(
        f"[cache] expected a folder for compiled kernels, got none: {reason}; kernels are compiled in every process. "
        "Set SPIRALTORCH_CACHE_DIR to a folder that only this user can write to",
        RuntimeWarning,
        stacklevel=2,
    )


def why_foreign(facts: os.stat_result) -> str | None:
    """Why a file or folder may not be trusted; None where only this user can have written it."""
    if not hasattr(os, "geteuid"):
        return None
    if facts.st_uid != os.geteuid():
        return f"it belongs to the user {facts.st_uid}"
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return None


def _usable(folder: Path) -> bool:
    """Whether a folder exists that only this user can write to. One that others can write to is reported."""
    try:
        facts = os.stat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(facts.st_mode):
        return False
    why = why_foreign(facts)
    if why is not None:
        report_unusable(f"{folder} is not used, since {why}")
    return why is None


def read(path: Path, most: int) -> bytes | None:
    """The content of a file of this user's; None where there is none, or it is longer than `most` bytes, or in doubt."""
    if not _usable(path.parent):
        return None
    try:
        number = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most or why_foreign(facts) is not None:
            return None
        if not _LINKS and path.is_symlink():
            return None
        data = b""
        while len(data) < facts.st_size:
            part = os.read(number, facts.st_size - len(data))
            if not part:
                return None
            data = data + part if data else part
        return data
    except OSError:
        return None
    finally:
        os.close(number)


def touch(path: Path) -> None:
    """Marks a file as used now: the least recently used are removed first."""
    with suppress(OSError):
        os.utime(path)


def write(path: Path, data: bytes) -> bool:
    """Creates or replaces a file, with its folder. Returns False, and reports it once, where that is not possible."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _usable(path.parent):
            report_unusable(f"{path.parent} cannot be used")
            return False
        replace(path, [data], 0o600)
    except OSError as error:
        report_unusable(f"{path.parent} cannot be written ({error})")
        return False
    return True


def replace(path: Path, parts: Iterable[bytes | memoryview], mode: int, sync: bool = False) -> None:
    """Creates or replaces a file as a whole, from a temporary file beside it.

    Args:
        path: the file.
        parts: its content.
        mode: the permissions of a new file, less those that the process's umask takes away.
        sync: whether the content is on disk before the file is replaced.

    Raises:
        OSError: that is not possible. Nothing is left behind, nor is it after another exception.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}-{next(_NUMBER)}-{time.time_ns():x}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _LINKS | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:
            file.writelines(parts)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # it was moved already: the exception came afterwards
            os.unlink(temporary)
        raise


def entries(folder: Path, suffix: str) -> list[tuple[float, int, Path]]:
    """The files of a folder with this ending: the time of their last use, their bytes and their path; the oldest first."""
    found = []
    with suppress(OSError), os.scandir(folder) as files:
        for file in files:
            if file.name.endswith(suffix):
                with suppress(OSError):
                    facts = file.stat(follow_symlinks=False)
                    found.append((facts.st_mtime, facts.st_size, Path(file.path)))
    return sorted(found)


def written(folder: Path, suffix: str, nbytes: int, most: int) -> None:
    """Counts bytes that were written to a folder. From time to time the least recently used files are removed.

    Args:
        folder: the folder.
        suffix: the ending of its files.
        nbytes: the bytes that were written now.
        most: the bytes that all files together may have.
    """
    known = _Process.written.get(folder)
    total = nbytes + (known or 0)
    if known is not None and total < most // SWEEP_PART:
        _Process.written[folder] = total
        return
    _Process.written[folder] = 0
    _sweep(folder, suffix, most - most // SWEEP_PART)


def _sweep(folder: Path, suffix: str, most: int) -> None:
    """Removes the least recently used files until all have at most so many bytes, and abandoned temporary files."""
    abandoned = time.time() - ABANDONED_SECONDS
    for used, _, path in entries(folder, ".tmp"):
        if used < abandoned:
            with suppress(OSError):
                path.unlink()
    files = entries(folder, suffix)
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= most:
            return
        with suppress(OSError):
            path.unlink()
            total -= size


def remove(folder: Path | None, suffix: str, chosen: Callable[[Path], bool] = lambda path: True) -> int:
    """Removes the files of a folder with this ending. Returns how many there were."""
    count = 0
    for _, _, path in entries(folder, suffix) if folder is not None else []:
        if chosen(path):
            with suppress(OSError):
                path.unlink()
                count += 1
    return count
