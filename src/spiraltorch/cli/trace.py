"""`spiraltorch trace`: a program under a trace."""

from __future__ import annotations

import contextlib
import json
import sys

from .. import telemetry
from .script import execute, require


def run(script: str, args: list[str], output: str, as_json: bool) -> int:
    """Runs the program as `python SCRIPT ARGS...` would, writes the trace, and gives the program's exit code.

    The trace is written however the program ends. Raises `ArgumentError` where there is no such program, or no folder
    for the trace.
    """
    require("trace", script)
    printed = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with printed, telemetry.trace(output) as collected:
        code = execute(script, args)
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
