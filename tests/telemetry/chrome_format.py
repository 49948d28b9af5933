"""What Perfetto accepts of Chrome's JSON trace format, as a strict check.

Written from the format's document (Trace Event Format, Chromium project). The `perfetto` package cannot stand in for it:
its wheel holds no trace processor, it downloads one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

NUMBER = (int, float)
COMMON: dict[str, Any] = {"ph": str, "name": str, "pid": int, "tid": int, "args": dict}
TIMED: dict[str, Any] = {**COMMON, "ts": NUMBER, "cat": str}
KEYS: dict[str, dict[str, Any]] = {
    "X": {**TIMED, "dur": NUMBER},
    "i": {**TIMED, "s": str},
    "C": TIMED,
    "M": COMMON,
}
METADATA = {"process_name": "name", "thread_name": "name", "process_sort_index": "sort_index"}


def load(path: Path) -> dict[str, Any]:
    """The file's object; numbers that JSON does not have are errors."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not JSON")

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return found


def violations(trace: dict[str, Any]) -> list[str]:
    """What is wrong with a trace; empty where nothing is."""
    found: list[str] = []
    if not isinstance(trace.get("traceEvents"), list):
        return ["traceEvents is no list"]
    if trace.get("displayTimeUnit") not in ("ms", "ns"):
        found.append("displayTimeUnit is neither ms nor ns")
    events = trace["traceEvents"]
    for n, event in enumerate(events):
        found += [f"event {n}: {problem}" for problem in _keys(event) or _meaning(event)]
    if found:
        return found
    timed = [e for e in events if e["ph"] != "M"]
    if any(a["ts"] > b["ts"] for a, b in pairwise(timed)):
        found.append("events are not sorted by time")
    return found + _rows(events, timed)


def _keys(event: Any) -> list[str]:
    if not isinstance(event, dict) or event.get("ph") not in KEYS:
        return [f"no known phase: {event}"]
    wanted = KEYS[event["ph"]]
    found = [f"{key} is missing" for key in wanted.keys() - event.keys()]
    found += [f"{key} is not allowed" for key in event.keys() - wanted.keys()]
    found += [
        f"{key} is a {type(event[key]).__name__}"
        for key, kind in wanted.items()
        if key in event and (not isinstance(event[key], kind) or isinstance(event[key], bool))
    ]
    return found


def _meaning(event: dict[str, Any]) -> list[str]:
    phase, args = event["ph"], event["args"]
    if phase == "M":
        key = METADATA.get(event["name"])
        kind = int if key == "sort_index" else str
        return [] if key and list(args) == [key] and isinstance(args[key], kind) else [f"unknown metadata {event}"]
    found = [] if event["ts"] >= 0 and event["name"] else ["a negative time or an empty name"]
    if phase == "X" and event["dur"] < 0:
        found.append("a negative duration")
    if phase == "i" and event["s"] not in ("g", "p", "t"):
        found.append(f"scope {event['s']}")
    if phase == "C" and (not args or any(not isinstance(v, NUMBER) for v in args.values())):
        found.append("a counter without numbers")
    if any(not isinstance(v, (str, int, float, bool)) for v in args.values()):
        found.append("nested arguments")
    return found


def _rows(events: list[dict[str, Any]], timed: list[dict[str, Any]]) -> list[str]:
    """Rows have names, spans on a row nest, kernels on a device's row do not overlap."""
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    processes = {e["pid"] for e in events if e["name"] == "process_name"}
    found = [f"process {e['pid']} has no name" for e in timed if e["pid"] not in processes]
    numbers = [e["tid"] for e in events if e["name"] == "thread_name"]
    if len(numbers) != len(set(numbers)):
        found.append("two rows share a number")
    rows: dict[tuple[int, int], list[tuple[int, int, str]]] = defaultdict(list)
    for e in timed:
        if e["ph"] in ("X", "i") and (e["pid"], e["tid"]) not in named:
            found.append(f"row {e['pid']}, {e['tid']} has no name")
        if e["ph"] == "X":
            start = round(e["ts"] * 1000)
            rows[e["pid"], e["tid"]].append((start, start + round(e["dur"] * 1000), e["cat"]))
    for row, spans in rows.items():
        open_until: list[int] = []
        for start, stop, category in spans:
            while open_until and open_until[-1] <= start:
                open_until.pop()
            if open_until and (category == "device" or stop > open_until[-1]):
                found.append(f"row {row}: spans overlap at {start}")
            open_until.append(stop)
    return found
