"""Threads, forks and the end of the interpreter, each in a process of its own: it works, or raises a typed error, at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spiraltorch as st

PROGRAMS = {
    "atexit": """
import atexit, spiraltorch as st
atexit.register(lambda: print('ok', (st.ones(3,4)@st.ones(4,5)+1).sum().item()))
""",
    "thread after main": """
import threading, time, spiraltorch as st
def work():
    threading.main_thread().join(); time.sleep(0.1)
    print('ok', (st.ones(3,4)@st.ones(4,5)+1).sum().item())
threading.Thread(target=work).start()
""",
    "del at exit": """
import spiraltorch as st
class A:
    def __del__(self):
        try: print('ok', (st.ones(3,4)@st.ones(4,5)+1).sum().item())
        except st.errors.SpiralTorchError as e: print('ok typed', e)
a = A()
import builtins; builtins.keep = a
""",
    "no thread": """
import resource, os, spiraltorch as st, _thread
def refuse(*a): raise RuntimeError("can't start new thread")
_thread.start_new_thread = refuse
print('ok', (st.ones(3,4)@st.ones(4,5)+1).sum().item())
""",
    "no fd": """
import resource, spiraltorch as st
x = st.ones(3,4)@st.ones(4,5)+1
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try: print('ok', x.sum().item())
except st.errors.SpiralTorchError as e: print('ok typed', e)
""",
    "fork while compiling": """
import os, threading, time, spiraltorch as st
def work():
    for i in range(12): (st.ones(3,4+i)@st.ones(4+i,5)+i).sum().item()
t = threading.Thread(target=work); t.start()
bad = 0
for n in range(8):
    time.sleep(0.03)
    pid = os.fork()
    if pid == 0:
        (st.ones(3,40+n)@st.ones(40+n,5)+1).sum().item(); os._exit(0)
    end = time.time()+60
    while time.time() < end:
        p, s = os.waitpid(pid, os.WNOHANG)
        if p: bad += s != 0; break
        time.sleep(0.01)
    else: bad += 100; os.kill(pid, 9)
t.join(); print('ok' if not bad else 'BAD', bad)
""",
    "recorded join": """
import threading, spiraltorch as st
err = []
def work():
    try: (st.ones(3) + 1).numpy()
    except Exception as e: err.append(e)
@st.compile
def f(x):
    t = threading.Thread(target=work); t.start(); t.join()
    return x * 2
print('ok', f(st.ones(2)).tolist(), type(err[0]).__name__ if err else None)
""",
    "recorded executor": """
import concurrent.futures as cf, spiraltorch as st
pool = cf.ThreadPoolExecutor(1); pool.submit(int).result()
@st.compile
def f(x):
    return x * pool.submit(lambda: (st.ones(3) + 1).sum().item()).result()
try: print('ok', f(st.ones(2)).tolist())
except st.TracingError as e: print('ok typed', str(e)[:60])
print((st.ones(2)+1).tolist())
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX's processes")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_well(name: str, tmp_path: Path) -> None:
    package = str(Path(st.__file__).resolve().parents[1])
    environment = {**os.environ, "SPIRALTORCH_CACHE_DIR": str(tmp_path), "PYTHONPATH": package}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAMS[name]], capture_output=True, text=True, timeout=120, env=environment
    )
    assert run.returncode == 0 and run.stdout.startswith("ok"), (run.stdout, run.stderr)
