"""The capability matrix: its queries, its schema, and that the published table is the computed one."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from spiraltorch import capability
from spiraltorch.capability.report import markdown, page
from spiraltorch.errors import SpiralTorchError

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["CPU (default)", "WGPU", "MPS", "CUDA", "HIP / ROCm"]


def test_the_published_table_is_the_computed_one() -> None:
    """`make evidence` measures again and writes it."""
    document = (ROOT / "docs" / "backend_matrix.md").read_text(encoding="utf-8")
    assert markdown.inserted(document, capability.capability_matrix_view()) == document


def test_rows_and_backends_are_those_of_the_specification() -> None:
    rows = capability.capability_matrix()
    assert len(rows) == 15
    assert [b.label for b in capability.Backend] == LABELS


def test_json_follows_the_schema() -> None:
    schema = json.loads((ROOT / "docs" / "capability-matrix.schema.json").read_text(encoding="utf-8"))
    payload = json.loads(capability.capability_matrix_json())
    jsonschema.validate(payload, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, schema)


def test_queries_take_labels_in_any_case_and_name_what_is_known() -> None:
    one = capability.summarize_backend("cpu (DEFAULT)")
    assert one.backend.label == "CPU (default)"
    with pytest.raises(SpiralTorchError, match=r"WGPU"):
        capability.summarize_backend("abacus")


def test_summaries_add_up() -> None:
    total = capability.matrix_summary()
    parts = capability.backend_summaries()
    assert len(parts) == 5 and len(capability.readiness_leaderboard()) == 5
    assert total is not None and len(capability.capability_summaries()) >= 13


def test_nothing_is_ready_where_there_is_no_backend() -> None:
    for label in LABELS[2:]:
        assert not capability.capabilities_for_backend_with_state(label, "ready")


def test_the_page_holds_every_cell() -> None:
    text = page.html(capability.capability_matrix_view())
    assert (
        "<table" in text
        and all(label in text for label in LABELS)
        and "http://" not in text.replace("http://www.w3.org", "")
    )
