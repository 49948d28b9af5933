"""The caller's side of a tuning worker: a process that may crash or hang, and is then started again."""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, TypedDict

from ..runtime import process
from ..runtime.tunings import Decisions, Option

COMMAND = ("-m", "spiraltorch.tuning.worker")
START_SECONDS = 60.0  # the time limit for the interpreter, the imports and opening the device
EXIT_SECONDS = 10.0


class Answer(TypedDict, total=False):
    """The answer to a request: see `worker`. Which fields it has depends on the request and on how it ended."""

    ready: bool
    refused: str  # why a candidate cannot be scheduled or run
    wrong: str  # how its results differ from the rule's
    seconds: float  # the time of one run: measured by `load`, predicted by `inspect`
    asked: dict[
        str, tuple[Option, list[Option], Option]
    ]  # for each decision the default, the options, and the option that was taken
    changed: Decisions  # decisions that differ from defaults
    kernel: str  # a key of the scheduled kernel
    default: float  # median seconds of the rule's schedule
    ratio: float  # the candidate's time divided by that of the rule's schedule
    spread: float  # half of the 95 % confidence interval of the ratio
    cold_ratio: float  # the same ratio after pauses


class WorkerError(Exception):
    """The worker did not answer; the message says why. Its process has ended."""


class Client:
    """A worker for one device.

    Args:
        device: the device's name.
        command: arguments of the Python interpreter that start a worker, before the device's name.
    """

    def __init__(self, device: str, command: Sequence[str] = COMMAND) -> None:
        self.device = device
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: IO[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process. After a fork, the parent's process does not count."""
        return self._process is not None and self._owner == os.getpid()

    def start(self) -> None:
        """Starts the process. Raises `WorkerError` where it does not come up."""
        self._errors = tempfile.TemporaryFile()
        self._lines = queue.Queue()
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [*process.command(self.command), self.device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, env=process.environment(SPIRALTORCH_TUNE=""), start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=_read_lines, args=(self._process, self._lines), daemon=True).start()
        self._answer(START_SECONDS)

    def ask(self, *request: object, seconds: float) -> Answer:
        """Sends a request, a name and its arguments, and waits for the answer.

        Raises:
            WorkerError: no answer comes within the time, or the process dies.
        """
        assert self._process is not None and self._process.stdin is not None
        data = pickle.dumps(request)
        try:
            self._process.stdin.write(len(data).to_bytes(8, "little") + data)
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended: waiting for the answer reports why
        return self._answer(seconds)

    def _answer(self, seconds: float) -> Answer:
        """Waits for the next answer."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise WorkerError(f"no answer within {seconds:g} s") from None
        except BaseException:  # interrupted: the answer would be taken for that of the next request
            self.close()
            raise
        if line is None:
            raise WorkerError(self._end())
        answer: Answer = json.loads(line)
        return answer

    def _end(self) -> str:
        """How a process that ended by itself did so, with the last line that it wrote to stderr."""
        assert self._process is not None and self._errors is not None
        code = self._process.wait(timeout=EXIT_SECONDS)
        self._errors.seek(0)
        written = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        self.close()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}: {written[-1][:200]}" if written else how

    def close(self) -> None:
        """Ends the process and those that it started."""
        owned = self.running
        worker, self._process = self._process, None
        if worker is None or not owned:
            return
        if worker.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(worker.pid, signal.SIGKILL)
            else:
                worker.kill()
        worker.wait()
        for stream in (worker.stdin, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass  # data that was not sent to a process that has ended
        self._errors = None


def _read_lines(worker: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    """Moves the process's lines to a queue, with None at their end."""
    assert worker.stdout is not None
    with worker.stdout as stream:
        for line in stream:
            lines.put(line)
    lines.put(None)
