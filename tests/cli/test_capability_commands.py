"""`devices`, `matrix` and `verify` through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from spiraltorch.backends import wgpu
from spiraltorch.capability import Backend, CapabilityMatrix
from spiraltorch.capability.report import markdown
from spiraltorch.ir.target import Target

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "capability-matrix.schema.json").read_text(encoding="utf-8"))


def spiraltorch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spiraltorch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False)


def test_devices_lists_every_backend_with_facts_or_a_reason() -> None:
    done = spiraltorch("devices", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) >= {b.entry for b in Backend}
    for entry in found.values():
        assert bool(entry["devices"]) == (entry["reason"] is None) and set(entry["facts"]) == set(entry["devices"])
        for facts in entry["facts"].values():
            assert facts.keys() >= {"device", "vendor", "driver", "software"} | {f.name for f in fields(Target)} - {
                "key"
            }
    cpu = found["cpu"]["facts"]["cpu:0"]
    assert cpu["software"] is False and cpu["memory_bytes"] > 1 << 28 and "LLVM" in cpu["driver"]
    if not wgpu.devices():
        assert "install" in found["wgpu"]["reason"]
    shown = spiraltorch("devices").stdout
    assert all(b.label in shown for b in Backend) and "cpu:0" in shown and "unavailable" in shown


def test_what_verify_says_agrees_with_what_matrix_shows(tmp_path: Path) -> None:
    place = ("--evidence", str(tmp_path))
    done = spiraltorch("verify", "--backend", "CPU (default)", "--row", "sparse", "--record", "--json", *place)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["failed"] == [] and said["recorded"] == 1
    (cell,) = said["cells"]
    shown = json.loads(spiraltorch("matrix", "--json", *place).stdout)
    jsonschema.validate(shown, SCHEMA)
    (row,) = [r for r in shown["rows"] if r["id"] == "sparse"]
    assert (row["cells"][0]["state"], row["cells"][0]["note"]) == (cell["state"], cell["note"])
    assert row["cells"][0]["evidence"] == cell["evidence"]
    again = json.loads(spiraltorch("verify", "--backend", "cpu", "--row", "sparse", "--json", *place).stdout)
    assert again["cells"][0]["verdict"] == "same" and again["recorded"] == 0


def test_a_broken_claim_is_exit_code_1_and_said(tmp_path: Path) -> None:
    place = ("--evidence", str(tmp_path))
    spiraltorch("verify", "--backend", "cpu", "--row", "sparse", "--record", "--json", *place)
    file = tmp_path / "cpu" / "sparse.json"
    claim = json.loads(file.read_text(encoding="utf-8"))
    for probe in claim["probes"]:
        probe["outcome"] = "pass"
    file.write_text(json.dumps(claim), encoding="utf-8")
    done = spiraltorch("verify", "--backend", "cpu", "--row", "sparse", *place)
    assert done.returncode == 1
    assert "no longer holds" in done.stdout and "broken" in done.stdout


def test_each_format(tmp_path: Path) -> None:
    matrix = CapabilityMatrix.load()
    assert spiraltorch("matrix", "--format", "markdown").stdout == markdown.table(matrix) + "\n"
    jsonschema.validate(json.loads(spiraltorch("matrix", "--format", "json").stdout), SCHEMA)
    assert "Tensor ops" in spiraltorch("matrix").stdout
    page = tmp_path / "page.html"
    assert spiraltorch("matrix", "--format", "html", "-o", str(page)).returncode == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_write_changes_what_is_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"# Before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n", encoding="utf-8")
    assert "brought up to date" in spiraltorch("matrix", "--write", str(document)).stdout
    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"# Before\n{markdown.BEGIN}\n| Capability |") and text.endswith(f"{markdown.END}\nafter\n")
    assert "old" not in text
    assert "already up to date" in spiraltorch("matrix", "--write", str(document)).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("verify", "--backend", "tpu"), "CPU (default)"),
        (("verify", "--row", "speed"), "tensor-ops"),
        (("verify", "--row", "build-flag"), "fact about installation"),
        (("matrix", "--format", "pdf"), "markdown"),
        (("matrix", "--evidence", "nowhere"), "folder of evidence"),
        (("matrix", "--write", "folder/nowhere.md"), "folder/nowhere.md"),
        (("matrix", "--write", "."), "expected the document ."),
        (("matrix", "--format", "html", "-o", "nowhere/page.html"), "nowhere/page.html"),
        (("matrix", "-o", "."), "expected a file"),
        (("verify", "--evidence", "nowhere"), "--record"),
    ],
)
def test_bad_arguments_are_one_line_that_says_what_is_known(arguments: tuple[str, ...], says: str) -> None:
    done = spiraltorch(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "expected" in done.stderr and says in done.stderr
