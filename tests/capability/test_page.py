"""The page in a real browser: sorting, evidence on click, addresses; and that hostile text stays text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from capability_samples import CPU, WGPU, sample

from spiraltorch.capability import CapabilityMatrix, Outcome, ProbeResult, matrix
from spiraltorch.capability.report import page
from spiraltorch.capability.rows import row

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "</script><script>document.title='taken'</script><!-- & \"quoted\" `code`"
STEPS = """
<script>
"use strict";
const seen = {errors: []};
window.addEventListener("error", event => seen.errors.push(event.message));
const wait = () => new Promise(done => setTimeout(done, 300));
const rows = () => [...document.querySelectorAll("#body tr")].map(r => r.dataset.row);
const sort = column => document.querySelector(`[data-sort="${column}"]`);
(async () => {
  STEPS
  const report = document.createElement("pre");
  report.id = "seen";
  report.textContent = JSON.stringify(seen);
  document.body.append(report);
})();
</script>
"""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> CapabilityMatrix:
    monkeypatch.setattr(matrix, "digest", lambda r, b: "0" * 64)
    fail = sample(Outcome.PASS, Outcome.FAIL, level="driver")
    fail = replace(fail, probes=(fail.probes[0], ProbeResult("probe-1", HOSTILE, Outcome.FAIL, 1.0, HOSTILE)))
    return CapabilityMatrix.of({(row("tensor-ops"), CPU): sample(Outcome.PASS), (row("fusion"), WGPU): fail})


def browse(tmp_path: Path, known: CapabilityMatrix, steps: str, address: str = "") -> dict:
    """What the steps saw: the page runs in the browser with them as a script of its own."""
    if BROWSER is None:
        pytest.skip("PAGE NOT TESTED: no browser; install the package chromium")
    file = tmp_path / "page.html"
    file.write_text(page.html(known).replace("</body>", STEPS.replace("STEPS", steps) + "</body>"), encoding="utf-8")
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom",
        f"--user-data-dir={tmp_path / 'profile'}", file.as_uri() + address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_clicking_a_heading_sorts(tmp_path: Path, known: CapabilityMatrix) -> None:
    seen = browse(
        tmp_path, known,
        """
        seen.first = rows();
        sort("cpu").click(); await wait(); seen.cpu = rows(); seen.up = sort("cpu").parentElement.ariaSort;
        sort("cpu").click(); await wait(); seen.down = rows(); seen.aria = sort("cpu").parentElement.ariaSort;
        sort("capability").click(); await wait(); seen.named = rows(); seen.other = sort("cpu").parentElement.ariaSort;
        """,
    )  # fmt: skip
    order = [r.id for r in known.rows]
    assert seen["first"] == order
    assert seen["cpu"] == order  # facts, then the ready row, which is the first, then the missing ones
    assert seen["down"][-2:] == order[:2] and seen["down"][-3] == "tensor-ops"
    assert (seen["up"], seen["aria"], seen["other"]) == ("ascending", "descending", "none")
    assert seen["named"] == [r.id for r in sorted(known.rows, key=lambda r: r.capability.lower())]


def test_clicking_a_cell_shows_its_evidence(tmp_path: Path, known: CapabilityMatrix) -> None:
    seen = browse(
        tmp_path, known,
        """
        const cell = document.querySelector('[data-cell="wgpu/fusion"]');
        seen.label = cell.ariaLabel; seen.style = cell.parentElement.className;
        cell.click(); await wait();
        const dialog = document.getElementById("dialog");
        seen.open = dialog.open; seen.text = dialog.textContent; seen.hash = location.hash;
        seen.probes = [...dialog.querySelectorAll("[data-probe]")].map(p => p.dataset.probe);
        document.getElementById("close").click(); await wait();
        await wait(); seen.closed = !dialog.open; seen.after = location.hash;
        cell.click(); await wait(); seen.again = dialog.open;
        document.querySelector('[data-cell="cuda/fusion"]').click(); await wait();
        seen.empty = dialog.textContent; seen.title = document.title; seen.facts = document.querySelectorAll("td > span").length;
        """,
    )  # fmt: skip
    assert "Graph fusion pipeline on WGPU: partial" in seen["label"] and seen["style"] == "partial"
    assert seen["open"] and seen["hash"] == "#cell=wgpu/fusion" and seen["probes"] == ["probe-0", "probe-1"]
    for text in ("driver", "2026-01-02", "a processor", "0" * 64, "Graph fusion pipeline on WGPU"):
        assert text in seen["text"]
    assert HOSTILE.replace("`", "") in seen["text"] and seen["title"] == "SpiralTorch capability matrix"
    assert not seen["errors"]
    assert seen["closed"] and seen["after"] == ""
    assert seen["again"]
    assert "No evidence" in seen["empty"] and seen["facts"] == 10


def test_an_address_opens_a_cell(tmp_path: Path, known: CapabilityMatrix) -> None:
    steps = "await wait(); seen.title = document.getElementById('title').textContent;"
    assert browse(tmp_path, known, steps, "#cell=cpu/tensor-ops")["title"] == "Tensor ops on CPU (default)"
    assert browse(tmp_path, known, steps + "seen.rows = rows();", "#sort=capability")["rows"][0] == "autodiff"


def test_the_page_asks_nobody_for_anything(known: CapabilityMatrix) -> None:
    text = page.html(known)
    assert not re.search(r"<link|<img|@import|src=|url\(|fetch\(|https?://", text)
    assert text.count("</script>") == 1  # the page's own: the data cannot end it
