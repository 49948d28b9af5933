"""The thread pool and the plan runner, in LLVM IR: one native call runs a whole plan.

`run_plan(plan)` takes six words (records, their number, table, workspace, its stride, threads), because ctypes has a cost
for each argument. A record is five words: function, tasks, number of arguments, their descriptors (slot and byte offset
in pairs), and the argument block. Arguments are `table[slot] +
offset`. A record with one task runs on the caller; otherwise the caller and the workers take chunks of tasks from a
shared counter. Workers spin for a while, then sleep on an address; only the three `os_` functions differ by system.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import lru_cache

from ...errors import CompileError
from ...runtime import cache
from . import jit
from .host import Machine, host

SPINS = 3000
VERSION = 1
_RUNNING: list[jit.Code] = []  # never unloaded: workers sleep in it


def _pause(triple: str) -> tuple[str, str]:
    """The instruction with which a spinning thread yields, and its declaration."""
    if triple.startswith(("x86_64", "i686")):
        return "call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"
    if triple.startswith(("aarch64", "arm64")):
        return "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"
    return "", ""


def _system(triple: str) -> str:
    """The functions that differ by system: `os_start(i64) -> i1`, `os_wait(ptr, i32)` and `os_wake(ptr)`."""
    if "windows" in triple:
        return """
declare ptr @CreateThread(ptr, i64, ptr, ptr, i32, ptr)
declare i32 @WaitOnAddress(ptr, ptr, i64, i32)
declare void @WakeByAddressAll(ptr)
define internal i1 @os_start(i64 %tid) {
  %arg = inttoptr i64 %tid to ptr
  %t = call ptr @CreateThread(ptr null, i64 0, ptr @worker, ptr %arg, i32 0, ptr null)
  %ok = icmp ne ptr %t, null
  ret i1 %ok
}
define internal void @os_wait(ptr %address, i32 %value) {
  %old = alloca i32
  store i32 %value, ptr %old
  %r = call i32 @WaitOnAddress(ptr %address, ptr %old, i64 4, i32 -1)
  ret void
}
define internal void @os_wake(ptr %address) {
  call void @WakeByAddressAll(ptr %address)
  ret void
}"""
    start = """
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
define internal i1 @os_start(i64 %tid) {
  %thread = alloca i64
  %arg = inttoptr i64 %tid to ptr
  %r = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %arg)
  %ok = icmp eq i32 %r, 0
  ret i1 %ok
}"""
    if "darwin" in triple or "macos" in triple or "apple" in triple:
        return (
            start
            + """
declare i32 @__ulock_wait(i32, ptr, i64, i32)
declare i32 @__ulock_wake(i32, ptr, i64)
define internal void @os_wait(ptr %address, i32 %value) {
  %wide = zext i32 %value to i64
  %r = call i32 @__ulock_wait(i32 1, ptr %address, i64 %wide, i32 0)
  ret void
}
define internal void @os_wake(ptr %address) {
  %r = call i32 @__ulock_wake(i32 257, ptr %address, i64 0)
  ret void
}"""
        )
    futex = 202 if triple.startswith("x86_64") else 98
    return (
        start
        + f"""
