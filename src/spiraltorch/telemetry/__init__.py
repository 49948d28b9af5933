"""Execution traces, counters and OpenTelemetry export: what ran, how long it took, and what the planner decided.

- `trace(path)` writes a Chrome trace with host and device tracks, planner decisions and counters, for Perfetto.
- `counters()` returns the process's counters at any time.
- With an OpenTelemetry SDK in the process, spans and metrics are exported; `enable` and `disable` control it.

Names of spans and metrics are in `names`. Nothing is collected while no sink is registered: running a plan then costs
one test for an empty list. This package does not depend on tensors, plans or backends; they call it.
"""

from __future__ import annotations

from .chrome import Trace as Trace
from .chrome import TraceSummary as TraceSummary
from .chrome import trace as trace
from .counting import counters as counters
from .decisions import Decision as Decision
from .export import disable as disable
from .export import enable as enable
from .names import METRICS as METRICS
from .names import SPANS as SPANS
from .names import Metric as Metric
