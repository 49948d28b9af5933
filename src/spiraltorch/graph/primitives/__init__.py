"""All primitives, by name: see `docs/architecture.md` for the table."""

from . import contract, elementwise, indexing, reduce, sort_scan, source, view

__all__ = ["contract", "elementwise", "indexing", "reduce", "sort_scan", "source", "view"]
