"""Known failures, as data: (entry point of the backend, row, probe) with the reason.

A probe that is listed must fail; when it passes, `spiraltorch verify` fails until its entry is removed.
"""

from __future__ import annotations

EXPECTED: dict[tuple[str, str, str], str] = {}
