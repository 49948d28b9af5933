"""Runs a Python program inside a command, as `python SCRIPT ARGS...` does."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path
from types import TracebackType

from ..errors import ArgumentError


def require(command: str, script: str) -> None:
    """Raises `ArgumentError` if the program does not exist, for example because an unknown option takes its place."""
    if not Path(script).is_file():
        if script.startswith("-"):
            raise ArgumentError(
                f"[{command}] expected an option of its own or a Python program, got {script!r}; see `spiraltorch {command} "
                "--help`, and put the program's options behind the program"
            )
        raise ArgumentError(
            f"[{command}] expected a Python program, got {script!r}, which is not a file; check the path"
        )


def execute(script: str, args: list[str]) -> int:
    """Runs the program and returns its exit code. An exception is printed as Python prints it."""
    saved = sys.argv, list(sys.path)
    sys.argv = [script, *args]
    sys.path.insert(0, str(Path(script).resolve().parent))
    try:
        return _exit_code(script)
    finally:
        sys.argv, sys.path[:] = saved


def _exit_code(script: str) -> int:
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:
        traceback.print_exception(type(error), error, _program_frames(error.__traceback__))
        return 1
    return 0


def _program_frames(traceback_: TracebackType | None) -> TracebackType | None:
    """The frames of the program, without those of this module and of `runpy` above them."""
    while traceback_ is not None and traceback_.tb_frame.f_globals.get("__name__") in (__name__, "runpy"):
        traceback_ = traceback_.tb_next
    return traceback_
