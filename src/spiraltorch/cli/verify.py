"""`spiraltorch verify`: runs the probes, compares with what is recorded, and may record."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..capability import evidence as records
from ..capability.rows import ROWS, Backend, row
from ..capability.verify import Check, Verdict, cells, probe_count, verify
from ..errors import ArgumentError
from .folders import evidence_folder


def run(backend: str | None, which: str | None, record: bool, evidence: str | None, as_json: bool) -> int:
    """Checks cells; returns the exit code: 1 where a recorded ✅ no longer holds or a marked probe passes."""
    backends = tuple(Backend) if backend is None else (Backend.of(backend),)
    rows = ROWS if which is None else (row(which),)
    wanted = cells(backends, rows)
    if not wanted:
        raise ArgumentError(
            f"[verify] expected a row that probes measure, got {which!r}, which is a fact about installing"
        )
    if evidence:
        root = Path(evidence) if record else evidence_folder("verify", evidence)
    else:
        root = records.folder()
    with _Progress(as_json, probe_count(wanted)) as advance:
        checks = verify(wanted, root, advance)
    written = [c for c in checks if record and c.fresh and records.write(c.fresh, c.row, c.backend, root)]
    if as_json:
        failed = [f"{c.backend.entry}/{c.row.id}" for c in checks if c.failed]
        print(json.dumps({"cells": [c.as_json() for c in checks], "failed": failed, "recorded": len(written)}))
    else:
        _show(checks, len(written) if record else None)
    return 1 if any(c.failed for c in checks) else 0


class _Progress:
    """A progress bar over the probes on stderr; nothing at all with `--json`."""

    def __init__(self, quiet: bool, total: int) -> None:
        self.bar: Any = None
        if not quiet and total:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self.bar = Progress(
                TextColumn("probing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("{task.description}"), console=Console(file=sys.stderr),
            )  # fmt: skip
            self.task = self.bar.add_task("", total=total)

    def __enter__(self) -> Callable[[str], None]:
        if self.bar is None:
            return lambda text: None
        self.bar.__enter__()
        return lambda text: self.bar.update(self.task, advance=1, description=text)

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*error)


_STYLES = {Verdict.SAME: "green", Verdict.CHANGED: "yellow", Verdict.UNAVAILABLE: "dim"}


def _show(checks: list[Check], written: int | None) -> None:
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
