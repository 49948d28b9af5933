"""The key of a kernel, by which compiled code is found in memory and on disk.

The key is a digest of everything that decides the code: the text of the unscheduled kernel, the target, the kind of
kernel that a schedule goes by, and the sources of this package.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from .expr import Buffer, Cast, Const, FromGuard, FromIndex, Load, Lookup, Op, Scalar, Value
from .guard import Guard
from .index import Atom, FloorDiv, Index, Min, Mod, Var
from .stmt import Accumulate, Alloc, Barrier, Block, For, If, Kernel, Stmt, Store

PACKAGE = Path(__file__).resolve().parent.parent
# What a kernel's code follows from: lowering and all that it imports. What is left out (errors, telemetry, the version)
# is named in tests/ir/test_kernel_key.py, which reads the import statements.
SOURCES = ("backends", "codegen", "compiler", "dtypes.py", "graph", "ir", "kernels", "runtime")


def kernel_key(kernel: Kernel, kind: str, target_key: str) -> str:
    """The key of the code that a kernel becomes.

    Args:
        kernel: the kernel before it is scheduled.
        kind: the kind of kernel, which the choice of a schedule depends on.
        target_key: `Target.key` of the device.

    Returns:
        40 hexadecimal digits.
    """
    text = _KernelText().kernel(kernel)
    return hashlib.sha256(f"{source_digest()}|{target_key}|{kind}|{text}".encode()).hexdigest()[:40]


@lru_cache(maxsize=2)
def source_digest(package: Path = PACKAGE) -> str:
    """A digest of the sources that decide what code comes out, so that a change of them empties the cache.

    Raises:
        FileNotFoundError: one of `SOURCES` is missing or holds no source.
    """
    digest = hashlib.sha256()
    for name in SOURCES:
        place = package / name
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        if not files:
            raise FileNotFoundError(
                f"[kernel_key] expected Python sources in {place}, got none: they are part of every kernel's key; "
                "install spiraltorch as a folder of source files, or correct SOURCES"
            )
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class _KernelText:
    """Spells a kernel, with every value, variable and buffer defined once and then referred to by a number: the text is
    linear in the size of the kernel, and holds no names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[int, str] = {}  # by identity

    def kernel(self, kernel: Kernel) -> str:
        """The text of a kernel."""
        for b in kernel.params:
            self.buffer(b)
        for s in kernel.scalars:
            self.value(s)
        for size in kernel.sizes:
            self.lines.append(f"size {self.var(size)}")
        self.stmt(kernel.body)
        return "\n".join(self.lines)

    def define(self, obj: Var | Buffer | Value, prefix: str, text: str) -> str:
        """Gives a part of the kernel a name, on a line of its own."""
        name = self.names[id(obj)] = f"{prefix}{len(self.names)}"
        self.lines.append(f"{name}={text}")
        return name

    def var(self, v: Var) -> str:
        return self.names.get(id(v)) or self.define(v, "v", f"{v.lower},{v.upper}")

    def buffer(self, b: Buffer) -> str:
        return self.names.get(id(b)) or self.define(
            b, "b", f"{b.dtype.name}{[self.index(e) for e in b.shape]}{b.space.value}"
        )

    def index(self, i: Index) -> str:
        parts = ["*".join([*(self.atom(a) for a in m), str(c)]) for m, c in i.terms.items()]
        return "+".join([*parts, str(i.const)])

    def atom(self, a: Atom) -> str:
        if isinstance(a, Var):
            return self.var(a)
        if isinstance(a, FloorDiv):
            return f"({self.index(a.left)}/{a.right})"
        if isinstance(a, Mod):
            return f"({self.index(a.left)}%{a.right})"
        if isinstance(a, Min):
            return f"min({self.index(a.left)},{self.index(a.right)})"
        assert isinstance(a, Lookup)
        return f"[{self.value(a.value)}:{a.lower}:{a.upper}]"

    def guard(self, g: Guard) -> str:
        return "never" if g.never else "&".join(map(self.index, g.terms))

    def value(self, v: Value) -> str:
        """The name of a value."""
        known = self.names.get(id(v))
        if known is not None:
            return known
        if isinstance(v, Const):
            text = f"{v.value!r}"
        elif isinstance(v, Scalar):
            text = "scalar"
        elif isinstance(v, Load):
            text = f"{self.buffer(v.buffer)}[{','.join(map(self.index, v.position))}]{self.guard(v.guard)}"
        elif isinstance(v, Op):
            text = f"{v.name}({','.join(map(self.value, v.args))})"
        elif isinstance(v, Cast):
            text = f"{'bits' if v.bits else 'cast'}({self.value(v.value)})"
        elif isinstance(v, FromIndex):
            text = self.index(v.position)
        else:
            assert isinstance(v, FromGuard)
            text = self.guard(v.guard)
        return self.define(v, "x", f"{v.dtype.name} {text}")

    def place(self, position: tuple[Index, ...], g: Guard) -> str:
        """The text of a position and its guard."""
        return f"[{','.join(map(self.index, position))}]{self.guard(g)}"

    def stmt(self, s: Stmt) -> None:
        """Appends the lines of a statement."""
        if isinstance(s, For):
            self.lines.append(f"for {self.var(s.var)}<{self.index(s.extent)} {s.kind.value}{s.axis}" + "{")
            self.stmt(s.body)
            self.lines.append("}")
        elif isinstance(s, Block):
            for part in s.body:
                self.stmt(part)
        elif isinstance(s, If):
            self.lines.append(f"if {self.guard(s.condition)}" + "{")
            self.stmt(s.then)
            self.lines.append("}else{")
            if s.otherwise is not None:
                self.stmt(s.otherwise)
            self.lines.append("}")
        elif isinstance(s, Alloc):
            self.lines.append(f"alloc {self.buffer(s.buffer)}")
            self.stmt(s.body)
        elif isinstance(s, Store):
            self.lines.append(f"{self.buffer(s.buffer)}{self.place(s.position, s.guard)}:={self.value(s.value)}")
        elif isinstance(s, Accumulate):
            init = "" if s.init is None else self.value(s.init)
            axes = ",".join(map(self.var, s.axes))
            target = f"{self.buffer(s.buffer)}{self.place(s.position, s.guard)}"
            self.lines.append(f"{target}{s.op}={self.value(s.value)}|{axes}|{init}")
            for f in s.finish:
                self.stmt(f)
        else:
            assert isinstance(s, Barrier)
            self.lines.append("barrier")
