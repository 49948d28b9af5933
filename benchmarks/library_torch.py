"""The rows in PyTorch, eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import rows

VERSION = torch.__version__


def set_threads(count: int) -> None:
    """As many threads as the other libraries have."""
    torch.set_num_threads(count)


def prepare(name: str, arrays: list[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Of a row: what is timed, and what gives its result as an array."""
    if name.startswith("mlp"):
        return _mlp(arrays)
    tensors = [torch.from_numpy(a) for a in arrays]
    if name == "record":
        x, y = tensors

        def record() -> None:
            for _ in range(rows.RECORDED):
                x + y

        return record, lambda: (x + y).numpy()
    function = FUNCTIONS[name]
    return lambda: function(*tensors), lambda: function(*tensors).numpy()


def _tiny(x: Any, y: Any) -> Any:
    for _ in range(rows.TINY_OPS // 2):
        x = x * 1.01 + y
    return x


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu": lambda a, b, c: nn.functional.gelu(a * b + c, approximate="tanh"),
    "softmax": lambda x: torch.softmax(x, -1),
    "layernorm": lambda x, w, b: nn.functional.layer_norm(x, (x.shape[-1],), w, b),
    "matmul1024": lambda a, b: a @ b,
    "matmul256": lambda a, b: a @ b,
    "tiny": _tiny,
    "tiny_eager": _tiny,
}


def _mlp(arrays: list[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    layers: list[Any] = []
    for before, after in zip(rows.MLP_WIDTHS, rows.MLP_WIDTHS[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, a in zip(model.parameters(), arrays[2:], strict=True):
            p.copy_(torch.from_numpy(a))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    criterion = nn.CrossEntropyLoss()
    x, y = torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step, lambda: [step() for _ in range(rows.MLP_CHECKED_STEPS)]
