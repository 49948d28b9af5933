"""The main job: trains a model on handwritten digits, saves it, loads it into a new one, and reports figures."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, optim
from ..data import digits
from ..errors import ArgumentError
from ..io import load, save
from ..runtime import device as devices
from ..telemetry import counters
from ..tensor.creation import asarray
from ..tensor.gradients.modes import no_grad
from ..tensor.random import manual_seed
from ..tensor.tracing.compiled import compile as compile_fn
from .models import MODELS, Recipe


def run(
    model: str, device: str, epochs: int | None, seed: int, as_json: bool, checkpoint: str | None
) -> dict[str, Any]:
    """Trains and reports; see `demo` in `main`. Returns the figures that `--json` prints."""
    if model not in MODELS:
        raise ArgumentError(f"[demo] expected a model of {', '.join(MODELS)}, got {model!r}")
    recipe = MODELS[model]
    count = recipe.epochs if epochs is None else epochs
    if count < 1:
        raise ArgumentError(f"[demo] expected at least one epoch, got {count}")
    if not 0 <= seed < 1 << 64:
        raise ArgumentError(f"[demo] expected a seed from 0 to 2**64 - 1, got {seed}")
    path = Path(checkpoint) if checkpoint else Path(tempfile.gettempdir()) / f"spiraltorch-demo-{model}.safetensors"
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):  # said before the training, not after it
        raise ArgumentError(
            f"[demo] expected a file in a folder that can be written, got {str(path)!r}; see --checkpoint"
        )
    devices.set_default(device)
    started = time.perf_counter()
    manual_seed(seed)
    x_train, y_train, x_test, y_test = digits()
    net = recipe.build()
    losses, step_times, report = _train(net, x_train, y_train, recipe, count, seed, as_json)
    accuracy = _accuracy(net, x_test, y_test)
    save(net.state_dict(), path)
    twin = recipe.build()
    twin.load_state_dict(load(path))
    restored = _accuracy(twin, x_test, y_test)
    after = counters()
    figures = {
        "model": model, "device": devices.canonical(device), "seed": seed, "epochs": count, "steps": len(step_times),
        "parameters": sum(p.size for p in net.parameters()), "test_accuracy": accuracy,
        "restored_accuracy": restored, "first_loss": losses[0], "last_loss": losses[-1],
        "step_ms": statistics.median(step_times) * 1e3, "kernels_per_step": report.get("kernels", 0),
        "kernels_per_step_unfused": report.get("kernels_unfused", 0),
        "bytes_per_step": report.get("bytes_moved", 0), "compile_seconds": after["compile_seconds"],
        "peak_bytes": after["peak_bytes"], "seconds": time.perf_counter() - started, "checkpoint": str(path),
    }  # fmt: skip
    if as_json:
        print(json.dumps(figures))
    else:
        _summary(figures)
    return figures


def _train(
    net: Any, images: Any, labels: Any, recipe: Recipe, epochs: int, seed: int, quiet: bool
) -> tuple[list[float], list[float], dict[str, Any]]:
    """Losses of each epoch, seconds of each step, and the compiled step's report."""
    rng = np.random.default_rng(seed)
    steps = len(images) // recipe.batch
    optimizer = optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=0.02)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=epochs * steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    compiled: Any = compile_fn(step)
    losses: list[float] = []
    times: list[float] = []
    net.train()
    with _progress(quiet, epochs * steps) as advance:
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


def _shifted(images: Any, rng: np.random.Generator) -> Any:
    """Each image moved by up to one pixel in both directions."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dy, dx = rng.integers(0, 3, (2, len(images)))
    rows = np.arange(8)
    n = np.arange(len(images))[:, None, None]
    return np.ascontiguousarray(
        padded[n, 0, (dy[:, None] + rows)[:, :, None], (dx[:, None] + rows)[:, None, :]][:, None]
    )


def _accuracy(net: Any, images: Any, labels: Any) -> float:
    """The fraction of images whose greatest score is their label's."""
    net.eval()
    with no_grad():
        found = net(asarray(images)).argmax(axis=1).numpy()
    return float((found == labels).mean())


class _progress:  # used as a context manager
    """A progress bar with the live loss; nothing at all with `--json`."""

    def __init__(self, quiet: bool, total: int) -> None:
        self.bar: Any = None
        if not quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self.bar = Progress(
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )  # fmt: skip
            self.task = self.bar.add_task("compiling", total=total)

    def __enter__(self) -> Any:
        if self.bar is None:
            return lambda text: None
        self.bar.__enter__()
        return lambda text: self.bar.update(self.task, advance=1, description=text)

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)


def _summary(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures['model']} on UCI digits, {figures['device']}", show_header=False)
    rows = [
        ("test accuracy", f"{figures['test_accuracy']:.2%}"),
        ("after save and load", f"{figures['restored_accuracy']:.2%}"),
        ("loss, first to last epoch", f"{figures['first_loss']:.3f} to {figures['last_loss']:.3f}"),
        ("time per step", f"{figures['step_ms']:.2f} ms (median of {figures['steps']})"),
        ("kernels per step", f"{figures['kernels_per_step']} ({figures['kernels_per_step_unfused']} before fusion)"),
        ("bytes moved per step", f"{figures['bytes_per_step']:,}"),
        ("compile time", f"{figures['compile_seconds']:.2f} s"),
        ("peak memory", f"{figures['peak_bytes']:,} bytes"),
        ("whole run", f"{figures['seconds']:.1f} s"),
        ("checkpoint", figures["checkpoint"]),
    ]
    for name, value in rows:
        table.add_row(name, value)
    Console().print(table)
