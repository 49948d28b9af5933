"""Captures the kernel texts of one source tree: `PYTHONPATH=TREE/src python capture.py OUT [--suite S] [--only D]`.

The tree is the one whose `spiraltorch` is imported; it need not know this tool. Every part runs in a process of its own with
an empty kernel cache, two threads, no tuning and a fixed hash seed, so what a part renders depends on the tree, on the
libraries and on the processor only. Parts that OUT already has are made again.

Limits: the arguments that a plan passes, the order of launches and what allocates memory are not captured, only the texts
and the facts that `render` gives with them; and only schedules for two threads.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from captures import DEVICES, SUITES, part_names, read_part, tool_digest, write_part

THREADS = "2"
PACKAGES = ("numpy", "llvmlite", "ml-dtypes", "wgpu")


def capture(folder: Path, names: Iterable[str], source: str | None = None) -> bool:
    """Captures parts, each in a new process; returns whether all of those processes ended well.

    `source` is the `src` folder of the tree; without it, PYTHONPATH decides.
    """
    done = True
    for name in names:
        (folder / f"{name}.json").unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as cache:
            environment = {
                **os.environ,
                **dict.fromkeys(("SPIRALTORCH_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), THREADS),
                "SPIRALTORCH_CACHE_DIR": cache,
                "SPIRALTORCH_TUNE": "0",
                "SPIRALTORCH_DEVICE": "cpu",
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_ADDOPTS": "",
            }
            environment.setdefault("XDG_RUNTIME_DIR", cache)  # Vulkan's loader wants one
            if source is not None:
                environment["PYTHONPATH"] = source
            command = [sys.executable, __file__, str(folder), "--part", name]
            log = folder / f"{name}.log"
            folder.mkdir(parents=True, exist_ok=True)
            with log.open("w", encoding="utf-8") as out:
                code = subprocess.run(command, env=environment, stdout=out, stderr=out, check=False).returncode
        part = read_part(folder, name)
        if code or part is None:
            done = False
            print(f"{name}: failed with exit code {code}, see {log}", file=sys.stderr, flush=True)
            continue
        failed = f", {len(part.problems)} problems" if part.problems else ""
        print(f"{name}: {part.count} texts in {part.seconds:.0f} s{failed}", file=sys.stderr, flush=True)
    return done


def capture_part(folder: Path, name: str) -> None:
    """Captures one part in this process."""
    from recorder import Recorder
    from workloads import RUN

    suite, _, kind = name.partition("-")
    package = importlib.import_module("spiraltorch")
    tree = Path(str(package.__file__)).resolve().parents[2]
    print(f"{name} of {tree}", flush=True)
    recorder = Recorder(folder.resolve())
    for backend in DEVICES:
        recorder.start(backend)
    began = time.perf_counter()
    RUN[suite](recorder, tree, kind)
    part = recorder.finish()
    part.environment, part.seconds = _environment(), round(time.perf_counter() - began, 1)
    write_part(folder, name, part)


def _environment() -> dict[str, str]:
    """What texts depend on beside the source tree."""
    from llvmlite import binding

    wgpu = importlib.import_module("wgpu")
    features = hashlib.sha256(binding.get_host_cpu_features().flatten().encode()).hexdigest()[:8]
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    processor = f"{binding.get_host_cpu_name()} with features {features}"
    adapters = [f"{a.info['device']} {a.info['description']}" for a in wgpu.gpu.enumerate_adapters_sync()]
    machine = {"processor": processor, "adapter": "; ".join(adapters) or "none"}
    return {**machine, "python": platform.python_version(), "tool": tool_digest(), **versions}


def main() -> int:
    """The command line; see the module's text."""
    parser = argparse.ArgumentParser(description="Captures the kernel texts of the source tree in PYTHONPATH.")
    parser.add_argument("folder", type=Path, help="where the capture goes")
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this suite; may be given again")
    parser.add_argument("--only", choices=DEVICES, help="only this device")
    parser.add_argument("--part", choices=part_names(SUITES, DEVICES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    folder = given.folder.resolve()
    if given.part:
        capture_part(folder, given.part)
        return 0
    names = part_names(given.suite or SUITES, [given.only] if given.only else DEVICES)
    return 0 if capture(folder, names) else 1


if __name__ == "__main__":
    sys.exit(main())
