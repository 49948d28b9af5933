"""`spiraltorch demo`: trains a model on handwritten digits, saves it, loads it into a new model, and prints a report."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from .. import nn, optim
from ..data import digits
from ..errors import ArgumentError
from ..io import load, save
from ..runtime import device as devices
from ..telemetry import counters
from ..tensor import Tensor
from ..tensor.creation import asarray
from ..tensor.gradients.modes import no_grad
from ..tensor.random import manual_seed
from ..tensor.tracing.compiled import compile as compile_fn
from ..typing import NDArray
from .models import MODELS, Recipe
from .progress import ProgressBar


class DemoReport(TypedDict):
    """The report, as `--json` prints it."""

    model: str
    device: str
    seed: int
    epochs: int
    steps: int
    parameters: int
    test_accuracy: float
    restored_accuracy: float  # of the loaded model
    first_loss: float  # the mean of the first epoch
    last_loss: float
    step_ms: float  # the median
    kernels_per_step: int
    kernels_per_step_unfused: int
    bytes_per_step: int
    compile_seconds: float
    peak_bytes: float
    seconds: float
    checkpoint: str


def run(model: str, device: str, epochs: int | None, seed: int, as_json: bool, checkpoint: str | None) -> DemoReport:
    """Trains a model and prints a report.

    Args:
        model: a key of `MODELS`.
        device: the device's name.
        epochs: the number of epochs, or None for the model's default.
        seed: the seed of parameters, batches and dropout.
        as_json: prints JSON instead of a table, and no progress.
        checkpoint: the file of the trained model, or None for one in the temporary folder.

    Returns:
        The report.

    Raises:
        ArgumentError: an argument is invalid, or the checkpoint cannot be written.
    """
    if model not in MODELS:
        raise ArgumentError(f"[demo] expected a model of {', '.join(MODELS)}, got {model!r}; choose one")
    recipe = MODELS[model]
    count = recipe.epochs if epochs is None else epochs
    if count < 1:
        raise ArgumentError(f"[demo] expected at least one epoch, got {count}; change --epochs")
    if not 0 <= seed < 1 << 64:
        raise ArgumentError(f"[demo] expected a seed from 0 to 2**64 - 1, got {seed}; change --seed")
    path = Path(checkpoint) if checkpoint else Path(tempfile.gettempdir()) / f"spiraltorch-demo-{model}.safetensors"
    folder = path.parent
    if (
        path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK)
    ):  # found before the training, not after it
        raise ArgumentError(
            f"[demo] expected a file in a folder that can be written, got {str(path)!r}; see --checkpoint"
        )
    devices.set_default(device)
    started = time.perf_counter()
    manual_seed(seed)
    x_train, y_train, x_test, y_test = digits()
    net = recipe.build()
    losses, step_times, compiled = _train(net, x_train, y_train, recipe, count, seed, as_json)
    accuracy = _accuracy(net, x_test, y_test)
    save(net.state_dict(), path)
    loaded = recipe.build()
    loaded.load_state_dict(load(path))
    restored = _accuracy(loaded, x_test, y_test)
    after = counters()
    report: DemoReport = {
        "model": model, "device": devices.canonical(device), "seed": seed, "epochs": count, "steps": len(step_times),
        "parameters": sum(p.size for p in net.parameters()), "test_accuracy": accuracy,
        "restored_accuracy": restored, "first_loss": losses[0], "last_loss": losses[-1],
        "step_ms": statistics.median(step_times) * 1e3, "kernels_per_step": compiled.get("kernels", 0),
        "kernels_per_step_unfused": compiled.get("kernels_unfused", 0),
        "bytes_per_step": compiled.get("bytes_moved", 0), "compile_seconds": after["compile_seconds"],
        "peak_bytes": after["peak_bytes"], "seconds": time.perf_counter() - started, "checkpoint": str(path),
    }  # fmt: skip
    if as_json:
        print(json.dumps(report))
    else:
        _print(report)
    return report


def _train(
    net: nn.Module, images: NDArray, labels: NDArray, recipe: Recipe, epochs: int, seed: int, quiet: bool
) -> tuple[list[float], list[float], dict[str, Any]]:
    """Trains a model: the mean loss of each epoch, the seconds of each step, and the report of the compiled step."""
    rng = np.random.default_rng(seed)
    steps = len(images) // recipe.batch
    optimizer = optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=0.02)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=epochs * steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    def step(x: Tensor, y: Tensor) -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled: Any = compile_fn(step)
    losses: list[float] = []
    times: list[float] = []
    net.train()
    with ProgressBar("training", epochs * steps, quiet=quiet, description="compiling") as advance:
        for epoch in range(epochs):
            order = rng.permutation(len(images))
            total = 0.0
            for n in range(steps):
                rows = order[n * recipe.batch : (n + 1) * recipe.batch]
                batch = _shifted(images[rows], rng) if recipe.shift else images[rows]
                x, y = asarray(batch), asarray(labels[rows])
                begin = time.perf_counter()
                loss = compiled(x, y).item()
                times.append(time.perf_counter() - begin)
                schedule.step()
                total += loss
                advance(f"epoch {epoch + 1}/{epochs}  loss {loss:.3f}")
            losses.append(total / steps)
    return losses, times, compiled.report()


def _shifted(images: NDArray, rng: np.random.Generator) -> NDArray:
    """The images, each shifted by up to one pixel in both directions."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dy, dx = rng.integers(0, 3, (2, len(images)))
    rows = np.arange(8)
    n = np.arange(len(images))[:, None, None]
    return np.ascontiguousarray(
        padded[n, 0, (dy[:, None] + rows)[:, :, None], (dx[:, None] + rows)[:, None, :]][:, None]
    )


def _accuracy(net: nn.Module, images: NDArray, labels: NDArray) -> float:
    """The fraction of images whose largest score is that of their label."""
    net.eval()
    with no_grad():
        predicted = net(asarray(images)).argmax(axis=1).numpy()
    return float((predicted == labels).mean())


def _print(report: DemoReport) -> None:
    """Prints the report as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{report['model']} on UCI digits, {report['device']}", show_header=False)
    rows = [
        ("test accuracy", f"{report['test_accuracy']:.2%}"),
        ("after save and load", f"{report['restored_accuracy']:.2%}"),
        ("loss, first to last epoch", f"{report['first_loss']:.3f} to {report['last_loss']:.3f}"),
        ("time per step", f"{report['step_ms']:.2f} ms (median of {report['steps']})"),
        ("kernels per step", f"{report['kernels_per_step']} ({report['kernels_per_step_unfused']} before fusion)"),
        ("bytes moved per step", f"{report['bytes_per_step']:,}"),
        ("compile time", f"{report['compile_seconds']:.2f} s"),
        ("peak memory", f"{report['peak_bytes']:,} bytes"),
        ("whole run", f"{report['seconds']:.1f} s"),
        ("checkpoint", report["checkpoint"]),
    ]
    for name, value in rows:
        table.add_row(name, value)
    Console().print(table)
