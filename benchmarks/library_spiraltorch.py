"""The rows in SpiralTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rows
import spiraltorch as st
from spiraltorch import nn, optim

VERSION = st.__version__


def set_threads(count: int) -> None:
    """The driver has set SPIRALTORCH_NUM_THREADS, which is read at the first kernel."""


def prepare(name: str, arrays: list[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Of a row: what is timed, and what gives its result as an array."""
    if name.startswith("mlp"):
        return _mlp(arrays, name == "mlp")
    tensors = [st.asarray(a) for a in arrays]
    if name == "record":
        x, y = tensors

        def record() -> None:
            for _ in range(rows.RECORDED):
                x + y

        return record, lambda: (x + y).numpy()
    function = FUNCTIONS[name]
    if name == "tiny_eager":
        return lambda: st.eval(function(*tensors)), lambda: function(*tensors).numpy()
    compiled = st.compile(function)
    return lambda: st.eval(compiled(*tensors)), lambda: compiled(*tensors).numpy()


def _tiny(x: Any, y: Any) -> Any:
    for _ in range(rows.TINY_OPS // 2):
        x = x * 1.01 + y
    return x


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu": lambda a, b, c: st.gelu(a * b + c, approximate="tanh"),
    "softmax": lambda x: st.softmax(x, -1),
    "layernorm": lambda x, w, b: nn.functional.layer_norm(x, (x.shape[-1],), w, b),
    "matmul1024": lambda a, b: a @ b,
    "matmul256": lambda a, b: a @ b,
    "tiny": _tiny,
    "tiny_eager": _tiny,
}


def _mlp(arrays: list[Any], compiled: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    layers: list[Any] = []
    for before, after in zip(rows.MLP_WIDTHS, rows.MLP_WIDTHS[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.load_state_dict(
        {name: st.asarray(a) for (name, _), a in zip(model.named_parameters(), arrays[2:], strict=True)}
    )
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    criterion = nn.CrossEntropyLoss()
    x, y = st.asarray(arrays[0]), st.asarray(arrays[1])

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = st.compile(step) if compiled else step
    return lambda: run(x, y).item(), lambda: [run(x, y).item() for _ in range(rows.MLP_CHECKED_STEPS)]
