"""What is shown of a run: tables, JSON, charts, and the documents that they are put into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from spiraltorch.benchmark import chart, documents
from spiraltorch.benchmark.latency import Latency, format_seconds
from spiraltorch.benchmark.measure import RowResult, Timing
from spiraltorch.benchmark.report import Report, totals
from spiraltorch.benchmark.rows import README, ROWS
from spiraltorch.benchmark.scaling import Curve, thread_counts
from spiraltorch.errors import ArgumentError

LIBRARIES = ("spiraltorch", "torch", "jax")


def measured(name: str, ours: Sequence[float], theirs: Sequence[float], relative: float = 1e-7) -> RowResult:
    row = ROWS[name]
    timings = {
        "spiraltorch": Timing(list(ours), relative, tolerance=row.tolerance),
        "torch": Timing(list(theirs), 1e-7, tolerance=row.tolerance),
    }
    return RowResult(row, timings)


@pytest.fixture
def report() -> Report:
    rows = [
        measured("softmax", (0.001, 0.002, 0.004), (0.008, 0.008, 0.008)),
        measured("matmul256", (0.004,), (0.001,), relative=2e-3),
        measured("mlp", (0.004,), (0.001,)),
        measured("record", (0.0012,), (0.0024,)),
    ]
    rows[1].timings["jax"] = Timing(problem="ended by SIGSEGV")
    once = [Latency("import", {"spiraltorch": 0.12, "torch": 1.5}), Latency("first", {"spiraltorch": "over 120 s"})]
    return Report(LIBRARIES, 2, missing=["numpy"], rows=rows, once=once, date="2026-01-02", processor="A 6502")


@pytest.fixture
def curved(report: Report) -> Report:
    values: dict[str, list[float | str | None]] = {"spiraltorch": [1e-3, 2e-6], "torch": [2.0, "failed: no"]}
    report.curves = [Curve("matmul n, by n", "n", [64, 128], values)]
    return report


def test_the_table(report: Report) -> None:
    lines = report.table().splitlines()
    assert lines[0] == "| work | SpiralTorch | torch | JAX jit | ratio | error |"
    assert lines[2] == "| softmax 4096x1024 | 2 (1 to 4) | 8 (8 to 8) | - | 0.25 | ok 1.0e-07 |"
    assert lines[3] == "| matmul 256 | 4 (4 to 4) WRONG | 1 (1 to 1) | failed | - | WRONG 2.0e-03 (at most 1e-05) |"
    assert lines[5].startswith("| recording an op (a + b) | 1.2 (1.2 to 1.2) µs | 2.4 (2.4 to 2.4) µs |")
    assert "Geometric mean of the ratios over all 3 rows: 0.79. Above 1.1: 1 of them." in lines
    assert lines[-1] == "- matmul 256, JAX jit: ended by SIGSEGV"


def test_a_selection_keeps_the_mean_over_all_rows(report: Report) -> None:
    table = report.table(["softmax"])
    assert "matmul 256" not in table and "over all 3 rows: 0.79" in table


def test_the_header_says_where_and_what_is_missing(report: Report) -> None:
    header = report.header()
    assert header.startswith("Measured 2026-01-02 on A 6502, 2 threads, ")
    assert "Not installed and left out: numpy." in header and "spiraltorch 0.1.0" in header


def test_a_wrong_or_failed_row_of_ours_fails_the_run(report: Report) -> None:
    assert report.failed
    report.rows = [r for r in report.rows if r.row.name != "matmul256"]
    assert not report.failed
    report.rows[0].timings["spiraltorch"].problem = "crash"
    assert report.failed


def test_without_peers_there_is_no_mean(report: Report) -> None:
    for r in report.rows:
        del r.timings["torch"]
    assert totals(report.rows) == (0.0, 0, 0)
    assert "no peer" in report.table() and report.as_json()["geometric_mean"] is None


def test_the_once_table(report: Report) -> None:
    lines = report.once_table().splitlines()
    assert lines[0] == "| once | SpiralTorch | torch |"
    assert lines[2:] == ["| import | 120 ms | 1.5 s |", "| first | over 120 s | - |"]


def test_seconds_are_shown_in_a_unit_that_suits() -> None:
    seconds = (1.5, 0.0123, 4.56e-6, 2e-9, "-")
    assert [format_seconds(v) for v in seconds] == ["1.5 s", "12.3 ms", "4.56 µs", "0.002 µs", "-"]


def test_json_has_every_figure(curved: Report) -> None:
    curved.rows[1].timings["spiraltorch"].relative = float("inf")
    data = json.loads(json.dumps(curved.as_json(), allow_nan=False))
    assert data["rows"]["matmul256"]["libraries"]["spiraltorch"]["error"] is None
    softmax = data["rows"]["softmax"]
    assert (softmax["ratio"], softmax["best"], softmax["size"]) == (0.25, "torch", {"n": 4096, "m": 1024})
    assert softmax["libraries"]["spiraltorch"] == {
        "median": 0.002, "min": 0.001, "max": 0.004, "rounds": 3, "first": None, "error": 1e-7, "verdict": "ok",
        "problem": None,
    }  # fmt: skip
    assert data["rows"]["matmul256"]["libraries"]["jax"]["problem"] == "ended by SIGSEGV"
    assert (data["compared"], data["above"], data["missing"]) == (3, 1, ["numpy"])
    assert data["geometric_mean"] == pytest.approx(0.5 ** (1 / 3))
    assert data["once"]["import"]["torch"] == 1.5
    assert data["scaling"][0]["seconds"]["torch"] == [2.0, "failed: no"]


def test_curves_are_small_tables(curved: Report) -> None:
    assert curved.curve_tables().splitlines() == [
        "| matmul n, by n | 64 | 128 |",
        "| --- | --- | --- |",
        "| SpiralTorch | 1 ms | 2 µs |",
        "| torch | 2 s | failed: no |",
    ]


def test_threads_of_the_curves() -> None:
    assert [thread_counts(n) for n in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def valid(paths: list[Path], *texts: str) -> None:
    svg, png = paths
    tree = ElementTree.fromstring(svg.read_text())
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    assert all(f"<!-- {text} -->" in svg.read_text() for text in texts)  # what a path spells stands beside it
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82") and len(data) > 5000


def test_charts_are_images(curved: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    valid(chart.ratios(curved, tmp_path / "performance"), "softmax 4096x1024", "matmul 256", "torch")
    valid(chart.curves(curved, tmp_path / "scaling"), "matmul n, by n", "SpiralTorch")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"matplotlib.*spiraltorch\[bench\]"):
        chart.require()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    both = "<!-- BENCH:BEGIN -->\nold\n<!-- BENCH:END -->\nbetween\n<!-- SCALING:BEGIN -->\nold curves\n<!-- SCALING:END -->\n"
    (tmp_path / "docs/performance.md").write_text(f"# Page\n{both}after\n")
    (tmp_path / "README.md").write_text("# Front\n<!-- BENCH:BEGIN -->\nold\n<!-- BENCH:END -->\nafter\n")
    return tmp_path


def test_rows_are_put_between_the_markers(report: Report, checkout: Path) -> None:
    pytest.importorskip("matplotlib")
    written = documents.write(report, checkout)
    assert all(path.is_file() for path in written) and len(written) == 4
    page, front = (checkout / "docs/performance.md").read_text(), (checkout / "README.md").read_text()
    assert page.startswith("# Page\n<!-- BENCH:BEGIN -->\nMeasured 2026-01-02") and page.endswith("after\n")
    assert "old curves" in page and "(performance.svg)" in page and "| matmul 256 |" in page
    assert "| matmul 256 |" in front and "performance.svg" not in front and "\nold\n" not in page + front
    documents.write(report, checkout)
    assert page == (checkout / "docs/performance.md").read_text()


def test_curves_leave_the_rows_as_they_are(curved: Report, checkout: Path) -> None:
    pytest.importorskip("matplotlib")
    written = documents.write(curved, checkout)
    page = (checkout / "docs/performance.md").read_text()
    assert "old curves" not in page and "\nold\n" in page and "(scaling.svg)" in page
    assert [path.name for path in written] == ["performance.md", "scaling.svg", "scaling.png"]


def test_documents_that_are_not_there_are_named(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"performance.md in the current folder.*root of a checkout"):
        documents.write(report, tmp_path)


def test_missing_markers_are_named(curved: Report, checkout: Path) -> None:
    pytest.importorskip("matplotlib")
    (checkout / "docs/performance.md").write_text("no markers")
    with pytest.raises(ArgumentError, match="SCALING:BEGIN"):
        documents.write(curved, checkout)


def test_the_repositorys_documents_have_the_markers() -> None:
    root = Path(__file__).resolve().parents[2]
    page, front = (root / "docs/performance.md").read_text(), (root / "README.md").read_text()
    for marker in ("BENCH:BEGIN", "BENCH:END", "SCALING:BEGIN", "SCALING:END"):
        assert page.count(f"<!-- {marker} -->") == 1
    assert front.count("<!-- BENCH:BEGIN -->") == 1 and len(README) == 10
