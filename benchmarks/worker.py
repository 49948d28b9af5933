"""One library in a process of its own: reads requests as JSON lines on stdin, answers with JSON lines on stdout."""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from typing import Any

import numpy as np

import rows


def serve(library: str, threads: int) -> None:
    """Answers until stdin ends. `check` saves a row's result to a file, `time` gives the median seconds of a call."""
    out = sys.stdout
    sys.stdout = sys.stderr  # what a library prints must not mix with the answers
    module = importlib.import_module(f"library_{library}")
    module.set_threads(threads)
    timed: dict[str, Any] = {}

    def answer(**reply: Any) -> None:
        print(json.dumps(reply), file=out, flush=True)

    answer(version=module.VERSION)
    for line in sys.stdin:
        request = json.loads(line)
        row = next(r for r in rows.ROWS if r.name == request["row"])
        if request["do"] == "check":
            call, result = module.prepare(row.name, row.inputs())
            np.save(request["file"], np.asarray(result()))
            timed[row.name] = call
            answer(done=True)
        else:
            answer(seconds=_median(timed[row.name], request["seconds"]))


def _median(call: Any, seconds: float) -> float:
    """The median time of a call, over at least 5 calls and about so many seconds, after one call to warm up."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def fresh(library: str, row: str, threads: int) -> float:
    """Seconds of what can be measured only once in a process: the import, or the first train step."""
    arrays = rows.mlp_inputs()
    begin = time.perf_counter()
    if row == "import":
        importlib.import_module(library)
        return time.perf_counter() - begin
    module = importlib.import_module(f"library_{library}")
    module.set_threads(threads)
    call, _ = module.prepare("mlp", arrays)
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
