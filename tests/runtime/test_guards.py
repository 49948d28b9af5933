"""A compiled function notices every change of the Python state that it can see, and of nothing else."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import nn

SCALE = 2.0
WEIGHT = st.ones(3)
MODULE = types.ModuleType("settings_of_a_test")

Case = tuple[Callable[[Any], Any], Callable[[], object]]


def helper(x: Any) -> Any:
    return x * SCALE


def with_default(x: Any, *, factor: float = 2.0, table: list[float] = [3.0]) -> Any:  # noqa: B006
    return x * factor * table[0]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.settings = {"scale": 2.0}
        self.history: list[float] = []

    def forward(self, x: Any) -> Any:
        return x * self.settings["scale"]


class Thing:
    shared = 2.0

    def __init__(self) -> None:
        self.own, self.count = 3.0, 0

    def __call__(self, x: Any) -> Any:
        return x * self.own * self.shared

    def method(self, x: Any) -> Any:
        return self(x)

    @staticmethod
    def fixed(x: Any) -> Any:
        return helper(x)


class Slotted:
    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = 3.0


@dataclasses.dataclass
class Batch:
    x: Any
    scale: float


def helper_global() -> Case:
    return helper, lambda: globals().update(SCALE=SCALE + 1)


def helper_of_a_helper() -> Case:
    return lambda x: Thing.fixed(x), lambda: globals().update(SCALE=SCALE + 1)


def name_within_a_nested_function() -> Case:
    def outer(x: Any) -> Any:
        return (lambda y: y * SCALE)(x)

    return outer, lambda: globals().update(SCALE=SCALE + 1)


def tensor_bound_again() -> Case:
    return lambda x: x * WEIGHT, lambda: globals().update(WEIGHT=WEIGHT + 1)


def type_of_a_number() -> Case:
    n: float = 2

    def change() -> None:
        nonlocal n
        n = 2.0

    return lambda x: x.to(st.int32) * n, change


def containers(made: Any, change: Callable[[Any], object]) -> Case:
    return lambda x: x * sum(made), lambda: change(made)


def dict_entry() -> Case:
    table = {"a": 1.0}
    return lambda x: x * table["a"], lambda: table.update(a=5.0)


def tensor_in_a_list() -> Case:
    tensors = [st.ones(3)]
    return lambda x: x * tensors[0], lambda: tensors.__setitem__(0, st.zeros(3))


def array_in_place() -> Case:
    array = np.ones(3, np.float32)
    return lambda x: x * st.tensor(array), lambda: array.__imul__(3)


def default_arguments() -> Case:
    fresh = types.FunctionType(with_default.__code__, globals(), "fresh")
    fresh.__kwdefaults__ = {"factor": 2.0, "table": [3.0]}
    return fresh, lambda: fresh.__kwdefaults__.update(factor=4.0)


def mutable_default() -> Case:
    table = [3.0]
    return functools.partial(with_default, table=table), lambda: table.__setitem__(0, 5.0)


def attribute(of: Callable[[Thing], Any]) -> Case:
    thing = Thing()
    return of(thing), lambda: setattr(thing, "own", 7.0)


def attribute_over_a_class() -> Case:
    thing = Thing()
    return thing.method, lambda: setattr(thing, "shared", 7.0)


def attribute_of_a_class() -> Case:
    kind = type("Kind", (Thing,), {"shared": 2.0, "__module__": __name__})
    return kind().method, lambda: setattr(kind, "shared", 7.0)


def slot() -> Case:
    thing = Slotted()
    return lambda x: x * thing.own, lambda: setattr(thing, "own", 7.0)


def attribute_of_a_python_module() -> Case:
    MODULE.__dict__["scale"] = 2.0
    return lambda x: x * MODULE.scale, lambda: MODULE.__dict__.update(scale=4.0)


def container_in_a_model() -> Case:
    model = nn.Sequential(Model())
    return lambda x: model(x), lambda: model[0].settings.update(scale=5.0)


def container_behind_a_hook() -> Case:
    model, factor = nn.Identity(), [2.0]
    model.register_forward_hook(lambda module, inputs, output: output * factor[0])
    return model, lambda: factor.__setitem__(0, 3.0)


CASES: dict[str, Callable[[], Case]] = {
    f.__name__: f
    for f in (
        helper_global, helper_of_a_helper, name_within_a_nested_function, tensor_bound_again, type_of_a_number,
        dict_entry, tensor_in_a_list, array_in_place, default_arguments, mutable_default, attribute_over_a_class,
        attribute_of_a_class, slot, attribute_of_a_python_module, container_in_a_model, container_behind_a_hook,
    )
} | {
    "list": lambda: containers([1.0, 2.0], lambda c: c.append(3.0)),
    "set": lambda: containers({1.0, 2.0}, lambda c: c.add(3.0)),
    "deque": lambda: containers(deque([1.0]), lambda c: c.append(3.0)),
    "nested": lambda: (lambda c: (lambda x: x * c[0][0], lambda: c[0].__setitem__(0, 3.0)))(([1.0],)),
    "bound method": lambda: attribute(lambda thing: thing.method),
    "callable": lambda: attribute(lambda thing: thing),
    "partial": lambda: attribute(lambda thing: functools.partial(thing.method)),
    "compiled within": lambda: attribute(lambda thing: st.compile(thing.method)),
}  # fmt: skip


@pytest.mark.parametrize("calls", [1, 3])  # before the change: recorded, and replayed by generated code
@pytest.mark.parametrize("name", CASES)
def test_a_change_is_noticed(name: str, calls: int) -> None:
    plain, change = CASES[name]()
    compiled = st.compile(lambda x: plain(x)) if name == "compiled within" else st.compile(plain)
    x = st.tensor([1.0, 2.0, 3.0])
    for _ in range(calls):
        before = compiled(x)
    change()
    expected = plain(x)
    assert before.dtype != expected.dtype or before.tolist() != expected.tolist()
    for _ in range(3):
        found = compiled(x)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()
    assert compiled.traces == 2


def test_what_the_function_does_not_name_is_free_to_change() -> None:
    thing, model = Thing(), Model()
    compiled = st.compile(lambda x: model(thing(x)))
    for n in range(4):
        compiled(st.ones(3))
        thing.count = n
        model.history.append(float(n))
    assert compiled.traces == 1


def test_a_value_that_comes_back_finds_its_recording() -> None:
    flags = {"double": True}
    compiled = st.compile(lambda x: x * 2 if flags["double"] else x)
    for n in range(8):
        flags["double"] = n % 2 == 0
        assert compiled(st.ones(1)).item() == 2 - n % 2
    assert compiled.traces == 2


def test_opaque_arguments() -> None:
    """Objects that are made again at each call, whose addresses may be used again."""
    of_batch = st.compile(lambda batch: batch.x * batch.scale)
    of_array = st.compile(lambda x, array: x * st.tensor(array))
    of_dict = st.compile(lambda table: table["x"] * 2)
    of_function = st.compile(lambda x, function: function(x))
    thing = Thing()
    of_thing = st.compile(lambda x, thing: thing.method(x))
    for n in range(6):
        value = float(n)
        assert of_batch(Batch(st.full((2,), value), value + 1)).tolist() == [value * (value + 1)] * 2
        assert of_array(st.ones(2), np.full(2, value, np.float32)).tolist() == [value] * 2
        assert of_dict(OrderedDict(x=st.full((2,), value))).tolist() == [2 * value] * 2
        assert of_dict(defaultdict(list, x=st.full((2,), value))).tolist() == [2 * value] * 2
        assert of_function(st.ones(2), lambda x, factor=value: x * factor).tolist() == [value] * 2
        thing.own = value
        assert of_thing(st.ones(2), thing).tolist() == [2 * value] * 2


def test_an_ordered_dict_is_nested_like_a_dict() -> None:
    swap = st.compile(lambda table: OrderedDict(b=table["a"], a=table["b"]))
    for n in range(3):
        made = swap(OrderedDict(a=st.full((1,), float(n)), b=st.ones(1)))
        assert type(made) is OrderedDict
        assert {key: value.item() for key, value in made.items()} == {"a": 1.0, "b": float(n)}
    assert swap.traces == 1


def test_equal_functions_given_as_arguments_share_a_recording() -> None:
    apply = st.compile(lambda x, function: function(x))
    for _ in range(3):
        assert apply(st.ones(1), lambda x: x + 1).item() == 2.0
    assert apply.traces == 1
