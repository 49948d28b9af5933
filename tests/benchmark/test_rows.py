"""Every row's programs against its definition in float64, at a size that takes no time."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiraltorch.benchmark import worker
from spiraltorch.benchmark.libraries import LIBRARIES, SpiralTorch, Torch, parameters
from spiraltorch.benchmark.row import Row, random_normal, relative_error
from spiraltorch.benchmark.rows import README, ROWS, models, select_rows, training
from spiraltorch.errors import ArgumentError

QUICK_PEERS = [name for name in LIBRARIES if name not in ("spiraltorch", "torch-compile")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("references")


def prepared(library: str, row: Row, folder: Path) -> dict[str, Any]:
    """What a worker answers when it is told to prepare a row, after the definition was computed."""
    if row.reference is None:
        pytest.importorskip("torch")
    order = {"row": row.name, "size": dict(row.size), "path": str(folder / f"{row.name}.npz")}
    if not Path(order["path"]).exists():
        assert worker.Worker(worker.REFERENCE, 1).answer({"do": "reference", **order}) == {}
    return worker.Worker(library, 1).answer({"do": "prepare", **order})


@pytest.mark.parametrize("name", ROWS)
def test_our_program_agrees_with_float64(name: str, folder: Path) -> None:
    row = ROWS[name].small()
    answer = prepared("spiraltorch", row, folder)
    assert "error" not in answer, answer
    assert answer["relative"] <= row.tolerance


@pytest.mark.parametrize("library", QUICK_PEERS)
def test_peers_agree_with_float64(library: str, folder: Path) -> None:
    if not LIBRARIES[library].installed():
        pytest.skip(f"{library} is not installed")
    rows = [row.small() for row in ROWS.values() if LIBRARIES[library].program(row) is not None]
    answers = {row.name: prepared(library, row, folder) for row in rows}
    assert len(answers) > 20
    assert not {n: a for n, a in answers.items() if "error" in a or a["relative"] > ROWS[n].tolerance}


def test_a_wrong_program_is_seen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    right = ROWS["rowsum"].small()
    wrong = replace(right, name="wrong", programs={"spiraltorch": lambda lib, **size: lambda x: x.sum(1) * 1.001})
    monkeypatch.setitem(ROWS, "wrong", wrong)
    answer = prepared("spiraltorch", wrong, folder)
    assert answer["relative"] == pytest.approx(1e-3, rel=0.01) and answer["relative"] > wrong.tolerance


def test_the_update_of_a_train_step_is_checked(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    pytest.importorskip("torch")
    right = ROWS["mlp"].small()

    def other(lib: Any, n: int, width: int, classes: int, **size: int) -> Any:
        model = lib.load_parameters(models.mlp(lib.nn, n, width, classes))
        return training._step(lib, model, lib.optim.AdamW(model.parameters(), lr=1.01e-3))

    monkeypatch.setitem(ROWS, "other", replace(right, name="other", programs={**right.programs, "spiraltorch": other}))
    assert prepared("spiraltorch", ROWS["other"], folder)["relative"] > right.tolerance


def test_a_program_that_raises_is_an_answer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def program(lib: Any, **size: int) -> Any:
        raise ValueError("no such thing\nin this version")

    monkeypatch.setitem(ROWS, "broken", replace(ROWS["rowsum"].small(), name="broken", programs={"numpy": program}))
    assert prepared("numpy", ROWS["broken"], folder) == {"error": "ValueError: no such thing in this version"}


def test_a_worker_answers_when_its_threads_sleep() -> None:
    end = time.perf_counter() + 0.3

    def spin() -> None:
        while time.perf_counter() < end:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    worker.wait_until_idle()
    assert time.perf_counter() > end
    thread.join()
    begin = time.perf_counter()
    worker.wait_until_idle()
    assert time.perf_counter() - begin < 0.3


def test_inputs_are_the_same_every_time_and_differ_between_operands() -> None:
    row = ROWS["gelu"].small()
    first, again = row.arrays(), row.arrays()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_parameters_depend_on_their_names_only() -> None:
    shapes = {"a.weight": (3, 4), "n.weight": (4,), "n.running_mean": (4,), "n.running_var": (4,), "a.bias": (3,)}
    made = parameters(shapes)
    assert made["n.weight"].tolist() == [1.0] * 4 and made["n.running_mean"].tolist() == [0.0] * 4
    assert all(np.array_equal(made[k], v) and v.dtype == np.float32 for k, v in parameters(shapes).items())


def test_models_have_the_same_parameters_in_both_libraries() -> None:
    torch = pytest.importorskip("torch")
    for build in (lambda nn: models.resnet18(nn, 4, 10), lambda nn: models.gpt(nn, 20, 8, 16, 2, 1)):
        ours, theirs = SpiralTorch(), Torch()
        a, b = ours.load_parameters(build(ours.nn)).state_dict(), theirs.load_parameters(build(theirs.nn)).state_dict()
        assert list(a) == list(b)
        for key, value in a.items():
            assert torch.equal(torch.tensor(value.detach().numpy()), b[key].detach()), key


def test_rows_are_found_by_name() -> None:
    assert [row.name for row in select_rows("gelu, mlp,gelu")] == ["gelu", "mlp"]
    assert len(select_rows(None)) == len(ROWS) and set(README) <= set(ROWS)
    for names in ("gelu,none", "", " , "):
        with pytest.raises(ArgumentError, match=r"expected rows of gelu.*got none"):
            select_rows(names)


def test_titles_name_the_size() -> None:
    row = ROWS["softmax"]
    assert row.label == "softmax 4096x1024" and row.with_size(n=2).label == "softmax 2x1024"
    assert len({row.label for row in ROWS.values()}) == len(ROWS)


def test_relative_error() -> None:
    x = random_normal(np.random.default_rng(0), 4, 4)
    assert relative_error([x, x], [x, x]) == 0.0
    assert relative_error([x, x * 1.5], [x, x]) == pytest.approx(0.5)
    assert relative_error([np.zeros(2)], [np.zeros(2)]) == 0.0
    for bad in ([x], [x, x[0]], [x, np.where(x > 0, np.nan, x)]):
        assert relative_error(bad, [x, x]) == float("inf")
