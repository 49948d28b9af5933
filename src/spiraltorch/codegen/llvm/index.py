"""Index arithmetic, addresses and guards as LLVM IR text.

Every index is computed once, in the outermost scope that binds its variables. An index that is affine in the lane of the
current vector loop stays scalar, with a lane coefficient; any other that depends on the lane is computed as lanes of i64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...dtypes import bool_, int64
from ...ir.expr import Buffer, Load, Lookup, Value, has_lookup
from ...ir.guard import Guard
from ...ir.index import Atom, FloorDiv, Index, Min, Mod, Monomial, Var, substitute
from ...ir.stmt import Accumulate, Store
from ..instructions import Ssa
from ..operations import cast
from .emitter import Emitter, memory_type

Terms = tuple[tuple[Monomial, int], ...]
NO_DEPTH = 1 << 20  # of what depends on memory, and is computed where it is used


@dataclass(frozen=True, slots=True)
class Offset:
    """An index under the current bindings: uniform terms, plus a constant, plus a multiple of the lane; or lanes of i64."""

    terms: Terms
    const: int
    lane: int
    vector: str = ""  # if set, the whole index as <lanes x i64>; the rest is empty


class Indices:
    """The bindings of variables, and indices under them. `value` computes the value of a lookup."""

    def __init__(self, e: Emitter, value: Callable[[Value], Ssa]) -> None:
        self.e = e
        self.value = value
        self.depth: dict[Var, int] = {}  # the number of the scope that binds a variable
        self.names: dict[Var, str] = {}
        self.constants: dict[Var, int] = {}  # of unrolled loops
        self.lane: Var | None = None  # the variable of the current vector loop
        self.lanes = 1
        self.pointers: dict[Buffer, str] = {}
        self.flat: dict[int, tuple[object, Index]] = {}  # row-major offsets of accesses, by identity

    # ------------------------------------------------------------ index arithmetic

    def offset(self, i: Index) -> Offset:
        """An index under the current bindings."""
        const, lane = i.const, 0
        terms: list[tuple[Monomial, int]] = []
        affine = True  # in the lane
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
                    affine = False
                    break
                terms += inner.terms
                const += inner.const
                lane += inner.lane
            elif self.lane is not None and self.lane in variables:
                affine = False
                break
            else:
                terms.append((monomial, coefficient))
        return Offset(tuple(terms), const, lane) if affine else Offset((), 0, 0, self.vector_index(i))

    def vector_index(self, i: Index) -> str:
        """The values of an index in all lanes, as <lanes x i64>."""
        i = substitute(i, {v: Index({}, c) for v, c in self.constants.items() if v in i.variables})
        total = self.splat(str(i.const))
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

    def splat(self, name: str) -> Ssa:
        """An i64 in every lane."""
        return self.e.broadcast(Ssa(name, int64), self.lanes)

    def _vector_atom(self, atom: Atom) -> Ssa:
        """The values of an atom in all lanes."""
        e = self.e
        if isinstance(atom, Var):
            if atom is self.lane:
                lanes = ", ".join(f"i64 {n}" for n in range(self.lanes))
                return Ssa(f"<{lanes}>", int64, self.lanes)
            return self.splat(self.names[atom])
        if isinstance(atom, Lookup):
            return e.broadcast(cast(e, self.value(atom.value), int64), self.lanes)
        if isinstance(atom, Min):
            a, b = (Ssa(self.vector_index(s), int64, self.lanes) for s in (atom.left, atom.right))
            return e.intrinsic("smin", a, b)
        assert isinstance(atom, (FloorDiv, Mod))
        x = Ssa(self.vector_index(atom.left), int64, self.lanes)
        quotient, rest = self._divided(x, atom.right, atom.left.bounds)
        return quotient if isinstance(atom, FloorDiv) else rest()

    def _divided(self, x: Ssa, divisor: int, bounds: tuple[int, int]) -> tuple[Ssa, Callable[[], Ssa]]:
        """The quotient rounded down, and a function that emits the remainder."""
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
        """The number of the outermost scope in which a product of atoms can be computed."""
        first = monomial[0]
        if len(monomial) == 1 and isinstance(first, Var):
            return self.depth.get(first, 0)
        product = Index({monomial: 1}, 0)
        if has_lookup(product):
            return NO_DEPTH
        return max((self.depth.get(v, 0) for v in product.variables), default=0)

    def put(self, depth: int, key: object, expression: Callable[[], str]) -> str:
        """The name of an expression in the scope `depth`, as `Emitter.hoisted`; here where that is `NO_DEPTH`."""
        if depth >= NO_DEPTH:
            return self.e.let(expression())
        return self.e.hoisted(min(depth, self.e.depth), key, expression)

    def sum(self, terms: Terms, const: int) -> str:
        """The sum of uniform terms as i64, added up from the outermost scope inwards."""
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
        """A uniform product of atoms and a coefficient, as i64."""
        name = self.atom(monomial[0])
        for a in monomial[1:]:
            left, right = name, self.atom(a)
            name = self.put(depth, (left, "*", right), lambda left=left, right=right: f"mul nsw i64 {left}, {right}")  # type: ignore[misc]
        if coefficient == 1:
            return name
        return self.put(depth, (name, "*", coefficient), lambda: f"mul nsw i64 {name}, {coefficient}")

    def _add(self, depth: int, left: str, right: str) -> str:
        """The sum of two i64."""
        return self.put(depth, (left, "+", right), lambda: f"add nsw i64 {left}, {right}")

    def atom(self, atom: Atom) -> str:
        """A uniform atom, as i64."""
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
        assert isinstance(atom, (FloorDiv, Mod))
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
        """An index that does not depend on the lane, as i64; raises `ValueError` where it does."""
        o = self.offset(i)
        if o.lane or o.vector:
            raise ValueError(f"[llvm] expected an index without the lane, got {i}")
        return self.sum(o.terms, o.const)

    # ------------------------------------------------------------ addresses

    def flat_offset(self, node: Load | Store | Accumulate) -> Offset:
        """The row-major offset of an access."""
        known = self.flat.get(id(node))
        if known is None:
            known = self.flat[id(node)] = node, node.buffer.flat(node.position)
        return self.offset(known[1])

    def pointer(self, buffer: Buffer, o: Offset) -> str:
        """The address of an element, of lane 0 where the offset depends on the lane."""
        name = self.pointers[buffer]
        by_depth: dict[int, list[tuple[Monomial, int]]] = {}
        for monomial, coefficient in o.terms:
            by_depth.setdefault(self.monomial_depth(monomial), []).append((monomial, coefficient))
        at, t = 0, memory_type(buffer.dtype)
        for at in sorted(by_depth):
            name = self._gep(at, t, name, self.sum(tuple(by_depth[at]), 0))
        return self._gep(at, t, name, str(o.const)) if o.const else name

    def _gep(self, depth: int, t: str, base: str, offset: str) -> str:
        """The address `offset` elements after `base`."""
        return self.put(depth, (t, base, offset), lambda: f"getelementptr {t}, ptr {base}, i64 {offset}")

    def pointers_of(self, buffer: Buffer, o: Offset) -> str:
        """The addresses of the elements of all lanes."""
        if o.vector:
            offsets, base = o.vector, self.pointers[buffer]
        else:
            base = self.pointer(buffer, Offset(o.terms, o.const, 0))
            offsets = "<" + ", ".join(f"i64 {o.lane * n}" for n in range(self.lanes)) + ">"
        t = memory_type(buffer.dtype)
        return self.e.let(f"getelementptr {t}, ptr {base}, <{self.lanes} x i64> {offsets}")

    # ------------------------------------------------------------ guards

    def condition(self, g: Guard) -> tuple[Ssa | None, Ssa | None]:
        """The uniform part of a guard as a bool, and the other part as a mask of lanes; None where a part is true."""
        uniform: Ssa | None = None
        mask: Ssa | None = None
        if g.never:
            return Ssa("false", bool_), None
        for term in g.terms:
            o = self.offset(term)
            if o.vector:
                lanes = Ssa(o.vector, int64, self.lanes)
                mask = self.both(mask, self.e.compare("sge", lanes, self.e.const(0, int64)))
            elif o.lane:
                mask = self.both(mask, self._lane_mask(o))
            elif not o.terms:
                if o.const < 0:
                    return Ssa("false", bool_), None
            elif Index(dict(o.terms), o.const).bounds[0] < 0:
                depth = max(self.monomial_depth(m) for m, _ in o.terms)
                rest, least = self.sum(o.terms, 0), -o.const
                test = f"icmp sge i64 {rest}, {least}"
                name = self.put(depth, (rest, ">=", least), partial(str, test))
                uniform = self.both(uniform, Ssa(name, bool_))
        return uniform, mask

    def both(self, left: Ssa | None, right: Ssa) -> Ssa:
        """The conjunction of two conditions; None is true."""
        return right if left is None else self.e.binary("and", left, right)

    def _lane_mask(self, o: Offset) -> Ssa:
        """The lanes in which an offset that is affine in the lane is >= 0."""
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
