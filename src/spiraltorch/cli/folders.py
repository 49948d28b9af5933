"""Folders that commands are given."""

from __future__ import annotations

from pathlib import Path

from ..errors import ArgumentError


def evidence_folder(command: str, named: str) -> Path:
    """A folder of evidence that is there; raises `ArgumentError` where it is not."""
    if not Path(named).is_dir():
        raise ArgumentError(
            f"[{command}] expected a folder of evidence, got {named!r}; make one with `spiraltorch verify --record`"
        )
    return Path(named)
