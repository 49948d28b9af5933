"""Known failures, as data: a mark is (entry point of the backend, row, probe) with the reason.

A marked probe must fail; when it passes, `spiraltorch verify` fails until the mark is taken away.
"""

from __future__ import annotations

EXPECTED: dict[tuple[str, str, str], str] = {}
