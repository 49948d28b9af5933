"""Probes: small programs against the public API, one module a row. `checking.probes_of` lists a module's."""
