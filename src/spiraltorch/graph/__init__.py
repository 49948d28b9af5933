"""Graphs: nodes, primitives, builders and the NumPy reference. Importing the package defines all primitives."""

from . import primitives as primitives
