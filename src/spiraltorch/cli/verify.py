"""`spiraltorch verify`: runs the probes, compares the results with the evidence, and may record them."""

from __future__ import annotations

import json
from pathlib import Path

from ..capability import evidence as records
from ..capability.rows import ROWS, Backend, row
from ..capability.verify import Check, Verdict, cells, probe_count, verify
from ..errors import ArgumentError
from .folders import evidence_folder
from .progress import ProgressBar


def run(backend: str | None, which: str | None, record: bool, evidence: str | None, as_json: bool) -> int:
    """Checks cells of the matrix and prints the results.

    Args:
        backend: a backend, or None for all.
        which: a row, or None for all.
        record: records the results as evidence.
        evidence: the folder of evidence, or None for the package's.
        as_json: prints JSON instead of a table, and no progress.

    Returns:
        The exit code: 1 if a recorded ✅ no longer holds or a probe that is expected to fail passes.

    Raises:
        ArgumentError: the backend, the row or the folder does not exist, or the row is not measured.
    """
    backends = tuple(Backend) if backend is None else (Backend.of(backend),)
    rows = ROWS if which is None else (row(which),)
    selected = cells(backends, rows)
    if not selected:
        raise ArgumentError(
            f"[verify] expected a row that probes measure, got {which!r}, which is a fact about installation; "
            "choose another row"
        )
    if evidence:
        root = Path(evidence) if record else evidence_folder("verify", evidence)
    else:
        root = records.folder()
    with ProgressBar("probing", probe_count(selected), quiet=as_json, stderr=True) as advance:
        checks = verify(selected, root, advance)
    written = [c for c in checks if record and c.fresh and records.write(c.fresh, c.row, c.backend, root)]
    if as_json:
        failed = [f"{c.backend.entry}/{c.row.id}" for c in checks if c.failed]
        print(json.dumps({"cells": [c.as_json() for c in checks], "failed": failed, "recorded": len(written)}))
    else:
        _print(checks, len(written) if record else None)
    return 1 if any(c.failed for c in checks) else 0


_STYLES = {Verdict.SAME: "green", Verdict.CHANGED: "yellow", Verdict.UNAVAILABLE: "dim"}


def _print(checks: list[Check], written: int | None) -> None:
    """Prints a table of the checks, the probes that did not pass, and the number of recorded cells."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table("Backend", "Capability", "State", "Against the record", title="spiraltorch verify")
    for c in checks:
        if c.verdict is Verdict.UNAVAILABLE:
            continue
        style = _STYLES.get(c.verdict, "bold red")
        verdict = f"[{style}]{c.verdict.value}[/{style}]"
        table.add_row(c.backend.label, c.row.label, escape(f"{c.state.symbol} {c.note}"), verdict)
    if table.row_count:
        console.print(table)
    for backend, reason in {c.backend: c.reason for c in checks if c.reason}.items():
        console.print(f"[bold]{backend.label}[/bold]: not checked, {escape(reason or '')}", highlight=False)
    for c in checks:
        if c.fresh is not None:
            for p in c.fresh.probes:
                if p.outcome.value not in ("pass", "missing", "expected failure"):
                    where = f"{c.backend.entry}/{c.row.id}/{p.name}"
                    console.print(f"[red]{p.outcome.value}[/red] {where}: {escape(p.detail)}", highlight=False)
    if written is not None:
        console.print(
            f"recorded {written} of {sum(c.fresh is not None for c in checks)} cells; the others said the same"
        )
    if any(c.failed for c in checks):
        console.print("[bold red]A recorded claim no longer holds.[/bold red]")
