"""Probes: small programs that test the public API, one module for each row. `checking.probes_of` lists those of a row."""
