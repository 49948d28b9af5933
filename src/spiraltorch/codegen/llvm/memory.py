"""Values and memory accesses as LLVM IR text.

A value is computed once in a basic block, and loads are reused until a store to the same buffer. A value that reads only
memory that the kernel never writes is computed in the outermost scope where its operands exist, unless a guard may keep it
from being computed at all. Inactive lanes are masked, in loads with zero.
"""

from __future__ import annotations

from collections.abc import Callable

from ...dtypes import DType, bool_, int64, uint8, uint16
from ...ir.expr import Buffer, Cast, Const, FromGuard, FromIndex, Load, Op, Scalar, Space, Value, index_loads
from ...ir.index import Index, Var
from ...ir.stmt import Accumulate, Store
from ..instructions import NARROW, Ssa, vector_type
from ..operations import bitcast, cast, operation
from .emitter import Emitter, Lines, Scope, memory_type
from .index import Indices, Offset


class Memory:
    """The values of the current basic block, and the contents of memory that are known there."""

    def __init__(self, e: Emitter, written: set[Buffer]) -> None:
        self.e = e
        self.ix = Indices(e, self.value)
        self.mask: Ssa | None = None  # lanes on which the statement being rendered has an effect
        self.guarded_vars: frozenset[Var] = frozenset()  # variables of the guards around
        self.scalars: dict[str, str] = {}
        self.written = written  # buffers that the kernel writes anywhere
        self.values: dict[int, tuple[Value, Ssa]] = {}  # of the current basic block and lane context, by identity
        self.read_buffers: set[Buffer] = set()
        self.invariant: dict[int, tuple[Value, bool]] = {}

    # ------------------------------------------------------------ values

    def value(self, v: Value) -> Ssa:
        """The value, computed here if it was not already."""
        if isinstance(v, Const):
            return self.e.const(v.value, v.dtype)
        if isinstance(v, Scalar):
            return Ssa(self.scalars[v.name], v.dtype)
        key = id(v)
        known = self.values.get(key)
        if known is not None:
            return known[1]
        result = self._hoisted_value(v)
        if result is None:
            result = self._value(v)
        self.values[key] = (v, result)
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
            return cast(self.e, self._index_value(self.ix.offset(v.position)), v.dtype)
        assert isinstance(v, FromGuard)
        uniform, mask = self.ix.condition(v.guard)
        if mask is None:
            return uniform or Ssa("true", bool_)
        return mask if uniform is None else self.e.binary("and", mask, uniform)

    def _index_value(self, o: Offset) -> Ssa:
        """An index as an int64, of lanes where it depends on the lane."""
        if o.vector:
            return Ssa(o.vector, int64, self.ix.lanes)
        base = self.ix.sum(o.terms, o.const)
        if not o.lane:
            return Ssa(base, int64)
        splat = self.ix.splat(base)
        steps = "<" + ", ".join(f"i64 {o.lane * n}" for n in range(self.ix.lanes)) + ">"
        return self.e.binary("add", splat, Ssa(steps, int64, self.ix.lanes))

    def _hoisted_value(self, v: Value) -> Ssa | None:
        """The value computed in the outermost scope where its operands exist; None where that is here, or not safe."""
        if not isinstance(v, (Op, Cast)) or self.e.level is not None:
            return None
        variables = v.variables
        if variables & self.guarded_vars or not self._is_invariant(v):
            return None
        if any(x in self.ix.constants or x is self.ix.lane for x in variables):
            return None
        depth = max((self.ix.depth.get(x, 0) for x in variables), default=0)
        if depth >= self.e.depth:
            return None
        values = self.e.scopes[depth].values
        known = values.get(id(v))
        if known is None:
            saved = self.values, self.ix.lane, self.ix.lanes, self.mask
            self.values, self.ix.lane, self.ix.lanes, self.mask = {}, None, 1, None
            self.e.level = depth
            known = values[id(v)] = v, self._value(v)
            self.e.level = None
            self.values, self.ix.lane, self.ix.lanes, self.mask = saved
        return known[1]

    def _is_invariant(self, v: Value) -> bool:
        """Whether the value reads only memory that the kernel never writes, at positions inside their buffers."""
        known = self.invariant.get(id(v))
        if known is not None:
            return known[1]
        result = True
        if isinstance(v, Load):
            result = v.buffer.space is Space.GLOBAL and v.buffer not in self.written and v.guard.always
            result = result and not any(_reads_memory(i) for i in v.position) and _always_inside(v)
        elif isinstance(v, Op):
            result = all(self._is_invariant(a) for a in v.args)
        elif isinstance(v, Cast):
            result = self._is_invariant(v.value)
        elif isinstance(v, FromIndex):
            result = not _reads_memory(v.position)
        elif isinstance(v, FromGuard):
            result = not any(_reads_memory(t) for t in v.guard.terms)
        self.invariant[id(v)] = (v, result)
        return result

    # ------------------------------------------------------------ memory

    def from_memory(self, raw: Ssa, dtype: DType) -> Ssa:
        """An element as it is in registers."""
        if dtype.is_bool:
            return self.e.compare("ne", raw, self.e.const(0, raw.dtype))
        if dtype.name in NARROW:
            return self.e.widen(raw, dtype)
        return Ssa(raw.name, dtype, raw.lanes)

    def to_memory(self, v: Ssa) -> Ssa:
        """A value as it is in memory."""
        if v.dtype.is_bool:
            return self.e.convert("zext", v, memory_dtype(v.dtype))
        return self.e.narrow(v) if v.dtype.name in NARROW else v

    def load(self, node: Load) -> Ssa:
        """An element, or one for each lane where the position depends on the lane; zero where the guard is false."""
        buffer = node.buffer
        uniform, mask = self.ix.condition(node.guard)
        if uniform is not None and uniform.name == "false":
            return self.e.const(_zero(buffer), buffer.dtype)
        o = self.ix.flat_offset(node)
        self.read_buffers.add(buffer)
        if not (o.lane or o.vector):
            masks = [m for m in (mask, self.mask if self.guarded_vars & node.variables else None) if m is not None]
            if masks:  # one element for all lanes: read where any lane needs it
                needed = masks[0] if len(masks) == 1 else self.e.binary("and", masks[0], masks[1])
                uniform = self.ix.both(uniform, Ssa(self.any_lane(needed), bool_))
            result = self._load_scalar(buffer, o, uniform)
            if mask is None:
                return result
            return self.e.select(mask, result, self.e.const(_zero(buffer), buffer.dtype))
        whole = self.whole_mask(uniform, mask)
        key = (buffer, o, whole.name if whole else "", self.ix.lanes)
        reusable = buffer.space is not Space.REGISTER and not o.vector and self.e.level is None
        if reusable and key in self.e.loads:
            return self.e.loads[key]
        result = self._load_vector(buffer, o, whole)
        if reusable:
            self.e.loads[key] = result
        return result

    def _load_scalar(self, buffer: Buffer, o: Offset, uniform: Ssa | None) -> Ssa:
        """One element, or zero where `uniform` is false."""
        e, dtype = self.e, buffer.dtype
        reusable = buffer.space is not Space.REGISTER and e.level is None
        key = (buffer, o, uniform.name if uniform else "", 1)
        if reusable and key in e.loads:
            return e.loads[key]
        pointer = self.ix.pointer(buffer, o)
        if uniform is not None:  # read from memory that exists, then select
            pointer = e.let(f"select i1 {uniform.name}, ptr {pointer}, ptr %args")
        t = memory_type(dtype)
        align = 1 if uniform is not None else max(1, dtype.itemsize)
        raw = Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), memory_dtype(dtype))
        result = self.from_memory(raw, dtype)
        if uniform is not None:
            result = e.select(uniform, result, e.const(_zero(buffer), dtype))
        if reusable:
            e.loads[key] = result
        return result

    def _load_vector(self, buffer: Buffer, o: Offset, mask: Ssa | None) -> Ssa:
        """The elements of all active lanes, and zero in the others."""
        e, n, dtype = self.e, self.ix.lanes, buffer.dtype
        t = vector_type(memory_type(dtype), n)
        raw_dtype = memory_dtype(dtype)
        own = f"v{n}" + {"double": "f64", "float": "f32"}.get(memory_type(dtype), memory_type(dtype))
        align = max(1, dtype.itemsize)
        if o.lane == 1 and not o.vector:
            pointer = self.ix.pointer(buffer, o)
            if mask is None or buffer.space is Space.REGISTER:
                return self.from_memory(Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), raw_dtype, n), dtype)
            mask = e.broadcast(mask, n)
            e.declare(f"{t} @llvm.masked.load.{own}.p0(ptr, i32, <{n} x i1>, {t})")
            text = f"call {t} @llvm.masked.load.{own}.p0(ptr {pointer}, i32 {align}, <{n} x i1> {mask.name}, {t} zeroinitializer)"
            return self.from_memory(Ssa(e.let(text), raw_dtype, n), dtype)
        pointers = self.ix.pointers_of(buffer, o)
        on = e.broadcast(mask, n).name if mask is not None else "splat (i1 true)"
        e.declare(f"{t} @llvm.masked.gather.{own}.v{n}p0(<{n} x ptr>, i32, <{n} x i1>, {t})")
        text = f"call {t} @llvm.masked.gather.{own}.v{n}p0(<{n} x ptr> {pointers}, i32 {align}, <{n} x i1> {on}, {t} zeroinitializer)"
        return self.from_memory(Ssa(e.let(text), raw_dtype, n), dtype)

    def store(self, node: Store | Accumulate, v: Ssa) -> None:
        """Stores a value, or the value of each lane where the position depends on the lane; else that of the last lane."""
        o = self.ix.flat_offset(node)
        if o.lane or o.vector:
            self._store_vector(node.buffer, o, v)
        elif self.mask is not None and self.ix.lane is not None:
            self._store_last(node, v, self.mask)
        else:
            if v.lanes > 1:
                v = Ssa(self.e.let(f"extractelement {v.type} {v.name}, i32 {v.lanes - 1}"), v.dtype)
            pointer = self.ix.pointer(node.buffer, o)
            self._store_element(node.buffer, pointer, v)
        self.forget(node.buffer)

    def _store_element(self, buffer: Buffer, pointer: str, v: Ssa) -> None:
        """Stores a value, of one lane or of adjacent elements, at an address."""
        raw = self.to_memory(v)
        self.e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {max(1, buffer.dtype.itemsize)}")

    def _store_vector(self, buffer: Buffer, o: Offset, v: Ssa) -> None:
        """Stores one element for each active lane: adjacent ones, or a scatter."""
        e, n, mask = self.e, self.ix.lanes, self.mask
        v = e.broadcast(v, n)
        if mask is not None and buffer.space is Space.REGISTER:
            v, mask = e.select(mask, v, self._load_vector(buffer, o, None)), None
        raw = self.to_memory(v)
        align = max(1, buffer.dtype.itemsize)
        own = f"v{n}" + {"double": "f64", "float": "f32"}.get(memory_type(buffer.dtype), memory_type(buffer.dtype))
        if o.lane == 1 and not o.vector:
            pointer = self.ix.pointer(buffer, o)
            if mask is None:
                e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {align}")
            else:
                mask = self._opaque(e.broadcast(mask, n), raw.dtype)
                e.declare(f"void @llvm.masked.store.{own}.p0({raw.type}, ptr, i32, <{n} x i1>)")
                e.emit(
                    f"call void @llvm.masked.store.{own}.p0({raw.type} {raw.name}, ptr {pointer}, i32 {align}, "
                    f"<{n} x i1> {mask.name})"
                )
        else:
            on = e.broadcast(mask, n).name if mask is not None else "splat (i1 true)"
            pointers = self.ix.pointers_of(buffer, o)
            e.declare(f"void @llvm.masked.scatter.{own}.v{n}p0({raw.type}, <{n} x ptr>, i32, <{n} x i1>)")
            e.emit(
                f"call void @llvm.masked.scatter.{own}.v{n}p0({raw.type} {raw.name}, <{n} x ptr> {pointers}, i32 {align}, "
                f"<{n} x i1> {on})"
            )

    def _opaque(self, mask: Ssa, dtype: DType) -> Ssa:
        """The mask in a form that LLVM cannot fold.

        LLVM stores too many bytes of a vector of truncated integers under a constant mask of one lane.
        """
        if dtype.is_float or dtype.itemsize == 8:
            return mask
        true = self.ix.put(0, ("true",), lambda: "icmp ne ptr %args, null")
        return self.e.binary("and", mask, self.e.broadcast(Ssa(true, bool_), mask.lanes))

    def _store_last(self, node: Store | Accumulate, v: Ssa, mask: Ssa) -> None:
        """Stores the value of the last active lane, if there is one, to an element that all lanes share."""
        e, n = self.e, self.ix.lanes
        v, mask = e.broadcast(v, n), e.broadcast(mask, n)
        bits = e.let(f"bitcast {mask.type} {mask.name} to i{n}")
        e.declare(f"i{n} @llvm.ctlz.i{n}(i{n}, i1)")
        ahead = e.let(f"call i{n} @llvm.ctlz.i{n}(i{n} {bits}, i1 false)")
        last = e.let(f"sub i{n} {n - 1}, {ahead}")

        def write() -> None:
            one = Ssa(e.let(f"extractelement {v.type} {v.name}, i{n} {last}"), v.dtype)
            raw = self.to_memory(one)
            pointer = self.ix.pointer(node.buffer, self.ix.flat_offset(node))
            e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {max(1, node.buffer.dtype.itemsize)}")

        self.branch_on(self.any_lane(mask), write, None)

    def forget(self, buffer: Buffer) -> None:
        """Drops what was read from a buffer in the current block: it was stored to."""
        if buffer in self.read_buffers:
            self.values = {}
            self.read_buffers.discard(buffer)
            loads = self.e.loads
            for key in [k for k in loads if k[0] is buffer]:
                del loads[key]

    def whole_mask(self, uniform: Ssa | None, mask: Ssa | None) -> Ssa | None:
        """Both parts of a guard and the mask of the statement, as one mask of lanes; None where all lanes are active."""
        if uniform is not None:
            mask = self.ix.both(mask, self.e.broadcast(uniform, self.ix.lanes))
        if self.mask is not None and mask is not self.mask:
            mask = self.ix.both(mask, self.mask) if mask is not None else self.mask
        return mask

    def target(self, buffer: Buffer, o: Offset, vector: bool) -> Ssa:
        """The element, or the elements of all lanes, that a reduction updates."""
        if not vector:
            pointer = self.ix.pointer(buffer, o)
            t = memory_type(buffer.dtype)
            raw = Ssa(
                self.e.let(f"load {t}, ptr {pointer}, align {max(1, buffer.dtype.itemsize)}"),
                memory_dtype(buffer.dtype),
            )
            return self.from_memory(raw, buffer.dtype)
        return self._load_vector(buffer, o, None if buffer.space is Space.REGISTER else self.mask)

    # ------------------------------------------------------------ branches

    def any_lane(self, mask: Ssa) -> str:
        """Whether any lane of a mask is active, as an i1."""
        mask = self.e.broadcast(mask, self.ix.lanes)
        symbol = f"@llvm.vector.reduce.or.v{self.ix.lanes}i1"
        self.e.declare(f"i1 {symbol}({mask.type})")
        return self.e.let(f"call i1 {symbol}({mask.type} {mask.name})")

    def branch_on(self, uniform: str, then: Callable[[], None], otherwise: Callable[[], None] | None) -> None:
        """A branch on an i1; the functions emit its arms."""
        e = self.e
        tag = e.counter = e.counter + 1
        yes, no, end = f"then{tag}", f"else{tag}", f"end{tag}"
        ahead: Lines = []  # both arms hoist to here, which dominates them and what follows
        e.scopes[-1].lines.append(ahead)
        e.emit(f"br i1 {uniform}, label %{yes}, label %{no if otherwise else end}")
        for label, run in ((yes, then), (no, otherwise)):
            if run is None:
                continue
            lines: Lines = []
            e.scopes[-1].lines.append(lines)
            e.scopes.append(Scope(ahead, lines))
            e.start_block(label)
            self.values = {}
            run()
            e.emit(f"br label %{end}")
            e.scopes.pop()
        e.start_block(end)
        self.values = {}


def memory_dtype(dtype: DType) -> DType:
    """The dtype of an element in memory: that of a bool or a 16-bit float is an integer."""
    return uint8 if dtype.is_bool else uint16 if dtype.name in NARROW else dtype


def _always_inside(v: Load) -> bool:
    """Whether the bounds of variables prove that the position is inside the buffer, also where a loop has no iteration."""
    return all(i.bounds[0] >= 0 and i.bounds[1] < e.bounds[0] for i, e in zip(v.position, v.buffer.shape, strict=True))


def _reads_memory(i: Index) -> bool:
    """Whether an index has a lookup that reads memory."""
    return next(index_loads(i), None) is not None


def _zero(buffer: Buffer) -> float | int:
    """Zero, as a constant of the buffer's dtype."""
    return 0.0 if buffer.dtype.is_float else 0
