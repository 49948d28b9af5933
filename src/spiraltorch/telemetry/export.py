"""OpenTelemetry: spans and metrics for whoever configured an SDK.

The API package is loaded here, on first need, and never by `import spiraltorch`. Where the SDK is loaded in the process
(`opentelemetry.sdk`), exporting begins by itself when the next plan is compiled, which the first evaluation does. `enable`
begins at once, also with another implementation of the API; `disable` ends it. Providers may be set before or after.

Metrics are read from `counting` when the SDK collects them, so counting costs the same with and without.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .counting import counters, memory
from .decisions import Decision
from .names import DECISION, KERNEL, METRICS, Metric
from .spans import ACTIVE, Attribute, KernelFacts, Later

_LOOK = [True]  # whether an SDK that is found in the process is used
_INSTRUMENTS: list[Any] = []  # made once: the API has no way to take them back


class Exporter:
    """A listener of `spans` that hands on to OpenTelemetry's tracer."""

    def __init__(self, device_time: bool) -> None:
        from opentelemetry import context
        from opentelemetry import trace as api

        self.device_time = device_time
        self._api = api
        self._context = context
        self._tracer = api.get_tracer("spiraltorch")
        self._epoch = time.time_ns() - time.perf_counter_ns()

    def begin(self, name: str, attributes: dict[str, Attribute]) -> Any:
        """See `spans.Sink`."""
        span = self._tracer.start_span(name)
        return span, self._context.attach(self._api.set_span_in_context(span))

    def end(self, token: Any, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """See `spans.Sink`."""
        span, attached = token
        span.set_attributes(_prefixed(attributes))
        if error is not None:
            span.record_exception(error)
            span.set_status(self._api.Status(self._api.StatusCode.ERROR, str(error)))
        self._context.detach(attached)
        span.end()

    def complete(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """See `spans.Sink`."""
        span = self._tracer.start_span(name, attributes=_prefixed(attributes), start_time=start + self._epoch)
        span.end(stop + self._epoch)

    def decided(self, decisions: list[Decision], later: Later | None) -> None:
        """See `spans.Sink`. Why each schedule, where one was made, stands at its own span, not here."""
        span = self._api.get_current_span()
        for one in decisions:
            span.add_event(DECISION, _prefixed(one.attributes()))

    def launched(self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]) -> None:
        """See `spans.Sink`."""
        for facts, (start, stop) in zip(kernels, times, strict=False):  # no times where nobody measured
            self.complete(
                KERNEL,
                start,
                stop,
                {"kernel": facts.name, "bytes": facts.nbytes, "makes": facts.makes, "device": device},
            )


def enable(*, device_time: bool = False) -> None:
    """Sends spans and metrics to OpenTelemetry from now on, whatever implements it.

    With `device_time` every kernel is measured and becomes a span of its own. Without an SDK all of it goes nowhere.

    >>> import spiraltorch as st
    >>> st.telemetry.enable()
    >>> (st.ones(2) + 1).tolist()
    [2.0, 2.0]
    >>> st.telemetry.disable()
    """
    _stop()
    if not _INSTRUMENTS:
        _instruments()
    ACTIVE.append(Exporter(device_time))


def disable() -> None:
    """Ends exporting. An SDK in the process is not looked for again. Traces being written go on."""
    _LOOK[0] = False
    _stop()


def notice() -> None:
    """Begins exporting where an SDK is loaded in this process. Called whenever a plan is compiled."""
    if _LOOK[0] and ("opentelemetry.sdk.trace" in sys.modules or "opentelemetry.sdk.metrics" in sys.modules):
        _LOOK[0] = False
        if not any(isinstance(sink, Exporter) for sink in ACTIVE):
            enable()


def _stop() -> None:
    for sink in tuple(ACTIVE):
        if isinstance(sink, Exporter):
            ACTIVE.remove(sink)


def _prefixed(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {f"spiraltorch.{name}": value for name, value in attributes.items()}


def _instruments() -> None:
    """One observable instrument for each name in `METRICS`; its rows differ in attributes."""
    from opentelemetry import metrics

    meter = metrics.get_meter("spiraltorch")
    names: dict[str, list[Metric]] = {}
    for row in METRICS:
        names.setdefault(row.name, []).append(row)
    for name, rows in names.items():
        make = meter.create_observable_counter if rows[0].rises else meter.create_observable_gauge
        _INSTRUMENTS.append(make(name, [_callback(rows)], rows[0].unit, rows[0].text))


def _callback(rows: list[Metric]) -> Callable[[Any], Iterable[Any]]:
    from opentelemetry.metrics import Observation

    def observe(options: Any) -> list[Any]:
        if not rows[0].rises:
            which = 1 if rows[0].key == "peak_bytes" else 0
            return [Observation(levels[which], {"spiraltorch.device": d}) for d, levels in memory().items()]
        now = counters()
        return [Observation(now[row.key], {f"spiraltorch.{k}": v for k, v in row.attributes}) for row in rows]

    return observe
