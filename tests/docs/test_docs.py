"""What the documents say is run: README code, docstrings' examples, and the functions that the architecture names."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import spiraltorch
from spiraltorch.benchmark.rows import ROWS
from spiraltorch.telemetry.decisions import KINDS
from spiraltorch.telemetry.names import DECISION, METRICS, SPANS

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(spiraltorch.__path__, "spiraltorch.") if not m.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    count = sum(bool(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name)))
    assert count > 100


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/backend_matrix.md",
        "docs/coming_from_pytorch.md",
        "docs/semantics.md",
        "docs/telemetry.md",
        "docs/tuning.md",
    ],
)
def test_code_in_documents(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, name, "exec"), {})


def test_the_telemetry_page_names_every_span_and_metric() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()
    for metric in METRICS:
        assert f"| `{metric.key}` | `{metric.name}` |" in text
    named = re.findall(r"`(spiraltorch\.[a-z_.]+)`", text)
    assert SPANS.keys() <= set(named) <= SPANS.keys() | {m.name for m in METRICS} | {DECISION}
    for kind, meaning in KINDS.items():
        assert f"`{kind}` ({meaning})" in text


def test_the_performance_page_names_every_row() -> None:
    _, _, text = (ROOT / "docs" / "performance.md").read_text().partition("The names that `--rows` takes")
    assert re.findall(r"`(\w+)`", text.split("\n\n")[1]) == list(ROWS)


@pytest.mark.parametrize("name", ["architecture.md", "adding_a_primitive.md"])
def test_functions_that_documents_name_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    named = re.findall(r"`([a-z_/]+)\.py:([A-Za-z_.]+)`", text)
    assert len(named) > 10
    for path, qualified in named:
        target = importlib.import_module("spiraltorch." + path.replace("/", "."))
        for part in qualified.split("."):
            target = getattr(target, part)


def test_builders_and_files_that_the_guide_names_exist() -> None:
    text = (ROOT / "docs" / "adding_a_primitive.md").read_text()
    package = ROOT / "src" / "spiraltorch"
    paths = set(re.findall(r"`([a-z_]+/[a-z_/]+(?:\.pyi?|\.md)?)[`:]", text))
    assert len(paths) > 8
    assert not {p for p in paths if not (package / p).exists() and not (ROOT / p).exists()}
    build = importlib.import_module("spiraltorch.graph.build")
    called = {part for chain in re.findall(r"`([a-z_]+\([a-z_]+)\(\"my_op", text) for part in chain.split("(")}
    assert {"_apply", "apply_multiple", "_primitive"} <= called
    assert not {name for name in called if not hasattr(build, name)}


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_links_between_documents_lead_somewhere() -> None:
    for document in documents():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        n for document in documents() for n in re.findall(r"(?:^|`)make ([a-z]+)", document.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "check"} <= named <= targets


def test_paths_that_contributors_are_told_exist() -> None:
    """Paths in CONTRIBUTING.md begin at the root of the checkout, or at the root of the package."""
    named = set(
        re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|/[a-z_]+\.(?:py|md)))(?=[:`])", (ROOT / "CONTRIBUTING.md").read_text())
    )
    assert len(named) > 8
    missing = {p for p in named if not (ROOT / p).exists() and not (ROOT / "src" / "spiraltorch" / p).exists()}
    assert not missing


def test_extras_that_are_named_exist() -> None:
    """A message that says `pip install 'spiraltorch[x]'` must help: pip only warns about an unknown extra."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    pattern = r"spiraltorch\[(\w+)\](?!` \(not published yet\))"
    named = {name for file in files for name in re.findall(pattern, file.read_text())}
    _, _, rest = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")
    extras = set(re.findall(r"^(\w+) = \[", rest.partition("\n[")[0], re.MULTILINE))
    assert named and named <= extras
