"""No code outside `codegen/`, `backends/` and the matrix's own rows asks which backend it runs on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import spiraltorch

ROOT = Path(spiraltorch.__file__).parent
NAMES = re.compile(r"\b(cpu|wgpu|webgpu|mps|metal|cuda|hip|rocm|vulkan)\b", re.IGNORECASE)
PACKAGES = ("codegen", "backends", "capability")  # renderers and devices; and the matrix, which lists backends
# Everything else that names one, and why it may: names of devices, never a question.
ALLOWED = {
    "runtime/device.py": "the default device",
    "graph/build.py": "the default device",
    "graph/node.py": "the default device",
    "cli/main.py": "the default device and help",
    "compiler/schedules/__init__.py": "the module of the rules for threads and vectors, which a fact selects",
    "benchmark/machine.py": "the suite's device, and what the standard library and XLA call processors",
    "nn/module.py": "Module.cpu, as in PyTorch",
    "tensor/methods.py": "Tensor.cpu, as in PyTorch",
    "tensor/torch_methods/copies.py": "Tensor.cpu and Tensor.cuda, as in PyTorch",
    "tensor/torch_methods/facts.py": "Tensor.is_cuda and its like, as in PyTorch: attributes of users' code",
}


def named(source: str) -> list[tuple[int, str]]:
    """Lines of code, docstrings aside, in whose strings or names a backend stands."""
    tree = ast.parse(source)
    docs = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            docs.add(id(body[0].value))
    found = []
    for node in ast.walk(tree):
        texts = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            texts = [node.value]
        elif isinstance(node, ast.Name):
            texts = [node.id]
        elif isinstance(node, ast.Attribute):
            texts = [node.attr]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            texts = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            texts = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
        found += [(node.lineno, t) for t in texts if NAMES.search(t.replace("_", " "))]
    return found


def asked(source: str) -> list[int]:
    """Lines on which something is compared with a backend's name or searched for it."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            operands = node.args if node.func.attr in ("startswith", "endswith", "find", "index", "count") else []
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        texts = [c.value for o in operands for c in ast.walk(o) if isinstance(c, ast.Constant)]
        if any(isinstance(t, str) and NAMES.search(t) for t in texts):
            lines.append(node.lineno if hasattr(node, "lineno") else 0)
    return lines


def test_backends_are_named_where_they_are_enumerated_only() -> None:
    files = [p for p in ROOT.rglob("*.py") if p.relative_to(ROOT).parts[0] not in PACKAGES]
    assert len(files) > 80
    found = {str(p.relative_to(ROOT).as_posix()): named(p.read_text(encoding="utf-8")) for p in files}
    naming = {name for name, lines in found.items() if lines}
    assert naming == set(ALLOWED), {n: found[n] for n in naming - set(ALLOWED)} or set(ALLOWED) - naming
    questions = {str(p): asked(p.read_text(encoding="utf-8")) for p in files}
    assert not {p: lines for p, lines in questions.items() if lines}


def test_the_search_finds_what_it_looks_for() -> None:
    assert {t for _, t in named("x = d.is_cuda or d == 'wgpu:0'\nimport hip.runtime")} == {
        "is_cuda",
        "wgpu:0",
        "hip.runtime",
    }
    assert named("def f():\n    'runs on cuda'") == []
    assert asked("if d.startswith('mps'): pass\nif name == 'CPU': pass\ny = 'cpu'") == [1, 2]
