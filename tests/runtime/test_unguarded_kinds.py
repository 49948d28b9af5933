"""State that a compiled function reads through unusual objects, and the state of random generators: never stale."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import spiraltorch as st


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


class Lookup(dict[str, Any]):
    """A dict whose items are attributes; a missing one raises KeyError."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def function_with_attribute() -> Any:
    def f() -> None: ...

    f.k = 1
    return f


HELD: dict[str, Any] = {}


def proxy() -> Any:
    HELD["k"] = 1
    return types.MappingProxyType(HELD)


# What makes an object, what changes it to a number, and what reads the number.
KINDS: dict[str, tuple[Callable[[], Any], Callable[[Any, int], Any], Callable[[Any], Any]]] = {
    "an attribute of a function": (function_with_attribute, lambda o, i: setattr(o, "k", i), lambda o: o.k),
    "a read-only view of a dict": (proxy, lambda o, i: HELD.__setitem__("k", i), lambda o: o["k"]),
    "a dict with attributes": (lambda: Lookup(k=1), lambda o, i: o.__setitem__("k", i), lambda o: o.k),
    "a generic function": (
        lambda: functools.singledispatch(lambda x: 1),
        lambda o, i: o.register(int, lambda x: i),
        lambda o: o(1),
    ),
    "whether a tensor requires a gradient": (
        lambda: st.ones(2),
        lambda o, i: o.requires_grad_(bool(i % 2)),
        lambda o: 2 if o.requires_grad else 3,
    ),
    "whether a tensor is a leaf": (
        lambda: [st.ones(2, requires_grad=True)],
        lambda o, i: o.__setitem__(0, o[0] * 2 if i % 2 else o[0].detach()),
        lambda o: 2 if o[0].is_leaf else 3,
    ),
    "the shape of a tensor": (
        lambda: st.ones(1),
        lambda o, i: setattr(o, "data", st.ones(i)),
        lambda o: o.shape[0],
    ),
    "the dtype of a tensor": (
        lambda: st.ones(1),
        lambda o, i: setattr(o, "data", st.ones(1, dtype=st.float64 if i % 2 else st.float32)),
        lambda o: o.dtype.itemsize,
    ),
}


def capturing(o: Any, read: Callable[[Any], Any]) -> Callable[..., st.Tensor]:
    """A function that reads an object of its closure."""
    return lambda x: x * read(o)


@pytest.mark.parametrize("place", ["closure", "argument", "default", "nested"])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_as_uncompiled(kind: str, place: str) -> None:
    make, change, read = KINDS[kind]
    results = []
    for compiled in (False, True):
        o = make()
        box = {"a": [(o,)]}

        def closure(x: st.Tensor, o: Any = o) -> st.Tensor:
            return x * read(o)

        def nested(x: st.Tensor, box: Any = box) -> st.Tensor:
            return x * read(box["a"][0][0])

        fn = {"closure": capturing(o, read), "argument": closure, "default": closure, "nested": nested}[place]
        f = st.compile(fn) if compiled else fn
        out = []
        for i in range(2, 6):
            out.append((f(st.ones(2), o) if place == "argument" else f(st.ones(2))).tolist())
            change(o, i)
        results.append(out)
    assert results[0] == results[1]


GENERATOR = st.Generator(1)


def seed_first() -> st.Tensor:
    st.manual_seed(5)
    return st.rand(2)


def seed_between() -> st.Tensor:
    first = st.rand(1)
    st.manual_seed(5)
    return st.concat([first, st.rand(1)])


def state_restored() -> st.Tensor:
    state = GENERATOR.get_state()
    first = st.rand(2, generator=GENERATOR)
    GENERATOR.set_state(state)
    return first - st.rand(2, generator=GENERATOR)


def counter_read() -> st.Tensor:
    return st.rand(5, generator=GENERATOR) * 0 + GENERATOR.counter


def attributes_set() -> st.Tensor:
    GENERATOR.seed, GENERATOR.counter = 9, 1
    return st.rand(2, generator=GENERATOR)


def copied() -> st.Tensor:
    import copy

    st.rand(3, generator=GENERATOR)
    return st.rand(2, generator=copy.deepcopy(GENERATOR))


def made_inside() -> st.Tensor:
    return st.rand(2, generator=st.Generator(7))


def only_drawn() -> st.Tensor:
    return st.rand(2, generator=GENERATOR) + st.randn(2)


GENERATOR_PROGRAMS = (
    seed_first, seed_between, state_restored, counter_read, attributes_set, copied, made_inside, only_drawn,
)  # fmt: skip


@pytest.mark.parametrize("fn", GENERATOR_PROGRAMS, ids=lambda f: f.__name__)
def test_generators(fn: Callable[[], st.Tensor]) -> None:
    results = []
    for f in (fn, st.compile(fn)):
        st.manual_seed(0)
        GENERATOR.manual_seed(1)
        results.append([f().tolist() for _ in range(4)] + [GENERATOR.get_state(), st.rand(1).item()])
    assert results[0] == results[1]


def test_a_generator_that_is_set_is_named() -> None:
    f = st.compile(seed_first)
    f(), f()
    assert "the state of a random generator" in f.reason
    strict = st.compile(seed_first, strict=True)
    strict()
    with pytest.raises(st.TracingError, match="the state of a random generator"):
        strict()


def test_an_error_in_a_recording_leaves_generators_as_they_were() -> None:
    def f() -> None:
        st.rand(3)
        st.manual_seed(5)
        raise KeyError

    st.manual_seed(3)
    with pytest.raises(KeyError):
        st.compile(f)()
    first = st.rand(2).tolist()
    st.manual_seed(3)
    assert st.rand(2).tolist() == first


def test_a_replaced_gradient_stays_as_it_was() -> None:
    """A caller may keep the gradient of each step."""
    for compiled in (False, True):
        p, kept = st.ones(2, requires_grad=True), []

        def step(x: st.Tensor, p: st.Tensor = p) -> None:
            p.grad = None
            (p * x).sum().backward()

        f = st.compile(step) if compiled else step
        for i in range(4):
            f(st.ones(2) * i)
            kept.append(p.grad)
        assert [g.tolist() for g in kept] == [[float(i)] * 2 for i in range(4)]
        assert not compiled or f.traces <= 2