declare i64 @syscall(i64, ...)
define internal void @os_wait(ptr %address, i32 %value) {{
  %r = call i64 (i64, ...) @syscall(i64 {futex}, ptr %address, i32 128, i32 %value, ptr null, ptr null, i32 0)
  ret void
}}
define internal void @os_wake(ptr %address) {{
  %r = call i64 (i64, ...) @syscall(i64 {futex}, ptr %address, i32 129, i32 2147483647, ptr null, ptr null, i32 0)
  ret void
}}"""
    )


def text(triple: str) -> str:
    """The pool's LLVM module for the system that a triple names."""
    pause, declaration = _pause(triple)
    return f"""
@generation = internal global i32 0, align 64
@finished = internal global i64 0, align 64
@next = internal global i64 0, align 64
@sleepers = internal global i32 0, align 64
@started = internal global i64 0, align 64
@workers = internal global i64 0, align 8
@job_function = internal global ptr null, align 64
@job_args = internal global ptr null, align 8
@job_tasks = internal global i64 0, align 8
@job_chunk = internal global i64 0, align 8
@job_workspace = internal global ptr null, align 8
@job_stride = internal global i64 0, align 8
{declaration}
{_system(triple)}
define internal void @work(i64 %tid) {{
entry:
  %f = load ptr, ptr @job_function
  %a = load ptr, ptr @job_args
  %tasks = load i64, ptr @job_tasks
  %chunk = load i64, ptr @job_chunk
  %base = load ptr, ptr @job_workspace
  %stride = load i64, ptr @job_stride
  %offset = mul i64 %tid, %stride
  %ws = getelementptr i8, ptr %base, i64 %offset
  br label %take
take:
  %begin = atomicrmw add ptr @next, i64 %chunk monotonic
  %more = icmp slt i64 %begin, %tasks
  br i1 %more, label %run, label %done
run:
  %stop = add i64 %begin, %chunk
  %over = icmp sgt i64 %stop, %tasks
  %end = select i1 %over, i64 %tasks, i64 %stop
  call void %f(ptr %a, i64 %begin, i64 %end, ptr %ws)
  br label %take
done:
  ret void
}}
define internal ptr @worker(ptr %arg) {{
entry:
  %tid = ptrtoint ptr %arg to i64
  %first = load atomic i32, ptr @generation acquire, align 4
  %o = atomicrmw add ptr @started, i64 1 release
  br label %outer
outer:
  %seen = phi i32 [%first, %entry], [%now, %work]
  br label %spin
spin:
  %count = phi i32 [0, %outer], [%count1, %again], [0, %woken]
  %now = load atomic i32, ptr @generation acquire, align 4
  %changed = icmp ne i32 %now, %seen
  br i1 %changed, label %work, label %idle
idle:
  {pause}
  %count1 = add i32 %count, 1
  %keep = icmp ult i32 %count1, {SPINS}
  br i1 %keep, label %again, label %sleep
again:
  br label %spin
sleep:
  %s1 = atomicrmw add ptr @sleepers, i32 1 seq_cst
  %g = load atomic i32, ptr @generation seq_cst, align 4
  %late = icmp ne i32 %g, %seen
  br i1 %late, label %woken, label %wait
wait:
  call void @os_wait(ptr @generation, i32 %seen)
  br label %woken
woken:
  %s2 = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  br label %spin
work:
  call void @work(i64 %tid)
  %f = atomicrmw add ptr @finished, i64 1 release
  br label %outer
}}
define void @forget_workers() {{
  store i64 0, ptr @workers
  store i32 0, ptr @sleepers
  ret void
}}
define internal void @start_workers(i64 %threads) {{
entry:
  store atomic i64 0, ptr @started seq_cst, align 8
  br label %loop
loop:
  %i = phi i64 [1, %entry], [%j, %good]
  %more = icmp slt i64 %i, %threads
  br i1 %more, label %one, label %wait
one:
  %ok = call i1 @os_start(i64 %i)
  br i1 %ok, label %good, label %wait
good:
  %j = add i64 %i, 1
  br label %loop
wait:
  %all = phi i64 [%i, %loop], [%i, %one], [%all, %pause]
  %n = load atomic i64, ptr @started acquire, align 8
  %n1 = add i64 %n, 1
  %ready = icmp sge i64 %n1, %all
  br i1 %ready, label %exit, label %pause
pause:
  {pause}
  br label %wait
exit:
  store i64 %all, ptr @workers
  ret void
}}
define internal void @launch(ptr %f, ptr %a, i64 %tasks, ptr %workspace, i64 %stride, i64 %wanted) {{
entry:
  %some = load i64, ptr @workers
  %none = icmp eq i64 %some, 0
  br i1 %none, label %start, label %share
start:
  call void @start_workers(i64 %wanted)
  br label %share
share:
  %threads = load i64, ptr @workers
  %quarters = mul i64 %threads, 4
  %part = sdiv i64 %tasks, %quarters
  %few = icmp slt i64 %part, 1
  %chunk = select i1 %few, i64 1, i64 %part
  store ptr %f, ptr @job_function
  store ptr %a, ptr @job_args
  store i64 %tasks, ptr @job_tasks
  store i64 %chunk, ptr @job_chunk
  store ptr %workspace, ptr @job_workspace
  store i64 %stride, ptr @job_stride
  store atomic i64 0, ptr @next monotonic, align 8
  store atomic i64 0, ptr @finished monotonic, align 8
  %g = atomicrmw add ptr @generation, i32 1 seq_cst
  %asleep = load atomic i32, ptr @sleepers seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %wake, label %go
wake:
  call void @os_wake(ptr @generation)
  br label %go
go:
  call void @work(i64 0)
  %others = sub i64 %threads, 1
  br label %wait
wait:
  %n = load atomic i64, ptr @finished acquire, align 8
  %all = icmp sge i64 %n, %others
  br i1 %all, label %exit, label %pause
pause:
  {pause}
  br label %wait
exit:
  ret void
}}
define void @run_plan(ptr %plan) {{
entry:
  %records = load ptr, ptr %plan
  %p1 = getelementptr i64, ptr %plan, i64 1
  %count = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %plan, i64 2
  %table = load ptr, ptr %p2
  %p3 = getelementptr i64, ptr %plan, i64 3
  %workspace = load ptr, ptr %p3
  %p4 = getelementptr i64, ptr %plan, i64 4
  %stride = load i64, ptr %p4
  %p5 = getelementptr i64, ptr %plan, i64 5
  %threads = load i64, ptr %p5
  br label %record
record:
  %r = phi i64 [0, %entry], [%r1, %next]
  %more = icmp slt i64 %r, %count
  br i1 %more, label %fill, label %exit
fill:
  %base = mul i64 %r, 5
  %pf = getelementptr i64, ptr %records, i64 %base
  %function = load ptr, ptr %pf
  %pt = getelementptr i64, ptr %pf, i64 1
  %tasks = load i64, ptr %pt
  %pn = getelementptr i64, ptr %pf, i64 2
  %nargs = load i64, ptr %pn
  %pd = getelementptr i64, ptr %pf, i64 3
  %descriptors = load ptr, ptr %pd
  %pa = getelementptr i64, ptr %pf, i64 4
  %args = load ptr, ptr %pa
  br label %argument
argument:
  %a = phi i64 [0, %fill], [%a1, %one]
  %morea = icmp slt i64 %a, %nargs
  br i1 %morea, label %one, label %call
one:
  %d2 = mul i64 %a, 2
  %ps = getelementptr i64, ptr %descriptors, i64 %d2
  %slot = load i64, ptr %ps
  %po = getelementptr i64, ptr %ps, i64 1
  %offset = load i64, ptr %po
  %pv = getelementptr i64, ptr %table, i64 %slot
  %value = load i64, ptr %pv
  %sum = add i64 %value, %offset
  %pg = getelementptr i64, ptr %args, i64 %a
  store i64 %sum, ptr %pg
  %a1 = add i64 %a, 1
  br label %argument
call:
  %several = icmp sgt i64 %tasks, 1
  %crowd = icmp sgt i64 %threads, 1
  %both = and i1 %several, %crowd
  br i1 %both, label %shared, label %alone
shared:
  call void @launch(ptr %function, ptr %args, i64 %tasks, ptr %workspace, i64 %stride, i64 %threads)
  br label %next
alone:
  call void %function(ptr %args, i64 0, i64 %tasks, ptr %workspace)
  br label %next
next:
  %r1 = add i64 %r, 1
  br label %record
exit:
  ret void
}}
"""


