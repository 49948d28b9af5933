"""The key of a kernel: equal for equal kernels, different for whatever changes the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from spiraltorch.dtypes import DType, float32, int32
from spiraltorch.ir.expr import Buffer, Load, Scalar, at, op
from spiraltorch.ir.index import Index, Var, index
from spiraltorch.ir.kernel_key import PACKAGE, SOURCES, kernel_key, source_digest
from spiraltorch.ir.stmt import Kernel, Store, loop, loop_nest

NOT_DECIDING = {
    "typing.py",
    "errors.py",
    "telemetry",
    "version.py",
}  # what SOURCES import, and no kernel's code depends on


def negation(name: str = "x", extent: int = 8, dtype: DType = float32) -> Kernel:
    x, i = Buffer(name, at(extent), dtype), loop("i", extent)
    return Kernel("negate", (x,), loop_nest([i], Store(x, at(i.var), op("neg", Load(x, at(i.var))))))


def sized(*names: str, used: str = "n") -> Kernel:
    """A kernel with symbolic sizes, one of which is its loop's extent."""
    sizes = {name: Var(name, 64, 1) for name in names}
    extent: Index = index(sizes[used])
    x, i = Buffer("x", (extent,), float32), loop("i", extent)
    body = loop_nest([i], Store(x, at(i.var), op("neg", Load(x, at(i.var)))))
    return Kernel("negate", (x,), body, (), tuple(sizes.values()))


def test_equal_kernels_have_one_key() -> None:
    assert kernel_key(negation(), "map", "t") == kernel_key(negation("other"), "map", "t")
    assert kernel_key(sized("n", "m"), "map", "t") == kernel_key(sized("n", "m"), "map", "t")


def test_what_changes_the_code_changes_the_key() -> None:
    plain = negation()
    scalar = Kernel("negate", plain.params, plain.body, (Scalar("s", float32),))
    keys = [
        kernel_key(plain, "map", "t"),
        kernel_key(plain, "reduce", "t"),
        kernel_key(plain, "map", "other target"),
        kernel_key(negation(extent=9), "map", "t"),
        kernel_key(negation(dtype=int32), "map", "t"),
        kernel_key(scalar, "map", "t"),
    ]
    assert len(set(keys)) == len(keys)


def test_symbolic_sizes_are_part_of_the_key() -> None:
    """Sizes are arguments in this order, so code for (n, m) reads the wrong number where (m, n) is passed."""
    keys = [kernel_key(k, "map", "t") for k in (sized("n"), sized("n", "m"), sized("m", "n"))]
    assert len(set(keys)) == 3


def test_a_missing_folder_of_sources_is_an_error(tmp_path: Path) -> None:
    for name in SOURCES:
        file = tmp_path / name if name.endswith(".py") else tmp_path / name / "a.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n")
    first = source_digest(tmp_path)
    source_digest.cache_clear()
    (tmp_path / "codegen" / "a.py").write_text("x = 2\n")
    assert source_digest(tmp_path) != first
    source_digest.cache_clear()
    (tmp_path / "codegen" / "a.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"\[kernel_key\] expected Python sources in .*codegen"):
        source_digest(tmp_path)
    (tmp_path / "codegen").rmdir()
    with pytest.raises(FileNotFoundError, match=r"\[kernel_key\] expected Python sources in .*codegen"):
        source_digest(tmp_path)


def test_the_sources_are_all_that_decides_the_code() -> None:
    """Whatever the listed sources import is listed too, or is known to decide nothing."""
    for name in SOURCES:
        place = PACKAGE / name
        for file in [place] if place.is_file() else place.rglob("*.py"):
            strange = imported(file) - {*SOURCES, *NOT_DECIDING}
            assert not strange, f"{file.relative_to(PACKAGE)} imports {strange}: add it to SOURCES"


def imported(file: Path) -> set[str]:
    """The folders and modules directly in the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1]
            targets = [base.joinpath(*node.module.split("."))] if node.module else [base / a.name for a in node.names]
            for target in targets:
                top = target.relative_to(PACKAGE).parts[:1]
                found |= {part if (PACKAGE / part).is_dir() else f"{part}.py" for part in top}
    return found
