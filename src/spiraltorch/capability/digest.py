"""The source files that a cell's evidence depends on, and their digest. Evidence with another digest is stale.

They are the packages that its row names, the probes, and all modules that the backend's package imports, directly or not,
by its import statements. So a change of one renderer makes only the cells of the backends that use it stale.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from ..errors import ArgumentError
from .rows import PACKAGE, Backend, Row

_HARNESS = ("capability/probes/checking.py", "capability/worker.py")


def digest(row: Row, backend: Backend, package: Path = PACKAGE) -> str:
    """The SHA-256 of the names and contents of the files in `covered`, with normalised line endings.

    Args:
        row: a measured row.
        backend: a backend that exists.
        package: the folder of the package, if not this one.

    Returns:
        64 hexadecimal digits.

    Raises:
        ArgumentError: a package or module that the row or the backend depends on does not exist.
    """
    total = hashlib.sha256()
    for path in covered(row, backend, package):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(package).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def covered(row: Row, backend: Backend, package: Path = PACKAGE) -> list[Path]:
    """The files that a cell's evidence depends on, sorted by name. Raises as `digest` does."""
    files = set(imported(f"backends/{backend.entry}", package))
    for name in (*row.covers, f"capability/probes/{row.module}.py", *_HARNESS):
        files.update(_files(name, package))
    for name in row.planned:
        if (package / name).exists():
            files.update(_files(name, package))
    return sorted(files, key=lambda p: p.relative_to(package).as_posix())


def _files(name: str, package: Path) -> list[Path]:
    """A module, or the modules of a package and of the packages inside it."""
    place = package / name
    files = [p for p in place.rglob("*.py") if p.is_file()] if place.is_dir() else [place]
    if not files or not all(p.is_file() for p in files):
        raise ArgumentError(
            f"[capability] expected {name!r} in the package, because evidence depends on it, got nothing there; "
            "correct the names in capability/rows.py"
        )
    return files


@lru_cache(maxsize=64)
def imported(start: str, package: Path = PACKAGE) -> tuple[Path, ...]:
    """The modules of a package inside the package, and all modules that they import, directly or not, sorted."""
    todo = sorted(_files(start, package))
    files: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in files:
            files.add(path)
            todo += _imports(path, package)
    return tuple(sorted(files))


def _imports(path: Path, package: Path) -> list[Path]:
    """The modules of the package that a module imports, at any place in it."""
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
    """The file of a module or package, if there is one."""
    return [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
