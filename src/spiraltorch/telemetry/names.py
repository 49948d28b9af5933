"""The names of all spans and metrics. They are the same on every backend.

A span's name is a key of `SPANS`. A metric is a row of `METRICS`: its key in `counters()`, and its name, unit and
attributes in OpenTelemetry. Names of attributes (`device`, `bytes`) get the prefix `spiraltorch.` in OpenTelemetry.
"""

from __future__ import annotations

from typing import NamedTuple

RECORD = "spiraltorch.record"
PLAN = "spiraltorch.plan"
COMPILE = "spiraltorch.compile"
COMPILE_FUSE = "spiraltorch.compile.fuse"
COMPILE_LOWER = "spiraltorch.compile.lower"
COMPILE_KERNEL = "spiraltorch.compile.kernel"
COMPILE_SCHEDULE = "spiraltorch.compile.schedule"
COMPILE_RENDER = "spiraltorch.compile.render"
COMPILE_MACHINE = "spiraltorch.compile.machine"
COMPILE_LINK = "spiraltorch.compile.link"
LAUNCH = "spiraltorch.launch"
KERNEL = "spiraltorch.kernel"
TRANSFER = "spiraltorch.transfer"
TUNE = "spiraltorch.tune"
DECISION = "spiraltorch.decision"  # an event of a span, not a span


def compile_pass(name: str) -> str:
    """The name of the span of a compiler pass.

    >>> compile_pass("simplify") in SPANS
    True
    """
    return f"{COMPILE}.{name}"


SPANS: dict[str, str] = {
    RECORD: "`st.compile` records the graph of a function; `function`",
    PLAN: "the plan cache is searched for a graph; `cache` is `hit` or `miss`, `values` counts the graph's nodes",
    COMPILE: "a plan is compiled after a cache miss; `device`, `values`, at the end `kernels` and `operations`",
    compile_pass("simplify"): "the simplification pass; it runs twice",
    compile_pass("decompose"): "the pass that rewrites operations to those that kernels implement",
    compile_pass("drop_barriers"): "the pass that removes `barrier` operations",
    compile_pass("split_contractions"): "the pass that splits long contractions, so that their errors stay small",
    compile_pass("spread_scans"): "the pass that splits long scans over the work groups of a GPU",
    compile_pass("spread_reductions"): "the pass that splits large reductions over the work groups of a GPU",
    compile_pass("sort_values"): "the pass that sorts values directly where nothing reads the permutation",
    compile_pass("split_concatenations"): "the pass that splits concatenations of more operands than a kernel can bind",
    compile_pass("copy_concatenations"): "the pass that copies the operands of large concatenations one by one",
    compile_pass("share_reshaped_outputs"): "the pass that makes results which only reshape a value share its memory",
    COMPILE_FUSE: "operations are fused into kernels, within the buffers that a kernel can bind",
    COMPILE_LOWER: "fused groups are lowered to loop nests in the kernel IR",
    COMPILE_KERNEL: "a kernel that is not cached in memory; `key`, `cache` is `disk` or `none`",
    COMPILE_SCHEDULE: "one kernel is scheduled; `kernel`, `schedule`",
    COMPILE_RENDER: "one kernel is rendered as source text of the backend; `kernel`",
    COMPILE_MACHINE: "source text is compiled to machine code, or by the driver",
    COMPILE_LINK: "memory of intermediate results is planned and the device's program is linked",
    TUNE: "the tuner searches the schedules of one kernel; `device`, `kernel`, at the end `candidates` and `speedup`",
    LAUNCH: "a plan runs on its device; `device`, `launch`, `kernels`, `bytes`, and `device_ns` where kernels are timed",
    KERNEL: "one kernel on its device, where kernels are timed; `kernel`, `bytes`, `makes` (the values that it computes)",
    TRANSFER: "a copy between host and device; `direction`, `device`, `bytes`, `shared` where memory is shared and nothing is copied",
}

TO_DEVICE = "host_to_device"
TO_HOST = "device_to_host"


class Metric(NamedTuple):
    """A value that `counters()` and OpenTelemetry report.

    Args:
        key: its key in `counters()`.
        name: its name in OpenTelemetry; rows with the same name differ in `attributes`.
        unit: the unit in UCUM notation, as OpenTelemetry requires.
        description: what the metric measures.
        attributes: names and values that distinguish rows with the same name.
        is_counter: whether the value is a counter, which only grows, or a gauge.
    """

    key: str
    name: str
    unit: str
    description: str
    attributes: tuple[tuple[str, str], ...] = ()
    is_counter: bool = True


METRICS: tuple[Metric, ...] = (
    Metric("plans_compiled", "spiraltorch.plans.compiled", "{plan}", "Plans compiled."),
    Metric("plans_run", "spiraltorch.plans.run", "{plan}", "Plans launched."),
    Metric("compile_seconds", "spiraltorch.compile.time", "s", "Time spent compiling plans."),
    Metric("kernels_compiled", "spiraltorch.kernels.compiled", "{kernel}", "Kernels compiled in this process rather than read from a cache."),
    Metric("kernels_launched", "spiraltorch.kernels.launched", "{kernel}", "Kernels launched."),
    Metric(
        "kernels_before_fusion", "spiraltorch.kernels.unfused", "{kernel}",
        "Kernels that the launched plans would have needed without fusion, one per operation.",
    ),
    Metric("bytes_moved", "spiraltorch.kernels.io", "By", "Bytes that launched kernels read and wrote, as planned."),
    Metric(
        "bytes_to_device", "spiraltorch.transfer.io", "By", "Bytes copied between host and device.",
        (("direction", TO_DEVICE),),
    ),
    Metric(
        "bytes_to_host", "spiraltorch.transfer.io", "By", "Bytes copied between host and device.",
        (("direction", TO_HOST),),
    ),
    Metric("plan_cache_hits", "spiraltorch.cache.hits", "{hit}", "Cache hits.", (("cache", "plan"),)),
    Metric("plan_cache_misses", "spiraltorch.cache.misses", "{miss}", "Cache misses.", (("cache", "plan"),)),
    Metric("kernel_cache_hits", "spiraltorch.cache.hits", "{hit}", "Cache hits.", (("cache", "kernel"),)),
    Metric("kernel_cache_misses", "spiraltorch.cache.misses", "{miss}", "Cache misses.", (("cache", "kernel"),)),
    Metric("object_cache_hits", "spiraltorch.cache.hits", "{hit}", "Cache hits.", (("cache", "object"),)),
    Metric("object_cache_misses", "spiraltorch.cache.misses", "{miss}", "Cache misses.", (("cache", "object"),)),
    Metric("kernels_tuned", "spiraltorch.tuning.kernels", "{kernel}", "Kernels whose schedules were searched in this process."),
    Metric("tuning_candidates", "spiraltorch.tuning.candidates", "{schedule}", "Candidate schedules that were compiled."),
    Metric(
        "tuning_disqualified", "spiraltorch.tuning.disqualified", "{schedule}",
        "Candidate schedules that crashed, timed out or gave a wrong result.",
    ),
    Metric(
        "bytes_in_use", "spiraltorch.allocator.in_use", "By", "Device memory in use.", is_counter=False,
    ),
    Metric(
        "peak_bytes", "spiraltorch.allocator.peak", "By", "Peak device memory in use.", is_counter=False,
    ),
)  # fmt: skip
