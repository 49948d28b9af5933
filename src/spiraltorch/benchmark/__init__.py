"""The benchmark: SpiralTorch and its peers on the same rows, interleaved, and checked against float64.

`row` defines rows, `rows/` lists them by subject, `libraries` gives all libraries one interface, `worker` is a process
that prepares and times rows in one library, `measure` interleaves workers, `latency` measures imports, first calls and
call overheads, `scaling` measures curves, and `report`, `chart` and `documents` present the results.
"""
