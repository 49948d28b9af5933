"""No module of more than 500 lines and no function of more than 80, but those that are listed here with a reason."""

from __future__ import annotations

import ast
from pathlib import Path

import spiraltorch

ROOT = Path(spiraltorch.__file__).parent
MODULE_LINES, FUNCTION_LINES = 500, 80

LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {
    "backends/cpu/pool.py:text": "the LLVM IR of the pool's threads: generated text",
}


def functions(tree: ast.AST, prefix: str = "") -> list[tuple[str, int]]:
    """The qualified name and the number of lines of every function in a syntax tree, decorators not counted."""
    found: list[tuple[str, int]] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{prefix}{node.name}"
            if not isinstance(node, ast.ClassDef):
                found.append((name, (node.end_lineno or node.lineno) - node.lineno + 1))
            found += functions(node, f"{name}.")
        else:
            found += functions(node, prefix)
    return found


def sources() -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}


def test_modules() -> None:
    lengths = {name: len(text.splitlines()) for name, text in sources().items()}
    long = {name: lines for name, lines in lengths.items() if lines > MODULE_LINES}
    new = {name: lines for name, lines in long.items() if name not in LONG_MODULES}
    assert not new, f"modules of more than {MODULE_LINES} lines; split them by subject: {new}"
    mended = LONG_MODULES.keys() - long.keys()
    assert not mended, f"no longer too long; take them off LONG_MODULES: {sorted(mended)}"


def test_functions() -> None:
    long = {
        f"{path}:{name}": lines
        for path, text in sources().items()
        for name, lines in functions(ast.parse(text))
        if lines > FUNCTION_LINES
    }
    new = {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS}
    assert not new, f"functions of more than {FUNCTION_LINES} lines; split them: {new}"
    mended = LONG_FUNCTIONS.keys() - long.keys()
    assert not mended, f"no longer too long; take them off LONG_FUNCTIONS: {sorted(mended)}"


def test_lines_of_methods_and_inner_functions_are_counted() -> None:
    source = "class A:\n    @property\n    def f(self):\n        def g():\n            pass\n        return g\n"
    assert functions(ast.parse(source)) == [("A.f", 4), ("A.f.g", 2)]
