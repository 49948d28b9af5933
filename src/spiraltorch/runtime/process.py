"""Processes of this package's own: workers that tune, verify and measure. They import nothing from the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]  # the folder that has the package
_RUN_MODULE = (
    "import sys; del sys.path[0]; import runpy; del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of a Python process without the current folder on its path.

    Args:
        arguments: those of the interpreter: `-m`, a module and its arguments, or others that are taken as they are.
    """
    if sys.version_info >= (3, 11):
        return [sys.executable, "-P", *arguments]
    if arguments[:1] == ("-m",):
        return [sys.executable, "-c", _RUN_MODULE, *arguments[1:]]
    return [sys.executable, *arguments]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment with changes, and with this package first on the path.

    Empty entries of the path, which mean the current folder, are left out.
    """
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), *entries]), **changes}
