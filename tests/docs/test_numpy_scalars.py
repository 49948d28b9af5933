"""NumPy's scalars are numbers wherever Python's are: every documented example runs with them, and gives the same.

Each number that an example passes is replaced by NumPy's scalar of its kind. Numbers in lists are elements of tensors
and stay, since the dtype of NumPy's scalars is then the tensor's.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
from typing import Any

import numpy as np
import pytest
from test_docstrings import PACKAGES, owned, public

SCALARS = {bool: "bool_", int: "int32", float: "float64"}


class _Scalars(ast.NodeTransformer):
    """Replaces the numbers of a program by NumPy's scalars, except in lists and formatted strings."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        name = SCALARS.get(type(node.value))
        if name is None or (isinstance(node.value, int) and abs(node.value) >= 1 << 31):
            return node
        scalar = ast.Attribute(ast.Name("_numpy", ast.Load()), name, ast.Load())
        return ast.Call(scalar, [ast.Constant(node.value)], [])

    def visit_List(self, node: ast.List) -> ast.AST:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node


def examples() -> dict[str, doctest.DocTest]:
    """The documented examples of all public names."""
    finder = doctest.DocTestFinder(recurse=False)
    found: dict[str, doctest.DocTest] = {}
    for package, owner in PACKAGES.items():
        for name, value in public(owner):
            if not owned(owner, value) or isinstance(value, property):
                continue
            for test in finder.find(value, f"{package}.{name}", globs={}):
                if test.examples:
                    found[test.name] = test
            if inspect.isclass(value):
                for method, function in public(value):
                    for test in finder.find(function, f"{package}.{name}.{method}", globs={}):
                        if test.examples:
                            found[test.name] = test
    return found


# Examples that keep or sort by a number that they made themselves.
OWN_NUMBERS = frozenset(("st.capability.Counts", "st.capability.readiness_leaderboard"))
EXAMPLES = {name: test for name, test in examples().items() if name not in OWN_NUMBERS}


def outcome(test: doctest.DocTest) -> list[str]:
    """What differs from the documentation when a program runs with NumPy's scalars."""
    names: dict[str, Any] = {"_numpy": np}
    checker, wrong = doctest.OutputChecker(), []
    for example in test.examples:
        tree = ast.fix_missing_locations(_Scalars().visit(ast.parse(example.source)))
        last = tree.body[-1]
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(tree.body[:-1], []), "example", "exec"), names)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                value = eval(compile(ast.Expression(last.value), "example", "eval"), names)
            value = bool(value) if isinstance(value, np.bool_) else value  # a comparison with a scalar
            got = printed.getvalue() + ("" if value is None else f"{value!r}\n")
            if example.want and not checker.check_output(example.want, got, doctest.ELLIPSIS):
                wrong.append(f"{example.source.strip()}: expected {example.want.strip()}, got {got.strip()}")
        else:
            exec(compile(tree, "example", "exec"), names)
    return wrong


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name: str) -> None:
    assert not outcome(EXAMPLES[name])
