"""All primitives, by name: see `docs/architecture.md` for the table."""

from . import attention, contract, elementwise, indexing, reduce, sort_scan, source, view

__all__ = ["attention", "contract", "elementwise", "indexing", "reduce", "sort_scan", "source", "view"]
