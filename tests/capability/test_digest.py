"""The digest of a cell changes with the code that its evidence depends on, and with no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from capability_samples import CPU, WGPU, copied_package

from spiraltorch.capability import Backend
from spiraltorch.capability.digest import covered, digest, imported
from spiraltorch.capability.rows import PACKAGE, ROWS, row
from spiraltorch.errors import ArgumentError

TENSOR, SPARSE, WHEELS = row("tensor-ops"), row("sparse"), row("wheels")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_package(tmp_path_factory.mktemp("copy"))


def aged(package: Path, file: str) -> set[tuple[str, str]]:
    """Which of a few cells a change of one file ages."""
    cells = [(r, b) for r in (TENSOR, SPARSE, WHEELS) for b in (CPU, WGPU)]
    before = [digest(r, b, package) for r, b in cells]
    path = package / file
    old = path.read_bytes()
    path.write_bytes(old + b"\n# changed\n")
    after = [digest(r, b, package) for r, b in cells]
    path.write_bytes(old)
    assert [digest(r, b, package) for r, b in cells] == before
    return {(r.id, b.entry) for (r, b), x, y in zip(cells, before, after, strict=True) if x != y}


def test_a_copy_has_the_same_digest(package: Path) -> None:
    assert digest(TENSOR, CPU, package) == digest(TENSOR, CPU)


@pytest.mark.parametrize(
    ("renderer", "backend"), [("codegen/wgsl/render.py", "wgpu"), ("codegen/llvm/render.py", "cpu")]
)
def test_a_renderer_ages_the_cells_of_its_backend(package: Path, renderer: str, backend: str) -> None:
    assert aged(package, renderer) == {(r, backend) for r in ("tensor-ops", "sparse", "wheels")}


def test_shared_code_ages_all(package: Path) -> None:
    assert len(aged(package, "codegen/operations.py")) == 6
    assert len(aged(package, "ir/stmt.py")) == 6


def test_a_package_ages_the_rows_that_cover_it(package: Path) -> None:
    assert aged(package, "tensor/ops/reduction.py") == {
        (r, b) for r in ("tensor-ops", "sparse") for b in ("cpu", "wgpu")
    }
    assert aged(package, "capability/probes/tensor_ops.py") == {("tensor-ops", "cpu"), ("tensor-ops", "wgpu")}
    assert aged(package, "cli/demo.py") == set()


@pytest.mark.parametrize("folder", ["sparse", "tensor/ops"])  # a planned package, and one that exists
def test_a_new_module_ages_the_cells_of_its_package(package: Path, folder: str) -> None:
    before = digest(SPARSE, CPU, package)
    (package / folder).mkdir(exist_ok=True)
    new = package / folder / "new.py"
    new.write_text('"""New."""\n')
    assert digest(SPARSE, CPU, package) != before
    new.unlink()
    if not any((package / folder).iterdir()):
        (package / folder).rmdir()
    assert digest(SPARSE, CPU, package) == before


def test_every_package_that_a_row_covers_exists_and_no_planned_one_does() -> None:
    for r in ROWS:
        assert all((PACKAGE / name).exists() for name in r.covers), r
        assert not any((PACKAGE / name).exists() for name in r.planned), f"{r}: move it from `planned` to `covers`"


@pytest.mark.parametrize("name", ["tensor/none", "none.py", "none"])
def test_a_covered_package_that_does_not_exist_is_an_error(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}.*rows.py"):
        digest(replace(TENSOR, covers=("tensor", name)), CPU)


def test_a_backend_that_does_not_exist_is_an_error() -> None:
    missing = next(b for b in Backend if not b.exists)
    with pytest.raises(ArgumentError, match=f"backends/{missing.entry}"):
        digest(TENSOR, missing)


def test_line_endings_do_not_matter(package: Path) -> None:
    before, path = digest(TENSOR, CPU, package), package / "ir" / "stmt.py"
    old = path.read_bytes()
    path.write_bytes(old.replace(b"\n", b"\r\n"))
    assert digest(TENSOR, CPU, package) == before
    path.write_bytes(old)


def test_imports_inside_functions_and_of_packages_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "spiraltorch"
    for name, text in {
        "backends/x/__init__.py": "from .device import Device\nimport os\n",
        "backends/x/device.py": "def f():\n    from ...codegen.first import render\n",
        "codegen/first.py": "from . import second\nimport spiraltorch.ir.third\n",
        "codegen/second.py": "", "codegen/other.py": "", "ir/third.py": "from ..codegen.first import x\n",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = {p.relative_to(root).as_posix() for p in imported("backends/x", root)}
    assert found == {
        "backends/x/__init__.py", "backends/x/device.py", "codegen/first.py", "codegen/second.py", "ir/third.py",
    }  # fmt: skip


def test_backends_cover_their_own_renderer_only() -> None:
    names = {b: {p.relative_to(PACKAGE).as_posix() for p in covered(WHEELS, b)} for b in (CPU, WGPU)}
    assert "codegen/llvm/render.py" in names[CPU] and "codegen/wgsl/render.py" in names[WGPU]
    assert not [n for n in names[CPU] if "wgsl" in n or "wgpu" in n]
    assert not [n for n in names[WGPU] if "llvm" in n or "backends/cpu" in n]
