"""`verify` finds what no longer holds: also a single wrong operator in a renderer, without any other edit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from capability_samples import CPU, SPARSE, copied_package, sample

from spiraltorch.capability import Backend, CapabilityState, Evidence, Outcome, ProbeResult, runner
from spiraltorch.capability import evidence as records
from spiraltorch.capability import verify as verification
from spiraltorch.capability.digest import digest
from spiraltorch.capability.probes.checking import probes_of
from spiraltorch.capability.rows import row
from spiraltorch.capability.verify import Check, Verdict, cells, unavailable, verify

TENSOR = row("tensor-ops")


def check(tmp_path: Path, which: str = "sparse") -> Check:
    (found,) = verify([(row(which), CPU)], tmp_path)
    return found


def test_a_first_measurement_is_a_change_and_the_same_again_is_not(tmp_path: Path) -> None:
    first = check(tmp_path)
    assert first.verdict is Verdict.CHANGED and not first.failed and first.recorded is None
    assert first.state is CapabilityState.MISSING and "st.sparse" in first.note
    assert first.fresh is not None and first.fresh.level == "hardware" and first.fresh.digest == digest(SPARSE, CPU)
    assert first.fresh.device.keys() >= {"name", "device", "vendor", "driver", "software"}
    assert first.fresh.versions["numpy"] and len(first.fresh.probes) == len(probes_of(SPARSE))
    records.write(first.fresh, SPARSE, CPU, tmp_path)
    again = check(tmp_path)
    assert again.verdict is Verdict.SAME and again.note == first.note


def test_a_record_of_a_better_level_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = check(tmp_path, "fusion").fresh
    assert first is not None and first.holds
    records.write(first, row("fusion"), CPU, tmp_path)
    monkeypatch.setattr(verification, "level_of", lambda facts: "driver")
    found = check(tmp_path, "fusion")
    assert found.fresh is not None and found.fresh.level == "driver"
    assert found.verdict is Verdict.SAME and "hardware" in found.note


def test_a_recorded_claim_that_does_not_hold_is_broken(tmp_path: Path) -> None:
    records.write(sample(Outcome.PASS), SPARSE, CPU, tmp_path)
    found = check(tmp_path)
    assert found.verdict is Verdict.BROKEN and found.failed and found.state is CapabilityState.MISSING


def test_a_marked_probe_that_passes_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = probes_of(row("fusion"))[0].name
    monkeypatch.setitem(runner.EXPECTED, ("cpu", "fusion", name), "said to fail")
    found = check(tmp_path, "fusion")
    assert found.verdict is Verdict.UNEXPECTED and found.failed


def test_a_backend_that_is_not_here_keeps_its_record(tmp_path: Path) -> None:
    missing = [b for b in Backend if not b.exists]
    assert missing
    for backend in missing:
        (found,) = verify([(SPARSE, backend)], tmp_path)
        assert found.verdict is Verdict.UNAVAILABLE and not found.failed and found.reason == unavailable(backend)
        assert found.note == "No backend yet"


def test_facts_are_not_cells_to_check() -> None:
    assert len(cells()) == 65
    assert cells(rows=[row("build-flag")]) == []


def program(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of a copy of the package."""
    path = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "SPIRALTORCH_CACHE_DIR": str(package.parent / "cache")}
    command = [sys.executable, "-m", "spiraltorch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=package.parent, check=False)


def ready(which: Backend) -> Evidence:
    """Evidence of the present code by which the tensor operations of a backend are ready."""
    probes = tuple(ProbeResult(p.name, p.title, Outcome.PASS, 1.0) for p in probes_of(TENSOR))
    made = sample(Outcome.PASS, digest=digest(TENSOR, which), backend=which.entry, capability="tensor-ops")
    return replace(made, level="driver", probes=probes)


BREAKS = [
    (Backend.CPU, "codegen/llvm/emitter.py", '"max": ("fmaximum", "max")', '"max": ("fminimum", "max")'),
    (Backend.WGPU, "codegen/wgsl/emitter.py", '"fsub": "-"', '"fsub": "+"'),
]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "file", "right", "wrong"), BREAKS, ids=[b[0].entry for b in BREAKS])
def test_a_wrong_operator_in_a_renderer_turns_its_cells(
    tmp_path: Path, backend: Backend, file: str, right: str, wrong: str
) -> None:
    reason = unavailable(backend)
    if reason:
        pytest.skip(f"{backend.label}: {reason}")
    package, evidence = copied_package(tmp_path), tmp_path / "evidence"
    for one, *_ in BREAKS:
        records.write(ready(one), TENSOR, one, evidence)
    where = ("--evidence", str(evidence))
    before = json.loads(program(package, "matrix", "--json", *where).stdout)
    states = lambda m: {c["backend"]: c["state"] for r in m["rows"] if r["id"] == "tensor-ops" for c in r["cells"]}
    assert states(before)["cpu"] == states(before)["wgpu"] == "ready"

    text = (package / file).read_text(encoding="utf-8")
    assert text.count(right) == 1
    (package / file).write_text(text.replace(right, wrong), encoding="utf-8")

    after = states(json.loads(program(package, "matrix", "--json", *where).stdout))
    assert after[backend.entry] == "partial"  # stale at once
    assert [after[b.entry] for b, *_ in BREAKS if b is not backend] == ["ready"]

    done = program(package, "verify", "--backend", backend.entry, "--row", "tensor-ops", "--record", "--json", *where)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == [f"{backend.entry}/tensor-ops"] and found["cells"][0]["verdict"] == "broken"
    outcomes = {p["outcome"] for p in found["cells"][0]["evidence"]["probes"]}
    assert {"pass", "fail"} <= outcomes  # broken, and not as a whole
    recorded = states(json.loads(program(package, "matrix", "--json", *where).stdout))
    assert recorded[backend.entry] == found["cells"][0]["state"] != "ready"
