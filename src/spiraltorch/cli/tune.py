"""`spiraltorch tune`: runs a program while its kernels are tuned, and prints the entries of the tuning store."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict

from .. import tuning
from ..errors import ArgumentError
from ..runtime import tunings
from .script import execute, require

SHOWN = 5  # candidates of a kernel that are printed


def run(
    script: str | None, args: list[str], seconds: float, show: bool, clear: bool, as_json: bool
) -> int:  # fmt: skip
    """Runs a program while its kernels are tuned, and prints entries of the tuning store.

    Args:
        script: the Python file, or None.
        args: the program's arguments.
        seconds: the time limit of the search for one kernel.
        show: prints all entries instead of those of this run.
        clear: removes all entries first.
        as_json: prints JSON; what the program prints goes to stderr then.

    Returns:
        The program's exit code.

    Raises:
        ArgumentError: there is nothing to do, the program does not exist, or `seconds` is not positive.
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
        stdout = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
        with stdout, tuning.tune(seconds) as session:
            code = execute(script, args)
        entries = tuning.entries() if show else session.entries
    if as_json:
        report = {"folder": str(tunings.folder()), "cleared": cleared, "entries": [_as_json(e) for e in entries]}
        print(json.dumps({**report, "exit_code": code}))
    elif show or script is not None:
        _print(entries)
        if script is not None and not entries:
            print(
                "no kernel was searched: each was tuned before, or is too small or too large to be; "
                "`spiraltorch tune --show` lists the tuned, --clear forgets them",
                file=sys.stderr,
            )
    return code


def _as_json(entry: tunings.Entry) -> dict[str, object]:
    return {**asdict(entry), "speedup": entry.speedup}


def _print(entries: list[tunings.Entry]) -> None:
    """Prints entries with their schedules, the fastest candidates, and the disqualified ones."""
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
            label = f"won: {entry.speedup:.2f} times as fast"
            table.add_row("", f"[green]{entry.best * 1e6:,.1f} µs[/green]", label, escape(_text(entry.decisions)))
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


def _text(decisions: Mapping[str, object]) -> str:
    """Decisions as text, such as `tile 8x3, pack no`."""

    def word(option: object) -> str:
        if isinstance(option, (list, tuple)):
            return "x".join(map(word, option))
        return {True: "yes", False: "no"}[option] if isinstance(option, bool) else str(option)

    return ", ".join(f"{name} {word(option)}" for name, option in decisions.items())
