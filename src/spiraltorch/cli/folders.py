"""Folders that are passed to commands."""

from __future__ import annotations

from pathlib import Path

from ..errors import ArgumentError


def evidence_folder(command: str, named: str) -> Path:
    """The path of a folder of evidence. Raises `ArgumentError` if it does not exist."""
    if not Path(named).is_dir():
        raise ArgumentError(
            f"[{command}] expected a folder of evidence, got {named!r}; make one with `spiraltorch verify --record`"
        )
    return Path(named)
