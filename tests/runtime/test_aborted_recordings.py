"""A recording that is aborted leaves nothing behind: what it made and updated is as if it had not been tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import spiraltorch as st
from spiraltorch import optim
from spiraltorch.tensor.tracing import compiled, recording

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
    "Adam": lambda params: optim.Adam(params, lr=0.1, amsgrad=True),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.1, momentum=0.5),
    "Lion": lambda params: optim.Lion(params, lr=0.1),
}


class Trainer:
    """Two parameters whose product is made small; the state of the optimizer is made in the first step."""

    def __init__(self, name: str) -> None:
        self.params = [st.tensor([1.0, 2.0, 3.0], requires_grad=True), st.tensor([1.0, 1.0, 1.0], requires_grad=True)]
        self.optimizer = OPTIMIZERS[name](self.params)

    def step(self) -> st.Tensor:
        self.optimizer.zero_grad()
        loss = (self.params[0] * self.params[1]).sum()
        loss.backward()
        self.optimizer.step()
        return loss

    def values(self) -> list[list[float]]:
        return [p.tolist() for p in self.params]


def expected(name: str, steps: int) -> list[list[float]]:
    plain = Trainer(name)
    for _ in range(steps):
        plain.step()
    return plain.values()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_returns_its_loss_undetached_runs_as_plain_python(name: str) -> None:
    trainer = Trainer(name)
    step = st.compile(trainer.step)
    for _ in range(3):
        step()
    np.testing.assert_allclose(trainer.values(), expected(name, 3), rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_in_the_first_step_training_goes_on(name: str, kind: type[BaseException]) -> None:
    trainer, errors = Trainer(name), [kind]

    @st.compile
    def step() -> st.Tensor:
        loss = trainer.step()
        if errors:
            raise errors.pop()
        return loss.detach()

    with pytest.raises(kind):
        step()
    for _ in range(3):
        step()
    np.testing.assert_allclose(trainer.values(), expected(name, 3), rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_a_read_in_a_recording_the_same_step_runs_without_compile(name: str) -> None:
    trainer = Trainer(name)

    @st.compile
    def step() -> float:
        return trainer.step().item()

    with pytest.raises(st.TracingError):
        step()
    for _ in range(3):
        trainer.step()
    np.testing.assert_allclose(trainer.values(), expected(name, 3), rtol=1e-6)


def test_an_index_out_of_range_in_the_first_replay_leaves_the_state_as_it_was_made() -> None:
    kept: dict[str, st.Tensor] = {}

    @st.compile
    def gather(table: st.Tensor, at: st.Tensor) -> st.Tensor:
        if "sum" not in kept:
            kept["sum"] = st.zeros(2)
        taken = table[at * 1].sum(0)
        kept["sum"] += taken
        return taken

    table = st.tensor([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(st.IndexOutOfRange):
        gather(table, st.tensor([0, 5]))
    assert kept["sum"].tolist() == [0.0, 0.0]
    gather(table, st.tensor([0, 1]))
    assert kept["sum"].tolist() == [4.0, 6.0]


def test_what_a_failed_recording_stored_has_the_values_of_its_time() -> None:
    kept: list[st.Tensor] = []

    def remember(x: st.Tensor) -> None:
        kept.append(x * 2 + st.rand(3))
        raise RuntimeError

    x = st.ones(3)
    with pytest.raises(RuntimeError):
        st.compile(remember)(x)
    x += 1
    values = kept[0].numpy()
    assert np.all((values >= 2) & (values < 3))


@pytest.mark.parametrize(
    ("owner", "name"), [(recording.Recorder, "escaped"), (recording, "donations"), (compiled, "perform")]
)
def test_an_interrupt_after_the_function_itself_has_run_leaves_nothing_behind(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer("Adam")
    step = st.compile(lambda: trainer.step().detach())

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, interrupted)
        step()
    for _ in range(3):
        step()
    np.testing.assert_allclose(trainer.values(), expected("Adam", 3), rtol=1e-6)
