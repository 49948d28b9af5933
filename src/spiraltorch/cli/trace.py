"""`spiraltorch trace`: runs a program and writes a trace of it."""

from __future__ import annotations

import contextlib
import json
import sys

from .. import telemetry
from .script import execute, require


def run(script: str, args: list[str], output: str, as_json: bool) -> int:
    """Runs a program as `python SCRIPT ARGS...` does and writes a Chrome trace of it, however the program ends.

    Args:
        script: the Python file.
        args: the program's arguments.
        output: the trace's file.
        as_json: print the totals as JSON on stdout; what the program prints goes to stderr then.

    Returns:
        The program's exit code.

    Raises:
        ArgumentError: the program or the folder of the trace does not exist.
    """
    require("trace", script)
    stdout = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with stdout, telemetry.trace(output) as trace:
        code = execute(script, args)
    total = trace.summary()
    if as_json:
        print(json.dumps({**total, "exit_code": code, "trace": output}))
    else:
        print(
            f"{output}: {total['events']:,} events; {total['kernels']:,} kernels in {total['launches']:,} launches, "
            f"{total['device_seconds'] * 1e3:.3f} ms on devices; {total['bytes_transferred']:,} bytes in "
            f"{total['transfers']:,} transfers; {total['decisions']:,} decisions. Open it at https://ui.perfetto.dev",
            file=sys.stderr,
        )
    return code
