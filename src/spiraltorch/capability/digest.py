"""Which code a cell's evidence covers, and its digest: evidence of other code than the present is stale.

A cell covers the rooms that its row names, the probes themselves, and everything that the backend's package imports,
found by reading its import statements. So a change of one renderer ages the cells of the backends that use it only.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from .rows import PACKAGE, Backend, Row

_DRIVER = ("capability/probes/checking.py", "capability/worker.py")


def digest(row: Row, backend: Backend, package: Path = PACKAGE) -> str:
    """SHA-256 over the names and contents of `covered`, with line endings normalised."""
    total = hashlib.sha256()
    for path in covered(row, backend, package):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(package).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def covered(row: Row, backend: Backend, package: Path = PACKAGE) -> list[Path]:
    """The files that a cell's evidence holds for, sorted."""
    found = set(imported(f"backends/{backend.entry}", package))
    for name in (*row.covers, f"capability/probes/{row.module}.py", *_DRIVER):
        place = package / name
        found.update(place.rglob("*.py") if place.is_dir() else [place])
    return sorted((p for p in found if p.is_file()), key=lambda p: p.relative_to(package).as_posix())


@lru_cache(maxsize=64)
def imported(start: str, package: Path = PACKAGE) -> tuple[Path, ...]:
    """The files of a folder of the package, and all files of the package that they import, however deep."""
    todo = sorted((package / start).rglob("*.py"))
    found: set[Path] = set()
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        todo += _imports(path, package)
    return tuple(sorted(found))


def _imports(path: Path, package: Path) -> list[Path]:
    """The files that one file's import statements name, anywhere in it."""
    result: list[Path] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = path.parents[node.level - 1]
            elif (node.module or "").split(".")[0] == package.name:
                base = package.parent
            else:
                continue
            base = base.joinpath(*(node.module or "").split(".")) if node.module else base
            result += _module(base)
            for alias in node.names:
                result += _module(base / alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == package.name:
                    result += _module(package.parent.joinpath(*parts))
    return [p for p in result if package in p.parents and p != package / "__init__.py"]


def _module(base: Path) -> list[Path]:
    return [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
