"""The caller's side of the worker: a process that may crash or hang, and is then started anew."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

COMMAND = ("-m", "spiraltorch.tuning.worker")
START_SECONDS = 60.0  # for the interpreter, the imports and opening the device


class Failed(Exception):
    """The worker gave no answer; the text says how it ended. Its process is gone."""


class Client:
    """A worker for one device."""

    def __init__(self, device: str, command: Sequence[str] = COMMAND) -> None:
        self.device = device
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: IO[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process. That of a program from which this one was forked is not this one's."""
        return self._process is not None and self._owner == os.getpid()

    def start(self) -> None:
        """Starts the process. Raises `Failed` where it does not come up."""
        self._errors = tempfile.TemporaryFile()
        self._lines = queue.Queue()
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, *self.command, self.device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, env=_environment(), start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=_pump, args=(self._process, self._lines), daemon=True).start()
        self._answer(START_SECONDS)

    def ask(self, *request: Any, seconds: float) -> dict[str, Any]:
        """The answer to a request. Raises `Failed` where none comes within the time, or the process dies."""
        assert self._process is not None and self._process.stdin is not None
        data = pickle.dumps(request)
        try:
            self._process.stdin.write(len(data).to_bytes(8, "little") + data)
            self._process.stdin.flush()
        except OSError:
            pass  # it died: the answer says how
        return self._answer(seconds)

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise Failed(f"no answer within {seconds:g} s") from None
        except BaseException:  # somebody interrupts: the answer would be taken for the next one
            self.close()
            raise
        if line is None:
            raise Failed(self._end())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> str:
        """How a process that ended by itself did so, with the last line that it wrote."""
        assert self._process is not None and self._errors is not None
        code = self._process.wait(timeout=10)
        self._errors.seek(0)
        written = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        self.close()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}: {written[-1][:200]}" if written else how

    def close(self) -> None:
        """Ends the process, with those that it started."""
        owned = self.running
        process, self._process = self._process, None
        if process is None or not owned:
            return
        if process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for stream in (process.stdin, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # what was not sent to a process that is gone
        self._errors = None


def _pump(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _environment() -> dict[str, str]:
    """This process's, with the same package first on the path, and no tuning inside."""
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "SPIRALTORCH_TUNE": ""}
