"""The main job through its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import spiraltorch
from spiraltorch.backends import wgpu

FIGURES = {
    "test_accuracy", "restored_accuracy", "step_ms", "kernels_per_step", "kernels_per_step_unfused", "bytes_per_step",
    "compile_seconds", "peak_bytes", "seconds", "first_loss", "last_loss", "checkpoint",
}  # fmt: skip


def demo(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SPIRALTORCH_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "spiraltorch", "demo", "--checkpoint", str(tmp_path / "model.safetensors"), *args]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.mark.slow
def test_the_default_reaches_98_percent_with_empty_caches(tmp_path: Path) -> None:
    done = demo(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.keys() >= FIGURES
    assert figures["model"] == "convnet" and figures["test_accuracy"] >= 0.98
    assert figures["restored_accuracy"] == figures["test_accuracy"]
    assert figures["kernels_per_step"] < figures["kernels_per_step_unfused"] / 3
    assert figures["last_loss"] < figures["first_loss"] / 2
    assert Path(figures["checkpoint"]).stat().st_size > 4 * figures["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "transformer"])
def test_the_other_models_reach_96_percent(tmp_path: Path, model: str) -> None:
    done = demo(tmp_path, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["test_accuracy"] >= 0.96 and figures["restored_accuracy"] == figures["test_accuracy"]


@pytest.mark.slow
def test_a_second_machine_trains_alike(tmp_path: Path) -> None:
    """The same model, data and seed on WGPU: what is learned in a few epochs is what is learned on the CPU."""
    if not wgpu.devices():
        pytest.skip(f"wgpu: {wgpu.reason()}")
    found = []
    for device in ("cpu", "wgpu"):
        done = demo(tmp_path, "--model", "mlp", "--epochs", "6", "--device", device, "--json")
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[1]["device"] == "wgpu:0" and found[1]["test_accuracy"] >= 0.9
    assert abs(found[1]["test_accuracy"] - found[0]["test_accuracy"]) <= 0.01
    assert abs(found[1]["first_loss"] - found[0]["first_loss"]) < 1e-4


def test_the_summary_is_a_table(tmp_path: Path) -> None:
    done = demo(tmp_path, "--model", "mlp", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout and "kernels per step" in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("--model", "none"), ("--epochs", "0"), ("--device", "moon:0"), ("--seed", "-1"), ("--seed", str(1 << 64)),
        ("--checkpoint", "no such folder/model.safetensors"), ("--checkpoint", "."),
    ],
)  # fmt: skip
def test_bad_arguments_are_one_line(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = demo(tmp_path, *args)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "expected" in done.stderr
    assert "training" not in done.stdout


def test_the_version_is_the_package_s() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spiraltorch", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"spiraltorch {spiraltorch.__version__}\n"


def test_devices_lists_the_host() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spiraltorch", "devices", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["cpu"]["facts"]["cpu:0"]["threads"] >= 1