class Pool:
    """The plan runner. Workers start when the first plan with several tasks runs; a forked child starts its own.

    `run` takes the address of a plan. One plan runs at a time.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        code = _code(host())
        _RUNNING.append(code)
        addresses = code.addresses
        self.run: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(addresses["run_plan"])
        self._forget: Callable[[], None] = ctypes.CFUNCTYPE(None)(addresses["forget_workers"])
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)


def _symbols() -> dict[str, int]:
    """Addresses of system functions that the JIT does not find by itself."""
    if os.name != "nt":
        return {}
    base = ctypes.WinDLL("kernelbase.dll")  # type: ignore[attr-defined]
    names = ("WaitOnAddress", "WakeByAddressAll")
    return {n: int(ctypes.cast(getattr(base, n), ctypes.c_void_p).value or 0) for n in names}


def _code(of: Machine) -> jit.Code:
    """The pool's functions, from the disk cache or compiled now."""
    import hashlib

    import llvmlite

    source = text(of.triple)
    digest = hashlib.sha256(f"{source}|{of.cpu}|{of.features}|{llvmlite.__version__}".encode()).hexdigest()[:24]
    key = f"pool-{digest}"
    functions = ["run_plan", "forget_workers"]
    stored = cache.read(key)
    if stored is not None:
        try:
            return jit.load(stored[1], functions, _symbols())
        except CompileError:
            pass  # content that was changed together with its checksum
    code = jit.emit(source, of, "the thread pool")
    cache.write(key, {"version": VERSION}, code)
    return jit.load(code, functions, _symbols())


@lru_cache(maxsize=1)
def pool(threads: int) -> Pool:
    """The process's pool."""
    return Pool(threads)
