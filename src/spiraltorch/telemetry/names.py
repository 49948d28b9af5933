"""The names of all spans and metrics. They are the same on every backend.

A span's name is a key of `SPANS`. A metric is a row of `METRICS`: the key in `counters()`, and the name, unit and
attributes under which OpenTelemetry sees it. Attributes of spans are plain words (`device`, `bytes`); OpenTelemetry
gets them with `spiraltorch.` in front.
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
DECISION = "spiraltorch.decision"  # an event inside a span, not a span


def compile_pass(name: str) -> str:
    """The span of one of the compiler's passes over a program.

    >>> compile_pass("simplify") in SPANS
    True
    """
    return f"{COMPILE}.{name}"


SPANS: dict[str, str] = {
    RECORD: "a function given to `compile` records its graph; `function`",
    PLAN: "a graph is walked and looked up among the known plans; `cache` hit or miss, `values` in the graph",
    COMPILE: "a plan is made for a graph that has none; `device`, `values`, then `kernels`, `operations`",
    compile_pass("simplify"): "the pass over the program; it runs twice",
    compile_pass("decompose"): "the pass that leaves what kernels are made of",
    compile_pass("drop_barriers"): "the pass that forgets barriers",
    compile_pass("spread_reductions"): "the pass that gives every group of a target a part of large reductions",
    compile_pass("sort_values"): "the pass that sorts values without their places, where only those are wanted",
    compile_pass("join_in_steps"): "the pass that keeps joins within what the target can bind",
    compile_pass("copy_joins"): "the pass that has joins of many copied part by part",
    COMPILE_FUSE: "which values share a kernel, within what the target can bind",
    COMPILE_LOWER: "loop nests in the kernel IR",
    COMPILE_KERNEL: "one kernel that is not in memory; `key`, `cache` disk or none",
    COMPILE_SCHEDULE: "the steps that a rule picks for one kernel; `kernel`, `schedule`",
    COMPILE_RENDER: "the kernel as the backend's source text; `kernel`",
    COMPILE_MACHINE: "the text as machine code, or as the driver's object",
    COMPILE_LINK: "places for intermediate results, and the device's program",
    TUNE: "the schedules of one kernel are searched; `device`, `kernel`, then `candidates`, `speedup`",
    LAUNCH: "a plan runs on its device; `device`, `kernels`, `bytes`, and where devices are timed `device_ns`",
    KERNEL: "one kernel on its device, where devices are timed; `kernel`, `bytes`, `makes`",
    TRANSFER: "memory crosses between host and device; `direction`, `device`, `bytes`, `shared` where nothing is copied",
}

TO_DEVICE = "host_to_device"
TO_HOST = "device_to_host"


class Metric(NamedTuple):
    """One figure of the process."""

    key: str  # in `counters()`
    name: str  # OpenTelemetry's
    unit: str
    text: str
    attributes: tuple[tuple[str, str], ...] = ()
    rises: bool = True  # a counter; otherwise a level


METRICS: tuple[Metric, ...] = (
    Metric("plans_compiled", "spiraltorch.plans.compiled", "{plan}", "Plans made."),
    Metric("plans_run", "spiraltorch.plans.run", "{plan}", "Plans launched."),
    Metric("compile_seconds", "spiraltorch.compile.time", "s", "Time spent in making plans."),
    Metric("kernels_compiled", "spiraltorch.kernels.compiled", "{kernel}", "Kernels turned into code here, no cache."),
    Metric("kernels_launched", "spiraltorch.kernels.launched", "{kernel}", "Kernels launched."),
    Metric(
        "kernels_before_fusion", "spiraltorch.kernels.unfused", "{kernel}",
        "Kernels that the launched plans would have taken with one for each operation.",
    ),
    Metric("bytes_moved", "spiraltorch.kernels.io", "By", "Bytes read and written by launched kernels, from their plans."),
    Metric(
        "bytes_to_device", "spiraltorch.transfer.io", "By", "Bytes copied between host and device.",
        (("direction", TO_DEVICE),),
    ),
    Metric(
        "bytes_to_host", "spiraltorch.transfer.io", "By", "Bytes copied between host and device.",
        (("direction", TO_HOST),),
    ),
    Metric("plan_cache_hits", "spiraltorch.cache.hits", "{hit}", "What was found in a cache.", (("cache", "plan"),)),
    Metric("plan_cache_misses", "spiraltorch.cache.misses", "{miss}", "What was not.", (("cache", "plan"),)),
    Metric("kernel_cache_hits", "spiraltorch.cache.hits", "{hit}", "What was found in a cache.", (("cache", "kernel"),)),
    Metric("kernel_cache_misses", "spiraltorch.cache.misses", "{miss}", "What was not.", (("cache", "kernel"),)),
    Metric("object_cache_hits", "spiraltorch.cache.hits", "{hit}", "What was found in a cache.", (("cache", "object"),)),
    Metric("object_cache_misses", "spiraltorch.cache.misses", "{miss}", "What was not.", (("cache", "object"),)),
    Metric("kernels_tuned", "spiraltorch.tuning.kernels", "{kernel}", "Kernels whose schedules were searched here."),
    Metric("tuning_candidates", "spiraltorch.tuning.candidates", "{schedule}", "Schedules that searches compiled."),
    Metric(
        "tuning_disqualified", "spiraltorch.tuning.disqualified", "{schedule}",
        "Those among them that crashed, hung, or gave a wrong result.",
    ),
    Metric(
        "bytes_in_use", "spiraltorch.allocator.in_use", "By", "Device memory that buffers hold now.", rises=False,
    ),
    Metric(
        "peak_bytes", "spiraltorch.allocator.peak", "By", "The most device memory that buffers held at once.", rises=False,
    ),
)  # fmt: skip
