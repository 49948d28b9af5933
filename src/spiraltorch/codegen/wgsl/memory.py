"""Values, positions and memory accesses as WGSL text.

A value is computed once in a block, and loads are reused until memory may have changed. Elements of one or two bytes are
packed in an array of words, as on the host. A kernel that writes such a buffer declares its words as atomics: bits of an
element are cleared and set, which keeps its neighbours whoever writes those. Where the device has `f16`, each 16-bit float
is an element of its own; its value in registers is an f32 that fits exactly, so that no conversion rounds (how that rounds,
WGSL does not define).
"""

from __future__ import annotations

from ...dtypes import DType, float16, int32, uint16, uint32, uint64
from ...ir.expr import Buffer, Cast, Const, FromGuard, FromIndex, Load, Lookup, Op, Scalar, Space, Value, lookups
from ...ir.guard import Guard, substitute_guard
from ...ir.index import INFINITY, Atom, FloorDiv, Index, Min, Mod, Var, index, substitute
from ..instructions import NARROW, Ssa
from ..operations import bitcast, cast, operation
from .emitter import WgslEmitter
from .types import Features


class Memory:
    """The values and the contents of memory that are known in the current block."""

    def __init__(self, scalars: tuple[Scalar, ...], features: Features) -> None:
        self.e = WgslEmitter(features)
        self.features = features
        self.constants: dict[Var, int] = {}  # values of variables of expanded loops
        self.variables: dict[Var, str] = {}
        self.names: dict[Buffer, str] = {}
        self.static: set[Buffer] = set()  # register buffers each of whose elements is a variable
        self.packed_writes: set[Buffer] = set()  # packed buffers that are written
        self.accessed: set[Buffer] = set()  # in device memory
        self.numbers = {s.name: n for n, s in enumerate(scalars)}
        self.scalars_used = False
        self.blocks: list[dict[int, tuple[Value, Ssa]]] = [{}]  # of nested blocks: values, by identity
        self.loaded: list[dict[tuple[Buffer, str], Ssa]] = [{}]  # elements, by place, which expanded iterations share
        self.reads: dict[int, tuple[Value, frozenset[Buffer]]] = {}

    # ------------------------------------------------------------ what is known

    def push(self) -> None:
        """Enters a block."""
        self.e.indent += 1
        self.blocks.append({})
        self.loaded.append({})

    def pop(self) -> None:
        """Leaves a block and its values."""
        self.blocks.pop()
        self.loaded.pop()
        self.e.indent -= 1

    def forget_buffers(self, changed: set[Buffer]) -> None:
        """Drops the values that depend on buffers whose contents have changed."""
        for block in self.blocks:
            for key in [k for k, (v, _) in block.items() if not changed.isdisjoint(self.sources(v))]:
                del block[key]
        for places in self.loaded:
            for place in [p for p in places if p[0] in changed]:
                del places[place]

    def forget_shared(self) -> None:
        """Drops the values that depend on workgroup memory: after a barrier, other items may have written it."""
        shared = {b for b in self.names if b.space is Space.WORKGROUP}
        self.forget_buffers(shared)

    def forget_variable(self, var: Var) -> None:
        """Drops the values that depend on a loop variable, whose value has changed."""
        for block in self.blocks:
            for key in [k for k, (v, _) in block.items() if var in v.variables]:
                del block[key]

    def sources(self, v: Value) -> frozenset[Buffer]:
        """The buffers that a value reads."""
        known = self.reads.get(id(v))
        if known is None:
            sources: frozenset[Buffer] = frozenset()
            if isinstance(v, Load):
                sources = frozenset((v.buffer,)).union(*(self._index_sources(i) for i in (*v.position, *v.guard.terms)))
            elif isinstance(v, Op):
                sources = sources.union(*(self.sources(a) for a in v.args))
            elif isinstance(v, Cast):
                sources = self.sources(v.value)
            elif isinstance(v, FromIndex):
                sources = self._index_sources(v.position)
            elif isinstance(v, FromGuard):
                sources = sources.union(*(self._index_sources(t) for t in v.guard.terms))
            known = self.reads[id(v)] = (v, sources)
        return known[1]

    def _index_sources(self, i: Index) -> frozenset[Buffer]:
        """The buffers that the lookups of an index read."""
        return frozenset[Buffer]().union(*(self.sources(atom.value) for atom in lookups(i)))

    # ------------------------------------------------------------ values

    def value(self, v: Value) -> Ssa:
        """The value, computed here if it is not known."""
        if isinstance(v, Const):
            return self.e.const(v.value, v.dtype)
        for block in reversed(self.blocks):
            known = block.get(id(v))
            if known is not None:
                return known[1]
        result = self._value(v)
        self.blocks[-1][id(v)] = (v, result)
        return result

    def _value(self, v: Value) -> Ssa:
        """The value, computed here."""
        if isinstance(v, Load):
            return self.load(v)
        if isinstance(v, Op):
            return operation(self.e, v.name, [self.value(a) for a in v.args])
        if isinstance(v, Cast):
            inner = self.value(v.value)
            return bitcast(self.e, inner, v.dtype) if v.bits else cast(self.e, inner, v.dtype)
        if isinstance(v, FromIndex):
            return self._from_index(v)
        if isinstance(v, FromGuard):
            condition = self.condition(v.guard)
            return Ssa(condition or "true", v.dtype) if condition in (None, "false") else self.e.let(condition, v.dtype)
        assert isinstance(v, Scalar)
        return self._scalar(v)

    def _from_index(self, v: FromIndex) -> Ssa:
        """An index as a value of an integer or float dtype."""
        return cast(self.e, self.e.let(f"i32({self.index(v.position)})", int32), v.dtype)

    def _scalar(self, v: Scalar) -> Ssa:
        """A scalar parameter, from the uniform."""
        self.scalars_used = True
        n = self.numbers[v.name]
        x, y = f"numbers[{n // 2}].{'xz'[n % 2]}", f"numbers[{n // 2}].{'yw'[n % 2]}"
        if self.features.is_pair(v.dtype):
            return self.e.let(f"vec2<u32>({x}, {y})", v.dtype)
        if v.dtype.bits == 64:
            bits = self.e.let(f"u64({x}) | (u64({y}) << 32u)", uint64)
            return self.e.reinterpret(bits, v.dtype)
        return self._from_word(self.e.let(x, uint32), v.dtype)

    # ------------------------------------------------------------ positions

    def index(self, i: Index) -> str:
        """An index as an i32 expression."""
        i = substitute(i, {v: index(c) for v, c in self.constants.items()}) if self.constants else i
        parts: list[str] = []
        for monomial, coefficient in i.terms.items():
            factors = [self.atom(a) for a in monomial] + ([str(coefficient)] if coefficient != 1 else [])
            parts.append("*".join(factors))
        if i.const or not parts:
            parts.append(str(i.const))
        return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"

    def atom(self, atom: Atom) -> str:
        """An atom as an i32 expression."""
        if isinstance(atom, Var):
            return self.variables[atom]
        if isinstance(atom, (FloorDiv, Mod)):
            x, d = self.index(atom.left), atom.right
            sign = "/" if isinstance(atom, FloorDiv) else "%"
            if atom.left.bounds[0] >= 0:
                return f"({x} {sign} {d})"
            name = self.e.let(x, int32).name
            down = f"(({name} - select(0, {d - 1}, {name} < 0)) / {d})"
            return down if sign == "/" else f"({name} - {down} * {d})"
        if isinstance(atom, Min):
            return f"min({self.index(atom.left)}, {self.index(atom.right)})"
        assert isinstance(atom, Lookup)
        return self._lookup(atom)

    def _lookup(self, atom: Lookup) -> str:
        """A lookup as an i32, clamped to its bounds."""
        v = self.value(atom.value)
        if v.dtype.bits == 64:
            plain = self.features.is_pair(v.dtype) or v.dtype.kind == "i"
            text = f"index_i64({v.name if plain else f'bitcast<i64>({v.name})'})"
        elif v.dtype.is_bool:
            text = f"select(0, 1, {v.name})"
        else:
            text = v.name if v.dtype.kind == "i" else f"i32(min({v.name}, 1073741823u))"
        if atom.upper < INFINITY and atom.lower > -INFINITY:
            text = f"clamp({text}, {atom.lower}, {atom.upper})"
        return self.e.let(text, int32).name

    def condition(self, g: Guard) -> str | None:
        """The guard as a bool expression; None where it always holds."""
        if self.constants and g.terms:
            g = substitute_guard(g, {v: index(c) for v, c in self.constants.items()})
        if g.never:
            return "false"
        return " && ".join([f"({self.index(t)} >= 0)" for t in g.terms]) or None

    # ------------------------------------------------------------ memory

    def load(self, v: Load) -> Ssa:
        """An element, or zero where the guard is false."""
        condition = self.condition(v.guard)
        if condition == "false":
            return self.e.const(0, v.dtype)
        if condition is None:
            return self.read(v.buffer, v.position)
        name = self.e.fresh()
        self.e.emit(f"var {name} = {self.features.literal(0, v.dtype)};")
        self.e.emit(f"if ({condition}) {{")
        self.push()
        self.e.emit(f"{name} = {self.read(v.buffer, v.position).name};")
        self.pop()
        self.e.emit("}")
        return Ssa(name, v.dtype)

    def read(self, buffer: Buffer, position: tuple[Index, ...]) -> Ssa:
        """The element at a position inside the buffer."""
        dtype = buffer.dtype
        if buffer.space is Space.GLOBAL:
            self.accessed.add(buffer)
        if buffer.space is not Space.GLOBAL or not self.features.is_packed(dtype):
            text = self.place(buffer, position)
            for places in reversed(self.loaded):
                if (buffer, text) in places:
                    return places[buffer, text]
            half = buffer.space is Space.GLOBAL and dtype is float16
            result = self.loaded[-1][buffer, text] = self.e.let(f"f32({text})" if half else text, dtype)
            return result
        word, shift = self._packed(buffer, position)
        content = f"atomicLoad(&{word})" if buffer in self.packed_writes else word
        mask = (1 << (8 * dtype.itemsize)) - 1
        return self._from_word(self.e.let(f"({content} >> {shift}) & {mask}u", uint32), dtype)

    def write(self, buffer: Buffer, position: tuple[Index, ...], value: Ssa) -> None:
        """Stores an element."""
        dtype = buffer.dtype
        if buffer.space is not Space.GLOBAL or not self.features.is_packed(dtype):
            text = value.name
            if buffer.space is Space.GLOBAL:
                self.accessed.add(buffer)
                text = f"f16({self.e.named(value)})" if dtype is float16 else text
            self.e.emit(f"{self.place(buffer, position)} = {text};")
            return
        self.accessed.add(buffer)
        mask = (1 << (8 * dtype.itemsize)) - 1
        bits = self._to_word(value)
        word, shift = self._packed(buffer, position)
        self.e.emit(f"atomicAnd(&{word}, ~({mask}u << {shift}));")
        self.e.emit(f"atomicOr(&{word}, ({bits} & {mask}u) << {shift});")

    def place(self, buffer: Buffer, position: tuple[Index, ...]) -> str:
        """The text of a reference to an element that is not packed."""
        flat = self.index(buffer.flat(position))
        if buffer in self.static:
            return f"{self.names[buffer]}_{flat}"
        return f"{self.names[buffer]}[{flat}]"

    def _packed(self, buffer: Buffer, position: tuple[Index, ...]) -> tuple[str, str]:
        """The text of the word that holds a packed element, and of the number of the element's first bit there."""
        flat = self.e.let(self.index(buffer.flat(position)), int32).name
        each = 4 // buffer.dtype.itemsize
        shift = self.e.let(f"u32({flat} % {each}) * {32 // each}u", uint32).name
        return f"{self.names[buffer]}[{flat} / {each}]", shift

    def _from_word(self, word: Ssa, dtype: DType) -> Ssa:
        """The low bits of a word, as a value of the dtype."""
        e = self.e
        if dtype.name in NARROW:
            return e.widen(Ssa(word.name, uint16), dtype)
        if dtype.is_bool:
            return e.compare("ne", e.binary("and", word, e.const(0xFF, uint32)), e.const(0, uint32))
        if dtype.is_float:
            return e.reinterpret(word, dtype)
        return e.convert("trunc", word, dtype) if dtype is not uint32 else word

    def _to_word(self, v: Ssa) -> str:
        """The bits of a value in the low bits of a word; the upper ones are undefined."""
        e = self.e
        if v.dtype.name in NARROW:
            return e.narrow(v).name
        if v.dtype.is_bool:
            return e.convert("zext", v, uint32).name
        return v.name if v.dtype.kind == "u" else f"bitcast<u32>({e.named(v)})"
