"""`spiraltorch tune`: a program under the tuner, and what was tried and won."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from typing import Any

from .. import tuning
from ..errors import ArgumentError
from ..runtime import tunings
from .script import execute, require

SHOWN = 5  # candidates of a kernel in the table


def run(
    script: str | None, args: list[str], seconds: float, show: bool, clear: bool, as_json: bool
) -> int:  # fmt: skip
    """Runs the program, if there is one, and gives its exit code; then shows all entries, or those that it made.

    Raises `ArgumentError` where there is nothing to do, no such program, or a time that is not positive.
    """
    if script is None and not show and not clear:
        raise ArgumentError("[tune] expected a program, --show or --clear, got none; try `spiraltorch tune --show`")
    if script is not None:
        require("tune", script)
    cleared = tuning.clear() if clear else 0
    if clear and not as_json:
        print(f"{cleared} entries forgotten", file=sys.stderr)
    code, entries = 0, tuning.entries()
    if script is not None:
        printed = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
        with printed, tuning.tune(seconds) as session:
            code = execute(script, args)
        entries = tuning.entries() if show else session.entries
    if as_json:
        report = {"folder": str(tunings.folder()), "cleared": cleared, "entries": [_row(e) for e in entries]}
        print(json.dumps({**report, "exit_code": code}))
    elif show or script is not None:
        _show(entries)
        if script is not None and not entries:
            print(
                "no kernel was searched: each was tuned before, or is too small or too large to be; "
                "`spiraltorch tune --show` lists the tuned, --clear forgets them",
                file=sys.stderr,
            )
    return code


def _row(entry: tunings.Entry) -> dict[str, Any]:
    return {**asdict(entry), "speedup": entry.speedup}


def _show(entries: list[tunings.Entry]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160)
    won = sum(bool(e.decisions) for e in entries)
    console.print(
        f"{len(entries)} kernels tuned, {won} with another schedule than the rule's; {tunings.folder()}",
        highlight=False,
    )
    for entry in entries:
        console.print(f"[bold]{escape(entry.kernel)}[/bold] on {entry.device}", highlight=False)
        table = Table(show_header=False, box=None, padding=(0, 2))
        table.add_row("", f"{entry.default * 1e6:,.1f} µs", "the rule's choice", escape(_text(entry.rule)))
        if entry.decisions:
            what = f"won: {entry.speedup:.2f} times as fast"
            table.add_row("", f"[green]{entry.best * 1e6:,.1f} µs[/green]", what, escape(_text(entry.decisions)))
        timed = sorted((t for t in entry.tried if t["outcome"] == "timed"), key=lambda t: float(t["ratio"]))
        for one in [t for t in timed if t["decisions"] != entry.decisions][:SHOWN]:
            table.add_row("", f"{entry.default * one['ratio'] * 1e6:,.1f} µs", "tried", escape(_text(one["decisions"])))
        for one in entry.tried:
            if one["outcome"] in ("wrong", "failed"):
                why = escape(f"{_text(one['decisions'])}: {one['reason']}")
                table.add_row("", "[red]disqualified[/red]", one["outcome"], why)
        counts = {outcome: sum(t["outcome"] == outcome for t in entry.tried) for outcome in tunings.OUTCOMES}
        table.add_row("", "", "", ", ".join(f"{n} {tunings.OUTCOMES[o]}" for o, n in counts.items() if n))
        console.print(table)


def _text(decisions: dict[str, Any]) -> str:
    """Decisions as `tile 8x3, pack no`."""

    def word(option: Any) -> str:
        if isinstance(option, (list, tuple)):
            return "x".join(map(word, option))
        return {True: "yes", False: "no"}[option] if isinstance(option, bool) else str(option)

    return ", ".join(f"{name} {word(option)}" for name, option in decisions.items())
