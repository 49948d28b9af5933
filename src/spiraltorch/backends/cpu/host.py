"""Facts of the host processor: LLVM's description of it, and the compiler's `Target`."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import CompileError
from ...ir.target import Target
from ...runtime.protocol import DeviceFacts
from ...runtime.thread import Worker

LLVM = Worker("spiraltorch-llvm")  # the thread that calls LLVM, see `jit`
MOST_THREADS = 4096
PARALLEL_WORK = 1 << 17  # operations below which waking the pool's threads costs more than it saves


class Machine(NamedTuple):
    """A processor to generate code for: LLVM's names for it, and its vector registers."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    native_half: bool

    @property
    def attributes(self) -> str:
        """The attributes of every generated function: the vector width that LLVM should use."""
        bits = self.vector_bytes * 8
        words = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
        # Windows would call a stack probe of the C runtime, which the JIT cannot find.
        return words + (' "no-stack-arg-probe"' if "windows" in self.triple else "")


def machine(triple: str, cpu: str, features: dict[str, bool]) -> Machine:
    """The machine of a target triple, a processor and LLVM's names of its features."""
    wide = features.get("avx512f", False) and features.get("avx512vl", False) and features.get("avx512bw", False)
    x86 = triple.startswith(("x86_64", "i686"))
    avx2 = features.get("avx2", False) and features.get("fma", False)
    vector = (64 if wide else 32 if avx2 else 16) if x86 else 16
    registers = (32 if wide else 16) if x86 else 32
    half = features.get("f16c", False) if x86 else True
    text = ",".join([("+" if on else "-") + name for name, on in sorted(features.items())])
    return Machine(triple, cpu, text, vector, registers, half)


@lru_cache(maxsize=1)
def host() -> Machine:
    """This processor. `SPIRALTORCH_CPU_FEATURES` may switch features off or on: `-avx512f,-avx2`."""
    import llvmlite.binding as llvm

    features, triple, name = LLVM.call(
        lambda: (dict(llvm.get_host_cpu_features()), llvm.get_process_triple(), str(llvm.get_host_cpu_name()))
    )
    setting = os.environ.get("SPIRALTORCH_CPU_FEATURES", "")
    for word in filter(None, (w.strip() for w in setting.split(","))):
        if word[0] not in "+-":
            raise CompileError(
                f"[cpu] expected SPIRALTORCH_CPU_FEATURES as +name,-name, got {word!r}; correct or unset the variable"
            )
        features[word[1:]] = word[0] == "+"
        if word == "-avx512f":
            features.update({n: False for n in features if n.startswith(("avx512", "avx10"))})
    return machine(triple, name if not setting else "x86-64", features)


def threads() -> int:
    """The number of threads that run a kernel: `SPIRALTORCH_NUM_THREADS`, or the processors this process may use."""
    setting = os.environ.get("SPIRALTORCH_NUM_THREADS")
    if setting:
        if not (setting.isascii() and setting.isdigit()) or not 1 <= int(setting[:9]) <= MOST_THREADS:
            raise CompileError(
                f"[cpu] expected SPIRALTORCH_NUM_THREADS as a number from 1 to {MOST_THREADS}, got {setting!r}; "
                "correct or unset the variable"
            )
        return int(setting)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cache_bytes(level: int, fallback: int) -> int:
    """The size of a data cache as Linux reports it; `fallback` elsewhere."""
    root = Path("/sys/devices/system/cpu/cpu0/cache")
    try:
        for entry in sorted(root.glob("index*")):
            if (entry / "level").read_text().strip() == str(level) and (
                entry / "type"
            ).read_text().strip() != "Instruction":
                text = (entry / "size").read_text().strip()
                return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError):
        pass
    return fallback


def target(of: Machine, thread_count: int) -> Target:
    """The facts that the compiler may know."""
    import llvmlite

    l1, l2 = _cache_bytes(1, 32 << 10), _cache_bytes(2, 1 << 20)
    return Target(
        key=f"{of.triple}|{of.cpu}|{of.features}|{thread_count}|{l1}|{l2}|llvmlite {llvmlite.__version__}",
        threads=thread_count,
        parallel_work=PARALLEL_WORK,
        vector_bytes=of.vector_bytes,
        registers=of.registers,
        l1_bytes=l1,
        l2_bytes=l2,
    )


class HostFacts(DeviceFacts):
    """The facts of a processor in reports."""

    memory_bytes: int
    architecture: str
    vector_bits: int
    threads: int


def describe_host() -> HostFacts:
    """The facts of this processor in reports."""
    import llvmlite
    import llvmlite.binding as llvm

    own = host()
    model, vendor = platform.processor() or platform.machine(), platform.machine()
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()]
        facts = {key.strip(): value.strip() for key, _, value in lines}
        model, vendor = facts.get("model name", model), facts.get("vendor_id", vendor)
    except OSError:
        pass
    return {
        "device": model, "vendor": vendor, "software": False, "memory_bytes": physical_memory(),
        "driver": f"LLVM {'.'.join(map(str, llvm.llvm_version_info))} (llvmlite {llvmlite.__version__})",
        "architecture": own.cpu, "vector_bits": 8 * own.vector_bytes, "threads": threads(),
    }  # fmt: skip


def physical_memory() -> int:
    """The bytes of memory in this machine; a very large number where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _windows_memory()


def _windows_memory() -> int:
    """The bytes of memory as Windows reports them; a very large number on other systems."""
    import ctypes

    if not hasattr(ctypes, "windll"):
        return 1 << 62

    class Status(ctypes.Structure):
        _fields_ = (("length", ctypes.c_uint32), ("load", ctypes.c_uint32), ("total", ctypes.c_uint64),
                    ("rest", ctypes.c_uint64 * 6))  # fmt: skip

    status: Any = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.total)
