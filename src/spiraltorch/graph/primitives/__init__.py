"""Definitions of all primitives, which importing this package registers. `docs/primitives.md` has the table."""

from . import attention, contract, elementwise, indexing, reduce, sort_scan, source, view

__all__ = ["attention", "contract", "elementwise", "indexing", "reduce", "sort_scan", "source", "view"]
