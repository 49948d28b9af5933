"""Compiled functions give what the same functions give uncompiled, whatever Python state they change or read."""

from __future__ import annotations

import array
import collections
import contextvars
import functools
import itertools
import os
import random
import time
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from peers import torch
from spiraltorch.errors import TracingError


class Case:
    """A function of a tensor, what changes between calls, further arguments by call, and what else is compared."""

    def __init__(
        self, fn: Callable[..., Any], change: Callable[[int], object] = lambda n: None,
        arguments: tuple[tuple[Any, ...], ...] = ((),) * 6, state: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.fn, self.change, self.arguments, self.state = fn, change, arguments, state


class Holder:
    limit = 1.0

    def __init__(self) -> None:
        self.count, self.flag, self.items = 0, False, []


class Delegating:
    def __init__(self) -> None:
        self.__dict__["_inner"] = {"scale": 1.0}

    def __getattr__(self, name: str) -> Any:
        try:
            return self._inner[name]
        except KeyError:
            raise AttributeError(name) from None


class Computed:
    _value = 1.0

    @property
    def value(self) -> float:
        return self._value * 2

    def __getitem__(self, key: str) -> float:
        return self._value * 3


# ---------------------------------------------------------------- functions that change state


def nonlocal_counter() -> Case:
    count = 0

    def fn(x: Any) -> Any:
        nonlocal count
        count += 1
        return x * count

    return Case(fn, state=lambda: count)


def attribute_counter() -> Case:
    holder = Holder()

    def fn(x: Any) -> Any:
        holder.count += 1
        return x + holder.count

    return Case(fn, state=lambda: holder.count)


def toggled_attribute() -> Case:
    holder = Holder()

    def fn(x: Any) -> Any:
        holder.flag = not holder.flag
        return x * 2 if holder.flag else x * 3

    return Case(fn, state=lambda: holder.flag)


def attribute_that_is_only_written() -> Case:
    holder = Holder()

    def fn(x: Any, k: int) -> Any:
        holder.last = k
        return x * k

    return Case(fn, arguments=((1,), (2,), (1,), (2,), (1,), (2,)), state=lambda: holder.last)


def attribute_by_name() -> Case:
    holder = Holder()

    def fn(x: Any) -> Any:
        setattr(holder, "count", holder.count + 1)  # noqa: B010
        return x * getattr(holder, "co" + "unt")

    return Case(fn, state=lambda: holder.count)


def class_attribute() -> Case:
    kind = type("Kind", (Holder,), {"limit": 0.0, "__module__": __name__})

    def fn(x: Any) -> Any:
        kind.limit += 1
        return x * kind.limit

    return Case(fn, state=lambda: kind.limit)


def appended_list() -> Case:
    seen: list[int] = []

    def fn(x: Any) -> Any:
        seen.append(len(seen))
        return x * len(seen)

    return Case(fn, state=lambda: list(seen))


def bound_method_of_a_list() -> Case:
    seen: list[int] = []
    add = seen.append

    def fn(x: Any) -> Any:
        add(1)
        return x * len(seen)

    return Case(fn, state=lambda: list(seen))


def dict_entry() -> Case:
    table: dict[str, int] = {}

    def fn(x: Any) -> Any:
        table["n"] = table.get("n", 0) + 1
        return x * table["n"]

    return Case(fn, state=lambda: dict(table))


def counter_object() -> Case:
    counts: Any = collections.Counter()

    def fn(x: Any) -> Any:
        counts.update("a")
        return x * counts["a"]

    return Case(fn, state=lambda: dict(counts))


def rotated_deque() -> Case:
    queue = collections.deque([1.0, 2.0, 3.0])

    def fn(x: Any) -> Any:
        queue.rotate(1)
        return x * queue[0]

    return Case(fn, state=lambda: list(queue))


def array_written_in_place() -> Case:
    total = np.zeros(1, np.float32)

    def fn(x: Any) -> Any:
        total[0] += 1
        return x * st.tensor(total)

    return Case(fn, state=lambda: total.tolist())


def gradient_accumulation() -> Case:
    """A step at every second call."""
    layer = st.nn.Linear(1, 1)
    with st.no_grad():
        layer.weight.fill_(1)
        layer.bias.zero_()
    optimizer = st.optim.SGD(layer.parameters(), lr=0.125)
    holder = Holder()

    def fn(x: Any) -> Any:
        layer(x.reshape(1, 1)).sum().backward()
        holder.count += 1
        if holder.count % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return x * 1

    return Case(fn, state=lambda: layer.weight.tolist())


def cached_on_first_use() -> Case:
    """What a first call sets up does not keep later ones from being replayed."""
    holder = Holder()
    holder.table = None

    def fn(x: Any) -> Any:
        if holder.table is None:
            holder.table = 3.0
        return x * holder.table

    return Case(fn)


# ---------------------------------------------------------------- functions that read what changes elsewhere


def iterator() -> Case:
    values = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    return Case(lambda x: x * next(values))


def counting_iterator() -> Case:
    numbers = itertools.count(1)
    return Case(lambda x: x * next(numbers))


def generator() -> Case:
    numbers = (n * n for n in range(10))
    return Case(lambda x: x + next(numbers))


def random_module() -> Case:
    random.seed(3)
    return Case(lambda x: x * random.random())


def random_object() -> Case:
    numbers = random.Random(3)
    return Case(lambda x: x * numbers.random())


def numpy_random() -> Case:
    np.random.seed(3)
    return Case(lambda x: x * float(np.random.rand()))


def numpy_generator() -> Case:
    numbers = np.random.default_rng(3)
    return Case(lambda x: x * float(numbers.random()))


def environment() -> Case:
    return Case(lambda x: x * float(os.environ["A_TEST"]), lambda n: os.environ.__setitem__("A_TEST", str(n)))


def environment_by_function() -> Case:
    return Case(lambda x: x * float(os.getenv("A_TEST", "0")), lambda n: os.environ.__setitem__("A_TEST", str(n)))


def user_dict() -> Case:
    table: Any = collections.UserDict(a=1.0)
    return Case(lambda x: x * table["a"], lambda n: table.__setitem__("a", float(n)))


def delegated_attribute() -> Case:
    thing = Delegating()
    return Case(lambda x: x * thing.scale, lambda n: thing._inner.__setitem__("scale", float(n)))


def property_of_an_object() -> Case:
    thing = Computed()
    return Case(lambda x: x * thing.value, lambda n: setattr(thing, "_value", float(n)))


def item_of_an_object() -> Case:
    thing = Computed()
    return Case(lambda x: x * thing["any"], lambda n: setattr(thing, "_value", float(n)))


def context_variable() -> Case:
    variable = contextvars.ContextVar("variable", default=1.0)
    return Case(lambda x: x * variable.get(), lambda n: variable.set(float(n)))


def byte_array() -> Case:
    data = bytearray(b"\1")
    return Case(lambda x: x * data[0], lambda n: data.__setitem__(0, n))


def typed_array() -> Case:
    data = array.array("d", [1.0])
    return Case(lambda x: x * data[0], lambda n: data.__setitem__(0, float(n)))


def namespace() -> Case:
    settings = types.SimpleNamespace(scale=1.0)
    return Case(lambda x: x * settings.scale, lambda n: setattr(settings, "scale", float(n)))


def computed_name() -> Case:
    holder = Holder()
    holder.w1 = 1.0
    return Case(lambda x: x * getattr(holder, f"w{1}"), lambda n: setattr(holder, "w1", float(n)))


def tensor_of_another_library() -> Case:
    other = torch.ones(1)
    return Case(lambda x: x * st.asarray(other), lambda n: other.fill_(n))


def memoised_function() -> Case:
    holder = Holder()

    @functools.lru_cache
    def scale(n: int) -> float:
        return n * 2.0

    return Case(lambda x: x * scale(holder.count), lambda n: setattr(holder, "count", n))


CASES: dict[str, Callable[[], Case]] = {
    f.__name__: f
    for f in (
        nonlocal_counter, attribute_counter, toggled_attribute, attribute_that_is_only_written, attribute_by_name,
        class_attribute, appended_list, bound_method_of_a_list, dict_entry, counter_object, rotated_deque,
        array_written_in_place, gradient_accumulation, cached_on_first_use, iterator, counting_iterator, generator,
        random_module, random_object, numpy_random, numpy_generator, environment, environment_by_function, user_dict,
        delegated_attribute, property_of_an_object, item_of_an_object, context_variable, byte_array, typed_array, namespace,
        computed_name, tensor_of_another_library, memoised_function,
    )
}  # fmt: skip


def results(case: Case, fn: Callable[..., Any]) -> list[object]:
    """What six calls give, and the state that they leave."""
    found: list[object] = []
    for n in range(6):
        case.change(n + 1)
        found += [fn(st.full((1,), 2.0), *case.arguments[n]).item(), case.state()]
    return found


@pytest.mark.filterwarnings("ignore:.*expected .* to be replayed:RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_compiled_as_uncompiled(name: str) -> None:
    plain = CASES[name]()
    wanted = results(plain, plain.fn)
    again = CASES[name]()  # which seeds anew
    assert results(again, st.compile(again.fn)) == wanted


def test_one_warning_names_the_line() -> None:
    def timed(x: Any) -> Any:
        return x * (0.0 * time.time() + 1)

    compiled = st.compile(timed)
    with pytest.warns(
        RuntimeWarning, match=rf"time\.time \(.*test_hidden_state.py:{timed.__code__.co_firstlineno + 1}\)"
    ):
        compiled(st.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(st.ones(1))
    assert "time.time" in compiled.reason


def test_a_change_is_named() -> None:
    case = attribute_counter()
    compiled = st.compile(case.fn)
    compiled(st.ones(1))
    with pytest.warns(RuntimeWarning, match=r"each call changes count \(.*test_hidden_state.py:\d+\)"):
        compiled(st.ones(1))


def test_strict_raises() -> None:
    numbers = itertools.count()

    @st.compile(strict=True)
    def counted(x: Any) -> Any:
        return x + next(numbers)

    with pytest.raises(TracingError, match="an iterator, count"):
        counted(st.ones(1))
    changing = st.compile(attribute_counter().fn, strict=True)
    changing(st.ones(1))  # a first call may set something up
    with pytest.raises(TracingError, match="changes count"):
        changing(st.ones(1))


def test_what_is_set_up_once_does_not_keep_from_replay() -> None:
    compiled = st.compile(cached_on_first_use().fn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            compiled(st.ones(1))
    assert compiled.traces == 2 and compiled.reason == ""


def test_other_libraries_are_not_walked() -> None:
    layer = torch.nn.Linear(3, 2)
    compiled = st.compile(lambda x: x @ st.asarray(layer.weight.detach().numpy()).T)
    start = time.perf_counter()
    with pytest.warns(RuntimeWarning, match="torch"):
        compiled(st.ones(1, 3))
    assert time.perf_counter() - start < 5  # 0.1 s on a quiet machine, 90 s when all of torch is looked at
    with torch.no_grad():
        layer.weight.fill_(2)
    assert compiled(st.ones(1, 3)).tolist() == [[6.0, 6.0]]


def test_recording_does_not_look_at_the_heap() -> None:
    def recording() -> float:
        compiled = st.compile(lambda x: x * 2 + 1)
        x = st.ones(3)
        st.eval(x)
        start = time.perf_counter()
        compiled(x)
        return time.perf_counter() - start

    recording()
    small = min(recording() for _ in range(5))
    heap = [[n] for n in range(1_000_000)]
    large = min(recording() for _ in range(5))
    assert large < small + 0.02, (small, large, len(heap))  # a scan takes 0.09 s


class Drawn:
    """An object whose constructor draws a number."""

    def __init__(self) -> None:
        self.value = np.random.random()

    def scaled(self, x: st.Tensor) -> st.Tensor:
        return x * self.value


def test_constructors_count_where_instances_may_be_made() -> None:
    made = Drawn()
    compiled = st.compile(made.scaled)  # it is a number now
    for _ in range(3):
        assert compiled(st.ones(1)).item() == np.float32(made.value)
    assert compiled.traces == 1 and compiled.reason == ""
    makers: list[Any] = [
        lambda x: x * Drawn().value,
        lambda x: x * type(made)().value,
        lambda x: x * made.__class__().value,
    ]
    for maker in makers:
        compiled = st.compile(maker)
        with pytest.warns(RuntimeWarning, match="random"):
            assert len({compiled(st.ones(1)).item() for _ in range(5)}) == 5
