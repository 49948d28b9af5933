"""The CPU backend: memory, compilation and its cache, programs, and the thread pool."""

from __future__ import annotations

import ctypes
import gc
import os
import struct
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spiraltorch.backends import cpu
from spiraltorch.backends.cpu import jit
from spiraltorch.backends.cpu.device import CpuDevice, CpuKernel, _block
from spiraltorch.backends.cpu.host import host, machine, physical_memory, threads
from spiraltorch.backends.cpu.pool import Pool, text
from spiraltorch.codegen.llvm.render import render
from spiraltorch.dtypes import bfloat16, float16, float32
from spiraltorch.errors import CompileError, DeviceError, OutOfMemoryError
from spiraltorch.ir.expr import Buffer, Load, Space, at, cast, op
from spiraltorch.ir.guard import less
from spiraltorch.ir.index import index
from spiraltorch.ir.stmt import Alloc, Kernel, Kind, Store, block, loop, loop_nest
from spiraltorch.runtime import cache, files
from spiraltorch.runtime.allocator import Allocator, size_class


@pytest.fixture(scope="module")
def device() -> CpuDevice:
    return CpuDevice("cpu:0")


def double(n: int, kind: Kind = Kind.SERIAL, name: str = "double") -> Kernel:
    """y = x + x in rows of 16."""
    x, y = Buffer("x", at(n), float32), Buffer("y", at(n), float32)
    i, j = loop("i", n // 16, kind), loop("j", 16, Kind.VECTOR)
    p = index(i.var) * 16 + j.var
    return Kernel(name, (x, y), loop_nest([i, j], Store(y, (p,), op("add", Load(x, (p,)), Load(x, (p,))))))


def launch(device: CpuDevice, kernel: CpuKernel, *arrays: Any) -> None:
    program = device.program([(kernel, [(n, 0) for n in range(len(arrays))])], len(arrays))
    struct.pack_into(f"{len(arrays)}Q", program.table, 0, *[a.ctypes.data for a in arrays])
    program.run()


# ---------------------------------------------------------------- memory


def test_the_host_is_one_device() -> None:
    assert cpu.devices() == ["cpu:0"] and cpu.reason() is None
    assert cpu.open("cpu:0").host_memory


@pytest.mark.parametrize("nbytes", [0, 1, 64, 65, 1000, 1024, 1025, 4096, 5000, 1 << 20, (1 << 20) + 1])
def test_size_classes_waste_little(nbytes: int) -> None:
    size = size_class(nbytes)
    assert size >= nbytes and size % 64 == 0
    assert size <= max(64, nbytes * 1.25 + 64)
    assert size_class(size) == size


def test_allocation_is_aligned_and_reused(device: CpuDevice) -> None:
    first = device.allocate(1000)
    assert first.ptr % 64 == 0 and first.nbytes == 1000
    address = first.ptr
    del first
    second = device.allocate(1010)
    assert second.ptr == address
    third = device.allocate(1000)
    assert third.ptr != address


def test_statistics() -> None:
    allocator = Allocator("cpu", physical_memory(), _block)
    large, small = allocator.size_class(1 << 16), allocator.size_class(100)
    a, b = large.take(), small.take()
    assert allocator.in_use == (1 << 16) + 128 == allocator.peak == allocator.reserved
    large.release(a)
    assert allocator.in_use == 128 and allocator.reserved == (1 << 16) + 128
    allocator.trim()
    assert allocator.reserved == 128 and allocator.peak == (1 << 16) + 128
    small.release(b)
    assert allocator.in_use == 0 and allocator.reserved == 128 and allocator.size_class(128).take() == b
    assert allocator.size_class(65) is allocator.size_class(128) is small


def test_a_block_is_freed_while_the_interpreter_shuts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then global names of modules may be None."""
    allocator = Allocator("cpu", physical_memory(), _block)
    blocks = allocator.size_class(64)
    block = blocks.take()
    for name in ("KEEP_LIMIT", "ALIGN", "SIZE_LIMIT", "size_class"):
        monkeypatch.setattr(f"spiraltorch.runtime.allocator.{name}", None)
    blocks.release(block)
    assert allocator.in_use == 0


def test_freed_blocks_beyond_the_limit_go_back_to_the_system() -> None:
    allocator = Allocator("cpu", physical_memory(), _block)
    allocator.keep_limit = 100
    blocks = allocator.size_class(64)
    first, second = blocks.take(), blocks.take()
    blocks.release(first)
    blocks.release(second)
    assert allocator.reserved == 64 and list(allocator.blocks) == [first] and allocator.in_use == 0


def test_out_of_memory_raises_at_once_and_the_process_goes_on(device: CpuDevice) -> None:
    start = time.perf_counter()
    with pytest.raises(OutOfMemoryError, match=r"\[cpu\] expected .* bytes"):
        device.allocate(10 << 40)
    assert time.perf_counter() - start < 0.5
    assert device.allocate(100).ptr


def test_a_full_allocator_gives_its_cache_back_first() -> None:
    allocator = Allocator("cpu", physical_memory(), _block)
    allocator.limit = 1 << 20
    half = allocator.size_class(1 << 19)
    half.release(half.take())
    allocator.size_class(3 << 18).take()
    assert allocator.reserved == allocator.in_use == 3 << 18
    with pytest.raises(OutOfMemoryError):
        half.take()


def test_host_arrays_are_shared(device: CpuDevice) -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    buffer = device.from_host(a)
    assert buffer.ptr == a.ctypes.data and buffer.keep is a
    view = device.to_host(buffer, (4, 3), np.dtype(np.float32))
    a[0, 0] = 7
    assert view[0, 0] == 7
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.setflags(write=True)
    turned = device.from_host(a.T)
    np.testing.assert_array_equal(device.to_host(turned, (4, 3), a.dtype), a.T)


def test_a_view_keeps_its_buffer(device: CpuDevice) -> None:
    buffer = device.allocate(4 * 777)
    threes = np.full(777, 3, np.float32)
    ctypes.memmove(buffer.ptr, threes.ctypes.data, 4 * 777)
    view = device.to_host(buffer, (777,), np.dtype(np.float32))
    address = buffer.ptr
    del buffer
    gc.collect()
    others = [device.allocate(4 * 777) for _ in range(3)]
    assert address not in [o.ptr for o in others]
    assert (view == 3).all()
    assert device.to_host(device.allocate(0), (0, 5), np.dtype(np.float32)).shape == (0, 5)


# ---------------------------------------------------------------- compilation


def test_offsets_temporaries_and_scalars_of_a_program(device: CpuDevice) -> None:
    """Two steps that work on parts of one block of memory."""
    (kernel,) = device.compile([double(64)], [None])
    memory = np.zeros(192, np.float32)
    memory[:64] = np.arange(64)
    program = device.program([(kernel, [(0, 0), (0, 256)]), (kernel, [(0, 256), (0, 512)])], 1)
    struct.pack_into("Q", program.table, 0, memory.ctypes.data)
    program.run()
    np.testing.assert_array_equal(memory[128:], 4 * np.arange(64))
    program.run()
    np.testing.assert_array_equal(memory[64:128], 2 * np.arange(64))


def test_a_known_key_needs_no_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))
    made = []

    def make() -> Kernel:
        made.append(1)
        return double(32)

    for _ in range(2):
        device = CpuDevice("cpu:0")
        for _ in range(2):
            (kernel,) = device.compile([make], ["a-key"])
            x, y = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
            launch(device, kernel, x, y)
            np.testing.assert_array_equal(y, x + x)
    assert len(made) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a-key.bin"]


def test_several_kernels_are_made_side_by_side(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))
    made: list[int] = []

    def make(n: int) -> Kernel:
        made.append(n)
        return double(n)

    device = CpuDevice("cpu:0")
    device.target = replace(device.target, threads=2)
    interval = sys.getswitchinterval()
    makers = [partial(make, n) for n in (16, 32, 32, 48)]
    kernels = device.compile(makers, ["a", "b", "b", None])
    assert made == [16, 32, 48] and kernels[1] is kernels[2] and sys.getswitchinterval() == interval
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "b.bin"]
    for kernel, n in zip(kernels, (16, 32, 32, 48), strict=True):
        x, y = np.arange(n, dtype=np.float32), np.zeros(n, np.float32)
        launch(device, kernel, x, y)
        np.testing.assert_array_equal(y, x + x)
    monkeypatch.setattr(device.kernels, "loaded", {})
    again = device.compile(makers, ["a", "b", "b", "c"])
    assert made == [16, 32, 48, 48] and again[1] is again[2]


def test_an_error_in_one_of_several_kernels_comes_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))
    device = CpuDevice("cpu:0")
    device.target = replace(device.target, threads=2)
    monkeypatch.setattr("spiraltorch.backends.cpu.jit.target_machine", lambda of: 1 / 0)
    interval = sys.getswitchinterval()
    with pytest.raises(ZeroDivisionError):
        device.compile([partial(double, 16), partial(double, 32)], ["a", "b"])
    assert sys.getswitchinterval() == interval and not device.kernels.loaded


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "garbage"])
def test_a_damaged_entry_is_compiled_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str) -> None:
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(tmp_path))
    CpuDevice("cpu:0").compile([double(32)], ["key"])
    file = tmp_path / "key.bin"
    good = file.read_bytes()
    bad = {"cut": good[:-9], "flip": good[:-200] + b"\x01" + good[-199:], "empty": b"", "garbage": b"x" * 500}[damage]
    file.write_bytes(bad)
    assert cache.read("key") is None
    device = CpuDevice("cpu:0")
    (kernel,) = device.compile([double(32)], ["key"])
    x, y = np.arange(32, dtype=np.float32), np.zeros(32, np.float32)
    launch(device, kernel, x, y)
    np.testing.assert_array_equal(y, x + x)
    assert cache.read("key") is not None


def test_a_folder_that_cannot_be_written_warns_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("SPIRALTORCH_CACHE_DIR", str(blocked))
    monkeypatch.setattr(files._Process, "warned", False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        device = CpuDevice("cpu:0")
        device.compile([double(32), double(64)], ["k1", "k2"])
    assert [w.category for w in caught if "cache" in str(w.message)] == [RuntimeWarning]


def test_bad_text_is_a_compile_error() -> None:
    with pytest.raises(CompileError, match="LLVM rejected nonsense"):
        jit.emit("define void @f() { ret i32 0 }", host(), "nonsense")


def test_unknown_feature_and_thread_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALTORCH_NUM_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("SPIRALTORCH_NUM_THREADS", "none")
    with pytest.raises(CompileError):
        threads()


@pytest.mark.parametrize(
    ("setting", "width"), [("-avx512f", 32), ("-avx512f,-avx2,-avx,-fma,-f16c", 16)], ids=["avx2", "sse"]
)
def test_features_can_be_switched_off(setting: str, width: int) -> None:
    if host().vector_bytes < width or not host().triple.startswith("x86_64"):
        pytest.skip("this processor has narrower vectors")
    program = (
        "from spiraltorch.backends.cpu.device import CpuDevice; d = CpuDevice('cpu:0'); print(d.target.vector_bytes)\n"
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import numpy as np; from test_cpu_backend import double, launch\n"
        "x = np.arange(64, dtype=np.float32); y = x * 0; launch(d, d.compile([double(64)], [None])[0], x, y)\n"
        "assert (y == x + x).all()"
    )
    env = {**os.environ, "SPIRALTORCH_CPU_FEATURES": setting, "SPIRALTORCH_CACHE_DIR": ""}
    made = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert int(made.stdout) == width


# ---------------------------------------------------------------- other processors


def half_kernel() -> Kernel:
    x, y, z = Buffer("x", at(100), float16), Buffer("y", at(100), float32), Buffer("z", at(100), bfloat16)
    i, j = loop("i", 13, Kind.PARALLEL), loop("j", 8, Kind.VECTOR)
    p = index(i.var) * 8 + j.var
    ok = less(p, 100)
    value = op("exp", cast(Load(x, (p,), ok), float32))
    gathered = Load(y, (p * 3 % 100,), ok)
    body = block(
        Store(z, (p,), cast(op("mul", value, gathered), bfloat16), ok),
        Store(y, (p,), op("floor", op("sin", value)), ok),
    )
    return Kernel("half", (x, y, z), loop_nest([i, j], body))


FOREIGN = [
    ("aarch64-unknown-linux-gnu", "generic", {"neon": True}, b"\x7fELF"),
    ("arm64-apple-macosx13.0.0", "apple-m1", {"neon": True}, b"\xcf\xfa\xed\xfe"),
    ("x86_64-pc-windows-msvc", "x86-64-v3", {"avx2": True, "fma": True, "f16c": True}, b"\x64\x86"),
    ("x86_64-apple-macosx12.0.0", "x86-64", {"sse2": True}, b"\xcf\xfa\xed\xfe"),
]


@pytest.mark.parametrize("row", FOREIGN, ids=lambda r: r[0])
def test_kernels_and_pool_for_other_systems(row: tuple[str, str, dict[str, bool], bytes]) -> None:
    triple, processor, features, magic = row
    of = machine(triple, processor, features)
    rendered = render(half_kernel(), "half", native_half=of.native_half, attributes=of.attributes)
    code = jit.emit(rendered.text, of, "half")
    assert code.startswith(magic) and b"half_p0" in code
    pool = jit.emit(text(triple), of, "pool")
    assert pool.startswith(magic) and b"run_plan" in pool
    waits = {"windows": b"WaitOnAddress", "apple": b"__ulock_wait", "linux": b"syscall"}
    assert next(word for name, word in waits.items() if name in triple) in pool


# ---------------------------------------------------------------- threads


def scratch_kernel(tasks: int) -> Kernel:
    """Each task fills scratch with its number and writes the scratch out: shared scratch would show."""
    y = Buffer("y", at(tasks, 256), float32)
    s = Buffer("s", at(256), float32, Space.SCRATCH)
    t, a, b = loop("t", tasks, Kind.PARALLEL), loop("a", 256), loop("b", 256)
    from spiraltorch.ir.expr import FromIndex

    fill = Store(s, at(a.var), cast(FromIndex(index(t.var) * 1000 + a.var), float32))
    drain = Store(y, at(t.var, b.var), Load(s, at(b.var)))
    return Kernel("scratch", (y,), loop_nest([t], Alloc(s, block(loop_nest([a], fill), loop_nest([b], drain)))))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_pool(device: CpuDevice, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Every task runs once with its own scratch, run after run, also after the workers went to sleep."""
    runner = Pool(count)
    monkeypatch.setattr(device, "pool", lambda: runner)
    for tasks in (1, 2, 5, 64):
        (kernel,) = device.compile([scratch_kernel(tasks)], [None])
        y = np.zeros((tasks, 256), np.float32)
        program = device.program([(kernel, [(0, 0)])] * 3, 1)
        struct.pack_into("Q", program.table, 0, y.ctypes.data)
        want = np.arange(tasks)[:, None] * 1000 + np.arange(256)
        for turn in range(60):
            y[:] = -1
            program.run()
            np.testing.assert_array_equal(y, want)
            if turn % 20 == 0:
                time.sleep(0.01)


def test_phases_see_each_other(device: CpuDevice) -> None:
    """The second phase reads, in each task, what all tasks of the first have written."""
    n = 64
    x, t, y = Buffer("x", at(n), float32), Buffer("t", at(n), float32), Buffer("y", at(n), float32)
    i, j = loop("i", n, Kind.PARALLEL), loop("j", n, Kind.PARALLEL)
    first = loop_nest([i], Store(t, at(i.var), op("add", Load(x, at(i.var)), Load(x, at(i.var)))))
    second = loop_nest([j], Store(y, at(j.var), Load(t, (n - 1 - index(j.var),))))
    (kernel,) = device.compile([Kernel("phases", (x, y), Alloc(t, block(first, second)))], [None])
    assert kernel.temp_bytes == [4 * n] and len(kernel.phases) == 2
    a, b, temp = np.arange(n, dtype=np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for _ in range(100):
        b[:] = temp[:] = -1
        launch(device, kernel, a, b, temp)
        np.testing.assert_array_equal(b, 2 * a[::-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_its_own_workers(device: CpuDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Pool(2)
    monkeypatch.setattr(device, "pool", lambda: runner)
    (kernel,) = device.compile([double(1600, Kind.PARALLEL)], [None])
    x, y = np.arange(1600, dtype=np.float32), np.zeros(1600, np.float32)
    program = device.program([(kernel, [(0, 0), (1, 0)])], 2)
    struct.pack_into("2Q", program.table, 0, x.ctypes.data, y.ctypes.data)
    program.run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of forks beside threads
        child = os.fork()
    if child == 0:
        y[:] = 0
        program.run()
        os._exit(0 if (y == 2 * x).all() else 1)
    for _ in range(500):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert status == 0
    y[:] = 0
    program.run()
    np.testing.assert_array_equal(y, 2 * x)


def test_running_a_program_costs_microseconds(device: CpuDevice) -> None:
    (kernel,) = device.compile([double(16)], [None])
    x, y = np.ones(16, np.float32), np.zeros(16, np.float32)
    program = device.program([(kernel, [(0, 0), (1, 0)])], 2)
    struct.pack_into("2Q", program.table, 0, x.ctypes.data, y.ctypes.data)
    best = 1.0
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(100):
            program.run()
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 10e-6


# ---------------------------------------------------------------- device time


def test_timed_gives_the_results_of_run_and_one_interval_a_kernel(device: CpuDevice) -> None:
    """Three kernels: one phase on all threads, two phases through a block of the kernel's own, one phase."""
    n = 1 << 14
    (wide,) = device.compile([double(n, Kind.PARALLEL)], [None])
    (phased,) = device.compile([_through_memory(n)], [None])
    assert len(wide.phases) == 1 and len(phased.phases) == 2
    memory = np.zeros(4 * n + n, np.float32)
    data = np.random.default_rng(0).standard_normal(n).astype(np.float32)

    def at_row(k: int) -> tuple[int, int]:
        return (0, 4 * n * k)

    steps = [
        (wide, [at_row(0), at_row(1)]), (phased, [at_row(1), at_row(2), at_row(4)]), (wide, [at_row(2), at_row(3)])
    ]  # fmt: skip
    program = device.program(steps, 1)
    struct.pack_into("Q", program.table, 0, memory.ctypes.data)
    found = []
    for launch_all in (program.run, program.timed, program.timed):
        memory[:] = 0
        memory[:n] = data
        begin = time.perf_counter_ns()
        times = launch_all()
        end = time.perf_counter_ns()
        found.append(memory[: 4 * n].copy())
        if times is not None:
            assert len(times) == 3
            moments = [begin, *(t for pair in times for t in pair), end]
            assert moments == sorted(moments)
            assert all(start < stop for start, stop in times)
    np.testing.assert_array_equal(found[0].reshape(4, n), data * np.float32([[1], [2], [8], [16]]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def _through_memory(n: int) -> Kernel:
    """y = 4 x in two phases: x + x goes to memory of the kernel's own, and from there doubled to y."""
    x, y, t = (Buffer(name, at(n), float32) for name in "xyt")
    phases = []
    for source, result, m in ((x, t, 0), (t, y, 1)):
        i, j = loop(f"i{m}", n // 16, Kind.PARALLEL), loop(f"j{m}", 16, Kind.VECTOR)
        p = index(i.var) * 16 + j.var
        phases.append(loop_nest([i, j], Store(result, (p,), op("add", Load(source, (p,)), Load(source, (p,))))))
    return Kernel("twice", (x, y), Alloc(t, block(*phases)))


def test_a_program_without_kernels_takes_no_time(device: CpuDevice) -> None:
    assert device.program([], 0).timed() == []


# ---------------------------------------------------------------- the protocol


def test_a_program_takes_kernels_of_its_own_device_only(device: CpuDevice) -> None:
    class Foreign:
        temp_bytes = ()

    with pytest.raises(DeviceError, match=r"\[cpu:0\] expected kernels that this device compiled, got a Foreign"):
        device.program([(Foreign(), [])], 1)


def test_code_is_unloaded_in_the_thread_that_calls_llvm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the garbage collector drops it, in another thread: llvmlite's objects would close themselves there."""
    from llvmlite.binding.orcjit import ResourceTracker

    closed: list[bool] = []
    close = ResourceTracker.close

    def recorded(tracker: ResourceTracker) -> None:
        closed.append(jit.LLVM._thread == threading.get_ident())
        close(tracker)

    monkeypatch.setattr(ResourceTracker, "close", recorded)
    code = jit.emit("define i32 @seven() {\n  ret i32 7\n}", host(), "seven")
    for _ in range(3):
        cycle: list[object] = [jit.load(code, ["seven"])]
        cycle.append(cycle)
        del cycle
        gc.collect()
    assert ctypes.CFUNCTYPE(ctypes.c_int)(jit.load(code, ["seven"]).addresses["seven"])() == 7
    assert len(closed) >= 3 and all(closed)
