"""Kernel IR -> LLVM IR text that needs no optimisation pass but SROA.

What passes would have done is done while rendering:
- Index arithmetic is emitted once, in the outermost scope that binds its variables; so are values that do not change in
  the loops around them, where that is safe.
- Register buffers are stack arrays that SROA turns into registers. Loads are reused within a basic block until a store
  to the same buffer; a product that is added becomes `llvm.fma`.
- A vector loop renders its body once with the loop variable as lane number: an index with lane coefficient 0 is a
  broadcast, 1 a contiguous access, and anything else, divisions and look-ups included, is computed lane by lane for a
  gather. Guards that depend on the lane become masks; other guards of statements become branches, of loads a choice.

Each top-level phase becomes `void NAME_pN(ptr args, i64 begin, i64 end, ptr workspace)`. `args` has 8-byte slots: a
pointer for each parameter, the scalars' bits, the sizes, then a pointer for each top-level GLOBAL buffer. A phase that is a
PARALLEL loop runs the iterations from `begin` to `end`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..dtypes import bool_, int64
from ..ir.expr import Buffer, Cast, Const, FromIndex, Load, Op, Scalar, Space, Test, Value, index_loads
from ..ir.index import FloorDiv, Guard, Index, Lookup, Min, Mod, Monomial, Var, substitute
from ..ir.reductions import identity
from ..ir.stmt import Accumulate, Alloc, Block, For, If, Kernel, Kind, Prefetch, Stmt, Store, written
from .llvm_emit import NARROW, Emitter, Lines, Scope, Ssa, flatten, memory_type, vector_type
from .llvm_ops import bitcast, cast, operation, reduce_lanes

Terms = tuple[tuple[Monomial, int], ...]
NO_DEPTH = 1 << 20


@dataclass(frozen=True, slots=True)
class Rendered:
    """A kernel's text, its phases as (function, tasks), and the memory it wants beside its parameters."""

    text: str
    phases: list[tuple[str, int]]
    workspace_bytes: int
    temp_bytes: list[int]


@dataclass(frozen=True, slots=True)
class Offset:
    """An index under the present bindings: uniform terms, a constant, a multiple of the lane, or lanes of i64."""

    terms: Terms
    const: int
    lane: int
    vector: str = ""  # set: the whole index as <lanes x i64>, and the rest is empty


def render(kernel: Kernel, name: str, *, native_half: bool = True, attributes: str = "") -> Rendered:
    """Renders a scheduled kernel. `attributes` go to every function (the preferred vector width, say)."""
    body: Stmt = kernel.body
    temps: list[Buffer] = []
    while isinstance(body, Alloc) and body.buffer.space is Space.GLOBAL:
        temps.append(body.buffer)
        body = body.body
    phases: list[Stmt] = []
    for part in body.body if isinstance(body, Block) else (body,):
        while isinstance(part, Alloc) and part.buffer.space is Space.GLOBAL:
            temps.append(part.buffer)
            part = part.body
            if isinstance(part, Block):
                phases += part.body[:-1]
                part = part.body[-1]
        phases.append(part)
    merged: list[Stmt] = []
    for part in phases:
        serial = not _parallel(part)
        if serial and merged and not _parallel(merged[-1]):
            merged[-1] = Block((*_parts(merged[-1]), part))
        else:
            merged.append(part)
    texts, functions, workspace = [], [], 0
    declarations: set[str] = set()
    for n, part in enumerate(merged):
        function = _Function(kernel, temps, native_half)
        text = function.render(f"{name}_p{n}", part)
        texts.append(text)
        declarations |= function.e.declarations
        workspace = max(workspace, function.workspace)
        tasks = part.extent.const if isinstance(part, For) and _parallel(part) else 1
        functions.append((f"{name}_p{n}", tasks))
    head = "\n".join(sorted(declarations))
    text = "\n".join(texts) + f"\n{head}\nattributes #0 = {{ nounwind {attributes} }}\n"
    return Rendered(text, functions, workspace, [_bytes(b) for b in temps])


def _parallel(s: Stmt) -> bool:
    return isinstance(s, For) and s.kind is Kind.PARALLEL


def _parts(s: Stmt) -> tuple[Stmt, ...]:
    return s.body if isinstance(s, Block) else (s,)


def _bytes(buffer: Buffer) -> int:
    size = 1 if buffer.dtype.is_bool else buffer.dtype.itemsize
    for extent in buffer.shape:
        size *= max(extent.bounds[1], 0)
    return max(size, 1)


