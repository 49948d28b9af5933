"""The benchmark: rows of work, and how SpiralTorch and its peers are timed on them, interleaved and checked.

`row.py` says what a row is, `rows/` holds them by subject, `libraries.py` gives every library the same few verbs,
`worker.py` is a process that prepares and times one library, `measure.py` interleaves workers, `once.py` measures what
happens once (first calls, import), `scaling.py` curves, and `report.py`, `chart.py` and `documents.py` show it all.
"""
