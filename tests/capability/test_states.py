"""States and notes follow from evidence and the present code, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from capability_samples import CPU, SPARSE, WGPU, sample

from spiraltorch.capability import Backend, CapabilityMatrix, CapabilityState, Outcome, matrix
from spiraltorch.capability import evidence as records
from spiraltorch.capability.rows import ROWS, row
from spiraltorch.capability.states import judge
from spiraltorch.errors import ArgumentError

NOW, PASS = "0" * 64, Outcome.PASS
READY, PARTIAL, MISSING = CapabilityState
GAPS = [Outcome.FAIL, Outcome.MISSING, Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXPECTED_FAILURE]


@pytest.mark.parametrize("level", ["hardware", "driver"])
def test_all_probes_on_a_device_with_the_present_code_are_ready(level: str) -> None:
    state, note = judge(SPARSE, CPU, sample(PASS, PASS, level=level), NOW)
    assert state is READY and "2 probes" in note and level in note


@pytest.mark.parametrize("level", ["emulated", "compiled"])
def test_what_ran_on_no_device_is_partial_and_says_so(level: str) -> None:
    state, note = judge(SPARSE, CPU, sample(PASS, level=level), NOW)
    assert state is PARTIAL and level in note and "not run on a device" in note


@pytest.mark.parametrize("outcome", GAPS)
def test_any_gap_is_partial_and_none_passing_is_missing(outcome: Outcome) -> None:
    state, note = judge(SPARSE, CPU, sample(PASS, outcome), NOW)
    assert state is PARTIAL and "1 of 2" in note and ("probe-1" in note or "`st.thing1`" in note)
    state, note = judge(SPARSE, CPU, sample(outcome, outcome), NOW)
    assert state is MISSING and ("probe-0" in note or "`st.thing0`" in note)


def test_evidence_of_other_code_is_stale() -> None:
    state, note = judge(SPARSE, CPU, sample(PASS), "1" * 64)
    assert state is PARTIAL and note.startswith("Stale")
    assert judge(SPARSE, CPU, sample(Outcome.MISSING), "1" * 64)[0] is MISSING  # nothing to lose by age


def test_no_evidence_and_no_probe_are_missing() -> None:
    assert judge(SPARSE, CPU, None, NOW)[0] is MISSING
    assert judge(SPARSE, CPU, sample(), NOW)[0] is MISSING
    assert not sample().holds


def test_questions_about_a_known_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "digest", lambda r, b: NOW)
    known = CapabilityMatrix.of(
        {
            (row("tensor-ops"), CPU): sample(PASS),
            (row("fusion"), CPU): sample(PASS),
            (row("tensor-ops"), WGPU): sample(PASS, Outcome.FAIL, level="driver"),
        }
    )
    names = lambda rows: [r.id for r in rows]
    assert names(known.capabilities_with_state("READY")) == ["tensor-ops", "fusion"]
    assert names(known.capabilities_with_state("⚠️")) == ["tensor-ops"]
    assert names(known.capabilities_with_note("probe-1 FAILS")) == ["tensor-ops"]
    assert names(known.capabilities_for_backend_with_state("wgpu", PARTIAL)) == ["tensor-ops"]
    pending = names(known.pending_capabilities_for_backend("CPU (default)"))
    assert len(pending) == 11 and "tensor-ops" not in pending and "build-flag" not in pending
    counts = known.summarize_backend("Wgpu").counts
    assert (counts.ready, counts.partial, counts.missing, counts.readiness) == (0, 1, 12, 0.0)
    assert known.summarize_backend(CPU).counts.readiness == 2 / 13
    assert [s.backend for s in known.readiness_leaderboard()][:2] == [CPU, WGPU]
    total = known.summary()
    assert (total.ready, total.partial, total.missing, total.total) == (2, 1, 62, 65)
    first = known.capability_summaries()[0]
    assert (first.capability, first.counts.ready, first.counts.partial, first.counts.missing) == ("Tensor ops", 1, 1, 3)


def test_unknown_names_are_errors_that_list_the_known() -> None:
    known = CapabilityMatrix.of({})
    for wrong in (lambda: known.summarize_backend("tpu"), lambda: known.cell("sparse", "")):
        with pytest.raises(ArgumentError) as raised:
            wrong()
        assert all(b.label in str(raised.value) for b in Backend)
    with pytest.raises(ArgumentError, match=r"ready.*partial.*missing"):
        known.capabilities_with_state("done")
    with pytest.raises(ArgumentError, match="tensor-ops"):
        known.row("tensors")


def test_evidence_survives_its_file_and_equal_results_are_not_written_again(tmp_path: Path) -> None:
    first = sample(PASS, Outcome.FAIL)
    assert records.write(first, SPARSE, CPU, tmp_path)
    assert records.read(SPARSE, CPU, tmp_path) == first
    later = records.Evidence.from_json({**first.as_json(), "recorded": "2027-01-01"})
    assert not records.write(later, SPARSE, CPU, tmp_path)
    assert records.write(sample(PASS, PASS), SPARSE, CPU, tmp_path)
    assert records.read(SPARSE, WGPU, tmp_path) is None


def test_a_software_device_does_not_undo_the_record_of_a_real_one(tmp_path: Path) -> None:
    real, played = sample(PASS, level="hardware"), sample(PASS, level="driver")
    assert records.write(played, SPARSE, CPU, tmp_path)
    assert records.write(real, SPARSE, CPU, tmp_path)
    assert not records.write(played, SPARSE, CPU, tmp_path)
    assert records.read(SPARSE, CPU, tmp_path) == real
    assert records.write(sample(Outcome.FAIL, level="driver"), SPARSE, CPU, tmp_path)  # but a failure counts
    assert records.write(sample(PASS, level="driver", digest="1" * 64), SPARSE, CPU, tmp_path)  # and other code


@pytest.mark.parametrize("text", ["{", "{}", '{"version": 99, "level": "hardware"}', "[]"])
def test_damaged_evidence_is_an_error_that_names_the_remedy(tmp_path: Path, text: str) -> None:
    path = records.path_of(SPARSE, CPU, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ArgumentError, match="verify"):
        records.read(SPARSE, CPU, tmp_path)
    assert records.write(sample(PASS), SPARSE, CPU, tmp_path)  # recording repairs it


def test_facts_about_installing_are_true() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.10"' in text
    known = CapabilityMatrix.of({})
    for backend in Backend:
        flag = known.cell("build-flag", backend).note
        published = not backend.built_in and f"\n{backend.entry} = [" in text
        assert published == (flag == f"`pip install spiraltorch[{backend.entry}]`")
        assert "3.10" in known.cell("min-toolchain", backend).note
    assert [r.label for r in ROWS if not r.measured] == ["Build flag", "Min toolchain"]
