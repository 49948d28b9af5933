"""Probes: small programs that test the public API, one module a row. `checking.probes_of` lists those of a row."""
