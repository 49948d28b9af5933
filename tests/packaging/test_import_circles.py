"""Modules that import each other in a circle at run time: none between packages, and only those listed inside them.

Imports inside functions count, since they run; imports under `if TYPE_CHECKING` do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import grimp

ROOT = "spiraltorch"

# Where modules import each other: the innermost package that contains the whole circle. The list may only become shorter.
MODULES: set[str] = set()
# Packages inside one package that import each other, though no single module of them takes part in a circle.
SUBPACKAGES: set[frozenset[str]] = set()


@lru_cache
def imports() -> dict[str, set[str]]:
    """For each module of the package, the modules of the package that it imports; names without `spiraltorch.`."""
    graph = grimp.build_graph(ROOT, exclude_type_checking_imports=True, cache_dir=None)
    modules = graph.modules - {ROOT}  # the public namespace imports everything below it
    return {
        short(module): {short(m) for m in graph.find_modules_directly_imported_by(module) & modules}
        for module in modules
    }


def short(module: str) -> str:
    return module[len(ROOT) + 1 :]


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The strongly connected components of more than one node: nodes that reach each other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        todo, seen = [start], set()
        while todo:
            for node in graph.get(todo.pop(), set()) - seen:
                seen.add(node)
                todo.append(node)
        reached[start] = seen
    found = {frozenset({a, *(b for b in reached[a] if a in reached.get(b, set()))}) for a in graph}
    return {component for component in found if len(component) > 1}


def grouped(depth: int) -> dict[str, set[str]]:
    """The imports between packages: names cut to `depth` parts, and modules that are no package left out."""
    packages = {name.rpartition(".")[0] for name in imports()}
    result: dict[str, set[str]] = {}
    for module, imported in imports().items():
        part = ".".join(module.split(".")[:depth])
        others = {".".join(name.split(".")[:depth]) for name in imported} - {part}
        if part in packages:
            result.setdefault(part, set()).update(others & packages)
    return result


def test_no_circle_between_packages() -> None:
    assert circles(grouped(1)) == set()


def test_circles_between_packages_inside_a_package() -> None:
    found = circles({name: {n for n in to if parent(n) == parent(name)} for name, to in grouped(2).items()})
    assert not found - SUBPACKAGES, f"packages import each other: {readable(found - SUBPACKAGES)}"
    assert not SUBPACKAGES - found, f"gone; take them off SUBPACKAGES: {readable(SUBPACKAGES - found)}"


def test_circles_of_modules() -> None:
    found: dict[str, list[list[str]]] = {}
    for component in circles(imports()):
        found.setdefault(common_package(component), []).append(sorted(component))
    assert all(len(components) == 1 for components in found.values()), f"more than one circle in a package: {found}"
    new = {package: components for package, components in found.items() if package not in MODULES}
    assert not new, f"modules import each other: {new}"
    assert not MODULES - found.keys(), f"gone; take them off MODULES: {sorted(MODULES - found.keys())}"


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}
    assert circles(graph) == {frozenset("abc")}
    assert common_package(frozenset({"a.b.c", "a.b.d.e"})) == "a.b"


def parent(name: str) -> str:
    return name.rpartition(".")[0]


def common_package(modules: frozenset[str]) -> str:
    """The innermost package that contains all modules of a circle."""
    parts = [module.split(".") for module in modules]
    shared = [level[0] for level in zip(*parts, strict=False) if len(set(level)) == 1]
    return ".".join(shared)


def readable(found: set[frozenset[str]]) -> list[list[str]]:
    return sorted(sorted(component) for component in found)