class _Function:
    def __init__(self, kernel: Kernel, temps: list[Buffer], native_half: bool) -> None:
        self.e = Emitter(native_half)
        self.kernel = kernel
        self.depth: dict[Var, int] = dict.fromkeys(kernel.sizes, 0)
        self.names: dict[Var, str] = {}
        self.constants: dict[Var, int] = {}
        self.lane: Var | None = None
        self.lanes = 1
        self.mask: Ssa | None = None  # lanes on which the statement being rendered has an effect
        self.guarded_vars: frozenset[Var] = frozenset()
        self.pointers: dict[Buffer, str] = {}
        self.scalars: dict[str, str] = {}
        self.workspace = 0
        self.written = written(kernel.body)
        self.values: dict[int, tuple[Value, Ssa]] = {}  # of the present basic block and lane context
        self.read_buffers: set[Buffer] = set()
        self.flat: dict[int, tuple[object, Index]] = {}
        self.stable: dict[int, tuple[Value, bool]] = {}
        self._bind(temps)

    def _bind(self, temps: list[Buffer]) -> None:
        e = self.e
        slot = 0

        def address() -> str:
            return e.let(f"getelementptr i8, ptr %args, i64 {8 * slot}") if slot else "%args"

        for buffer in self.kernel.params:
            self.pointers[buffer] = e.let(f"load ptr, ptr {address()}, align 8")
            slot += 1
        for scalar in self.kernel.scalars:
            t = memory_type(scalar.dtype)
            raw = Ssa(e.let(f"load {t}, ptr {address()}, align 8"), _memory_dtype(scalar.dtype))
            self.scalars[scalar.name] = self._from_memory(raw, scalar.dtype).name
            slot += 1
        for size in self.kernel.sizes:
            self.names[size] = e.let(f"load i64, ptr {address()}, align 8")
            slot += 1
        for buffer in temps:
            self.pointers[buffer] = e.let(f"load ptr, ptr {address()}, align 8")
            slot += 1

    def render(self, name: str, part: Stmt) -> str:
        if _parallel(part):
            assert isinstance(part, For)
            self.loop(part, "%begin", "%end")
        else:
            self.stmt(part)
        self.e.emit("ret void")
        body = "\n".join(flatten([self.e.entry, self.e.scopes[0].lines]))
        return (
            f"define void @{name}(ptr noalias %args, i64 %begin, i64 %end, ptr noalias %workspace) #0 {{\n"
            f"entry:\n{body}\n}}"
        )

    # ------------------------------------------------------------ index arithmetic

    def offset(self, i: Index) -> Offset:
        const, lane = i.const, 0
        terms: list[tuple[Monomial, int]] = []
        hard = False
        for monomial, coefficient in i.terms.items():
            atom = monomial[0]
            if len(monomial) == 1 and isinstance(atom, Var):
                if atom in self.constants:
                    const += coefficient * self.constants[atom]
                elif atom is self.lane:
                    lane += coefficient
                else:
                    terms.append((monomial, coefficient))
                continue
            whole = Index({monomial: coefficient}, 0)
            variables = whole.variables
            bound = {v: Index({}, self.constants[v]) for v in variables if v in self.constants}
            if bound:
                inner = self.offset(substitute(whole, bound))
                if inner.vector:
                    hard = True
                    break
                terms += inner.terms
                const += inner.const
                lane += inner.lane
            elif self.lane is not None and self.lane in variables:
                hard = True
                break
            else:
                terms.append((monomial, coefficient))
        if hard:
            return Offset((), 0, 0, self.vector_index(i))
        return Offset(tuple(terms), const, lane)

    def vector_index(self, i: Index) -> str:
        """Every lane's value of an index, as <lanes x i64>."""
        i = substitute(i, {v: Index({}, c) for v, c in self.constants.items() if v in i.variables})
        total = self._splat(str(i.const))
        for monomial, coefficient in i.terms.items():
            product: Ssa | None = None
            for atom in monomial:
                part = self._vector_atom(atom)
                product = part if product is None else self.e.binary("mul", product, part)
            assert product is not None
            if coefficient != 1:
                product = self.e.binary("mul", product, self.e.const(coefficient, int64))
            total = self.e.binary("add", total, product)
        return self.e.broadcast(total, self.lanes).name

    def _splat(self, name: str) -> Ssa:
        return self.e.broadcast(Ssa(name, int64), self.lanes)

    def _vector_atom(self, atom: Any) -> Ssa:
        e = self.e
        if isinstance(atom, Var):
            if atom is self.lane:
                lanes = ", ".join(f"i64 {n}" for n in range(self.lanes))
                return Ssa(f"<{lanes}>", int64, self.lanes)
            return self._splat(self.names[atom])
        if isinstance(atom, Lookup):
            return e.broadcast(cast(e, self.value(atom.value), int64), self.lanes)
        if isinstance(atom, Min):
            a, b = (Ssa(self.vector_index(s), int64, self.lanes) for s in (atom.left, atom.right))
            return e.intrinsic("smin", a, b)
        x = Ssa(self.vector_index(atom.left), int64, self.lanes)
        quotient, rest = self._divided(x, atom.right, atom.left.bounds)
        return quotient if isinstance(atom, FloorDiv) else rest()

    def _divided(self, x: Ssa, divisor: int, bounds: tuple[int, int]) -> tuple[Ssa, Callable[[], Ssa]]:
        """Quotient rounded down, and the remainder when asked for. 32 bits are used where they suffice."""
        e = self.e
        d = e.const(divisor, int64)
        if divisor & (divisor - 1) == 0:
            shift = e.const(divisor.bit_length() - 1, int64)
            return e.binary("ashr", x, shift), lambda: e.binary("and", x, e.const(divisor - 1, int64))
        if bounds[0] >= 0:
            q = e.binary("udiv", x, d)
        else:
            negative = e.compare("slt", x, e.const(0, int64))
            flipped = e.select(negative, e.binary("xor", x, e.const(-1, int64)), x)
            q = e.binary("udiv", flipped, d)
            q = e.select(negative, e.binary("xor", q, e.const(-1, int64)), q)
        return q, lambda: e.binary("sub", x, e.binary("mul", q, d))

    def monomial_depth(self, monomial: Monomial) -> int:
        first = monomial[0]
        if len(monomial) == 1 and isinstance(first, Var):
            return self.depth.get(first, 0)
        if _has_lookup(monomial):
            return NO_DEPTH
        return max((self.depth.get(v, 0) for v in Index({monomial: 1}, 0).variables), default=0)

    def put(self, depth: int, key: Any, make: Callable[[], str]) -> str:
        """As `Emitter.hoisted`, but right here for what depends on memory."""
        if depth >= NO_DEPTH:
            return self.e.let(make())
        return self.e.hoisted(min(depth, self.e.depth), key, make)

    def sum(self, terms: Terms, const: int) -> str:
        """The i64 value of uniform terms, built from the outermost scope inwards."""
        total, at = "", 0
        by_depth = sorted([(self.monomial_depth(m), n) for n, (m, _) in enumerate(terms)])
        for depth, n in by_depth:
            monomial, coefficient = terms[n]
            at = max(at, depth)
            term = self.term(monomial, coefficient, depth)
            total = self._add(at, total, term) if total else term
        if not total:
            return str(const)
        return self._add(at, total, str(const)) if const else total

    def term(self, monomial: Monomial, coefficient: int, depth: int) -> str:
        name = self.atom(monomial[0])
        for a in monomial[1:]:
            left, right = name, self.atom(a)
            name = self.put(depth, (left, "*", right), lambda left=left, right=right: f"mul nsw i64 {left}, {right}")  # type: ignore[misc]
        if coefficient == 1:
            return name
        return self.put(depth, (name, "*", coefficient), lambda: f"mul nsw i64 {name}, {coefficient}")

    def _add(self, depth: int, left: str, right: str) -> str:
        return self.put(depth, (left, "+", right), lambda: f"add nsw i64 {left}, {right}")

    def atom(self, atom: Any) -> str:
        e = self.e
        if isinstance(atom, Var):
            return self.names[atom]
        if isinstance(atom, Lookup):
            return cast(e, self.value(atom.value), int64).name
        depth = self.monomial_depth((atom,))
        if isinstance(atom, Min):
            a, b = self.uniform(atom.left), self.uniform(atom.right)
            e.declare("i64 @llvm.smin.i64(i64, i64)")
            return self.put(depth, ("min", a, b), lambda: f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")
        x, d = self.uniform(atom.left), atom.right
        if d & (d - 1) == 0:
            q = self.put(depth, ("/", x, d), lambda: f"ashr i64 {x}, {d.bit_length() - 1}")
            return q if isinstance(atom, FloorDiv) else self.put(depth, ("%", x, d), lambda: f"and i64 {x}, {d - 1}")
        if atom.left.bounds[0] >= 0:
            word = "udiv" if isinstance(atom, FloorDiv) else "urem"
            return self.put(depth, (word, x, d), lambda: f"{word} i64 {x}, {d}")
        sign = self.put(depth, ("sign", x), lambda: f"ashr i64 {x}, 63")
        flipped = self.put(depth, ("flip", x), lambda: f"xor i64 {x}, {sign}")
        q0 = self.put(depth, ("q0", x, d), lambda: f"udiv i64 {flipped}, {d}")
        q = self.put(depth, ("q", x, d), lambda: f"xor i64 {q0}, {sign}")
        if isinstance(atom, FloorDiv):
            return q
        back = self.put(depth, ("back", x, d), lambda: f"mul i64 {q}, {d}")
        return self.put(depth, ("rest", x, d), lambda: f"sub i64 {x}, {back}")

    def uniform(self, i: Index) -> str:
        """An index that does not depend on the lane, as i64."""
        o = self.offset(i)
        if o.lane or o.vector:
            raise ValueError(f"[llvm] expected an index without the lane, got {i}")
        return self.sum(o.terms, o.const)

    # ------------------------------------------------------------ addresses

    def flat_offset(self, node: Load | Store | Accumulate | Prefetch) -> Offset:
        known = self.flat.get(id(node))
        if known is None:
            known = self.flat[id(node)] = node, node.buffer.flat(node.position)
        return self.offset(known[1])

    def pointer(self, buffer: Buffer, o: Offset) -> str:
        name = self.pointers[buffer]
        by_depth: dict[int, list[tuple[Monomial, int]]] = {}
        for monomial, coefficient in o.terms:
            by_depth.setdefault(self.monomial_depth(monomial), []).append((monomial, coefficient))
        at, t = 0, memory_type(buffer.dtype)
        for at in sorted(by_depth):
            name = self._gep(at, t, name, self.sum(tuple(by_depth[at]), 0))
        return self._gep(at, t, name, str(o.const)) if o.const else name

    def _gep(self, depth: int, t: str, base: str, offset: str) -> str:
        return self.put(depth, (t, base, offset), lambda: f"getelementptr {t}, ptr {base}, i64 {offset}")

    def pointers_of(self, buffer: Buffer, o: Offset) -> str:
        """A vector of addresses."""
        if o.vector:
            offsets, base = o.vector, self.pointers[buffer]
        else:
            base = self.pointer(buffer, Offset(o.terms, o.const, 0))
            offsets = "<" + ", ".join(f"i64 {o.lane * n}" for n in range(self.lanes)) + ">"
        t = memory_type(buffer.dtype)
        return self.e.let(f"getelementptr {t}, ptr {base}, <{self.lanes} x i64> {offsets}")

    # ------------------------------------------------------------ guards

    def condition(self, g: Guard) -> tuple[Ssa | None, Ssa | None]:
        """The uniform part and the lane-dependent part of a guard; None stands for true."""
        uniform: Ssa | None = None
        mask: Ssa | None = None
        if g.never:
            return Ssa("false", bool_), None
        for term in g.terms:
            o = self.offset(term)
            if o.vector:
                lanes = Ssa(o.vector, int64, self.lanes)
                mask = self._both(mask, self.e.compare("sge", lanes, self.e.const(0, int64)))
            elif o.lane:
                mask = self._both(mask, self._lane_mask(o))
            elif not o.terms:
                if o.const < 0:
                    return Ssa("false", bool_), None
            elif Index(dict(o.terms), o.const).bounds[0] < 0:
                depth = max(self.monomial_depth(m) for m, _ in o.terms)
                rest, least = self.sum(o.terms, 0), -o.const
                test = f"icmp sge i64 {rest}, {least}"
                name = self.put(depth, (rest, ">=", least), partial(str, test))
                uniform = self._both(uniform, Ssa(name, bool_))
        return uniform, mask

    def _both(self, left: Ssa | None, right: Ssa) -> Ssa:
        return right if left is None else self.e.binary("and", left, right)

    def _lane_mask(self, o: Offset) -> Ssa:
        depth = max((self.monomial_depth(m) for m, _ in o.terms), default=0)
        rest, n = self.sum(o.terms, o.const), self.lanes
        vector = f"<{n} x i64>"
        first = self.put(depth, ("first", rest, n), lambda: f"insertelement {vector} poison, i64 {rest}, i32 0")
        splat = self.put(
            depth, ("splat", first),
            lambda: f"shufflevector {vector} {first}, {vector} poison, <{n} x i32> zeroinitializer",
        )  # fmt: skip
        lanes = ", ".join(f"i64 {-o.lane * k}" for k in range(n))  # lane*k + rest >= 0
        name = self.put(depth, ("mask", splat, o.lane), lambda: f"icmp sge {vector} {splat}, <{lanes}>")
        return Ssa(name, bool_, n)

    def whole_mask(self, uniform: Ssa | None, mask: Ssa | None) -> Ssa | None:
        """Both parts, and the statement's own mask, as one mask of lanes."""
        if uniform is not None:
            mask = self._both(mask, self.e.broadcast(uniform, self.lanes))
        if self.mask is not None and mask is not self.mask:
            mask = self._both(mask, self.mask) if mask is not None else self.mask
        return mask

    # ------------------------------------------------------------ values

    def value(self, v: Value) -> Ssa:
        if isinstance(v, Const):
            return self.e.const(v.value, v.dtype)
        if isinstance(v, Scalar):
            return Ssa(self.scalars[v.name], v.dtype)
        key = id(v)
        known = self.values.get(key)
        if known is not None:
            return known[1]
        made = self._hoisted_value(v)
        if made is None:
            made = self._value(v)
        self.values[key] = (v, made)
        return made

    def _value(self, v: Value) -> Ssa:
        if isinstance(v, Load):
            return self.load(v)
        if isinstance(v, Op):
            return operation(self.e, v.name, [self.value(a) for a in v.args])
        if isinstance(v, Cast):
            inner = self.value(v.value)
            return bitcast(self.e, inner, v.dtype) if v.bits else cast(self.e, inner, v.dtype)
        if isinstance(v, FromIndex):
            o = self.offset(v.position)
            if o.vector:
                whole = Ssa(o.vector, int64, self.lanes)
            elif o.lane:
                base = self._splat(self.sum(o.terms, o.const))
                steps = Ssa("<" + ", ".join(f"i64 {o.lane * n}" for n in range(self.lanes)) + ">", int64, self.lanes)
                whole = self.e.binary("add", base, steps)
            else:
                whole = Ssa(self.sum(o.terms, o.const), int64)
            return cast(self.e, whole, v.dtype)
        assert isinstance(v, Test)
        uniform, mask = self.condition(v.guard)
        if mask is None:
            return uniform or Ssa("true", bool_)
        return mask if uniform is None else self.e.binary("and", mask, uniform)

    def _hoisted_value(self, v: Value) -> Ssa | None:
        """A value that changes less often than here, computed where it changes, if nothing forbids it."""
        if not isinstance(v, (Op, Cast)) or self.e.level is not None:
            return None
        variables = v.variables
        if variables & self.guarded_vars or not self._is_stable(v):
            return None
        if any(x in self.constants or x is self.lane for x in variables):
            return None
        depth = max((self.depth.get(x, 0) for x in variables), default=0)
        if depth >= self.e.depth:
            return None
        memo = self.e.scopes[depth].memo
        key = ("value", id(v))
        known = memo.get(key)
        if known is None:
            saved = self.values, self.lane, self.lanes, self.mask
            self.values, self.lane, self.lanes, self.mask = {}, None, 1, None
            self.e.level = depth
            known = memo[key] = self._value(v)
            self.e.scopes[depth].pinned.append(v)
            self.e.level = None
            self.values, self.lane, self.lanes, self.mask = saved
        return known

    def _is_stable(self, v: Value) -> bool:
        """Whether the value reads only memory that the kernel never writes, at places that exist."""
        known = self.stable.get(id(v))
        if known is not None:
            return known[1]
        result = True
        if isinstance(v, Load):
            result = v.buffer.space is Space.GLOBAL and v.buffer not in self.written and v.guard.always
            result = result and not any(True for i in v.position for _ in index_loads(i))
            result = result and _always_inside(v)
        elif isinstance(v, Op):
            result = all(self._is_stable(a) for a in v.args)
        elif isinstance(v, Cast):
            result = self._is_stable(v.value)
        elif isinstance(v, FromIndex):
            result = not any(True for _ in index_loads(v.position))
        elif isinstance(v, Test):
            result = not any(True for t in v.guard.terms for _ in index_loads(t))
        self.stable[id(v)] = (v, result)
        return result

    # ------------------------------------------------------------ memory

    def _from_memory(self, raw: Ssa, dtype: Any) -> Ssa:
        if dtype.is_bool:
            return self.e.compare("ne", raw, self.e.const(0, raw.dtype))
        if dtype.name in NARROW:
            return self.e.widen(raw, dtype)
        return Ssa(raw.name, dtype, raw.lanes)

    def _to_memory(self, v: Ssa) -> Ssa:
        if v.dtype.is_bool:
            return self.e.convert("zext", v, _memory_dtype(v.dtype))
        return self.e.narrow(v) if v.dtype.name in NARROW else v

    def load(self, node: Load) -> Ssa:
        buffer = node.buffer
        uniform, mask = self.condition(node.guard)
        if uniform is not None and uniform.name == "false":
            return self.e.const(_zero(buffer), buffer.dtype)
        o = self.flat_offset(node)
        self.read_buffers.add(buffer)
        if not (o.lane or o.vector):
            masks = [m for m in (mask, self.mask if self.guarded_vars & node.variables else None) if m is not None]
            if masks:  # one element for all lanes: read where any lane wants it
                wanted = masks[0] if len(masks) == 1 else self.e.binary("and", masks[0], masks[1])
                symbol = f"@llvm.vector.reduce.or.v{self.lanes}i1"
                self.e.declare(f"i1 {symbol}(<{self.lanes} x i1>)")
                some = self.e.let(f"call i1 {symbol}(<{self.lanes} x i1> {self.e.broadcast(wanted, self.lanes).name})")
                uniform = self._both(uniform, Ssa(some, bool_))
            made = self._load_scalar(buffer, o, uniform)
            if mask is None:
                return made
            return self.e.select(mask, made, self.e.const(_zero(buffer), buffer.dtype))
        whole = self.whole_mask(uniform, mask)
        key = (buffer, o, whole.name if whole else "", self.lanes)
        remember = buffer.space is not Space.REGISTER and not o.vector and self.e.level is None
        if remember and key in self.e.block_memo:
            return self.e.block_memo[key]  # type: ignore[no-any-return]
        made = self._load_vector(buffer, o, whole)
        if remember:
            self.e.block_memo[key] = made
        return made

    def _load_scalar(self, buffer: Buffer, o: Offset, uniform: Ssa | None) -> Ssa:
        e, dtype = self.e, buffer.dtype
        remember = buffer.space is not Space.REGISTER and e.level is None
        key = (buffer, o, uniform.name if uniform else "", 1)
        if remember and key in e.block_memo:
            return e.block_memo[key]  # type: ignore[no-any-return]
        pointer = self.pointer(buffer, o)
        if uniform is not None:  # read from a place that exists, then choose
            pointer = e.let(f"select i1 {uniform.name}, ptr {pointer}, ptr %args")
        t = memory_type(dtype)
        align = 1 if uniform is not None else max(1, dtype.itemsize)
        raw = Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), _memory_dtype(dtype))
        made = self._from_memory(raw, dtype)
        if uniform is not None:
            made = e.select(uniform, made, e.const(_zero(buffer), dtype))
        if remember:
            e.block_memo[key] = made
        return made

    def _load_vector(self, buffer: Buffer, o: Offset, mask: Ssa | None) -> Ssa:
        e, n, dtype = self.e, self.lanes, buffer.dtype
        t = vector_type(memory_type(dtype), n)
        raw_dtype = _memory_dtype(dtype)
        own = f"v{n}" + {"double": "f64", "float": "f32"}.get(memory_type(dtype), memory_type(dtype))
        align = max(1, dtype.itemsize)
        if o.lane == 1 and not o.vector:
            pointer = self.pointer(buffer, o)
            if mask is None or buffer.space is Space.REGISTER:
                return self._from_memory(Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), raw_dtype, n), dtype)
            mask = e.broadcast(mask, n)
            e.declare(f"{t} @llvm.masked.load.{own}.p0(ptr, i32, <{n} x i1>, {t})")
            text = f"call {t} @llvm.masked.load.{own}.p0(ptr {pointer}, i32 {align}, <{n} x i1> {mask.name}, {t} zeroinitializer)"
            return self._from_memory(Ssa(e.let(text), raw_dtype, n), dtype)
        pointers = self.pointers_of(buffer, o)
        on = e.broadcast(mask, n).name if mask is not None else "splat (i1 true)"
        e.declare(f"{t} @llvm.masked.gather.{own}.v{n}p0(<{n} x ptr>, i32, <{n} x i1>, {t})")
        text = f"call {t} @llvm.masked.gather.{own}.v{n}p0(<{n} x ptr> {pointers}, i32 {align}, <{n} x i1> {on}, {t} zeroinitializer)"
        return self._from_memory(Ssa(e.let(text), raw_dtype, n), dtype)

    def store(self, node: Store | Accumulate, v: Ssa) -> None:
        e, buffer = self.e, node.buffer
        o = self.flat_offset(node)
        align = max(1, buffer.dtype.itemsize)
        if o.lane or o.vector:
            v, n, mask = e.broadcast(v, self.lanes), self.lanes, self.mask
            if mask is not None and buffer.space is Space.REGISTER:
                v, mask = e.select(mask, v, self._load_vector(buffer, o, None)), None
            raw = self._to_memory(v)
            own = f"v{n}" + {"double": "f64", "float": "f32"}.get(memory_type(buffer.dtype), memory_type(buffer.dtype))
            if o.lane == 1 and not o.vector:
                pointer = self.pointer(buffer, o)
                if mask is None:
                    e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {align}")
                else:
                    mask = e.broadcast(mask, n)
                    e.declare(f"void @llvm.masked.store.{own}.p0({raw.type}, ptr, i32, <{n} x i1>)")
                    e.emit(
                        f"call void @llvm.masked.store.{own}.p0({raw.type} {raw.name}, ptr {pointer}, i32 {align}, "
                        f"<{n} x i1> {mask.name})"
                    )
            else:
                on = e.broadcast(mask, n).name if mask is not None else "splat (i1 true)"
                pointers = self.pointers_of(buffer, o)
                e.declare(f"void @llvm.masked.scatter.{own}.v{n}p0({raw.type}, <{n} x ptr>, i32, <{n} x i1>)")
                e.emit(
                    f"call void @llvm.masked.scatter.{own}.v{n}p0({raw.type} {raw.name}, <{n} x ptr> {pointers}, i32 {align}, "
                    f"<{n} x i1> {on})"
                )
        elif self.mask is not None and self.lane is not None:
            self._store_last(node, v, self.mask)
        else:
            if v.lanes > 1:
                v = Ssa(e.let(f"extractelement {v.type} {v.name}, i32 {v.lanes - 1}"), v.dtype)
            pointer = self.pointer(buffer, o)
            raw = self._to_memory(v)
            e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {align}")
        self._forget(buffer)

    def _store_last(self, node: Store | Accumulate, v: Ssa, mask: Ssa) -> None:
        """One place for all lanes: the value of the last lane that is on."""
        e, n = self.e, self.lanes
        v, mask = e.broadcast(v, n), e.broadcast(mask, n)
        bits = e.let(f"bitcast {mask.type} {mask.name} to i{n}")
        e.declare(f"i{n} @llvm.ctlz.i{n}(i{n}, i1)")
        ahead = e.let(f"call i{n} @llvm.ctlz.i{n}(i{n} {bits}, i1 false)")
        last = e.let(f"sub i{n} {n - 1}, {ahead}")

        def write() -> None:
            one = Ssa(e.let(f"extractelement {v.type} {v.name}, i{n} {last}"), v.dtype)
            raw = self._to_memory(one)
            pointer = self.pointer(node.buffer, self.flat_offset(node))
            e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {max(1, node.buffer.dtype.itemsize)}")

        self.branch_on(self._any(mask), write, None)

    def _forget(self, buffer: Buffer) -> None:
        """After a store, what was read from that buffer in this block is no longer known."""
        if buffer in self.read_buffers:
            self.values = {}
            self.read_buffers.discard(buffer)
            memo = self.e.block_memo
            for key in [k for k in memo if k[0] is buffer]:
                del memo[key]

    # ------------------------------------------------------------ statements

    def stmt(self, s: Stmt) -> None:
        if isinstance(s, Block):
            for part in s.body:
                self.stmt(part)
        elif isinstance(s, For):
            if s.kind is Kind.UNROLLED:
                for i in range(s.extent.const):
                    self.constants[s.var] = i
                    self.values = {}
                    self.stmt(s.body)
                del self.constants[s.var]
                self.values = {}
            elif s.kind is Kind.VECTOR:
                self.vector_loop(s)
            else:
                self.loop(s, "0", None)
        elif isinstance(s, If):
            self.branch(s)
        elif isinstance(s, Alloc):
            self.allocate(s.buffer)
            self.stmt(s.body)
        elif isinstance(s, Store):
            self.guarded(s, lambda: self.store(s, self.value(s.value)))
        elif isinstance(s, Accumulate):
            self.guarded(s, lambda: self.accumulate(s))
        elif isinstance(s, Prefetch):
            self.e.declare("void @llvm.prefetch.p0(ptr, i32, i32, i32)")
            pointer = self.pointer(s.buffer, self.flat_offset(s))
            self.e.emit(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 {int(s.write)}, i32 3, i32 1)")

    def vector_loop(self, s: For) -> None:
        if self.lane is not None:
            raise ValueError(f"[llvm] expected one vector loop at a time, got {s.var.name} inside {self.lane.name}")
        if s.extent.const == 1:
            self.constants[s.var] = 0
            self.stmt(s.body)
            del self.constants[s.var]
            return
        self.lane, self.lanes = s.var, s.extent.const
        self.values = {}
        self.stmt(s.body)
        self.lane, self.lanes = None, 1
        self.values = {}

    def allocate(self, buffer: Buffer) -> None:
        size = _bytes(buffer)
        if buffer.space is Space.REGISTER:
            count = size // (1 if buffer.dtype.is_bool else buffer.dtype.itemsize)
            name = self.e.fresh()
            self.e.entry.append(f"{name} = alloca [{count} x {memory_type(buffer.dtype)}], align 64")
            self.pointers[buffer] = name
            return
        start = self.workspace
        self.workspace += -(-size // 4096) * 4096 + 256  # 256: successive tiles do not share cache sets
        self.pointers[buffer] = self.e.hoisted(
            0, ("workspace", start), lambda: f"getelementptr i8, ptr %workspace, i64 {start}"
        )

    def guarded(self, s: Store | Accumulate, run: Callable[[], None]) -> None:
        if s.guard.always:
            run()
            return
        uniform, mask = self.condition(s.guard)
        self.mask = mask
        saved = self.guarded_vars
        self.guarded_vars = saved | s.guard.variables
        kept = self.values
        if mask is not None:
            self.values = {}
        if uniform is None:
            run()
        elif uniform.name != "false":
            self.branch_on(uniform.name, run, None)
        if mask is not None:
            self.values = {} if self.values is not kept else kept
        self.mask = None
        self.guarded_vars = saved

    def accumulate(self, s: Accumulate) -> None:
        if s.axes or s.finish:
            raise ValueError(f"[llvm] {s.buffer.name} still holds a reduction: run schedule.finish")
        e = self.e
        o = self.flat_offset(s)
        if o.vector:
            self._accumulate_each(s, o)
            return
        if self.lane is not None and not o.lane:
            self._accumulate_lanes(s, o)
            return
        vector = bool(o.lane)
        if s.op == "add" and isinstance(s.value, Op) and s.value.name == "mul" and s.buffer.dtype.is_float:
            if s.buffer.dtype.name not in NARROW:
                args = [self.value(a) for a in s.value.args]
                self.store(s, e.intrinsic("fmuladd", *args, self._target(s.buffer, o, vector)))
                return
        value = self.value(s.value)
        self.store(s, operation(e, s.op, [self._target(s.buffer, o, vector), value]))

    def _accumulate_lanes(self, s: Accumulate, o: Offset) -> None:
        """One target for all lanes: they are combined first."""
        e, mask, value = self.e, self.mask, self.value(s.value)
        if value.lanes > 1 or mask is not None or s.op in ("add", "mul"):
            value = e.broadcast(value, self.lanes)
            if mask is not None:
                value = e.select(mask, value, e.const(identity(s.op, s.buffer.dtype).value, s.buffer.dtype))
            value = reduce_lanes(e, s.op, value)

        def combine() -> None:
            self.store(s, operation(e, s.op, [self._target(s.buffer, o, False), value]))

        self.mask = None
        if mask is None or s.buffer.space is Space.REGISTER:
            combine()
        else:  # the target may lie outside where no lane is on
            self.branch_on(self._any(mask), combine, None)
        self.mask = mask

    def _accumulate_each(self, s: Accumulate, o: Offset) -> None:
        """Lanes may share a target, so they go one after the other."""
        e, dtype, n = self.e, s.buffer.dtype, self.lanes
        value = e.broadcast(self.value(s.value), n)
        mask = None if self.mask is None else e.broadcast(self.mask, n)
        t, align = memory_type(dtype), max(1, dtype.itemsize)
        for lane in range(n):

            def combine(lane: int = lane) -> None:
                place = e.let(f"extractelement <{n} x i64> {o.vector}, i32 {lane}")
                one = Ssa(e.let(f"extractelement {value.type} {value.name}, i32 {lane}"), dtype)
                pointer = e.let(f"getelementptr {t}, ptr {self.pointers[s.buffer]}, i64 {place}")
                old = Ssa(e.let(f"load {t}, ptr {pointer}, align {align}"), _memory_dtype(dtype))
                raw = self._to_memory(operation(e, s.op, [self._from_memory(old, dtype), one]))
                e.emit(f"store {raw.type} {raw.name}, ptr {pointer}, align {align}")

            if mask is None:
                combine()
            else:
                on = e.let(f"extractelement {mask.type} {mask.name}, i32 {lane}")
                self.branch_on(on, combine, None)
        self._forget(s.buffer)

    def _any(self, mask: Ssa) -> str:
        mask = self.e.broadcast(mask, self.lanes)
        symbol = f"@llvm.vector.reduce.or.v{self.lanes}i1"
        self.e.declare(f"i1 {symbol}({mask.type})")
        return self.e.let(f"call i1 {symbol}({mask.type} {mask.name})")

    def _target(self, buffer: Buffer, o: Offset, vector: bool) -> Ssa:
        if not vector:
            pointer = self.pointer(buffer, o)
            t = memory_type(buffer.dtype)
            raw = Ssa(
                self.e.let(f"load {t}, ptr {pointer}, align {max(1, buffer.dtype.itemsize)}"),
                _memory_dtype(buffer.dtype),
            )
            return self._from_memory(raw, buffer.dtype)
        return self._load_vector(buffer, o, None if buffer.space is Space.REGISTER else self.mask)

    # ------------------------------------------------------------ control flow

    def loop(self, s: For, start: str, stop: str | None) -> None:
        e = self.e
        extent = stop or self.uniform(s.extent)
        always = stop is None and s.extent.bounds[0] >= 1
        origin = e.label
        tag = e.counter = e.counter + 1
        head, body, exit_ = f"head{tag}", f"body{tag}", f"exit{tag}"
        var = f"%i{tag}"
        before: Lines = []
        lines: Lines = []
        e.scopes[-1].lines += [before, lines]
        e.scopes.append(Scope(before, lines))
        self.values = {}
        e.emit(f"br label %{head}")
        e.start_block(head)
        phi: Lines = []
        e.scopes[-1].lines.append(phi)
        if not always:
            check = e.let(f"icmp slt i64 {var}, {extent}")
            e.emit(f"br i1 {check}, label %{body}, label %{exit_}")
            e.start_block(body)
        self.depth[s.var], self.names[s.var] = len(e.scopes) - 1, var
        self.stmt(s.body)
        after = e.let(f"add nuw nsw i64 {var}, 1")
        phi.append(f"{var} = phi i64 [{start}, %{origin}], [{after}, %{e.label}]")
        if always:
            check = e.let(f"icmp slt i64 {after}, {extent}")
            e.emit(f"br i1 {check}, label %{head}, label %{exit_}")
        else:
            e.emit(f"br label %{head}")
        e.scopes.pop()
        e.start_block(exit_)
        self.values = {}

    def branch(self, s: If) -> None:
        uniform, mask = self.condition(s.condition)
        if mask is not None:
            raise ValueError("[llvm] expected a condition without the lane in an If")
        otherwise = s.otherwise
        if uniform is None:
            self.stmt(s.then)
        elif uniform.name == "false":
            if otherwise is not None:
                self.stmt(otherwise)
        else:
            saved = self.guarded_vars
            self.guarded_vars = saved | s.condition.variables
            run = None if otherwise is None else lambda: self.stmt(otherwise)
            self.branch_on(uniform.name, lambda: self.stmt(s.then), run)
            self.guarded_vars = saved

    def branch_on(self, uniform: str, then: Callable[[], None], otherwise: Callable[[], None] | None) -> None:
        e = self.e
        tag = e.counter = e.counter + 1
        yes, no, end = f"then{tag}", f"else{tag}", f"end{tag}"
        ahead: Lines = []  # both arms hoist to here, which dominates what follows
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


def _memory_dtype(dtype: Any) -> Any:
    """The integer that a bool or a 16-bit float is in memory; other dtypes are themselves."""
    from ..dtypes import uint8, uint16

    return uint8 if dtype.is_bool else uint16 if dtype.name in NARROW else dtype


def _always_inside(v: Load) -> bool:
    """Whether the bounds alone show that the place exists: a loop that runs no iteration may guard it otherwise."""
    return all(i.bounds[0] >= 0 and i.bounds[1] < e.bounds[0] for i, e in zip(v.position, v.buffer.shape, strict=True))


def _zero(buffer: Buffer) -> Any:
    return 0.0 if buffer.dtype.is_float else 0


def _has_lookup(monomial: Monomial) -> bool:
    stack: list[Any] = list(monomial)
    while stack:
        atom = stack.pop()
        if isinstance(atom, Lookup):
            return True
        if isinstance(atom, (FloorDiv, Mod, Min)):
            for side in (atom.left, atom.right):
                if isinstance(side, Index):
                    stack += [a for m in side.terms for a in m]
    return False
