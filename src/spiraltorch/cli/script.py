"""A program that runs inside a command, as `python SCRIPT ARGS...` would run it."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from types import TracebackType

from ..errors import ArgumentError


def require(command: str, script: str) -> None:
    """Raises `ArgumentError` where there is no such program, or an option that the command lacks stands in its place."""
    if not Path(script).is_file():
        if script.startswith("-"):
            raise ArgumentError(
                f"[{command}] expected an option of its own or a Python program, got {script!r}; see `spiraltorch {command} "
                "--help`, and put the program's options behind the program"
            )
        raise ArgumentError(f"[{command}] expected a Python program, got {script!r}, which is no file")


def execute(script: str, args: list[str]) -> int:
    """Runs the program and gives its exit code; what it raised is printed as Python prints it."""
    saved = sys.argv, list(sys.path)
    sys.argv = [script, *args]
    sys.path.insert(0, str(Path(script).resolve().parent))
    try:
        return _ended(script)
    finally:
        sys.argv, sys.path[:] = saved


def _ended(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:
        traceback.print_exception(type(error), error, _below_here(error.__traceback__))
        return 1
    return 0


def _below_here(trace: TracebackType | None) -> TracebackType | None:
    """The frames of the program, without those of this file and of `runpy` that lead to it."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in (__name__, "runpy"):
        trace = trace.tb_next
    return trace
