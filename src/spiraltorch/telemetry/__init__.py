"""What ran, where the time went, and why the planner chose what it chose.

- `trace(path)` writes a Chrome trace: host and device rows, planner decisions, counters. Perfetto opens it.
- `counters()` gives the process's figures at any time.
- With an OpenTelemetry SDK in the process, spans and metrics go there; `enable` and `disable` say so explicitly.

The names are in `names`. Nothing is collected while nobody listens: a plan that runs then asks one list whether it is
empty. This room knows nothing of tensors, plans or backends, which call it.
"""

from __future__ import annotations

from .chrome import Trace as Trace
from .chrome import trace as trace
from .counting import counters as counters
from .decisions import Decision as Decision
from .export import disable as disable
from .export import enable as enable
from .names import METRICS as METRICS
from .names import SPANS as SPANS
