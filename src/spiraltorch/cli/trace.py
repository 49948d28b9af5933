"""`spiraltorch trace`: a program under a trace."""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
import traceback
from pathlib import Path

from .. import telemetry
from ..errors import ArgumentError


def run(script: str, args: list[str], output: str, as_json: bool) -> int:
    """Runs the program as `python SCRIPT ARGS...` would, writes the trace, and gives the program's exit code.

    The trace is written however the program ends. Raises `ArgumentError` where there is no such program, or no folder
    for the trace.
    """
    if not Path(script).is_file():
        raise ArgumentError(f"[trace] expected a Python program, got {script!r}, which is no file")
    saved = sys.argv, list(sys.path)
    printed = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    try:
        with printed, telemetry.trace(output) as collected:
            sys.argv = [script, *args]
            sys.path.insert(0, str(Path(script).resolve().parent))
            code = _ended(script)
    finally:
        sys.argv, sys.path[:] = saved
    figures = {**collected.summary(), "exit_code": code, "trace": output}
    if as_json:
        print(json.dumps(figures))
    else:
        print(
            f"{output}: {figures['events']:,} events; {figures['kernels']:,} kernels in {figures['launches']:,} launches, "
            f"{figures['device_seconds'] * 1e3:.3f} ms on devices; {figures['bytes_transferred']:,} bytes in "
            f"{figures['transfers']:,} transfers; {figures['decisions']:,} decisions. Open it at https://ui.perfetto.dev",
            file=sys.stderr,
        )
    return code


def _ended(script: str) -> int:
    """The program's exit code; what it raised is printed as Python prints it."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
