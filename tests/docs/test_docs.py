"""What the documents say is run: README code, docstrings' examples, and the functions that the architecture names."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import spiraltorch

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


def test_code_in_the_readme() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_functions_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([a-z_/]+)\.py:([A-Za-z_.]+)`", text)
    assert len(named) > 15
    for path, name in named:
        target = importlib.import_module("spiraltorch." + path.replace("/", "."))
        for part in name.split("."):
            target = getattr(target, part)


def test_extras_that_are_named_exist() -> None:
    """A message that says `pip install 'spiraltorch[x]'` must help: pip only warns about an unknown extra."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    named = {name for file in files for name in re.findall(r"spiraltorch\[(\w+)\]", file.read_text())}
    _, _, rest = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")
    extras = set(re.findall(r"^(\w+) = \[", rest.partition("\n[")[0], re.MULTILINE))
    assert named and named <= extras
