"""Every public function and class is described: arguments, result, and an example that can be pasted.

Names, sections and annotations are read from the objects themselves, so what is generated counts as well. That the
examples run is checked here for what `test_docs` does not find in a module, the methods attached to `Tensor`.
"""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

import spiraltorch as st
import spiraltorch.data
import spiraltorch.telemetry
from spiraltorch.errors import SpiralTorchError

PACKAGES = {
    "st": st, "st.Tensor": st.Tensor, "st.linalg": st.linalg, "st.random": st.random, "st.dtypes": st.dtypes,
    "st.nn": st.nn, "st.nn.functional": st.nn.functional, "st.nn.init": st.nn.init,
    "st.nn.utils": st.nn.utils, "st.optim": st.optim, "st.optim.lr_scheduler": st.optim.lr_scheduler,
    "st.io": st.io, "st.data": spiraltorch.data, "st.telemetry": spiraltorch.telemetry, "st.tuning": st.tuning,
    "st.capability": st.capability,
}  # fmt: skip
# Signatures that cannot be without `Any`.
UNTYPED = {"st.nn.Module.forward": "every subclass declares its own arguments and result"}


def public(owner: object) -> Iterator[tuple[str, object]]:
    """The public functions and classes of a module, or the methods and properties of a class."""
    names = getattr(owner, "__all__", None) or [n for n in vars(owner) if not n.startswith("_")]
    for name in names:
        value = vars(owner).get(name) if inspect.isclass(owner) else getattr(owner, name)
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, property):
            yield name, value


def owned(owner: object, value: object) -> bool:
    """Whether a name of a module is of this package, and no name that the module imported for its own use."""
    module = getattr(value, "__module__", None) or ""
    if isinstance(owner, ModuleType) and owner is not st and not hasattr(owner, "__all__"):
        return module == owner.__name__ or module.startswith(f"{owner.__name__}.")
    return module.startswith("spiraltorch") or isinstance(value, property)


def missing(value: object, owner: object = None) -> list[str]:
    """What a docstring lacks. A method of a class needs no example of its own, and one that overrides no sections."""
    doc = inspect.getdoc(value) or ""
    if not doc:
        return ["docstring"]
    if isinstance(value, property) or (inspect.isclass(value) and issubclass(value, (SpiralTorchError, tuple))):
        return []
    method = inspect.isclass(owner) and owner is not st.Tensor
    lacks = [] if "\nExample:\n" in doc or method else ["Example"]
    code = re.findall(r"^\s*>>> (.*)", doc.partition("\nExample:\n")[2], re.MULTILINE)
    imports = [line for line in code if line.startswith(("import ", "from "))]
    if code and (code[: len(imports)] != imports or "import spiraltorch as st" not in imports):
        lacks.append("import spiraltorch as st")
    if inspect.isclass(value) or (method and any(hasattr(base, value.__name__) for base in owner.__bases__)):
        return lacks
    signature = inspect.signature(value)  # type: ignore[arg-type]
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    documented = re.findall(r"^    \*{0,2}(\w+):", doc.partition("\nArgs:\n")[2].partition("\n\n")[0], re.MULTILINE)
    lacks += [f"Args: {p.name}" for p in parameters if p.name not in documented]
    described = re.search(r"\n(Returns|Yields):\n", doc) or (method and doc.startswith(("Returns ", "Yields ")))
    if signature.return_annotation not in ("None", None, inspect.Signature.empty) and not described:
        lacks.append("Returns")
    annotations = [p.annotation for p in parameters] + [signature.return_annotation]
    return lacks + [f"a type other than {a}" for a in annotations if re.search(r"\bAny\b", str(a))]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_public_names_are_described(package: str) -> None:
    owner = PACKAGES[package]
    lacking: dict[str, list[str]] = {}
    for name, value in public(owner):
        if not owned(owner, value):
            continue
        lacking[f"{package}.{name}"] = missing(value, owner)
        if inspect.isclass(value) and not issubclass(value, (SpiralTorchError, tuple)) and value is not st.Tensor:
            lacking |= {f"{package}.{name}.{n}": missing(m, value) for n, m in public(value)}
    found = {name: what for name, what in lacking.items() if what and name not in UNTYPED}
    assert not found, found


def test_examples_of_methods() -> None:
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    for name, method in public(st.Tensor):
        for test in finder.find(method, f"Tensor.{name}", globs={}):
            runner.run(test)
    assert runner.tries > 300 and runner.failures == 0
