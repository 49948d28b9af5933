"""Rewrites of values into other primitives of a compiler program, one module to a subject; see `lowering.registry`."""
