"""The worker process that runs probes: `python -m spiraltorch.capability.worker DEVICE ROW PROBE...`.

It writes one JSON line when a probe starts and one when it has ended. What the probes print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time

from ..runtime.device import set_default
from .evidence import Outcome
from .probes.checking import Missing, Probe, Wrong, probes_of
from .rows import row


def main(arguments: list[str]) -> None:
    """Runs the named probes of a row, in order."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    device, which, *names = arguments
    probes = {p.name: p for p in probes_of(row(which))}
    for name in names:
        print(json.dumps({"start": name}), file=out, flush=True)
        print(json.dumps({"end": name, **run(probes[name], device)}), file=out, flush=True)


def run(probe: Probe, device: str) -> dict[str, str | float]:
    """Runs a probe in this process with `device` as the default device; returns outcome, detail and seconds."""
    started = time.perf_counter()
    outcome, detail = Outcome.PASS, ""
    try:
        set_default(device)
        detail = probe.run(device) or ""
    except Missing as missing:
        outcome, detail = Outcome.MISSING, str(missing)
    except Wrong as wrong:
        outcome, detail = Outcome.FAIL, str(wrong)
    except Exception as error:  # a probe may fail in any way, which is its result
        outcome, detail = Outcome.FAIL, f"{type(error).__name__}: {error}"
    return {"outcome": outcome.value, "detail": detail[:500], "seconds": round(time.perf_counter() - started, 3)}


if __name__ == "__main__":
    main(sys.argv[1:])
