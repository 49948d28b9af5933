"""`spiraltorch devices`: every backend with its devices and facts, or why it has none and what would change that."""

from __future__ import annotations

import json
from typing import Any

from ..capability.rows import Backend
from ..capability.verify import unavailable
from ..runtime import device as registry


def run(as_json: bool) -> dict[str, Any]:
    """Prints the list; returns what `--json` prints."""
    found = listed()
    if as_json:
        print(json.dumps(found))
    else:
        _show(found)
    return found


def listed() -> dict[str, Any]:
    """For each backend of the matrix and each installed one: its devices, facts of each, and the reason if none."""
    result: dict[str, Any] = {}
    known = registry.backends()
    for name in dict.fromkeys([*[b.entry for b in Backend], *sorted(known)]):
        backend = known.get(name)
        names = backend.devices() if backend else []
        reason = None if names else (backend.reason() if backend else unavailable(Backend.of(name)))
        facts = {d: _facts(backend, d) for d in names}
        result[name] = {"devices": names, "reason": reason, "facts": facts}
    return result


def _facts(backend: Any, name: str) -> dict[str, Any]:
    """What the backend says of a device, and what the compiler knows of it."""
    target = registry.get(name).target
    computed = {
        "vector_bytes": target.vector_bytes, "registers": target.registers, "threads": target.threads,
        "l1_bytes": target.l1_bytes, "l2_bytes": target.l2_bytes, "group_items": target.group_items,
        "shared_bytes": target.shared_bytes, "dtypes": sorted(d.name for d in target.dtypes),
    }  # fmt: skip
    return {**computed, **backend.describe(name)}


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    labels = {b.entry: b.label for b in Backend}
    console = Console()
    for name, entry in found.items():
        head = f"[bold]{escape(labels.get(name, name))}[/bold]"
        if not entry["devices"]:
            console.print(f"{head}: unavailable, {escape(entry['reason'])}", highlight=False)
        for device, facts in entry["facts"].items():
            console.print(f"{head}: [bold green]{device}[/bold green] {escape(str(facts['device']))}", highlight=False)
            table = Table(show_header=False, box=None, padding=(0, 2))
            for key, value in facts.items():
                if key != "device":
                    table.add_row(f"  {key}", escape(_text(value)))
            console.print(table)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
