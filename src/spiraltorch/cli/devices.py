"""`spiraltorch devices`: lists every backend with its devices and their facts, or the reason why it has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TypedDict

from ..capability.rows import Backend
from ..capability.verify import unavailable
from ..runtime import device as registry
from ..runtime.protocol import Backend as DeviceBackend


class BackendListing(TypedDict):
    """A backend in the list, as `--json` prints it."""

    devices: list[str]
    reason: str | None  # why there are no devices
    facts: dict[str, dict[str, object]]  # of each device


def run(as_json: bool) -> dict[str, BackendListing]:
    """Prints the list, as JSON or as text, and returns it."""
    listing = list_backends()
    if as_json:
        print(json.dumps(listing))
    else:
        _print(listing)
    return listing


def list_backends() -> dict[str, BackendListing]:
    """The backends of the matrix and all installed ones, by the name of their entry point."""
    result: dict[str, BackendListing] = {}
    installed = registry.backends()
    for name in dict.fromkeys([*[b.entry for b in Backend], *sorted(installed)]):
        backend = installed.get(name)
        names = backend.devices() if backend else []
        reason = None if names else (backend.reason() if backend else unavailable(Backend.of(name)))
        facts = {d: _facts(backend, d) for d in names} if backend else {}
        result[name] = {"devices": names, "reason": reason, "facts": facts}
    return result


def _facts(backend: DeviceBackend, name: str) -> dict[str, object]:
    """The facts of a device: those of its compilation target, and those that the backend describes."""
    target, dtypes = registry.get(name).target, ("dtypes", "native_dtypes")
    computed = {f.name: getattr(target, f.name) for f in fields(target) if f.name not in ("key", *dtypes)}
    computed |= {name: sorted(d.name for d in getattr(target, name)) for name in dtypes}
    return {**computed, **backend.describe(name)}


def _print(listing: Mapping[str, BackendListing]) -> None:
    """Prints the list as text."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    labels = {b.entry: b.label for b in Backend}
    console = Console()
    for name, entry in listing.items():
        head = f"[bold]{escape(labels.get(name, name))}[/bold]"
        if not entry["devices"]:
            console.print(f"{head}: unavailable, {escape(entry['reason'] or '')}", highlight=False)
        for device, facts in entry["facts"].items():
            console.print(f"{head}: [bold green]{device}[/bold green] {escape(str(facts['device']))}", highlight=False)
            table = Table(show_header=False, box=None, padding=(0, 2))
            for key, value in facts.items():
                if key != "device":
                    table.add_row(f"  {key}", escape(_text(value)))
            console.print(table)


def _text(value: object) -> str:
    """A fact as text: thousands separated, items of lists and dicts with commas."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
