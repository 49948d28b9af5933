"""OpenTelemetry export: spans and metrics for a configured SDK.

The OpenTelemetry API package is imported when it is first needed, never by `import spiraltorch`. If an SDK
(`opentelemetry.sdk`) is loaded in the process, export starts when the next plan is compiled, which the first evaluation
does. `enable` starts it immediately, with any implementation of the API; `disable` ends it. Providers may be set before
or after.

Metrics are observable instruments that read `counting` when the SDK collects them, so counting costs the same with and
without export.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from .counting import counters, memory
from .decisions import Decision
from .names import DECISION, KERNEL, METRICS, Metric
from .spans import ACTIVE, Attribute, DeferredDecisions, KernelFacts, register, unregister

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Instrument, Observation
    from opentelemetry.trace import Span as OtelSpan


class _ExportState:
    """Whether a loaded SDK starts export automatically, and the metric instruments, which the API cannot remove."""

    automatic = True
    instruments: list[Instrument] = []


class Exporter:
    """A sink of `spans` that forwards to the OpenTelemetry tracer."""

    def __init__(self, device_time: bool) -> None:
        from opentelemetry import context
        from opentelemetry import trace as api

        self.device_time = device_time
        self._api = api
        self._context = context
        self._tracer = api.get_tracer("spiraltorch")
        self._epoch = time.time_ns() - time.perf_counter_ns()

    def begin_span(self, name: str, attributes: dict[str, Attribute]) -> tuple[OtelSpan, Token[Context]]:
        """See `spans.Sink`."""
        span = self._tracer.start_span(name)
        return span, self._context.attach(self._api.set_span_in_context(span))

    def end_span(self, token: object, name: str, attributes: dict[str, Attribute], error: BaseException | None) -> None:
        """See `spans.Sink`."""
        span, attached = cast("tuple[OtelSpan, Token[Context]]", token)
        span.set_attributes(_prefixed(attributes))
        if error is not None:
            span.record_exception(error)
            span.set_status(self._api.Status(self._api.StatusCode.ERROR, str(error)))
        self._context.detach(attached)
        span.end()

    def add_span(self, name: str, start: int, stop: int, attributes: dict[str, Attribute]) -> None:
        """See `spans.Sink`."""
        span = self._tracer.start_span(name, attributes=_prefixed(attributes), start_time=start + self._epoch)
        span.end(stop + self._epoch)

    def add_decisions(self, decisions: list[Decision], deferred: DeferredDecisions | None) -> None:
        """See `spans.Sink`. Deferred decisions are left out: they explain schedules, which have spans of their own."""
        span = self._api.get_current_span()
        for decision in decisions:
            span.add_event(DECISION, _prefixed(decision.attributes()))

    def add_launch(
        self, device: str, launch: int, kernels: Sequence[KernelFacts], times: list[tuple[int, int]]
    ) -> None:
        """See `spans.Sink`."""
        for facts, (start, stop) in zip(kernels, times, strict=False):  # `times` is empty without device timing
            attributes: dict[str, Attribute] = {
                "kernel": facts.name, "bytes": facts.nbytes, "makes": facts.makes, "device": device,
            }  # fmt: skip
            self.add_span(KERNEL, start, stop, attributes)


def enable(*, device_time: bool = False) -> None:
    """Exports spans and metrics to OpenTelemetry from now on.

    They go to the implementation of the OpenTelemetry API in this process; without an SDK they are discarded. Calling
    it again replaces the previous export.

    Args:
        device_time: times every kernel and exports a span for each, with its time on the device.

    Example:
        >>> import spiraltorch as st
        >>> st.telemetry.enable()
        >>> (st.ones(2) + 1).tolist()
        [2.0, 2.0]
        >>> st.telemetry.disable()
    """
    _stop()
    if not _ExportState.instruments:
        _ExportState.instruments = _create_instruments()
    register(Exporter(device_time))


def disable() -> None:
    """Ends the export to OpenTelemetry and does not begin it again for an SDK. Traces being collected are not affected.

    Example:
        >>> import spiraltorch as st
        >>> st.telemetry.disable()
    """
    _ExportState.automatic = False
    _stop()


def enable_if_sdk_loaded() -> None:
    """Starts export if an SDK is loaded in this process; called whenever a plan is compiled."""
    if _ExportState.automatic and (
        "opentelemetry.sdk.trace" in sys.modules or "opentelemetry.sdk.metrics" in sys.modules
    ):
        _ExportState.automatic = False
        if not any(isinstance(sink, Exporter) for sink in ACTIVE):
            enable()


def _stop() -> None:
    for sink in tuple(ACTIVE):
        if isinstance(sink, Exporter):
            unregister(sink)


def _prefixed(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {f"spiraltorch.{name}": value for name, value in attributes.items()}


def _create_instruments() -> list[Instrument]:
    """One observable instrument for each name in `METRICS`; rows of one name differ in attributes."""
    from opentelemetry import metrics

    meter = metrics.get_meter("spiraltorch")
    rows_of: dict[str, list[Metric]] = {}
    for row in METRICS:
        rows_of.setdefault(row.name, []).append(row)
    instruments: list[Instrument] = []
    for name, rows in rows_of.items():
        create = meter.create_observable_counter if rows[0].is_counter else meter.create_observable_gauge
        instruments.append(create(name, [_callback(rows)], rows[0].unit, rows[0].description))
    return instruments


def _callback(rows: list[Metric]) -> Callable[[CallbackOptions], list[Observation]]:
    """The function that reads an instrument's values when the SDK collects them."""
    from opentelemetry.metrics import Observation

    def observe(options: CallbackOptions) -> list[Observation]:
        if not rows[0].is_counter:
            which = 1 if rows[0].key == "peak_bytes" else 0
            return [Observation(levels[which], {"spiraltorch.device": d}) for d, levels in memory().items()]
        now = counters()
        return [Observation(now[row.key], {f"spiraltorch.{k}": v for k, v in row.attributes}) for row in rows]

    return observe
