"""Graphs: nodes, primitives with their rules, builders, and the NumPy reference. Importing it defines all primitives."""

from . import primitives as primitives
