"""`spiraltorch bench`: measures rows, latencies or scaling curves, and prints a report or writes it to the documents."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from ..benchmark import documents, latency, machine
from ..benchmark.libraries import LIBRARIES, OURS, PEERS
from ..benchmark.measure import measure
from ..benchmark.report import Report
from ..benchmark.rows import select_rows
from ..benchmark.scaling import measure_curves
from ..errors import ArgumentError


def run(
    suite: str, peers: str | None, threads: int | None, rows: str | None, rounds: int, seconds: float, scaling: bool,
    as_json: bool, write: bool,
) -> int:  # fmt: skip
    """Runs the benchmark.

    Args:
        suite: a key of `machine.SUITES`.
        peers: comma-separated names of libraries, or None for all.
        threads: the number of threads of every library, or None for at most 2.
        rows: comma-separated names of rows, or None for all.
        rounds: the number of rounds of each library.
        seconds: the seconds of a round.
        scaling: measures the scaling curves instead of the rows.
        as_json: prints JSON instead of Markdown.
        write: writes the results to the documents in the current folder.

    Returns:
        The exit code: 1 if SpiralTorch was wrong or failed in a row.

    Raises:
        ArgumentError: an argument is invalid, or with `write` the machine is busy or a document is missing.
    """
    machine.device(suite)
    selected, names = select_rows(rows), parse_peers(peers)
    if rounds < 1:
        raise ArgumentError(f"[bench] expected at least one round, got {rounds}; omit --rounds for the default")
    if not 0 < seconds < math.inf:
        raise ArgumentError(f"[bench] expected seconds above 0, got {seconds:g}; omit --seconds for the default")
    if threads is not None and threads < 1:
        raise ArgumentError(f"[bench] expected at least one thread, got {threads}; omit --threads for the default")
    if rows is not None and (write or scaling):
        flag = "--scaling, which has rows of its own" if scaling else "--write, because the table replaces the old one"
        raise ArgumentError(f"[bench] expected all rows with {flag}, got a selection; omit --rows")
    if write:
        documents.require(Path.cwd())
        machine.require_idle()
        if without := [name for name in PEERS if name not in names]:
            _log(f"the table that --write makes has no column for {', '.join(without)}, which --peers leaves out")
    missing = [name for name in names if not LIBRARIES[name].installed()]
    for name in missing:
        _log(f"{name} is not installed and is left out")
    libraries = [OURS, *(name for name in names if name not in missing)]
    report = Report(libraries, threads or min(2, machine.cores()), suite, missing)
    if scaling:
        report.curves = measure_curves(libraries, report.threads, rounds, seconds, _log, suite=suite)
    else:
        report.rows = measure(selected, libraries, rounds, report.threads, seconds, log=_log, suite=suite)
        if rows is None:
            report.once = latency.measure(libraries, report.threads, _log)
    if write:
        for path in documents.write(report, Path.cwd()):
            _log(f"wrote {path}")
    print(json.dumps(report.as_json()) if as_json else _text(report))
    return 1 if report.failed else 0


def parse_peers(given: str | None) -> list[str]:
    """The peers of a comma-separated list; all for None. Raises `ArgumentError` for an unknown one."""
    names = list(PEERS) if given is None else [name.strip() for name in given.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PEERS]:
        raise ArgumentError(
            f"[bench] expected peers of {', '.join(PEERS)}, got {', '.join(unknown)}; choose from these"
        )
    return list(dict.fromkeys(names))


def _text(report: Report) -> str:
    parts = [report.header()]
    if report.rows:
        parts.append(report.table())
    if report.once:
        parts.append(report.once_table())
    if report.curves:
        parts.append(report.curve_tables())
    return "\n\n".join(parts)


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
